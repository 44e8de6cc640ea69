"""Manual pages and completions are found where they were installed."""

import os
from pathlib import Path

import pytest

from fusefs.verbs import VERBS
from tests.support import process
from tests.support.commandline import run


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's prefix with all files in it; the second time finds them there."""
    prefix = tmp_path_factory.mktemp("home") / ".local"
    for _ in range(2):
        done = run("install-help", str(prefix))
        assert (done.code, done.out, done.err) == (0, b"", b"")
    return prefix


def test_every_verb_and_every_alias_has_a_page(prefix: Path) -> None:
    names = [name for verb in VERBS for name in (verb.name, *verb.aliases)]

    pages = {page.name for page in (prefix / "share/man/man1").iterdir()}

    assert pages == {"storagefs.1", *(f"storagefs-{name}.1" for name in names)}


@pytest.mark.shells
@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("storagefs", "STORAGEFS"),
        ("storagefs-diff-size", "STORAGEFS-DIFFSIZE"),
        ("mount.storagefs", "STORAGEFS-MOUNT"),
    ],
)
def test_man_finds_a_page_beside_the_program(prefix: Path, page: str, title: str) -> None:
    programs = prefix / "bin"
    programs.mkdir(exist_ok=True)
    environment = {"PATH": f"{programs}:{process.setting('PATH')}", "MANWIDTH": "80"}

    done = process.run(["man", page], environment=environment)

    assert done.stdout.decode().split()[0] == f"{title}(1)"


def test_bash_loads_the_completion_by_the_name_of_the_command(prefix: Path) -> None:
    script = prefix / "share/bash-completion/completions/storagefs"

    done = process.run(["bash", "-c", '. "$1"; complete -p storagefs', "bash", os.fspath(script)])

    assert done.stdout == b"complete -F _storagefs storagefs\n"


@pytest.mark.shells
def test_zsh_loads_the_completion_when_it_is_first_wanted(prefix: Path) -> None:
    ask = (
        'fpath=("$1" $fpath); autoload -U compinit; compinit -D -u; print -- $_comps[storagefs]; '
        '_describe() { eval "print -rl -- \\"\\${(@)$4}\\""; }; '
        "storagefs() { print -- layers$'\\t'list; }; "
        "words=(storagefs lay); CURRENT=2; _storagefs"
    )

    done = process.run(["zsh", "-f", "-c", ask, "zsh", f"{prefix}/share/zsh/site-functions"])

    assert done.stdout == b"_storagefs\nlayers:list\n"


@pytest.mark.shells
def test_fish_loads_the_completion_of_its_user(prefix: Path) -> None:
    ask = "function storagefs; echo layers; end; complete -C 'storagefs lay'"

    done = process.run(["fish", "-c", ask], environment={"HOME": os.fspath(prefix.parent)})

    assert done.stdout == b"layers\n"
