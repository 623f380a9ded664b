"""Checking derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.backward import gradients, zeros
from tensorlite.ops.creation import require_grad
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE


def gradcheck(function: Callable[..., Any], inputs: Tensor | Sequence[Any], eps: float = 1e-6, atol: float = 1e-5,
              rtol: float = 1e-3, raise_exception: bool = True) -> bool:
    """Compares a function's recorded derivatives with central differences, element by element, as PyTorch's.

    ``inputs`` that require gradients should be float64 (or complex128); the others are passed as they are. Every
    element of every input is moved by ``eps`` both ways. Raises `GradientError` that names the worst element, or
    returns False without ``raise_exception``.

    >>> import tensorlite as tl
    >>> x = tl.tensor([0.5, 2.0], dtype=tl.float64, requires_grad=True)
    >>> tl.autograd.gradcheck(tl.log, x)
    True
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    chosen = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.node is not None]
    if not chosen:
        raise errors.complaint(errors.GradientError, "gradcheck", "no input requires gradients", None,
                               "create one with requires_grad=True")
    outputs = _outputs(function(*arguments))
    for number, output in enumerate(outputs):
        if output.dtype not in DIFFERENTIABLE:
            continue
        problem = _check_output(function, arguments, chosen, number, output, eps, atol, rtol)
        if problem and raise_exception:
            raise errors.complaint(errors.GradientError, "gradcheck", problem,
                                   {f"input {i}": arguments[i] for i in chosen})
        if problem:
            return False
    return True


def gradgradcheck(function: Callable[..., Any], inputs: Tensor | Sequence[Any], eps: float = 1e-6, atol: float = 1e-5,
                  rtol: float = 1e-3, raise_exception: bool = True) -> bool:
    """Compares second derivatives with differences of the first ones; see `gradcheck`.

    >>> import tensorlite as tl
    >>> x = tl.tensor([0.5, 2.0], dtype=tl.float64, requires_grad=True)
    >>> tl.autograd.gradgradcheck(tl.sin, x)
    True
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    chosen = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.node is not None]
    random = np.random.default_rng(0)
    outputs = [y for y in _outputs(function(*arguments)) if y.node is not None]
    weights = [Tensor(random.standard_normal(y.shape).astype(y.dtype)) for y in outputs]

    def first(*values: Any) -> tuple[Tensor, ...]:
        made = [y for y in _outputs(function(*values)) if y.node is not None]
        found = gradients(made, [values[i] for i in chosen], weights, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(first, arguments, eps, atol, rtol, raise_exception)


def _outputs(result: Any) -> list[Tensor]:
    outputs = list(result) if isinstance(result, tuple | list) else [result]
    for y in outputs:
        if not isinstance(y, Tensor):
            raise errors.complaint(errors.GradientError, "gradcheck", "the function must return tensors", {"output": y})
    return outputs


def _check_output(function: Callable[..., Any], arguments: list[Any], chosen: list[int], number: int, output: Tensor,
                  eps: float, atol: float, rtol: float) -> str | None:
    """What is wrong with one output's derivatives, if anything."""
    analytic = {i: np.zeros((output.size, arguments[i].size), arguments[i].dtype) for i in chosen}
    for row in range(output.size if output.node is not None else 0):
        one = np.zeros(output.shape, output.dtype)
        one.reshape(-1)[row] = 1
        found = gradients(output, [arguments[i] for i in chosen], Tensor(one), retain_graph=True, allow_unused=True)
        for i, g in zip(chosen, found, strict=True):
            analytic[i][row] = (zeros(arguments[i].shape, arguments[i].dtype) if g is None else g).array.reshape(-1)
    for i in chosen:
        numeric = _differences(function, arguments, i, number, output, eps)
        wrong = ~np.isclose(analytic[i], numeric, rtol=rtol, atol=atol)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            return (f"output {number}[{row}] by input {i}[{column}]: the tape gives {analytic[i][row, column]:.8g}, "
                    f"differences give {numeric[row, column]:.8g}")
    return None


def _differences(function: Callable[..., Any], arguments: list[Any], index: int, number: int, output: Tensor,
                 eps: float) -> np.ndarray:
    """The Jacobian of one output by one input from central differences; complex inputs move both ways."""
    x = arguments[index]
    jacobian = np.zeros((output.size, x.size), x.dtype)

    def at(column: int, step: complex) -> np.ndarray:
        moved = x.array.copy()
        moved.reshape(-1)[column] += step
        changed = list(arguments)
        changed[index] = require_grad(Tensor(moved))
        return np.array(_outputs(function(*changed))[number].array).reshape(-1)

    for column in range(x.size):
        by_real = (at(column, eps) - at(column, -eps)) / (2 * eps)
        if x.dtype.kind == "c":
            by_imag = (at(column, 1j * eps) - at(column, -1j * eps)) / (2 * eps)
            jacobian[:, column] = by_real.real + 1j * by_imag.real
        else:
            jacobian[:, column] = by_real.real
    return jacobian
