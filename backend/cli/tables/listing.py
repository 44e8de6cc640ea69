"""Verbs that list and look (pure).

Used by: backend.cli.verbs. Knows nothing of: what they do.
"""

from typing import Final

from backend.cli.flags import JSON, QUIET
from backend.cli.grammar import Flag, Takes, Verb

VERBS: Final = (
    Verb(
        name="layers",
        module="backend.cli.layers",
        summary="List layers, with the images and containers on them",
        example="layers --tree",
        flags=(
            JSON,
            Flag(("--tree", "-t"), Takes.NOTHING, "draw which layer stands on which"),
            QUIET,
        ),
    ),
    Verb(
        name="images",
        module="backend.cli.images",
        summary="List images",
        example="images --json",
        flags=(JSON, QUIET),
    ),
    Verb(
        name="containers",
        module="backend.cli.containers",
        summary="List containers",
        example="containers",
        flags=(JSON, QUIET),
    ),
    Verb(
        name="images-by-digest",
        module="backend.cli.images",
        function="with_digest",
        summary="List the images that have a digest",
        example=f"images-by-digest sha256:{'0' * 64}",
        arguments="DIGEST",
        flags=(JSON, QUIET),
    ),
    Verb(
        name="storage-layers",
        module="backend.cli.driverlayers",
        summary="List the layers that the driver has on disk",
        example="storage-layers",
        flags=(JSON,),
    ),
    *(
        Verb(
            name=kind,
            module="backend.cli.details",
            kind=kind,
            summary=f"Show a {kind}".replace("a image", "an image"),
            example=f"{kind} {example}",
            arguments=f"{kind.upper()} ...",
            flags=(JSON,),
        )
        for kind, example in (
            ("layer", "base"),
            ("image", "localhost/demo:1"),
            ("container", "web"),
        )
    ),
    *(
        Verb(
            name=f"{kind}-parent-owners",
            module="backend.cli.owners",
            kind=kind,
            summary=f"Show the IDs that own directories above the {kind}'s mount",
            example=f"{kind}-parent-owners {example}",
            arguments=f"{kind.upper()} ...",
            inside=True,
            flags=(JSON,),
        )
        for kind, example in (("layer", "base"), ("container", "web"))
    ),
    Verb(
        name="exists",
        module="backend.cli.exists",
        summary="Say whether layers, images or containers exist; the exit code says whether all do",
        example="exists --container web",
        arguments="LAYER|IMAGE|CONTAINER ...",
        flags=(
            Flag(("--layer", "-l"), Takes.NOTHING, "as a layer"),
            Flag(("--image", "-i"), Takes.NOTHING, "as an image"),
            Flag(("--container", "-c"), Takes.NOTHING, "as a container"),
            Flag(("--quiet", "-q"), Takes.NOTHING, "the exit code only"),
            JSON,
        ),
    ),
    Verb(
        name="status",
        module="backend.cli.status",
        summary="Show roots and driver of the store",
        example="status --json",
        flags=(JSON,),
    ),
    Verb(
        name="version",
        module="backend.cli.status",
        function="version",
        summary="Show the version of this program",
        example="version",
        flags=(JSON,),
    ),
    Verb(
        name="config",
        module="backend.cli.config",
        summary="Show the options in effect, or those of one file",
        example="config --origin",
        arguments="[FILE]",
        flags=(
            JSON,
            Flag(("--origin",), Takes.NOTHING, "say for each value where it comes from"),
        ),
    ),
)
