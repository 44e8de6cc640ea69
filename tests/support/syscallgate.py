"""Lets another process decide what becomes of each system call that a function makes.

Used by: tests.support.crashlives. The kernel asks, by way of a seccomp listener, before it makes a
call of the table below; so calls of ctypes, of threads and of helper programs count like Python's
own. Needs root.
"""

import ctypes
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

PATH0, PATH1, FILE0, OTHER = "path in 0", "path in 1", "descriptor in 0", "other"
_WHERE: Final = {
    PATH0: "open creat mkdir mknod rename link symlink unlink rmdir truncate chmod chown lchown"
    " setxattr lsetxattr removexattr lremovexattr umount2",
    PATH1: "openat openat2 mkdirat mknodat renameat renameat2 linkat unlinkat fchmodat fchmodat2"
    " fchownat utimensat mount open_tree",
    FILE0: "write pwrite writev pwritev pwritev2 sendfile ftruncate fallocate fsync fdatasync"
    " syncfs fchmod fchown fsetxattr fremovexattr ioctl",
    OTHER: "copy_file_range symlinkat sync move_mount fsopen fsconfig fsmount mount_setattr"
    " unshare",
}
"""Where to read what a call works on."""

_COMMON: Final = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "openat2": 437, "mount_setattr": 442, "fchmodat2": 452,
}  # fmt: skip
_NUMBERS: Final = {
    "x86_64": _COMMON | {
        "write": 1, "open": 2, "ioctl": 16, "pwrite": 18, "writev": 20, "sendfile": 40,
        "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83,
        "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90,
        "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "mknod": 133, "sync": 162,
        "mount": 165, "umount2": 166, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "openat": 257,
        "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264,
        "linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272, "utimensat": 280,
        "fallocate": 285, "pwritev": 296, "syncfs": 306, "renameat2": 316, "seccomp": 317,
        "copy_file_range": 326, "pwritev2": 328,
    },
    "aarch64": _COMMON | {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15,
        "fremovexattr": 16, "ioctl": 29, "mknodat": 33, "mkdirat": 34, "unlinkat": 35,
        "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39, "mount": 40,
        "truncate": 45, "ftruncate": 46, "fallocate": 47, "fchmod": 52, "fchmodat": 53,
        "fchownat": 54, "fchown": 55, "openat": 56, "write": 64, "writev": 66, "pwrite": 68,
        "pwritev": 70, "sendfile": 71, "sync": 81, "fsync": 82, "fdatasync": 83,
        "utimensat": 88, "unshare": 97, "syncfs": 267, "renameat2": 276, "seccomp": 277,
        "copy_file_range": 285, "pwritev2": 287,
    },
}  # fmt: skip
"""Calls by machine; those that only older machines have are missing from newer ones."""

MACHINES: Final = frozenset(_NUMBERS)
_HERE: Final = _NUMBERS.get(platform.machine(), {})
CALLS: Final = {
    _HERE[name]: (name, where)
    for where, names in _WHERE.items()
    for name in names.split()
    if name in _HERE
}
"""Number: name and where to read what it works on."""

OPENERS: Final = frozenset(("openat", "openat2", "open", "creat", "open_tree", "fsopen", "fsmount"))
"""Calls that make a descriptor."""

GROWERS: Final = frozenset(
    (
        *("write", "pwrite", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"),
        *("openat", "openat2", "open", "creat", "mkdirat", "mkdir", "mknod", "mknodat"),
        *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
        *("fallocate", "fsync", "fdatasync", "syncfs", "setxattr", "lsetxattr", "fsetxattr"),
        *("mount", "fsopen"),
    )
)
"""Calls that need room; flushes are among them, because some file systems give it late."""

WRITERS: Final = frozenset(("write", "pwrite", "sendfile", "copy_file_range"))
"""Calls that may write less than they were asked to."""

_MAKES: Final = os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
_IOCTLS: Final = {
    *(0x40049409, 0x4020940D, 0xC0189436),  # FICLONE, FICLONERANGE, FIDEDUPERANGE
    *(0x5000940E, 0x5000940F, 0x50009417, 0x4008941A),  # of a subvolume: make, delete, copy, flags
    *(0xC0109428, 0x4010942A, 0x8030942B),  # quotas, of btrfs too
}
"""The ioctl calls that change something."""


class Call(NamedTuple):
    """A system call that waits. ``path`` is for people. A reading one changes nothing."""

    name: str
    path: str
    reading: bool


class Ended(NamedTuple):
    """How the function ended: its exit code or the signal's negative number, and what it said."""

    code: int
    said: str


KILL, SHORT = -1, -2
Decide = Callable[[Call], int]
"""0: go on. KILL: the process dies instead. SHORT: one of WRITERS writes half of what it should.
A number: the call fails with this errno.
"""

_libc = ctypes.CDLL(None, use_errno=True)
_NOTIFICATION: Final = struct.Struct("<QIIiIQ6Q")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_SET_FILTER, _LISTENER, _PIDFD_GETFD = 1, 8, 438


def run(prepare: Callable[[], T], function: Callable[[T], None], decide: Decide) -> Ended:
    """Run *prepare*, then *function* on its result, in a child process.

    *decide* is asked about the calls of *function*. What it prints to standard error is returned;
    an exception is a traceback there and exit code 1.
    """
    ours, theirs = socket.socketpair()
    said, says = os.pipe()
    child = os.fork()  # noqa: TID251 - here is no thread and no lock that a child could keep
    if child == 0:
        _live(prepare, function, ours, theirs, says)
    theirs.close()
    os.close(says)
    with ours, open(said, "rb") as words:
        _, listeners, _, _ = socket.recv_fds(ours, 1, 1)
        try:
            for listener in listeners:  # none if the preparation failed
                _serve(listener, child, decide)
        finally:
            for listener in listeners:
                os.close(listener)
            status = os.waitpid(child, 0)[1]
        return Ended(os.waitstatus_to_exitcode(status), words.read().decode("utf-8", "replace"))


def _live(
    prepare: Callable[[], T],
    function: Callable[[T], None],
    ours: socket.socket,
    theirs: socket.socket,
    says: int,
) -> None:
    code = 1
    try:
        ours.close()
        os.dup2(says, 2)
        prepared = prepare()
        listener = _filter()
        socket.send_fds(theirs, [b"x"], [listener])
        os.close(listener)
        theirs.close()
        function(prepared)
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _filter() -> int:
    """Let the kernel ask about the calls of the table; return the descriptor that it asks on."""
    steps = [struct.pack("<HBBI", 0x20, 0, 0, 0)]  # load the number
    steps += [
        struct.pack("<HBBI", 0x15, len(CALLS) - place, 0, number)
        for place, number in enumerate(CALLS)
    ]
    steps += [struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000), struct.pack("<HBBI", 6, 0, 0, 0x7FC00000)]
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code))
    )
    listener = int(_libc.syscall(_HERE["seccomp"], _SET_FILTER, _LISTENER, program))
    if listener < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "seccomp")
    return listener


