"""Whether a program mounts the layers of a home (fuse-overlayfs), and which.

Used by: drivers.overlay.driver, drivers.overlay.views. Knows nothing of: mounting.

Such a program keeps whiteouts as ``.wh.`` files, and HOME/.has-mount-program says "true" for all
times: the kernel would show those files. The Go tools read and write the same note.
"""

import os
from typing import Final

from drivers.errors import DriverNotSupportedError
from drivers.linux import atomicfile, regularfile

_NOTE: Final = ".has-mount-program"
_USUAL: Final = "fuse-overlayfs"


def program_for(home: str, configured: str) -> str:
    """Return the path of the program that mounts the layers of *home*; "" if the kernel does."""
    if not configured and not _is_noted(home):
        return ""
    import shutil

    found = shutil.which(configured or _USUAL)
    if found is None:
        name = configured or _USUAL
        raise DriverNotSupportedError(
            "overlay", f"there is no mount_program {name}", remedy=f"install {_USUAL}"
        )
    return found


def note(home: str) -> None:
    """Say for all times that a program wrote layers in *home*."""
    if not _is_noted(home):
        os.makedirs(home, 0o700, exist_ok=True)
        atomicfile.replace(os.path.join(home, _NOTE), b"true", mode=0o600)


def _is_noted(home: str) -> bool:
    try:
        return regularfile.read(os.path.join(home, _NOTE)) == b"true"
    except FileNotFoundError:
        return False
