"""``storagefs install-help``: manual pages and completions where man(1) and the shells look.

Used by: backend.cli.command. Knows nothing of: what the pages and scripts say.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Final

from backend.cli import manual
from backend.cli.grammar import Verb
from backend.cli.request import Request
from backend.cli.shells import SCRIPTS

_COMPLETIONS: Final = {
    "bash": "share/bash-completion/completions/{}",
    "zsh": "share/zsh/site-functions/_{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
}


def run(request: Request) -> int:
    """Write all files below a prefix; those that are there already are replaced."""
    prefix = request.line.arguments[0]
    for name, text in _files(request.output.program, request.verbs):
        path = os.path.join(prefix, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


def _files(program: str, verbs: Sequence[Verb]) -> Iterator[tuple[str, str]]:
    """Path below the prefix, and content."""
    for page, lines in manual.pages(program, verbs):
        yield f"share/man/{page}", "".join(f"{line}\n" for line in lines)
    for shell, place in _COMPLETIONS.items():
        yield place.format(program), SCRIPTS[shell]
