"""What an error says of the thing that was looked at, and what to do about a fault.

Used by: backend.api.{check,checkcontent}. Knows nothing of: what was looked at.
"""

from typing import Final

from backend.model.findings import Fault
from drivers.errors import is_shortage, is_unreadable

PULL_AGAIN: Final = "delete the images on it and pull them again"
_LOOK: Final = "look at the messages of the kernel, at the disk, and at who may read it"


def fault_of(error: Exception, otherwise: Fault) -> Fault:
    """UNREADABLE if nobody could look, else *otherwise*.

    Raises *error* itself if it came of a shortage: that says nothing.
    """
    if is_shortage(error):
        raise error
    return Fault.UNREADABLE if is_unreadable(error) else otherwise


def remedy_for(fault: Fault, otherwise: str = PULL_AGAIN) -> str:
    """*otherwise*, unless it cannot be read: it may be whole then."""
    return _LOOK if fault is Fault.UNREADABLE else otherwise
