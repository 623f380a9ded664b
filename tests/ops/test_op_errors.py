"""Every refusal, word for word: what is wrong, the arguments, the user's line and the fix."""

from __future__ import annotations

import pytest

import tensorlite as tl

V3, V4 = tl.zeros(3), tl.zeros(4)
M23, M33 = tl.zeros((2, 3)), tl.zeros((3, 3))
I3, B3, Z3 = tl.arange(3), tl.ones(3, dtype=tl.bool), tl.zeros(3, dtype=tl.complex64)
S = tl.tensor(1.0)

CASES = {
    # creation
    "zeros of a negative extent": (lambda: tl.zeros((2, -1)), "ShapeError", """
zeros: no tensor has shape [2, -1]
  at HERE
  fix: extents are 0 or more"""),
    "ones of a float": (lambda: tl.ones(2.5), "DTypeError", """
ones: a shape is made of integers, not 2.5
  at HERE"""),
    "full of what does not fit": (lambda: tl.full(2, 1.5, dtype=tl.int32), "DTypeError", """
full: int32 cannot hold 1.5
  at HERE
  fix: choose another dtype"""),
    "full of text": (lambda: tl.full(2, "a"), "DTypeError", """
full: fill_value must be a number, not str
  at HERE"""),
    "zeros elsewhere": (lambda: tl.zeros(2, device="moon"), "DeviceError", """
zeros: moon: no such device; expected 'cpu', 'cuda' or 'cuda:1'
  at HERE"""),
    "arange without a step": (lambda: tl.arange(0, 3, 0), "ArgumentError", """
arange: a step of 0 never arrives
  start  0
  stop   3
  at HERE"""),
    "arange without an end": (lambda: tl.arange(0, tl.inf), "ArgumentError", """
arange: the range has no end
  start  0
  stop   inf
  step   1
  at HERE"""),
    "arange of complex numbers": (lambda: tl.arange(1j), "DTypeError", """
arange: takes real numbers, not complex
  argument  1j
  at HERE"""),
    "linspace of integers": (lambda: tl.linspace(0, 1, 3, dtype=tl.int32), "DTypeError", """
linspace: int32 cannot hold the numbers
  start  0
  stop   1
  at HERE
  fix: use dtype=tl.float32"""),
    "linspace of fewer than none": (lambda: tl.linspace(0, 1, -1), "ShapeError", """
linspace: no tensor has shape [-1]
  at HERE
  fix: extents are 0 or more"""),
    "meshgrid of matrices": (lambda: tl.meshgrid(V3, M23), "ShapeError", """
meshgrid: coordinates have one axis
  arrays[0]  float32[3]
  arrays[1]  float32[2, 3]
  at HERE"""),
    "meshgrid of several dtypes": (lambda: tl.meshgrid(V3, I3), "DTypeError", """
meshgrid: coordinates have one dtype
  arrays[0]  float32[3]
  arrays[1]  int64[3]
  at HERE
  fix: cast them first: x.to(...)"""),
    "meshgrid of another order": (lambda: tl.meshgrid(V3, indexing="yx"), "ArgumentError", """
meshgrid: indexing is 'xy' or 'ij', not 'yx'
  at HERE"""),
    "tril of a vector": (lambda: tl.tril(V3), "ShapeError", """
tril: a matrix has two axes
  x  float32[3]
  at HERE"""),
    # reductions
    "an axis that is not there": (lambda: tl.sum(M23, axis=2), "AxisError", """
sum: axis 2 is out of range for 2 dimensions
  x  float32[2, 3]
  at HERE
  fix: use -2 to 1"""),
    "an axis of a 0-d tensor": (lambda: tl.max(S, axis=0), "AxisError", """
max: axis 0 is out of range for 0 dimensions
  x  float32[]
  at HERE
  fix: a 0-dimensional tensor has no axis"""),
    "an axis twice": (lambda: tl.mean(M23, axis=(0, -2)), "ArgumentError", """
mean: an axis is given twice
  x     float32[2, 3]
  axis  (0, -2)
  at HERE"""),
    "an axis that is a truth": (lambda: tl.sum(M23, True), "DTypeError", """
sum: axis must be an integer, not bool
  x     float32[2, 3]
  axis  True
  at HERE"""),
    "an axis that is no integer": (lambda: tl.var(M23, axis=1.0), "DTypeError", """
var: axis must be an integer, not float
  x     float32[2, 3]
  axis  1.0
  at HERE"""),
    "the largest of nothing": (lambda: tl.max(V3[:0]), "ShapeError", """
max: no elements have no extreme
  x         float32[0]
  axis      (0,)
  keepdims  False
  at HERE
  fix: check x.size first"""),
    "the place of the smallest of nothing": (lambda: tl.argmin(V3[:0]), "ShapeError", """
argmin: no elements have no extreme
  x         float32[0]
  axis      None
  keepdims  False
  at HERE
  fix: check x.size first"""),
    "the largest complex number": (lambda: tl.max(Z3), "DTypeError", """
max: complex64 numbers have no order
  x  complex64[3]
  at HERE
  fix: use tl.abs(x) or tl.real(x)"""),
    "running sum without an axis": (lambda: tl.cumulative_sum(M23), "ArgumentError", """
cumulative_sum: axis must be given for 2 dimensions
  x  float32[2, 3]
  at HERE"""),
    "running product of a 0-d tensor": (lambda: tl.cumulative_prod(S), "ArgumentError", """
cumulative_prod: axis must be given for 0 dimensions
  x  float32[]
  at HERE"""),
    "differences of a 0-d tensor": (lambda: tl.diff(S), "ShapeError", """
diff: a 0-dimensional tensor has no neighbours
  x  float32[]
  at HERE"""),
    "differences fewer than none": (lambda: tl.diff(V3, n=-1), "ArgumentError", """
diff: n must be 0 or more, not -1
  x  float32[3]
  at HERE"""),
    # manipulation
    "reshape to another size": (lambda: tl.reshape(M23, (4, 2)), "ShapeError", """
reshape: 6 elements do not fill the shape (4, 2)
  x  float32[2, 3]
  at HERE"""),
    "permutation of too few": (lambda: tl.permute_dims(M23, (0,)), "ShapeError", """
permute_dims: axes must name each of 2 axes once
  x     float32[2, 3]
  axes  (0,)
  at HERE"""),
    "broadcast to less": (lambda: tl.broadcast_to(V3, (2,)), "ShapeError", """
broadcast_to: [3] does not broadcast to [2]
  x      float32[3]
  shape  (2,)
  at HERE"""),
    "shapes that do not broadcast": (lambda: tl.broadcast_arrays(V3, V4), "ShapeError", """
broadcast_arrays: the shapes do not broadcast
  arrays[0]  float32[3]
  arrays[1]  float32[4]
  at HERE
  fix: extents must be equal or 1, counted from the last axis"""),
    "squeeze of a wide axis": (lambda: tl.squeeze(M23, 0), "ShapeError", """
squeeze: axis 0 has extent 2, not 1
  x     float32[2, 3]
  axis  0
  at HERE"""),
    "move of unequal numbers of axes": (lambda: tl.moveaxis(M23, (0, 1), 0), "ArgumentError", """
moveaxis: source and destination name different numbers of axes
  x            float32[2, 3]
  source       (0, 1)
  destination  0
  at HERE"""),
    "roll by too many": (lambda: tl.roll(M23, (1, 2), axis=0), "ArgumentError", """
roll: 2 shifts for 1 axes
  x      float32[2, 3]
  shift  (1, 2)
  axis   0
  at HERE"""),
    "concat of different shapes": (lambda: tl.concat([M23, M33[:, :2]]), "ShapeError", """
concat: [2, 3] and [3, 2] differ on another axis than 0
  arrays[0]  float32[2, 3]
  arrays[1]  float32[3, 2]
  axis       0
  at HERE
  fix: all extents but that of the axis must be equal"""),
    "concat of different numbers of axes": (lambda: tl.concat([M23, V3]), "ShapeError", """
concat: tensors to join have the same number of axes
  arrays[0]  float32[2, 3]
  arrays[1]  float32[3]
  at HERE"""),
    "concat of nothing": (lambda: tl.concat([]), "ArgumentError", """
concat: takes at least one tensor
  at HERE"""),
    "concat of numbers": (lambda: tl.concat([V3, 1.0]), "DTypeError", """
concat: takes a sequence of tensors
  arrays  [tensor([0., 0., 0.]), 1.0]
  at HERE"""),
    "stack of different shapes": (lambda: tl.stack([V3, V4]), "ShapeError", """
stack: tensors to stack have one shape
  arrays[0]  float32[3]
  arrays[1]  float32[4]
  at HERE"""),
    "unstack of a 0-d tensor": (lambda: tl.unstack(S), "ShapeError", """
unstack: a 0-dimensional tensor has no axis
  x  float32[]
  at HERE"""),
    "split into other lengths": (lambda: tl.split(V4, [1, 2]), "ShapeError", """
split: the lengths do not add up to 4
  x           float32[4]
  split_size  [1, 2]
  axis        0
  at HERE"""),
    "repeat fewer than none": (lambda: tl.repeat(V3, -1), "ArgumentError", """
repeat: nothing is repeated a negative number of times
  x        float32[3]
  repeats  -1
  at HERE"""),
    "repeat by too few": (lambda: tl.repeat(V3, tl.tensor([1, 2])), "ShapeError", """
repeat: repeats must have one count for each of 3 elements
  x        float32[3]
  repeats  int64[2]
  at HERE"""),
    # searching and sorting
    "sort of a 0-d tensor": (lambda: tl.sort(S), "ShapeError", """
sort: a 0-dimensional tensor has no axis
  x  float32[]
  at HERE"""),
    "topk of a 0-d tensor": (lambda: tl.topk(S, 1), "ShapeError", """
topk: a 0-dimensional tensor has no axis
  x  float32[]
  at HERE"""),
    "topk of too many": (lambda: tl.topk(tl.zeros((3, 2)), 4, axis=0), "ArgumentError", """
topk: k is 4, and axis 0 has 3 elements
  x  float32[3, 2]
  at HERE
  fix: use 0 to 3"""),
    "topk of a part": (lambda: tl.topk(tl.zeros(3), 1.5), "ArgumentError", """
topk: k must be an integer, not float
  x  float32[3]
  at HERE"""),
    "nms of boxes with three corners": (lambda: tl.nms(tl.zeros((5, 3)), tl.zeros(5), 0.5), "ShapeError", """
nms: boxes must have the shape [n, 4] and scores [n]
  boxes   float32[5, 3]
  scores  float32[5]
  at HERE"""),
    "nms of integers": (lambda: tl.nms(tl.zeros((5, 4), dtype=tl.int64), tl.zeros(5), 0.5), "DTypeError", """
nms: boxes and scores must be real floating
  boxes   int64[5, 4]
  scores  float32[5]
  at HERE
  fix: convert them: x.float()"""),
    "nms without a threshold": (lambda: tl.nms(tl.zeros((5, 4)), tl.zeros(5), None), "DTypeError", """
nms: iou_threshold must be a number, not NoneType
  at HERE"""),
    "batched_nms with too few classes": (
        lambda: tl.batched_nms(tl.zeros((5, 4)), tl.zeros(5), tl.zeros(3, dtype=tl.int64), 0.5), "ArgumentError", """
batched_nms: idxs must hold one class for each box
  boxes  float32[5, 4]
  idxs   int64[3]
  at HERE"""),
    "sort of complex numbers": (lambda: tl.argsort(Z3), "DTypeError", """
argsort: complex64 numbers have no order
  x  complex64[3]
  at HERE
  fix: sort tl.abs(x) or tl.real(x)"""),
    "nonzero of a 0-d tensor": (lambda: tl.nonzero(S), "ShapeError", """
nonzero: a 0-dimensional tensor has no positions
  x  float32[]
  at HERE
  fix: use x != 0"""),
    "searchsorted in a matrix": (lambda: tl.searchsorted(M23, V3), "ShapeError", """
searchsorted: x1 must have one axis, or all but its last in common with x2
  x1  float32[2, 3]
  x2  float32[3]
  at HERE"""),
    "searchsorted of another side": (lambda: tl.searchsorted(V3, V3, side="top"), "ArgumentError", """
searchsorted: side is 'left' or 'right', not 'top'
  at HERE"""),
    "searchsorted by too few": (lambda: tl.searchsorted(V3, V3, sorter=tl.tensor([0])), "ArgumentError", """
searchsorted: sorter must hold one position for each element of x1
  x1      float32[3]
  sorter  int64[1]
  at HERE
  fix: use tl.argsort(x1)"""),
    "take from beyond": (lambda: tl.take(M23, I3, axis=0), "IndexingError", """
take: index 2 is out of bounds for axis 0 of extent 2
  x        float32[2, 3]
  indices  int64[3]
  axis     0
  at HERE
  fix: use -2 to 1"""),
    "take at floats": (lambda: tl.take(V3, V3), "DTypeError", """
take: indices must be a tensor of integers
  x        float32[3]
  indices  float32[3]
  at HERE
  fix: make it one: tl.asarray(...)"""),
    "take along other lines": (lambda: tl.take_along_axis(M33, tl.tensor([[0], [0]]), axis=1), "ShapeError", """
take_along_axis: indices do not broadcast with x off axis 1
  x        float32[3, 3]
  indices  int64[2, 1]
  at HERE"""),
    "take along with fewer axes": (lambda: tl.take_along_axis(M33, I3), "ShapeError", """
take_along_axis: indices have 1 axes, x has 2
  x        float32[3, 3]
  indices  int64[3]
  at HERE"""),
    # products
    "matrices that do not fit": (lambda: tl.matmul(M23, M23), "ShapeError", """
matmul: x1 has 3 columns, x2 has 2 rows
  x1  float32[2, 3]
  x2  float32[2, 3]
  at HERE"""),
    "stacks that do not fit": (lambda: tl.matmul(tl.zeros((2, 3, 3)), tl.zeros((3, 3, 3))), "ShapeError", """
matmul: stacks [2] and [3] do not broadcast
  x1  float32[2, 3, 3]
  x2  float32[3, 3, 3]
  at HERE"""),
    "a number as a matrix": (lambda: tl.matmul(S, V3), "ShapeError", """
matmul: a 0-dimensional tensor is no matrix
  x1  float32[]
  x2  float32[3]
  at HERE
  fix: use x1 * x2"""),
    "bools as matrices": (lambda: tl.matmul(B3, B3), "DTypeError", """
matmul: takes numeric dtypes, not bool
  x1  bool[3]
  x2  bool[3]
  at HERE
  fix: cast them first: x.to(tl.int64)"""),
    "vectors of other lengths": (lambda: tl.vecdot(V3, V4), "ShapeError", """
vecdot: the vectors' extents differ
  x1    float32[3]
  x2    float32[4]
  axis  -1
  at HERE"""),
    "vectors of other numbers": (lambda: tl.vecdot(M23, M33), "ShapeError", """
vecdot: the other axes do not broadcast
  x1    float32[2, 3]
  x2    float32[3, 3]
  axis  -1
  at HERE"""),
    "axes of other extents": (lambda: tl.tensordot(M23, M23, axes=1), "ShapeError", """
tensordot: the extents of summed axes differ
  x1    float32[2, 3]
  x2    float32[2, 3]
  axes  1
  at HERE"""),
    "more axes than there are": (lambda: tl.tensordot(V3, M33, axes=2), "ShapeError", """
tensordot: there are not 2 axes to sum over
  x1  float32[3]
  x2  float32[3, 3]
  at HERE"""),
    "unpaired axes": (lambda: tl.tensordot(M33, M33, axes=((0, 1), (0,))), "ArgumentError", """
tensordot: 2 axes of x1 are paired with 1 of x2
  x1    float32[3, 3]
  x2    float32[3, 3]
  axes  ((0, 1), (0,))
  at HERE"""),
    "transpose of a vector": (lambda: tl.matrix_transpose(V3), "ShapeError", """
matrix_transpose: a matrix has two axes
  x  float32[3]
  at HERE"""),
    "einsum of too few": (lambda: tl.einsum("ij,jk->ik", M23), "ArgumentError", """
einsum: the equation has 2 operands, not 1
  equation     'ij,jk->ik'
  operands[0]  float32[2, 3]
  at HERE"""),
    "einsum of unequal extents": (lambda: tl.einsum("ij,jk->ik", M23, M23), "ShapeError", """
einsum: 'j' has extent 3 and extent 2
  equation     'ij,jk->ik'
  operands[0]  float32[2, 3]
  operands[1]  float32[2, 3]
  at HERE"""),
    "einsum of unequal hidden extents": (lambda: tl.einsum("...,...", V3, V4), "ShapeError", """
einsum: an axis of ... has extent 3 and extent 4
  equation     '...,...'
  operands[0]  float32[3]
  operands[1]  float32[4]
  at HERE"""),
    "einsum with other labels": (lambda: tl.einsum("ij->ix", M23), "ArgumentError", """
einsum: the output's 'x' is in no operand
  equation     'ij->ix'
  operands[0]  float32[2, 3]
  at HERE"""),
    "einsum with a label twice": (lambda: tl.einsum("ij->ii", M23), "ArgumentError", """
einsum: the output names an axis twice
  equation     'ij->ii'
  operands[0]  float32[2, 3]
  at HERE"""),
    "einsum with a digit": (lambda: tl.einsum("i1", M23), "ArgumentError", """
einsum: '1' names no axis
  equation     'i1'
  operands[0]  float32[2, 3]
  at HERE
  fix: use letters, ',', '->' and '...'"""),
    "einsum of other numbers of axes": (lambda: tl.einsum("ijk->i", M23), "ShapeError", """
einsum: 'ijk' names 3 axes of a tensor that has 2
  equation     'ijk->i'
  operands[0]  float32[2, 3]
  at HERE"""),
    "einsum of a number": (lambda: tl.einsum("i", 1.0), "DTypeError", """
einsum: operands must be tensors, not float
  equation     'i'
  operands[0]  1.0
  at HERE
  fix: make it one: tl.asarray(...)"""),
    # bounds and dtypes
    "bounds of another kind": (lambda: tl.clip(I3, 0.5), "DTypeError", """
clip: int64 cannot hold the bound
  x    int64[3]
  min  0.5
  at HERE
  fix: cast x first: x.to(tl.float32)"""),
    "bounds of text": (lambda: tl.clip(V3, max="a"), "DTypeError", """
clip: max must be a number or a tensor, not str
  x  float32[3]
  at HERE"""),
    "bounds of complex numbers": (lambda: tl.clip(Z3, 0), "DTypeError", """
clip: takes real dtypes, not complex64
  x  complex64[3]
  at HERE"""),
    "another kind of dtype": (lambda: tl.isdtype(tl.int8, "floating"), "ArgumentError", """
isdtype: no kind of dtype is called 'floating'
  at HERE
  fix: use bool, signed integer, unsigned integer, integral, real floating, complex floating, numeric"""),
    "finfo of integers": (lambda: tl.finfo(tl.int8), "DTypeError", """
finfo: int8 is not floating
  at HERE
  fix: use tl.iinfo for integers"""),
    "iinfo of floats": (lambda: tl.iinfo(tl.float16), "DTypeError", """
iinfo: float16 is not an integer
  at HERE
  fix: use tl.finfo for floats"""),
    "the dtype of nothing": (lambda: tl.result_type(1, 2.0), "ArgumentError", """
result_type: takes at least one tensor or dtype
  at HERE"""),
}


@pytest.mark.parametrize("case", CASES)
def test_text(case):
    action, kind, text = CASES[case]
    with pytest.raises(tl.errors.TensorliteError) as caught:
        action()
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("  at test_op_errors.py:") for line in lines) == 1
    said = "\n".join("  at HERE" if line.startswith("  at ") else line for line in lines)
    assert (type(caught.value).__name__, said) == (kind, text.strip("\n"))


def test_other_arguments_are_told_apart_from_tensors():
    for function in (tl.sum, tl.sort, tl.squeeze, tl.unique_all, tl.cumulative_sum, tl.flip, tl.argmax, tl.nonzero):
        with pytest.raises(tl.errors.DTypeError, match=f"^{function.__name__}: x must be a tensor"):
            function([1, 2])
