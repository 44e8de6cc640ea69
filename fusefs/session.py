"""One mount of one store: opens the store, puts the parts of the tree together, serves it.

Used by: fusefs.mountverb (foreground) and fusefs.daemon. Knows nothing of: single requests, how a
mount is served (fusefs.serving), what stands in the tree (fusefs.nodes.root).
"""

import contextlib
import logging
import os
import resource
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from backend.config import process_environment
from backend.errors import MountedError
from backend.model.options import StoreOptions
from backend.model.snapshot import Snapshot
from backend.store import Store, open_store
from drivers.errors import StorageError
from drivers.linux import capability, userns
from fusefs import heldmounts, logs, mountpoint
from fusefs.connection import Kind
from fusefs.difference import Difference, since
from fusefs.heldmounts import HeldMounts
from fusefs.native import NativeMounts
from fusefs.nodes.content import Content
from fusefs.nodes.context import TreeContext
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.nodes.identity import Looks
from fusefs.nodes.journal import Event, Journal
from fusefs.nodes.root import build_tree
from fusefs.options import MountOptions
from fusefs.serving import Bridges, Place, ServingError, Tree, serve
from fusefs.watch import Watcher

log: Final = logging.getLogger("storagefs")

_KEPT_FILES: Final = 16
"""Descriptors that are left to unmount with, however many files programs have open."""

DIED: Final = 2
"""Exit code of a mount that did not end because someone unmounted it."""


def mount(options: StoreOptions, mount: MountOptions, ready: Callable[[], None]) -> int:
    """Serve the store until it is unmounted; return the exit code.

    *ready* is called when people can see the tree. Raises StorageError or OSError for what went
    wrong before that.
    """
    logs.configure(mount.log, foreground=mount.foreground, debug=mount.debug)
    _allow_files(kept=_KEPT_FILES)
    with open_store(options) as store, contextlib.ExitStack() as claim:
        claim.enter_context(mountpoint.claimed(mount.where, options.run_root))
        _recover(store)
        roots = (options.graph_root, options.run_root)
        mountpoint.check(mount.where, roots=roots, nonempty=mount.nonempty)
        kind = Kind(
            source=mount.source or options.graph_root,
            read_only=mount.read_only,
            allow_other=mount.allow_other,
        )

        def visible() -> None:
            claim.close()  # from now on the kernel's table says who has the place
            ready()

        place = Place(
            where=mount.where,
            graph_root=options.graph_root,
            kind=kind,
            ready=visible,
            notify_socket=process_environment().notify_socket,
        )
        parts = _Parts(store, mount)
        try:
            serve(place, parts.build)
        except ServingError:
            return DIED
        finally:
            parts.close()
    return 0


def _allow_files(kept: int) -> None:
    """Each file that is open through us is open here: take what one may have, but for *kept*."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most - kept, most // 2), most))


def _looks(mount: MountOptions) -> Looks:
    """What ``ids=`` and ``symlinks=`` mean for the user who mounts."""
    rebase, uid, gid = mount.symlinks == "rebase", os.geteuid(), os.getegid()
    if mount.ids != "container" or not uid:
        return Looks(ids=mount.ids, rebase=rebase, uid=uid, gid=gid)
    users, groups = userns.own_maps()
    return Looks(ids=mount.ids, rebase=rebase, uid_map=users, gid_map=groups)


def _recover(store: Store) -> None:
    """Clean up after daemons that were killed."""
    try:
        recovered = heldmounts.recover(store, store.options.run_root)
    except (StorageError, OSError) as failure:
        log.warning("cleaning up after a daemon that was killed: %s", failure)
        return
    for where in recovered:
        log.info("cleaned up after a daemon that was killed: %s", where)


class _Parts:
    """The parts of one tree, and who calls whom."""

    def __init__(self, store: Store, mount: MountOptions) -> None:
        self._store, self._mount = store, mount
        self._held = HeldMounts(store, store.options.run_root)
        self._guard = DeletionGuard()
        can_mount = capability.can_mount()
        self._native_wanted = can_mount and mount.native == "auto" and mount.shows_as_stored
        self._content = Content(
            store,
            self._held,
            self._guard,
            can_mount=can_mount,
            covered=self._native_wanted,
            read_only=mount.read_only,
            looks=_looks(mount),
        )

    def close(self) -> None:
        """Nobody is served any more: give back what was held for the tree."""
        self._content.close()
        self._held.end()

    def build(self, bridges: Bridges) -> Tree:
        store = self._store
        journal = Journal()
        self._native = NativeMounts(
            self._content,
            self._held,
            self._mount,
            bridges.offload,
            self._guard,
            enabled=self._native_wanted,
            path_of=bridges.path_of,
        )
        self._context = TreeContext(
            store=store,
            content=self._content,
            journal=journal,
            guard=self._guard,
            open_to_all=self._mount.allow_other,
            attached=self._native.attached,
        )
        self._notifier, self._path_of = bridges.notifier, bridges.path_of
        self._context.records()  # changes count from here
        watcher = Watcher(store, bridges.offload, self._changed)
        journal.listen(bridges.polls_due)
        return Tree(
            root=build_tree(self._context),
            refusals=journal,
            gate=self._native.before,
            changed=watcher.poke,
            visible=self._native.mounted,
            tasks=(watcher.run, self._native.run),
            detach=self._detach,
            state=self._state,
        )

    def _changed(self) -> None:
        """Tell the kernel what to forget, and people what happened, in this order."""
        now = self._context.records()
        found = since(self._context.shown())
        for correction in found.corrections:
            self._correct(correction)
        self._let_go(found.events, now)
        self._context.tell(found.events)

    def _correct(self, found: Difference) -> None:
        """Tell the kernel what it may know that is no longer so."""
        for parent, name in found.entries:
            self._notifier.entry_changed(parent, name)
        for parent, name, ino in found.deleted:
            self._notifier.entry_deleted(parent, name, ino)
        for parent, name, ino in found.placed:
            if os.path.basename(self._path_of(ino)) != os.fsdecode(name):
                self._notifier.entry_changed(parent, name)
        for ino in found.inodes:
            self._notifier.inode_changed(ino)

    def _let_go(self, events: Iterable[Event], now: Snapshot) -> None:
        """Hold nothing for what others deleted. What is still in use goes when it is idle."""
        known = {"layer": now.layers.by_id, "container": now.containers.by_id}
        for event in events:
            if event.event == "deleted" and event.id not in known.get(event.kind, (event.id,)):
                try:
                    self._content.let_go(ObjectKey(event.kind, event.id))
                except MountedError:
                    pass
                except (OSError, StorageError) as problem:
                    log.warning("%s %s is deleted: %s", event.kind, event.id, problem)

    def _detach(self) -> None:
        """Native mounts first: they keep the tree from being unmounted."""
        _allow_files(kept=0)
        self._native.detach_all()

    def _state(self) -> Mapping[str, Any]:
        return {"native": self._native.attached(), "held": self._held.held()}
