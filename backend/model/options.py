"""Where a store is and how to open it, as a value (pure).

Used by: backend.config (fills it in), backend.store and backend.api, fusefs.
Knows nothing of: where a value came from is kept as text only.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from drivers.idmap.maps import IDMap


class StoreOptions(NamedTuple):
    """Everything that decides which store is opened, and how.

    Paths are absolute; symlinks in them are kept. ``driver`` is "" where the graph root decides.
    ``driver_options`` are ``NAME.KEY=VALUE`` texts as the Go tools spell them. ``lock_timeout``
    is in seconds. ``sync`` is ``filesystem`` or ``none``. ``uid_map`` and ``gid_map`` are for
    layers without a parent. An automatic user namespace takes the subordinate IDs of
    ``root_auto_userns_user``, or those of ``rootless_user`` (a name or a number) if ``rootless``.
    Without ``id_shifting`` no layer is shown under other IDs than its files have on disk.
    ``origins`` says for each field which file, variable or flag it came from.
    """

    graph_root: str
    run_root: str
    image_store: str = ""
    driver: str = ""
    driver_priority: tuple[str, ...] = ()
    driver_options: tuple[str, ...] = ()
    read_only: bool = False
    transient: bool = False
    disable_volatile: bool = False
    sync: str = "filesystem"
    lock_timeout: float = 60.0
    rootless: bool = False
    pull_options: Mapping[str, str] = MappingProxyType({})
    root_auto_userns_user: str = ""
    auto_userns_min_size: int = 0
    auto_userns_max_size: int = 0
    rootless_user: str = ""
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    id_shifting: bool = True
    origins: Mapping[str, str] = MappingProxyType({})
