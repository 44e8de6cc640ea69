"""The content of a layer that does not have it yet: HOME/tempdirs/temp-dir-X/N-addition.

Used by: the drivers. Knows nothing of: archives, records, what becomes of the content.

What a dead process left there is erased with the trash beside it (drivers.trash), by the next who
writes. Overlay's HOME/staging would not do: release 1.43 of the Go tools empties it at will.
"""

import os
from collections.abc import Callable

from drivers.protocol import ApplyPlace
from drivers.trash import TrashDirectory


class StagedContent:
    """A drivers.protocol.StagedLayer; *finish* makes a layer out of the directory it is given."""

    def __init__(
        self, root: str, prepare: Callable[[str], ApplyPlace], finish: Callable[[str], None]
    ) -> None:
        os.makedirs(os.path.dirname(root), 0o700, exist_ok=True)
        self._trash = TrashDirectory(root)
        self._finish = finish
        self._content = self._trash.addition()
        try:
            self._place = prepare(self._content)
        except BaseException:
            self._trash.erase()
            raise
        self._is_open = True

    @property
    def place(self) -> ApplyPlace:
        """Where the content is unpacked."""
        return self._place

    def commit(self) -> None:
        """Make the layer."""
        self._finish(self._content)
        self.discard()

    def discard(self) -> None:
        """Erase what is still there."""
        if self._is_open:
            self._is_open = False
            os.close(self._place.root)
            self._trash.erase()
