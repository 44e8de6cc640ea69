"""The SELinux labels of a new container, no two of which share a level.

Used by: backend.api.{containermaking,containers}. Knows nothing of: what labels are made of.
"""

import os
from collections.abc import Iterator, Sequence

from backend.api.workshop import Workshop
from backend.model.records import Container
from backend.stores.transaction import WriteTx
from drivers.linux import selinux

LABELS = ("ProcessLabel", "MountLabel")
"""Flags of a container."""


def labelled(shop: Workshop, tx: WriteTx, wanted: Container, options: Sequence[str]) -> Container:
    """Return *wanted* with labels, if it has none and this machine has SELinux.

    *options* are ``disable``, or ``KEY:VALUE`` as podman's ``--security-opt label=`` has them;
    without SELinux they say nothing.
    """
    if any(wanted.flags[flag] for flag in LABELS):
        return wanted
    policy = selinux.container_labels()
    if policy is None:
        return wanted
    from backend.model.labels import Labels, choose_labels, level_of

    used = {level_of(label) for label in _labels(shop, tx)}
    start = int.from_bytes(os.urandom(4))
    labels = choose_labels(options, Labels(*policy), used, start)
    return wanted._replace(flags={**wanted.flags, **dict(zip(LABELS, labels, strict=True))})


def _labels(shop: Workshop, tx: WriteTx) -> Iterator[str]:
    for layer in shop.all_layers(tx):
        yield layer.mount_label
    for container in tx.containers.table:
        yield str(container.flags.get("ProcessLabel", ""))
