"""doctor says what is there and why something is not, on any machine, and exits with 0."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import tensorlite as tl


def doctor(**environment):
    process = subprocess.run([sys.executable, "-W", "error", "-m", "tensorlite", "doctor"], text=True, timeout=60,
                             capture_output=True, env=os.environ | environment)
    assert (process.returncode, process.stderr) == (0, "")
    rows = (line.split(None, 1) for line in process.stdout.splitlines() if line.startswith("  ") and line[2] != " ")
    return dict(rows), process.stdout


def test_it_names_versions_cpu_threads_cache_and_gpu(tmp_path):
    rows, text = doctor(TENSORLITE_CACHE_DIR=str(tmp_path), TENSORLITE_NUM_THREADS="2")
    assert [line for line in text.splitlines() if not line.startswith(" ")] == ["versions", "cpu", "cache", "devices"]
    assert rows["tensorlite"] == tl.__version__
    assert rows["numpy"] == np.__version__
    assert rows["threads"].startswith("2 ")
    assert rows["folder"] == str(tmp_path)
    assert rows["writable"] == "yes"
    assert "usable" in rows["cores"]


@pytest.mark.skipif("cuda:0" in tl.devices_available(), reason="there is a GPU here")
def test_it_says_why_there_is_no_gpu():
    rows, _ = doctor()
    assert rows["cuda"].startswith("no: CuPy")


def test_it_says_why_the_cache_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    rows, _ = doctor(TENSORLITE_CACHE_DIR=str(tmp_path / "file"))
    assert rows["writable"].startswith("no: ")
    assert rows["folder"] != str(tmp_path / "file")


def test_it_works_without_a_home(tmp_path):
    rows, _ = doctor(HOME="", XDG_CACHE_HOME="", TENSORLITE_CACHE_DIR="", TMPDIR=str(tmp_path))
    assert "folder" in rows
