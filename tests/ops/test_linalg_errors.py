"""Every refusal of `tl.linalg`, `tl.fft` and distances, word for word."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl

L, F, N = tl.linalg, tl.fft, tl.nn.functional
V, M, R = tl.ones(2), tl.ones((2, 2)), tl.ones((2, 3))
I, S = tl.ones((2, 2), dtype=tl.int64), tl.stack([tl.eye(2), tl.ones((2, 2))])


def slope_of_q(x):
    return tl.grad(lambda x: L.qr(x, "complete")[0].sum())(x)


CASES = {
    "the inverse of a singular matrix": (lambda: L.inv(M), "LinAlgError", """
inv: the matrix is singular
  x  float32[2, 2]
  at HERE
  fix: solve for the least squares instead: tl.linalg.lstsq or tl.linalg.pinv"""),
    "a singular matrix of a stack": (lambda: L.solve(S, M), "LinAlgError", """
solve: the matrix is singular: matrix 1 of the stack
  x1  float32[2, 2, 2]
  x2  float32[2, 2]
  at HERE
  fix: solve for the least squares instead: tl.linalg.lstsq or tl.linalg.pinv"""),
    "the same in a compiled function": (lambda: tl.jit(L.inv)(M), "LinAlgError", """
inv: the matrix is singular
  x  float32[2, 2]
  at HERE
  fix: solve for the least squares instead: tl.linalg.lstsq or tl.linalg.pinv"""),
    "the same of a batch": (lambda: tl.vmap(L.inv)(S), "LinAlgError", """
inv: the matrix is singular: matrix 1 of the stack
  x  float32[2, 2, 2]
  at HERE
  fix: solve for the least squares instead: tl.linalg.lstsq or tl.linalg.pinv"""),
    "a matrix that is not positive definite": (lambda: L.cholesky(-M), "LinAlgError", """
cholesky: the matrix is not positive definite
  x         float32[2, 2]
  triangle  'L'
  at HERE
  fix: add a small multiple of the unit matrix: x + 1e-6 * tl.eye(n)"""),
    "the inverse of no square": (lambda: L.inv(R), "ShapeError", """
inv: x must be square, not 2 x 3
  x  float32[2, 3]
  at HERE"""),
    "the inverse of a vector": (lambda: L.inv(V), "ShapeError", """
inv: a matrix has two axes, x has 1
  x  float32[2]
  at HERE"""),
    "the inverse of integers": (lambda: L.inv(I), "DTypeError", """
