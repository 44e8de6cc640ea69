"""A small tree from memory, and a process that serves it: the session without a store.

Used by: tests of fusefs.serving and what stands below it. ``python -m tests.support.memorytree
MNT [SETTING...]`` serves; a line ``ready`` on standard output says that it does.

    /hello          "hello\n"
    /link           -> hello
    /many/          1,000 files
    /box/           a directory that can be changed; on a thread, as if it were on a disk
    /events         grows by a line whenever something is made in box; poll(2) works
    /fail/NAME      a file whose open raises what NAME says
    /fleeting/it/   another one at each look, and deleted before anyone gets further
    /private/       mode 0700
    /statistics     what the tables of the serving process hold

Settings: ``ro``, ``allow_other``, ``faulty=PERCENT`` (that share of calls of nodes raises something
at random), ``die=SECONDS`` (a task of the tree fails then), ``child`` (starts a child process).
"""

import errno
import gc
import os
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import trio

from backend.errors import DamagedError, ImageInUseError
from fusefs import logs
from fusefs.connection import Kind
from fusefs.nodes.base import (
    Attributes,
    Caller,
    Directory,
    File,
    Ino,
    Link,
    Node,
    OpenFile,
    RenameMode,
    node_ino,
)
from fusefs.nodes.journal import Journal
from fusefs.operations import Operations
from fusefs.serving import Bridges, Place, Tree, serve

FAILURES: dict[bytes, Callable[[], BaseException]] = {
    b"EBUSY": lambda: OSError(errno.EBUSY, "busy"),
    b"owner": lambda: PermissionError(errno.EPERM, os.strerror(errno.EPERM), "/x/diff"),
    b"in-use": lambda: ImageInUseError("image a", ["container b"]),
    b"damaged": lambda: DamagedError("layer a", "/x/diff", "is missing"),
    b"bug": lambda: KeyError("a bug"),
    b"exit": lambda: SystemExit(3),
    b"enosys": lambda: OSError(errno.ENOSYS, "never"),
    b"no-errno": lambda: OSError("without a number"),
}
RANDOM_FAILURES: Sequence[Callable[[], BaseException]] = (
    lambda: KeyError("x"),
    lambda: ValueError("y"),
    lambda: RuntimeError("z"),
    AssertionError,
    ZeroDivisionError,
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    lambda: SystemExit(1),
    KeyboardInterrupt,
    GeneratorExit,
    lambda: ExceptionGroup("several", [ValueError("a"), KeyError("b")]),
)


class Faults:
    """Raises at random in *percent* of the calls."""

    def __init__(self, percent: float = 0.0, seed: int = 1) -> None:
        self._share = percent / 100
        self._random = random.Random(seed)
        self.raised = 0

    def strike(self) -> None:
        if self._share and self._random.random() < self._share:
            self.raised += 1
            failure = self._random.choice(RANDOM_FAILURES)()
            raise failure


class Text(File):
    def __init__(self, role: str, text: Callable[[], bytes], faults: Faults) -> None:
        super().__init__(node_ino("test", role))
        self._text, self._faults = text, faults

    def attributes(self) -> Attributes:
        self._faults.strike()
        mode = stat.S_IFREG | 0o444
        return Attributes(ino=self.ino, mode=mode, size=len(self._text()))

    def open(self, flags: int, caller: Caller) -> OpenFile:
        del flags, caller
        self._faults.strike()
        return OpenText(self._text(), self._faults)


class Changing(Text):
    """Its size is not known in advance, as in /proc."""

    attr_timeout = 0.0

    def open(self, flags: int, caller: Caller) -> OpenFile:
        opened = super().open(flags, caller)
        opened.direct_io = True
        return opened


class OpenText(OpenFile):
    def __init__(self, content: bytes, faults: Faults) -> None:
        self._content, self._faults = content, faults

    def read(self, offset: int, size: int) -> bytes:
        self._faults.strike()
        return self._content[offset : offset + size]


class Failing(Text):
    def __init__(self, name: bytes) -> None:
        super().__init__("fail" + name.decode(), lambda: b"", Faults())
        self._name = name

    def open(self, flags: int, caller: Caller) -> OpenFile:
        failure = FAILURES[self._name]()
        raise failure


class Pointer(Link):
    def attributes(self) -> Attributes:
        return Attributes(ino=self.ino, mode=stat.S_IFLNK | 0o777, size=5)

    def target(self) -> bytes:
        return b"hello"


class Fixed(Directory):
    def __init__(self, ino: Ino, children: dict[bytes, Node], faults: Faults) -> None:
        super().__init__(ino)
        self._children, self._faults = children, faults

    def attributes(self) -> Attributes:
        self._faults.strike()
        return Attributes(ino=self.ino, mode=stat.S_IFDIR | 0o755, nlink=2)

    def child(self, name: bytes) -> Node:
        self._faults.strike()
        if name not in self._children:
            raise FileNotFoundError(errno.ENOENT, "no such name", os.fsdecode(name))
        return self._children[name]

    def names(self) -> Sequence[bytes]:
        self._faults.strike()
        return list(self._children)


class Private(Fixed):
    """For its owner only."""

    def attributes(self) -> Attributes:
        return Attributes(ino=self.ino, mode=stat.S_IFDIR | 0o700, nlink=2)


class Fleeting(Fixed):
    """What it holds is replaced all the time."""

    def child(self, name: bytes) -> Node:
        if name != b"it":
            return super().child(name)
        self._made = getattr(self, "_made", 0) + 1
        return Deleted(node_ino("test", "fleeting", str(self._made)), {}, self._faults)


