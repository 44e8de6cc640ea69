"""Verbs on layers, images and containers: create, name, describe, delete (pure).

Used by: backend.cli.verbs. Knows nothing of: what they do.
"""

from typing import Final

from backend.cli.flags import (
    ID,
    ID_MAPS,
    INPUT,
    JSON,
    LABEL,
    METADATA,
    NAMES,
    OUTPUT,
    READ_ONLY,
)
from backend.cli.grammar import Flag, Takes, Verb

_ANY: Final = "LAYER|IMAGE|CONTAINER"
_WITH_ARTICLE: Final = {"layer": "a layer", "image": "an image", "container": "a container"}
_SAMPLE: Final = {"layer": "base", "image": "localhost/demo:1", "container": "web"}


def _item_verbs() -> tuple[Verb, ...]:
    """The verbs on data items, which exist once a kind."""
    return (
        *(_item_verb("list", kind, "List the data items of", "", (JSON,)) for kind in _SAMPLE),
        *(_item_verb("get", kind, "Write a data item of", "ITEM", (OUTPUT,)) for kind in _SAMPLE),
        *(
            _item_verb("set", kind, "Make or replace a data item of", "ITEM", (INPUT,))
            for kind in _SAMPLE
        ),
        *(_fact_verb(fact, kind) for fact in ("size", "digest") for kind in ("image", "container")),
    )


def _item_verb(action: str, kind: str, summary: str, item: str, flags: tuple[Flag, ...]) -> Verb:
    source = " -f state.json" if action == "set" else ""
    return Verb(
        name=f"{action}-{kind}-data",
        aliases=(f"{action}{kind}data",),
        module="backend.cli.items",
        function=f"{action}_item" if item else "list_items",
        kind=kind,
        summary=f"{summary} {_WITH_ARTICLE[kind]}",
        example=f"{action}-{kind}-data{source} {_SAMPLE[kind]} {item and 'state'}".rstrip(),
        arguments=f"{kind.upper()} {item}".rstrip(),
        inside=action == "set",
        flags=flags,
    )


def _fact_verb(fact: str, kind: str) -> Verb:
    return Verb(
        name=f"get-{kind}-data-{fact}",
        aliases=(f"get{kind}data{fact}",),
        module="backend.cli.items",
        function=f"item_{fact}",
        kind=kind,
        summary=f"Show the {fact} of a data item of {_WITH_ARTICLE[kind]}",
        example=f"get-{kind}-data-{fact} {_SAMPLE[kind]} state",
        arguments=f"{kind.upper()} ITEM",
        flags=(JSON,),
    )


def _directory_verbs() -> tuple[Verb, ...]:
    return tuple(
        Verb(
            name=f"get-{kind}{part}-dir",
            aliases=(f"get{kind}{part.replace('-', '')}dir",),
            module="backend.cli.items",
            function="run_directory" if part else "directory",
            kind=kind,
            summary=f"Show the directory for files of {_WITH_ARTICLE[kind]}"
            + (" until the next boot" if part else ""),
            example=f"get-{kind}{part}-dir {_SAMPLE[kind]}",
            arguments=kind.upper(),
            inside=True,
            flags=(JSON,),
        )
        for kind in ("image", "container")
        for part in ("", "-run")
    )


def _naming_verb(action: str, summary: str, example: str) -> Verb:
    return Verb(
        name=f"{action}-names",
        aliases=(f"{action}names",),
        module="backend.cli.names",
        function=f"{action}_names",
        summary=summary,
        example=f"{action}-names {example}",
        arguments=_ANY,
        inside=True,
        flags=(NAMES, JSON),
    )


