"""`debug_nans` names the op and the forward line that made the first NaN."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite.errors import NumericsError

HERE = Path(__file__).name
FIX = "  fix: look at these values there, and keep them inside the op's domain"


def line(function, text: str) -> int:
    """The number of the line of a function that holds some text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, content in enumerate(lines) if text in content)


def forward() -> None:
    x = tl.tensor([1.0, -1.0])
    with tl.debug_nans():
        tl.log(x * 2)


def backward() -> None:
    x = tl.tensor([0.0, 1.0], requires_grad=True)
    with tl.debug_nans():
        h = tl.sqrt(x)
        loss = (h * 0).sum()
        loss.backward()


def later() -> None:
    x = tl.tensor([0.0, 1.0], requires_grad=True)
    loss = (tl.sqrt(x) * 0).sum()
    with tl.debug_nans():
        loss.backward()


@tl.debug_nans()
def decorated() -> None:
    tl.log(tl.tensor(-1.0))


def whole_text(function) -> list[str]:
    with pytest.raises(NumericsError) as caught:
        function()
    return str(caught.value).splitlines()


def test_a_nan_of_the_forward_run():
    assert whole_text(forward) == [
        "log: the result has a NaN at [1], its inputs have none", "  x  float32[2]",
        f"  at {HERE}:{line(forward, 'tl.log')} in forward", FIX]


def test_a_nan_of_the_backward_run_names_the_forward_line():
    text = whole_text(backward)
    assert text[0].endswith(": the derivative of sqrt has a NaN at [0], what it was computed from has none")
    assert text[-2:] == [f"  at {HERE}:{line(backward, 'h = tl.sqrt')} in backward (the forward op)", FIX]


def test_a_graph_recorded_before_has_no_forward_line():
    text = whole_text(later)
    assert text[0].endswith(": the result has a NaN at [0], its inputs have none")
    assert text[-2] == f"  at {HERE}:{line(later, 'loss.backward')} in later"


def test_it_decorates():
    assert whole_text(decorated)[2] == f"  at {HERE}:{line(decorated, 'tl.log')} in decorated"


def test_nans_that_were_there_are_passed_on():
    with tl.debug_nans():
        x = tl.tensor([math.nan, 1.0])
        assert math.isnan((x * 2 + tl.tensor([math.nan, 0.0])).tolist()[0])
        assert tl.isnan(x).tolist() == [True, False]


def test_it_ends_with_its_block_whatever_happens():
    with pytest.raises(NumericsError), tl.debug_nans():
        tl.log(tl.tensor(-1.0))
    assert math.isnan(tl.log(tl.tensor(-1.0)).item())
    with tl.debug_nans():
        with tl.debug_nans():
            pass
        with pytest.raises(NumericsError):
            tl.log(tl.tensor(-1.0))


def test_results_and_gradients_are_the_same():
    def gradient():
        x = tl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        h = tl.tanh(x @ x)
        h[0] += 1
        (h * h).mean().backward()
        return x.grad.tolist()

    plain = gradient()
    with tl.debug_nans():
        assert gradient() == plain


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float64, tl.complex64], ids=lambda d: d.name)
def test_every_floating_dtype(dtype):
    with pytest.raises(NumericsError), tl.debug_nans():
        tl.zeros((2,), dtype=dtype) / 0
