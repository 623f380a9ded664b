"""A newcomer follows CONTRIBUTING.md: an elementwise op is four lines in one file, and everything else follows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from sources import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
OP, = re.findall(r"^```python op\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILE, = re.findall(r"at the end of `([^`]+)`", PAGE)
COMMAND, = re.findall(r"stubs anew with `python -m ([^`]+)`", PAGE)

PROGRAM = """
import numpy as np
import tensorlite as tl

def expected(x):
    return x / (1 + x * x)

for dtype in ("float16", "bfloat16", "float32", "float64"):
    for size in (5, 300_000):
        x = tl.asarray(np.linspace(-3, 3, size), dtype=dtype)
        found = tl.serpentine(x)
        assert found.dtype == x.dtype
        wide = x.numpy().astype(np.float64)
        error = np.abs(found.numpy().astype(np.float64) - expected(wide)).max()
        assert error <= {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-7, "float64": 1e-15}[dtype], (dtype, error)

x = tl.tensor([-2.0, 0.5, 3.0], dtype=tl.float64, requires_grad=True)
assert np.array_equal(x.serpentine().detach().numpy(), expected(x.detach().numpy()))
tl.autograd.gradcheck(tl.serpentine, (x,))
tl.autograd.gradgradcheck(tl.serpentine, (x,))
y = tl.asarray([1.0, -1.0])
y.serpentine_()
assert y.tolist() == [0.5, -0.5]
assert tl.serpentine.__doc__ == "Newton's serpentine ``x / (1 + x**2)``."
print(tl.__file__)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources as a newcomer leaves them: the op added, the stubs written."""
    folder = tmp_path_factory.mktemp("newcomer")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tensorlite", folder / "tensorlite", ignore=ignored)
    shutil.copytree(ROOT / "kernels", folder / "tensorlite/kernels", ignore=ignored)
    with open(folder / FILE, "a") as file:
        file.write(f"\n\n{OP}")
    run(folder, "-m", COMMAND)
    return folder


def run(folder, *arguments):
    process = subprocess.run([sys.executable, "-W", "error", *arguments], cwd=folder, text=True, capture_output=True,
                             timeout=300, env=os.environ | {"PYTHONPATH": str(folder)}, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_an_op_is_about_four_lines():
    assert len(OP.splitlines()) == 4


def test_the_op_works_in_every_way(copy):
    assert run(copy, "-c", PROGRAM).strip() == str(copy / "tensorlite/__init__.py")


def test_editors_see_it(copy):
    assert "def serpentine(" in (copy / "tensorlite/__init__.pyi").read_text()
    assert "def serpentine_(" in (copy / "tensorlite/tensor.pyi").read_text()
