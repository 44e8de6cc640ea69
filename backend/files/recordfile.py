"""One record file: read it, replace it, tell whether it changed.

Used by: backend.stores. Knows nothing of: locks (its callers hold them), rules between records.
"""

import operator
import os
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from backend.codec.gojson import MalformedError
from backend.codec.recordfiles import BadRecord, Decoded, Format, join
from backend.errors import RecordFileError
from backend.model.versions import differing
from drivers.linux import atomicfile, regularfile

R = TypeVar("R")

_REMEDY = "restore the file from a backup, or mend it by hand while nothing uses the store"
_REMEDY_EMPTIED = "restore the file from a backup, or delete it if there was nothing in it"


class Signature(NamedTuple):
    """Changes whenever the file is replaced; a file that is not there has none."""

    modified: int
    size: int
    inode: int


class RecordFile(Generic[R]):
    """``durable`` files are on stable storage before a write returns.

    ``remedy`` is what to do about one that cannot be read.
    """

    def __init__(
        self, path: str, form: Format[R], *, durable: bool = True, remedy: str = _REMEDY
    ) -> None:
        self.path, self.format, self.durable, self.remedy = path, form, durable, remedy
        # Records of the file and their texts, so that a rewrite encodes, and a second look decodes,
        # only what changed; the texts of a file that was read for the first time are still in it.
        self._records: tuple[R, ...] = ()
        self._texts: Sequence[bytes] = ()
        self._data = b""

    def signature(self) -> Signature | None:
        """What identifies the present content."""
        try:
            return _signature(os.stat(self.path))
        except FileNotFoundError:
            return None

    def read(self, **derived: object) -> Decoded[R]:
        """Return its records, *derived* fields set. A missing file is an empty one.

        Raises RecordFileError if it is damaged as a whole.
        """
        try:
            data = regularfile.read(self.path)
        except FileNotFoundError:
            return Decoded()
        except regularfile.NotRegularError as exc:
            raise RecordFileError(self.path, exc.what, remedy=self.remedy) from None
        try:
            return self._decode(data, **derived)
        except MalformedError as exc:
            raise RecordFileError(self.path, str(exc), remedy=self.remedy) from None

    def emptied(self) -> RecordFileError | None:
        """Why records may be gone from a file that has none: no program leaves it without a byte.

        The Go tools take it for a file without records, and so it may be written again.
        """
        signature = None if self._records else self.signature()
        if signature is None or signature.size:
            return None
        reason = "it is empty, as after a power cut"
        return RecordFileError(self.path, reason, remedy=_REMEDY_EMPTIED)

    def write(self, records: Sequence[R]) -> Signature:
        """Replace the content. Nothing changes if it fails."""
        texts = self._encode(records)
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        status = atomicfile.replace(self.path, join(texts), sync=self.durable, locked=True)
        self._records, self._texts = tuple(records), texts
        return _signature(status)

    def _encode(self, records: Sequence[R]) -> Sequence[bytes]:
        """Their texts. What is as it was before the first change and after the last is known."""
        self._cut()
        old, texts = self._records, self._texts
        gone, come = differing(old, records)
        known = dict(zip(map(id, old[gone]), texts[gone], strict=True))
        new = [
            known.get(id(record)) or self.format.encode_record(record) for record in records[come]
        ]
        return [*texts[: gone.start], *new, *texts[gone.stop :]]

    def _decode(self, data: bytes, **derived: object) -> Decoded[R]:
        """Decode what is not as it was when the file was last read or written."""
        self._cut()
        texts = _texts_in(data, self.format) if self._texts else ()
        if texts:
            gone, come = differing(self._texts, texts, operator.eq)
            new = self.format.decode(join(texts[come]), **derived)
            if not new.bad:
                old = self._records
                self._records = (*old[: gone.start], *new.records, *old[gone.stop :])
                self._texts = texts
                return Decoded(self._records)
        decoded = self.format.decode(data, **derived)
        self._records, self._texts, self._data = decoded.records, (), data
        return decoded

    def _cut(self) -> None:
        """Take the texts from the file that was read, where that can be done."""
        if self._data:
            self._texts = _texts_in(self._data, self.format)
            self._data = b""
            if len(self._texts) != len(self._records):
                self._texts = self._records = ()

    def bad_record_error(self, bad: BadRecord) -> RecordFileError:
        """The reason not to rewrite a file that holds *bad*."""
        who = f"record {bad.place}" + (f" ({bad.id[:12]})" if bad.id else "")
        return RecordFileError(self.path, f"{who}: {bad.reason}", remedy=self.remedy)


def _texts_in(data: bytes, form: Format[R]) -> Sequence[bytes]:
    """The text of each record; none if they cannot be told without a look at each."""
    from backend.codec.plainrecords import cut  # who reads once needs none of it

    return cut(data, form.fields) or ()


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_mtime_ns, status.st_size, status.st_ino)
