"""The corpus: archives that want to leave the root, and odd ones that are legal.

Used by: conformance tests of unpacking, and of whatever takes an archive.
"""

import struct
from collections.abc import Sequence

from tests.support.hostile import (
    BLOCK,
    CHAR,
    DIR,
    FIFO,
    HARD,
    LINK,
    OUTSIDE,
    Case,
    Member,
)

_UP = b"../../../../../../../../../.."
_LOWER = (
    Member(b"d", DIR, mode=0o755),
    Member(b"d/old", data=b"old"),
    Member(b"d/e", DIR, mode=0o700),
    Member(b"d/e/older", data=b"older"),
    Member(b"f", data=b"file"),
    Member(b"in", LINK, link=b"/d"),
    Member(b"out", LINK, link=OUTSIDE),
    Member(b"up", LINK, link=b"../outside"),
    Member(b"pipe", FIFO),
)
"""What most upper layers are put on: it has links that lead out."""
_ACCESS_LIST = struct.pack(
    "<I" + 5 * "HHI", 2, *(1, 7, 2**32 - 1), *(2, 6, 5), *(4, 5, 2**32 - 1), *(16, 7, 2**32 - 1),
    *(32, 0, 2**32 - 1),
)  # fmt: skip
"""rwx for the owner, rw for user 5, r-x for the group, nothing for others."""


def _dir(name: bytes, mode: int = 0o755) -> Member:
    return Member(name, DIR, mode=mode)


def _link(name: bytes, target: bytes) -> Member:
    return Member(name, LINK, link=target)


def _hard(name: bytes, target: bytes) -> Member:
    return Member(name, HARD, link=target)


NAMES: Sequence[Case] = (
    Case("dot-dot", [Member(b"../outside/made")]),
    Case("many dot-dots", [Member(_UP + b"/outside/made")]),
    Case("dot-dots after a name", [Member(b"a/../../outside/made")]),
    Case("dot-dots below a directory", [_dir(b"a"), Member(b"a/b/../../../../outside/made")]),
    Case("absolute", [Member(OUTSIDE + b"/made")]),
    Case("several slashes", [Member(b"///a//b///c")]),
    Case("dots between", [Member(b"./a/././b/./c")]),
    Case("dot-dot directory", [_dir(b"..", 0o777)]),
    Case("slash directory", [_dir(b"/", 0o711)]),
    Case("dot directory", [_dir(b"./", 0o711)]),
    Case("empty directory name", [_dir(b"", 0o711)]),
    Case("dots only", [_dir(b"a/..", 0o711)]),
    Case("NUL in the name", [Member(b"a\0b")], "invalid tar header|NUL"),
    Case("NUL in the target", [_link(b"a", b"b\0c")], "invalid tar header|NUL"),
    Case("component too long", [Member(b"x" * 256)], "name too long"),
    Case("component just fits", [Member(b"x" * 255)]),
    Case("path too long", [Member(b"/".join([b"y" * 250] * 17))], "name too long"),
    Case("below a file", [Member(b"f"), Member(b"f/x")], "Not a directory"),
    Case(
        "below a pipe of the layer below", [Member(b"pipe/x")], "Not a directory", "remove", _LOWER
    ),
    Case("bytes that are no text", [Member(b"\xff\xfe"), _link(b"l", b"\x80")]),
    Case("line breaks and quotes", [Member(b"a\nb\"'\\\x1b[31m")]),
)

ROOT: Sequence[Case] = tuple(
    Case(
        f"{what} named {name.decode() or 'nothing'}",
        [Member(name, kind, link=b"d", device=(1, 3))],
        "root of a layer",
        differs="the Go tools leave it out, or fail when they make it",
    )
    for what, kind in (("link", LINK), ("hard link", HARD), ("file", b"0"), ("device", CHAR))
    for name in (b"", b".", b"./", b"/", b"a/..", b"..")
    if not (kind == b"0" and name.endswith(b"/"))
)