inv: takes float32, float64, complex64 and complex128, not int64
  x  int64[2, 2]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "the determinant in 16 bits": (lambda: L.det(M.half()), "DTypeError", """
det: takes float32, float64, complex64 and complex128, not float16
  x  float16[2, 2]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "solving for other rows": (lambda: L.solve(M, tl.ones((3, 1))), "ShapeError", """
solve: x1 has 2 columns, x2 has 3 rows
  x1  float32[2, 2]
  x2  float32[3, 1]
  at HERE"""),
    "solving for stacks that do not broadcast": (lambda: L.solve(S, tl.ones((4, 2, 1))), "ShapeError", """
solve: stacks [2] and [4] do not broadcast
  x1  float32[2, 2, 2]
  x2  float32[4, 2, 1]
  at HERE"""),
    "triangular equations for a vector": (lambda: L.solve_triangular(M, V, upper=True), "ShapeError", """
solve_triangular: a matrix has two axes, x2 has 1
  x1  float32[2, 2]
  x2  float32[2]
  at HERE
  fix: of a vector, pass x2[:, None]"""),
    "eigenvalues of NaN": (lambda: L.eig(M * tl.nan), "LinAlgError", """
eig: the eigenvalues do not converge
  x  float32[2, 2]
  at HERE
  fix: check that it has no NaN and no infinity"""),
    "singular values of NaN": (lambda: L.svdvals(M * tl.nan), "LinAlgError", """
svdvals: the singular values do not converge
  x  float32[2, 2]
  at HERE
  fix: check that it has no NaN and no infinity"""),
    "another triangle": (lambda: L.eigh(M, "X"), "ArgumentError", """
eigh: UPLO is 'L' or 'U', not 'X'
  x  float32[2, 2]
  at HERE"""),
    "another mode of qr": (lambda: L.qr(M, "x"), "ArgumentError", """
qr: mode is 'reduced', 'complete' or 'r', not 'x'
  x  float32[2, 2]
  at HERE"""),
    "the derivative of a complete Q": (lambda: slope_of_q(R.mT), "GradientError", """
qr: the columns of a complete Q beyond those of x are any basis: they have no derivative
  x  float32[3, 2]
  at HERE
  fix: use mode='reduced'"""),
    "a driver of svd": (lambda: L.svd(M, driver="gesvd"), "ArgumentError", """
svd: driver='gesvd' chooses among those of CUDA, and x is on the CPU
  x  float32[2, 2]
  at HERE
  fix: leave driver out"""),
    "another driver of lstsq": (lambda: L.lstsq(M, M, driver="x"), "ArgumentError", """
lstsq: no driver is called 'x'
  x1  float32[2, 2]
  x2  float32[2, 2]
  at HERE
  fix: use gels, gelsy, gelsd, gelss"""),
    "least squares of other rows": (lambda: L.lstsq(M, tl.ones(3)), "ShapeError", """
lstsq: x1 and x2 must have as many rows
  x1  float32[2, 2]
  x2  float32[3]
  at HERE"""),
    "an integer for a tolerance": (lambda: L.pinv(M, rtol=tl.tensor([1])), "ArgumentError", """
pinv: rtol must be real and floating, not int64
  x     float32[2, 2]
  rtol  int64[1]
  at HERE"""),
    "tolerances for more matrices": (lambda: L.matrix_rank(M, rtol=tl.ones(3)), "ShapeError", """
matrix_rank: rtol must broadcast to [], a number for each matrix
  x     float32[2, 2]
  rtol  float32[3]
  at HERE"""),
    "half a power": (lambda: L.matrix_power(M, 0.5), "ArgumentError", """
matrix_power: n must be an integer, not float
  x  float32[2, 2]
  at HERE"""),
    "powers of a vector": (lambda: L.matrix_power(V, 2), "ShapeError", """
matrix_power: only a square matrix has powers
  x  float32[2]
  at HERE"""),
    "the exponential of no square": (lambda: L.matrix_exp(R), "ShapeError", """
matrix_exp: x must be square, not 2 x 3
  x  float32[2, 3]
  at HERE"""),
    "the norm of integers": (lambda: L.vector_norm(tl.arange(3)), "DTypeError", """
vector_norm: takes floating dtypes, not int64
  x  int64[3]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "the norm of vectors by a name": (lambda: L.vector_norm(V, "fro"), "ArgumentError", """
vector_norm: ord is a number, not 'fro'
  x  float32[2]
  at HERE"""),
    "the norm of complex numbers as real ones": (lambda: L.vector_norm(V * 1j, dtype=tl.float64), "DTypeError", """
vector_norm: complex numbers do not become float64
  x      complex64[2]
  dtype  <class 'numpy.float64'>
  at HERE
  fix: choose a complex dtype"""),
    "another norm of matrices": (lambda: L.matrix_norm(M, 3), "ArgumentError", """
matrix_norm: ord is 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, not 3
  x  float32[2, 2]
  at HERE"""),
    "the matrix norm of a vector": (lambda: L.matrix_norm(V), "ShapeError", """
matrix_norm: a matrix has two axes
  x  float32[2]
  at HERE"""),
    "the norm over one axis of two": (lambda: L.matrix_norm(M, axis=(0, -2)), "ArgumentError", """
matrix_norm: an axis is given twice
  x     float32[2, 2]
  axis  (0, -2)
  at HERE"""),
    "a norm of three axes": (lambda: L.norm(tl.ones((2, 2, 2)), 2), "ShapeError", """
norm: with ord, x is a vector or a matrix, not of 3 axes
  x    float32[2, 2, 2]
  ord  2
  at HERE
  fix: name the axes: axis="""),
    "the norm of a matrix of a vector": (lambda: L.norm(V, "fro"), "ArgumentError", """
norm: 'fro' is a norm of matrices, which have two axes
  x     float32[2]
  axis  0
  at HERE"""),
    "the condition of no elements": (lambda: L.cond(tl.zeros((0, 0))), "ShapeError", """
cond: a matrix without elements has no condition
  x  float32[0, 0]
  at HERE"""),
    "the diagonal of a vector": (lambda: L.diagonal(V), "ShapeError", """
diagonal: a matrix has two axes
  x  float32[2]
  at HERE"""),
    "the cross product of pairs": (lambda: tl.cross(V, V), "ShapeError", """
cross: vectors have three elements
  x1    float32[2]
  x2    float32[2]
  axis  -1
  at HERE"""),
    "the outer product of matrices": (lambda: tl.outer(M, M), "ShapeError", """
outer: takes two vectors
  x1  float32[2, 2]
  x2  float32[2, 2]
  at HERE
  fix: give each one axis: x.reshape(-1)"""),
    "what does not fit a product": (lambda: tl.addmm(tl.ones(3), M, M), "ShapeError", """
addmm: input does not broadcast to [2, 2]
  input  float32[3]
  at HERE"""),
    "a matrix for a stack": (lambda: tl.baddbmm(M, M, M), "ShapeError", """
baddbmm: batch1 has 3 axes and batch2 has 3 axes
  batch1  float32[2, 2]
  batch2  float32[2, 2]
  at HERE"""),
    "one matrix to multiply": (lambda: L.multi_dot([M]), "ArgumentError", """
multi_dot: takes two or more tensors
  tensors[0]  float32[2, 2]
  at HERE"""),
    "a stack to multiply": (lambda: L.multi_dot([S, M]), "ShapeError", """
multi_dot: takes matrices, and vectors at the ends
  tensors[0]  float32[2, 2, 2]
  tensors[1]  float32[2, 2]
  at HERE"""),
    "tensorsolve of other extents": (lambda: L.tensorsolve(M, M), "ShapeError", """
tensorsolve: x1 has as many elements along its first axes as x2, and then as many again
  x1    float32[2, 2]
  x2    float32[2, 2]
  dims  None
  at HERE"""),
    "tensorinv of other extents": (lambda: L.tensorinv(R, 1), "ShapeError", """
tensorinv: the first 1 axes must have as many elements as the others
  x    float32[2, 3]
  ind  1
  at HERE"""),
    "no columns of powers": (lambda: L.vander(V, N=0), "ArgumentError", """
vander: N must be 1 or more, not 0
  x  float32[2]
  at HERE"""),
    "cdist of rows of other lengths": (lambda: tl.cdist(M, R), "ShapeError", """
cdist: x1 and x2 must have rows of the same length
  x1  float32[2, 2]
  x2  float32[2, 3]
  at HERE"""),
    "cdist of a negative order": (lambda: tl.cdist(M, M, -1), "ArgumentError", """
cdist: p must be 0 or more, not -1
  at HERE"""),
    "another mode of cdist": (lambda: tl.cdist(M, M, compute_mode="x"), "ArgumentError", """
cdist: no compute_mode is called 'x'
  x1  float32[2, 2]
  x2  float32[2, 2]
  at HERE
  fix: use use_mm_for_euclid_dist_if_necessary, use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist"""),
    "cdist of integers": (lambda: tl.cdist(I, I), "DTypeError", """
cdist: takes real floating dtypes, not int64
  x1  int64[2, 2]
  x2  int64[2, 2]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "pdist of a vector": (lambda: N.pdist(V), "ShapeError", """
pdist: takes a matrix, of which each row is a point
  input  float32[2]
  at HERE"""),
    "cosine_similarity of complex numbers": (lambda: N.cosine_similarity(M * 1j, M), "DTypeError", """
cosine_similarity: takes real floating dtypes, not complex64
  x1  complex64[2, 2]
  x2  float32[2, 2]
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "the transform of no points": (lambda: F.fft(tl.ones(0)), "ShapeError", """
fft: 0 points have no transform
  x  float32[0]
  at HERE
  fix: there must be 1 or more"""),
    "the transform to no points": (lambda: F.irfft(V, n=0), "ShapeError", """
irfft: 0 points have no transform
  x  float32[2]
  at HERE
  fix: there must be 1 or more"""),
    "another norm of a transform": (lambda: F.fft(V, norm="x"), "ArgumentError", """
fft: norm is 'backward', 'ortho' or 'forward', not 'x'
  at HERE"""),
    "the transform of a number": (lambda: F.fft(tl.tensor(1.0)), "AxisError", """
fft: axis -1 is out of range for 0 dimensions
  x  float32[]
  at HERE
  fix: a 0-dimensional tensor has no axis"""),
    "half a spectrum of complex numbers": (lambda: F.rfft(V * 1j), "DTypeError", """
rfft: takes real numbers, not complex64
  x  complex64[2]
  at HERE
  fix: use tl.fft.fft"""),
    "a transform in 16 bits": (lambda: F.rfft(V.half()), "DTypeError", """
rfft: takes float32 and float64, not float16
  x     float16[2]
  axis  0
  norm  'backward'
  at HERE
  fix: cast it first: x.to(tl.float32)"""),
    "more lengths than axes": (lambda: F.fftn(M, s=(2, 2, 2)), "ShapeError", """
fftn: s names 3 lengths for 2 axes
  x  float32[2, 2]
  s  (2, 2, 2)
  at HERE"""),
    "other lengths than axes": (lambda: F.fftn(M, s=(2,), axes=(0, 1)), "ArgumentError", """
fftn: s names 1 lengths for 2 axes
  x     float32[2, 2]
  s     (2,)
  axes  (0, 1)
  at HERE"""),
    "an axis transformed twice": (lambda: F.fftn(M, axes=(0, 0)), "ArgumentError", """
fftn: an axis is given twice
  x     float32[2, 2]
  axes  (0, 0)
  at HERE"""),
    "no axis to transform": (lambda: F.rfftn(tl.tensor(1.0)), "ShapeError", """
rfftn: there is no axis to transform
  x  float32[]
  at HERE"""),
    "frequencies of no points": (lambda: F.fftfreq(0), "ArgumentError", """
fftfreq: 0 points have no frequencies
  at HERE
  fix: there must be 1 or more"""),
    "frequencies that are integers": (lambda: F.fftfreq(3, dtype=tl.int64), "DTypeError", """
fftfreq: frequencies are real and floating, not int64
  at HERE"""),
    "axes named twice": (lambda: F.fftn(M, dim=0, axes=1), "ArgumentError", """
fftn: dim and axes are the same option: both were given
  at HERE"""),
    "the transform of a list": (lambda: F.fft([1, 2]), "DTypeError", """
fft: x must be a tensor, not list
  x  [1, 2]
  at HERE
  fix: make it one: tl.asarray(...)"""),
}


@pytest.mark.parametrize("case", CASES)
def test_text(case):
    action, kind, text = CASES[case]
    with pytest.raises(tl.errors.TensorliteError) as caught:
        action()
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("  at test_linalg_errors.py:") for line in lines) == 1
    said = "\n".join("  at HERE" if line.startswith("  at ") else line for line in lines)
    assert (type(caught.value).__name__, said) == (kind, text.strip("\n"))


def test_of_several_cotangents_only_the_second_needs_the_inverse():
    """The determinant of a singular matrix has a slope, whose own slope is refused."""
    assert_close(tl.grad(tl.linalg.det)(M), np.array([[1, -1], [-1, 1]], np.float32))
    with pytest.raises(tl.linalg.LinAlgError, match="the matrix is singular"):
        tl.grad(lambda x: tl.grad(tl.linalg.det)(x).sum())(M)
