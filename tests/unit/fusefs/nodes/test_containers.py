"""containers/ as people use it, pending ones included."""

import errno
import json

import pytest

from backend import Image
from backend.errors import (
    ContainerUnknownError,
    DuplicateNameError,
    ImageUnknownError,
    InvalidValueError,
    MountedError,
)
from drivers.idmap.maps import IDMap
from fusefs.nodes.guard import ObjectKey

from .conftest import CALLER, Tree


def test_a_container_is_listed_under_its_first_name(tree: Tree, image: Image) -> None:
    web = tree.store.containers.create(names=["web", "www"], image=image.id)
    bare = tree.store.containers.create()
    assert tree.names("containers") == ["by-id", "web", bare.id, "www"]
    assert tree.readlink("containers/www") == "web"
    assert tree.readlink(f"containers/by-id/{web.id}") == "../web"
    for other in (web.id, web.id[:12], web.layer, "%77eb"):
        assert tree.readlink(f"containers/{other}") == "web"
    assert tree.node("containers/web/image").ino == tree.node("images/alpine").ino
    assert tree.node("containers/web/layer").ino == tree.node(f"layers/{web.layer}").ino
    assert tree.readlink("containers/web/diff") == f"../../layers/{web.layer}/diff"
    assert "image" not in tree.names(f"containers/{bare.id}")
    assert json.loads(tree.read("containers/web/info.json"))["id"] == web.id
    assert tree.read("containers/web/health") == b"ok\n"
    assert tree.read("containers/web/mount-count") == b"0\n"


def test_mv_and_ln_and_rm_change_names(tree: Tree, image: Image) -> None:
    web = tree.store.containers.create(names=["web"], image=image.id)
    number = tree.node("containers/web").ino
    tree.rename("containers/web", "containers/db")
    assert tree.node("containers/db").ino == number
    tree.symlink("db", "containers/store")
    assert tree.store.cached().containers.by_id[web.id].names == ("db", "store")
    assert tree.readlink("containers/store") == "db"
    tree.rename("containers/store", "containers/shop")
    tree.unlink("containers/shop")
    assert tree.store.cached().containers.by_id[web.id].names == ("db",)
    with pytest.raises(IsADirectoryError):
        tree.unlink("containers/db")
    with pytest.raises(PermissionError):
        tree.unlink(f"containers/{web.id[:8]}")
    with pytest.raises(ContainerUnknownError):
        tree.symlink("nobody", "containers/new")


def test_a_taken_name_is_not_taken_away(tree: Tree, image: Image) -> None:
    for name in ("one", "two"):
        tree.store.containers.create(names=[name], image=image.id)
    with pytest.raises(DuplicateNameError):
        tree.rename("containers/one", "containers/two")
    with pytest.raises(DuplicateNameError):
        tree.symlink("one", "containers/two")
    with pytest.raises(DuplicateNameError):
        tree.mkdir("containers/two")
    with pytest.raises(PermissionError):
        tree.rename("containers/one", "images/one")


def test_a_container_without_a_name_gets_one_by_mv(tree: Tree) -> None:
    bare = tree.store.containers.create()
    tree.rename(f"containers/{bare.id}", "containers/named")
    assert tree.store.cached().containers.by_id[bare.id].names == ("named",)


def test_rmdir_deletes_with_all_checks(tree: Tree, image: Image) -> None:
    web = tree.store.containers.create(names=["web", "www"], image=image.id)
    for name in ("www", web.id[:12]):
        with pytest.raises(OSError, match="Not a directory"):
            tree.rmdir(f"containers/{name}")
    tree.store.mounts.mount(web.id)
    with pytest.raises(MountedError):
        tree.rmdir("containers/web")
    tree.store.mounts.unmount(web.id)
    tree.rmdir("containers/web")
    assert tree.names("containers") == ["by-id"]
    assert tree.content.withdrawn[-1] == ObjectKey("container", web.id)
    with pytest.raises(FileNotFoundError):
        tree.rmdir("containers/web")


def test_rm_r_is_refused_and_holds_back_what_follows(tree: Tree, image: Image) -> None:
    web = tree.store.containers.create(names=["web"], image=image.id)
    tree.store.containers.set_big_data(web.id, "key", b"x")
    for path in ("containers/web/info.json", "containers/web/rootfs"):
        with pytest.raises(PermissionError):
            tree.unlink(path)
    assert tree.context.guard.is_held(ObjectKey("container", web.id), CALLER)
    with pytest.raises(PermissionError):
        tree.unlink("containers/web/bigdata/key")
    with pytest.raises(PermissionError):
        tree.rmdir("containers/web")
    assert tree.read("containers/web/bigdata/key") == b"x"


