"""``images/``: all images, under their IDs, digests and nested names.

Used by: fusefs.nodes.root. Knows nothing of: what an image's directory holds.
"""

import errno
import os
from collections.abc import Mapping, Sequence

from backend.errors import DuplicateNameError, ImageUnknownError, InvalidValueError
from backend.model.records import Image
from backend.model.snapshot import ImageTable
from fusefs.nodes.base import (
    Attributes,
    Caller,
    Directory,
    Node,
    RefusedError,
    RenameMode,
    gone,
    missing,
)
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import in_order, once_per
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.image import ImageDirectory
from fusefs.nodes.imagelookup import find_image, image_of_target
from fusefs.nodes.links import GroupDirectory, LinkDirectory, digest_links, link_node
from fusefs.nodes.listings import Listing
from fusefs.nodes.names import LONGEST, decode, encode, is_directory_of_references, reference_parts
from fusefs.nodes.nametree import (
    IMAGES_BY_ID,
    NO_NAMES,
    ImageName,
    Level,
    Path,
    dangling,
    name_levels,
    names_ino,
)
from fusefs.nodes.places import IMAGE_LISTINGS, up

_DEFAULT_REGISTRY = b"docker.io"


class NameDirectory(Listing):
    """A directory of image names: registries, paths, and symlinks for full references.

    ``ln -s`` adds a name, ``rm`` removes one, ``mv`` renames. A directory is there as long as a
    name needs it, or because mkdir announced it (in memory only).
    """

    def __init__(self, context: TreeContext, path: Path = ()) -> None:
        super().__init__(context, names_ino(path))
        self.path = path

    def attributes(self) -> Attributes:
        """Those of a directory; ESTALE if nothing needs it any more."""
        if not self._is_there():
            raise gone(os.fsdecode(b"/".join(self.path)))
        return super().attributes()

    def child(self, name: bytes) -> Node:
        """A directory, a symlink for a name, or one for a name that is looked up only."""
        entry = self._level().get(name, name)
        if entry is None or self.context.pending.has_directory((*self.path, name)):
            return NameDirectory(self.context, (*self.path, name))
        if isinstance(entry, ImageName):
            return link_node(self.ino, name, self._target(entry.image), self._look)
        canonical = encode(decode(name))
        if canonical != name and canonical in self._level():
            return self.also_known_as(name, canonical)
        image = self._looked_up(decode(name))
        if image is None:
            raise missing(name)
        return self.also_known_as(name, self._target(image.id))

    def names(self) -> Sequence[bytes]:
        """What is in it, pending directories included."""
        if not self._is_there():
            raise gone(os.fsdecode(b"/".join(self.path)))
        level = self._level()
        pending = self.context.pending.directories_below(self.path)
        return (*level, *(name for name in pending if name not in level))

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """Announce a directory of names, so that a name can be put into it."""
        del mode, caller
        path = (*self.path, name)
        parts = [decode(part) for part in path]
        if not is_directory_of_references(parts):
            raise InvalidValueError(
                "directory of image names",
                "/".join(parts),
                "no full reference begins like this",
                remedy="begin with a registry, for example localhost or registry.example.com",
            )
        if name in self._level():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
        self.context.pending.add_directory(path)
        return NameDirectory(self.context, path)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """Take back an announced directory that is empty."""
        del caller
        path = (*self.path, name)
        if self._level().get(name) is not None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fsdecode(name))
        if name in self._level() or self.context.pending.directories_below(path):
            raise OSError(errno.ENOTEMPTY, "names are in it; rm removes a name", os.fsdecode(name))
        if not self.context.pending.remove_directory(path):
            raise missing(name)

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """Give the image that *target* means one more name."""
        del caller
        records = self.context.records().images
        full = self._full_name(name)
        owner = records.by_name.get(full)
        if owner is not None:
            raise DuplicateNameError("image", full, owner.id)
        image = image_of_target(records, (b"images", *self.path), target)
        self.context.store.images.add_names(image.id, [full])
        return link_node(self.ino, name, self._target(image.id), self._look)

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Take the name away from its image, which stays."""
        del caller
        entry = self._named(name)
        self.context.store.images.remove_names(entry.image, [entry.name])

    def rename(
        self, name: bytes, to: Directory, to_name: bytes, mode: RenameMode, caller: Caller
    ) -> None:
        """Give the image another name instead of this one; another image loses that name."""
        del caller
        entry = self._named(name)
        if not isinstance(to, NameDirectory) or mode & RenameMode.EXCHANGE:
            remedy = "rename it inside images/, or add a name with ln -s"
            raise RefusedError("a name stays among the names of images", name, remedy=remedy)
        full = to._full_name(to_name)  # noqa: SLF001  the other directory of names
        images = self.context.records().images
        owner = images.by_name.get(full)
        if owner is not None and mode & RenameMode.NO_REPLACE:
            raise DuplicateNameError("image", full, owner.id)
        image = images.get(entry.image)
        if image is None:
            raise ImageUnknownError(entry.image)
        names = dict.fromkeys(full if old == entry.name else old for old in image.names)
        self.context.store.images.set_names(image.id, tuple(names))

    def _level(self) -> Level:
        return name_levels(self.context.records().images).get(self.path, NO_NAMES)

    def _is_there(self) -> bool:
        pending = self.context.pending
        return bool(
            not self.path
            or self._level()
            or pending.has_directory(self.path)
            or pending.directories_below(self.path)
        )

    def _target(self, image: str) -> bytes:
        return up(len(self.path), b"by-id/" + encode(image))

    def _named(self, name: bytes) -> ImageName:
        entry = self._level().get(name, name)
        if isinstance(entry, ImageName):
            return entry
        if entry is None or self.context.pending.has_directory((*self.path, name)):
            raise IsADirectoryError(errno.EISDIR, "this is a directory", os.fsdecode(name))
        image = self._looked_up(decode(name))
        if image is None:
            raise missing(name)
        remedy = f"remove one of the names in by-id/{image.id}/names"
        raise RefusedError("this name is only looked up", name, remedy=remedy)

    def _full_name(self, name: bytes) -> str:
        """The image name that *name* stands for here. Raises InvalidValueError."""
        if len(name) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), os.fsdecode(name))
        full = "/".join(decode(part) for part in (*self.path, name))
        if self.path and reference_parts(full) is None:
            reason = "it is no full reference"
            remedy = "name it REGISTRY/PATH:TAG, for example localhost/mine:1"
            raise InvalidValueError("image name", full, reason, remedy=remedy)
        return full

    def _looked_up(self, name: str) -> Image | None:
        full = "/".join([*(decode(part) for part in self.path), name])
        return find_image(self.context.records().images, full)


class ImagesDirectory(NameDirectory):
    """The root of all names, with the further listings of images."""

    def child(self, name: bytes) -> Node:
        """A further listing, or what a directory of names has; then Docker's registry is tried."""
        if name in IMAGE_LISTINGS:
            return self._listing(name)
        try:
            return super().child(name)
        except FileNotFoundError:
            if (_DEFAULT_REGISTRY, name) not in name_levels(self.context.records().images):
                raise
            return self.also_known_as(name, _DEFAULT_REGISTRY + b"/" + name)

    def names(self) -> Sequence[bytes]:
        """The further listings, then the names."""
        return (*IMAGE_LISTINGS, *super().names())

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """Give an image a name that is no full reference, or one that is written in one piece."""
        if name in IMAGE_LISTINGS:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
        return super().make_link(name, target, caller)

    def _listing(self, name: bytes) -> Node:
        records = self.context.records
        if name == b"by-id":
            return _ByID(self.context)
        if name == b"by-digest":
            return GroupDirectory(
                self.number("by-digest"), self._look, lambda: images_by_digest(records().images)
            )
        return LinkDirectory(
            self.number("dangling"), self._look, lambda: dangling_links(records().images)
        )


