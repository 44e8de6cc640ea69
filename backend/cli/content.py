"""Verbs on what a layer changes: as a list, as a number, as an archive.

Used by: backend.cli.command. Knows nothing of: drivers, archives.
"""

from typing import TYPE_CHECKING, Final

from backend.cli.grammar import Values
from backend.cli.inputs import source, target
from backend.cli.progress import Progress
from backend.cli.request import Request

if TYPE_CHECKING:
    from drivers.archive.compression import Compression

_WORDS: Final = ("Modify", "Add", "Delete")
_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    '"': '\\"', "\\": "\\\\",
}  # fmt: skip


def changes(request: Request) -> int:
    """List what the layer changes, by path."""
    layer, base = _layers(request)
    with request.open_store() as store:
        found = store.layers.changes(layer, base)
    if request.json:
        listed = [{"Path": _text(change.path), "Kind": int(change.kind)} for change in found]
        request.output.json(listed or None)
    else:
        request.output.lines(
            f"{_WORDS[change.kind]} {quoted(_text(change.path))}" for change in found
        )
    return 0


def diff_size(request: Request) -> int:
    """Show the size of what the layer adds and modifies."""
    layer, base = _layers(request)
    with request.open_store() as store:
        size = store.layers.diff_size(layer, base)
    if request.json:
        request.output.json(size)
    else:
        request.output.lines([str(size)])
    return 0


def diff(request: Request) -> int:
    """Write the layer as an archive: as it was loaded, or compressed as the flags say."""
    layer, base = _layers(request)
    with (
        request.open_store() as store,
        store.layers.diff(layer, base, compression=_compression(request.values)) as pieces,
        target(request) as file,
        Progress(request.output, "writing layer").writing(file) as write,
    ):
        for piece in pieces:
            write(piece)
    return 0


def apply_diff(request: Request) -> int:
    """Unpack an archive into the layer."""
    with (
        source(request.values) as file,
        Progress(request.output, "unpacking").reading(file) as archive,
        request.open_store(read_only=False) as store,
    ):
        store.layers.apply_diff(request.line.arguments[0], archive)
    return 0


def quoted(text: str) -> str:
    r"""*text* in double quotes as Go writes it: ``\xNN`` for what is no UTF-8."""
    if not text.isprintable() or '"' in text or "\\" in text:
        text = "".join(map(_escaped, text))
    return f'"{text}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF or code < 0x80:  # a byte that is no UTF-8, or a control character
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _layers(request: Request) -> tuple[str, str | None]:
    """The layer, and the one that it is compared with if not with its parent."""
    layer, *base = request.line.arguments
    return layer, (base[0] or None) if base else None


def _compression(values: Values) -> "Compression | None":
    """What the flags ask for; None for what the layer was loaded with."""
    from drivers.archive.compression import Compression

    asked = {
        "xz": Compression.XZ,
        "bzip2": Compression.BZIP2,
        "gzip": Compression.GZIP,
        "uncompressed": Compression.NONE,
    }
    return next((kind for flag, kind in asked.items() if values.on(flag)), None)
