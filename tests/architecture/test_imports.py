"""Who may import whom: the contracts of pyproject.toml hold, and each rule has a contract."""

import ast
import sys
from pathlib import Path

import pytest

from tests.support import process

PROJECT = Path(__file__).parents[2]
PACKAGES = ("fusefs", "backend", "drivers")
MODULES = sorted(file for package in PACKAGES for file in (PROJECT / package).rglob("*.py"))

EVENT_LOOP = {"trio", "pyfuse3"}
RAW_SYSTEM = {"ctypes", "fcntl"}
"""Only drivers.linux talks to the kernel past os; the rest asks it."""


def named(path: Path) -> str:
    return path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")


def imported(module: Path) -> set[str]:
    """Top-level names of the packages that *module* imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = process.run([str(program), "--no-cache"], cwd=PROJECT, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_only_drivers_linux_uses_ctypes_and_fcntl(module: Path) -> None:
    allowed = RAW_SYSTEM if named(module).startswith("drivers.linux.") else set()
    assert imported(module) & RAW_SYSTEM <= allowed


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_the_event_loop_stays_at_the_top_of_fusefs(module: Path) -> None:
    package, *rest = named(module).split(".")
    allowed = EVENT_LOOP if package == "fusefs" and rest[:1] != ["nodes"] else set()
    assert imported(module) & EVENT_LOOP <= allowed


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_what_commands_load_needs_no_dataclasses(module: Path) -> None:
    """The module alone brings inspect, ast and tokenize: a sixth of what a command takes."""
    package, *_ = named(module).split(".")
    allowed = {"dataclasses"} if package == "fusefs" else set()
    assert imported(module) & {"dataclasses"} <= allowed
