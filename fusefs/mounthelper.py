"""The protocol of mount(8)'s helpers, translated into ``storagefs mount`` (pure).

Used by: fusefs.cli. Knows nothing of: stores, sessions.

mount(8) calls ``mount.TYPE SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE.SUBTYPE]``; the
flags may stand anywhere.
"""

import getopt
from collections.abc import Sequence
from typing import Final

from fusefs.verbs import are_places

_USAGE: Final = 1
_SYSTEM: Final = 2
_TRANSLATED: Final = {"-s": "--sloppy", "-f": "--fake"}


class HelperUsageError(Exception):
    """Called in a way that mount(8) does not call helpers; ``exit_code`` as in mount(8)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def translate(words: Sequence[str]) -> list[str]:
    """The words of ``storagefs`` for the words of a helper (without its name)."""
    try:
        flags, places = getopt.gnu_getopt(list(words), "sfnvN:o:t:")
    except getopt.GetoptError as error:
        raise HelperUsageError(f"{error}; see mount(8)", _USAGE) from None
    if len(places) != 2:
        raise HelperUsageError("SOURCE DIRECTORY [-sfnv] [-o OPTIONS] are needed", _USAGE)
    translated = ["mount"]
    for flag, value in flags:
        if flag == "-N":
            raise HelperUsageError(
                f"-N {value}: the daemon must run in the namespace of its users; "
                f"run: nsenter --mount=/proc/PID/ns/mnt mount -t storagefs {' '.join(places)}",
                _SYSTEM,
            )
        if flag == "-o":
            translated += ["-o", value]
        elif flag in _TRANSLATED:
            translated.append(_TRANSLATED[flag])
    spec, where = places
    return [*translated, "--", spec, where if are_places([where]) else f"./{where}"]
