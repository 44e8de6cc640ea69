"""The request boundary, with the handlers called as pyfuse3 calls them, without a mount."""

import errno
import json
import logging

import pyfuse3
import pytest
import trio

from fusefs.nodes.base import ROOT_INO
from fusefs.nodes.journal import Journal
from fusefs.offload import Offload
from fusefs.operations import Operations
from fusefs.request import Boundary
from tests.support.memorytree import Faults, tree

CONTEXT = pyfuse3.RequestContext.__new__(pyfuse3.RequestContext)


def serving(story, *, faults: Faults | None = None, read_only: bool = False):
    """Run *story* with the handlers of the test tree and their journal."""

    async def main():
        offload, journal = Offload(), Journal()
        root, _ = tree(faults or Faults())
        boundary = Boundary(journal, read_only=read_only)
        operations = Operations(root, offload, boundary, graph_root="/")
        try:
            return await story(operations, journal)
        finally:
            offload.close()

    return trio.run(main)


async def refusal(awaitable) -> int:
    with pytest.raises(pyfuse3.FUSEError) as refused:
        await awaitable
    return refused.value.errno


def lines(journal: Journal) -> list[dict]:
    return [json.loads(line) for line in journal.refusals().splitlines()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"EBUSY", errno.EBUSY),
        (b"in-use", errno.EBUSY),
        (b"damaged", errno.EUCLEAN),
        (b"bug", errno.EIO),
        (b"exit", errno.EIO),
        (b"enosys", errno.EOPNOTSUPP),
        (b"no-errno", errno.EIO),
    ],
)
def test_whatever_a_node_raises_becomes_an_errno(name: bytes, expected: int) -> None:
    async def story(operations: Operations, journal: Journal):
        directory = await operations.lookup(ROOT_INO, b"fail", CONTEXT)
        entry = await operations.lookup(directory.st_ino, name, CONTEXT)
        return await refusal(operations.open(entry.st_ino, 0, CONTEXT))

    assert serving(story) == expected


def test_a_refusal_leaves_one_line_with_who_what_where_and_the_remedy() -> None:
    async def story(operations: Operations, journal: Journal):
        directory = await operations.lookup(ROOT_INO, b"fail", CONTEXT)
        entry = await operations.lookup(directory.st_ino, b"in-use", CONTEXT)
        await refusal(operations.open(entry.st_ino, 0, CONTEXT))
        return lines(journal)

    (line,) = serving(story)
    assert line["operation"] == "open"
    assert line["path"] == "/fail/in-use"
    assert line["errno"] == "EBUSY"
    assert line["reason"] == "image a is in use by container b"
    assert (line["uid"], line["pid"]) == (CONTEXT.uid, CONTEXT.pid)


def test_names_that_are_not_there_leave_no_line() -> None:
    async def story(operations: Operations, journal: Journal):
        for name in (b"no", b"such", b"name"):
            assert await refusal(operations.lookup(ROOT_INO, name, CONTEXT)) == errno.ENOENT
        assert await refusal(operations.getxattr(ROOT_INO, b"user.x", CONTEXT)) == errno.ENODATA
        return lines(journal)

    assert serving(story) == []


def test_a_refusal_at_close_is_told_with_the_one_who_opened() -> None:
    async def story(operations: Operations, journal: Journal):
        box = await operations.lookup(ROOT_INO, b"box", CONTEXT)
        info, _ = await operations.create(box.st_ino, b"value", 0o644, 1, CONTEXT)
        await operations.write(info.fh, 0, b"refuse me")
        assert await refusal(operations.flush(info.fh)) == errno.EINVAL
        return lines(journal)

    (line,) = serving(story)
    assert (line["operation"], line["path"]) == ("flush", "/box/value")
    assert line["uid"] == CONTEXT.uid


def test_a_refusal_of_the_system_names_the_file() -> None:
    async def story(operations: Operations, journal: Journal):
        directory = await operations.lookup(ROOT_INO, b"fail", CONTEXT)
        entry = await operations.lookup(directory.st_ino, b"owner", CONTEXT)
        assert await refusal(operations.open(entry.st_ino, 0, CONTEXT)) == errno.EPERM
        return lines(journal)

    (line,) = serving(story)
    assert line["reason"] == "/x/diff: Operation not permitted"


