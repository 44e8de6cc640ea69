"""One record file: read it, replace it, tell whether it changed.

Used by: backend.stores. Knows nothing of: locks (its callers hold them), rules between records.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from backend.codec.gojson import MalformedError
from backend.codec.recordfiles import BadRecord, Decoded, Format, join
from backend.errors import RecordFileError
from drivers.linux import atomicfile, regularfile

R = TypeVar("R")


class Signature(NamedTuple):
    """Changes whenever the file is replaced; a file that is not there has none."""

    modified: int
    size: int
    inode: int


class RecordFile(Generic[R]):
    """``durable`` files are on stable storage before a write returns."""

    def __init__(self, path: str, form: Format[R], *, durable: bool = True) -> None:
        self.path, self.format, self.durable = path, form, durable
        # The records last written and, by their identity, their texts: a rewrite encodes only what
        # changed. What is kept alive shares its identity with nothing else.
        self._written: Sequence[R] = ()
        self._texts: dict[int, str] = {}

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
            raise RecordFileError(self.path, exc.what, remedy=_REMEDY) from None
        try:
            return self.format.decode(data, **derived)
        except MalformedError as exc:
            raise RecordFileError(self.path, str(exc), remedy=_REMEDY) from None

    def write(self, records: Sequence[R]) -> Signature:
        """Replace the content. Nothing changes if it fails."""
        texts = list(map(self._texts.get, map(id, records)))
        encoded = [
            self.format.encode_record(record) if text is None else text
            for record, text in zip(records, texts, strict=True)
        ]
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        data = join(encoded)
        status = atomicfile.replace(self.path, data, sync=self.durable, locked=True)
        self._texts = dict(zip(map(id, records), encoded, strict=True))
        self._written = records
        return _signature(status)

    def bad_record_error(self, bad: BadRecord) -> RecordFileError:
        """The reason not to rewrite a file that holds *bad*."""
        who = f"record {bad.place}" + (f" ({bad.id[:12]})" if bad.id else "")
        return RecordFileError(self.path, f"{who}: {bad.reason}", remedy=_REMEDY)


_REMEDY = "restore the file from a backup, or mend it by hand while nothing uses the store"


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_mtime_ns, status.st_size, status.st_ino)