def test_flags_are_replaced_as_json(tree: Tree, image: Image) -> None:
    web = tree.store.containers.create(names=["web"], image=image.id)
    flags = json.loads(tree.read("containers/web/flags"))
    assert flags == {"MountLabel": "", "ProcessLabel": ""}
    tree.write("containers/web/flags", b'{"MountLabel":"","ProcessLabel":"","x":[1]}\n')
    assert tree.store.cached().containers.by_id[web.id].flags["x"] == [1]
    for bad in (b"[1]", b"{", b'"a"', b"\xff"):
        with pytest.raises(InvalidValueError):
            tree.write("containers/web/flags", bad)


def test_a_pending_container_is_bound_by_its_image(tree: Tree, image: Image) -> None:
    number = tree.mkdir("containers/web").ino
    assert tree.names("containers") == ["by-id", "web"]
    assert tree.names("containers/web") == ["names", "metadata", "flags", "idmap"]
    assert tree.read("containers/web/names") == b"web\n"
    assert "web" not in tree.store.cached().containers.by_name
    tree.write("containers/web/names", b"web\nwww\n")
    tree.write("containers/web/metadata", b"{}")
    tree.write("containers/web/flags", b'{"MountOpts":["nodev"],"mine":true}')
    held = tree.directory("containers/web")
    tree.symlink("../../images/alpine", "containers/web/image")
    web = tree.store.cached().containers.by_name["web"]
    assert (web.image, web.names, web.metadata) == (image.id, ("web", "www"), "{}")
    assert web.flags == {"MountLabel": "", "MountOpts": ["nodev"], "ProcessLabel": "", "mine": True}
    assert tree.node("containers/web").ino == number == held.ino
    assert held.child(b"id").open(0, CALLER).read(0, 100) == f"{web.id}\n".encode()
    assert "rootfs" in tree.names("containers/web")
    assert tree.names("containers") == ["by-id", "web", "www"]
    with pytest.raises(FileExistsError):
        tree.symlink("../../images/alpine", "containers/web/image")


def test_scratch_binds_without_an_image(tree: Tree) -> None:
    tree.mkdir("containers/web")
    tree.symlink("scratch", "containers/web/image")
    assert tree.store.cached().containers.by_name["web"].image == ""


def test_what_cannot_be_bound_stays_pending(tree: Tree, image: Image) -> None:
    tree.mkdir("containers/web")
    with pytest.raises(ImageUnknownError):
        tree.symlink("../../images/nothing", "containers/web/image")
    with pytest.raises(PermissionError):
        tree.symlink("../../images/alpine", "containers/web/other")
    assert tree.names("containers") == ["by-id", "web"]


def test_rmdir_cancels_a_pending_container_and_never_a_real_one(tree: Tree, image: Image) -> None:
    tree.mkdir("containers/web")
    held = tree.directory("containers/web")
    tree.store.containers.create(names=["web"], image=image.id)  # podman was faster
    with pytest.raises(DuplicateNameError):
        tree.symlink("../../images/alpine", "containers/web/image")
    tree.rmdir("containers/web")
    assert "web" in tree.store.cached().containers.by_name
    with pytest.raises(OSError, match="Stale") as refusal:
        held.names()
    assert refusal.value.errno == errno.ESTALE


def test_mv_renames_a_pending_container(tree: Tree, image: Image) -> None:
    number = tree.mkdir("containers/web").ino
    tree.rename("containers/web", "containers/db")
    assert tree.read("containers/db/names") == b"db\n"
    assert tree.node("containers/db").ino == number
    tree.symlink("../../images/alpine", "containers/db/image")
    assert tree.store.cached().containers.by_name["db"].image == image.id


def test_id_maps_are_lines(tree: Tree) -> None:
    tree.mkdir("containers/web")
    tree.write("containers/web/idmap", b"uid 0 100000 65536\ngid 0 200000 1\n")
    assert tree.read("containers/web/idmap") == b"uid 0 100000 65536\ngid 0 200000 1\n"
    pending = tree.context.pending.container("web")
    assert pending is not None
    assert pending.uid_map == (IDMap(0, 100000, 65536),)
    for bad in (b"uid 0 1", b"pid 0 1 1", b"uid a 1 1", b"uid 0 1 0", b"uid 0 4294967295 2"):
        with pytest.raises(InvalidValueError):
            tree.write("containers/web/idmap", bad)
    tree.write("containers/web/idmap", b"")
    assert tree.read("containers/web/idmap") == b""


def test_names_that_are_no_path_component(tree: Tree, image: Image) -> None:
    tree.mkdir("images/alpine/containers/a%2Fb")
    assert tree.store.cached().containers.by_name["a/b"].image == image.id
    assert tree.names("containers") == ["by-id", "a%2Fb"]
    tree.rename("containers/a%2Fb", "containers/c")
    assert tree.names("containers") == ["by-id", "c"]
    with pytest.raises(FileExistsError):
        tree.mkdir("containers/by-id")
    with pytest.raises(OSError, match="too long"):
        tree.mkdir("containers/" + "x" * 256)


def test_a_pending_name_cannot_be_used_under_an_image(tree: Tree, image: Image) -> None:
    tree.mkdir("containers/web")
    with pytest.raises(DuplicateNameError):
        tree.mkdir("images/alpine/containers/web")
