"""Every public name says what it is, and every example in a docstring gives what it shows."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from inspect import getdoc

import pytest
from sources import FILES

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Names public modules, classes, functions and methods without a docstring."""
    if ast.get_docstring(tree) is None:
        yield "the module"
    pending: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in parent.body:
            if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
                if ast.get_docstring(node) is None:
                    yield f"{prefix}{node.name}"
                if isinstance(node, ast.ClassDef):
                    pending.append((f"{prefix}{node.name}.", node))


def has_words(module: str, name: str) -> bool:
    """Whether Python's ``help`` has something to say of a name: a method may inherit its docstring."""
    found = reduce(getattr, name.split("."), import_module(module)) if name != "the module" else import_module(module)
    return bool(getdoc(found))


@pytest.mark.parametrize("module", FILES)
def test_public_names_are_documented(module):
    names = undocumented(ast.parse(FILES[module].read_text()))
    assert sorted(name for name in names if not has_words(module, name)) == []


@pytest.mark.parametrize("module", [name for name, path in FILES.items() if ">>> " in path.read_text()])
def test_examples_give_what_they_show(module):
    found = import_module(module)
    failures, tried = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failures == 0
    assert tried > 0
