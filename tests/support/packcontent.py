"""Trees with everything that decides how an entry of an archive is written.

Used by: tests of packing, alone and beside the Go tools. Every function fills an empty directory.
"""

import os
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path

_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
_NANO = 10**9


def names(root: Path) -> None:
    """Bytes of all kinds; names whose records have 9, 10, 99 and 100 digits' worth of bytes."""
    odd = (b"a\nb", b"a b", b"..x", b"-r", b'q"uote', b"back\\slash", b"\xff", b"na\xefve", b"\x01")
    for name in (*odd, "ünïcödé".encode(), "日本".encode(), "é".encode() * 45, "ü".encode() * 60):
        _touch(root, name)
        os.mkdir(os.fsencode(root) + b"/dir-" + name)
        _touch(root, b"dir-" + name + b"/in")
    for length in range(36, 52):
        _touch(root, "é".encode() * length)


def long_names(root: Path) -> None:
    """Around the ends of the fields for a name (100) and for what is before it (155)."""
    for length in (98, 99, 100, 101, 255):
        _touch(root, b"f" * length)
        os.mkdir(os.fsencode(root) + b"/" + b"d" * length)
    for before in (1, 54, 98, 99, 100, 101, 153, 154, 155, 156, 157):
        directory = _directories(root, before)
        for length in (1, 98, 99, 100, 101):
            _touch(root, directory + b"/" + b"n" * length)
        os.mkdir(os.fsencode(root) + b"/" + directory + b"/" + b"e" * 99)
    deep = _directories(root, 900)
    _touch(root, deep + b"/deep")
    _touch(root, b"x" * 96 + "é".encode() + b"y" * 50)


def links(root: Path) -> None:
    """Symbolic links to all kinds of targets; hard links to all kinds of files."""
    targets = (b"x", b"/", b"/etc/", b"../..", b"a/b/", b"\xff", "é".encode(), b"a\nb", b"z" * 4000)
    for number, target in enumerate(targets):
        os.symlink(target, os.fsencode(root) + b"/sym%d" % number)
    for length in (99, 100, 101):
        os.symlink("t" * length, root / f"to{length}")
        (root / ("h" * length)).write_text("first of its names")
        os.link(root / ("h" * length), root / f"zz{length}")
    os.symlink("l" * 99 + "//", root / "cut")
    (root / "b").mkdir()
    (root / "b" / "file").write_text("content")
    os.link(root / "b" / "file", root / "a-before-b")
    os.link(root / "b" / "file", root / "b.after-b")
    os.link(root / "b" / "file", root / "b" / "ümlaut")
    os.link(root / "sym0", root / "sym-again", follow_symlinks=False)
    os.mkfifo(root / "pipe")
    os.link(root / "pipe", root / "pipe-again")
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.link(root / "null", root / "null-again")
    (root / "empty").touch()
    os.link(root / "empty", root / "empty-again")


def attributes(root: Path) -> None:
    """Capabilities, user attributes with every byte, and the bytes at which a length grows."""
    for kind in ("file", "directory"):
        path = root / kind
        path.mkdir() if kind == "directory" else path.write_text("x")
        os.setxattr(path, "user.zz", b"last")
        os.setxattr(path, "user.all", bytes(range(256)))
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.ünïcode", "välue".encode())
        os.setxattr(path, "user.overlay.strange", b"y")
        os.setxattr(path, "trusted.stays", b"at home")
        os.setxattr(path, "security.unknown", b"stays too")
    for length in range(60, 90):
        path = root / f"n{length}"
        path.touch()
        os.setxattr(path, "user.n", b"v" * length)
    (root / "ping").write_bytes(b"\x7fELF")
    os.setxattr(root / "ping", "security.capability", _CAPABILITY)
    os.link(root / "ping", root / "ping6")
    (root / ("p" * 101)).touch()
    os.setxattr(root / ("p" * 101), "user.a", b"with a long name")
    directory = os.fsdecode(_directories(root, 120))
    (root / directory / "file").touch()
    os.setxattr(root / directory / "file", "user.a", b"with a name that could be divided")