def _serve(listener: int, child: int, decide: Decide) -> None:
    """Answer until the last process under the filter is gone."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while True:
        ((_, events),) = waiting.poll()
        if not events & select.POLLIN:
            return
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, buffer)
        except (FileNotFoundError, InterruptedError):  # who asked died meanwhile
            continue
        asked, pid, _, number, _, _, *words = _NOTIFICATION.unpack(buffer)
        call = _call(pid, number, words)
        verdict = 0 if call is None else decide(call)
        if verdict == KILL:
            os.kill(child, signal.SIGKILL)
            return
        if verdict == SHORT:
            written = _half_written(pid, CALLS[number][0], words)
            answer = struct.pack("<QqiI", asked, written, 0, 0 if written else 1)
        else:
            answer = struct.pack("<QqiI", asked, 0, -verdict, 0 if verdict else 1)
        try:
            fcntl.ioctl(listener, _SEND, answer)
        except FileNotFoundError:
            continue


def _half_written(pid: int, name: str, words: list[int]) -> int:
    """Make the call with half of its bytes; how many it wrote, 0 if it is to go on as a whole."""
    half = words[4 if name == "copy_file_range" else 3 if name == "sendfile" else 2] // 2
    with ExitStack() as opened:
        first = _descriptor_of(pid, words[0], opened)
        match name:
            case "write" if half:
                return os.write(first, _memory(pid, words[1], half))
            case "pwrite" if half:
                return os.pwrite(first, _memory(pid, words[1], half), words[3])
            case "sendfile" if words[2] == 0:
                return os.sendfile(first, _descriptor_of(pid, words[1], opened), None, half)
            case "copy_file_range" if words[1] == words[3] == 0:
                return os.copy_file_range(first, _descriptor_of(pid, words[2], opened), half)
    return 0


def _descriptor_of(pid: int, number: int, opened: ExitStack) -> int:
    """One of another process, with its place in the file."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        process = int(re.findall(r"^Tgid:\t(\d+)$", status.read(), re.MULTILINE)[0])
    whose = os.pidfd_open(process)
    try:
        found = int(_libc.syscall(_PIDFD_GETFD, whose, ctypes.c_int(number), 0))
    finally:
        os.close(whose)
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    opened.callback(os.close, found)
    return found


def _call(pid: int, number: int, words: list[int]) -> Call | None:
    """What is asked about; None if it touches no file."""
    name, where = CALLS[number]
    if where == FILE0:
        try:
            path = os.readlink(f"/proc/{pid}/fd/{words[0] & 0xFFFFFFFF}")
        except OSError:
            return None
        if not path.startswith("/") or path.startswith(("/dev/", "/proc/")):
            return None
        if name == "ioctl" and words[1] not in _IOCTLS:
            return None
        return Call(name, path, reading=False)
    path = ""
    if where in (PATH0, PATH1):
        path = _text(pid, words[0 if where == PATH0 else 1])
    reading = not _makes(name, words, pid)
    return None if path.startswith("/proc/") else Call(name, path, reading)


def _makes(name: str, words: list[int], pid: int) -> bool:
    if name == "openat":
        return bool(words[2] & _MAKES)
    if name == "open":
        return bool(words[1] & _MAKES)
    if name == "openat2":
        return bool(struct.unpack("<Q", _memory(pid, words[2], 8))[0] & _MAKES)
    return name not in ("open_tree", "fsopen", "fsconfig")


def _text(pid: int, address: int) -> str:
    if address == 0:  # utimensat of a descriptor
        return ""
    page = 4096 - address % 4096
    return _memory(pid, address, page).partition(b"\0")[0].decode("utf-8", "replace")


def _memory(pid: int, address: int, length: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)
