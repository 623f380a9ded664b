"""Imports go down only, in no circle, and inside functions only where a package is optional or slow."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from sources import FILES, FLOORS, ROOT, imported, imports

#: What may be imported inside a function, because it is optional or slow.
LATE = {"numba", "cupy", "matplotlib", "llvmlite", "sklearn", "PIL", "tqdm", "torch", "IPython", "platformdirs"}


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down_only(module):
    folder = FILES[module].relative_to(ROOT).parts[0]
    _, forbidden, allowed = FLOORS[folder]
    if module == "tensorlite":
        forbidden = tuple(name for name in forbidden if name != "tensorlite.jit")
    names = [f"{name}." for where in (False, True) for name in imported(module, where)]
    assert [name for name in names if name.startswith(tuple(f"{bad.rstrip('.')}." for bad in forbidden))
            and not name.startswith(tuple(f"{good}." for good in allowed))] == []


@pytest.mark.parametrize("module", FILES)
def test_only_optional_packages_are_imported_inside_functions(module):
    assert {name.split(".")[0] for name in imported(module, inside_functions=True)} - LATE == set()


def test_no_imports_go_in_a_circle():
    def target(name: str) -> str | None:
        return name if name in FILES else name.rpartition(".")[0] if name.rpartition(".")[0] in FILES else None

    graph = {module: {target(name) for name in imported(module)} - {None, module} for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_walk_sees_what_it_should():
    tree = ast.parse("import a\nfrom . import b\nfrom .c import d\n"
                     "if TYPE_CHECKING:\n    import e\ndef f():\n    import g.h\n")
    assert list(imports(tree, "p.q", is_package=False)) == ["a", "p.b", "p.c.d"]
    assert list(imports(tree, "p.q", is_package=True)) == ["a", "p.q.b", "p.q.c.d"]
    assert list(imports(tree, "p.q", is_package=False, inside_functions=True)) == ["g.h"]


def test_importing_calls_few_functions():
    """Milliseconds depend on the machine's load, calls do not: the 80 ms of the architecture are about 150 000."""
    program = ("import cProfile, numpy; profile = cProfile.Profile(); profile.enable(); import tensorlite; "
               "profile.disable(); print(sum(entry.callcount for entry in profile.getstats()))")
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert int(told.stdout) < 135_000
