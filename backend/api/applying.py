"""Reading a layer's archive: into a place for its content, and into its record.

Used by: backend.api.putting. Knows nothing of: locks, which layer comes next.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, NamedTuple

from backend.api.workshop import FULL, Workshop
from backend.errors import DiskFullError, InvalidValueError
from backend.model import digest as digests
from backend.model.records import Layer
from drivers.archive.apply import Applied, EntrySink, apply
from drivers.archive.entry import Entry
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.errors import ArchiveError, UnpackFailedError
from drivers.protocol import ApplyPlace

_KNOWN: Final = "sha256:"


class Hints(NamedTuple):
    """What a caller knows of an archive already.

    The ``original`` values and ``uncompressed_digest`` are taken over unchecked, as the Go tools
    do, so that they need not be computed; the ``expected`` digests are checked.
    """

    original_digest: str = ""
    original_size: int = -1
    uncompressed_digest: str = ""
    expected_digest: str = ""
    expected_diff_digest: str = ""

    def check(self) -> None:
        """Raise InvalidValueError for a digest that cannot be one, or cannot be checked."""
        for digest in (self.original_digest, self.uncompressed_digest):
            if digest and not digests.is_valid(digest):
                raise InvalidValueError("digest", digest, "it is no digest")
        for digest in (self.expected_digest, self.expected_diff_digest):
            if digest and not (digests.is_valid(digest) and digest.startswith(_KNOWN)):
                raise InvalidValueError("digest", digest, "only sha256 digests can be checked")


NO_HINTS: Final = Hints()


class EntriesIgnored:
    """An EntrySink for finding out what an archive is before anything is changed."""

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Nothing happens; the payload is skipped."""

    def finish(self) -> None:
        """Nothing was begun."""


class _Telling:
    """An EntrySink that says how much *sink* wrote."""

    def __init__(self, sink: EntrySink, wrote: Callable[[int], object]) -> None:
        self._sink, self._wrote = sink, wrote

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        self._sink.add(entry, payload)
        self._wrote(entry.size)

    def finish(self) -> None:
        self._sink.finish()


def unpack(
    shop: Workshop,
    place: ApplyPlace,
    layer: Layer,
    source: BinaryIO,
    tar_split: BinaryIO,
    *,
    hints: Hints,
    wrote: Callable[[int], object],
) -> Applied:
    """Unpack the archive *source* into *place*, with the owners that the record of *layer* says.

    *wrote* is told how many bytes each file has, once it is there. Raises ArchiveError if the
    archive is damaged or not the expected one.
    """
    options = UnpackOptions(
        uid_map=layer.uid_map,
        gid_map=layer.gid_map,
        rootless=shop.options.rootless,
        ignore_chown_errors=place.ignore_chown_errors,
        xattr_prefix=place.xattr_prefix,
    )
    with Unpacker(place.root, whiteouts=place.whiteouts, options=options) as sink:
        return read(source, _Telling(sink, wrote), tar_split, hints)


def read(source: BinaryIO, sink: EntrySink, tar_split: BinaryIO, hints: Hints) -> Applied:
    """Read the archive *source* to its end. Raises ArchiveError; see :func:`unpack`."""
    applied = apply(
        source,
        sink,
        tar_split,
        compressed_digest="" if hints.expected_digest else hints.original_digest,
        compressed_size=hints.original_size,
        diff_digest="" if hints.expected_diff_digest else hints.uncompressed_digest,
    )
    _check(hints.expected_digest, applied.compressed_digest, "it")
    _check(hints.expected_diff_digest, applied.diff_digest, "its uncompressed content")
    return applied


def with_content(layer: Layer, applied: Applied) -> Layer:
    """The record of *layer*, now that its content is that of an archive."""
    return layer._replace(
        compressed_diff_digest=applied.compressed_digest,
        compressed_size=applied.compressed_size,
        diff_digest=applied.diff_digest,
        diff_size=applied.diff_size,
        toc_digest="",
        compression=int(applied.compression),
        uidset=applied.uids,
        gidset=applied.gids,
    )


def without_content(layer: Layer) -> Layer:
    """The record of *layer* while nobody knows what its content amounts to."""
    return layer._replace(
        compressed_diff_digest="",
        compressed_size=0,
        diff_digest="",
        diff_size=0,
        toc_digest="",
        compression=0,
    )


def known(applied: Applied) -> Hints:
    """Hints for reading the same archive again."""
    return Hints(
        original_digest=applied.compressed_digest,
        original_size=applied.compressed_size,
        uncompressed_digest=applied.diff_digest,
    )


@contextmanager
def naming_full_disks(what: str, path: str) -> Iterator[None]:
    """Turn the kernel's "no space" into an error that says for what, and where."""
    try:
        yield
    except (OSError, UnpackFailedError) as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(what, path) from error


@contextmanager
def opened(place: ApplyPlace) -> Iterator[ApplyPlace]:
    """Close the descriptor of *place* at the end."""
    try:
        yield place
    finally:
        os.close(place.root)


def _check(expected: str, found: str, what: str) -> None:
    if expected and expected != found:
        raise ArchiveError(
            f"{what} has the digest {found}, not {expected}",
            remedy="fetch the archive again",
        )
