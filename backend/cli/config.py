"""``storagefs config``.

Used by: backend.cli.command. Knows nothing of: which files count.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from backend.cli.request import Request
from backend.config.files import read_settings
from backend.model.options import StoreOptions
from drivers.idmap.maps import IDMap

_HEADER: Final = ("OPTION", "VALUE", "ORIGIN")
_SILENCED: Final = ("CONTAINERS_STORAGE_CONF_OVERRIDE", "STORAGE_DRIVER", "STORAGE_OPTS")

# Member of the Go tool's JSON, our field, and whether it is there when it is empty.
_MEMBERS: Final = (
    ("runroot", "run_root", False),
    ("root", "graph_root", False),
    ("imagestore", "image_store", False),
    ("driver", "driver", False),
    ("driver-priority", "driver_priority", False),
    ("driver-options", "driver_options", False),
    ("uidmap", "uid_map", False),
    ("gidmap", "gid_map", False),
    ("root_auto_ns_user", "root_auto_userns_user", False),
    ("auto_userns_min_size", "auto_userns_min_size", False),
    ("auto_userns_max_size", "auto_userns_max_size", False),
    ("PullOptions", "pull_options", True),
    ("disable-volatile", "disable_volatile", False),
    ("transient_store", "transient", False),
)


def run(request: Request) -> int:
    """Show the options in effect, or those that one file alone would give."""
    if request.line.arguments:
        request = _with_one_file(request, request.line.arguments[0])
    options = request.options()
    _warn_of_unknown_keys(request)
    output = request.output
    if request.values.on("origin") or (output.terminal and not request.json):
        output.table(_HEADER, _rows(options))
    else:
        output.json(_members(options))
    return 0


def _with_one_file(request: Request, path: str) -> Request:
    variables = dict(request.environment.variables, CONTAINERS_STORAGE_CONF=path)
    for name in _SILENCED:
        variables.pop(name, None)
    return request._replace(environment=request.environment._replace(variables=variables))


def _warn_of_unknown_keys(request: Request) -> None:
    for path, key in read_settings(request.environment).unknown:
        request.output.error(f"{path}: {key}: nobody knows this key", "check its spelling")


def _members(options: StoreOptions) -> Mapping[str, object]:
    found = ((member, getattr(options, field), always) for member, field, always in _MEMBERS)
    return {member: _plain(value) for member, value, always in found if value or always}


def _plain(value: object) -> object:
    """*value* with ID maps as objects."""
    if isinstance(value, tuple):
        return [entry._asdict() if isinstance(entry, IDMap) else entry for entry in value]
    return value


def _word(entry: object) -> str:
    return ":".join(map(str, entry)) if isinstance(entry, IDMap) else str(entry)


def _rows(options: StoreOptions) -> Iterator[tuple[str, str, str]]:
    fields = [field for _, field, _ in _MEMBERS if field != "pull_options"]
    for field in (*fields, "sync"):
        value = getattr(options, field)
        text = " ".join(map(_word, value)) if isinstance(value, tuple) else str(value)
        yield field, text or "-", options.origins.get(field, "-")
    for key, value in options.pull_options.items():
        yield f"pull_options.{key}", value or "-", options.origins.get(f"pull_options.{key}", "-")