def owners(root: Path) -> None:
    """With and without names on this host, and beyond the field for them."""
    for uid in (0, 1, 33, 1000, 65534, 0o7777777, 0o10000000, 2**32 - 2):
        for gid in (0, 5, 12345, 0o10000000):
            path = root / f"{uid}-{gid}"
            path.write_text("x")
            os.chown(path, uid, gid)
    (root / "directory").mkdir()
    os.chown(root / "directory", 2**31, 7)


def modes(root: Path) -> None:
    """All the bits, also of directories."""
    for mode in (0, 0o1, 0o644, 0o777, 0o1777, 0o2755, 0o4755, 0o7777):
        (root / f"f{mode:o}").write_text("x")
        (root / f"f{mode:o}").chmod(mode)
        (root / f"d{mode:o}").mkdir()
        (root / f"d{mode:o}").chmod(mode)


def times(root: Path) -> None:
    """Before 1970, after 2038 and 2242, and between two seconds."""
    half = _NANO // 2
    for number, time in enumerate((0, 1, half, -1, -half, -_NANO, -_NANO - 1, 2**31 * _NANO)):
        _touch(root, b"t%d" % number)
        os.utime(root / f"t{number}", ns=(1, time))
    for number, seconds in enumerate((-(2**31), 2**33 - 1, 2**33, 2**33 + 12345)):
        (root / f"far{number}").mkdir()
        os.utime(root / f"far{number}", ns=(1, seconds * _NANO + 999_999_999))
    os.symlink("x", root / "link")
    os.utime(root / "link", ns=(1, 2**33 * _NANO), follow_symlinks=False)


def devices(root: Path) -> None:
    """Small and large numbers; a socket, which no archive can hold."""
    for number, (major, minor) in enumerate(((1, 3), (8, 255), (8, 256), (0xFFF, 0xFFFFF), (0, 1))):
        os.mknod(root / f"c{number}", stat.S_IFCHR | 0o600, os.makedev(major, minor))
        os.mknod(root / f"b{number}", stat.S_IFBLK | 0o660, os.makedev(major, minor))
    os.mknod(root / "b-none", stat.S_IFBLK | 0o600, 0)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        fd = os.open(root, os.O_PATH)
        listening.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)


def sizes(root: Path) -> None:
    """Around a block, and around the pieces in which content is read; with holes."""
    for size in (0, 1, 511, 512, 513, (1 << 18) - 1, 1 << 18, (1 << 20) + 1, 3 << 20):
        (root / f"s{size}").write_bytes(os.urandom(256) * (size // 256) + b"\xaa" * (size % 256))
    with open(root / "holes", "wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(3 << 20)
    (root / "many").mkdir()
    for number in range(300):
        (root / "many" / f"{number}").write_bytes(b"%d\n" % number * (number % 7))


def order(root: Path) -> None:
    """Names that sort differently as names and as paths."""
    for name in ("a", "a.b", "a-b", "a0", "B", "b"):
        (root / name).mkdir()
        for inner in ("z", "x.y", "x"):
            (root / name / inner).touch()


CONTENT: dict[str, Callable[[Path], None]] = {
    function.__name__.replace("_", " "): function
    for function in (
        names,
        long_names,
        links,
        attributes,
        owners,
        modes,
        times,
        devices,
        sizes,
        order,
    )
}


def _touch(root: Path, path: bytes) -> None:
    os.close(os.open(os.fsencode(root) + b"/" + path, os.O_CREAT | os.O_WRONLY, 0o644))


def _directories(root: Path, length: int) -> bytes:
    """Make directories whose path has *length* bytes; return it."""
    parts = []
    while length > 0:
        parts.append(b"p" * min(length, 49 if length != 50 else 48))
        length -= len(parts[-1]) + 1
    path = b"/".join(parts)
    os.makedirs(os.fsencode(root) + b"/" + path, exist_ok=True)
    return path
