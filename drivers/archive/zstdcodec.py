"""Encoder and decoder of zstd, which Python has had since 3.14 and a package brings before.

Used by: drivers.archive.compression, which imports it when a layer needs it. Knows nothing of:
tar, chunks.
"""

from __future__ import annotations

import sys
from typing import Final

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )
else:
    from backports.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )

Error = ZstdError
_WINDOW_LOG: Final = 27


def encoder() -> ZstdCompressor:
    """One frame with a checksum, at the usual level."""
    options: dict[int, int] = {CompressionParameter.checksum_flag: 1}
    return ZstdCompressor(options=options)


def decoder() -> ZstdDecompressor:
    """For one frame, which may be skippable, with a window of at most 128 MiB."""
    options: dict[int, int] = {DecompressionParameter.window_log_max: _WINDOW_LOG}
    return ZstdDecompressor(options=options)
