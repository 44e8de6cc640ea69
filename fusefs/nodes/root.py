"""The root of the mounted tree.

Used by: fusefs.session (build_tree). Knows nothing of: what is in the three listings.
"""

import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fusefs.nodes import about
from fusefs.nodes.base import ROOT_INO, Caller, Directory, Node, missing, node_ino, refused
from fusefs.nodes.containers import ContainersDirectory
from fusefs.nodes.context import TreeContext
from fusefs.nodes.images import ImagesDirectory
from fusefs.nodes.layers import LayersDirectory
from fusefs.nodes.listings import tree_look
from fusefs.nodes.readme import README
from fusefs.nodes.streams import EventsFile
from fusefs.nodes.text import DiskTextFile, GeneratedFile, SyntheticDirectory, TextFile

_OPEN: Final = stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


def build_tree(context: TreeContext) -> Directory:
    """Return the root directory, inode 1."""
    return _Root(context)


class _Root(SyntheticDirectory):
    def __init__(self, context: TreeContext) -> None:
        mode = _OPEN if context.open_to_all else stat.S_IRWXU
        super().__init__(ROOT_INO, tree_look(context), mode=mode)
        self._entries = _entries(context)

    def child(self, name: bytes) -> Node:
        make = self._entries.get(name)
        if make is None:
            raise missing(name)
        return make()

    def names(self) -> Sequence[bytes]:
        return tuple(self._entries)

    def unlink(self, name: bytes, caller: Caller) -> None:
        del caller
        raise refused(name) if name in self._entries else missing(name)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        del caller
        raise refused(name) if name in self._entries else missing(name)


def _entries(context: TreeContext) -> Mapping[bytes, Callable[[], Node]]:
    look, journal = tree_look(context), context.journal
    version, config = about.version_text(), about.config_text(context)
    return {
        b"README": lambda: TextFile(node_ino("README"), look, lambda: README),
        b"version": lambda: TextFile(node_ino("version"), look, lambda: version),
        b"status": lambda: DiskTextFile(
            node_ino("status"), look, lambda: about.status_text(context), attr_timeout=0.0
        ),
        b"config": lambda: TextFile(node_ino("config"), look, lambda: config),
        b"errors": lambda: GeneratedFile(node_ino("errors"), look, journal.refusals),
        b"events": lambda: EventsFile(node_ino("events"), look, journal),
        b"log": lambda: TextFile(node_ino("log"), look, journal.recent, attr_timeout=0.0),
        b"layers": lambda: LayersDirectory(context),
        b"images": lambda: ImagesDirectory(context),
        b"containers": lambda: ContainersDirectory(context),
    }
