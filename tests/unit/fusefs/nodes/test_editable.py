"""A value that is replaced when it is closed."""

import errno
import os
from collections.abc import Callable

import pytest

from fusefs.nodes.base import AttributeChange, Ino, OpenFile
from fusefs.nodes.editable import EditableFile, Value
from fusefs.nodes.text import Look

from .conftest import CALLER

WRITE = os.O_WRONLY


class Kept:
    """A value, what was done to it, and an error to fail with."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.written: list[bytes] = []
        self.failure: Exception | None = None
        self.given_up: list[Exception] = []

    def write(self, value: bytes) -> None:
        if self.failure:
            raise self.failure
        self.value = value
        self.written.append(value)

    def file(self) -> EditableFile:
        value = Value(
            read=lambda: self.value,
            write=self.write,
            size=lambda: len(self.value),
            given_up=self.given_up.append,
            limit=100,
        )
        return EditableFile(Ino(7), Look, value)


@pytest.fixture
def kept() -> Kept:
    return Kept(b"old value\n")


def test_a_written_value_takes_effect_at_close(kept: Kept) -> None:
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.write(0, b"new")
    file.write(3, b" value\n")
    assert kept.value == b"old value\n"
    file.flush()
    assert kept.value == b"new value\n"
    file.flush()
    file.release()
    assert kept.written == [b"new value\n"]


def test_closing_the_first_of_two_descriptors_does_not_empty_the_value(kept: Kept) -> None:
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.flush()
    assert kept.written == []
    file.write(0, b"x\n")
    file.flush()
    file.release()
    assert kept.written == [b"x\n"]


def test_a_value_that_is_only_truncated_becomes_empty(kept: Kept) -> None:
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.flush()
    file.release()
    assert kept.written == [b""]


def test_a_part_of_the_value_can_be_overwritten(kept: Kept) -> None:
    file = kept.file().open(WRITE, CALLER)
    file.write(0, b"OLD")
    file.flush()
    file.release()
    assert kept.written == [b"OLD value\n"]


def test_appending_goes_to_the_end(kept: Kept) -> None:
    node = kept.file()
    file = node.open(WRITE | os.O_APPEND, CALLER)
    file.write(node.attributes().size, b"more\n")
    file.flush()
    assert kept.value == b"old value\nmore\n"


def test_a_gap_is_filled_with_zeros(kept: Kept) -> None:
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.write(2, b"x")
    file.flush()
    assert kept.value == b"\0\0x"


def test_opening_for_writing_without_writing_changes_nothing(kept: Kept) -> None:
    file = kept.file().open(os.O_RDWR, CALLER)
    assert file.read(0, 3) == b"old"
    file.flush()
    file.release()
    assert kept.written == []


def test_the_error_is_that_of_close_and_nothing_is_changed(kept: Kept) -> None:
    kept.failure = OSError(errno.ENOSPC, "full")
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.write(0, b"x")
    with pytest.raises(OSError, match="full"):
        file.flush()
    file.release()
    assert kept.value == b"old value\n"
    assert kept.given_up == []


def test_an_error_that_no_call_can_return_is_handed_on(kept: Kept) -> None:
    kept.failure = OSError(errno.ENOSPC, "full")
    file = kept.file().open(WRITE | os.O_TRUNC, CALLER)
    file.flush()
    file.release()
    assert kept.given_up == [kept.failure]


GROW: dict[str, Callable[[EditableFile, OpenFile], object]] = {
    "write": lambda _node, file: file.write(99, b"ab"),
    "ftruncate": lambda _node, file: file.truncate(101),
}


@pytest.mark.parametrize("call", GROW)
def test_a_value_over_the_limit_is_efbig(kept: Kept, call: str) -> None:
    node = kept.file()
    file = node.open(WRITE, CALLER)
    file.write(0, b"the beginning is not the value")
    for refused in (lambda: GROW[call](node, file), file.flush):
        with pytest.raises(OSError, match="at most 100") as refusal:
            refused()
        assert refusal.value.errno == errno.EFBIG
    file.release()
    assert kept.written == []


def test_truncate_by_path_over_the_limit_is_efbig(kept: Kept) -> None:
    with pytest.raises(OSError, match="at most 100"):
        kept.file().set_attributes(AttributeChange(size=101), CALLER)
    assert kept.written == []


def test_truncate_by_path_takes_effect_at_once(kept: Kept) -> None:
    attributes = kept.file().set_attributes(AttributeChange(size=3), CALLER)
    assert (kept.value, attributes.size) == (b"old", 3)


def test_times_are_taken_and_modes_refused(kept: Kept) -> None:
    node = kept.file()
    assert node.set_attributes(AttributeChange(mtime_ns=1), CALLER).size == 10
    with pytest.raises(PermissionError):
        node.set_attributes(AttributeChange(mode=0o600), CALLER)


def test_ftruncate_is_a_change(kept: Kept) -> None:
    file = kept.file().open(WRITE, CALLER)
    file.truncate(0)
    file.flush()
    assert kept.written == [b""]
