"""Archives as people compare them: entries in words, and without the times that nobody sets.

Used by: tests of packing, alone and beside the Go tools.
"""

import io
import os
import tarfile


def listed(archive: bytes) -> list[tuple[object, ...]]:
    """Every header, name first."""
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as members:
        return [
            (
                *(m.name, m.type, oct(m.mode), m.uid, m.gid, m.uname, m.gname, m.size, m.mtime),
                *(m.linkname, m.devmajor, m.devminor, m.pax_headers),
            )
            for m in members
        ]


def names(archive: bytes) -> list[str]:
    """The names, in their order."""
    return [str(member[0]) for member in listed(archive)]


def content(archive: bytes, name: str) -> bytes:
    """The payload of one file."""
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as members:
        file = members.extractfile(name)
        assert file is not None
        return file.read()


def undated(archive: bytes) -> bytes:
    """The archive with removals dated 1970."""
    cleared = bytearray(archive)
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as members:
        for member in members:
            if os.path.basename(member.name).startswith(".wh."):
                start = member.offset_data - 512
                cleared[start + 136 : start + 147] = b"0" * 11
                cleared[start + 148 : start + 156] = b" " * 8
                total = sum(cleared[start : start + 512])
                cleared[start + 148 : start + 155] = b"%06o\0" % total
    return bytes(cleared)


def assert_same(our: bytes, their: bytes) -> None:
    """Equal bytes; where they are not, the listings tell more than a position does."""
    if our != their:
        assert listed(our) == listed(their)
    assert our == their
