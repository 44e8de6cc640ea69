"""Making the directories of a new overlay layer, and taking a layer's away.

Used by: drivers.overlay.driver. Knows nothing of: records, mounts.
"""

import os
import stat
from collections.abc import Sequence

from drivers.errors import LayerDirectoryError, LayerExistsError, UnsafeNameError, is_shortage
from drivers.idmap.owners import owner_of_root
from drivers.ids import LayerID
from drivers.linux import atomicfile
from drivers.overlay import lowers
from drivers.overlay.layout import Layout, links_in, read_link, read_small_file
from drivers.protocol import NewLayer, Trash


def create(layout: Layout, new: NewLayer, *, sync: bool, content: str = "") -> None:
    """Make the directories of a new layer; nothing of it is left after an error.

    The directory *content*, made by :func:`make_content`, becomes its content.
    """
    home = home_of(layout, new)
    directory = os.path.join(home, lowers.checked_id(new.id))
    chain = _names_below(layout, new.parent)
    short = lowers.new_short_name()
    os.makedirs(home, 0o700, exist_ok=True)
    os.makedirs(os.path.join(home, "l"), 0o755, exist_ok=True)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        raise LayerExistsError(new.id, directory) from None
    try:
        files = _fill(layout, new, directory, chain=chain, short=short)
        if content:
            os.rename(content, os.path.join(directory, "diff"))
        else:
            make_content(layout, new, os.path.join(directory, "diff"))
        os.symlink(lowers.target_of(new.id), os.path.join(home, "l", short))
        if sync:  # all at the end: what is waited for then is mostly done with the first
            for file in files:
                atomicfile.sync_file(file)
            for changed in (directory, os.path.join(home, "l"), home):
                atomicfile.sync_directory(changed)
    except BaseException:
        from drivers.erase import erase_tree

        erase_tree(os.path.join(home, "l", short))
        erase_tree(directory)
        raise


def home_of(layout: Layout, new: NewLayer) -> str:
    """Return where a new layer belongs."""
    return layout.home if new.writable else layout.images


def make_content(layout: Layout, new: NewLayer, path: str) -> None:
    """Make the empty content of a new layer, with mode and owner of its parent's."""
    mode, owner = 0o555, owner_of_root(new.uid_map, new.gid_map)
    if new.parent is not None:
        status = os.stat(os.path.join(layout.directory(new.parent), "diff"))
        mode, owner = stat.S_IMODE(status.st_mode) & 0o777, (status.st_uid, status.st_gid)
    _make(path, mode, owner)


def _names_below(layout: Layout, parent: LayerID | None) -> tuple[str, ...]:
    if parent is None:
        return ()
    return (layout.short_name(parent), *layout.lower_names(parent))


def _fill(
    layout: Layout,
    new: NewLayer,
    directory: str,
    *,
    chain: Sequence[str],
    short: str,
) -> Sequence[str]:
    """Make all but the content; return the paths of the files."""
    root = owner_of_root(new.uid_map, new.gid_map)
    files = {"link": short}
    if new.parent is not None:
        ids = (new.parent, *(lower.layer for lower in layout.chain(new.parent)))
        files |= {"lower": lowers.format_lower(chain), "lower-layers": ":".join(ids)}
    else:
        _make(os.path.join(directory, "empty"), 0o700, root)
    for name in ("work", "merged"):
        _make(os.path.join(directory, name), 0o700, root)
    _give(directory, root)
    return [_write(os.path.join(directory, name), text) for name, text in files.items()]


def _make(path: str, mode: int, owner: tuple[int, int]) -> None:
    os.mkdir(path, mode)
    os.chmod(path, mode)
    _give(path, owner)


def _give(path: str, owner: tuple[int, int]) -> None:
    if owner != (os.geteuid(), os.getegid()):
        os.chown(path, *owner)


def _write(path: str, text: str) -> str:
    with open(path, "x", encoding="utf-8") as file:  # nobody looks before there is a record
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
    return path


def take_away(layer: LayerID, directory: str, trash: Trash) -> None:
    """Rename the layer's *directory*, and the link to it, into *trash*."""
    home, target = os.path.dirname(directory), lowers.target_of(layer)
    try:
        names = [lowers.parse_short_name(read_small_file(layer, os.path.join(directory, "link")))]
    except (OSError, UnsafeNameError, LayerDirectoryError) as damage:
        if is_shortage(damage):
            raise
        names = [name for name, found in links_in(home) if found == target]
    for link in (os.path.join(home, "l", name) for name in names):
        if read_link(link) == target:
            trash.take(link)
    trash.take(directory)
