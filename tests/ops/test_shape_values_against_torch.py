"""What has no derivative, or other dtypes, ties and NaN: values beside PyTorch's over drawn options."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.against_torch import torch
from ops.shape_cases import Draw
from tolerance import assert_close, assert_same

import tensorlite as tl

DTYPES = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "int32": np.int32, "uint8": np.uint8,
          "bool": np.bool_}
drawn = given(data=st.data())
briefly = settings(max_examples=25, deadline=None)


def elements(draw, *shape, dtype=None, nan=True):
    """Numbers with many ties, of a drawn dtype, some of the floats NaN or infinite."""
    dtype = dtype or DTYPES[draw.one_of(*DTYPES)]
    array = np.asarray(draw.random.integers(0, 5, shape)).astype(dtype)
    if nan and array.dtype.kind == "f":
        strange = draw.random.random(shape)
        array = np.where(strange < 0.1, np.nan, np.where(strange > 0.9, np.inf, array)).astype(dtype)
    return np.asarray(array)


def same(ours, theirs):
    """Equal elements and dtypes, of one tensor or several."""
    several = isinstance(ours, tuple)
    for y, z in zip(ours if several else (ours,), theirs if isinstance(theirs, tuple) else (theirs,), strict=True):
        assert_same(y, z.numpy())


@drawn
@briefly
def test_chosen_values_of_ties_and_nan(data):
    draw = Draw(data)
    name = draw.one_of("kthvalue", "median", "nanmedian", "mode", "cummax", "cummin")
    shape = draw.shape(0)
    axis = draw.axis(shape or (1,))
    x = elements(draw, *shape, nan=name != "mode")
    if x.dtype == np.bool_ and name not in ("cummax", "cummin", "mode"):  # PyTorch's have none
        return
    keep = name not in ("cummax", "cummin") and draw.flag()
    options = {"keepdim": True} if keep else {}
    before = (draw.integer(1, x.shape[axis] if x.ndim else 1),) if name == "kthvalue" else ()
    found = getattr(tl, name)(tl.tensor(x), *before, axis, **options)
    theirs = getattr(torch, name)(torch.tensor(x), *before, axis, **options)
    assert found._fields == ("values", "indices")
    assert_same(found.values, theirs.values.numpy())
    assert found.indices.dtype == tl.int64
    taken = tl.take_along_dim(tl.tensor(x), found.indices if keep or not x.ndim or not before and name.startswith("cum")
                              else tl.unsqueeze(found.indices, axis % x.ndim), axis) if x.ndim else tl.tensor(x)
    assert_same(taken.reshape(found.values.shape), found.values.numpy())
    if name.startswith("cum"):
        assert_same(found.indices, theirs.indices.numpy())


@drawn
@briefly
def test_reductions_over_nan(data):
    draw = Draw(data)
    x = elements(draw, *draw.shape(), dtype=np.float64)
    name = draw.one_of("median", "nanmedian", "nansum", "nanmean", "amax", "amin", "quantile", "nanquantile")
    before = (draw.one_of(0.5, 0.25, 1.0),) if "quantile" in name else ()
    found, theirs = (getattr(library, name)(library.tensor(x), *before) for library in (tl, torch))
    assert_close(found, theirs.numpy(), terms=x.size)


@drawn
@briefly
def test_norms_of_zeros_and_infinities(data):
    draw = Draw(data)
    x = elements(draw, *draw.shape(), dtype=np.float64)
    options = {"p": draw.one_of(0, 0.5, 1, 2, 3, float("inf"), -float("inf"), -1, None),
               "dim": draw.axes(x.shape), "keepdim": draw.flag()}
    assert_close(tl.norm(tl.tensor(x), **options), torch.norm(torch.tensor(x), **options).numpy(), terms=x.size)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, float("inf")])
def test_norm_has_a_derivative_where_there_are_zeros(p):
    for array in ([0.0, 0.0], [0.0, 2.0], [3.0, -3.0]):
        x, t = tl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        tl.norm(x, p).backward()
        torch.norm(t, p).backward()
        assert_close(x.grad, t.grad.numpy())


@pytest.mark.parametrize("array", [[1.0, 3.0, 3.0, 2.0], [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 5.0, 5.0]])
@pytest.mark.parametrize("reduce", [
    lambda x: x.amax(0), lambda x: x.amin(0), lambda x: x.amax(), lambda x: x.max(), lambda x: x.min(),
    lambda x: x.median(), lambda x: x.nanmedian(), lambda x: x.aminmax()[0], lambda x: x.aminmax(dim=0)[1],
    lambda x: _values(x.max(dim=0)), lambda x: _values(x.min(dim=0)), lambda x: x.cummax(0)[0].sum(),
    lambda x: x.cummin(0)[0].sum()], ids=range(13))
def test_ties_have_pytorchs_derivative(array, reduce):
    x, t = tl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    reduce(x).backward()
    reduce(t).backward()
    assert_close(x.grad, t.grad.numpy())


def _values(y):
    return y if isinstance(y, tl.Tensor) else y.values


@drawn
@briefly
def test_unique(data):
    draw = Draw(data)
    shape = draw.shape(0, low=0)
    x = elements(draw, *shape, nan=False)
    inverse, counts = draw.flag(), draw.flag()
    axis = draw.one_of(None, draw.axis(shape)) if shape and 0 not in shape else None
    options = {"return_inverse": inverse, "return_counts": counts, "dim": axis}
    for name in ("unique", "unique_consecutive"):
        same(getattr(tl, name)(tl.tensor(x), **options), getattr(torch, name)(torch.tensor(x), **options))


@drawn
@briefly
def test_searchsorted_and_bucketize(data):
    draw = Draw(data)
    lead = draw.shape(0, 2)
    lines = np.sort(elements(draw, *lead, draw.integer(0, 6), dtype=draw.one_of(np.float64, np.int32), nan=False), -1)
    x = elements(draw, *lead, draw.integer(0, 4), dtype=lines.dtype)
    options = draw.one_of({}, {"right": True}, {"side": "right"}, {"side": "left"}, {"out_int32": True})
    same(tl.searchsorted(tl.tensor(lines), tl.tensor(x), **options),
         torch.searchsorted(torch.tensor(lines), torch.tensor(x), **options))
    line = lines[(0,) * len(lead)]
    options.pop("side", None)
    same(tl.bucketize(tl.tensor(x), tl.tensor(line), **options),
         torch.bucketize(torch.tensor(x), torch.tensor(line), **options))


def test_searchsorted_by_a_sorter():
    x = np.array([[3.0, 1.0, 2.0], [5.0, 9.0, 7.0]])
    wanted = np.array([[1.5, 3.0], [7.0, 10.0]])
    sorter = np.argsort(x, -1)
    same(tl.searchsorted(tl.tensor(x), tl.tensor(wanted), sorter=tl.tensor(sorter)),
         torch.searchsorted(torch.tensor(x), torch.tensor(wanted), sorter=torch.tensor(sorter)))
    same(tl.searchsorted(tl.tensor([1, 3]), 2), torch.searchsorted(torch.tensor([1, 3]), 2))
    same(tl.bucketize(2, tl.tensor([1, 3])), torch.bucketize(2, torch.tensor([1, 3])))


@drawn
@briefly
def test_counts(data):
    draw = Draw(data)
    x = elements(draw, draw.integer(1, 8), dtype=draw.one_of(np.int64, np.int32, np.uint8))
    weights = draw.one_of(None, draw.numbers(x.size), draw.numbers(x.size).astype(np.float32), x)
    found, theirs = (library.bincount(library.tensor(x), None if weights is None else library.tensor(weights),
                                      minlength=length) for length in [draw.integer(0, 9)] for library in (tl, torch))
    assert found.dtype == theirs.numpy().dtype
    assert_close(found, theirs.numpy(), terms=10)


@drawn
@briefly
def test_histograms(data):
    draw = Draw(data)
    x = elements(draw, *draw.shape(), dtype=draw.one_of(np.float32, np.float64), nan=False)
    bins, (low, high) = draw.integer(1, 7), draw.one_of((0, 0), (0, 4), (-1.5, 2.5), (1, 1))
    assert_same(tl.histc(tl.tensor(x), bins, low, high), torch.histc(torch.tensor(x), bins, low, high).numpy())
    weight, density = draw.one_of(None, np.abs(draw.numbers(*x.shape)).astype(x.dtype)), draw.flag()
    edges = np.sort(draw.numbers(4)).astype(x.dtype)
    for how, options in ((bins, {"range": (0.0, 4.0)}), (bins, {}), (edges, {})):
        found, theirs = (library.histogram(
            library.tensor(x), library.tensor(how) if isinstance(how, np.ndarray) else how, density=density,
            weight=None if weight is None else library.tensor(weight), **options) for library in (tl, torch))
        assert found._fields == ("hist", "bin_edges")
        assert_close(found.bin_edges, theirs.bin_edges.numpy())
        assert_close(found.hist, theirs.hist.numpy(), terms=x.size)


@drawn
@briefly
def test_comparisons(data):
    draw = Draw(data)
    dtype = DTYPES[draw.one_of("float32", "float64", "int64", "uint8")]
    shape = draw.shape()
    x = elements(draw, *shape, dtype=dtype)
    y = (elements(draw, *shape, dtype=dtype) + draw.one_of(0, 1e-6)).astype(dtype)
    options = {"rtol": draw.one_of(0.0, 1e-5, 0.5), "atol": draw.one_of(0.0, 1e-8, 1.0), "equal_nan": draw.flag()}
    ours, theirs = [tl.tensor(x), tl.tensor(y)], [torch.tensor(x), torch.tensor(y)]
    same(tl.isclose(*ours, **options), torch.isclose(*theirs, **options))
    assert tl.allclose(*ours, **options) is torch.allclose(*theirs, **options)
    others = elements(draw, draw.one_of(0, 1, 3, 40), dtype=dtype)
    invert = draw.flag()
    same(tl.isin(ours[0], tl.tensor(others), invert=invert),
         torch.isin(theirs[0], torch.tensor(others), invert=invert))


def test_single_numbers_have_an_axis():
    for name, others in {"amax": (), "amin": (), "cummax": (), "median": (), "mode": (), "kthvalue": (1,)}.items():
        found, theirs = (getattr(library, name)(library.tensor(2.5), *others, dim)
                         for dim in (0,) for library in (tl, torch))
        assert_same(_values(found) if name[1:] in ("max", "min") else found[0], _values_of(theirs))
    found, theirs = (library.scatter_reduce(library.tensor(2), 0, library.tensor(0), library.tensor(3), "prod")
                     for library in (tl, torch))
    same(found, theirs)


def _values_of(theirs):
    return (theirs if isinstance(theirs, torch.Tensor) else theirs.values).numpy()


def test_isin_takes_a_number():
    same(tl.isin(tl.tensor([1, 2]), 2), torch.isin(torch.tensor([1, 2]), 2))
    same(tl.isin(2, tl.tensor([1, 2])), torch.isin(2, torch.tensor([1, 2])))


@drawn
@briefly
def test_masks_choose_elements(data):
    draw = Draw(data)
    shape = draw.shape(0)
    x, mask = elements(draw, *shape), draw.mask(*shape[draw.integer(0, len(shape)):])
    same(tl.masked_select(tl.tensor(x), tl.tensor(mask)), torch.masked_select(torch.tensor(x), torch.tensor(mask)))
    same(tl.argwhere(tl.tensor(x)), torch.argwhere(torch.tensor(x)))


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning", "ignore:The reduce argument:UserWarning")
@drawn
@briefly
def test_scatters_of_integers(data):
    draw = Draw(data)
    n, count = draw.integer(1, 4), draw.integer(0, 8)
    dtype = draw.one_of(np.int64, np.int32, np.uint8)
    x, source, index = elements(draw, n, dtype=dtype), elements(draw, count, dtype=dtype), draw.places(n, count)
    reduce, include = draw.one_of("sum", "prod", "mean", "amax", "amin"), draw.flag()
    for name in ("scatter_reduce", "index_reduce")[:1 + (reduce != "sum")]:
        found, theirs = (getattr(library, name)(
            library.tensor(x), 0, library.tensor(index), library.tensor(source), reduce, include_self=include)
            for library in (tl, torch))
        same(found, theirs)
    for how in ("add", "multiply"):
        same(tl.scatter(tl.tensor(x), 0, tl.tensor(index), tl.tensor(source), reduce=how),
             torch.scatter(torch.tensor(x), 0, torch.tensor(index), torch.tensor(source), reduce=how))
    same(tl.scatter(tl.tensor(x), 0, tl.tensor(index), value=3),
         torch.scatter(torch.tensor(x), 0, torch.tensor(index), value=3))


@drawn
@briefly
def test_indices_and_powers(data):
    draw = Draw(data)
    rows, columns, offset = draw.integer(0, 5), draw.integer(0, 5), draw.integer(-6, 6)
    for name in ("tril_indices", "triu_indices"):
        same(getattr(tl, name)(rows, columns, offset), getattr(torch, name)(rows, columns, offset))
    x = elements(draw, draw.integer(0, 4), dtype=draw.one_of(np.int64, np.float64), nan=False)
    options = {"N": draw.one_of(None, 0, 1, 4), "increasing": draw.flag()}
    same(tl.vander(tl.tensor(x), **options), torch.vander(torch.tensor(x), **options))


@pytest.mark.parametrize("name", ["cov", "corrcoef"])
def test_covariances_of_complex_numbers(name):
    x = np.array([[1 + 2j, 3 - 1j, 0.5j, 2], [0.3, 1j, 2 - 2j, -1]])
    assert_close(getattr(tl, name)(tl.tensor(x)), getattr(torch, name)(torch.tensor(x)).numpy(), terms=8)


def test_logcumsumexp_of_infinities():
    inf = float("inf")
    for array in ([-inf, -inf, 1.0, 2.0], [1.0, inf, 2.0], [-1000.0, 1000.0, -inf], [0.0, float("nan"), 1.0], []):
        x = np.array(array)
        assert_close(tl.logcumsumexp(tl.tensor(x), 0), torch.logcumsumexp(torch.tensor(x), 0).numpy(), terms=4)


#: Options and their defaults, which are PyTorch's (its functions are builtins, whose signatures Python does not know).
DEFAULTS = {
    "kthvalue": {"axis": -1, "keepdims": False}, "mode": {"axis": -1, "keepdims": False},
    "median": {"axis": None, "keepdims": False}, "nanmedian": {"axis": None, "keepdims": False},
    "quantile": {"axis": None, "keepdims": False, "interpolation": "linear"},
    "nanquantile": {"axis": None, "keepdims": False, "interpolation": "linear"},
    "norm": {"p": "fro", "axis": None, "keepdims": False, "dtype": None}, "dist": {"p": 2},
    "amax": {"axis": (), "keepdims": False}, "amin": {"axis": (), "keepdims": False},
    "aminmax": {"axis": None, "keepdims": False},
    "var_mean": {"axis": None, "correction": 1, "keepdims": False, "unbiased": None},
    "std_mean": {"axis": None, "correction": 1, "keepdims": False, "unbiased": None},
    "cov": {"correction": 1, "fweights": None, "aweights": None},
    "unique": {"sorted": True, "return_inverse": False, "return_counts": False, "axis": None},
    "unique_consecutive": {"return_inverse": False, "return_counts": False, "axis": None},
    "bincount": {"weights": None, "minlength": 0}, "histc": {"bins": 100, "min": 0, "max": 0},
    "histogram": {"range": None, "weight": None, "density": False}, "bucketize": {"out_int32": False, "right": False},
    "searchsorted": {"out_int32": False, "right": False, "side": "left", "sorter": None},
    "scatter_reduce": {"include_self": True}, "index_reduce": {"include_self": True}, "index_add": {"alpha": 1},
    "index_put": {"accumulate": False}, "rot90": {"k": 1, "dims": (0, 1)},
    "diagonal": {"offset": 0, "dim1": 0, "dim2": 1}, "diag_embed": {"offset": 0, "dim1": -2, "dim2": -1},
    "diag": {"diagonal": 0}, "diagflat": {"offset": 0}, "tensor_split": {"axis": 0},
    "flatten": {"start_dim": 0, "end_dim": -1}, "combinations": {"r": 2, "with_replacement": False},
    "vander": {"N": None, "increasing": False}, "isin": {"assume_unique": False, "invert": False},
    "isclose": {"rtol": 1e-05, "atol": 1e-08, "equal_nan": False},
    "allclose": {"rtol": 1e-05, "atol": 1e-08, "equal_nan": False},
    "trapezoid": {"x": None, "dx": None, "axis": -1}, "topk": {"axis": -1, "largest": True, "sorted": True},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name):
    parameters = inspect.signature(getattr(tl, name)).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == DEFAULTS[name]


def test_methods_and_in_place_forms():
    x, mask, index = tl.zeros((2, 2)), tl.tensor([[True, False], [False, False]]), tl.tensor([1])
    for name, arguments in {
            "masked_fill": (mask, 2.0), "masked_scatter": (mask, tl.ones(4)), "index_add": (0, index, tl.ones((1, 2))),
            "index_copy": (0, index, tl.ones((1, 2))), "index_fill": (0, index, 3.0), "renorm": (2, 0, 1.0),
            "index_put": ((index, index), tl.tensor(4.0)), "scatter": (0, tl.tensor([[1, 0]]), 5.0),
            "scatter_reduce": (0, tl.tensor([[1, 0]]), tl.ones((1, 2)), "amax"),
            "index_reduce": (0, index, tl.ones((1, 2)), "amax")}.items():
        expected, y = getattr(x, name)(*arguments), x.clone()
        assert getattr(y, name + "_")(*arguments) is y
        assert_same(y, expected.numpy())
    for name in ("unique", "median", "mode", "norm", "diagonal", "diag", "cummax", "argwhere", "flatten", "unfold",
                 "expand_as", "view_as", "tensor_split", "quantile", "histc", "isclose", "select", "narrow"):
        assert callable(getattr(x, name))
