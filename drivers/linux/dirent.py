"""Whether a file system tells the kind of a file in its directory listing (d_type).

Used by: drivers.overlay.probe. Knows nothing of: why that matters.
"""

import ctypes
import os
from typing import Final

_DT_UNKNOWN: Final = 0
_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Dirent(ctypes.Structure):
    _fields_ = (
        ("d_ino", ctypes.c_uint64),
        ("d_off", ctypes.c_int64),
        ("d_reclen", ctypes.c_ushort),
        ("d_type", ctypes.c_ubyte),
        ("d_name", ctypes.c_char * 256),
    )


_readdir: Final = getattr(_libc, "readdir64", _libc.readdir)
_libc.opendir.argtypes = (ctypes.c_char_p,)
_libc.opendir.restype = ctypes.c_void_p
_readdir.argtypes = (ctypes.c_void_p,)
_readdir.restype = ctypes.POINTER(_Dirent)
_libc.closedir.argtypes = (ctypes.c_void_p,)


def reports_kinds(directory: str) -> bool:
    """Whether every entry of *directory*, which must have some, comes with its kind."""
    stream = _libc.opendir(os.fsencode(directory))
    if not stream:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)
    kinds = []
    try:
        while entry := _readdir(stream):
            if entry.contents.d_name not in (b".", b".."):
                kinds.append(entry.contents.d_type)
    finally:
        _libc.closedir(stream)
    return bool(kinds) and _DT_UNKNOWN not in kinds
