"""Values and derivatives at zeros, infinities, NaN and far out are PyTorch's, but for a few that say why."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import ELEMENTWISE
from tolerance import assert_close

import tensorlite as tl
from tensorlite.dispatch import apply

torch = pytest.importorskip("torch", reason="PyTorch is the reference at the edges")

POINTS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, -1e30, 88.0,
                   -88.0, 700.0, -700.0, 20.0, -20.0, 1e-8])

#: PyTorch's function where it is not `torch.<name>`.
FUNCTIONS = {
    "rint": torch.round, "conj": torch.conj_physical, "relu": torch.relu, "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"), "softplus": torch.nn.functional.softplus,
    "silu": torch.nn.functional.silu, "fmod_floats": torch.fmod,
    **{name: getattr(torch.special, name) for name in tl.ops.bessel.__all__},
}

#: Where our derivative is another one, and why.
ELSEWHERE = {
    "abs": lambda x: np.isnan(x),  # a NaN gives a NaN
    "acosh": lambda x: x < 1,  # no value, no derivative
    "hypot": lambda x, y: (x == 0) & (y == 0),  # the kink of a norm is 0, as in torch.norm
    "maximum": lambda x, y: np.isnan(x) | np.isnan(y),  # PyTorch gives all to the first
    "minimum": lambda x, y: np.isnan(x) | np.isnan(y),
    "logaddexp": lambda x, y: (x == y) & np.isinf(x),  # a half each, where PyTorch has NaN
    "logaddexp2": lambda x, y: (x == y) & np.isinf(x),
    "i0": lambda x: np.isinf(x),  # infinite, where PyTorch has NaN
    "i1": lambda x: ~np.isfinite(x) | (np.abs(x) > 80),  # as well, and NaN of NaN, where PyTorch's slope is 1/2
    "i1e": lambda x: np.isnan(x),
    "ndtri": lambda x: (x > 0) & (x < 1e-6),  # the slope is good to as many units as its exponent
    "log_ndtr": lambda x: x < -10,  # PyTorch's slope is a quotient of two that are
    "fmod_floats": lambda x, y: (np.abs(x) > 1e20) & (np.abs(y) < 1e-20),  # PyTorch's float32 gives a NaN
    "sinc": lambda x: (np.abs(x) < 1e-5) & (x != 0),  # PyTorch's difference cancels
    "logit": lambda x: np.signbit(x) & (x == 0),  # PyTorch's vectors lose the zero's sign
    "copysign": lambda x, y: np.isinf(x) | np.isnan(x) | (x == 0),  # the slope is a sign, where PyTorch divides
    "sign": lambda x: np.isnan(x),  # the standard asks for NaN
    "gelu": lambda x: np.isinf(x),  # PyTorch's float32 gives a NaN
    "atan2": lambda x, y: (np.hypot(x, y) < 1e-15) & (np.hypot(x, y) > 0),  # PyTorch's squares underflow
    "remainder": lambda x, y: (np.abs(x) > 1e20) & (np.abs(y) < 1e-20),  # PyTorch's float32 quotient overflows
}

#: Not PyTorch's to judge: it has no derivative, other values by design, or ten digits (of digamma's derivative).
LEFT_OUT = {"digamma", "floor_divide", "imag", "clip_low", "clip_high"}


def torch_function(name: str):
    return FUNCTIONS.get(name) or getattr(torch, name, None)


COMPARED = [op for op in ELEMENTWISE if op.differentiable and len(op.inputs) <= 2 and not op.conditions
            and tl.float64 in op.dtypes and torch_function(op.name) and op.name not in LEFT_OUT]


def points(op) -> list[np.ndarray]:
    if len(op.inputs) == 1:
        arrays = [POINTS]
    else:
        arrays = [grid.reshape(-1) for grid in np.meshgrid(POINTS, POINTS, indexing="ij")]
    kept = ~ELSEWHERE.get(op.name, lambda *arrays: np.zeros(arrays[0].shape, bool))(*arrays)
    return [array[kept] for array in arrays]


@pytest.mark.parametrize("dtype", [tl.float64, tl.float32], ids=lambda d: d.name)
@pytest.mark.parametrize("op", COMPARED, ids=lambda op: op.name)
def test_edges(op, dtype):
    arrays = [array.astype(dtype) for array in points(op)]
    ours = [tl.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    value, reference = apply(op, *ours), torch_function(op.name)(*theirs)
    assert_close(value, reference.detach().numpy())
    value.sum().backward()
    reference.sum().backward()
    for x, y in zip(ours, theirs):
        assert_close(x.grad, y.grad.numpy())


def test_what_is_compared():
    assert len(COMPARED) > 45
    assert set(ELSEWHERE) <= {op.name for op in COMPARED}
