"""The directories of overlay layers: found, read, chained; lost links made again.

Used by: drivers.overlay.driver and its parts. Knows nothing of: mounts.

HOME/l/SHORT            link to ../ID/diff
HOME/ID/link            SHORT
HOME/ID/lower           chain of parents as l/SHORT:l/SHORT, uppermost first; not in a base layer
HOME/ID/lower-layers    the same as IDs
HOME/ID/diff            content;  diff1, diff2, … older content under other owners
HOME/ID/work  merged    for mounting;  empty: the lower directory of a base layer

Layers in other homes (image store, additional image stores) are found, never changed. What
strangers wrote into the small files is checked before it becomes part of a path.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from errno import EINVAL, ENOENT, ENOTDIR
from typing import Final, NamedTuple

from drivers.errors import LayerDirectoryError, UnsafeNameError, is_of_disk, is_shortage
from drivers.ids import LayerID
from drivers.linux import atomicfile, regularfile
from drivers.linux.presence import is_there
from drivers.overlay import lowers

_LONGEST_FILE: Final = 1 << 20
REMEDY: Final = "remove the layer and pull or build its image again"
MEND: Final = "storagefs repair --apply writes it again"


class Lower(NamedTuple):
    """One lower layer of a chain. ``path`` names its content the way the Go tools mount it."""

    layer: LayerID
    path: str


class Layout:
    """All homes of one store. The first is the driver's own; new image layers go to *images*.

    With *repairs* a small file or link that was lost, and that the others still tell, is written
    again in the driver's own home.
    """

    def __init__(
        self, home: str, *, images: str = "", others: Sequence[str] = (), repairs: bool = False
    ) -> None:
        self._repairs = repairs
        self.home = home
        self.images = images or home
        self.own_homes = tuple(dict.fromkeys((home, self.images)))
        self.homes = tuple(dict.fromkeys((*self.own_homes, *others)))

    def only_looking(self) -> "Layout":
        """The same homes, of which nothing is repaired."""
        return Layout(self.home, images=self.images, others=self.homes, repairs=False)

    def find(self, layer: LayerID) -> str | None:
        """Return the directory of *layer* in the first home that has it."""
        return _first(self.homes, layer)

    def find_writable(self, layer: LayerID) -> str | None:
        """The same, but only in the homes that are this store's own."""
        return _first(self.own_homes, layer)

    def lying(self, layer: LayerID) -> str | None:
        """Return whatever has the layer's name there; its directory, if that is there."""
        found = self.find_writable(layer)
        if found is not None or not lowers.is_layer_name(layer):
            return found
        paths = (os.path.join(home, layer) for home in self.own_homes)
        return next((path for path in paths if is_there(path)), None)

    def directory(self, layer: LayerID) -> str:
        """Return the directory of *layer*, which must exist."""
        found = self.find(layer)
        if found is None:
            path = os.path.join(self.home, lowers.checked_id(layer))
            raise LayerDirectoryError(layer, path, "is missing", remedy=REMEDY)
        return found

    def is_own(self, directory: str) -> bool:
        """Whether a layer's directory is in the driver's own home, where layers may be written."""
        return os.path.dirname(directory) == self.home

    def short_name(self, layer: LayerID) -> str:
        """Return the short name of *layer*; where its file is damaged, from the link to it."""
        directory = self.directory(layer)
        path = os.path.join(directory, "link")
        try:
            return lowers.parse_short_name(read_small_file(layer, path))
        except (FileNotFoundError, UnsafeNameError, LayerDirectoryError) as damage:
            home = os.path.dirname(directory)
            found = [name for name, target in links_in(home) if target == lowers.target_of(layer)]
            if len(found) != 1:
                raise LayerDirectoryError(layer, path, _why(damage), remedy=REMEDY) from damage
            if self._repairs and home == self.home:
                atomicfile.replace(path, found[0].encode(), mode=0o644)
            return found[0]

    def layer_named(self, short: str) -> LayerID | None:
        """Return the layer that a short name leads to; None if it leads nowhere."""
        for home in self.homes:
            try:
                name = lowers.parse_short_name(short)
                return lowers.parse_target(read_link(os.path.join(home, "l", name)) or "")
            except UnsafeNameError:
                continue
        return None

    def all_short_names(self) -> list[str]:
        """Return every short name that has a link, sorted."""
        return sorted({name for home in self.homes for name, _ in links_in(home)})

    def lower_names(self, layer: LayerID) -> tuple[str, ...]:
        """Return the short names of all layers below *layer*, uppermost first."""
        path = os.path.join(self.directory(layer), "lower")
        try:
            return lowers.parse_lower(read_small_file(layer, path))
        except (FileNotFoundError, UnsafeNameError, LayerDirectoryError) as damage:
            ids = self._lower_ids(layer)
            if not ids and isinstance(damage, FileNotFoundError):
                return ()
            if not ids:
                raise LayerDirectoryError(layer, path, _why(damage), remedy=MEND) from damage
            return tuple(self.short_name(lower) for lower in ids)

    def _lower_ids(self, layer: LayerID) -> tuple[LayerID, ...]:
        """Return what ``lower-layers`` says, which older Go tools do not write."""
        path = os.path.join(self.directory(layer), "lower-layers")
        try:
            return lowers.parse_ids(read_small_file(layer, path))
        except (FileNotFoundError, UnsafeNameError, LayerDirectoryError):
            return ()

    def parent(self, layer: LayerID) -> LayerID | None:
        """Return the layer right below *layer*."""
        names = self.lower_names(layer)
        return self._resolve(layer, names[:1])[0].layer if names else None

    def chain(self, layer: LayerID) -> list[Lower]:
        """Return all layers below *layer*, uppermost first."""
        return self._resolve(layer, self.lower_names(layer))

    def _resolve(self, layer: LayerID, names: Sequence[str]) -> list[Lower]:
        found = {name: self._linked(layer, name) for name in names}
        if None in found.values():
            found |= self._relink([name for name in names if found[name] is None])
        resolved = [found[name] for name in names]
        if None in resolved:
            path = os.path.join(self.home, "l", names[resolved.index(None)])
            raise LayerDirectoryError(layer, path, "is missing or leads nowhere", remedy=REMEDY)
        return [lower for lower in resolved if lower is not None]

    def _linked(self, layer: LayerID, name: str) -> Lower | None:
        for home in self.homes:
            path = os.path.join(home, "l", name)
            target = read_link(path)
            if target is not None:
                try:
                    lower = lowers.parse_target(target)
                except UnsafeNameError as damage:
                    raise LayerDirectoryError(layer, path, _why(damage), remedy=MEND) from damage
                if os.path.exists(path):
                    return Lower(lower, path)
        return None

    def _relink(self, lost: Sequence[str]) -> dict[str, Lower | None]:
        """Find lost links by the layers' link files, in one pass; make them again if allowed."""
        found: dict[str, Lower | None] = {}
        for home in self.homes:
            for layer, short in self._short_names(home):
                if short not in lost or short in found:
                    continue
                path = os.path.join(home, "l", short)
                if self._repairs and home == self.home and not is_there(path):
                    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
                    os.symlink(lowers.target_of(layer), path)
                    atomicfile.sync_directory(os.path.dirname(path))
                    found[short] = Lower(layer, path)
                else:
                    found[short] = Lower(layer, os.path.join(home, layer, "diff"))
        return found

    def _short_names(self, home: str) -> Iterator[tuple[LayerID, str]]:
        for layer in layers_in(home):
            path = os.path.join(home, layer, "link")
            try:
                yield layer, lowers.parse_short_name(read_small_file(layer, path))
            except (OSError, UnsafeNameError, LayerDirectoryError) as damage:
                if is_shortage(damage) or is_of_disk(damage):
                    raise


