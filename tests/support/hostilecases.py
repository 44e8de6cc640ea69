"""The corpus: archives that want to leave the root, and odd ones that are legal.

Used by: conformance tests of unpacking, and of whatever takes an archive.
"""

from collections.abc import Sequence

from tests.support.hostile import (
    CHAR,
    DIR,
    HARD,
    LINK,
    LOWER,
    OUTSIDE,
    Case,
    Member,
    directory,
    hard_link,
    link,
)
from tests.support.hostileaufs import AUFS
from tests.support.hostilemetadata import KINDS, NUMBERS, XATTRS

_UP = b"../../../../../../../../../.."

NAMES: Sequence[Case] = (
    Case("dot-dot", [Member(b"../outside/made")]),
    Case("many dot-dots", [Member(_UP + b"/outside/made")]),
    Case("dot-dots after a name", [Member(b"a/../../outside/made")]),
    Case("dot-dots below a directory", [directory(b"a"), Member(b"a/b/../../../../outside/made")]),
    Case("absolute", [Member(OUTSIDE + b"/made")]),
    Case("several slashes", [Member(b"///a//b///c")]),
    Case("dots between", [Member(b"./a/././b/./c")]),
    Case("dot-dot directory", [directory(b"..", 0o777)]),
    Case("slash directory", [directory(b"/", 0o711)]),
    Case("dot directory", [directory(b"./", 0o711)]),
    Case("empty directory name", [directory(b"", 0o711)]),
    Case("dots only", [directory(b"a/..", 0o711)]),
    Case("NUL in the name", [Member(b"a\0b")], "invalid tar header|NUL"),
    Case("NUL in the target", [link(b"a", b"b\0c")], "invalid tar header|NUL"),
    Case("component too long", [Member(b"x" * 256)], "name too long"),
    Case("component just fits", [Member(b"x" * 255)]),
    Case("path too long", [Member(b"/".join([b"y" * 250] * 17))], "name too long"),
    Case("below a file", [Member(b"f"), Member(b"f/x")], "Not a directory"),
    Case(
        "below a pipe of the layer below", [Member(b"pipe/x")], "Not a directory", "remove", LOWER
    ),
    Case("bytes that are no text", [Member(b"\xff\xfe"), link(b"l", b"\x80")]),
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
    Case("link, then a file through it", [link(b"l", OUTSIDE), Member(b"l/made")], "No such file"),
    Case(
        "link up, then a file through it",
        [link(b"l", b"../outside"), Member(b"l/made")],
        "No such",
    ),
    Case(
        "link up is a link down",
        [directory(b"outside"), link(b"l", _UP + b"/outside"), Member(b"l/made")],
    ),
    Case(
        "chain of links",
        [link(b"a", b"b"), link(b"b", b"../../outside"), Member(b"a/made")],
        "No such file",
    ),
    Case("loop of links", [link(b"a", b"b"), link(b"b", b"a"), Member(b"a/x")], "Too many levels"),
    Case("link to itself", [link(b"a", b"a"), Member(b"a/x")], "Too many levels"),
    Case(
        "link, then a directory with its name",
        [link(b"l", OUTSIDE), directory(b"l", 0o777)],
        "duplicates",
    ),
    Case("link of the layer below, then a directory", [directory(b"out", 0o777)], lower=LOWER),
    Case("link of the layer below, then a file", [Member(b"out", mode=0o4777)], lower=LOWER),
    Case("through the link of the layer below", [Member(b"out/made")], "No such", "remove", LOWER),
    Case(
        "missing directories through a link",
        [Member(b"out/a/b")],
        "exists|No such",
        "remove",
        LOWER,
    ),
    Case("through a link inside", [Member(b"in/made"), directory(b"in/e", 0o711)], lower=LOWER),
    Case(
        "links to what processes have open",
        [link(b"l", b"/proc/self/fd"), Member(b"l/3")],
        "No such",
    ),
    Case("link to the root", [link(b"l", b"/"), Member(b"l/made"), directory(b"l/sub/deep")]),
    Case("link to nothing", [link(b"l", b"")], "No such file"),
    Case("link with a long target", [link(b"l", b"x/" * 2047)]),
    Case("link with a target too long", [link(b"l", b"x" * 4096)], "name too long"),
    Case(
        "path that gets longer than a path may be",
        [
            *(directory(b"/".join([b"d" * 240] * depth)) for depth in range(1, 17)),
            *(link(b"/".join([b"d" * 240] * depth + [b"s"]), b"d" * 240) for depth in range(16)),
            link(b"/".join([b"s"] * 16 + [b"l" * 254]), b"../" * 17 + b"outside"),
            Member(b"/".join([b"s"] * 16 + [b"l" * 254, b"made"])),
        ],
        "No such|name too long",
    ),
    Case("owner and time of a link", [Member(b"l", LINK, link=OUTSIDE, uid=7, gid=8, mtime=5)]),
)

