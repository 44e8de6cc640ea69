"""What people and their tools do to the mounted tree, step after step without a pause."""

import errno
import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from backend import open_store
from tests.support import mounttable, smallstore, wait
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

MountStore = Callable[..., Mounted]


@pytest.fixture
def tree(roots: Roots, mount_store: MountStore) -> Mounted:
    smallstore.make(roots)
    return mount_store(roots)


def shell(tree: Mounted, script: str) -> str:
    """What *script* prints, run at the root of the tree; errors fail the test."""
    command = ["sh", "-euc", script]
    done = subprocess.run(
        command, cwd=tree.where, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_values_written_before_a_container_exists_are_there_when_it_does(tree: Mounted) -> None:
    for name in ("p1", "p2", "p3"):
        shown = shell(
            tree,
            f"""mkdir containers/{name}; ls -l containers/{name} >/dev/null
            echo kept > containers/{name}/metadata
            ln -s ../../images/localhost/small:1 containers/{name}/image
            cat containers/{name}/metadata containers/{name}/names
            ls -l containers/{name} | grep -c names
            rmdir containers/{name}""",
        )
        assert shown == f"kept\n{name}\n1\n"


def carried(tree: Mounted) -> set[str]:
    """Paths in the tree that carry a native mount."""
    top = f"{tree.where}/"
    return {
        m.target.removeprefix(top) for m in mounttable.below(tree.where) if m.target != top[:-1]
    }


MADE: dict[str, tuple[str, str]] = {
    "made": ("mkdir images/localhost/small:1/containers/new", "new"),
    "bound": (
        "mkdir containers/new; ln -s ../../images/localhost/small:1 containers/new/image",
        "new",
    ),
    "renamed": ("cat containers/web/rootfs/one; mv containers/web containers/shop", "shop"),
    "made again": ("rmdir containers/web; mkdir images/localhost/small:1/containers/web", "web"),
}


@pytest.mark.parametrize("how", MADE)
def test_a_native_mount_outlasts_the_news_of_what_was_done_before(tree: Mounted, how: str) -> None:
    script, name = MADE[how]
    inside = tree.where / "containers" / name / "rootfs"
    shell(tree, f"{script}; cat containers/{name}/rootfs/one")
    with subprocess.Popen(["sleep", "60"], cwd=inside) as user:
        try:
            time.sleep(0.6)
            assert carried(tree) == {f"containers/{name}/rootfs"}
            with pytest.raises(OSError, match="busy"):
                inside.parent.rmdir()
        finally:
            user.kill()
    inside.parent.rmdir()


def test_a_native_mount_that_somebody_took_away_comes_back(tree: Mounted) -> None:
    shell(tree, "cat containers/web/rootfs/one; umount containers/web/rootfs")
    assert carried(tree) == set()
    shell(tree, "ls containers/web/rootfs")
    assert carried(tree) == {"containers/web/rootfs"}
    assert shell(tree, "cat containers/web/mount-count") == "1\n"


def test_nothing_is_held_for_a_container_that_others_deleted(tree: Mounted) -> None:
    shell(tree, "cat containers/web/rootfs/one")
    with open_store(smallstore.options(tree.roots)) as store:
        store.mounts.unmount("web", force=True)
        store.containers.delete("web")
    wait.until(lambda: not carried(tree), 5, "the mount goes with the container")
    wait.until(lambda: '"native_mounts": []' in shell(tree, "cat status"), 5, "and is forgotten")
    assert tree.stop() == 0
    assert "WARNING" not in tree.log_text()
    assert "not known" not in tree.log_text()


def test_after_a_broken_connection_the_next_mount_works_at_once(
    tree: Mounted, mount_store: MountStore
) -> None:
    shell(tree, "cat containers/web/rootfs/one")
    mounttable.abort_fuse(tree.where)
    assert tree.child is not None
    tree.child.wait(10)
    assert mounttable.at(tree.where) is not None, "nobody asked for it to disappear"

    again = mount_store(tree.roots)
    assert again.where == tree.where
    assert shell(again, "cat containers/web/mount-count; cat containers/web/rootfs/one") == "0\n1\n"
    assert shell(again, "cat containers/web/mount-count") == "1\n"
    assert again.stop() == 0
    with open_store(smallstore.options(tree.roots)) as store:
        assert not store.snapshot().mounts


def test_notes_that_make_no_sense_are_in_nobodys_way(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    notes = roots.run / "storagefs"
    notes.mkdir(parents=True, exist_ok=True)
    note = {"pid": 1, "mount_point": "/", "mount_id": 1, "held": {"gone": 1}, "pending": {"x": 0}}
    for name, content in {
        "1": note,
        "2": note | {"pending": {"x": "y"}},
        "3": note | {"held": [1]},
        "4": {},
    }.items():
        (notes / f"{name}.json").write_text(json.dumps(content))  # noqa: TID251 - a file of our own
    (notes / "5.json").write_text("[" * 100_000)
    (notes / "6.json").mkdir()
    os.mkfifo(notes / "7.json")

    tree = mount_store(roots)
    assert shell(tree, f"cat {small.web}/one") == "1\n"
    assert tree.stop() == 0
    assert os.path.ismount("/")
    assert not (notes / "1.json").exists()
    assert tree.log_text().count("left alone") == 6


def test_the_note_of_a_dead_daemon_does_not_end_one_that_got_the_number_of_its_mount(
    tree: Mounted, roots: Roots, mount_store: MountStore
) -> None:
    notes = roots.run / "storagefs"
    live = json.loads((notes / f"{tree.pid}.json").read_text())
    (notes / "1.json").write_text(json.dumps(live | {"pid": 1}))  # noqa: TID251 - as above
    other = mount_store(roots, name="other")
    assert not (notes / "1.json").exists()
    assert shell(tree, "cat containers/web/rootfs/one") == "1\n"
    assert [other.stop(), tree.stop()] == [0, 0]
    assert list(notes.iterdir()) == [], "locks go with their holders"


def test_the_daemon_opens_nearly_as_many_files_as_the_administrator_allows(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        tree = mount_store(roots)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    soft, hard = resource.prlimit(tree.pid, resource.RLIMIT_NOFILE)
    assert hard == before[1]
    assert hard - 16 <= soft < hard, "some are left to unmount with"


@pytest.mark.parametrize("options", [["nodev", 5], "nodev", ["noatime,upperdir=/"]])
def test_mount_options_of_a_record_that_make_no_sense_are_refused(
    roots: Roots, mount_store: MountStore, options: object
) -> None:
    small = smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        store.containers.set_flags("web", {"MountOpts": options})
    tree = mount_store(roots)
    with pytest.raises(OSError, match="Invalid argument") as refused:
        (tree.where / small.web / "one").read_text()
    assert refused.value.errno == errno.EINVAL
    assert "options" in shell(tree, "cat errors")
    assert "Traceback" not in tree.log_text()
    assert "TypeError" not in tree.log_text()


@pytest.mark.parametrize("option", ["native=auto", "native=off"])
def test_a_file_that_is_about_to_be_closed_is_in_nobodys_way(
    roots: Roots, mount_store: MountStore, option: str
) -> None:
    small = smallstore.make(roots)
    tree = mount_store(roots, option)
    with (tree.where / small.web / "one").open() as file:
        closing = threading.Timer(0.1, file.close)
        closing.start()
        (tree.where / "containers/web").rmdir()
        closing.join()


def as_nobody(tree: Mounted, script: str) -> str:
    """What *script* prints and complains of for another user, who starts above the mount point."""
    done = subprocess.run(
        ["sh", "-c", f"exec 2>&1; {script}"],
        cwd=tree.where.parent,
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def test_others_look_in_where_they_may_and_change_nothing(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    closed = mount_store(roots, name="closed")
    tree = mount_store(roots, "allow_other", name="open")
    for mounted in (closed, tree):
        mounted.where.parent.chmod(0o755)
    assert "Permission denied" in as_nobody(closed, "ls closed")
    assert "containers" in as_nobody(tree, "ls open")
    assert as_nobody(tree, f"cat open/{small.rootfs}/two") == "2\n"
    assert tree.where.joinpath(small.rootfs, "two").is_file()
    for change in (
        "mkdir open/containers/new",
        "rmdir open/containers/web",
        "echo x > open/containers/web/names",
        f"rm open/{small.rootfs}/two",
        "touch open/containers/web/rootfs/new",
    ):
        assert "denied" in as_nobody(tree, change) or "Read-only" in as_nobody(tree, change)
    assert "Permission denied" in as_nobody(tree, "ls open/containers/web/userdata")


def test_a_link_to_what_is_not_known_says_what_that_is(tree: Mounted) -> None:
    shell(tree, "mkdir containers/new")
    for link in ("containers/new/image", "containers/alias", "images/localhost/alias:1"):
        with pytest.raises(FileNotFoundError):
            os.symlink("nowhere", tree.where / link)
    told = [json.loads(line) for line in (tree.where / "errors").read_text().splitlines()]
    assert [line["errno"] for line in told] == ["ENOENT"] * 3
    assert all("nowhere" in line["reason"] for line in told)
    with pytest.raises(FileNotFoundError):
        os.stat(tree.where / "images" / "nowhere")
    assert len((tree.where / "errors").read_text().splitlines()) == 3, "a look is no refusal"
