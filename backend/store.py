"""Opens a graph root and wires record stores, driver and verbs together.

Used by: backend's public names, backend.cli, fusefs. Knows nothing of: how a verb works.
Verbs and driver are imported at their first use: listing makes none, and must feel instant.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from backend.errors import InvalidValueError, NotAStoreError
from backend.files.paths import StorePaths
from backend.model.options import StoreOptions
from backend.model.snapshot import Snapshot
from backend.stores.additional import directories
from backend.stores.whole import Snapshots, open_stores
from drivers.errors import DriverNotSupportedError, StorageError, WrongDriverError
from drivers.linux.presence import is_there

if TYPE_CHECKING:  # see above; none of these imports this module
    from backend.api.containers import Containers
    from backend.api.images import Images
    from backend.api.importing import Progress
    from backend.api.layers import Layers
    from backend.api.mounts import Mounts
    from backend.api.repair import Done
    from backend.api.workshop import Workshop
    from backend.model.findings import Depth, Plan, Report, Step
    from backend.model.records import Image
    from backend.stores.transaction import WriteTx
    from drivers.ids import LayerID
    from drivers.protocol import DedupMethod, Driver

_DRIVERS: Final = ("overlay", "vfs", "btrfs", "zfs", "aufs")
_DEFAULT_DRIVER: Final = "overlay"
_MARKS: Final = ("storage.lock", "userns.lock", "libpod", "db.sql", "defaultNetworkBackend")


class Store:
    """A store that is open. Use :func:`open_store`; close it, or use it in a with-block."""

    def __init__(self, options: StoreOptions, driver_name: str) -> None:
        self.options: Final = options
        self.paths: Final = StorePaths(
            graph_root=options.graph_root,
            run_root=options.run_root,
            driver=driver_name,
            image_store=options.image_store,
            transient=options.transient,
        )
        self.stores: Final = open_stores(
            self.paths,
            additional=directories(options.driver_options, driver_name),
            writable=not options.read_only,
            lock_seconds=options.lock_timeout,
        )
        self._snapshots = Snapshots(self.stores)
        # The last snapshot that was mended, as far as that goes: not to be tried on again.
        self._mended: Snapshot | None = None
        # Guards _driver: two threads may need it first at the same time.
        self._opening = threading.Lock()
        self._driver: Driver | None = None

    @cached_property
    def layers(self) -> Layers:
        """Verbs on layers."""
        from backend.api.layers import Layers

        return Layers(self._shop)

    @cached_property
    def images(self) -> Images:
        """Verbs on images."""
        from backend.api.images import Images

        return Images(self._shop)

    @cached_property
    def containers(self) -> Containers:
        """Verbs on containers."""
        from backend.api.containers import Containers

        return Containers(self._shop)

    @cached_property
    def mounts(self) -> Mounts:
        """Verbs on mounts."""
        from backend.api.mounts import Mounts

        return Mounts(self._shop)

    def exists(self, reference: str) -> bool:
        """Whether a layer, an image or a container has this ID, name or unique prefix of an ID."""
        from backend.api import anykind

        return anykind.exists(self._shop, reference)

    def delete(self, reference: str) -> None:
        """Delete a container, else an image without its layers, else a layer: without any check.

        Raises LayerUnknownError where nothing has this ID, name or unique prefix of an ID.
        """
        from backend.api import anykind

        anykind.delete(self._shop, reference)

    @property
    def driver(self) -> Driver:
        """The driver; opened at its first use, which listing never makes."""
        with self._opening:
            if self._driver is None:
                self._driver = _open_driver(self.options, self.paths.driver)
            return self._driver

    def snapshot(self) -> Snapshot:
        """Every record, up to date. May wait for a writer. Raises LockTimeoutError.

        As in the Go tools, half-made layers and names in double use are put right on the way,
        unless the store is read-only.
        """
        snapshot = self._snapshots.take()
        if snapshot is self._mended or not self._snapshots.need_mending():
            return snapshot
        from backend.api.mending import mend

        with suppress(StorageError, OSError):  # what cannot be mended can be read all the same
            mend(self._shop)
        self._mended = self._snapshots.take()
        return self._mended

    def cached(self) -> Snapshot:
        """The last snapshot with this process's own changes; no I/O, no lock, any thread."""
        return self._snapshots.cached()

    def watched(self) -> Sequence[str]:
        """Files whose change means that :meth:`cached` may be stale.

        Watch their directories and stat them; a lock file must not be opened.
        """
        return self._snapshots.watched()

    @cached_property
    def _shop(self) -> Workshop:
        from backend.api.workshop import Workshop

        return Workshop(
            options=self.options,
            paths=self.paths,
            stores=self.stores,
            snapshots=self._snapshots,
            open_driver=lambda: self.driver,
            sweep=_sweep,
        )

    def copy(
        self, sources: Sequence[str], target: str, *, owner: tuple[int, int] | None = None
    ) -> None:
        """Copy files into a layer, out of one, or from one to another; see backend.api.copying."""
        from backend.api import copying

        copying.copy(self._shop, self.mounts, sources, target, owner=owner)

    def import_images(
        self,
        path: str,
        *,
        names: Iterable[str] = (),
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> Sequence[Image]:
        """Store what an OCI or docker archive has; see backend.api.importing.

        *path* is a file, plain or compressed, a directory, or "-" for standard input; *names*
        replace those of its only image.
        """
        from backend.api import archivefiles, importing

        with archivefiles.open_files(path, spool=self.paths.graph_root) as files:
            return importing.import_images(self.layers, self.images, files, names=names, tell=tell)

    def export_images(
        self,
        references: Sequence[str],
        path: str,
        *,
        form: str = "oci-archive",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Write images to an archive of one of backend.api.exporting's ``FORMATS``.

        *path* is what to make, "-" for standard output. Incomplete, it is removed again.
        """
        from backend.api import archiveplaces, exporting

        if form not in exporting.FORMATS:
            known = ", ".join(exporting.FORMATS)
            raise InvalidValueError("format", form, "not known", remedy=f"take one of {known}")
        place = archiveplaces.directory(path) if form == "oci" else archiveplaces.tar_file(path)
        with place as target:
            exporting.export_images(
                self.layers,
                self.images,
                references,
                target,
                docker=form == "docker-archive",
                tell=tell,
            )

    def shutdown(self, *, force: bool = False) -> Sequence[LayerID]:
        """Undo what opening the store did to the machine; return the layers unmounted for it.

        Raises MountedError while something is mounted, unless *force*.
        """
        from backend.api import upkeep

        return upkeep.shutdown(self._shop, force=force)

    def wipe(self) -> None:
        """Delete everything, whoever uses it."""
        from backend.api import upkeep

        upkeep.wipe(self._shop)

    def collect_garbage(self) -> Sequence[str]:
        """Delete what no record owns; return it, as IDs of layers and paths."""
        from backend.api import upkeep

        return upkeep.collect_garbage(self._shop)

    def dedup(self, method: DedupMethod) -> int:
        """Let equal files of image layers share blocks; return the bytes that came free."""
        from backend.api import upkeep

        return upkeep.dedup(self._shop, method)

    def check(
        self,
        depth: Depth,
        *,
        unreferenced_age: float = 86_400,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Report:
        """Look at everything and change nothing; *unreferenced_age* is in seconds."""
        from backend.api import check

        return check.check(self._shop, depth, unreferenced_age=unreferenced_age, tell=tell)

    def plan_repair(self, report: Report, *, containers: bool = False) -> Plan:
        """Steps that mend what *report* found; *containers*: also delete damaged containers."""
        from backend.api import repair

        return repair.plan(self._shop, report, containers=containers)

    def repair(
        self, steps: Sequence[Step], *, tell: Callable[[Step], None] = lambda _: None
    ) -> Sequence[Done]:
        """Take the steps of a plan."""
        from backend.api import repair

        return repair.repair(self._shop, steps, tell=tell)

    def close(self) -> None:
        """Let go of the driver. Mounts stay; closing twice is harmless."""
        with self._opening:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(options: StoreOptions, *, may_be_missing: bool = False) -> Store:
    """Open the store that *options* describe.

    Where there may be none yet, a directory that is missing or empty is a store without anything.
    Read-only, nothing is created and only read locks are taken; otherwise the directories of a
    new store are made. Raises NotAStoreError and WrongDriverError; damaged record files are
    listed as problems of the snapshot, and refused by what would have to rewrite them.
    """
    _check_root(options, may_be_missing=may_be_missing)
    store = Store(options, _driver_name(options))
    store.snapshot()
    return store


def _check_root(options: StoreOptions, *, may_be_missing: bool) -> None:
    root = options.graph_root
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        if options.read_only and may_be_missing:
            return
        if options.read_only:
            raise NotAStoreError(root, "no such directory", remedy=_WHERE) from None
        os.makedirs(root, 0o700, exist_ok=True)
        names = []
    except NotADirectoryError:
        raise NotAStoreError(root, "not a directory", remedy=_WHERE) from None
    except PermissionError:
        reason = "permission denied"
        raise NotAStoreError(root, reason, remedy="run it as the store's owner") from None
    if names or (options.read_only and not may_be_missing):
        marks = {*_MARKS, *_DRIVERS, *(f"{driver}-layers" for driver in _DRIVERS)}
        if marks.isdisjoint(names):
            raise NotAStoreError(root, "no store is in it", remedy=_WHERE)


def _driver_name(options: StoreOptions) -> str:
    """The driver asked for, else the one whose data is there, else the first that works."""
    root, present = options.graph_root, _drivers_with_data(options.graph_root)
    asked = "overlay" if options.driver == "overlay2" else options.driver
    if asked:
        if asked not in _DRIVERS:
            remedy = "use overlay, btrfs or vfs"
            raise DriverNotSupportedError(asked, "there is no such driver", remedy=remedy)
        if present and asked not in present:
            raise WrongDriverError(
                f"{root} is a store of {' and '.join(present)}, not of {asked}",
                remedy=f"ask for {present[0]}, or give another graph root",
            )
        return asked
    if len(present) > 1:
        raise WrongDriverError(
            f"{root} has data of several drivers: {', '.join(present)}",
            remedy="say which one with --storage-driver or in storage.conf",
        )
    if present:
        return present[0]
    return _open_driver(options, "").name if options.driver_priority else _DEFAULT_DRIVER


def _drivers_with_data(root: str) -> list[str]:
    """Drivers with records; where there are none at all, those with a home."""
    recorded = [name for name in _DRIVERS if is_there(f"{root}/{name}-layers/layers.json")]
    return recorded or [name for name in _DRIVERS if is_there(f"{root}/{name}")]


_WHERE: Final = "give the graph root with --graph, or set it in storage.conf"


def _sweep(shop: Workshop, tx: WriteTx) -> None:
    from backend.api.removal import sweep

    sweep(shop, tx)


def _open_driver(options: StoreOptions, name: str) -> Driver:
    from drivers import registry

    wanted = registry.DriverOptions(
        graph_root=options.graph_root,
        run_root=options.run_root,
        name=name,
        options=options.driver_options,
        image_store=options.image_store,
        priority=options.driver_priority,
        read_only=options.read_only,
        rootless=options.rootless,
        shifting=options.id_shifting,
    )
    return registry.open_driver(wanted)
