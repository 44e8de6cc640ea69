"""Which image a reference, or the target of a symlink, means (pure, over the table of images).

Used by: the directories of image names, and what binds a pending container to an image.
"""

from collections.abc import Iterator, Sequence

from backend.errors import ImageUnknownError
from backend.model.records import Image
from backend.model.snapshot import ImageTable
from fusefs.nodes.listings import by_prefix
from fusefs.nodes.names import decode, full_references

Components = Sequence[bytes]


def find_image(table: ImageTable, reference: str) -> Image | None:
    """Exact ID, exact name, what a short name stands for, then the unique beginning of an ID.

    Raises ImageUnknownError for a beginning that several IDs have.
    """
    exact = table.get(reference) or table.by_name.get(reference)
    if exact is not None:
        return exact
    for full in full_references(reference):
        image = table.by_name.get(full)
        if image is not None:
            return image
    return by_prefix(table, reference, ImageUnknownError)


def image_of_target(table: ImageTable, directory: Components, target: bytes) -> Image:
    """The image that a symlink to *target*, made in *directory*, is meant for.

    *directory* is a path from the root of the tree. A target may be relative, absolute (through
    whatever mount point), or just a reference; it is read, never followed.
    Raises ImageUnknownError.
    """
    for candidate in _readings(directory, target):
        image = _image_at(table, candidate)
        if image is not None:
            return image
    raise ImageUnknownError(
        target.decode("utf-8", "replace"),
    )


def _readings(directory: Components, target: bytes) -> Iterator[Components]:
    """Paths below ``images/`` that *target* may mean, the most literal first."""
    plain = [part for part in target.split(b"/") if part not in (b"", b".", b"..")]
    if not target.startswith(b"/"):
        resolved = _resolved(directory, target)
        if resolved[:1] == [b"images"]:
            yield resolved[1:]
    for index, part in enumerate(plain):
        if part == b"images":
            yield plain[index + 1 :]
    yield plain


def _resolved(directory: Components, target: bytes) -> list[bytes]:
    path = list(directory)
    for part in target.split(b"/"):
        if part == b"..":
            del path[-1:]
        elif part not in (b"", b"."):
            path.append(part)
    return path


def _image_at(table: ImageTable, path: Components) -> Image | None:
    """The image at a path below ``images/``."""
    if not path:
        return None
    parts = [decode(component) for component in path]
    if parts[0] in ("by-id", "dangling") and len(parts) == 2:
        return find_image(table, parts[1])
    if parts[0] == "by-digest" and len(parts) == 3:
        found = table.by_digest.get(":".join(parts[1:]), ())
        return table.get(found[0]) if found else None
    return find_image(table, "/".join(parts))
