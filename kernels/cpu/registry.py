"""The CPU's native kernels by the names of ops: each has its op's signature, and answers ``NotImplemented`` at will."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tensorlite.kernels.cpu import (
    attention,
    contract,
    index,
    loss,
    norm,
    pool,
    random,
    recurrent,
    resample_stages,
    sort,
    tap_stages,
)
from tensorlite.kernels.cpu.pointwise import kernel as pointwise
from tensorlite.kernels.cpu.prepared import fast
from tensorlite.kernels.generated import reduce
from tensorlite.kernels.generated.elementwise import run as elementwise
from tensorlite.kernels.generated.reducers import REDUCTIONS
from tensorlite.kernels.generated.sweeps import Sweep

__all__ = ["KERNELS", "Sweep", "elementwise", "pointwise"]

KERNELS: dict[str, Callable[..., Any]] = {
    **{name: partial(reduce.run, name) for name in REDUCTIONS},
    **{name: fast(kernel) for name, kernel in (contract.KERNELS | attention.KERNELS | recurrent.KERNELS).items()},
    **norm.KERNELS,
    **index.KERNELS,
    **sort.KERNELS,
    **{name: fast(kernel) for name, kernel in (pool.KERNELS | random.KERNELS | resample_stages.KERNELS).items()},
    **{name: fast(kernel) for name, kernel in (loss.KERNELS | tap_stages.KERNELS).items()},
}
