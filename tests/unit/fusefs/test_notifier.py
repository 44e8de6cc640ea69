import errno
import threading
import time

from fusefs.nodes.base import Ino
from fusefs.notifier import KernelNotifier


class Kernel:
    """Takes notices as the kernel does; can be made to hold one up, as a busy directory does."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.free = threading.Event()
        self.free.set()
        self.arrived = threading.Event()
        self.unknown: set[bytes] = set()
        self.full: set[int] = set()

    def entry(self, parent: int, name: bytes, deleted: int) -> None:
        self.arrived.set()
        assert self.free.wait(5)
        if name in self.unknown:
            raise FileNotFoundError(errno.ENOENT, "not known")
        if deleted in self.full and deleted:
            raise OSError(errno.ENOTEMPTY, "not empty")
        self.told.append((parent, name, deleted))

    def inode(self, ino: int) -> None:
        self.told.append((ino,))

    def wait(self, count: int) -> list[tuple[object, ...]]:
        deadline = time.monotonic() + 5
        while len(self.told) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.told


def test_the_kernel_is_told_in_order() -> None:
    kernel = Kernel()
    notifier = KernelNotifier(kernel.entry, kernel.inode)
    notifier.entry_changed(Ino(1), b"a")
    notifier.inode_changed(Ino(9))
    notifier.entry_deleted(Ino(1), b"b", Ino(5))

    assert kernel.wait(3) == [(1, b"a", 0), (9,), (1, b"b", 5)]
    assert notifier.close()


def test_a_storm_about_one_entry_is_one_notice() -> None:
    kernel = Kernel()
    kernel.free.clear()
    notifier = KernelNotifier(kernel.entry, kernel.inode)
    notifier.entry_changed(Ino(1), b"first")
    assert kernel.arrived.wait(5)
    for _ in range(1000):
        notifier.entry_changed(Ino(1), b"storm")
    notifier.entry_changed(Ino(2), b"last")
    kernel.free.set()

    assert kernel.wait(3) == [(1, b"first", 0), (1, b"storm", 0), (2, b"last", 0)]
    assert notifier.close()


def test_a_refused_notice_does_not_end_the_others() -> None:
    kernel = Kernel()
    kernel.unknown, kernel.full = {b"unknown"}, {5}
    notifier = KernelNotifier(kernel.entry, kernel.inode)
    notifier.entry_changed(Ino(1), b"unknown")
    notifier.entry_deleted(Ino(1), b"holds things", Ino(5))
    notifier.inode_changed(Ino(3))

    assert kernel.wait(2) == [(1, b"holds things", 0), (3,)]
    assert notifier.close()


def test_closing_drops_what_is_pending_and_says_if_the_kernel_still_holds_one() -> None:
    kernel = Kernel()
    kernel.free.clear()
    notifier = KernelNotifier(kernel.entry, kernel.inode)
    notifier.entry_changed(Ino(1), b"held")
    assert kernel.arrived.wait(5)
    notifier.entry_changed(Ino(1), b"dropped")

    assert not notifier.close()
    kernel.free.set()
    assert notifier.close()
    notifier.entry_changed(Ino(1), b"too late")
    assert kernel.told == [(1, b"held", 0)]


def test_no_notice_is_given_while_a_request_may_hold_locks() -> None:
    kernel = Kernel()
    changing = threading.Event()
    changing.set()
    notifier = KernelNotifier(kernel.entry, kernel.inode, changing.is_set)
    notifier.entry_changed(Ino(1), b"a")
    assert not kernel.arrived.wait(0.1)
    changing.clear()

    assert kernel.wait(1) == [(1, b"a", 0)]
    assert notifier.close()


def test_a_request_that_waits_itself_does_not_keep_the_kernel_in_the_dark() -> None:
    kernel = Kernel()
    notifier = KernelNotifier(kernel.entry, kernel.inode, lambda: True, patience=0.1)
    for number in range(20):
        notifier.inode_changed(Ino(number))
    started = time.monotonic()

    assert len(kernel.wait(20)) == 20
    assert time.monotonic() - started >= 0.1
    assert notifier.close()