LINKS: Sequence[Case] = (
    Case("link, then a file through it", [_link(b"l", OUTSIDE), Member(b"l/made")], "No such file"),
    Case(
        "link up, then a file through it",
        [_link(b"l", b"../outside"), Member(b"l/made")],
        "No such",
    ),
    Case(
        "link up is a link down",
        [_dir(b"outside"), _link(b"l", _UP + b"/outside"), Member(b"l/made")],
    ),
    Case(
        "chain of links",
        [_link(b"a", b"b"), _link(b"b", b"../../outside"), Member(b"a/made")],
        "No such file",
    ),
    Case(
        "loop of links", [_link(b"a", b"b"), _link(b"b", b"a"), Member(b"a/x")], "Too many levels"
    ),
    Case("link to itself", [_link(b"a", b"a"), Member(b"a/x")], "Too many levels"),
    Case(
        "link, then a directory with its name",
        [_link(b"l", OUTSIDE), _dir(b"l", 0o777)],
        "duplicates",
    ),
    Case("link of the layer below, then a directory", [_dir(b"out", 0o777)], lower=_LOWER),
    Case("link of the layer below, then a file", [Member(b"out", mode=0o4777)], lower=_LOWER),
    Case("through the link of the layer below", [Member(b"out/made")], "No such", "remove", _LOWER),
    Case(
        "missing directories through a link",
        [Member(b"out/a/b")],
        "exists|No such",
        "remove",
        _LOWER,
    ),
    Case("through a link inside", [Member(b"in/made"), _dir(b"in/e", 0o711)], lower=_LOWER),
    Case(
        "links to what processes have open",
        [_link(b"l", b"/proc/self/fd"), Member(b"l/3")],
        "No such",
    ),
    Case("link to the root", [_link(b"l", b"/"), Member(b"l/made"), _dir(b"l/sub/deep")]),
    Case("link to nothing", [_link(b"l", b"")], "No such file"),
    Case("link with a long target", [_link(b"l", b"x/" * 2047)]),
    Case("link with a target too long", [_link(b"l", b"x" * 4096)], "name too long"),
    Case(
        "path that gets longer than a path may be",
        [
            *(_dir(b"/".join([b"d" * 240] * depth)) for depth in range(1, 17)),
            *(_link(b"/".join([b"d" * 240] * depth + [b"s"]), b"d" * 240) for depth in range(16)),
            _link(b"/".join([b"s"] * 16 + [b"l" * 254]), b"../" * 17 + b"outside"),
            Member(b"/".join([b"s"] * 16 + [b"l" * 254, b"made"])),
        ],
        "No such|name too long",
    ),
    Case("owner and time of a link", [Member(b"l", LINK, link=OUTSIDE, uid=7, gid=8, mtime=5)]),
)

HARD_LINKS: Sequence[Case] = (
    Case("hard link to an absolute path", [_hard(b"h", OUTSIDE + b"/secret")], "No such"),
    Case("hard link upwards", [_hard(b"h", b"../outside/secret")], "No such"),
    Case("hard link through a link", [_link(b"l", OUTSIDE), _hard(b"h", b"l/secret")], "No such"),
    Case("hard link through a link below", [_hard(b"h", b"out/secret")], "No such", lower=_LOWER),
    Case(
        "hard link to a link",
        [_link(b"l", OUTSIDE + b"/secret"), Member(b"h", HARD, link=b"l", mode=0o777, uid=9)],
    ),
    Case(
        "file over a link with two names",
        [Member(b"h", mode=0o777)],
        lower=[_link(b"l", OUTSIDE + b"/secret"), _hard(b"h", b"l")],
    ),
    Case("hard link to itself", [_hard(b"h", b"h")], "No such"),
    Case("hard link to a directory", [_dir(b"d"), _hard(b"h", b"d")], "directory"),
    Case("hard link to the root", [_hard(b"h", b"/")], "directory"),
    Case("hard link to nothing", [_hard(b"h", b"")], "directory"),
    Case("hard link before its target", [_hard(b"h", b"t"), Member(b"t")], "No such"),
    Case("hard link to the layer below", [_hard(b"h", b"f")], "No such", "overlay", _LOWER),
    Case("absolute hard link", [_dir(b"a"), Member(b"a/t", data=b"x"), _hard(b"h", b"/a/t")]),
    Case("hard link with dots", [_dir(b"a"), Member(b"a/t"), _hard(b"h", b"a/b/.././../a/t")]),
    Case(
        "hard link that changes all",
        [Member(b"t", mtime=1), Member(b"h", HARD, link=b"t", mode=0o4711, uid=3, gid=4, mtime=77)],
    ),
    Case("hard link to a device", [Member(b"t", CHAR, device=(1, 3)), _hard(b"h", b"t")]),
    Case("hard link over what is there", [Member(b"t"), _hard(b"d", b"t")], lower=_LOWER),
    Case(
        "hard link with a size",
        [Member(b"t"), Member(b"h", HARD, link=b"t", size=700), Member(b"z")],
    ),
)

