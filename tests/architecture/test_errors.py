"""Every error has an errno of its own and a place in the tree that is drawn."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import backend
import drivers
import fusefs
from drivers.errors import StorageError
from fusefs import errnos

COMMAND_LINE = ("backend.cli", "fusefs.mountverb", "fusefs.umountverb", "fusefs.mounthelper")
"""What is raised here becomes an exit code and never reaches a request."""


def modules() -> Iterator[ModuleType]:
    for package in (drivers, backend, fusefs):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield importlib.import_module(found.name)


def classes(base: type) -> set[type]:
    below = {sub for direct in base.__subclasses__() for sub in classes(direct)}
    return {base} | below


def test_every_error_has_an_errno_of_its_own() -> None:
    assert list(modules())
    known = {cls for cls in classes(StorageError) if not cls.__module__.startswith(COMMAND_LINE)}
    assert known - set(errnos.TABLE) == set()


def test_the_docstring_of_each_error_module_draws_its_whole_tree() -> None:
    for module in (drivers.errors, backend.errors):
        own = {name for name, value in vars(module).items() if _defined_in(value, module)}
        assert {name for name in own if name not in (module.__doc__ or "")} == set()


def _defined_in(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__
