"""Settings, environment and flags -> StoreOptions, each value with its origin.

Used by: the command line, fusefs, callers of the library (as ``backend.config.load_options``).
Knows nothing of: which files were read, whether a store is there.

If one of graph root, run root, driver and driver options is given explicitly, files and variables
tell nothing but a root that is missing (cli rules of the Go tool). If both roots are given, files
that nobody named are not even read.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from backend.codec.storageconf import DRIVER_TABLES, Setting, Settings, Value
from backend.config.environment import (
    ProcessEnvironment,
    expand,
    is_rootless,
    process_environment,
    runtime_directory,
)
from backend.config.files import read_settings
from backend.errors import ConfigError
from backend.model.options import StoreOptions
from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap

ROOT_GRAPH_ROOT: Final = "/var/lib/containers/storage"
ROOT_RUN_ROOT: Final = "/run/containers/storage"
_ROOT_PLACES: Final = (ROOT_GRAPH_ROOT, ROOT_RUN_ROOT, "/var" + ROOT_RUN_ROOT)
_SYNC_MODES: Final = ("filesystem", "none")
_BUILT_IN: Final = "built-in default"
_GENERIC_OPTIONS: Final = (
    "size",
    "mount_program",
    "skip_mount_home",
    "ignore_chown_errors",
    "force_mask",
    "mountopt",
)


class Explicit(NamedTuple):
    """What the caller's flags say; they win over everything. None and () mean "not said"."""

    graph_root: str | None = None
    run_root: str | None = None
    image_store: str | None = None
    driver: str | None = None
    driver_options: Sequence[str] = ()
    transient: bool | None = None

    @property
    def ignores_files(self) -> bool:
        """Whether files and variables keep silent about driver and options."""
        given = (self.graph_root, self.run_root, self.driver)
        return bool(self.driver_options) or any(value for value in given)


def load_options(
    *,
    graph_root: str | None = None,
    run_root: str | None = None,
    image_store: str | None = None,
    driver: str | None = None,
    driver_options: Sequence[str] = (),
    read_only: bool = False,
    transient: bool | None = None,
    lock_timeout: float | None = None,
    environment: ProcessEnvironment | None = None,
) -> StoreOptions:
    """Decide which store is meant and how to open it.

    Raises:
        ConfigError: A file or variable cannot be used; ``origin`` names it.
    """
    environment = environment or process_environment()
    explicit = Explicit(
        graph_root=graph_root,
        run_root=run_root,
        image_store=image_store,
        driver=driver,
        driver_options=driver_options,
        transient=transient,
    )
    default_files = not (graph_root and run_root)
    settings = read_settings(environment, default_files=default_files)
    resolver = _Resolver(environment, settings, explicit)
    return resolver.options(read_only=read_only, lock_timeout=lock_timeout)


