"""Refusals of reductions, indexing and shape functions, word for word."""

from __future__ import annotations

import pytest

import tensorlite as tl

V3, V4 = tl.zeros(3), tl.zeros(4)
M23 = tl.zeros((2, 3))
I3, B3, Z3 = tl.arange(3), tl.ones(3, dtype=tl.bool), tl.zeros(3, dtype=tl.complex64)

CASES = {
    "kthvalue past the end": (lambda: tl.kthvalue(V3, 4), "ArgumentError", """
kthvalue: k is 4, and axis 0 has 3 elements
  x  float32[3]
  at HERE
  fix: use 1 to 3"""),
    "kthvalue of no whole number": (lambda: tl.kthvalue(V3, 1.5), "ArgumentError", """
kthvalue: k is 1.5, and axis 0 has 3 elements
  x  float32[3]
  at HERE
  fix: use 1 to 3"""),
    "kthvalue of complex numbers": (lambda: tl.kthvalue(Z3, 1), "DTypeError", """
kthvalue: complex64 numbers have no order
  x  complex64[3]
  at HERE
  fix: use tl.abs(x) or tl.real(x)"""),
    "median of complex numbers": (lambda: tl.median(Z3), "DTypeError", """
median: complex64 numbers have no order
  x  complex64[3]
  at HERE
  fix: use tl.abs(x) or tl.real(x)"""),
    "median along an empty axis": (lambda: tl.median(tl.zeros((2, 0)), 1), "ShapeError", """
median: axis 1 has no elements to choose from
  x  float32[2, 0]
  at HERE"""),
    "median of no integers": (lambda: tl.median(I3[:0]), "ShapeError", """
median: there are no elements to choose from
  x  int64[0]
  at HERE"""),
    "mode along another axis": (lambda: tl.mode(M23, 2), "AxisError", """
mode: axis 2 is out of range for 2 dimensions
  x  float32[2, 3]
  at HERE
  fix: use -2 to 1"""),
    "quantile above 1": (lambda: tl.quantile(V3, 1.5), "ArgumentError", """
quantile: q must be between 0 and 1
  x  float32[3]
  q  1.5
  at HERE"""),
    "quantile of integers": (lambda: tl.quantile(I3, 0.5), "DTypeError", """
quantile: takes float32 and float64, not int64
  x  int64[3]
  q  0.5
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "quantile of another dtype": (lambda: tl.quantile(V3, tl.tensor([0.5], dtype=tl.float64)), "DTypeError", """
quantile: x is float32, q is float64
  x  float32[3]
  q  float64[1]
  at HERE
  fix: cast it first: q.to(tl.float32)"""),
    "quantile of matrices of shares": (lambda: tl.quantile(V3, tl.zeros((1, 1))), "ShapeError", """
quantile: q must be a number or have one axis
  x  float32[3]
  q  float32[1, 1]
  at HERE"""),
    "quantile by another interpolation": (lambda: tl.quantile(V3, 0.5, interpolation="cubic"), "ArgumentError", """
quantile: interpolation must be one of linear, lower, higher, midpoint, nearest, not 'cubic'
  at HERE"""),
    "quantile of nothing": (lambda: tl.nanquantile(V3[:0], 0.5), "ShapeError", """
nanquantile: there are no elements to choose from
  x  float32[0]
  at HERE"""),
    "cummax of complex numbers": (lambda: tl.cummax(Z3, 0), "DTypeError", """
cummax: complex64 numbers have no order
  x  complex64[3]
  at HERE
  fix: use tl.abs(x) or tl.real(x)"""),
    "norm of integers": (lambda: tl.norm(I3), "DTypeError", """
norm: takes floating dtypes, not int64
  x  int64[3]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "the nuclear norm of a vector": (lambda: tl.norm(V3, "nuc"), "ArgumentError", """
norm: 'nuc' is a norm of matrices, which have two axes
  input  float32[3]
  axis   None
  at HERE"""),
    "a norm of no such name": (lambda: tl.norm(M23, "max"), "ArgumentError", """
norm: p must be a number, 'fro' or 'nuc', not 'max'
  input  float32[2, 3]
  at HERE"""),
    "the largest modulus of nothing": (lambda: tl.norm(V3[:0], tl.inf), "ShapeError", """
norm: no elements have no extreme
  x         float32[0]
  axis      (0,)
  keepdims  False
  at HERE
  fix: check x.size first"""),
    "renorm by no norm": (lambda: tl.renorm(M23, 0, 0, 1.0), "ArgumentError", """
renorm: p must be positive, not 0
  x  float32[2, 3]
  at HERE"""),
    "renorm to a negative norm": (lambda: tl.renorm(M23, 2, 0, -1.0), "ArgumentError", """
renorm: maxnorm must be 0 or more, not -1.0
  x  float32[2, 3]
  at HERE"""),
    "renorm of a vector": (lambda: tl.renorm(V3, 2, 0, 1.0), "ShapeError", """
renorm: takes at least 2 dimensions, x has 1
  x  float32[3]
  at HERE"""),
    "nanmean of integers": (lambda: tl.nanmean(I3), "DTypeError", """
nanmean: takes floating dtypes, not int64
  x  int64[3]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "cov of a cube": (lambda: tl.cov(tl.zeros((1, 1, 1))), "ShapeError", """
cov: takes at most 2 dimensions, x has 3
  x  float32[1, 1, 1]
  at HERE"""),
    "cov of other weights": (lambda: tl.cov(M23, fweights=tl.arange(2)), "ShapeError", """
cov: fweights must have one number for each of 3 observations
  x         float32[2, 3]
  fweights  int64[2]
  at HERE"""),
    "cov of frequencies in part": (lambda: tl.cov(M23, fweights=V3), "DTypeError", """
cov: fweights must be integer, not float32
  x         float32[2, 3]
  fweights  float32[3]
  at HERE"""),
    "corrcoef of a cube": (lambda: tl.corrcoef(tl.zeros((1, 1, 1))), "ShapeError", """
corrcoef: takes at most 2 dimensions, x has 3
  x  float32[1, 1, 1]
  at HERE"""),
    "trapezoid of two widths": (lambda: tl.trapezoid(V3, V3, dx=1.0), "ArgumentError", """
trapezoid: x and dx say the same thing: both were given
  y   float32[3]
  x   float32[3]
  dx  1.0
  at HERE"""),
    "trapezoid of other places": (lambda: tl.trapezoid(V3, V4), "ShapeError", """
trapezoid: there must be one x value for each sample of y
  y  float32[3]
  x  float32[4]
  at HERE"""),
    "the extremes of nothing": (lambda: tl.aminmax(V3[:0]), "ShapeError", """
aminmax: no elements have no extreme
  x         float32[0]
  axis      (0,)
  keepdims  False
  at HERE
  fix: check x.size first"""),
    "masked_fill by integers": (lambda: tl.masked_fill(V3, I3, 0.0), "DTypeError", """
masked_fill: mask must be a bool tensor
  x     float32[3]
  mask  int64[3]
  at HERE
  fix: compare: mask != 0"""),
    "masked_fill by another mask": (lambda: tl.masked_fill(V4, B3, 0.0), "ShapeError", """
masked_fill: mask does not broadcast with x
  x     float32[4]
  mask  bool[3]
  at HERE
  fix: extents must be equal or 1, counted from the last axis"""),
    "masked_fill of several values": (lambda: tl.masked_fill(V3, B3, V3), "ShapeError", """
masked_fill: value must be a number, not a tensor of 1 dimensions
  x      float32[3]
  value  float32[3]
  at HERE"""),
    "masked_fill of text": (lambda: tl.masked_fill(V3, B3, "a"), "DTypeError", """
masked_fill: value must be a number, not str
  x  float32[3]
  at HERE"""),
    "masked_fill of what does not fit": (lambda: tl.masked_fill(I3, B3, 0.5), "DTypeError", """
masked_fill: int64 cannot hold 0.5
  x  int64[3]
  at HERE
  fix: cast x first: x.to(tl.float32)"""),
    "masked_select by integers": (lambda: tl.masked_select(V3, I3), "DTypeError", """
masked_select: mask must be a bool tensor
  x     float32[3]
  mask  int64[3]
  at HERE
  fix: compare: mask != 0"""),
    "masked_scatter of too few": (lambda: tl.masked_scatter(V3, B3, tl.ones(2)), "IndexingError", """
masked_scatter: the mask asks for more than 2 elements
  x       float32[3]
  mask    bool[3]
  source  float32[2]
  at HERE"""),
    "masked_scatter of another dtype": (lambda: tl.masked_scatter(V3, B3, I3), "DTypeError", """
masked_scatter: x is float32, source is int64
  x       float32[3]
  source  int64[3]
  at HERE
  fix: cast it first: source.to(tl.float32)"""),
    "scatter of nothing": (lambda: tl.scatter(V3, 0, I3), "ArgumentError", """
scatter: takes src or value, one of them
  x      float32[3]
  index  int64[3]
  at HERE"""),
    "scatter by another reduction": (lambda: tl.scatter(V3, 0, I3, V3, reduce="mean"), "ArgumentError", """
scatter: reduce must be None, 'add' or 'multiply', not 'mean'
  x      float32[3]
  index  int64[3]
  at HERE
  fix: use tl.scatter_reduce for others"""),
    "scatter_reduce by another reduction": (lambda: tl.scatter_reduce(V3, 0, I3, V3, "median"), "ArgumentError", """
scatter_reduce: reduce must be one of sum, prod, mean, amax, amin, not 'median'
  at HERE"""),
    "scatter_reduce past the end": (lambda: tl.scatter_reduce(V3, 0, I3 + 1, V3, "amax"), "IndexingError", """
scatter_reduce: index 3 is out of range for an axis of 3
  x       float32[3]
  source  float32[3]
  places  int64[3]
  axis    0
  how     'amax'
  at HERE
  fix: use 0 to 2"""),
    "scatter_reduce of wider numbers": (lambda: tl.scatter_reduce(I3, 0, I3, V3, "prod"), "DTypeError", """
scatter_reduce: x cannot hold float32 values
  x       int64[3]
  source  float32[3]
  places  int64[3]
  axis    0
  how     'prod'
  at HERE
  fix: cast them first: source.to(tl.int64)"""),
    "index_reduce of other places": (lambda: tl.index_reduce(V3, 0, I3, V4, "prod"), "ShapeError", """
index_reduce: index must name a place for each slice of source
  x       float32[3]
  index   int64[3]
  source  float32[4]
  at HERE"""),
    "index_add of another shape": (lambda: tl.index_add(M23, 1, I3, V3), "ShapeError", """
index_add: source must have shape [2, 3]
  x       float32[2, 3]
  index   int64[3]
  source  float32[3]
  at HERE"""),
    "index_add past the end": (lambda: tl.index_add(V3, 0, I3 + 1, V3), "IndexingError", """
index_add: index 3 is out of bounds for axis 0 of extent 3
  x        float32[3]
  indices  int64[3]
  axis     0
  at HERE
  fix: use -3 to 2"""),
    "index_copy by a matrix": (lambda: tl.index_copy(V3, 0, tl.zeros((1, 3), dtype=tl.int64), V3), "ShapeError", """
index_copy: index must have one axis
  x      float32[3]
  index  int64[1, 3]
  at HERE"""),
    "index_fill by floats": (lambda: tl.index_fill(V3, 0, V3, 1.0), "DTypeError", """
index_fill: indices must be a tensor of integers
  x        float32[3]
  indices  float32[3]
  at HERE
  fix: make it one: tl.asarray(...)"""),
    "index_put of another dtype": (lambda: tl.index_put(V3, (I3,), I3), "DTypeError", """
index_put: x is float32, values are int64
  x       float32[3]
  values  int64[3]
  at HERE
  fix: cast them first: values.to(tl.float32)"""),
    "index_put of another shape": (lambda: tl.index_put(V3, (I3,), V4, True), "ShapeError", """
index_put: values do not broadcast to the shape [3] that is indexed
  x        float32[3]
  indices  (tensor([0, 1, 2]),)
  values   float32[4]
  at HERE"""),
    "select past the end": (lambda: tl.select(V3, 0, 3), "IndexingError", """
select: index 3 is out of range for axis 0 of 3
  x  float32[3]
  at HERE"""),
    "narrow past the end": (lambda: tl.narrow(V3, 0, 2, 2), "ArgumentError", """
narrow: axis 0 of 3 has no part of length 2 that begins at 2
  x  float32[3]
  at HERE"""),
    "windows wider than the axis": (lambda: V3.unfold(0, 4, 1), "ArgumentError", """
unfold: size is 4, and axis 0 has 3 elements
  x  float32[3]
  at HERE"""),
    "windows that do not move": (lambda: V3.unfold(0, 2, 0), "ArgumentError", """
unfold: step must be at least 1, not 0
  x  float32[3]
  at HERE"""),
    "select_scatter of another shape": (lambda: tl.select_scatter(M23, V4, 0, 0), "ShapeError", """
select_scatter: src must have the shape [3] of the slice
  x    float32[2, 3]
  src  float32[4]
  at HERE"""),
    "a diagonal of one axis": (lambda: tl.diagonal(M23, 0, 1, -1), "ArgumentError", """
diagonal: dim1 and dim2 are the same axis 1
  x  float32[2, 3]
  at HERE"""),
    "the diagonal of a cube": (lambda: tl.diag(tl.zeros((1, 1, 1))), "ShapeError", """
diag: takes a vector or a matrix, x has 3 dimensions
  x  float32[1, 1, 1]
  at HERE
  fix: use tl.diagonal or tl.diag_embed for stacks"""),
    "diag_embed of a number": (lambda: tl.diag_embed(tl.tensor(1.0)), "ShapeError", """
diag_embed: a 0-dimensional tensor has no axis
  x  float32[]
  at HERE"""),
    "block_diag of a cube": (lambda: tl.block_diag(tl.zeros((1, 1, 1))), "ShapeError", """
block_diag: blocks have at most 2 dimensions
  tensors[0]  float32[1, 1, 1]
  at HERE"""),
    "triangles of no matrix": (lambda: tl.tril_indices(-1, 2), "ArgumentError", """
tril_indices: no matrix has -1 rows and 2 columns
  at HERE"""),
    "no parts": (lambda: tl.tensor_split(V3, 0), "ArgumentError", """
tensor_split: there cannot be 0 parts
  x  float32[3]
  at HERE"""),
    "parts of a fraction": (lambda: tl.tensor_split(V3, 1.5), "DTypeError", """
tensor_split: cuts are an integer or several, not 1.5
  x  float32[3]
  at HERE"""),
    "unequal parts": (lambda: tl.hsplit(V3, 2), "ArgumentError", """
hsplit: axis 0 of 3 has no 2 equal parts
  x  float32[3]
  at HERE
  fix: use tl.tensor_split"""),
    "vsplit of a vector": (lambda: tl.vsplit(V3, 1), "ShapeError", """
vsplit: takes at least 2 dimensions, x has 1
  x  float32[3]
  at HERE"""),
    "dsplit of a matrix": (lambda: tl.dsplit(M23, 1), "ShapeError", """
dsplit: takes at least 3 dimensions, x has 2
  x  float32[2, 3]
  at HERE"""),
    "unflatten into other parts": (lambda: tl.unflatten(M23, 1, (2, 2)), "ShapeError", """
unflatten: axis 1 of 3 has no parts (2, 2)
  x  float32[2, 3]
  at HERE"""),
    "flatten backwards": (lambda: tl.flatten(M23, 1, 0), "ArgumentError", """
flatten: start_dim 1 comes after end_dim 0
  x  float32[2, 3]
  at HERE"""),
    "rot90 of one axis": (lambda: tl.rot90(M23, dims=(0,)), "ArgumentError", """
rot90: turns two axes, not 1
  x     float32[2, 3]
  dims  (0,)
  at HERE"""),
    "rot90 of an axis twice": (lambda: tl.rot90(M23, dims=(0, 0)), "ArgumentError", """
rot90: an axis is given twice
  x     float32[2, 3]
  axis  (0, 0)
  at HERE"""),
    "fliplr of a vector": (lambda: tl.fliplr(V3), "ShapeError", """
fliplr: takes at least 2 dimensions, x has 1
  x  float32[3]
  at HERE"""),
    "shapes that do not broadcast": (lambda: tl.broadcast_shapes((2,), (3,)), "ShapeError", """
broadcast_shapes: the shapes do not broadcast
  shapes[0]  (2,)
  shapes[1]  (3,)
  at HERE
  fix: extents must be equal or 1, counted from the last axis"""),
    "combinations of a matrix": (lambda: tl.combinations(M23), "ShapeError", """
combinations: takes one dimension, x has 2
  x  float32[2, 3]
  at HERE"""),
    "combinations of fewer than none": (lambda: tl.combinations(V3, -1), "ArgumentError", """
combinations: r must be 0 or more, not -1
  x  float32[3]
  at HERE"""),
    "vander of a matrix": (lambda: tl.vander(M23), "ShapeError", """
vander: takes one dimension, x has 2
  x  float32[2, 3]
  at HERE"""),
    "repeat_interleave of another size": (lambda: tl.repeat_interleave(V3, 2, output_size=5), "ShapeError", """
repeat_interleave: the result has 6 elements along its axis, not output_size 5
  x        float32[3]
  repeats  2
  at HERE"""),
    "close by a negative tolerance": (lambda: tl.isclose(V3, V3, rtol=-1.0), "ArgumentError", """
isclose: tolerances must be 0 or more, not rtol=-1.0 and atol=1e-08
  x      float32[3]
  other  float32[3]
  at HERE"""),
    "isin of two numbers": (lambda: tl.isin(1, 2), "DTypeError", """
isin: elements or test_elements must be a tensor
  elements       1
  test_elements  2
  at HERE"""),
    "bincount of floats": (lambda: tl.bincount(V3), "DTypeError", """
bincount: takes integers, not float32
  x  float32[3]
  at HERE"""),
    "bincount of a matrix": (lambda: tl.bincount(tl.zeros((1, 1), dtype=tl.int64)), "ShapeError", """
bincount: takes one dimension, x has 2
  x  int64[1, 1]
  at HERE"""),
    "bincount of negative integers": (lambda: tl.bincount(I3 - 1), "ArgumentError", """
bincount: integers must be 0 or more, not -1
  x  int64[3]
  at HERE"""),
    "bincount of other weights": (lambda: tl.bincount(I3, V4), "ShapeError", """
bincount: there must be one weight for each element
  x        int64[3]
  weights  float32[4]
  at HERE"""),
    "histc of no intervals": (lambda: tl.histc(V3, 0), "ArgumentError", """
histc: bins must be at least 1, not 0
  x  float32[3]
  at HERE"""),
    "histc of integers": (lambda: tl.histc(I3), "DTypeError", """
histc: takes real floating dtypes, not int64
  x  int64[3]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "histc of no range": (lambda: tl.histc(V3, 2, 1, 0), "ArgumentError", """
histc: the range from 1.0 to 0.0 is none
  x  float32[3]
  at HERE"""),
    "histc of infinity": (lambda: tl.histc(V3 + tl.inf), "ArgumentError", """
histc: the elements reach from inf to inf, which are not finite
  x  float32[3]
  at HERE
  fix: give a range"""),
    "histogram of edges and a range": (lambda: tl.histogram(V3, V4, range=(0.0, 1.0)), "ArgumentError", """
histogram: edges leave no range to choose
  x     float32[3]
  bins  float32[4]
  at HERE"""),
    "histogram of one edge": (lambda: tl.histogram(V3, tl.zeros(1)), "ShapeError", """
histogram: edges are two or more in a row, of the dtype of x
  x     float32[3]
  bins  float32[1]
  at HERE"""),
    "bucketize between matrices": (lambda: tl.bucketize(V3, M23), "ShapeError", """
bucketize: boundaries must have one axis
  boundaries  float32[2, 3]
  at HERE"""),
}


@pytest.mark.parametrize("case", CASES)
def test_text(case):
    action, kind, text = CASES[case]
    with pytest.raises(tl.errors.TensorliteError) as caught:
        action()
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("  at test_shape_errors.py:") for line in lines) == 1
    said = "\n".join("  at HERE" if line.startswith("  at ") else line for line in lines)
    assert (type(caught.value).__name__, said) == (kind, text.strip("\n"))


def test_what_depends_on_elements_is_refused_in_a_trace():
    for function in (tl.unique, tl.unique_consecutive, tl.argwhere, tl.bincount):
        with pytest.raises(tl.errors.TraceError, match=f"^{function.__name__}: "):
            tl.jit(function)(I3)
