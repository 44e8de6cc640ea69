"""SELinux labels of a container: which its processes have, and which its files (pure).

Used by: backend.api.labelling. Knows nothing of: this machine's policy, records.
Source of the rules: opencontainers/selinux go-selinux (label.InitLabels, uniqMcs, loadLabels).

Labels of two containers differ in their level, a pair of categories: what one writes, another
cannot read.
"""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from backend.errors import InvalidValueError

_CATEGORIES: Final = 1024
_PRIVILEGED: Final = f"s0:c{_CATEGORIES - 2},c{_CATEGORIES - 1}"
_FIELDS: Final = ("user", "role", "type", "level")
_KEYS: Final = (*_FIELDS, "filetype")
_REMEDY: Final = f"give 'disable', or one of {', '.join(_KEYS)} with ':' and a value"


class Labels(NamedTuple):
    """A label for processes and one for files. Both are empty where there is no SELinux."""

    process: str = ""
    files: str = ""


class Context(NamedTuple):
    """A label in its parts. Not every policy has levels."""

    user: str
    role: str
    type: str
    level: str = ""

    @classmethod
    def parse(cls, label: str) -> "Context":
        """Take a label apart. Raises InvalidValueError."""
        parts = label.split(":", 3)
        if len(parts) < 3:
            raise InvalidValueError("SELinux label", label, "it is not user:role:type:level")
        return cls(*parts)

    def __str__(self) -> str:
        return ":".join(self if self.level else self[:3])


def choose_labels(
    options: Iterable[str], policy: Labels, used: Collection[str], start: int
) -> Labels:
    """Return the labels of a new container: those of the *policy*, as *options* want them.

    The level is none that is in *used*; *start*, any number, says where looking for one begins.
    Raises InvalidValueError.
    """
    if not policy.process or not policy.files:
        return Labels()
    process, files = Context.parse(policy.process), Context.parse(policy.files)
    if process.level:
        level = _free_level(used, start)
        process, files = process._replace(level=level), files._replace(level=level)
    for option in options:
        if option == "disable":
            return Labels("", str(files._replace(level=_PRIVILEGED)))
        key, value = _split(option)
        if key == "filetype":
            files = files._replace(type=value)
            continue
        process = process._replace(**{key: value})
        if key in ("user", "level"):
            files = files._replace(**{key: value})
    return Labels(str(process), str(files))


def level_of(label: str) -> str:
    """Return the level of a label, "" where it has none."""
    return ":".join(label.split(":")[3:])


def _split(option: str) -> tuple[str, str]:
    key, colon, value = option.partition(":")
    if not colon or key not in _KEYS:
        raise InvalidValueError("bad label option", option, "it is unknown", remedy=_REMEDY)
    return key, value


def _free_level(used: Collection[str], start: int) -> str:
    every = _CATEGORIES**2
    for number in range(start, start + every):
        first, second = divmod(number % every, _CATEGORIES)
        if first >= second:
            continue
        level = f"s0:c{first},c{second}"
        if level != _PRIVILEGED and level not in used:
            return level
    raise InvalidValueError(
        "SELinux level", "s0", "every pair of categories is in use", remedy="delete containers"
    )