class _Resolver:
    """Turns settings, variables and flags into options; notes the origin of each as it goes."""

    def __init__(
        self, environment: ProcessEnvironment, settings: Settings, explicit: Explicit
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._explicit = explicit
        self._quiet = explicit.ignores_files
        self._origins: dict[str, str] = {}

    def options(self, *, read_only: bool, lock_timeout: float | None) -> StoreOptions:
        driver = self._driver()
        graph_root, run_root = self._graph_root(), self._run_root()
        image_store = self._image_store(graph_root)
        driver_options = self._driver_options(driver)
        return StoreOptions(
            graph_root=graph_root,
            run_root=run_root,
            image_store=image_store,
            driver=driver,
            driver_priority=self._list("driver_priority", "driver_priority"),
            driver_options=tuple(one for one in driver_options if not _is_sync(one)),
            read_only=read_only,
            transient=self._transient(),
            disable_volatile=self._value("disable_volatile", "options.disable-volatile") is True,
            sync=self._sync(driver, driver_options),
            lock_timeout=60.0 if lock_timeout is None else lock_timeout,
            rootless=is_rootless(self._environment),
            pull_options=self._pull_options(),
            root_auto_userns_user=self._text(
                "root_auto_userns_user", "options.root-auto-userns-user"
            ),
            auto_userns_min_size=self._number(
                "auto_userns_min_size", "options.auto-userns-min-size"
            ),
            auto_userns_max_size=self._number(
                "auto_userns_max_size", "options.auto-userns-max-size"
            ),
            rootless_user=self._environment.get("USER") or str(self._environment.uid),
            uid_map=self._id_map("uid_map", "remap-uids"),
            gid_map=self._id_map("gid_map", "remap-gids"),
            id_shifting=self._environment.get("_CONTAINERS_OVERLAY_DISABLE_IDMAP") != "yes",
            origins=MappingProxyType(self._origins),
        )

    # Values and where they come from

    def _value(self, name: str, key: str) -> Value | None:
        """Value of a key, unless flags make the files keep silent."""
        setting = None if self._quiet else self._settings.values.get(key)
        return self._noted(name, setting)

    def _noted(self, name: str, setting: Setting | None) -> Value | None:
        self._origins[name] = setting.origin if setting else _BUILT_IN
        return setting.value if setting else None

    def _text(self, name: str, key: str) -> str:
        value = self._value(name, key)
        return value if isinstance(value, str) else ""

    def _number(self, name: str, key: str) -> int:
        value = self._value(name, key)
        return value if isinstance(value, int) else 0

    def _list(self, name: str, key: str) -> tuple[str, ...]:
        value = self._value(name, key)
        return value if isinstance(value, tuple) else ()

    def _id_map(self, name: str, key: str) -> tuple[IDMap, ...]:
        text = self._text(name, f"options.{key}")
        if not text:
            return ()
        from drivers.idmap.subids import parse_maps

        try:
            return parse_maps([text], f"storage.options.{key}")
        except IDMapError as error:
            raise ConfigError(self._origins[name], str(error), remedy=error.remedy) from None

    def _pull_options(self) -> Mapping[str, str]:
        if self._quiet:
            return MappingProxyType({})
        options = self._settings.pull_options
        self._origins.update((f"pull_options.{key}", s.origin) for key, s in options.items())
        return MappingProxyType({key: str(setting.value) for key, setting in options.items()})

    # Roots

    def _graph_root(self) -> str:
        if self._explicit.graph_root:
            self._origins["graph_root"] = "command line"
            return os.path.abspath(self._explicit.graph_root)
        rootless = self._environment.uid != 0
        keys = ("graphroot", "rootless_storage_path") if rootless else ("graphroot",)
        for key in keys:
            path = self._root_from_files("graph_root", key)
            if path:
                return path
        self._origins["graph_root"] = _BUILT_IN
        if not rootless:
            return ROOT_GRAPH_ROOT
        data_home = self._environment.get("XDG_DATA_HOME")
        data_home = data_home or os.path.join(self._environment.home, ".local", "share")
        return os.path.join(data_home, "containers", "storage")

    def _run_root(self) -> str:
        if self._explicit.run_root:
            self._origins["run_root"] = "command line"
            return os.path.abspath(self._explicit.run_root)
        path = self._root_from_files("run_root", "runroot")
        if path:
            return path
        self._origins["run_root"] = _BUILT_IN
        if self._environment.uid == 0:
            return ROOT_RUN_ROOT
        return os.path.join(runtime_directory(self._environment), "containers")

    def _root_from_files(self, name: str, key: str) -> str:
        """A root from a file, expanded; "" where none counts.

        A file for the whole machine that names root's own directories is older than the rule that
        it holds for other users too: it does not send them there.
        """
        setting = self._settings.values.get(key)
        if setting is None or not setting.value:
            return ""
        if self._environment.uid != 0 and setting.value in _ROOT_PLACES:
            return ""
        self._origins[name] = setting.origin
        path = expand(str(setting.value), self._environment)
        if not os.path.isabs(path):
            raise ConfigError(
                setting.origin,
                f"storage.{key}: {setting.value!r} is not an absolute path",
                remedy="write a path that begins with a slash",
            )
        return path

    def _image_store(self, graph_root: str) -> str:
        if self._explicit.image_store:
            self._origins["image_store"] = "command line"
            path = os.path.abspath(self._explicit.image_store)
        else:
            path = self._text("image_store", "imagestore")
        if path and path == graph_root:
            raise ConfigError(
                self._origins["image_store"],
                f"image store {path} is the graph root itself",
                remedy="leave the image store out, or give it a directory of its own",
            )
        return path

    def _transient(self) -> bool:
        if self._explicit.transient is not None:
            self._origins["transient"] = "command line"
            return self._explicit.transient
        return self._value("transient", "transient_store") is True

    # Driver

    def _driver(self) -> str:
        if self._explicit.driver:
            self._origins["driver"] = "command line"
            name = self._explicit.driver
        elif not self._quiet and self._environment.get("STORAGE_DRIVER"):
            self._origins["driver"] = "STORAGE_DRIVER"
            name = self._environment.get("STORAGE_DRIVER")
        else:
            name = self._text("driver", "driver")
        return "overlay" if name == "overlay2" else name

    def _driver_options(self, driver: str) -> tuple[str, ...]:
        if self._quiet:
            self._origins["driver_options"] = (
                "command line" if self._explicit.driver_options else _BUILT_IN
            )
            return tuple(self._explicit.driver_options)
        if "STORAGE_OPTS" in self._environment.variables:
            self._origins["driver_options"] = "STORAGE_OPTS"
            return tuple(filter(None, self._environment.get("STORAGE_OPTS").split(",")))
        return tuple(self._options_from_files(driver))

    def _options_from_files(self, driver: str) -> Iterator[str]:
        """``DRIVER.KEY=VALUE`` as the Go tools derive it: stores, generic keys, driver tables."""
        origins: dict[str, None] = {}
        for key, name in (
            ("additionalimagestores", "imagestore"),
            ("additionallayerstores", "additionallayerstore"),
        ):
            setting = self._settings.values.get(f"options.{key}")
            if setting and isinstance(setting.value, tuple) and setting.value:
                origins[setting.origin] = None
                yield from (f"{driver}.{name}={item}" for item in setting.value)
        tables: list[tuple[str, str, Sequence[str]]] = [("options", driver, _GENERIC_OPTIONS)]
        tables += [
            (f"options.{table}", table, _keys_of(table, self._settings))
            for table in ([driver] if driver else DRIVER_TABLES)
        ]
        for prefix, table, keys in tables:
            for key in keys:
                setting = self._settings.values.get(f"{prefix}.{key}")
                if setting and setting.value:
                    origins[setting.origin] = None
                    yield f"{table}.{key}={setting.value}"
        self._origins["driver_options"] = ", ".join(origins) or _BUILT_IN

    def _sync(self, driver: str, driver_options: Sequence[str]) -> str:
        """``sync`` of the driver: of its table or, the last one, of its options."""
        value = self._text("sync", f"options.{driver or 'overlay'}.sync")
        origin = self._origins["sync"]
        for option in driver_options:
            if _is_sync(option):
                value, origin = option.partition("=")[2], self._origins["driver_options"]
        value = value.strip().lower() or _SYNC_MODES[0]
        self._origins["sync"] = origin
        if value not in _SYNC_MODES:
            raise ConfigError(
                origin, f"sync: {value!r} is unknown", remedy="write filesystem or none"
            )
        return value


def _is_sync(option: str) -> bool:
    """Whether a driver option says how the store syncs, which is no driver's business."""
    return option.partition("=")[0].strip().lower().rpartition(".")[2] == "sync"


def _keys_of(table: str, settings: Settings) -> Sequence[str]:
    prefix = f"options.{table}."
    keys = [key.removeprefix(prefix) for key in settings.values if key.startswith(prefix)]
    return [key for key in keys if key != "sync"]
