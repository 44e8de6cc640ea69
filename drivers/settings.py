"""Values of driver options, read as the Go tools read them (pure).

Used by: the drivers. Knows nothing of: which options there are.
"""

from typing import Final

from drivers.errors import DriverOptionError

_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")


def boolean(option: str, text: str) -> bool:
    """Return the truth value of *text*; *option* is its full name, for the error."""
    if text not in _TRUE + _FALSE:
        raise DriverOptionError(option, f"{text!r} is neither true nor false")
    return text in _TRUE
