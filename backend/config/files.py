"""Which configuration files count, in which order, and what they say together.

Used by: backend.config.resolve, ``storagefs config``. Knows nothing of: what the keys mean.

The order is that of the Go tools (containers/storage pkg/configfile): CONTAINERS_STORAGE_CONF
alone, or else the first of the user's, the machine's and the distribution's file, then the
drop-ins; at last CONTAINERS_STORAGE_CONF_OVERRIDE.
"""

import os
from collections.abc import Iterator, Sequence

from backend.codec.storageconf import Settings, merge
from backend.config.environment import ProcessEnvironment
from backend.errors import ConfigError


def read_settings(environment: ProcessEnvironment, *, default_files: bool = True) -> Settings:
    """Read and merge the configuration files that count for this process.

    Without *default_files* only those that variables name, which must be there and be right.
    """
    return merge(_texts(environment, default_files=default_files))


def _texts(environment: ProcessEnvironment, *, default_files: bool) -> Iterator[tuple[str, bytes]]:
    only = environment.get("CONTAINERS_STORAGE_CONF")
    if only:
        yield only, _required(only, "CONTAINERS_STORAGE_CONF")
    elif default_files:
        for path in _main_files(environment):
            text = _optional(path)
            if text is not None:
                yield path, text
                break
        for path in _drop_ins(environment):
            text = _optional(path)
            if text is not None:
                yield path, text
    override = environment.get("CONTAINERS_STORAGE_CONF_OVERRIDE")
    if override:
        yield override, _required(override, "CONTAINERS_STORAGE_CONF_OVERRIDE")


def _main_files(environment: ProcessEnvironment) -> Iterator[str]:
    yield os.path.join(environment.config_home, "containers", "storage.conf")
    for directory in reversed(environment.system_directories):
        yield os.path.join(directory, "storage.conf")


def _drop_ins(environment: ProcessEnvironment) -> Sequence[str]:
    """Paths of the drop-ins in reading order; of equal names the strongest directory's file."""
    chosen: dict[str, str] = {}
    for directory in _drop_in_directories(environment):
        try:
            with os.scandir(directory) as entries:
                names = [e.name for e in entries if e.name.endswith(".conf") and e.is_file()]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(directory, directory, error) from error
        chosen.update((name, os.path.join(directory, name)) for name in names)
    return [chosen[name] for name in sorted(chosen, key=os.fsencode)]


def _drop_in_directories(environment: ProcessEnvironment) -> Iterator[str]:
    for directory in environment.system_directories:
        yield os.path.join(directory, "storage.conf.d")
        if environment.uid == 0:
            yield os.path.join(directory, "storage.rootful.conf.d")
        else:
            rootless = os.path.join(directory, "storage.rootless.conf.d")
            yield rootless
            yield os.path.join(rootless, str(environment.uid))
    yield os.path.join(environment.config_home, "containers", "storage.conf.d")


def _optional(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, path, error) from error


def _required(path: str, named_by: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, named_by, error) from error


def _unreadable(path: str, named_by: str, error: OSError) -> ConfigError:
    source = "" if named_by == path else f" (named by {named_by})"
    remedy = "make it readable" if isinstance(error, PermissionError) else "give an existing file"
    if source:
        remedy += f", or unset {named_by}"
    return ConfigError(path + source, f"cannot be read: {error.strerror}", remedy=remedy)