def test_a_bug_is_one_line_of_the_log_with_the_place_where_it_happened(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(operations: Operations, journal: Journal):
        directory = await operations.lookup(ROOT_INO, b"fail", CONTEXT)
        entry = await operations.lookup(directory.st_ino, b"bug", CONTEXT)
        await refusal(operations.open(entry.st_ino, 0, CONTEXT))
        return lines(journal)

    logging.getLogger("storagefs").propagate = True
    with caplog.at_level(logging.ERROR, logger="storagefs"):
        assert serving(story) == []
    (record,) = caplog.records
    text = record.getMessage()
    assert "\n" not in text
    assert "open /fail/bug: KeyError" in text
    assert "memorytree.py:" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda ops, box, info: ops.mkdir(box, b"a", 0o755, CONTEXT),
        lambda ops, box, info: ops.unlink(box, b"a", CONTEXT),
        lambda ops, box, info: ops.rmdir(box, b"a", CONTEXT),
        lambda ops, box, info: ops.symlink(box, b"a", b"b", CONTEXT),
        lambda ops, box, info: ops.mknod(box, b"a", 0o100644, 0, CONTEXT),
        lambda ops, box, info: ops.link(box, box, b"a", CONTEXT),
        lambda ops, box, info: ops.rename(box, b"a", box, b"b", 0, CONTEXT),
        lambda ops, box, info: ops.create(box, b"a", 0o644, 1, CONTEXT),
        lambda ops, box, info: ops.open(info, 1, CONTEXT),
        lambda ops, box, info: ops.setxattr(box, b"user.a", b"b", CONTEXT),
        lambda ops, box, info: ops.removexattr(box, b"user.a", CONTEXT),
        lambda ops, box, info: ops.setattr(
            box, pyfuse3.EntryAttributes(), pyfuse3.SetattrFields(), None, CONTEXT
        ),
    ],
)
def test_a_read_only_mount_refuses_every_change(change) -> None:
    async def story(operations: Operations, journal: Journal):
        box = await operations.lookup(ROOT_INO, b"box", CONTEXT)
        hello = await operations.lookup(ROOT_INO, b"hello", CONTEXT)
        result = await refusal(change(operations, box.st_ino, hello.st_ino))
        return result, lines(journal)[0]["errno"]

    assert serving(story, read_only=True) == (errno.EROFS, "EROFS")


def test_numbers_that_the_kernel_should_not_know_are_stale_or_bad() -> None:
    async def story(operations: Operations, journal: Journal):
        assert await refusal(operations.getattr(99, CONTEXT)) == errno.ESTALE
        assert await refusal(operations.read(99, 0, 10)) == errno.EBADF
        assert await refusal(operations.releasedir(99)) == errno.EBADF
        hello = await operations.lookup(ROOT_INO, b"hello", CONTEXT)
        assert await refusal(operations.opendir(hello.st_ino, CONTEXT)) == errno.ENOTDIR
        assert await refusal(operations.readlink(hello.st_ino, CONTEXT)) == errno.EINVAL
        assert await refusal(operations.open(ROOT_INO, 0, CONTEXT)) == errno.EINVAL

    serving(story)


def test_a_journal_that_fails_does_not_let_the_failure_out() -> None:
    class Broken:
        def refused(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError("full")

    async def story(operations: Operations, journal: Journal):
        operations.boundary = Boundary(Broken(), read_only=True)
        return await refusal(operations.mkdir(ROOT_INO, b"a", 0o755, CONTEXT))

    assert serving(story) == errno.EIO


async def _storm(operations: Operations, calls: int) -> set[int]:
    """Many requests of every kind that works without a kernel; the errnos that were seen."""
    seen: set[int] = set()

    async def attempt(awaitable):
        try:
            return await awaitable
        except pyfuse3.FUSEError as refused:
            seen.add(refused.errno)

    done = 0
    while done < calls:
        name = b"hello" if done % 2 else b"box"
        entry = await attempt(operations.lookup(ROOT_INO, name, CONTEXT))
        done += 2
        if entry is None:
            continue
        await attempt(operations.getattr(entry.st_ino, CONTEXT))
        if name == b"hello":
            info = await attempt(operations.open(entry.st_ino, 0, CONTEXT))
            if info is not None:
                await attempt(operations.read(info.fh, 0, 100))
                await attempt(operations.flush(info.fh))
                await attempt(operations.release(info.fh))
            done += 4
        else:
            handle = await attempt(operations.opendir(entry.st_ino, CONTEXT))
            if handle is not None:
                await attempt(operations.releasedir(handle))
            await attempt(operations.mkdir(entry.st_ino, b"made", 0o755, CONTEXT))
            await attempt(operations.rmdir(entry.st_ino, b"made", CONTEXT))
            done += 4
        await operations.forget([(entry.st_ino, 1)])
    return seen


@pytest.mark.parametrize(
    "calls", [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_random_failures_of_one_percent_of_the_calls_are_eio_and_nothing_else(calls: int) -> None:
    faults = Faults(percent=1.0)
    logging.getLogger("storagefs").disabled = True

    async def story(operations: Operations, journal: Journal):
        seen = await _storm(operations, calls)
        operations.boundary.requests["total"] = sum(operations.boundary.requests.values())
        return seen, operations

    try:
        seen, operations = serving(story, faults=faults)
    finally:
        logging.getLogger("storagefs").disabled = False
    assert faults.raised > calls / 500
    assert operations.boundary.requests["total"] > calls / 2
    assert seen <= {errno.EIO, errno.EEXIST}
    assert errno.EIO in seen
    assert len(operations.files) == len(operations.directories) == 0


def test_after_a_rename_paths_are_the_new_ones() -> None:
    async def story(operations: Operations, journal: Journal):
        box = await operations.lookup(ROOT_INO, b"box", CONTEXT)
        made = await operations.mkdir(box.st_ino, b"a", 0o755, CONTEXT)
        await operations.rename(box.st_ino, b"a", box.st_ino, b"b", 0, CONTEXT)
        return operations.inodes.path(made.st_ino)

    assert serving(story) == "/box/b"