NUMBERS: Sequence[Case] = (
    *(
        Case(
            f"{which} {value}",
            [Member(b"f", uid=value) if which == "uid" else Member(b"f", gid=value)],
            "user|negative",
            differs="the Go tools take it, and the kernel cuts or leaves it",
        )
        for which in ("uid", "gid")
        for value in (-1, 2**31, 2**32 - 1, 2**32, 2**40)
    ),
    Case("uid -1 in a record", [Member(b"f", pax={b"uid": b"-1"})], "user", differs="as above"),
    Case("largest IDs", [Member(b"f", uid=2**31 - 1, gid=2**31 - 1)]),
    *(
        Case(
            f"device {major}:{minor}",
            [Member(b"n", CHAR, device=(major, minor))],
            "number",
            differs="the Go tools cut the number",
        )
        for major, minor in ((4096, 0), (0, 2**20), (2**40, 1), (-1, 0), (0, -1))
    ),
    Case("largest device", [Member(b"n", BLOCK, device=(4095, 2**20 - 1))]),
    Case("mode with the bits of a type", [Member(b"f", mode=0o120777), _dir(b"d", 0o100755)]),
    Case(
        "all bits of a mode",
        [Member(b"f", mode=0o7777), _dir(b"d", 0o7777), Member(b"p", FIFO, mode=0o7777)],
    ),
    Case(
        "before 1970",
        [
            Member(b"f", mtime=-5),
            Member(b"d", DIR, mtime=-5),
            Member(b"l", LINK, link=b"x", mtime=-5),
        ],
    ),
    Case(
        "far future",
        [
            Member(b"f", mtime=2**34),
            Member(b"g", pax={b"mtime": b"9300000000"}),
            Member(b"d", DIR, pax={b"mtime": b"9300000000.5"}),
        ],
    ),
    Case(
        "parts of a second",
        [
            Member(b"f", pax={b"mtime": b"1600000000.123456789"}),
            Member(b"d", DIR, pax={b"mtime": b"1600000000.5", b"atime": b"1700000000.25"}),
        ],
    ),
)

