"""Plans of matrix products: which loops suit how the operands lie, and how the work is cut in tasks.

``plan`` takes stacks of matrices of any strides; an epilogue of scalar expressions makes what is stored of the product.
The bits of a result depend on its operands' shapes and strides alone: neither on the threads nor on the other tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host, team
from tensorlite.kernels.generated import gemm_loops, matmul_loops
from tensorlite.kernels.generated.gemm_loops import Epilogue, Schedule
from tensorlite.kernels.generated.matmul_loops import Form
from tensorlite.kernels.scalar.typing import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_SUMS = {FLOAT16: FLOAT32, BFLOAT16: FLOAT32, FLOAT32: FLOAT32, FLOAT64: FLOAT64}  # what products are summed in
_DOT_ROWS, _DOT_COLUMNS = 16, 12  # up to so many rows or columns, dot products are faster than panels (measured)
_STRAIGHT_ROWS, _STRAIGHT_ROWS_NARROW = 256, 24  # up to so many, packing does not pay (measured): if rows of a panel
_WIDE_ROW = 256  # have so many bytes, and if not
_PAIR_ROWS = 5  # of six rows of pairs LLVM keeps one sum in memory: 350 GFLOP/s in place of 450
_BYTES_PER_NANOSECOND = 150.0  # from the second cache
_MACS_PER_NANOSECOND = 100.0
_PRODUCT = (s.Var("product"),)


@dataclass(frozen=True)
class View:
    """Strides of an array broadcast to a stack of matrices: along the stack's dimensions, rows and columns."""

    stack: tuple[int, ...]
    row: int
    step: int

    def turned(self) -> View:
        """Return the transposes of the matrices."""
        return View(self.stack, self.step, self.row)


@dataclass(frozen=True)
class Product:
    """``out[stack, m, n] = a[stack, m, k] b[stack, k, n]``, and operands of the epilogue that lie like the result."""

    stack: tuple[int, ...]
    m: int
    n: int
    k: int
    a: View
    b: View
    operands: tuple[View, ...]
    swapped: bool = False  # ``a`` is the caller's second array, transposed, and ``b`` its first

    @property
    def views(self) -> tuple[View, ...]:
        """What has strides of its own."""
        return (self.a, self.b, *self.operands)


def plan(
    a: Array,
    b: Array,
    outputs: Sequence[Array],
    epilogue: Sequence[s.Expr] | None = None,
    operands: Sequence[Array] = (),
) -> Plan | None:
    """Return the stages of ``a @ b``: [..., m, k] by [..., k, n]; the stacks broadcast. None for unsupported dtypes.

    ``epilogue`` has one scalar expression for each of the outputs, of ``product`` and of the operands ``e0``, ``e1``,
    ..., which broadcast to [..., m, n]. The outputs are contiguous. Arrays are numbered a, b, operands, outputs.
    """
    shape = outputs[0].shape
    if not _supported(a, b, outputs):
        return None
    values = _PRODUCT * len(outputs) if epilogue is None else tuple(epilogue)
    left, right, *others = (_view(x, len(shape)) for x in (a, b, *operands))
    product = simplify(Product(shape[:-2], shape[-2], shape[-1], a.shape[-1], left, right, tuple(others)))
    letters = "".join({1: "u", 0: "b"}.get(view.step, "s") for view in product.operands)
    dtypes = tuple(operand.dtype for operand in operands)
    narrow = "" if _SUMS[a.dtype] == a.dtype else a.dtype.name
    finish = Epilogue(values, tuple(x.dtype.name for x in outputs), tuple(x.name for x in dtypes), letters, narrow)
    if not lowers(finish, _SUMS[a.dtype]):
        return None
    return Plan((stage(product, a.dtype, finish, _right(product, a.dtype)),))


def _supported(a: Array, b: Array, outputs: Sequence[Array]) -> bool:
    alike = a.dtype == b.dtype and a.dtype in _SUMS
    return alike and all(_is_plain(x, outputs[0]) for x in outputs)


def _is_plain(output: Array, first: Array) -> bool:
    return output.shape == first.shape and (output.is_contiguous or output.size == 0)


