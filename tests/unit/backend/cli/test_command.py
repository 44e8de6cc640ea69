"""The command as a process: exit codes, streams, errors, help."""

import importlib
import inspect
import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from backend import open_store
from backend.cli.command import help_text
from backend.cli.flags import GLOBAL_FLAGS
from backend.cli.grammar import Verb, parse
from backend.config import load_options
from fusefs.verbs import VERBS
from tests.support import process
from tests.support.commandline import Storagefs, run
from tests.support.gotools import Roots

PROJECT = os.fspath(Path(__file__).parents[4])


class Command:
    """``storagefs`` on a small vfs store of the test's own, and nobody's configuration."""

    def __init__(self, base: Path) -> None:
        self.graph, self.run = str(base / "graph"), str(base / "run")
        self.store = ["--graph", self.graph, "--run", self.run, "--storage-driver", "vfs"]
        self.environment = {
            "PYTHONPATH": PROJECT,
            "HOME": os.fspath(base),
            "XDG_CONFIG_HOME": os.fspath(base),
            "CONTAINERS_STORAGE_CONF": os.fspath(base / "storage.conf"),
        }
        (base / "storage.conf").write_text("[storage]\n")

    def plain(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = process.run(
            [sys.executable, "-m", "fusefs.cli", *words],
            check=False,
            environment=self.environment | variables,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.plain(*self.store, *words)

    def make_store(self) -> None:
        options = load_options(graph_root=self.graph, run_root=self.run, driver="vfs")
        with open_store(options) as store:
            base = store.layers.create(names=["base"])
            top = store.layers.create(parent=base.id)
            store.images.create(names=["localhost/a:1"], layer=top.id)
            store.containers.create(names=["web"], image="localhost/a:1")


@pytest.fixture
def storagefs(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def filled(storagefs: Command) -> Command:
    storagefs.make_store()
    return storagefs


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 1, "no command given"),
        (["nonsense"], 1, "nonsense: no such command"),
        (["--nonsense", "layers"], 1, "--nonsense"),
        (["layers", "--nonsense"], 125, "layers: there is no flag --nonsense"),
        (["layers", "extra"], 1, "'extra' is too much"),
        (["mounted"], 1, "needs CONTAINER|LAYER"),
        (["mount"], 1, "needs MOUNTPOINT|CONTAINER"),
        (["mount", "/x", "-o", "bogus"], 1, "known options"),
        (["umount", "/"], 32, "no storagefs is mounted there"),
        (["--run", "/proc/nowhere", "create-layer"], 1, "error initializing: "),
    ],
)
def test_what_cannot_be_done_has_the_exit_code_of_its_kind(
    storagefs: Command, words: list[str], code: int, said: str
) -> None:
    done = storagefs(*words)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_not_there_is_read_as_an_empty_one_and_stays_away(
    storagefs: Command,
) -> None:
    for words in (["layers"], ["images"], ["containers"], ["storage-layers"], ["mounted", "x"]):
        done = storagefs(*words)
        assert done.stdout == ""
        assert done.returncode == (words[0] == "mounted")
    assert storagefs.graph in storagefs("status").stdout
    assert json.loads(storagefs("exists", "-j", "x").stdout) == {"x": False}

    assert not Path(storagefs.graph).exists()
    assert not Path(storagefs.run).exists()


def test_an_empty_directory_is_a_store_without_anything(storagefs: Command) -> None:
    Path(storagefs.graph).mkdir()

    assert storagefs("layers").returncode == 0
    assert list(Path(storagefs.graph).iterdir()) == []


def test_a_directory_with_something_else_in_it_is_no_store(storagefs: Command) -> None:
    Path(storagefs.graph).mkdir()
    Path(storagefs.graph, "photos").mkdir()

    for verb in ("layers", "status", "create-layer"):
        done = storagefs(verb)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error initializing: {storagefs.graph}: ")
        assert "--graph" in done.stderr


def test_a_person_is_told_that_there_is_no_store(storagefs: Command) -> None:
    assert f"{storagefs.graph}: no store is there yet" in on_terminal(storagefs, "layers")


def test_a_mount_of_a_missing_store_makes_none(storagefs: Command, tmp_path: Path) -> None:
    done = storagefs("mount", str(tmp_path / "mnt"))

    assert done.returncode == 32
    assert storagefs.graph in done.stderr
    assert not Path(storagefs.graph).exists()


