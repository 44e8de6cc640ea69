"""How images and containers keep keys, sizes and digests of their data items in step (pure).

Used by: backend.api.{attached,containermaking}. Knows nothing of: files.
"""

from types import MappingProxyType
from typing import TypeVar

from backend.model import digest as digests
from backend.model.records import Container, Image

R = TypeVar("R", Image, Container)


def with_item(record: R, key: str, data: bytes, digest: str = "") -> R:
    """*record* with the item in it; its digest is the SHA-256 of *data* unless given."""
    return record._replace(
        big_data_names=tuple(dict.fromkeys((*record.big_data_names, key))),
        big_data_sizes=MappingProxyType({**record.big_data_sizes, key: len(data)}),
        big_data_digests=MappingProxyType(
            {**record.big_data_digests, key: digest or digests.of(data)}
        ),
    )


def with_unknown_item(record: R, key: str) -> R:
    """*record* without a word about what is in the item; the Go tools look at the file then."""
    sizes = {name: size for name, size in record.big_data_sizes.items() if name != key}
    found = {name: digest for name, digest in record.big_data_digests.items() if name != key}
    return record._replace(
        big_data_sizes=MappingProxyType(sizes), big_data_digests=MappingProxyType(found)
    )


def without_item(record: R, key: str) -> R:
    """*record* without the item."""
    names = tuple(name for name in record.big_data_names if name != key)
    return with_unknown_item(record, key)._replace(big_data_names=names)
