"""What to tell the kernel to mount an overlay, in both of its languages (pure).

Used by: what mounts in drivers.overlay. Knows nothing of: where layers are, whether a mount works.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from drivers.errors import DriverOptionError
from drivers.linux import mount

# Options that are no business of the file system: (flag, whether it is set or taken away).
_FLAGS: Final = {
    "ro": (mount.MS_RDONLY, True),
    "rw": (mount.MS_RDONLY, False),
    "nosuid": (mount.MS_NOSUID, True),
    "suid": (mount.MS_NOSUID, False),
    "nodev": (mount.MS_NODEV, True),
    "dev": (mount.MS_NODEV, False),
    "noexec": (mount.MS_NOEXEC, True),
    "exec": (mount.MS_NOEXEC, False),
    "sync": (mount.MS_SYNCHRONOUS, True),
    "async": (mount.MS_SYNCHRONOUS, False),
    "dirsync": (mount.MS_DIRSYNC, True),
    "noatime": (mount.MS_NOATIME, True),
    "atime": (mount.MS_NOATIME, False),
    "nodiratime": (mount.MS_NODIRATIME, True),
    "diratime": (mount.MS_NODIRATIME, False),
    "relatime": (mount.MS_RELATIME, True),
    "norelatime": (mount.MS_RELATIME, False),
    "strictatime": (mount.MS_STRICTATIME, True),
    "nostrictatime": (mount.MS_STRICTATIME, False),
    "defaults": (0, True),
}
_ATTRIBUTES: Final = {
    mount.MS_RDONLY: mount.MOUNT_ATTR_RDONLY,
    mount.MS_NOSUID: mount.MOUNT_ATTR_NOSUID,
    mount.MS_NODEV: mount.MOUNT_ATTR_NODEV,
    mount.MS_NOEXEC: mount.MOUNT_ATTR_NOEXEC,
    mount.MS_NOATIME: mount.MOUNT_ATTR_NOATIME,
    mount.MS_STRICTATIME: mount.MOUNT_ATTR_STRICTATIME,
    mount.MS_NODIRATIME: mount.MOUNT_ATTR_NODIRATIME,
}
_OURS: Final = frozenset({"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"})
_SEPARATORS: Final = frozenset(':,\\"')


class OverlayMount(NamedTuple):
    """One overlay mount. Without ``upper`` (and ``work``) it is read-only.

    ``lowers`` are paths, uppermost first; ``flags`` MS_*; ``options`` the file system's own.
    """

    lowers: tuple[str, ...]
    upper: str = ""
    work: str = ""
    flags: int = 0
    options: tuple[str, ...] = ()
    label: str = ""

    def data(self) -> str:
        """Return the text for mount(2)."""
        parts = ["lowerdir=" + ":".join(self.lowers)]
        if self.upper:
            parts += [f"upperdir={self.upper}", f"workdir={self.work}"]
        parts += self.options
        if self.label:
            parts.append(f'context="{self.label}"')
        return ",".join(parts)

    def program_data(self) -> str:
        """Return the text for a program, which takes flags by their names."""
        named = [name for name, (flag, is_set) in _FLAGS.items() if is_set and self.flags & flag]
        return ",".join((self.data(), *named))

    def has_separators(self) -> bool:
        """Whether a path contains what separates paths in :meth:`data`."""
        paths = (*self.lowers, self.upper, self.work)
        return any(not _SEPARATORS.isdisjoint(path) for path in paths)

    def settings(self) -> list[tuple[str, str | None]]:
        """Return key and value (None: a flag) for fsconfig(2)."""
        found: list[tuple[str, str | None]] = [("lowerdir+", path) for path in self.lowers]
        if self.upper:
            found += [("upperdir", self.upper), ("workdir", self.work)]
        elif self.flags & mount.MS_RDONLY:
            found.append(("ro", None))
        for option in self.options:
            key, equals, value = option.partition("=")
            found.append((key, value if equals else None))
        if self.label:
            found.append(("context", self.label))
        return found

    def attributes(self) -> int:
        """Return the MOUNT_ATTR_* for :attr:`flags`."""
        return sum(attribute for flag, attribute in _ATTRIBUTES.items() if self.flags & flag)


def split_options(options: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Return (MS_* flags, the rest) of mount options; the last of contradicting ones wins.

    Raises DriverOptionError for one that names directories: those are not the caller's business.
    """
    flags = 0
    rest = []
    for option in options:
        if not _OURS.isdisjoint(part.partition("=")[0].strip() for part in option.split(",")):
            raise DriverOptionError(option, "directories cannot be chosen by mount options")
        if option in _FLAGS:
            flag, is_set = _FLAGS[option]
            flags = flags | flag if is_set else flags & ~flag
        elif option:
            rest.append(option)
    return flags, tuple(rest)
