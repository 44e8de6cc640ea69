"""``storagefs mount`` of a tree: which store, which place, then the session or the daemon.

Used by: backend.cli.command, fusefs.mounthelper. Knows nothing of: what a session does.
"""

import gc
import os
import re
from dataclasses import replace
from typing import Final

from backend.cli import mounting
from backend.cli.grammar import Values
from backend.cli.request import Request
from backend.errors import ConfigError
from backend.model.options import StoreOptions
from drivers.errors import StorageError
from fusefs.options import MountOptionError, MountOptions, parse
from fusefs.verbs import are_places

USAGE_FAILED: Final = 1
MOUNT_FAILED: Final = 32
_FLAG_OF: Final = {
    "runroot": "run",
    "driver": "storage-driver",
    "imagestore": "image-store",
    "lock_timeout": "lock-timeout",
}
_SEPARATOR: Final = re.compile(r"(?<!\\),")
_NO_SPEC: Final = ("", "none", "storagefs")


def run(request: Request) -> int:
    """Mount; exit codes are those of mount(8). What is no path is an object: the Go tool's verb."""
    arguments = request.line.arguments
    if not are_places(arguments):
        return _mount_objects(request)
    if len(arguments) > 2:
        request.output.error(f"{arguments[2]!r} is too much: a tree needs [GRAPHROOT] MOUNTPOINT")
        return USAGE_FAILED
    spec, where = arguments if len(arguments) == 2 else ("", *arguments)
    values = request.values
    try:
        mount = _mount_options(values, resolved(where))
        mount = replace(mount, source=spec if spec in _NO_SPEC else "")
        root = graph_root(spec, mount)
        asked = request._replace(line=request.line._replace(values=_with_store(values, mount)))
        store = asked.options(graph_root=root, read_only=mount.read_only)
        for_reading = asked.options(graph_root=root, read_only=True)
    except (MountOptionError, ConfigError) as error:
        request.output.error(str(error), error.remedy)
        return USAGE_FAILED
    try:
        _check_store(for_reading)
        return 0 if values.on("fake") else start(store, mount)
    except StorageError as error:
        request.output.error(str(error), error.remedy)
    except OSError as error:
        request.output.error(f"{error.filename or where}: {error.strerror or error}")
    return MOUNT_FAILED


def _mount_objects(request: Request) -> int:
    exit_code = mounting.mount(request)
    name = request.line.arguments[-1]
    if exit_code and os.path.isdir(name):
        remedy = f"to show the store there, run: storagefs mount ./{name}"
        request.output.error(f"{name} is a directory here", remedy)
    return exit_code


def _mount_options(values: Values, where: str) -> MountOptions:
    texts = values.items("options")
    if values.on("sloppy"):
        texts = tuple(
            option for text in texts for option in _SEPARATOR.split(text) if _is_known(option)
        )
    mount = parse(",".join(texts), where, ids="mounter" if os.geteuid() else "host")
    return replace(
        mount,
        foreground=mount.foreground or values.on("foreground"),
        debug=mount.debug or values.on("debug"),
    )


def _is_known(option: str) -> bool:
    try:
        parse(option, "/")
    except MountOptionError:
        return False
    return True


def _with_store(values: Values, mount: MountOptions) -> Values:
    """The flags, with what ``-o`` says about the store in their place."""
    said = {_FLAG_OF[key]: value for key, value in mount.store.items() if key in _FLAG_OF}
    lists = dict(values.lists)
    if "storage_opt" in mount.store:
        lists["storage-opt"] = (*values.items("storage-opt"), mount.store["storage_opt"])
    return values._replace(texts={**values.texts, **said}, lists=lists)


def _check_store(store: StoreOptions) -> None:
    """Raise what is wrong with the store. A mount shows one that is there; it never makes one."""
    from backend import open_store

    open_store(store._replace(read_only=True)).close()


def start(store: StoreOptions, mount: MountOptions) -> int:
    """Serve here, or start the daemon and wait until it is ready; return the exit code."""
    if mount.foreground:
        from fusefs import session

        gc.enable()
        return session.mount(store, mount, _nobody_waits)
    from fusefs import daemon

    return daemon.start(store, mount)


def _nobody_waits() -> None:
    """Readiness in the foreground: systemd is told by the session itself."""


def resolved(where: str) -> str:
    """*where* as an absolute path without symlinks; a dead mount there is not touched."""
    where = os.path.abspath(where)
    try:
        return os.path.realpath(os.path.join(os.path.dirname(where), os.readlink(where)))
    except OSError:  # no symlink itself
        parent, name = os.path.split(where)
        return os.path.join(os.path.realpath(parent), name)


def graph_root(spec: str, mount: MountOptions) -> str:
    """The graph root that *spec* (first word of mount or fstab) or ``store=`` names; or ""."""
    store = mount.store.get("store", "")
    spec = "" if spec in _NO_SPEC else os.path.abspath(spec)
    if spec and store and os.path.abspath(store) != spec:
        raise ConfigError(
            f"store={store}",
            f"the source says {spec}",
            remedy="name the store once: as the source, or with store= and the source none",
        )
    return spec or store