def lowers(epilogue: Epilogue, dtype: np.dtype[Any]) -> bool:
    """Tell whether the epilogue's values have a native form, for products summed in that dtype."""
    try:
        epilogue.results(dtype)
    except s.NoLowering:
        return False
    return True


def _view(array: Array, dimensions: int) -> View:
    """Return the strides of an array that is broadcast to that many dimensions."""
    missing = (0,) * (dimensions - array.ndim)
    found = (*missing, *(0 if n == 1 else step for n, step in zip(array.shape, array.strides, strict=True)))
    return View(found[:-2], found[-2], found[-1])


def simplify(product: Product) -> Product:
    """Return the same product with fewer dimensions: a stack that multiplies one matrix is a taller matrix."""
    product = _merge_stack(product)
    if product.stack and _is_taller(product):
        *stack, extent = product.stack
        views = [View(v.stack[:-1], v.stack[-1] if product.m == 1 else v.row, v.step) for v in product.views]
        b = View(product.b.stack[:-1], product.b.row, product.b.step)
        product = replace(
            product, stack=tuple(stack), m=product.m * extent, a=views[0], b=b, operands=tuple(views[2:])
        )
    if product.n == 1 and product.m > 1:  # the result is the same in memory: columns become lanes
        product = replace(
            product, m=1, n=product.m, a=product.b.turned(), b=product.a.turned(),
            operands=tuple(view.turned() for view in product.operands), swapped=True,
        )  # fmt: skip
    return product


def _merge_stack(product: Product) -> Product:
    """Drop dimensions of one matrix, and merge those that every array runs through as through one."""
    dimensions: list[tuple[int, list[int]]] = []
    for d, extent in enumerate(product.stack):
        strides = [view.stack[d] for view in product.views]
        if extent == 1:
            continue
        if dimensions and dimensions[-1][1] == [extent * stride for stride in strides]:
            dimensions[-1] = (dimensions[-1][0] * extent, strides)
        else:
            dimensions.append((extent, strides))
    views = [replace(v, stack=tuple(strides[i] for _, strides in dimensions)) for i, v in enumerate(product.views)]
    return replace(
        product, stack=tuple(extent for extent, _ in dimensions), a=views[0], b=views[1], operands=tuple(views[2:])
    )


def _is_taller(product: Product) -> bool:
    """Tell whether the rows of the innermost matrices follow each other, as if they were of one."""
    rows = (product.a, *product.operands)
    return product.b.stack[-1] == 0 and all(product.m == 1 or v.stack[-1] == product.m * v.row for v in rows)


