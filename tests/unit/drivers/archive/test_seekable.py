"""An archive that is read at any offset: what a stranger's tar-split may say of it."""

import gzip
import io
import os

import pytest

from drivers.archive import tarsplit
from drivers.archive.seekable import SeekableTar
from drivers.errors import ArchiveError


def test_more_bytes_than_a_file_can_have_are_refused() -> None:
    lines: list[bytes] = []
    writer = tarsplit.Writer(lines.append)
    for number in range(20):
        writer.file(b"%d" % number, 2**62, 1)
    writer.finish()
    stored = io.BytesIO(gzip.compress(b"".join(lines)))

    with pytest.raises(ArchiveError, match="too large"):
        SeekableTar(stored, lambda _: os.open(os.devnull, os.O_RDONLY))
