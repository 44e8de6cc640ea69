"""What a shell offers while somebody types, and the scripts by which it asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fusefs.verbs import VERBS
from tests.support import process
from tests.support.commandline import Storagefs, run
from tests.support.gotools import Roots

PROJECT = Path(__file__).parents[4]
LAYER = "a1" * 32


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A store with one object of each kind."""
    roots = Roots(tmp_path / "graph", tmp_path / "run")
    storagefs = Storagefs(roots)
    for words in (
        ["create-layer", "-i", LAYER, "-n", "base", "-n", "bad\tname"],
        ["create-layer", "-i", "b" * 64],
        ["create-image", "-n", "localhost/demo:1", "base"],
        ["create-container", "-n", "web", "localhost/demo:1"],
    ):
        assert storagefs(*words).code == 0
    assert storagefs("set-container-data", "web", "state", stdin=b"x").code == 0
    return roots


def offered(roots: Roots, *words: str) -> list[str]:
    """What the last of *words* can become, on a store."""
    store = ["-g", str(roots.graph), f"--run={roots.run}", "--storage-driver", "vfs"]
    done = run("complete", "--", *store, *words)
    assert (done.code, done.err) == (0, b"")
    return [line.partition("\t")[0] for line in done.text.splitlines()]


def test_the_first_word_is_a_verb_or_a_flag_of_every_verb(roots: Roots) -> None:
    assert set(offered(roots, "")) == {verb.name for verb in VERBS}
    assert offered(roots, "delete-c") == ["delete-container"]
    assert offered(roots, "--gr") == ["--graph"]
    assert run("complete").code == 0


def test_flags_are_those_of_the_verb_and_of_every_verb(roots: Roots) -> None:
    assert offered(roots, "layers", "--t") == ["--tree", "--transient-store"]
    assert "--json" in offered(roots, "layers", "--tree", "-")
    assert offered(roots, "layers", "--", "-") == []


def test_arguments_are_objects_of_the_right_kind(roots: Roots) -> None:
    assert offered(roots, "image", "lo") == ["localhost/demo:1"]
    assert offered(roots, "delete-container", "web", "w") == ["web"]
    assert offered(roots, "layer", "a1a1a1") == [LAYER]
    assert offered(roots, "diffsize", "-j", "base", "bas") == ["base"]
    assert offered(roots, "diffsize", "-j", "base", "bbbbb") == ["b" * 64]
    assert offered(roots, "diffsize", "base", "base", "bas") == []
    assert set(offered(roots, "get-names", "")) >= {"base", "localhost/demo:1", "web"}
    assert not any("\t" in word for word in offered(roots, "layer", ""))


def test_items_follow_the_object_that_has_them(roots: Roots) -> None:
    assert offered(roots, "get-container-data", "web", "") == ["state"]
    assert offered(roots, "get-container-data", "nosuch", "") == []


def test_values_of_flags_and_other_arguments(roots: Roots) -> None:
    assert offered(roots, "import-layer", "--file", "") == ["<files>"]
    assert offered(roots, "layers", "-s", "") == ["overlay", "vfs", "btrfs"]
    assert offered(roots, "create-layer", "--id", "") == []
    assert offered(roots, "completion", "b") == ["bash"]
    assert offered(roots, "man", "diffs") == ["diffsize"]
    assert offered(roots, "config", "") == ["<files>"]
    assert offered(roots, "nonsense", "") == []


def test_a_store_that_is_not_there_offers_nothing_and_stays_away(tmp_path: Path) -> None:
    roots = Roots(tmp_path / "graph", tmp_path / "run")

    assert offered(roots, "layer", "") == []
    assert not roots.graph.exists()


def test_no_other_shell_has_a_script() -> None:
    done = run("completion", "tcsh")

    assert done.code == 1
    assert b"bash, zsh, fish" in done.err


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory with ``storagefs`` in it, for shells that call it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "storagefs"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fusefs.cli "$@"\n')
    script.chmod(0o755)
    return directory


def shell(program: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell that finds the program."""
    environment = {
        "PATH": f"{program}:{process.setting('PATH')}",
        "PYTHONPATH": os.fspath(PROJECT),
        "HOME": os.fspath(program),
    }
    return process.run([name, *arguments], environment=environment, timeout=60)


def test_bash_completes_behind_a_colon_and_quotes_what_it_inserts(
    roots: Roots, program: Path
) -> None:
    assert (
        Storagefs(roots)("add-names", "-n", "localhost/demo:$(x) y", "localhost/demo:1").code == 0
    )
    line = f"storagefs -g {roots.graph} -R {roots.run} image localhost/demo:"
    ask = (
        ". <(storagefs completion bash); "
        'COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=6; _storagefs; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )

    done = shell(program, "bash", "-c", ask, "bash", line)

    assert done.stdout.splitlines() == [rb"\$\(x\)\ y", b"1"]


@pytest.mark.shells
def test_fish_completes_objects(roots: Roots, program: Path) -> None:
    ask = (
        "storagefs completion fish | source; "
        f"complete -C 'storagefs -g {roots.graph} -R {roots.run} image loc'"
    )

    assert shell(program, "fish", "-c", ask).stdout.startswith(b"localhost/demo:1\timage ")


@pytest.mark.shells
def test_zsh_gives_its_own_completer_words_with_descriptions(roots: Roots, program: Path) -> None:
    ask = (
        "compdef() { }; source <(storagefs completion zsh); "
        '_describe() { eval "print -rl -- \\"\\${(@)$4}\\""; }; '
        f"words=(storagefs -g {roots.graph} -R {roots.run} image loc); CURRENT=7; _storagefs"
    )

    done = shell(program, "zsh", "-f", "-c", ask)

    assert done.stdout.startswith(b"localhost/demo\\:1:image ")
