"""Archives with what AUFS kept for itself: files that only hard links name.

Used by: tests.support.hostilecases, test_unpack_aufs. The Go tools know of it where a layer is a
whole tree ("remove"); for overlay these are names like others.
"""

from collections.abc import Sequence

from tests.support.hostile import DIR, LOWER, OUTSIDE, Case, Member, directory, hard_link, link

_LINKS = b".wh..wh.plnk"

AUFS: Sequence[Case] = (
    Case(
        "own names of AUFS", [directory(b".wh..wh.aufs"), Member(b".wh..wh.orph", DIR)], lower=LOWER
    ),
    Case("files of AUFS", [Member(b".wh..wh.aufs"), Member(b".wh..wh.orph/a/b", data=b"x")]),
    Case(
        "links to a file of AUFS",
        [
            directory(_LINKS, 0o700),
            Member(_LINKS + b"/1.2", data=b"content" * 50_000, mode=0o4751, uid=7, gid=8, mtime=9),
            hard_link(b"a", _LINKS + b"/1.2"),
            hard_link(b"d/b", b"./" + _LINKS + b"//1.2"),
            Member(_LINKS + b"/3.4"),
            hard_link(b"empty", _LINKS + b"/3.4"),
            hard_link(b"again", b"a"),
        ],
    ),
    Case(
        "only the last name of a file of AUFS counts",
        [Member(_LINKS + b"/x/1", data=b"one"), hard_link(b"h", _LINKS + b"z/1")],
        "No such file",
        "overlay",
    ),
    Case(
        "the last file of AUFS with a name counts",
        [
            Member(_LINKS + b"/1", data=b"one"),
            Member(_LINKS + b"/x/1", data=b"two"),
            hard_link(b"h", _LINKS + b"/x/1"),
        ],
    ),
    Case("no such file of AUFS", [hard_link(b"h", _LINKS + b"/1")], "No such|aufs hardlink"),
    Case("the directory of AUFS itself", [hard_link(b"h", _LINKS)], "No such|aufs hardlink"),
    Case(
        "file of AUFS is a link",
        [link(_LINKS + b"/1", OUTSIDE + b"/secret"), hard_link(b"h", _LINKS + b"/1")],
        "aufs hardlink",
        "remove",
    ),
    Case(
        "file of AUFS is a hard link upwards",
        [hard_link(_LINKS + b"/1", b"../outside/secret"), hard_link(b"h", _LINKS + b"/1")],
        "No such|aufs hardlink",
    ),
    Case(
        "dot-dots from and to files of AUFS",
        [
            Member(_LINKS + b"/../../outside/made", data=b"x"),
            Member(_LINKS + b"/1"),
            hard_link(b"h", _LINKS + b"/../../outside/secret"),
        ],
        "No such file",
    ),
    Case(
        "absolute file of AUFS",
        [Member(b"/" + _LINKS + b"/1"), hard_link(b"h", _LINKS + b"/1")],
        "aufs",
        "remove",
    ),
    Case(
        "absolute link to a file of AUFS",
        [Member(_LINKS + b"/1"), hard_link(b"h", b"/" + _LINKS + b"/1")],
        "No such file",
        "remove",
    ),
    Case(
        "links to files of AUFS over what is there",
        [
            Member(_LINKS + b"/1", data=b"x"),
            *(hard_link(name, _LINKS + b"/1") for name in (b"out", b"d", b"pipe")),
        ],
        lower=LOWER,
    ),
    Case(
        "directory of AUFS that leads out",
        [Member(_LINKS + b"/1", data=b"x"), hard_link(b"h", _LINKS + b"/1")],
        lower=[link(_LINKS[4:], OUTSIDE)],
    ),
    Case(
        "names of AUFS below a directory",
        [Member(b"d/" + _LINKS + b"/1", data=b"x"), hard_link(b"h", b"d/" + _LINKS + b"/1")],
    ),
)


def has_content(case: Case) -> bool:
    """Whether AUFS kept content in it for itself, which is in no layer that is a whole tree."""
    return any(member.name.startswith(b".wh..wh.") and member.data for member in case.members)