def test_listing_changes_nothing_in_the_store(filled: Command) -> None:
    def content() -> dict[str, int]:
        roots = (Path(filled.graph), Path(filled.run))
        return {str(path): path.lstat().st_mtime_ns for root in roots for path in root.rglob("*")}

    before = content()
    for words in (["layers"], ["images", "-j"], ["containers"], ["status"], ["mounted", "web"]):
        assert filled(*words).returncode == 0

    assert content() == before


def test_json_is_one_document_on_one_line(filled: Command) -> None:
    for verb, *words in (["layers"], ["images"], ["containers"], ["status"], ["mounted", "web"]):
        text = filled(verb, "--json", *words).stdout
        assert text.count("\n") == 1
        assert isinstance(json.loads(text), list)


def test_a_damaged_file_is_named_with_its_remedy(filled: Command) -> None:
    path = Path(filled.graph, "vfs-images", "images.json")
    path.write_text('[{"id":')

    done = filled("layers")

    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) > 2, "what can be shown is shown"


def test_a_reader_that_goes_away_is_no_error_message(filled: Command) -> None:
    command = [sys.executable, "-m", "fusefs.cli", *filled.store, "layers", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            command,
            stdout=closed,
            stderr=subprocess.PIPE,
            env=process.clean_environment(filled.environment),
            timeout=30,
            check=False,
        )

    assert done.stderr == b""
    assert done.returncode == 1


def on_terminal(command: Command, *words: str, expected: int = 0, **variables: str) -> str:
    """Output of the command on a terminal of its own."""
    main, terminal = pty.openpty()
    with os.fdopen(main, "rb", buffering=0) as screen:
        process_ = subprocess.Popen(
            [sys.executable, "-m", "fusefs.cli", *command.store, *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=process.clean_environment(command.environment | {"TERM": "xterm"} | variables),
        )
        os.close(terminal)
        shown = b""
        try:
            while piece := screen.read(65536):
                shown += piece
        except OSError:  # how the end of a terminal is told
            pass
        assert process_.wait(30) == expected
    return shown.decode()


def test_a_terminal_gets_a_table_with_a_bold_header(filled: Command) -> None:
    shown = on_terminal(filled, "images")

    assert "\x1b[1m" in shown.splitlines()[0]
    assert "NAME" in shown.splitlines()[0]
    assert "localhost/a:1" in shown


def test_no_color_is_honoured(filled: Command) -> None:
    assert "\x1b" not in on_terminal(filled, "images", NO_COLOR="1")
    assert "\x1b" not in on_terminal(filled, "containers", TERM="dumb")


def test_config_shows_each_value_with_its_origin(storagefs: Command, tmp_path: Path) -> None:
    conf = tmp_path / "storage.conf"
    conf.write_text('[storage]\ngraphroot = "/g"\ngraphrot = "/typo"\n')

    plain = storagefs.plain("config")
    origins = storagefs.plain("config", "--origin", STORAGE_DRIVER="vfs")

    assert json.loads(plain.stdout)["root"] == "/g"
    assert f"{conf}: storage.graphrot" in plain.stderr
    assert f"graph_root\t/g\t{conf}" in origins.stdout.splitlines()
    assert "driver\tvfs\tSTORAGE_DRIVER" in origins.stdout.splitlines()


def test_config_shows_maps_of_ids(storagefs: Command, tmp_path: Path) -> None:
    Path(storagefs.environment["CONTAINERS_STORAGE_CONF"]).write_text(
        '[storage.options]\nremap-uids = "0:1000:10"\nremap-gids = "0:2000:10"\n'
    )

    shown = json.loads(storagefs.plain("config").stdout)
    rows = storagefs.plain("config", "--origin").stdout.splitlines()

    assert shown["uidmap"] == [{"container_id": 0, "host_id": 1000, "size": 10}]
    assert any(row.startswith("gid_map\t0:2000:10\t") for row in rows)


def test_config_of_one_file_reads_that_file_alone(storagefs: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text('[storage]\ngraphroot = "/other"\n')

    done = storagefs.plain("config", str(other), STORAGE_DRIVER="vfs")

    assert json.loads(done.stdout)["root"] == "/other"
    assert "driver" not in json.loads(done.stdout)


def test_a_malformed_file_of_the_environment_fails_every_command(filled: Command) -> None:
    Path(filled.environment["CONTAINERS_STORAGE_CONF"]).write_text("[storage")

    done = filled("layers")

    assert done.returncode == 1
    assert filled.environment["CONTAINERS_STORAGE_CONF"] in done.stderr


def test_mounted_names_what_is_unknown_and_goes_on(filled: Command) -> None:
    done = filled("mounted", "--json", "nosuch", "web")

    assert done.returncode == 1
    assert "nosuch: layer not known" in done.stderr
    assert json.loads(done.stdout) == [
        {"id": "nosuch", "error": "layer not known", "mounted": False},
        {"id": "web", "error": "", "mounted": False},
    ]


def test_errors_without_a_mount_says_what_to_do(storagefs: Command, tmp_path: Path) -> None:
    done = storagefs.plain("errors", str(tmp_path))

    assert done.returncode == 1
    assert str(tmp_path) in done.stderr


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_of_each_verb_has_its_flags_and_an_example_that_parses(verb: Verb) -> None:
    done = run(verb.name, "--help")

    assert done.code == verb.help_exit == (0 if verb.own else 125)
    assert f"Example: storagefs {verb.example}" in done.text
    for flag in verb.flags:
        assert ", ".join(flag.names) in done.text
    assert parse(shlex.split(verb.example), GLOBAL_FLAGS, VERBS).verb is verb


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_verb_has_a_function_and_names_of_its_own(verb: Verb) -> None:
    module = importlib.import_module(verb.module)

    assert inspect.getdoc(getattr(module, verb.function))
    for name in (verb.name, *verb.aliases):
        assert [other.name for other in VERBS if name in (other.name, *other.aliases)] == [
            verb.name
        ]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_flags_of_a_verb_are_not_ambiguous(verb: Verb) -> None:
    names = [name for flag in (*verb.flags, *GLOBAL_FLAGS) for name in flag.names]

    assert len(names) == len(set(names))


def test_help_about_all_lists_every_verb() -> None:
    done = run("--help")

    assert done.code == 0
    assert done.text.splitlines() == list(help_text("storagefs", VERBS))
    assert all(f"  {verb.name} " in done.text for verb in VERBS)


def test_a_directory_that_looks_like_an_object_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnt").mkdir()
    monkeypatch.chdir(tmp_path)

    done = Storagefs(Roots(tmp_path / "graph", tmp_path / "run"))("mount", "mnt")

    assert done.code == 1
    assert done.out == b"\n"
    assert b"layer not known while mounting mnt" in done.err
    assert b"storagefs mount ./mnt" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("mount /graph /mnt /more", 1, b"'/more' is too much"),
        ("umount /mnt ./more", 1, b"'./more' is too much"),
        ("mount --nonsense web", 125, b"--nonsense"),
    ],
)
def test_paths_make_the_verbs_of_trees_out_of_those_of_objects(
    words: str, code: int, said: bytes
) -> None:
    done = run(*words.split())

    assert (done.code, done.out) == (code, b"")
    assert said in done.err


