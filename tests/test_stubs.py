"""The type stubs are what the declarations say, and a type checker finds every public name in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tensorlite as tl
import tensorlite.jit
from tensorlite import stubs


@pytest.mark.parametrize(("name", "text"), [("tensor.pyi", stubs.tensor_stub), ("__init__.pyi", stubs.face_stub)])
def test_stub_is_current(name, text):
    path = Path(tl.__file__).parent / name
    assert path.read_text() == text(), f"{name} is out of date: run `python -m tensorlite.stubs`"


PROGRAM = """
import tensorlite as tl
from tensorlite import nn, optim

def f(x: tl.Tensor) -> tl.Tensor:
    y = tl.sum(tl.exp(x) * 2.0 + x.relu(), axis=0, keepdims=True)
    y[0] = 1
    return (y.view(-1) @ y.permute(0, 1)).to(tl.float64)

model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
opt = optim.Adam(model.parameters(), lr=1e-3)
f(tl.zeros((2, 2))).backward()
"""


def lay_out_as_installed(folder):
    """The packages as a wheel has them: type checkers do not follow editable installs of several folders."""
    (folder / "tensorlite").mkdir()
    for path in Path(tl.__file__).parent.iterdir():
        (folder / "tensorlite" / path.name).symlink_to(path)
    (folder / "tensorlite" / "kernels").symlink_to(Path(tl.kernels.__file__).parent)
    (folder / "tensorlite" / "jit").symlink_to(Path(sys.modules["tensorlite.jit"].__file__).parent)


def test_type_checker_knows_functions_and_methods(tmp_path):
    pytest.importorskip("mypy", reason="mypy comes with the dev extra")
    lay_out_as_installed(tmp_path)
    (tmp_path / "good.py").write_text(PROGRAM)
    (tmp_path / "bad.py").write_text(PROGRAM + "f(tl.zeros(2)).no_such_method()\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent",
               "--ignore-missing-imports"]
    good = subprocess.run([*command, "good.py"], cwd=tmp_path, capture_output=True, text=True)
    assert good.returncode == 0, good.stdout
    bad = subprocess.run([*command, "bad.py"], cwd=tmp_path, capture_output=True, text=True)
    assert '"Tensor" has no attribute "no_such_method"' in bad.stdout
