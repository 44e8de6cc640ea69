"""Directories that hold nothing but symlinks.

Used by: every listing of objects under other names. Knows nothing of: records.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from fusefs.nodes.base import Directory, Ino, Node, missing, node_ino
from fusefs.nodes.names import decode, encode
from fusefs.nodes.text import Look, RelativeLink, SyntheticDirectory


def link_node(directory: Ino, name: bytes, target: bytes, look: Callable[[], Look]) -> RelativeLink:
    """The symlink *name* in *directory*. Another target makes another inode."""
    number = node_ino("link", f"{directory:x}", os.fsdecode(name), os.fsdecode(target))
    return RelativeLink(number, look, target)


def passing_link(
    directory: Ino, name: bytes, target: bytes, look: Callable[[], Look]
) -> RelativeLink:
    """The same for a name that is looked up and not listed: asked again each time."""
    node = link_node(directory, name, target, look)
    node.entry_timeout = 0.0
    return node


class LinkDirectory(SyntheticDirectory):
    """Symlinks, from a mapping of names to targets that is made anew for each question."""

    def __init__(
        self, ino: Ino, look: Callable[[], Look], links: Callable[[], Mapping[bytes, bytes]]
    ) -> None:
        super().__init__(ino, look)
        self._links = links

    def child(self, name: bytes) -> Node:
        """The symlink with this name, percent-encoded in any way."""
        links = self._links()
        canonical = name if name in links else encode(decode(name))
        target = links.get(canonical)
        if target is None:
            raise missing(name)
        return link_node(self.ino, canonical, target, self._look)

    def names(self) -> Sequence[bytes]:
        """All names."""
        return tuple(self._links())


def group_ino(directory: Ino, group: bytes) -> Ino:
    """Inode number of one group in a directory of groups."""
    return node_ino("group", f"{directory:x}", os.fsdecode(group))


class GroupDirectory(SyntheticDirectory):
    """Directories of symlinks, one for each group (an algorithm of digests)."""

    def __init__(
        self,
        ino: Ino,
        look: Callable[[], Look],
        groups: Callable[[], Mapping[bytes, Mapping[bytes, bytes]]],
    ) -> None:
        super().__init__(ino, look)
        self._groups = groups

    def child(self, name: bytes) -> Directory:
        """The directory of one group."""
        if name not in self._groups():
            raise missing(name)
        number = group_ino(self.ino, name)
        return LinkDirectory(number, self._look, lambda: self._groups().get(name, {}))

    def names(self) -> Sequence[bytes]:
        """All groups."""
        return tuple(self._groups())


class Placeholder(SyntheticDirectory):
    """What mkdir(2) gets where the new entry is a symlink: empty, and asked about no second time.

    The kernel wants a directory as the answer to mkdir; its next look-up sees the symlink.
    """

    entry_timeout = 0.0
    attr_timeout = 0.0

    def __init__(self, made: str, look: Callable[[], Look]) -> None:
        super().__init__(node_ino("placeholder", made), look)

    def child(self, name: bytes) -> Node:
        """Nothing."""
        raise missing(name)

    def names(self) -> Sequence[bytes]:
        """Nothing."""
        return ()


def digest_links(
    digests: Mapping[str, Sequence[str]], target: Callable[[str], bytes]
) -> Mapping[bytes, Mapping[bytes, bytes]]:
    """Links by algorithm and hexadecimal digits; of several objects, the first has the link."""
    groups: dict[bytes, dict[bytes, bytes]] = {}
    for digest, objects in digests.items():
        algorithm, colon, digits = digest.partition(":")
        if algorithm and colon and digits:
            groups.setdefault(encode(algorithm), {})[encode(digits)] = target(objects[0])
    return groups
