"""Each module opens with its job and its users; what packages offer is described."""

import ast
import inspect
from pathlib import Path

import pytest

import backend
from tests.architecture.test_imports import MODULES, named

MOST_LINES = 400
LONGEST_FUNCTION = 50


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_the_module_says_its_job_and_who_uses_it(module: Path) -> None:
    text = ast.get_docstring(ast.parse(module.read_text()))
    assert text, "no docstring"
    if module.name != "__init__.py":
        assert "Used by:" in text


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_modules_and_functions_stay_small(module: Path) -> None:
    source = module.read_text()
    assert len(source.splitlines()) < MOST_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("name", backend.__all__)
def test_public_names_are_documented(name: str) -> None:
    value = getattr(backend, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_public_classes_and_functions_are_documented(module: Path) -> None:
    for node in ast.parse(module.read_text()).body:
        definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, definition) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