def layers_in(home: str) -> list[LayerID]:
    """Return the layers that have a directory in *home*, sorted."""
    try:
        with os.scandir(home) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [LayerID(name) for name in sorted(names) if name not in lowers.RESERVED]


def older_contents(directory: str) -> list[str]:
    """Return diff1, diff2, … of a layer's directory, up to the first gap."""
    found: list[str] = []
    while is_directory(path := os.path.join(directory, f"diff{len(found) + 1}")):
        found.append(path)
    return found


def own_part(directory: str, layer: LayerID, name: str) -> str:
    """Return a directory in that of a layer; one that is a link could lead anywhere."""
    path = os.path.join(directory, name)
    if is_directory(path):
        return path
    if os.path.islink(path):
        remedy = "put the directory itself in the place of the link"
        raise LayerDirectoryError(layer, path, "is a link", remedy=remedy)
    remedy = "make an empty directory there" if name == "work" else REMEDY
    raise LayerDirectoryError(layer, path, "is missing or no directory", remedy=remedy)


def links_in(home: str) -> list[tuple[str, str]]:
    """Return every short name of *home* with what its link holds."""
    directory = os.path.join(home, "l")
    try:
        names = os.listdir(directory)
    except OSError as error:
        if is_shortage(error) or is_of_disk(error):
            raise
        names = []
    return [(name, read_link(os.path.join(directory, name)) or "") for name in names]


def _why(damage: Exception) -> str:
    """The reason alone where the error names the layer and the file as well."""
    if isinstance(damage, OSError):
        return damage.strerror or str(damage)
    return damage.reason if isinstance(damage, LayerDirectoryError) else str(damage)


def _first(homes: Sequence[str], layer: LayerID) -> str | None:
    if not lowers.is_layer_name(layer):
        return None
    paths = (os.path.join(home, layer) for home in homes)
    return next((path for path in paths if is_directory(path)), None)


def is_directory(path: str) -> bool:
    """Whether *path* itself, not what a link there leads to, is a directory."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_link(path: str) -> str | None:
    """Return what the link *path* holds; None if no link is there."""
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (ENOENT, ENOTDIR, EINVAL):
            return None
        raise


def read_small_file(layer: LayerID, path: str) -> str:
    """Read a small file of a layer; FileNotFoundError is the caller's."""
    try:
        fd = regularfile.open_fd(path, os.O_RDONLY | os.O_NOFOLLOW)
    except regularfile.NotRegularError as error:
        raise LayerDirectoryError(layer, path, "is no regular file", remedy=REMEDY) from error
    with open(fd, "rb") as file:
        data = file.read(_LONGEST_FILE)
    if not data or b"\0" in data:
        raise LayerDirectoryError(layer, path, "is empty or damaged", remedy=REMEDY)
    return data.decode(errors="surrogateescape")
