"""The command of a user who is not root: changes happen in the user namespace of the own store."""

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator

import pytest

from tests.support import rootless
from tests.support.rootless import FIRST_SUBORDINATE, UID, User

pytestmark = [pytest.mark.root, pytest.mark.rootless]


@pytest.fixture
def tester() -> Iterator[User]:
    with rootless.user() as made:
        yield made


def test_a_user_makes_and_lists_a_store_without_further_ado(tester: User) -> None:
    made = tester.storagefs("create-layer", "-i", "base", "-n", "bottom")
    listed = tester.storagefs("layers")

    assert made.stdout == listed.stdout.replace(b"\tname: ", b"\t") == b"base\n\tbottom\n"
    graph = tester.home / ".local/share/containers/storage"
    assert graph.stat().st_uid == UID


def test_files_of_an_archive_get_subordinate_owners(tester: User) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.uid = info.gid = 33
        tar.addfile(info)
    path = tester.home / "layer.tar"
    path.write_bytes(archive.getvalue())

    tester.storagefs("import-layer", "-i", "base", "-f", str(path))

    graph = tester.home / ".local/share/containers/storage"
    (file,) = graph.glob("*/base/diff/file")
    assert file.stat().st_uid == FIRST_SUBORDINATE + 32
    assert tester.storagefs("changes", "base").stdout == b'Add "/file"\n'
    assert tester.storagefs("mount", "base").stdout.startswith(os.fsencode(graph))


def test_unshare_runs_a_command_as_root_of_the_namespace(tester: User) -> None:
    assert tester.storagefs("unshare", "id", "-u").stdout == b"0\n"
    mapped = tester.storagefs("unshare", "cat", "/proc/self/uid_map").stdout.split()
    assert mapped[3:] == [b"1", b"%d" % FIRST_SUBORDINATE, b"65536"]


@pytest.mark.parametrize(
    ("command", "said"), [("exit 7", b"exit status 7\n"), ("kill -9 $$", b"exit status 137\n")]
)
def test_a_command_that_fails_there_is_exit_code_1_with_its_own_in_words(
    tester: User, command: str, said: bytes
) -> None:
    done = tester.storagefs("unshare", "sh", "-c", command, check=False)

    assert (done.returncode, done.stderr) == (1, said)


ENTERS = b"drivers.linux.inside"
"""The module that is imported only to enter a namespace."""


def test_a_command_in_there_knows_it_and_enters_no_second_one(tester: User) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "fusefs.cli", "create-layer", "-j"]
    variables = set(tester.storagefs("unshare", "env").stdout.decode().splitlines())
    made = tester.storagefs("unshare", *words)

    assert {"_CONTAINERS_USERNS_CONFIGURED=done", f"_CONTAINERS_ROOTLESS_UID={UID}"} <= variables
    assert json.loads(made.stdout)["id"]
    assert ENTERS not in made.stderr


def test_listing_needs_no_namespace_and_takes_one_if_asked(tester: User) -> None:
    tester.storagefs("create-layer", "-i", "base")
    words = [sys.executable, "-X", "importtime", "-m", "fusefs.cli", "layers"]
    without, within = tester.run(*words), tester.run(*words, "--unshare")

    assert without.stdout == within.stdout == b"base\n"
    assert ENTERS not in without.stderr
    assert ENTERS in within.stderr
