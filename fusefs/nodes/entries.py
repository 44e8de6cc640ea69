"""What can stand in the directories of objects: for each name, how its node is made.

Used by: fusefs.nodes.objects, layer, image, container. Knows nothing of: what is special to a kind.
One table serves all objects of a kind, and one look-up makes one node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from fusefs.nodes.base import LONG, Ino, Node
from fusefs.nodes.editable import EditableFile, Value
from fusefs.nodes.links import LinkDirectory, link_node
from fusefs.nodes.stored import StoredObject
from fusefs.nodes.text import GeneratedFile, ProbeFile, TextFile


class Owner(Protocol):
    """The directory in which an entry stands."""

    ino: Ino
    object: StoredObject

    def role(self, role: str) -> Ino:
        """Inode number of what has this role in the object."""
        ...


D = TypeVar("D", bound=Owner)
E_contra = TypeVar("E_contra", contravariant=True)


def _always(directory: object) -> bool:
    del directory
    return True


@dataclass(frozen=True, slots=True)
class Entry(Generic[E_contra]):
    """How the node of one name is made, and in which objects the name is there at all."""

    make: Callable[[E_contra], Node]
    is_there: Callable[[E_contra], bool] = _always


def text(role: str, render: Callable[[D], bytes], *, fixed: bool = False) -> Entry[D]:
    """A text from the record; *fixed* ones never change while the object exists."""
    timeout = LONG if fixed else 0.0
    return Entry(
        lambda it: TextFile(
            it.role(role), it.object.look, partial(render, it), attr_timeout=timeout
        )
    )


def probe(
    role: str, render: Callable[[D], bytes], is_there: Callable[[D], bool] = _always
) -> Entry[D]:
    """A short text that needs a look at directories on disk."""
    return Entry(
        lambda it: ProbeFile(it.role(role), it.object.look, partial(render, it), attr_timeout=0.0),
        is_there,
    )


def generated(role: str, render: Callable[[D], bytes]) -> Entry[D]:
    """A text that is made when it is opened."""
    return Entry(lambda it: GeneratedFile(it.role(role), it.object.look, partial(render, it)))


def link(name: str, target: Callable[[D], bytes | None]) -> Entry[D]:
    """A symlink, where there is a target."""
    return Entry(
        lambda it: link_node(it.ino, name.encode(), target(it) or b"", it.object.look),
        lambda it: target(it) is not None,
    )


def links(role: str, found: Callable[[D], Mapping[bytes, bytes]]) -> Entry[D]:
    """A directory of symlinks."""
    return Entry(lambda it: LinkDirectory(it.role(role), it.object.look, partial(found, it)))


def editable(role: str, read: Callable[[D], bytes], write: Callable[[D, bytes], None]) -> Entry[D]:
    """A text that can be replaced."""

    def make(it: D) -> Node:
        value = Value(
            read=partial(read, it),
            write=partial(write, it),
            size=lambda: len(read(it)),
            given_up=partial(it.object.given_up, role),
        )
        return EditableFile(it.role(role), it.object.look, value)

    return Entry(make)
