"""What images and containers have in common: measured data items, and directories for their maker.

Used by: backend.api.{images,containers}. Knows nothing of: creating and deleting.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from backend.api.items import with_item, with_unknown_item, without_item
from backend.api.objects import Objects
from backend.api.workshop import component
from backend.errors import BigDataUnknownError, InvalidValueError, ReadOnlyStoreError
from backend.files import bigdata
from backend.model import digest as digests
from backend.model.records import Container, Image
from drivers.linux.atomicfile import NotFlushedError

R = TypeVar("R", Image, Container)

_USER_DATA: Final = "userdata"


class Attached(Objects[R]):
    """Verbs on objects whose records know the size and the digest of each data item."""

    def big_data_size(self, reference: str, key: str) -> int:
        """Bytes of one data item; of the file where the record does not say."""
        record = self._with(reference, key)
        known = record.big_data_sizes.get(key)
        return len(self.big_data(record.id, key)) if known is None else known

    def big_data_digest(self, reference: str, key: str) -> str:
        """Digest of one data item; SHA-256 of the file where the record does not say."""
        record = self._with(reference, key)
        return record.big_data_digests.get(key) or digests.of(self.big_data(record.id, key))

    def directory(self, reference: str) -> str:
        """Where its maker may keep files; made on demand."""
        return self._user_data(self._user_base(), reference)

    def run_directory(self, reference: str) -> str:
        """The same for files that need not survive a reboot."""
        return self._user_data(self._run_base(), reference)

    def _with(self, reference: str, key: str) -> R:
        record = self.find(reference)
        if key not in record.big_data_names:
            raise BigDataUnknownError(key)
        return record

    def _user_data(self, base: str, reference: str) -> str:
        record = self.find(reference)
        path = os.path.join(base, component(f"{self.word} ID", record.id), _USER_DATA)
        if not os.path.isdir(path):
            if self._shop.options.read_only:
                raise ReadOnlyStoreError(f"{self.word} {record.id[:12]}")
            os.makedirs(path, 0o700, exist_ok=True)
        return path

    def _user_base(self) -> str:
        raise NotImplementedError

    def _run_base(self) -> str:
        raise NotImplementedError

    def _check_key(self, key: str) -> None:
        super()._check_key(key)
        if key == _USER_DATA:
            raise InvalidValueError("big data key", key, f"the {self.word}'s user data is there")

    def _with_item(self, record: R, key: str, data: bytes, digest: str | None) -> R:
        return with_item(record, key, data, digest or "")

    def _with_unknown_item(self, record: R, key: str) -> R:
        return with_unknown_item(record, key)

    def _without_item(self, record: R, key: str) -> R:
        return without_item(record, key)


@contextmanager
def withdrawn_on_failure(directory: str, keys: Iterable[str]) -> Iterator[None]:
    """Remove the items that were written for a record that did not come to be."""
    try:
        yield
    except NotFlushedError:  # it did
        raise
    except BaseException:
        for key in keys:
            bigdata.remove(directory, key)
        with suppress(OSError):
            os.rmdir(directory)
        raise
