"""The notebooks run from top to bottom in a fresh kernel, and what is stored in them is what such a run shows."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest
from sources import ROOT

nbformat = pytest.importorskip("nbformat", reason="the dev extra brings it")
execute = pytest.importorskip("notebooks.execute", reason="the dev extra brings what it needs")

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
#: What says where a notebook was executed.
PLACES = re.compile(r"/(home|root|tmp|work|usr|var|opt|Users|mnt)/|site-packages"
                    rf"|\b{re.escape(socket.gethostname())}\b")


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def outputs(path):
    """What each cell of code shows: texts by stream's name, other things by media type."""
    for cell in read(path).cells:
        if cell.cell_type == "code":
            shown = {}
            for output in cell.outputs:
                shown |= {output.name: output.text} if output.output_type == "stream" else output.get("data", {})
            yield cell, shown


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The folder with every notebook as a fresh kernel executes it."""
    folder = tmp_path_factory.mktemp("notebooks")
    process = subprocess.run([sys.executable, ROOT / "notebooks/execute.py", "--into", folder], text=True, timeout=1800,
                             capture_output=True, check=False)
    assert process.returncode == 0, process.stderr
    return folder


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.fixture(params=NOTEBOOKS)
def executed(request):
    """The name of a notebook whose data are there."""
    if folder := execute.missing(request.param):
        pytest.skip(f"needs {folder.name}, in ../shared/data or in the folder that TENSORLITE_DATA names")
    return request.param


def test_a_fresh_kernel_shows_what_is_stored(executed, fresh):
    stored, found = outputs(ROOT / "notebooks" / executed), outputs(fresh / executed)
    assert [(cell.source, sorted(shown)) for cell, shown in stored] == [
        (cell.source, sorted(shown)) for cell, shown in found]


def test_nothing_is_warned_of(executed, fresh):
    for path in (ROOT / "notebooks" / executed, fresh / executed):
        assert [shown["stderr"] for _, shown in outputs(path) if "stderr" in shown] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_stored_and_were_made_in_order(name):
    cells = list(outputs(ROOT / "notebooks" / name))
    assert [cell.execution_count for cell, _ in cells] == list(range(1, len(cells) + 1))
    assert [cell.source for cell, _ in cells for output in cell.outputs if output.output_type == "error"] == []
    assert sum("image/png" in shown for _, shown in cells) >= 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_nothing_says_where_it_was_executed(name):
    texts = [str(data) for _, shown in outputs(ROOT / "notebooks" / name) for kind, data in shown.items()
             if not kind.startswith("image/")]
    assert [text for text in texts if PLACES.search(text)] == []
