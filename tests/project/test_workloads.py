"""The workloads train in tensorlite, PyTorch and JAX alike, and the command that measures them runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from tolerance import LOSS_CURVES, assert_close, assert_same

import tensorlite as tl
from tensorlite.benchmarks import jit, workload_runners
from tensorlite.benchmarks.workloads import WORKLOADS, workload

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")
torch.set_num_threads(1)

NAMES = list(WORKLOADS)
#: What a loss may be off by after some steps: float32's few ulp, grown like a sum of so many terms.
TERMS = 64


def curve(runner: str, of, steps: int) -> np.ndarray:
    """The losses of some steps, from the beginning."""
    step, batch = workload_runners.RUNNERS[runner].start(of)
    return np.array([float(step(*batch)) for _ in range(steps)], np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_twenty_steps_in_small_have_the_losses_of_torch(name):
    found = curve("tensorlite eager", workload(name, small=True), 20)
    assert found[-1] < found[0]
    assert_close(found, curve("torch", workload(name, small=True), 20), terms=TERMS)


@pytest.mark.parametrize("name", NAMES)
def test_twenty_compiled_steps_in_small_have_the_losses_of_eager_ones(name):
    small = workload(name, small=True)
    assert_close(curve("tensorlite", small, 20), curve("tensorlite eager", small, 20), terms=TERMS)


#: The whole workloads, but for a smaller batch of the slowest. The images' losses end near zero, where roundings of
#: float32 alone move them by 1e-3 (PyTorch's own do); in float64 the same programs show whether they compute the same.
WHOLE = {"W1": (tl.float64, None), "W2": (tl.float64, None), "W3": (tl.float64, (4, 3, 32, 32)),
         "W4": (tl.float32, None), "W5": (tl.float32, None)}


@pytest.mark.parametrize("name", NAMES)
def test_fifty_compiled_steps_have_the_losses_of_torch(name):
    from tensorlite.benchmarks import workload_torch
    dtype, shape = WHOLE[name]
    whole = replace(workload(name), shape=shape or workload(name).shape)
    ours, model = whole.start(jit=True), workload_torch.model_of(whole)
    step, (x, y) = workload_torch.build(whole, model=model.double() if dtype == tl.float64 else model)
    ours.model.to(dtype)
    images, classes = ours.batch
    if dtype == tl.float64:
        images, x = images.to(dtype), x.double()
    torch.set_num_threads(2)
    try:
        expected = np.array([float(step(x, y)) for _ in range(50)])
    finally:
        torch.set_num_threads(1)
    found = np.array([float(ours.step(images, classes)) for _ in range(50)])
    assert found[-1] < found[0] / 2
    assert_close(found, expected, tolerance=LOSS_CURVES)


@pytest.mark.parametrize("name", NAMES)
def test_twenty_steps_in_jax_have_the_losses_of_torch(name):
    pytest.importorskip("jax", reason="JAX is the rival that this test is of")
    assert_close(curve("jax", workload(name, small=True), 20), curve("torch", workload(name, small=True), 20),
                 terms=TERMS)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_training_leaves_the_state_that_torchs_leaves(name, compiled):
    from tensorlite.benchmarks import workload_torch
    small = workload(name, small=True)
    ours, model = small.start(jit=compiled), workload_torch.model_of(small)
    step, batch = workload_torch.build(small, model=model)
    for _ in range(3):
        step(*batch)
        ours.step(*ours.batch)
    theirs = model.state_dict()
    assert list(ours.model.state_dict()) == list(theirs)
    for key, found in ours.model.state_dict().items():
        # A softmax does not see the keys' bias: its derivative is roundings, of which Adam makes whole steps.
        if not key.endswith("qkv.bias"):
            assert_close(found, theirs[key].numpy(), terms=TERMS)


def test_networks_are_as_large_as_those_they_are_called_after():
    def count(name):
        return sum(math.prod(p.shape) for p in workload(name).model(0).parameters())

    assert count("W1") == 785 * 256 + 257 * 256 + 257 * 10
    assert count("W2") == 10 * 32 + (9 * 32 + 1) * 64 + 12545 * 128 + 129 * 10
    assert count("W3") == 11_173_962  # ResNet-18 has 11,689,512 with its 7x7 first convolution and 1000 classes
    assert count("W4") == (96 + 128) * 256 + 4 * (12 * 256**2 + 13 * 256) + 2 * 256 + 96 * 256


def test_the_residual_network_has_torchvisions_names():
    names = list(workload("W3").weights(0))
    assert len(names) == 122
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight",
            "layer2.0.downsample.1.num_batches_tracked", "layer4.1.bn2.bias", "fc.weight"} <= set(names)
    assert "layer1.0.downsample.0.weight" not in names


def test_a_seed_gives_the_same_training_and_another_gives_another():
    small = workload("W3", small=True)
    for first, second in zip([*small.weights(1).values(), *small.batch(1)],
                             [*small.weights(1).values(), *small.batch(1)], strict=True):
        assert_same(first, second)
    assert not np.array_equal(small.weights(1)["conv1.weight"], small.weights(2)["conv1.weight"])
    assert not np.array_equal(small.batch(1)[0], small.batch(2)[0])


def test_a_first_call_is_measured_in_a_process_of_its_own(tmp_path):
    call = workload_runners.first_call("tensorlite eager", "W1", tmp_path, threads=1, small=True)
    assert 0 < call.later < call.first < 60
    assert 10e6 < call.before <= call.peak < 10e9
    with pytest.raises(RuntimeError, match="KeyError: 'W9'"):
        workload_runners.first_call("tensorlite eager", "W9", tmp_path, threads=1)


def test_missing_rivals_are_named(monkeypatch):
    monkeypatch.setattr(workload_runners, "find_spec", lambda name: None if name in ("jax", "onnx") else name)
    monkeypatch.setattr(workload_runners.shutil, "which", lambda program: None)
    assert workload_runners.absent() == ["missing: torch.compile (needs g++)", "missing: jax (needs jax)",
                                         "missing: onnxruntime (needs onnx)"]
    assert [r.name for r in workload_runners.present(("tensorlite", "torch", "torch.compile", "jax"))] == [
        "tensorlite", "torch"]


def parts(*arguments: str) -> list[tuple[str, str | None]]:
    return list(jit._children(jit._parser().parse_args(arguments).only))


def test_parts_and_workloads_are_chosen():
    assert parts("--only", "W1,W4") == [("training", "W1"), ("training", "W4")]
    assert parts("--only", "arena,chains") == [("chains", None), ("arena", "W3"), ("arena", "W4")]
    assert parts("--only", "W3,compile") == [("compile", "one line"), ("compile", "W3")]
    assert {part for part, _ in parts()} == set(jit.PARTS)


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        jit.main(["--only", "W1,speed"])
    assert "and no 'speed'" in capsys.readouterr().err


def test_the_command_prints_tables_writes_json_and_says_what_failed(monkeypatch, tmp_path, capsys):
    def child(module, arguments, threads):
        if "--of=W2" in arguments:
            raise jit.subprocess.CalledProcessError(1, arguments)
        return [jit.row_of(" ".join(arguments), threads, {"tensorlite": [1e-3, 3e-3], "jax": [4e-3]})]

    monkeypatch.setattr(jit, "child", child)
    assert jit.main(["--only", "W1", "--small", "--json", str(tmp_path / "rows.json")]) == 0
    printed = capsys.readouterr().out
    assert "blas: OpenBLAS for " in printed and "training: A step of a workload.\n" in printed
    row = "--child training --threads=2 --repeat=15 --small --of=W1"
    assert f"| {row} | 2 | 2 ms (1 ms) | 4 ms | jax 2.00 |  |  |" in printed
    assert json.loads((tmp_path / "rows.json").read_text())["rows"][0]["name"] == row
    assert jit.main(["--only", "W1,W2"]) == 1
    assert "failed: training W2" in capsys.readouterr().out