class _ByID(Listing):
    """The real directories of images. rmdir deletes an image and the layers only it needs."""

    def __init__(self, context: TreeContext) -> None:
        super().__init__(context, IMAGES_BY_ID)

    def child(self, name: bytes) -> Node:
        table = self.context.records().images
        text = decode(name)
        image = table.get(text)
        if image is not None and encode(image.id) == name:
            return ImageDirectory(self.context, image.id)
        image = image or find_image(table, text)
        if image is None:
            raise missing(name)
        return self.also_known_as(name, encode(image.id))

    def names(self) -> Sequence[bytes]:
        return _image_components(self.context.records().images)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        image = self.context.records().images.get(decode(name))
        if image is None or encode(image.id) != name:
            raise missing(name)
        self.context.guard.check(ObjectKey("image", image.id), caller, name)
        self._withdraw_layers(image)
        self.context.store.images.delete(image.id)

    def _withdraw_layers(self, image: Image) -> None:
        """Let go of the layers that go with the image, unless a container will refuse that."""
        records = self.context.records()
        if image.layer is None or records.containers.of_image(image.id):
            return
        for layer in records.layers.chain(image.layer):
            if set(records.images_on(layer.id)) == {image.id}:
                self.context.content.withdraw(ObjectKey("layer", layer.id))


@once_per
def _image_components(table: ImageTable) -> tuple[bytes, ...]:
    components = (encode(image.id) for image in in_order(table))
    return tuple(component for component in components if len(component) <= LONGEST)


@once_per
def dangling_links(table: ImageTable) -> Mapping[bytes, bytes]:
    """Links to images without names, from ``images/dangling/``."""
    return {encode(image): b"../by-id/" + encode(image) for image in dangling(table)}


@once_per
def images_by_digest(table: ImageTable) -> Mapping[bytes, Mapping[bytes, bytes]]:
    """Links from digests to images, by algorithm, from ``images/by-digest/ALGORITHM/``."""
    return digest_links(table.by_digest, lambda image: b"../../by-id/" + encode(image))
