"""Where a command writes: tables on a terminal, the Go tool's plain text elsewhere, errors.

Used by: every verb. Knows nothing of: stores.

Names in a store come from strangers. A pipe gets their bytes as they are; a terminal never gets a
control character from them.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final, NamedTuple

_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"
_GAP: Final = "  "
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
SHORT_ID: Final = 12


class Output(NamedTuple):
    """The streams of one command. ``width`` is 0 where there is no terminal."""

    program: str
    out: BinaryIO
    err: BinaryIO
    width: int = 0
    colour: bool = False

    @property
    def terminal(self) -> bool:
        """Whether a person reads the output."""
        return self.width > 0

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines: as they are, but for what a terminal would obey."""
        if self.terminal:
            lines = ("\t".join(map(printable, line.split("\t"))) for line in lines)
        self._write(lines)

    def encoded(self, document: bytes) -> None:
        """Write JSON that is encoded already, and end the line.

        Bytes that are no UTF-8 are none of JSON either: they become what the Go tool makes of them.
        """
        if not document.isascii():
            document = _valid(document)
        if self.terminal:
            document = _harmless(document.decode()).encode()
        self.out.write(document + b"\n")

    def json(self, value: object, *, sort: bool = False) -> None:
        """Write a value as the Go tool's JSON, in one line; *sort* the members of objects."""
        from backend.codec import gojson

        self.encoded(gojson.encode_text(value, sort=sort).encode("utf-8", "surrogateescape"))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write columns that fit the terminal; only the last one is cut where they do not.

        Without a terminal: tabs, and no header.
        """
        if not self.terminal:
            self.lines("\t".join(row) for row in rows)
            return
        cells = [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
        head = _row(header, widths, self.width)
        self._write([f"{_BOLD}{head}{_PLAIN}" if self.colour else head])
        self._write(_row(row, widths, self.width) for row in cells)

    def error(self, message: str, remedy: str = "", *, named: bool = True) -> None:
        """Write one line about what failed; *named*: after the name of the program."""
        text = f"{self.program}: {message}" if named else message
        if remedy:
            text += f"; {remedy}"
        self.err.write(f"{printable(text)}\n".encode("utf-8", "backslashreplace"))
        self.err.flush()

    def _write(self, lines: Iterable[str]) -> None:
        self.out.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))

    def flush(self) -> None:
        """Hand over what was written. Raises BrokenPipeError if nobody reads any more."""
        self.out.flush()


def standard_output(program: str, *, colour: bool) -> Output:
    """The streams of this process. *colour*: whether a terminal may have it."""
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        width = 0
    return Output(program, sys.stdout.buffer, sys.stderr.buffer, width, colour and width > 0)


def printable(text: str) -> str:
    """*text* without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _valid(document: bytes) -> bytes:
    try:
        document.decode()
    except UnicodeDecodeError:
        text = document.decode("utf-8", "surrogateescape")
        return text.translate(dict.fromkeys(range(0xDC80, 0xDD00), r"\ufffd")).encode()
    return document


def _harmless(document: str) -> str:
    """The same JSON with escapes for what a terminal would obey (which is in strings only)."""
    if document.isprintable():
        return document
    return "".join(
        c if c.isprintable() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in document
    )


def _utf16(character: str) -> Sequence[int]:
    encoded = character.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]


def short(identifier: str) -> str:
    """The first digits of an ID, enough for people."""
    return identifier[:SHORT_ID]


def human_size(size: int) -> str:
    """A number of bytes with an IEC unit."""
    number, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"


def human_time(created: str) -> str:
    """An RFC 3339 time to the minute; "-" for Go's zero time."""
    return "-" if created.startswith("0001-") else created[:16].replace("T", " ")


def _row(cells: Sequence[str], widths: Sequence[int], limit: int) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    line = _GAP.join(padded).rstrip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
