"""Softmax and normalisations against float64 NumPy, their gradients against Jacobians written out, and their bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from guarded import compile_kernel, run_native, same_bits
from planned import interpret
from tolerance import Tolerance, assert_close, tolerance_of

from tensorlite.kernels import interp, loops
from tensorlite.kernels.cpu import norm_stages, stages, team
from tensorlite.kernels.generated import arrange, fold_loops, norm, norms
from tensorlite.kernels.generated.layout import Axis

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
DTYPES = [F32, F64, np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
EPS = 1e-5


def numbers(dtype, shape, seed=0):
    return (np.random.default_rng(seed).normal(0, 1.5, shape) + 0.5).astype(dtype)


def wide(*arrays):
    return tuple(np.asarray(array, F64) for array in arrays)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis):
    return np.log(softmax(x, axis))


def close(actual, expected, terms=4):
    assert_close(actual, expected, terms=terms)


SHAPES = [(7, 40), (3, 5, 64), (4, 9, 3, 2), (300, 10), (2, 20_000)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(shape, dtype):
    x = numbers(dtype, shape)
    for axis in range(x.ndim):
        close(norm.softmax(x, axis), softmax(*wide(x), axis))
        close(norm.log_softmax(x, axis), log_softmax(*wide(x), axis))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_gradients(axis, dtype):
    x, g = numbers(dtype, (6, 33, 9), 1), numbers(dtype, (6, 33, 9), 2)
    y = softmax(*wide(x), axis).astype(dtype)
    rows, gradients = (np.moveaxis(array, axis, -1) for array in wide(y, g))
    jacobian = rows[..., None] * (np.eye(rows.shape[-1]) - rows[..., None, :])
    close(norm.softmax_backward(g, y, axis), np.moveaxis(np.einsum("...ij,...j", jacobian, gradients), -1, axis))
    logs = log_softmax(*wide(x), axis).astype(dtype)
    jacobian = np.eye(rows.shape[-1]) - np.exp(np.moveaxis(*wide(logs), axis, -1))[..., None]
    expected = np.moveaxis(np.einsum("...ij,...j", jacobian, gradients), -1, axis)
    close(norm.log_softmax_backward(g, logs, axis), expected, terms=33)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_long_rows_are_cut_in_chunks(dtype):
    x, g = numbers(dtype, (2, 70_001), 1), numbers(dtype, (2, 70_001), 2)
    y = softmax(*wide(x), 1).astype(dtype)
    for turned in (False, True):
        a, b, c = ((array.T if turned else array) for array in (x, g, y))
        axis = 0 if turned else 1
        found = [norm.softmax(a, axis), norm.log_softmax(a, axis), norm.softmax_backward(b, c, axis)]
        expected = [softmax(*wide(a), axis), log_softmax(*wide(a), axis)]
        (g64, y64), (a64,) = wide(b, c), wide(a)
        expected.append(y64 * (g64 - (g64 * y64).sum(axis, keepdims=True)))
        for actual, wanted in zip(found, expected, strict=True):
            close(actual, wanted)
        assert a64.shape == found[0].shape


def test_infinities():
    x = np.array([[np.inf, 1, 2], [-np.inf, 1, 2], [-np.inf] * 3, [np.nan, 1, 2], [800.0, -800.0, 800.0]], F32)
    with np.errstate(all="ignore"):
        expected = softmax(*wide(x), 1)
    expected[1] = [0, *softmax(np.array([[1.0, 2.0]]), 1)[0]]
    np.testing.assert_allclose(norm.softmax(x, 1), expected, rtol=1e-6)
    np.testing.assert_allclose(norm.softmax(np.repeat(x, 8, 0).T.copy(), 0), np.repeat(expected, 8, 0).T, rtol=1e-6)
    with np.errstate(all="ignore"):
        logs = norm.log_softmax(x, 1)
    assert logs[1, 0] == -np.inf
    assert np.isnan(logs[[0, 2, 3]]).all()


def test_infinities_in_chunks():
    x = np.full((1, 100_000), -np.inf, F32)
    x[0, 90_000:] = 0
    expected = np.r_[np.zeros(90_000), np.full(10_000, 1e-4)][None]
    np.testing.assert_allclose(norm.softmax(x, 1), expected, rtol=1e-6)


def layer_norm(x, dims):
    axes = tuple(range(x.ndim - dims, x.ndim))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (
        (x - mean) / np.sqrt(var + EPS),
        mean.reshape(x.shape[:-dims]),
        1 / np.sqrt(var + EPS).reshape(x.shape[:-dims]),
    )


LAYERS = [((6, 50), 1), ((3, 4, 20), 2), ((3, 4, 20), 1), ((70, 256), 1), ((40, 8), 1), ((2, 9, 5, 7), 3)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape, dims", LAYERS, ids=str)
def test_layer_norm(shape, dims, dtype):
    x, weight, bias = numbers(dtype, shape), numbers(dtype, shape[-dims:], 1), numbers(dtype, shape[-dims:], 2)
    h, mean, rstd = layer_norm(*wide(x), dims)
    for w, b in ((weight, bias), (weight, None), (None, bias), (None, None)):
        y, found_mean, found_rstd = norm.layer_norm(x, w, b, dims, EPS)
        expected = h * (1 if w is None else wide(w)[0]) + (0 if b is None else wide(b)[0])
        close(y, expected)
        close(found_mean, mean)
        close(found_rstd, rstd)
        assert found_mean.dtype == (F64 if dtype == F64 else F32)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape, dims", LAYERS, ids=str)
def test_layer_norm_gradients(shape, dims, dtype):
    x, g, weight = numbers(dtype, shape), numbers(dtype, shape, 1), numbers(dtype, shape[-dims:], 2)
    h, mean, rstd = layer_norm(*wide(x), dims)
    statistics = [part.astype(F64 if dtype == F64 else F32) for part in (mean, rstd)]
    rows = mean.size
    for w in (weight, None):
        dx = norm.cotangent_of_rows(g, x, *statistics, w, dims)
        (g64,) = wide(g)
        gw = (g64 if w is None else g64 * wide(w)[0]).reshape(rows, -1)
        flat = h.reshape(rows, -1)
        n = flat.shape[1]
        jacobian = (np.eye(n) - 1 / n - flat[:, :, None] * flat[:, None, :] / n) * rstd.reshape(rows, 1, 1)
        close(dx, np.einsum("rij,rj->ri", jacobian, gw).reshape(shape))
    dweight, dbias = norm.sums_over_rows(g, x, *statistics, dims)
    close(dweight, (g64.reshape(rows, -1) * flat).sum(0).reshape(weight.shape), terms=rows)
    close(dbias, g64.reshape(rows, -1).sum(0).reshape(weight.shape), terms=rows)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape, dims", LAYERS, ids=str)
def test_rms_norm(shape, dims, dtype):
    x, weight = numbers(dtype, shape), numbers(dtype, shape[-dims:], 2)
    x64, w64 = wide(x, weight)
    axes = tuple(range(x.ndim - dims, x.ndim))
    scale = 1 / np.sqrt((x64**2).mean(axes, keepdims=True) + EPS)
    y, rstd = norm.rms_norm(x, weight, dims, EPS)
    close(y, x64 * scale * w64)
    close(norm.rms_norm(x, None, dims, EPS)[0], x64 * scale)
    close(rstd, scale.reshape(shape[:-dims]))


BATCHES = [(4, 3, 5, 6), (16, 32, 7, 7), (33, 20), (5, 11, 40), (2, 8, 150, 130)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", BATCHES, ids=str)
def test_batch_norm_statistics(shape, dtype):
    x = numbers(dtype, shape)
    (x64,), over = wide(x), (0, *range(2, x.ndim))
    mean, var = norm.batch_norm_statistics(x)
    close(mean, x64.mean(over))
    close(var, x64.var(over))


def test_any_strides_of_rows_in_chunks():
    x = numbers(F32, (3, 70_000))
    for view in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1]):
        assert same_bits(norm.softmax(view, 1), norm.softmax(np.ascontiguousarray(view), 1))
        assert same_bits(norm.log_softmax_backward(view, x, 1), norm.log_softmax_backward(view.copy("C"), x, 1))


def test_any_strides():
    x = numbers(F32, (12, 30, 14))
    for view in (x.transpose(2, 0, 1), x[::2, ::-1, 3:], np.broadcast_to(x[:1], (5, 30, 14))):
        for axis in range(3):
            assert_close(norm.softmax(view, axis), softmax(*wide(view), axis))
        assert_close(norm.layer_norm(view, None, None, 1, EPS)[0], layer_norm(*wide(view), 1)[0], terms=4)
        g = numbers(F32, view.shape, 3)
        expected = norm.softmax_backward(g, np.ascontiguousarray(view), 1)
        assert same_bits(norm.softmax_backward(np.asfortranarray(g), view, 1), expected)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm", "batch_norm_statistics"])
def test_any_number_of_threads(name):
    x = numbers(F32, (300, 70, 9))
    arguments = {"layer_norm": (None, None, 2, EPS), "batch_norm_statistics": ()}.get(name, (1,))
    before = team.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 4):
            team.set_num_threads(threads)
            found = getattr(norm, name)(x, *arguments)
            results.append(found if isinstance(found, tuple) else (found,))
    finally:
        team.set_num_threads(before)
    for result in results:
        assert all(map(same_bits, result, results[0]))


FOLDS = {
    "softmax": norms.softmax_in_place(F32),
    "softmax of halves": norms.softmax(np.dtype(np.float16)).fold(),
    "log_softmax": norms.log_softmax(F32).fold(),
    "softmax_backward": norms.softmax_backward(F32).fold(),
    "layer_norm": norms.layer_norm(F32, True, True),
    "norm_backward": norms.norm_backward(F32, True),
    "parameter_gradients": norms.parameter_gradients(F32, F32),
    "channel_gradients": norms.channel_gradients(F32, F32),
}
SMALL = arrange.Schedule(row_bytes=64, columns=16, short=4)


@pytest.mark.parametrize("way", ["row", "column"])
@pytest.mark.parametrize("name", FOLDS)
def test_native_is_what_the_interpreter_says(name, way):
    fold, rows, size = FOLDS[name], 21, 37
    arrays = fold_loops.arrays(fold)
    kept, reduced = (Axis(rows, (size,) * len(arrays)), Axis(size, (1,) * len(arrays)))
    if way == "column":
        kept, reduced = (Axis(rows, (1,) * len(arrays)), Axis(size, (rows,) * len(arrays)))
    found = arrange.arrange([kept], [reduced], fold, SMALL)
    kernel = fold_loops.kernel(fold, arrange.form(found, fold, "all", SMALL))
    values = [*arrange.numbers(found, arrange.form(found, fold, "all", SMALL)), size, *[EPS] * len(fold.numbers)]
    names = [p.name for p in kernel.parameters if isinstance(p, loops.Parameter)]
    results = []
    for threads, run in ((1, interp.run), (3, interp.run), (1, run_native), (2, run_native), (4, run_native)):
        buffers = {b.name: numbers(b.dtype, rows * size, k) for k, b in enumerate(kernel.buffers.values())}
        extra = {} if run is interp.run else {"address": compile_kernel(kernel)}
        run(kernel, dict(zip(names, values, strict=True)) | buffers, threads, **extra)
        results.append([buffers[b.name] for b in kernel.buffers.values() if b.writable])
    for result in results:
        assert all(map(same_bits, result, results[0]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "columns"), [(21, 37), (16, 64), (70, 8)])
def test_slopes_of_rows_are_what_the_interpreter_says(rows, columns, dtype):
    wide = F64 if dtype == F64 else F32
    inputs = [numbers(dtype, (rows, columns), k) for k in range(2)]
    inputs += [numbers(wide, (rows, 1), 2), numbers(wide, (rows, 1), 3), numbers(dtype, (1, columns), 4)]
    results = []
    for run, arrays in ((interpret, inputs), (stages.run, inputs), (stages.run, list(map(np.asfortranarray, inputs)))):
        outputs = [np.zeros(shape, dtype) for shape in ((rows, columns), (1, columns), (1, columns))]
        plan = norm_stages.plan_normalize_slopes(*([*map(stages.described, x)] for x in (arrays, outputs)), axes=(1,))
        run(plan, [*arrays, *outputs])
        results.append(outputs)
    for result in results:
        assert all(map(same_bits, result, results[0]))


def test_what_has_no_native_form():
    assert norm.softmax(np.ones((3, 4), np.complex64), 1) is NotImplemented
    assert norm.softmax(np.ones((3, 4), np.int32), 1) is NotImplemented
    assert norm.softmax(np.ones((3, 0), F32), 1) is NotImplemented
    assert norm.layer_norm(np.ones((3, 4), np.int32), None, None, 1, EPS) is NotImplemented


def test_a_mean_far_from_zero():
    """Sums of distances from the first element lose nothing where sums of squares lose everything."""
    x = numbers(F64, (4, 1000)) + 1e7
    h, _, _ = layer_norm(x - 1e7, 1)
    assert_close(norm.layer_norm(x, None, None, 1, EPS)[0], h, tolerance=Tolerance(0.0, 1e-7))
    assert tolerance_of(F64).absolute < 1e-7
