"""The project's own files, and what each of them imports."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Real data, which tests that need them skip without: ``pytest.mark.skipif(not DATA.is_dir(), reason=NO_DATA)``.
DATA = Path(os.environ.get("TENSORLITE_DATA", ROOT.parent / "shared/data"))
NO_DATA = "needs ../shared/data, or another folder that TENSORLITE_DATA names"
#: Each floor's folder, the package it is, and what nothing in it may import.
FLOORS = {
    "kernels": ("tensorlite.kernels", ("tensorlite.",), ("tensorlite.kernels",)),
    "tensorlite": ("tensorlite", ("llvmlite", "numba", "cupy", "tensorlite.jit"), ()),
    "jit": ("tensorlite.jit", ("llvmlite", "numba", "cupy", "tensorlite.benchmarks"), ()),
    "benchmarks": ("tensorlite.benchmarks", ("tests",), ()),
}


def module_name(path: Path, folder: str, package: str) -> str:
    parts = path.relative_to(ROOT / folder).with_suffix("").parts
    return ".".join((package, *parts)).removesuffix(".__init__")


FILES = {module_name(path, folder, package): path
         for folder, (package, _, _) in FLOORS.items() for path in sorted((ROOT / folder).rglob("*.py"))}


def imports(tree: ast.AST, module: str, is_package: bool, inside_functions: bool = False) -> Iterator[str]:
    """Gives the full names that a module imports: at its top, or inside its functions."""
    for node, depth in walk(tree):
        if (depth > 0) != inside_functions:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".") if is_package else module.split(".")[:-1]
            prefix = ".".join(base[:len(base) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (prefix, node.module) if part)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def walk(tree: ast.AST, depth: int = 0) -> Iterator[tuple[ast.AST, int]]:
    """Gives every node with the number of functions round it; what only a type checker reads is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node, depth
        yield from walk(node, depth + isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def imported(module: str, inside_functions: bool = False) -> list[str]:
    path = FILES[module]
    return list(imports(ast.parse(path.read_text()), module, path.name == "__init__.py", inside_functions))