def stage(product: Product, dtype: np.dtype[Any], epilogue: Epilogue, right: str) -> Stage:
    """Return the stage of a product whose right operand is taken in that way."""
    pairs = _pairs(product, right, dtype)
    schedule = _schedule(product, right, gemm_loops.schedule(_SUMS[dtype]), pairs)
    form = Form(schedule, epilogue, len(product.stack), right, dtype.name, pairs)
    m, n, k = product.m, product.n, product.k
    panels, band = -(-n // schedule.lanes), _band(product, right, schedule)
    bands = -(-m // band)
    numbers = [panels * bands * prod(product.stack), panels, bands, band, m, n, k]
    numbers += [stride for view in product.views for stride in (view.row, view.step)]
    numbers += [*product.stack[1:], *(stride for view in product.views for stride in view.stack)]
    count = 2 + len(product.operands)
    reads = (*((1, 0) if product.swapped else (0, 1)), *range(2, count))
    writes = tuple(range(count, count + len(epilogue.outputs)))
    moved = prod(product.stack) * (m * k + k * n + m * n) * dtype.itemsize
    work = 200.0 + max(prod(product.stack) * m * n * (k + 16) / _MACS_PER_NANOSECOND, moved / _BYTES_PER_NANOSECOND)
    return Stage(form.key(), lambda: matmul_loops.kernel(form), reads, writes, pack(*numbers), work)


def _right(product: Product, dtype: np.dtype[Any]) -> str:
    """Return the way that the right operand is taken in (`matmul_loops.Form`)."""
    one = product.k == 1
    rows = product.b.step == 1 or product.n == 1
    columns = product.b.row == 1 or one
    few = product.m <= _DOT_ROWS or product.n <= _DOT_COLUMNS
    if columns and (product.a.step == 1 or one) and few and not (rows and one):
        return "dot"
    if rows and product.m <= _most_straight(dtype):
        return "straight"
    return "rows" if rows else "columns" if columns else "strided"


def _most_straight(dtype: np.dtype[Any]) -> int:
    """Return up to how many rows packing does not pay (measured): what is widened as it is read had better be once."""
    schedule = gemm_loops.schedule(_SUMS[dtype])
    if _SUMS[dtype] != dtype:
        return schedule.rows
    return _STRAIGHT_ROWS if schedule.lanes * dtype.itemsize >= _WIDE_ROW else _STRAIGHT_ROWS_NARROW


def _pairs(product: Product, right: str, dtype: np.dtype[Any]) -> str:
    """Return how the left operand lies (`matmul_loops.Form`), if the product is one of pairs; else nothing."""
    if dtype != BFLOAT16 or right in ("dot", "straight") or "avx512bf16" not in host.features():
        return ""
    return "rows" if product.a.step == 1 or product.k == 1 else "columns" if product.a.row == 1 else "strided"


def _schedule(product: Product, right: str, schedule: Schedule, pairs: str) -> Schedule:
    """Return the schedule with as many rows and lanes as the product has use for."""
    if pairs == "rows":
        schedule = replace(schedule, rows=_PAIR_ROWS)
    if right == "dot":
        lanes = 2 * schedule.square
        return replace(schedule, rows=1, lanes=lanes) if product.m == 1 else replace(schedule, rows=4)
    return fitted(schedule, product.m if right == "straight" else 2, product.n)


def fitted(schedule: Schedule, m: int, n: int) -> Schedule:
    """Return the schedule for a single row, for few columns, or as it is."""
    vector = schedule.square
    if m == 1:
        return replace(schedule, rows=1, lanes=8 * vector)
    few = next((vectors for vectors in (1, 2) if n <= vectors * vector < schedule.lanes), 0)
    return replace(schedule, rows=8, lanes=few * vector) if few else schedule


def _band(product: Product, right: str, schedule: Schedule) -> int:
    """Return the number of rows of a task."""
    if right == "dot":
        return schedule.rows
    packing = {"straight": 0.0, "rows": 3.0, "columns": 10.0, "strided": 50.0}[right]
    return band(product.m, -(-product.n // schedule.lanes) * prod(product.stack), packing, schedule)


def band(m: int, others: int, packing: float, schedule: Schedule) -> int:
    """Return of the numbers of rows for a task with which the slowest thread is done soonest, the largest.

    There are ``others`` tasks for each band of rows; packing takes each of them the time of ``packing`` rows.
    """
    groups, threads = max(1, -(-m // schedule.rows)), team.get_num_threads()

    def slowest(bands: int) -> float:
        rows = -(-groups // bands) * schedule.rows
        return -(-others * -(-groups * schedule.rows // rows) // threads) * (rows + packing)

    least = -(-groups * schedule.rows // schedule.band)
    bands = min(range(least, max(least + 1, min(groups, 8 * least) + 1)), key=slowest)
    return -(-groups // bands) * schedule.rows


def plan_matmul(inputs: Sequence[Array], outputs: Sequence[Array]) -> Plan | None:
    """Plan the op ``matmul``: ``x1 @ x2``."""
    return plan(inputs[0], inputs[1], outputs)


def plan_linear(inputs: Sequence[Array], outputs: Sequence[Array]) -> Plan | None:
    """Plan the op ``linear``: ``x @ weight.T + bias``, the bias optional."""
    x, weight, *bias = inputs
    turned = Array(weight.dtype, weight.shape[::-1], weight.strides[::-1])
    if x.ndim == 1:  # one row
        x = Array(x.dtype, (1, *x.shape), (0, *x.strides))
        outputs = [Array.contiguous(out.dtype, (1, *out.shape)) for out in outputs]
    return plan(x, turned, outputs, [s.Var("product") + s.Var("e0")] if bias else None, bias)


PLANS: dict[str, Callable[..., Plan | None]] = {"matmul": plan_matmul, "linear": plan_linear}
"""The planning functions of this family, by op."""