def test_a_terminal_is_told_which_object_is_not_known_and_a_pipe_is_not(filled: Command) -> None:
    assert "nosuch" not in filled("layer", "nosuch").stderr
    assert "nosuch: layer not known" in on_terminal(filled, "layer", "nosuch", expected=1)


def test_an_unknown_driver_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    roots = Roots(tmp_path / "graph", tmp_path / "run")

    done = Storagefs(roots, "nosuch")("create-layer")

    assert done.code == 1
    assert done.err.startswith(b"error initializing: driver not supported: nosuch")
    assert not list(roots.graph.glob("*"))
    assert not roots.run.exists()


def test_a_root_that_cannot_be_made_is_an_error_of_opening(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    roots = Roots(tmp_path / "graph", tmp_path / "file" / "run")

    done = Storagefs(roots)("create-layer")

    assert done.code == 1
    assert done.err.startswith(b"error initializing: ")
    assert b"Not a directory" in done.err


def test_a_word_that_is_no_command_gets_one_line_and_one_that_looks_like_it() -> None:
    done = run("delete-contaner", "web")

    assert (done.code, done.out) == (1, b"")
    assert done.err.count(b"\n") == 1
    assert b"did you mean delete-container?" in done.err
    assert b"did you mean" not in run("qqqq").err


def test_without_a_command_there_is_the_list_of_them() -> None:
    done = run()

    assert done.code == 1
    assert done.text.startswith("Commands:\n")
