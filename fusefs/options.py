"""What can be said about a mount with ``-o``, as a value (pure).

Used by: fusefs.mountverb (makes one), fusefs.{daemon,session,native}.
Knows nothing of: the store, mounting. Options that choose the store (``store=`` and its kin) are
kept as text: they belong to the command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from drivers.errors import StorageError

Ids = Literal["host", "container", "mounter"]
Symlinks = Literal["raw", "rebase"]
Native = Literal["auto", "off"]


class MountOptionError(StorageError):
    """An option of ``-o`` that is unknown or has a bad value. ``option`` is what was given."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(
            f"mount option {option!r}: {reason}", remedy=f"known options: {', '.join(KNOWN)}"
        )
        self.option = option


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOptions:
    """Everything that decides how a tree is shown.

    ``where`` is an absolute path. ``idle_seconds`` and ``native_max`` limit native mounts.
    ``ids`` says whose IDs own content, ``symlinks`` whether absolute ones stay in their view.
    ``store`` holds the options that choose the store, by their name. ``source`` is what the
    kernel's table is to say in the place of the graph root; fstab's word, where it names none.
    """

    where: str
    source: str = ""
    read_only: bool = False
    allow_other: bool = False
    nonempty: bool = False
    native: Native = "auto"
    ids: Ids = "host"
    symlinks: Symlinks = "raw"
    idle_seconds: float = 300.0
    native_max: int = 1000
    foreground: bool = False
    log: str = ""
    debug: bool = False
    store: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def shows_as_stored(self) -> bool:
        """Whether content looks as it does on disk: only then can kernel mounts carry it."""
        return self.ids == "host" and self.symlinks == "raw"


_FLAGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "allow_other": {"allow_other": True},
    "nonempty": {"nonempty": True},
    "foreground": {"foreground": True},
    "debug": {"debug": True},
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "native": ("auto", "off"),
    "ids": ("host", "container", "mounter"),
    "symlinks": ("raw", "rebase"),
}
_TEXTS: Final = ("log",)
_NUMBERS: Final[Mapping[str, tuple[str, type[float] | type[int]]]] = {
    "idle": ("idle_seconds", float),
    "native_max": ("native_max", int),
}
_STORE: Final = ("store", "runroot", "driver", "imagestore", "storage_opt", "lock_timeout")
_IGNORED: Final = frozenset(
    [
        "auto",
        "noauto",
        "user",
        "users",
        "nouser",
        "owner",
        "group",
        "defaults",
        "nofail",
        "_netdev",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "sync",
        "async",
        "default_permissions",
    ]
)
"""What fstab may contain and what means nothing here: nosuid, nodev and default_permissions are
always on, and access times are those of the files below."""
_IGNORED_KEYS: Final = ("comment", "helper", "fsname", "subtype")

KNOWN: Final = (
    *_FLAGS,
    *(f"{key}={'|'.join(values)}" for key, values in _CHOICES.items()),
    *(f"{key}=" for key in (*_NUMBERS, *_TEXTS, *_STORE)),
)
"""Options as a message lists them."""


def parse(text: str, where: str, *, ids: Ids = "host") -> MountOptions:
    """The options of ``-o text`` for a mount on *where*; a later one wins over an earlier.

    *ids* is what counts if the text does not say.
    """
    options = MountOptions(where=where, ids=ids)
    for option in split(text):
        options = _with(options, option)
    return options


def split(text: str) -> list[str]:
    r"""Options between commas; a comma in a value is written ``\,`` as in fstab."""
    joined = text.replace("\\,", "\0")
    return [option.replace("\0", ",").strip() for option in joined.split(",") if option.strip()]


def _with(options: MountOptions, option: str) -> MountOptions:
    key, equals, value = option.partition("=")
    if not equals and key in _FLAGS:
        return replace(options, **_FLAGS[key])
    if option in _IGNORED or key.startswith("x-") or (equals and key in _IGNORED_KEYS):
        return options
    if not equals:
        raise MountOptionError(option, "needs a value" if _takes_value(key) else "not known")
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise MountOptionError(option, f"must be one of {', '.join(_CHOICES[key])}")
        return replace(options, **{key: value})  # type: ignore[arg-type]  # the table has the type
    if key in _NUMBERS:
        return replace(options, **_number(option, key, value))
    if key in _TEXTS:
        return replace(options, **{key: value})  # type: ignore[arg-type]  # all are texts
    if key in _STORE:
        return replace(options, store=MappingProxyType({**options.store, key: value}))
    raise MountOptionError(option, "takes no value" if key in _FLAGS else "not known")


def _takes_value(key: str) -> bool:
    return key in _CHOICES or key in _NUMBERS or key in _TEXTS or key in _STORE


def _number(option: str, key: str, value: str) -> dict[str, Any]:
    name, kind = _NUMBERS[key]
    try:
        number = kind(value)
    except ValueError:
        raise MountOptionError(option, "must be a number") from None
    if not number >= 0:
        raise MountOptionError(option, "must not be negative")
    return {name: number}