HARD_LINKS: Sequence[Case] = (
    Case("hard link to an absolute path", [hard_link(b"h", OUTSIDE + b"/secret")], "No such"),
    Case("hard link upwards", [hard_link(b"h", b"../outside/secret")], "No such"),
    Case(
        "hard link through a link", [link(b"l", OUTSIDE), hard_link(b"h", b"l/secret")], "No such"
    ),
    Case(
        "hard link through a link below", [hard_link(b"h", b"out/secret")], "No such", lower=LOWER
    ),
    Case(
        "hard link to a link",
        [link(b"l", OUTSIDE + b"/secret"), Member(b"h", HARD, link=b"l", mode=0o777, uid=9)],
    ),
    Case(
        "file over a link with two names",
        [Member(b"h", mode=0o777)],
        lower=[link(b"l", OUTSIDE + b"/secret"), hard_link(b"h", b"l")],
    ),
    Case("hard link to itself", [hard_link(b"h", b"h")], "No such"),
    Case("hard link to a directory", [directory(b"d"), hard_link(b"h", b"d")], "directory"),
    Case("hard link to the root", [hard_link(b"h", b"/")], "directory"),
    Case("hard link to nothing", [hard_link(b"h", b"")], "directory"),
    Case("hard link before its target", [hard_link(b"h", b"t"), Member(b"t")], "No such"),
    Case("hard link to the layer below", [hard_link(b"h", b"f")], "No such", "overlay", LOWER),
    Case(
        "absolute hard link", [directory(b"a"), Member(b"a/t", data=b"x"), hard_link(b"h", b"/a/t")]
    ),
    Case(
        "hard link with dots",
        [directory(b"a"), Member(b"a/t"), hard_link(b"h", b"a/b/.././../a/t")],
    ),
    Case(
        "hard link that changes all",
        [Member(b"t", mtime=1), Member(b"h", HARD, link=b"t", mode=0o4711, uid=3, gid=4, mtime=77)],
    ),
    Case("hard link to a device", [Member(b"t", CHAR, device=(1, 3)), hard_link(b"h", b"t")]),
    Case("hard link over what is there", [Member(b"t"), hard_link(b"d", b"t")], lower=LOWER),
    Case(
        "hard link with a size",
        [Member(b"t"), Member(b"h", HARD, link=b"t", size=700), Member(b"z")],
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
    Case("whiteout", [Member(b".wh.f", uid=3, gid=4), Member(b"d/.wh.e")], lower=LOWER),
    Case("whiteout of what is not there", [Member(b".wh.x"), Member(b"n/.wh.y")], lower=LOWER),
    Case("whiteout that is a directory", [Member(b".wh.f", DIR)], lower=LOWER),
    Case("whiteout that is a link out", [Member(b".wh.f", LINK, link=OUTSIDE)], lower=LOWER),
    Case("whiteout below a whiteout", [Member(b".wh.d"), Member(b"d/.wh.old")], lower=LOWER),
    Case(
        "file below a whiteout",
        [Member(b".wh.d"), Member(b"d/new")],
        "Not a directory",
        "overlay",
        LOWER,
    ),
    Case("whiteout of what the layer has", [Member(b"f"), Member(b".wh.f")], "exists", "overlay"),
    Case("whiteout, then the file", [Member(b".wh.f"), Member(b"f", data=b"new")], lower=LOWER),
    Case("whiteout through a link out", [Member(b"out/.wh.secret")], lower=LOWER),
    Case("whiteout through a link up", [Member(b"up/.wh.secret")], lower=LOWER),
    Case("whiteout through a link inside", [Member(b"in/.wh.old")], lower=LOWER),
    Case(
        "whiteout through its own link out",
        [link(b"l", OUTSIDE), Member(b"l/.wh.secret")],
        "No such",
        "overlay",
    ),
    Case("whiteout with dot-dots", [Member(b"../outside/.wh.secret")], lower=LOWER),
    Case("whiteout of a slash", [Member(b".wh.a/b")]),
    Case(
        "opaque first", [Member(b"d/.wh..wh..opq"), directory(b"d"), Member(b"d/new")], lower=LOWER
    ),
    Case(
        "opaque last",
        [
            directory(b"d"),
            Member(b"d/new"),
            directory(b"d/e"),
            Member(b"d/e/newer"),
            Member(b"d/.wh..wh..opq"),
        ],
        lower=LOWER,
    ),
    Case("opaque at the top", [Member(b"new"), Member(b".wh..wh..opq")], lower=LOWER),
    Case("opaque where nothing was", [Member(b"n/.wh..wh..opq")], lower=LOWER),
    Case("opaque through a link out", [directory(b"x"), Member(b"out/.wh..wh..opq")], lower=LOWER),
    Case("opaque through a link inside", [Member(b"in/.wh..wh..opq")], lower=LOWER),
    Case(
        "opaque keeps missing directories",
        [Member(b"d/e/new"), Member(b"d/.wh..wh..opq")],
        lower=LOWER,
        differs="the Go tools remove again what the layer brought",
    ),
    Case("device that is a whiteout", [Member(b"f", CHAR, device=(0, 0))], lower=LOWER),
)

CASES: Sequence[Case] = (
    *NAMES,
    *ROOT,
    *LINKS,
    *HARD_LINKS,
    *NUMBERS,
    *KINDS,
    *XATTRS,
    *WHITEOUTS,
    *AUFS,
)
