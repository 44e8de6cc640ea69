"""The corpus, what archives say of entries: numbers, kinds, owners, attributes.

Used by: tests.support.hostilecases, tests/compat/test_digests.py.
"""

import struct
from collections.abc import Sequence

from tests.support.hostile import (
    BLOCK,
    CHAR,
    DIR,
    FIFO,
    LINK,
    LOWER,
    Case,
    Member,
    directory,
    link,
)

_ACCESS_LIST = struct.pack(
    "<I" + 5 * "HHI", 2, *(1, 7, 2**32 - 1), *(2, 6, 5), *(4, 5, 2**32 - 1), *(16, 7, 2**32 - 1),
    *(32, 0, 2**32 - 1),
)  # fmt: skip
"""rwx for the owner, rw for user 5, r-x for the group, nothing for others."""

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
    Case("mode with the bits of a type", [Member(b"f", mode=0o120777), directory(b"d", 0o100755)]),
    Case(
        "all bits of a mode",
        [Member(b"f", mode=0o7777), directory(b"d", 0o7777), Member(b"p", FIFO, mode=0o7777)],
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
    Case("pipe gives way", [Member(b"pipe", data=b"x")], lower=LOWER),
    Case(
        "everything gives way",
        [
            Member(b"d", data=b"now a file"),
            directory(b"f"),
            Member(b"f/x"),
            link(b"pipe", b"f"),
            Member(b"in", FIFO),
            Member(b"up", CHAR, device=(1, 5)),
        ],
        lower=LOWER,
    ),
    Case("directory stays", [directory(b"d", 0o500)], lower=LOWER),
    Case("directory for the link to one", [directory(b"in", 0o711), Member(b"in/x")], lower=LOWER),
    Case(
        "directory nobody may enter",
        [directory(b"d", 0), Member(b"d/f", mode=0), directory(b"d/e", 0), Member(b"d/e/f")],
    ),
    Case(
        "set-ID after the owner",
        [
            Member(b"f", mode=0o6755, uid=5, gid=6),
            directory(b"d", 0o3775),
            Member(b"d/f", gid=9),
            directory(b"d/sub"),
        ],
    ),
    Case("missing directories", [Member(b"a/b/c/f", uid=4), directory(b"a/b", 0o700)]),
    Case("many missing directories", [Member(b"a/" * 300 + b"f")]),
    Case(
        "times of directories",
        [directory(b"a"), directory(b"a/b"), Member(b"a/b/c"), Member(b"a/d")],
    ),
    Case(
        "directory replaced while its time waits",
        [directory(b"a/b"), Member(b"a")],
        "directory|No such",
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
            directory(b"d/sub", 0o2711),
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