KINDS: Sequence[Case] = (
    *(
        Case(f"type {kind!r}", [Member(b"x", kind, data=b"payload")], words)
        for kind, words in (
            (b"s", "unhandled"),
            (b"V", "unhandled"),
            (b"D", "unhandled"),
            (b"8", "unhandled"),
            (b"\xff", "unhandled"),
        )
    ),
    Case("files that end in a slash", [Member(b"f/"), Member(b"v7/", b"\0")]),
    Case("contiguous file", [Member(b"f", b"7")], differs="the Go tools refuse it"),
    Case("sparse file", [Member(b"x", b"S", data=b"payload")], "sparse"),
    Case("directory with content", [Member(b"d", DIR, size=1024), Member(b"d/f")]),
    Case(
        "device and pipe",
        [
            Member(b"c", CHAR, device=(1, 3), mode=0o666, uid=1),
            Member(b"b", BLOCK, device=(7, 300)),
            Member(b"p", FIFO, mode=0o600, gid=2),
        ],
    ),
    Case("pipe gives way", [Member(b"pipe", data=b"x")], lower=_LOWER),
    Case(
        "everything gives way",
        [
            Member(b"d", data=b"now a file"),
            _dir(b"f"),
            Member(b"f/x"),
            _link(b"pipe", b"f"),
            Member(b"in", FIFO),
            Member(b"up", CHAR, device=(1, 5)),
        ],
        lower=_LOWER,
    ),
    Case("directory stays", [_dir(b"d", 0o500)], lower=_LOWER),
    Case("directory for the link to one", [_dir(b"in", 0o711), Member(b"in/x")], lower=_LOWER),
    Case(
        "directory nobody may enter",
        [_dir(b"d", 0), Member(b"d/f", mode=0), _dir(b"d/e", 0), Member(b"d/e/f")],
    ),
    Case(
        "set-ID after the owner",
        [
            Member(b"f", mode=0o6755, uid=5, gid=6),
            _dir(b"d", 0o3775),
            Member(b"d/f", gid=9),
            _dir(b"d/sub"),
        ],
    ),
    Case("missing directories", [Member(b"a/b/c/f", uid=4), _dir(b"a/b", 0o700)]),
    Case("many missing directories", [Member(b"a/" * 300 + b"f")]),
    Case("times of directories", [_dir(b"a"), _dir(b"a/b"), Member(b"a/b/c"), Member(b"a/d")]),
    Case(
        "directory replaced while its time waits", [_dir(b"a/b"), Member(b"a")], "directory|No such"
    ),
    Case("large file", [Member(b"f", data=bytes(range(256)) * 20000)]),
)

XATTRS: Sequence[Case] = (
    Case(
        "attributes",
        [
            Member(b"f", pax={b"SCHILY.xattr.user.a": b"1", b"SCHILY.xattr.user.b": b"\0x"}),
            Member(b"d", DIR, pax={b"SCHILY.xattr.user.c": b"="}),
        ],
    ),
    Case(
        "capability",
        [
            Member(
                b"f",
                mode=0o755,
                uid=3,
                pax={
                    b"SCHILY.xattr.security.capability": bytes.fromhex(
                        "0100000200040000000000000000000000000000"
                    )
                },
            )
        ],
    ),
    Case(
        "access lists",
        [
            Member(b"d", DIR, pax={b"SCHILY.xattr.system.posix_acl_default": _ACCESS_LIST}),
            Member(b"d/f", mode=0o640),
            _dir(b"d/sub", 0o2711),
            Member(b"g", pax={b"SCHILY.xattr.system.posix_acl_access": _ACCESS_LIST}),
        ],
    ),
    Case(
        "trusted attribute",
        [
            Member(b"f", pax={b"SCHILY.xattr.trusted.x": b"y"}),
            Member(b"l", LINK, link=b"f", pax={b"SCHILY.xattr.trusted.x": b"z"}),
        ],
    ),
    Case(
        "attribute on a link",
        [Member(b"l", LINK, link=b"f", pax={b"SCHILY.xattr.user.x": b"y"})],
        "not permitted",
    ),
    Case("attribute without a class", [Member(b"f", pax={b"SCHILY.xattr.x": b"y"})]),
    Case("label", [Member(b"f", pax={b"SCHILY.xattr.security.selinux": b"a_u:b_r:c_t:s0"})]),
    Case(
        "attribute too large",
        [Member(b"f", pax={b"SCHILY.xattr.user.x": b"y" * 70000})],
        "too long|No space|space left",
    ),
    Case("attribute without a name", [Member(b"f", pax={b"SCHILY.xattr.": b"y"})], "."),
    *(
        Case(
            f"{key} of overlay",
            [
                Member(b"d", DIR, pax={b"SCHILY.xattr." + key.encode(): b"y"}),
                Member(b"f", pax={b"SCHILY.xattr." + key.encode(): b"/d/old"}),
            ],
            differs="the Go tools store it",
        )
        for key in (
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "trusted.overlay.metacopy",
            "user.overlay.opaque",
            "user.overlay.redirect",
        )
    ),
)

