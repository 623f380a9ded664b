"""The Makefile and the package: targets that stand, and a wheel that works by itself."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from sources import FILES, FLOORS, ROOT

CONFIGURATION = configparser.ConfigParser()
CONFIGURATION.read(ROOT / "setup.cfg")
TARGETS = ("demo", "test", "check", "bench", "coverage", "wheel", "clean", "help")


def make(*arguments):
    environment = {name: value for name, value in os.environ.items() if name != "ARGS" and not name.startswith("MAKE")}
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, text=True, capture_output=True,
                          timeout=60, check=False, env=environment)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target):
    plan = make("--dry-run", target)
    assert (plan.returncode, plan.stderr) == (0, "")


def test_help_lists_every_target():
    assert [line.split()[1] for line in make("help").stdout.splitlines()] == ["help", *TARGETS[:-1]]


def test_a_fresh_clone_makes_its_environment_with_the_chosen_python(tmp_path):
    plan = make("--dry-run", "test", f"VENV={tmp_path}/fresh", "PYTHON=some-python").stdout
    assert f"some-python -m venv {tmp_path}/fresh" in plan
    assert "pip install --quiet --disable-pip-version-check -e '.[dev]'" in plan
    assert f"{tmp_path}/fresh/bin/python -m pytest" in plan


def test_a_second_run_installs_nothing(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    (tmp_path / ".dev").touch()
    python = f"{tmp_path}/bin/python"
    assert make("--dry-run", "test", f"VENV={tmp_path}").stdout == f"{python} -m pytest -n auto --dist loadfile\n"


def test_an_old_python_is_refused_with_the_fix(tmp_path):
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = make("test", f"VENV={tmp_path}/fresh", f"PYTHON={old}")
    assert refused.returncode == 2
    assert "tensorlite needs Python >= 3.11; choose one with: make PYTHON=python3.12 test" in refused.stdout


def test_every_package_is_listed():
    packages = {module if path.name == "__init__.py" else module.rpartition(".")[0] for module, path in FILES.items()}
    assert set(CONFIGURATION["options"]["packages"].split()) == packages


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel's content, built from a copy of the sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FLOORS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
                    "--disable-pip-version-check", "--wheel-dir", str(target), str(source)], check=True, timeout=120)
    wheel, = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target / "content")
    return target / "content"


def test_the_wheel_contains_every_module_and_what_goes_with_them(unpacked):
    modules = {f"{module.replace('.', '/')}{'/__init__' if path.name == '__init__.py' else ''}.py"
               for module, path in FILES.items()}
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    stubs = {str(path.relative_to(ROOT)) for path in (ROOT / "tensorlite").rglob("*.pyi")}
    assert modules - found == set()
    assert stubs | {"tensorlite/py.typed"} <= found
    assert any(name.endswith("/licenses/LICENSE") for name in found)
    assert not any(name.startswith(("tests/", "kernels/", "jit/", "benchmarks/")) for name in found)


def test_the_wheel_works_by_itself(unpacked, tmp_path):
    program = """
import tensorlite as tl, tensorlite.kernels, tensorlite.benchmarks, tensorlite.cli
from tensorlite import nn, optim
x = tl.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
print(tl.__file__, tensorlite.kernels.__file__, tensorlite.benchmarks.__file__, x.grad.tolist(), sep="\\n")
"""
    process = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, text=True, timeout=60,
                             capture_output=True, env=os.environ | {"PYTHONPATH": str(unpacked)}, check=False)
    places = [str(Path(unpacked, "tensorlite", part, "__init__.py")) for part in ("", "kernels", "benchmarks")]
    assert (process.stdout.splitlines(), process.stderr) == ([*places, "[2.0, 4.0]"], "")
