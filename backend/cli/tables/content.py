"""Verbs on the files inside layers (pure).

Used by: backend.cli.verbs. Knows nothing of: what they do.
"""

from typing import Final

from backend.cli.flags import INPUT, JSON, OUTPUT
from backend.cli.grammar import Flag, Takes, Verb

VERBS: Final = (
    Verb(
        name="changes",
        module="backend.cli.content",
        function="changes",
        summary="Show what a layer adds, modifies and deletes",
        example="changes top",
        arguments="LAYER [LAYER]",
        inside=True,
        flags=(JSON,),
    ),
    Verb(
        name="diffsize",
        aliases=("diff-size",),
        module="backend.cli.content",
        function="diff_size",
        summary="Show how many bytes a layer adds and modifies",
        example="diffsize top",
        arguments="LAYER [LAYER]",
        inside=True,
        flags=(JSON,),
    ),
    Verb(
        name="diff",
        module="backend.cli.content",
        function="diff",
        summary="Write what a layer changes as a tar archive",
        example="diff --uncompressed --file top.tar top",
        arguments="LAYER [LAYER]",
        inside=True,
        flags=(
            OUTPUT,
            Flag(("--uncompressed", "-u"), Takes.NOTHING, "plain (default: as it was loaded)"),
            Flag(("--gzip", "-c"), Takes.NOTHING, "with gzip"),
            Flag(("--bzip2", "--bz2", "-b"), Takes.NOTHING, "with bzip2 (not supported)"),
            Flag(("--xz", "-x"), Takes.NOTHING, "with xz (not supported)"),
        ),
    ),
    Verb(
        name="applydiff",
        aliases=("apply-diff",),
        module="backend.cli.content",
        function="apply_diff",
        summary="Unpack a tar archive into a layer",
        example="applydiff --file layer.tar top",
        arguments="LAYER",
        inside=True,
        flags=(INPUT,),
    ),
    Verb(
        name="applydiff-using-staging-dir",
        module="backend.cli.staging",
        summary="Put the files of a directory into a layer, which is made if it is not there",
        example="applydiff-using-staging-dir next layout",
        arguments="LAYER DIRECTORY",
        inside=True,
    ),
    Verb(
        name="copy",
        module="backend.cli.copying",
        summary="Copy files into a layer, or out of one (LAYER:/PATH)",
        example="copy --chown 0:0 state.json top:/state.json",
        arguments="SOURCE ... TARGET",
        inside=True,
        flags=(Flag(("--chown", "-o"), Takes.TEXT, "owner of the copies: UID[:GID]"), JSON),
    ),
    Verb(
        name="import",
        module="backend.cli.archives",
        function="take_in",
        summary="Store the images of OCI or docker archives or directories",
        example="import --name localhost/demo:2 demo.tar",
        arguments="FILE ...",
        inside=True,
        own=True,
        flags=(Flag(("--name", "-n"), Takes.LIST, "name instead of its own (one image)"), JSON),
    ),
    Verb(
        name="export",
        module="backend.cli.archives",
        function="write_out",
        summary="Write images to an archive, with the digests that are recorded (- for a pipe)",
        example="export --format oci-archive localhost/demo:1 demo.tar",
        arguments="IMAGE ... FILE",
        inside=True,
        own=True,
        flags=(Flag(("--format",), Takes.TEXT, "oci-archive (default), oci or docker-archive"),),
    ),
    Verb(
        name="mounted",
        module="backend.cli.mounting",
        function="mounted",
        summary="Say which containers or layers are mounted",
        example="mounted web",
        arguments="CONTAINER|LAYER ...",
        flags=(JSON,),
    ),
)