WHITEOUTS: Sequence[Case] = (
    *(
        Case(
            f"whiteout {name.decode()}",
            [Member(name)],
            "names no file",
            differs="the Go tools fail later, or remove the directory itself",
        )
        for name in (b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh...")
    ),
    Case("whiteout", [Member(b".wh.f", uid=3, gid=4), Member(b"d/.wh.e")], lower=_LOWER),
    Case("whiteout of what is not there", [Member(b".wh.x"), Member(b"n/.wh.y")], lower=_LOWER),
    Case("whiteout that is a directory", [Member(b".wh.f", DIR)], lower=_LOWER),
    Case("whiteout that is a link out", [Member(b".wh.f", LINK, link=OUTSIDE)], lower=_LOWER),
    Case("whiteout below a whiteout", [Member(b".wh.d"), Member(b"d/.wh.old")], lower=_LOWER),
    Case(
        "file below a whiteout",
        [Member(b".wh.d"), Member(b"d/new")],
        "Not a directory",
        "overlay",
        _LOWER,
    ),
    Case("whiteout of what the layer has", [Member(b"f"), Member(b".wh.f")], "exists", "overlay"),
    Case("whiteout, then the file", [Member(b".wh.f"), Member(b"f", data=b"new")], lower=_LOWER),
    Case("whiteout through a link out", [Member(b"out/.wh.secret")], lower=_LOWER),
    Case("whiteout through a link up", [Member(b"up/.wh.secret")], lower=_LOWER),
    Case("whiteout through a link inside", [Member(b"in/.wh.old")], lower=_LOWER),
    Case(
        "whiteout through its own link out",
        [_link(b"l", OUTSIDE), Member(b"l/.wh.secret")],
        "No such",
        "overlay",
    ),
    Case("whiteout with dot-dots", [Member(b"../outside/.wh.secret")], lower=_LOWER),
    Case("whiteout of a slash", [Member(b".wh.a/b")]),
    Case("opaque first", [Member(b"d/.wh..wh..opq"), _dir(b"d"), Member(b"d/new")], lower=_LOWER),
    Case(
        "opaque last",
        [
            _dir(b"d"),
            Member(b"d/new"),
            _dir(b"d/e"),
            Member(b"d/e/newer"),
            Member(b"d/.wh..wh..opq"),
        ],
        lower=_LOWER,
    ),
    Case("opaque at the top", [Member(b"new"), Member(b".wh..wh..opq")], lower=_LOWER),
    Case("opaque where nothing was", [Member(b"n/.wh..wh..opq")], lower=_LOWER),
    Case("opaque through a link out", [_dir(b"x"), Member(b"out/.wh..wh..opq")], lower=_LOWER),
    Case("opaque through a link inside", [Member(b"in/.wh..wh..opq")], lower=_LOWER),
    Case(
        "opaque keeps missing directories",
        [Member(b"d/e/new"), Member(b"d/.wh..wh..opq")],
        lower=_LOWER,
        differs="the Go tools remove again what the layer brought",
    ),
    Case("own names of AUFS", [_dir(b".wh..wh.aufs"), Member(b".wh..wh.orph", DIR)], lower=_LOWER),
    Case("device that is a whiteout", [Member(b"f", CHAR, device=(0, 0))], lower=_LOWER),
)

CASES: Sequence[Case] = (*NAMES, *ROOT, *LINKS, *HARD_LINKS, *NUMBERS, *KINDS, *XATTRS, *WHITEOUTS)
