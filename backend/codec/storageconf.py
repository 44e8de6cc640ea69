"""storage.conf: texts of TOML in, one set of settings with the origin of each out (pure).

Used by: backend.config. Knows nothing of: where the files are, the environment, defaults.

Files are merged in the order given. A key in a later file wins, also when it is empty, false or 0;
``pull_options`` merge key by key. A list is replaced, unless the array contains the inline table
``{append=true}``: from there on later arrays of that key append too, until one says
``{append=false}``. A key that nobody knows is no error: newer tools add some.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from backend.errors import ConfigError

Value = str | bool | int | tuple[str, ...]


class Kind(enum.Enum):
    """What a key holds, and the example that an error message offers."""

    TEXT = '"text"'
    LIST = '["first", "second"]'
    SWITCH = "true"
    TEXT_SWITCH = '"true"'
    NUMBER = "1024"
    MODE = "0o700"


_DRIVER_TABLES: Final[Mapping[str, Mapping[str, Kind]]] = {
    "overlay": {
        "force_mask": Kind.MODE,
        "ignore_chown_errors": Kind.TEXT_SWITCH,
        "inodes": Kind.TEXT,
        "mount_program": Kind.TEXT,
        "mountopt": Kind.TEXT,
        "size": Kind.TEXT,
        "skip_mount_home": Kind.TEXT_SWITCH,
        "sync": Kind.TEXT,
        "use_composefs": Kind.TEXT_SWITCH,
    },
    "vfs": {"ignore_chown_errors": Kind.TEXT_SWITCH, "sync": Kind.TEXT},
    "btrfs": {"min_space": Kind.TEXT, "size": Kind.TEXT},
    "zfs": {"fsname": Kind.TEXT, "mountopt": Kind.TEXT, "size": Kind.TEXT},
}

KEYS: Final[Mapping[str, Kind]] = {
    "driver": Kind.TEXT,
    "driver_priority": Kind.LIST,
    "graphroot": Kind.TEXT,
    "imagestore": Kind.TEXT,
    "rootless_storage_path": Kind.TEXT,
    "runroot": Kind.TEXT,
    "transient_store": Kind.SWITCH,
    "options.additionalimagestores": Kind.LIST,
    "options.additionallayerstores": Kind.LIST,
    "options.auto-userns-max-size": Kind.NUMBER,
    "options.auto-userns-min-size": Kind.NUMBER,
    "options.disable-volatile": Kind.SWITCH,
    "options.force_mask": Kind.MODE,
    "options.ignore_chown_errors": Kind.TEXT_SWITCH,
    "options.imagestore": Kind.TEXT,
    "options.mount_program": Kind.TEXT,
    "options.mountopt": Kind.TEXT,
    "options.remap-gids": Kind.TEXT,
    "options.remap-uids": Kind.TEXT,
    "options.root-auto-userns-user": Kind.TEXT,
    "options.size": Kind.TEXT,
    "options.skip_mount_home": Kind.TEXT_SWITCH,
    "options.use_composefs": Kind.TEXT_SWITCH,
    **{
        f"options.{driver}.{key}": kind
        for driver, table in _DRIVER_TABLES.items()
        for key, kind in table.items()
    },
}
"""Every key below ``[storage]`` that has a meaning. The ``options.pull_options`` are free text."""

_FORMER_TABLES: Final = ("options.aufs", "options.thinpool")
"""Still in the files that distributions ship; without meaning."""

PULL_OPTIONS: Final = "options.pull_options"
DRIVER_TABLES: Final = tuple(_DRIVER_TABLES)


class Setting(NamedTuple):
    """One value and the files that it came from (several only for an appended list)."""

    value: Value
    origin: str


class Settings(NamedTuple):
    """Merged settings by dotted key below ``[storage]``, and keys that nobody knows."""

    values: Mapping[str, Setting]
    pull_options: Mapping[str, Setting]
    unknown: tuple[tuple[str, str], ...]
    """(file, dotted key)"""


def merge(sources: Iterable[tuple[str, bytes]]) -> Settings:
    """Merge texts, weakest first; each with the name of the file that it came from.

    Raises:
        ConfigError: A text is no TOML, or a key has a value of the wrong type.
    """
    merger = _Merger()
    for origin, text in sources:
        merger.add(origin, _parse(origin, text))
    return Settings(merger.values, merger.pull_options, tuple(merger.unknown))


def _parse(origin: str, text: bytes) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(
            origin, f"not valid TOML: {error}", remedy="correct that line, or move the file away"
        ) from error


class _Merger:
    """The state of one merge: values so far, and which lists append."""

    def __init__(self) -> None:
        self.values: dict[str, Setting] = {}
        self.pull_options: dict[str, Setting] = {}
        self.unknown: list[tuple[str, str]] = []
        self._appending: dict[str, bool] = {}

    def add(self, origin: str, document: Mapping[str, Any]) -> None:
        for table, content in document.items():
            if table == "storage" and isinstance(content, dict):
                self._table(origin, "", content)
            else:
                self.unknown.append((origin, table))

    def _table(self, origin: str, prefix: str, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            key = prefix + name
            if key == PULL_OPTIONS:
                self._pull_options(origin, value)
            elif key in KEYS:
                self._set(origin, key, KEYS[key], value)
            elif isinstance(value, dict) and _is_table(key):
                self._table(origin, key + ".", value)
            elif key not in _FORMER_TABLES:
                self.unknown.append((origin, f"storage.{key}"))

    def _pull_options(self, origin: str, table: object) -> None:
        if not isinstance(table, dict):
            raise _wrong_type(origin, PULL_OPTIONS, table, '{enable_partial_images = "true"}')
        for name, value in table.items():
            text = _convert(origin, f"{PULL_OPTIONS}.{name}", Kind.TEXT_SWITCH, value)
            self.pull_options[name] = Setting(text, origin)

    def _set(self, origin: str, key: str, kind: Kind, value: object) -> None:
        if kind is not Kind.LIST:
            self.values[key] = Setting(_convert(origin, key, kind, value), origin)
            return
        items = self._list_items(origin, key, value)
        old = self.values.get(key)
        if old is not None and isinstance(old.value, tuple) and self._appending.get(key):
            self.values[key] = Setting(old.value + items, f"{old.origin}, {origin}")
        else:
            self.values[key] = Setting(items, origin)

    def _list_items(self, origin: str, key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise _wrong_type(origin, key, value, Kind.LIST.value)
        items: list[str] = []
        for item in value:
            if isinstance(item, str):
                items.append(item)
            elif isinstance(item, dict) and list(item) == ["append"]:
                self._appending[key] = _switch(origin, key, item["append"])
            else:
                raise _wrong_type(origin, key, item, Kind.LIST.value)
        return tuple(items)


def _is_table(key: str) -> bool:
    return key == "options" or key.removeprefix("options.") in _DRIVER_TABLES


def _convert(origin: str, key: str, kind: Kind, value: object) -> Value:
    if kind is Kind.SWITCH:
        return _switch(origin, key, value)
    if isinstance(value, str) and kind is not Kind.NUMBER:
        return value
    if isinstance(value, bool) and kind is Kind.TEXT_SWITCH:
        return "true" if value else "false"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        if kind is Kind.NUMBER:
            return value
        if kind is Kind.MODE:
            return f"{value:o}"
    raise _wrong_type(origin, key, value, kind.value)


def _switch(origin: str, key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _wrong_type(origin, key, value, Kind.SWITCH.value)


def _wrong_type(origin: str, key: str, value: object, example: str) -> ConfigError:
    return ConfigError(
        origin,
        f"storage.{key}: {value!r} is not of the right type",
        remedy=f"write it like {key.rpartition('.')[2]} = {example}",
    )
