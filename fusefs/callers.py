"""How a waiting caller came to us: by a path, which it can walk again, or by a descriptor.

Used by: fusefs.{native,stalewalks}. Knows nothing of: FUSE, nodes.
The kernel answers ESTALE by walking the path once more, but only in system calls that have a path.
/proc/PID/syscall tells which call a waiting thread is in.
"""

import os
from collections.abc import Mapping
from typing import Final

_AT_EMPTY_PATH: Final = 0x1000

# Calls on descriptors that can ask a directory something, by machine. In io_uring_enter (426)
# nothing tells what is asked for.
_BY_DESCRIPTOR: Final[Mapping[str, frozenset[int]]] = {
    "x86_64": frozenset(
        # read fstat lseek ioctl fsync fchdir fchmod fchown fstatfs getdents getdents64
        # fsetxattr fgetxattr flistxattr fremovexattr close fdatasync
        (0, 3, 5, 8, 16, 74, 75, 78, 81, 91, 93, 138, 190, 193, 196, 199, 217, 426)
    ),
    "aarch64": frozenset(
        # the same calls in the table that all newer machines share
        (7, 10, 13, 16, 29, 44, 50, 52, 55, 57, 61, 62, 63, 80, 82, 83, 426)
    ),
}
# Calls in which a flag says that the descriptor itself is meant: number to the flag's argument.
_EMPTY_PATH: Final[Mapping[str, Mapping[int, int]]] = {
    # newfstatat fchownat utimensat execveat statx faccessat2 fchmodat2
    "x86_64": {262: 3, 260: 4, 280: 3, 322: 4, 332: 2, 439: 3, 452: 3},
    "aarch64": {79: 3, 54: 4, 88: 3, 281: 4, 291: 2, 439: 3, 452: 3},
}
_UTIMENSAT: Final[Mapping[str, int]] = {"x86_64": 280, "aarch64": 88}

_MACHINE: Final = {"riscv64": "aarch64", "loongarch64": "aarch64"}.get(
    os.uname().machine, os.uname().machine
)


def names_a_path(thread: int) -> bool | None:
    """Whether *thread*, which waits for our answer, is in a system call that walks a path.

    None while it is still on its way to sleep: ask again a little later. False for our own
    threads (they walk to attach something), for threads that we cannot see (another PID namespace)
    and on machines whose call numbers are not known here.
    """
    if not thread or os.path.exists(f"/proc/self/task/{thread}"):
        return False
    try:
        with open(f"/proc/{thread}/syscall", "rb") as file:
            words = file.read().split()
    except OSError:
        return False
    if words == [b"running"]:
        return None
    if len(words) < 7 or _MACHINE not in _BY_DESCRIPTOR:
        return False
    number, arguments = int(words[0]), [int(word, 16) for word in words[1:7]]
    is_futimens = number == _UTIMENSAT[_MACHINE] and not arguments[1]
    if is_futimens or number in _BY_DESCRIPTOR[_MACHINE]:
        return False
    flags = _EMPTY_PATH[_MACHINE].get(number)
    return flags is None or not arguments[flags] & _AT_EMPTY_PATH
