"""Merged views that are mounted nowhere: made here, or in a user namespace without privileges.

Used by: drivers.overlay.{views,probe}. Knows nothing of: layers, how either way works.
"""

from drivers.linux import capability
from drivers.overlay import mounting
from drivers.overlay.mountdata import OverlayMount


def mount_detached(overlay: OverlayMount, aside: str) -> int:
    """Return the descriptor of the view; see drivers.overlay.mounting for *aside*."""
    if capability.can_mount():
        return mounting.mount_detached(overlay, aside)
    from drivers.overlay import unprivileged

    return unprivileged.mount_detached(overlay, aside)
