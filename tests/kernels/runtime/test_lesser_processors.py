"""The laws of large kernels hold on processors without AVX-512, and without AVX2, as features taken away show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "generated"
LAWS = {
    "-avx512f": ("test_matmul.py", "test_conv.py", "test_winograd.py", "test_attention.py", "test_recurrent.py"),
    "-avx512f,-avx2,-fma,-f16c": ("test_matmul.py", "test_direct.py"),
}


@pytest.mark.parametrize("mask", LAWS)
def test_laws_hold_without_some_features(mask, tmp_path):
    environment = os.environ | {"TENSORLITE_CPU_FEATURES": mask, "TENSORLITE_CACHE_DIR": str(tmp_path)}
    laws = [str(FOLDER / law) for law in LAWS[mask]]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *laws]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=FOLDER.parents[2])
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
