"""What functions of matrices give where that is several tensors."""

from __future__ import annotations

from typing import NamedTuple

from tensorlite.tensor import Tensor


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class SVD(NamedTuple):
    """What `tl.svd` gives: V where `linalg.svd` gives its conjugate transpose."""

    U: Tensor
    S: Tensor
    V: Tensor


class LstsqResult(NamedTuple):
    """What `lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


class LUFactorResult(NamedTuple):
    """What `lu_factor` gives."""

    LU: Tensor
    pivots: Tensor


class LUResult(NamedTuple):
    """What `lu` gives."""

    P: Tensor
    L: Tensor
    U: Tensor