class Deleted(Fixed):
    """Whoever looks into it comes too late."""

    def child(self, name: bytes) -> Node:
        raise OSError(errno.ESTALE, "it was deleted", os.fsdecode(name))


class Box(Fixed):
    """Answers on a thread; what it holds can be changed."""

    in_memory = False

    def __init__(self, role: str, events: "Events", faults: Faults) -> None:
        super().__init__(node_ino("test", role), {}, faults)
        self._role, self._events = role, events

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        del mode, caller
        self._faults.strike()
        if name in self._children:
            raise FileExistsError(errno.EEXIST, "exists", os.fsdecode(name))
        made = Box(self._role + "/" + os.fsdecode(name), self._events, self._faults)
        self._children[name] = made
        self._events.add(b"made " + name + b"\n")
        return made

    def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[File, OpenFile]:
        del mode
        self._faults.strike()
        made = Written(self._role + "/" + os.fsdecode(name))
        self._children[name] = made
        return made, made.open(flags, caller)

    def unlink(self, name: bytes, caller: Caller) -> None:
        del caller
        self._faults.strike()
        del self._children[name]

    remove_directory = unlink

    def rename(
        self, name: bytes, to: Directory, to_name: bytes, mode: RenameMode, caller: Caller
    ) -> None:
        del mode, caller
        assert isinstance(to, Box)
        to._children[to_name] = self._children.pop(name)


class Written(File):
    in_memory = False

    def __init__(self, role: str) -> None:
        super().__init__(node_ino("test", role))
        self.content = bytearray()

    def attributes(self) -> Attributes:
        mode = stat.S_IFREG | 0o644
        return Attributes(ino=self.ino, mode=mode, size=len(self.content))

    def open(self, flags: int, caller: Caller) -> OpenFile:
        del caller
        if flags & os.O_TRUNC:
            self.content.clear()
        return OpenWritten(self)


class OpenWritten(OpenFile):
    in_memory = False

    def __init__(self, node: Written) -> None:
        self._node = node

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._node.content[offset : offset + size])

    def write(self, offset: int, data: bytes) -> int:
        self._node.content[offset : offset + len(data)] = data
        return len(data)

    def flush(self) -> None:
        if b"refuse" in self._node.content:
            raise OSError(errno.EINVAL, "that value is refused")


class Events(Text):
    def __init__(self) -> None:
        self.lines = b""
        self.told: Callable[[], None] = lambda: None
        super().__init__("events", lambda: self.lines, Faults())

    def add(self, line: bytes) -> None:
        self.lines += line
        self.told()

    def open(self, flags: int, caller: Caller) -> OpenFile:
        return OpenEvents(self)


class OpenEvents(OpenFile):
    direct_io = True

    def __init__(self, events: Events) -> None:
        self._events, self._seen = events, len(events.lines)

    def ready(self) -> bool:
        return len(self._events.lines) > self._seen

    def read(self, offset: int, size: int) -> bytes:
        news = self._events.lines[self._seen : self._seen + size]
        self._seen += len(news)
        return news


def tree(faults: Faults, statistics: Callable[[], bytes] = bytes) -> tuple[Directory, Events]:
    events = Events()
    many = {b"file%04d" % n: Text(f"many{n}", lambda: b"x\n", faults) for n in range(1000)}
    root = Fixed(
        Ino(1),
        {
            b"hello": Text("hello", lambda: b"hello\n", faults),
            b"link": Pointer(node_ino("test", "link")),
            b"many": Fixed(node_ino("test", "many"), dict(many), faults),
            b"box": Box("box", events, faults),
            b"events": events,
            b"fail": Fixed(
                node_ino("test", "fail"), {name: Failing(name) for name in FAILURES}, Faults()
            ),
            b"fleeting": Fleeting(node_ino("test", "fleeting"), {}, Faults()),
            b"private": Private(node_ino("test", "private"), {b"inside": events}, Faults()),
            b"statistics": Changing("statistics", statistics, Faults()),
        },
        faults,
    )
    root.attr_timeout = 0 if faults._share else root.attr_timeout
    return root, events


def _statistics() -> bytes:
    """What the tables of the serving process hold."""
    operations = next(one for one in gc.get_objects() if isinstance(one, Operations))
    held = operations.inodes.statistics()
    return (
        f"known={held.known} lookups={held.lookups} files={len(operations.files)} "
        f"directories={len(operations.directories)}\n"
    ).encode()


def main() -> None:
    """Serve."""
    where, settings = sys.argv[1], sys.argv[2:]
    values = dict(setting.partition("=")[::2] for setting in settings)
    logs.configure("", foreground=True, debug=False)
    journal = Journal()

    def build(bridges: Bridges) -> Tree:
        root, events = tree(Faults(float(values.get("faulty", "0"))), _statistics)
        events.told = bridges.polls_due

        async def die() -> None:
            await trio.sleep(float(values["die"]))
            raise RuntimeError("told to die")

        return Tree(root=root, refusals=journal, tasks=[die] if "die" in values else [])

    def ready() -> None:
        if "child" in values:
            subprocess.Popen(["sleep", "20"])
        if "hang" in values:
            threading.Thread(target=lambda: trio.run(trio.sleep_forever)).start()
        print("ready", flush=True)

    kind = Kind(
        source="/graph, root", read_only="ro" in values, allow_other="allow_other" in values
    )
    place = Place(where=where, graph_root="/", kind=kind, ready=ready)
    serve(place, build)


if __name__ == "__main__":
    main()
