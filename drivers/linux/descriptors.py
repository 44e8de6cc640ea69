"""Several descriptors that are open for one block.

Used by: drivers. Knows nothing of: what they are of.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def all_open(opening: Iterable[int]) -> Iterator[list[int]]:
    """Take what *opening* opens, one after the other; all of it is closed at the end.

    So are the first ones where a later one cannot be opened.
    """
    opened: list[int] = []
    try:
        opened.extend(opening)
        yield opened
    finally:
        for fd in opened:
            os.close(fd)