_CREATING: Final = (
    Verb(
        name="create-layer",
        aliases=("createlayer",),
        module="backend.cli.creating",
        function="layer",
        summary="Make an empty layer",
        example="create-layer --name next base",
        arguments="[LAYER]",
        inside=True,
        flags=(ID, NAMES, READ_ONLY, LABEL, JSON, *ID_MAPS),
    ),
    Verb(
        name="import-layer",
        aliases=("importlayer",),
        module="backend.cli.creating",
        function="filled_layer",
        summary="Make a layer from a tar archive (plain, gzip, zstd, bzip2 or xz)",
        example="import-layer --file layer.tar base",
        arguments="[LAYER]",
        inside=True,
        flags=(ID, NAMES, READ_ONLY, LABEL, INPUT, JSON, *ID_MAPS),
    ),
    Verb(
        name="create-storage-layer",
        aliases=("createstoragelayer",),
        module="backend.cli.driverlayers",
        function="create",
        summary="Make a layer on disk that the store has no record of",
        example="create-storage-layer --id trial",
        arguments="[DRIVERLAYER]",
        inside=True,
        flags=(ID, READ_ONLY, LABEL, JSON, *ID_MAPS),
    ),
    Verb(
        name="create-image",
        aliases=("createimage",),
        module="backend.cli.creating",
        function="image",
        summary="Make an image on a layer",
        example="create-image --name localhost/demo:2 base",
        arguments="[LAYER]",
        inside=True,
        flags=(
            ID,
            NAMES,
            Flag(("--digest", "-d"), Takes.TEXT, "digest of its manifest"),
            *METADATA,
            JSON,
        ),
    ),
    Verb(
        name="create-container",
        aliases=("createcontainer",),
        module="backend.cli.creating",
        function="container",
        summary='Make a container from an image, or from nothing ("")',
        example="create-container --name web2 localhost/demo:1",
        arguments="IMAGE",
        inside=True,
        flags=(
            ID,
            NAMES,
            Flag(("--volatile",), Takes.NOTHING, "it need not survive a crash of the machine"),
            *METADATA,
            JSON,
            *ID_MAPS,
        ),
    ),
)

_NAMING: Final = (
    Verb(
        name="get-names",
        aliases=("getnames",),
        module="backend.cli.names",
        function="get_names",
        summary="Show the names of a layer, an image or a container",
        example="get-names localhost/demo:1",
        arguments=_ANY,
        flags=(JSON,),
    ),
    _naming_verb("add", "Give it more names", "--name www web"),
    _naming_verb("remove", "Take names away from it", "--name www web"),
    _naming_verb("set", "Replace its names", "--name web web"),
    Verb(
        name="metadata",
        module="backend.cli.names",
        function="metadata",
        summary="Show the text that was kept with it",
        example="metadata --quiet web",
        arguments=f"{_ANY} ...",
        flags=(Flag(("--quiet", "-q"), Takes.NOTHING, "without the ID in front"), JSON),
    ),
    Verb(
        name="set-metadata",
        aliases=("setmetadata",),
        module="backend.cli.names",
        function="set_metadata",
        summary="Replace that text",
        example="set-metadata --metadata text web",
        arguments=_ANY,
        inside=True,
        flags=METADATA,
    ),
)

_DELETING: Final = (
    Verb(
        name="delete",
        module="backend.cli.deleting",
        function="anything",
        summary="Delete containers, images or layers, even if they are in use",
        example="delete web",
        arguments="CONTAINER|IMAGE|LAYER ...",
        inside=True,
        flags=(JSON,),
    ),
    *(
        Verb(
            name=f"delete-{kind}",
            aliases=(f"delete{kind}",),
            module="backend.cli.deleting",
            function=f"{kind}s",
            kind=kind,
            summary=f"Delete {kind}s{' with their layers' * (kind == 'image')} that nothing needs",
            example=f"delete-{kind} {example}",
            arguments=f"{kind.upper()} ...",
            inside=True,
            flags=(
                *(
                    (Flag(("--test", "-t"), Takes.NOTHING, "only say what would go"),)
                    if kind == "image"
                    else ()
                ),
                JSON,
            ),
        )
        for kind, example in (
            ("layer", "top"),
            ("image", "--test localhost/old:1"),
            ("container", "web"),
        )
    ),
)

VERBS: Final = (*_CREATING, *_NAMING, *_item_verbs(), *_directory_verbs(), *_DELETING)
