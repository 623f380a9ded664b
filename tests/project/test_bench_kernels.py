"""The command that measures kernels runs, and says how they stand beside their rivals."""

from __future__ import annotations

import json

import pytest

from tensorlite.benchmarks import kernels
from tensorlite.benchmarks.harness import Row


def test_small_parts_run(capsys, tmp_path):
    path = tmp_path / "rows.json"
    arguments = ["--small", "--threads=1", "--repeat=1", f"--json={path}"]
    arguments += ["--only", "conv,conv_weight,matmul,attention,recurrent,networks,irregular"]
    assert kernels.main(arguments) == 0
    text = capsys.readouterr().out
    assert "conv: 3 x 3 convolutions, step 1, of ResNet's and VGG's layers, forward, NCHW in and out." in text
    assert "| 8 x 512 channels, 7 x 7 | 1 |" in text and "| 96 x 96 x 96 | 1 |" in text
    assert "| 128 tokens of 32, causal | 1 |" in text and "| resnet18 | 1 |" in text
    assert "| LSTM 32 x 1, 64 to 64, training, jit | 1 |" in text
    assert len(json.loads(path.read_text())["rows"]) == 30


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        kernels.main(["--only", "conv,speed"])
    assert f"there is {', '.join(kernels.PARTS)}, and no 'speed'" in capsys.readouterr().err


def test_bytes_are_measured_beside_float32(capsys):
    assert kernels.main(["--only", "int8_matmul", "--small", "--threads", "1", "--repeat", "1"]) == 0
    text = capsys.readouterr().out
    assert "| 128 x 128 x 128 | 1 |" in text and "GOP/s, float32" in text


def test_tiles_of_bytes_are_measured_beside_windows(capsys):
    assert kernels.main(["--only", "int8_tiles", "--small", "--threads", "1", "--repeat", "1"]) == 0
    text = capsys.readouterr().out
    assert "| 1 x 512 channels, 7 x 7 | 1 |" in text and " of windows |" in text


def test_a_mean_is_that_of_the_best_rivals():
    rows = [Row("", 1, {}, {}, ratios={"torch": 4.0, "onnxruntime": 1.0}), Row("", 1, {}, {}, ratios={"torch": 4.0})]
    assert kernels.mean("conv", rows) == "geometric mean of the best rival / ours: 2.00 (must reach 1.8)"
    assert kernels.mean("conv_other", rows) == "geometric mean of the best rival / ours: 2.00"
    assert kernels.mean("conv", [Row("", 1, {}, {})]) == "no rival is installed"
