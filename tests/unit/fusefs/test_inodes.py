import errno

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fusefs.inodes import InodeStatistics, InodeTable
from fusefs.nodes.base import ROOT_INO, Directory, Ino, Node


class Counted(Directory):
    def __init__(self, ino: int) -> None:
        super().__init__(Ino(ino))
        self.times_released = 0

    def released(self) -> None:
        self.times_released += 1


class Other(Counted):
    pass


def table() -> InodeTable:
    return InodeTable(Counted(ROOT_INO))


def test_a_number_is_known_from_its_first_lookup_to_its_last_forget() -> None:
    inodes, node = table(), Counted(7)
    inodes.hold(node, ROOT_INO, b"a")
    inodes.hold(node, ROOT_INO, b"a")

    inodes.forget(7, 1)
    assert inodes.node(7) is node
    assert node.times_released == 0

    inodes.forget(7, 1)
    assert node.times_released == 1
    with pytest.raises(OSError, match="not known") as refused:
        inodes.node(7)
    assert refused.value.errno == errno.ESTALE


def test_the_root_is_always_known() -> None:
    inodes = table()
    root = inodes.node(ROOT_INO)

    inodes.forget(ROOT_INO, 10**6)

    assert inodes.node(ROOT_INO) is root
    assert inodes.statistics() == InodeStatistics(known=0, lookups=0)


def test_a_second_node_of_a_number_is_let_go_and_the_first_stays() -> None:
    inodes, first, second = table(), Counted(7), Counted(7)
    inodes.hold(first, ROOT_INO, b"a")
    inodes.hold(second, ROOT_INO, b"b")

    assert inodes.node(7) is first
    assert (first.times_released, second.times_released) == (0, 1)
    assert inodes.statistics().lookups == 2


def test_a_number_that_now_means_another_kind_of_node_gets_that_node() -> None:
    inodes, first, second = table(), Counted(7), Other(7)
    inodes.hold(first, ROOT_INO, b"a")
    inodes.hold(second, ROOT_INO, b"a")

    assert inodes.node(7) is second
    assert (first.times_released, second.times_released) == (1, 0)


def test_a_file_is_no_directory() -> None:
    inodes = table()
    inodes.hold(Node(Ino(7)), ROOT_INO, b"a")

    with pytest.raises(NotADirectoryError):
        inodes.directory(7)


def test_paths_are_those_of_the_last_lookup() -> None:
    inodes = table()
    inodes.hold(Counted(2), ROOT_INO, b"images")
    inodes.hold(Counted(3), 2, b"by-id")
    inodes.hold(Counted(3), 2, b"by-\xff")

    assert inodes.path(ROOT_INO) == "/"
    assert inodes.path(3, b"x") == "/images/by-\udcff/x"
    inodes.forget(2, 1)
    assert inodes.path(3) == "/…/by-\udcff"


def test_a_loop_of_parents_ends() -> None:
    inodes = table()
    inodes.hold(Counted(2), 3, b"a")
    inodes.hold(Counted(3), 2, b"b")

    assert inodes.path(2).startswith("/")


class Histories(RuleBasedStateMachine):
    """Any history of lookups and forgets leaves the table equal to a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.inodes = table()
        self.counts: dict[int, int] = {}

    @rule(ino=st.integers(2, 6), name=st.binary(min_size=1, max_size=3))
    def look_up(self, ino: int, name: bytes) -> None:
        self.inodes.hold(Counted(ino), ROOT_INO, name)
        self.counts[ino] = self.counts.get(ino, 0) + 1

    @rule(ino=st.integers(2, 6), share=st.floats(0, 1))
    def forget(self, ino: int, share: float) -> None:
        times = round(self.counts.get(ino, 0) * share)
        self.inodes.forget(ino, times)
        if times:
            self.counts[ino] -= times
            if not self.counts[ino]:
                del self.counts[ino]

    @rule()
    def forget_all(self) -> None:
        self.inodes.forget_all()
        self.counts.clear()

    @invariant()
    def same_counts(self) -> None:
        expected = InodeStatistics(known=len(self.counts), lookups=sum(self.counts.values()))
        assert self.inodes.statistics() == expected
        for ino in self.counts:
            assert self.inodes.node(ino).ino == ino


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
