"""Whole arrays: the ufunc itself for one atom, dtypes held, stable formulas, and what NumPy lacks."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from tolerance import assert_close

from tensorlite.kernels import scalar as s

FLOATS = [np.dtype(d) for d in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]


def run(function, *arrays: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return s.numpy_function(s.trace(function))(np, *arrays)


def twice(atom: s.Atom):
    return lambda v: 2 * atom(v)


def test_one_atom_is_the_ufunc():
    assert s.numpy_ufunc(s.trace(lambda a, b: a + b)) is np.add
    assert s.numpy_ufunc(s.trace(lambda a: s.asin(a))) is np.arcsin
    assert s.numpy_ufunc(s.trace(lambda a, b: b - a)) is None
    assert s.numpy_ufunc(s.trace(lambda a: a + 1)) is None
    assert s.numpy_ufunc(s.trace(lambda a: s.erf(a))) is None
    assert s.numpy_ufunc(s.trace(lambda a: s.round(a))) is None  # rint makes floats of integers


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_atom_keeps_the_dtype(dtype):
    for atom in s.ATOMS.values():
        if atom.accepts in ("integer", "whole") or atom.name == "where":
            continue
        arrays = [np.linspace(low, high, 5).astype(dtype) for low, high in atom.domain]
        names = "abc"[: atom.arity]
        function = s.Function(tuple(names), s.Call(atom, tuple(map(s.Var, names))))
        with np.errstate(all="ignore"):
            value = s.numpy_function(function)(np, *arrays)
        assert value.dtype == s.infer(function.body, dict.fromkeys(names, dtype)), atom


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_constants_do_not_widen(dtype):
    x = np.linspace(0.5, 2, 7).astype(dtype)
    for function in (
        lambda v: v * 2.0 + 1,
        lambda v: 1 / (1 + s.exp(-v)),
        lambda v: s.where(v > 1, 1.0, 0.0),
        lambda v: s.where(v > 1, v, 0.1) ** 2,
        lambda v: s.maximum(v, 1) - s.fma(v, 0.5, 3),
    ):
        value = run(function, x)
        assert value.dtype == dtype
        assert_close(value, run(function, x.astype(np.float64)).astype(dtype))


def test_integers_keep_theirs():
    x = np.arange(-4, 5, dtype=np.int8)
    assert run(lambda v: (v * 3 + 1) // 2, x).dtype == np.int8
    for atom in (s.floor, s.ceil, s.trunc, s.round):
        np.testing.assert_array_equal(run(twice(atom), x), 2 * x)


def test_scalars_and_any_shape():
    value = run(lambda v: 1 / (1 + s.exp(-v)), np.float32(0.0).reshape(()))
    assert value == 0.5
    assert value.dtype == np.float32
    assert run(lambda a, b: a * b + 1, np.ones((3, 1)), np.ones((1, 4))).shape == (3, 4)
    assert run(lambda a: a * 2 + 1, np.ones((0, 3))).shape == (0, 3)


def test_a_constant_has_the_shape_of_its_arguments():
    ones = s.numpy_function(s.Function(("a", "b"), s.Const(1)))(np, np.ones((3, 1), np.float32), np.ones(4, np.float32))
    assert ones.shape == (3, 4)
    assert ones.dtype == np.float32
    ones += 1  # its own memory
    one = s.numpy_function(s.Function(("a", "b"), s.Var("b") * 2))(np, np.ones((3, 1)), np.ones(4))
    assert one.shape == (3, 4)


def test_conditions_are_bool_arrays():
    condition, a, b = np.array([True, False]), np.float32([1, 2]), np.float32([3, 4])
    assert run(lambda c, p, q: s.where(c, p, q), condition, a, b).tolist() == [1, 4]
    assert run(lambda p, q: s.where(p > q, p, q * 2), b, a).tolist() == [3, 4]


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        value = s.numpy_function(s.trace(s.sigmoid))(np, np.array([-1000.0, -700.0, 0.0, 1000.0, -np.inf, np.inf]))
    assert value.tolist() == [0, math.exp(-700), 0.5, 1, 0, 1]


def test_logaddexp_of_infinities():
    inf = np.inf
    a, b = np.array([inf, -inf, inf, -inf, inf]), np.array([inf, -inf, -inf, 0.0, 5.0])
    assert run(lambda p, q: s.logaddexp(p, q), a, b).tolist() == [inf, -inf, inf, 0, inf]


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_what_numpy_lacks_is_accurate(name):
    x = np.concatenate([np.linspace(-6, 27, 3001), [0.0, -0.0, math.inf, -math.inf, 1e-300, 5e-324, 0.5, 1.0]])
    assert_close(run(s.ATOMS[name], x[:100]), run(s.ATOMS[name], x)[:100])  # few numbers take another way
    expected = np.array([getattr(math, name)(v) for v in x])
    value = run(lambda v: s.ATOMS[name](v), x)
    assert np.max(np.abs(value - expected) / np.spacing(np.maximum(np.abs(expected), 1e-300))) <= 5
    assert np.isnan(run(lambda v: s.ATOMS[name](v), np.array([np.nan])))
    assert np.signbit(run(lambda v: s.erf(v), np.array([-0.0])))


def test_rsqrt_fma_and_complex_parts():
    x = np.linspace(0.1, 3, 9)
    assert_close(run(lambda v: s.rsqrt(v), x), x**-0.5)
    assert_close(run(lambda a, b, c: s.fma(a, b, c), x, x, x), x * x + x)
    z = x + 1j * x[::-1]
    parts = {s.real: z.real, s.imag: z.imag, s.conj: z.conj(), s.angle: np.angle(z), s.abs: abs(z)}
    for atom, expected in parts.items():
        assert_close(run(twice(atom), z), expected * 2)
    assert run(lambda v: s.imag(v), x).tolist() == [0] * 9
    assert run(lambda v: s.angle(v), np.array([-1.0, 0.0, 2.0])).tolist() == [math.pi, 0, 0]


def test_results_are_fresh():
    x, whole, z = np.ones(3, np.float32), np.arange(3), np.ones(3) + 1j
    for function, array in [
        (lambda v: +v, x),
        (s.conj, x),
        (s.real, z),
        (s.imag, z),
        (s.round, whole),
        (s.floor, whole),
        (lambda v: s.bitcast(s.real(v), np.int32), x),
        (lambda v: s.cast(v, np.float32), x),
    ]:
        assert not np.shares_memory(run(function, array), array)


def test_passes_count_what_a_loop_would_fuse():
    assert s.numpy_passes(s.trace(lambda v: v + 1)) == 1
    assert s.numpy_passes(s.trace(lambda v: v * s.erf(v))) > 20


def test_sources_are_made_once_for_each_dtype():
    function = s.trace(lambda v: v * 3.5 + 1)
    assert s.numpy_function(function) is s.numpy_function(s.trace(lambda v: v * 3.5 + 1))


def test_functions_are_made_under_a_file_name_of_ours():
    """Else a trace would note what they read, such as a table that fills, and be made again at the second call."""
    for function in (s.trace(lambda x, y: x + y), s.trace(lambda x, y: x * y + 1)):
        assert s.numpy_function(function).__code__.co_filename.startswith("<tensorlite")
