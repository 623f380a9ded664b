"""Plans of matrix products: which loops suit how the operands lie, and how the work is cut in tasks.

``plan`` takes stacks of matrices of any strides; an epilogue of scalar expressions makes what is stored of the product.
The bits of a result depend on its operands' shapes and strides alone: neither on the threads nor on the other tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host, team
from tensorlite.kernels.cpu.movement_stages import copy_stage, plan_of
from tensorlite.kernels.generated import gemm_loops, matmul_loops, pack_loops
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
_PACKED_BYTES_PER_NANOSECOND = 30.0
_ROWS_TO_PACK_FIRST = 480  # from so many rows on, packing once takes less than each task's doing so (measured)
_MOST_PACKED = 64 << 20  # bytes: what a product may take of memory for being faster
_WASTE = 0.8  # of the lanes' work, that panels of half as many lanes would do: then those are taken
_PACKED_BAND = 120  # rows of a task that need not pack: 1-2 % faster than 240, and more tasks
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
    packed: bool = False,
    kept: bool = False,
) -> Plan | None:
    """Return the stages of ``a @ b``: [..., m, k] by [..., k, n]; the stacks broadcast. None for unsupported dtypes.

    ``epilogue`` has one scalar expression for each of the outputs, of ``product`` and of the operands ``e0``, ``e1``,
    ..., which broadcast to [..., m, n]. The outputs are contiguous. Arrays are numbered a, b, operands, outputs; if b
    is ``packed``, in its place is the array that `packing` fills. Where what is made of b alone is ``kept``, packing it
    costs nothing, and is a stage of its own if it is of use at all.
    """
    shape = outputs[0].shape
    if not _supported(a, b, outputs):
        return None
    values = _PRODUCT * len(outputs) if epilogue is None else tuple(epilogue)
    left, right, *others = (_view(x, len(shape)) for x in (a, b, *operands))
    product = Product(shape[:-2], shape[-2], shape[-1], a.shape[-1], left, right, tuple(others))
    product = _merge_rows(product) if packed else simplify(product)
    letters = "".join({1: "u", 0: "b"}.get(view.step, "s") for view in product.operands)
    dtypes = tuple(operand.dtype for operand in operands)
    narrow = "" if _SUMS[a.dtype] == a.dtype else a.dtype.name
    finish = Epilogue(values, tuple(x.dtype.name for x in outputs), tuple(x.name for x in dtypes), letters, narrow)
    if not lowers(finish, _SUMS[a.dtype]):
        return None
    return _of_stages(product, a.dtype, finish, "packed" if packed else _right(product, a.dtype, kept), kept)


def _of_stages(product: Product, dtype: np.dtype[Any], finish: Epilogue, right: str, kept: bool) -> Plan | None:
    """Return the plan of a product, after what brings its operands in order."""
    places = [1, 0] if product.swapped else [0, 1]
    count = 2 + len(product.operands) + len(finish.outputs)
    stages: list[Stage | None] = []
    scratch: list[int] = []
    rows = Array.contiguous(dtype, (*product.stack, product.m, product.k))
    if _by_pairs(right, dtype) and product.a.step != 1 and product.k > 1 and rows.size:
        lying = Array(dtype, rows.shape, (*product.a.stack, product.a.row, product.a.step))
        stages.append(copy_stage(lying, rows, places[0], count))
        product = replace(product, a=_view(rows, rows.ndim))
        places[0] = count
        scratch.append(_bytes(rows))
    if _packs_first(product, dtype, right, kept):
        there = count + len(scratch)
        stages.append(_packing_stage(product, right, dtype, places[1], there))
        places[1], right = there, "packed"
        scratch.append(_bytes(_packed(product, dtype)))
    return plan_of(*stages, stage(product, dtype, finish, right, places), scratch=tuple(scratch))


def packing(b: Array) -> tuple[Plan, Array] | None:
    """Return what packs a matrix for products that it is the right operand of, and how the packed array lies.

    The plan's arrays are b, of [k, n], and the packed one. None for unsupported dtypes.
    """
    if b.dtype not in _SUMS or b.ndim != 2:
        return None
    product = Product((), 2, b.shape[1], b.shape[0], View((), 0, 0), _view(b, 2), ())
    lies = "rows" if product.b.step == 1 or product.n == 1 else "columns" if product.b.row == 1 else "strided"
    return Plan((_packing_stage(product, lies, b.dtype, 0, 1),)), _packed(product, b.dtype)


def _packed(product: Product, dtype: np.dtype[Any]) -> Array:
    """Return how the packed right operand of a product lies: panels, rows, lanes."""
    schedule = _lanes_fitted(gemm_loops.schedule(_SUMS[dtype]), 2, product.n)
    rows = -(-product.k // 2) if has_pairs(dtype) else product.k
    shape = -(-product.n // schedule.lanes), -(-rows // schedule.square) * schedule.square, schedule.lanes
    return Array.contiguous(gemm_loops.packed_dtype(schedule, has_pairs(dtype)), shape)


def _bytes(array: Array) -> int:
    return array.size * array.dtype.itemsize


def _packing_stage(product: Product, lies: str, dtype: np.dtype[Any], here: int, there: int) -> Stage:
    schedule, paired = _lanes_fitted(gemm_loops.schedule(_SUMS[dtype]), 2, product.n), has_pairs(dtype)
    form = pack_loops.Form(schedule, lies, dtype.name, paired)
    panels, rows, _ = _packed(product, dtype).shape
    blocks = max(1, -(-(product.k // 2 if paired else product.k) // schedule.depth))
    numbers = pack(panels * blocks, panels, blocks, product.n, product.k, rows, product.b.row, product.b.step)
    work = 200.0 + 2 * product.k * product.n * dtype.itemsize / _PACKED_BYTES_PER_NANOSECOND
    return Stage(form.key(), lambda: pack_loops.kernel(form), (here,), (there,), numbers, work)


def _packs_first(product: Product, dtype: np.dtype[Any], right: str, kept: bool) -> bool:
    """Tell whether the right operand is packed once for all tasks, and not by each of them for its own use."""
    if right not in ("rows", "columns", "strided") or any(product.b.stack):
        return False
    many = product.m * prod(product.stack) >= _ROWS_TO_PACK_FIRST
    return kept or (many and _bytes(_packed(product, dtype)) <= _MOST_PACKED)


def _supported(a: Array, b: Array, outputs: Sequence[Array]) -> bool:
    alike = a.dtype == b.dtype and a.dtype in _SUMS
    return alike and all(_is_plain(x, outputs[0]) for x in outputs)


def _is_plain(output: Array, first: Array) -> bool:
    return output.shape == first.shape and (output.is_contiguous or output.size == 0)


@lru_cache(1024)  # a third of the time that a plan takes
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
    product = _merge_rows(product)
    if product.n == 1 and product.m > 1:  # the result is the same in memory: columns become lanes
        product = replace(
            product, m=1, n=product.m, a=product.b.turned(), b=product.a.turned(),
            operands=tuple(view.turned() for view in product.operands), swapped=True,
        )  # fmt: skip
    return product


def _merge_rows(product: Product) -> Product:
    """Return the same product with fewer dimensions, its right operand as it is."""
    product = _merge_stack(product)
    if product.stack and _is_taller(product):
        *stack, extent = product.stack
        views = [View(v.stack[:-1], v.stack[-1] if product.m == 1 else v.row, v.step) for v in product.views]
        b = View(product.b.stack[:-1], product.b.row, product.b.step)
        product = replace(
            product, stack=tuple(stack), m=product.m * extent, a=views[0], b=b, operands=tuple(views[2:])
        )
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


def stage(
    product: Product, dtype: np.dtype[Any], epilogue: Epilogue, right: str, places: Sequence[int] = (0, 1)
) -> Stage:
    """Return the stage of a product whose right operand is taken in that way; ``places`` number the two factors."""
    if right == "packed":
        _, rows, lanes = _packed(product, dtype).shape
        product = replace(product, b=View((0,) * len(product.stack), lanes, rows))
    pairs = _by_pairs(right, dtype)
    schedule = _schedule(product, right, gemm_loops.schedule(_SUMS[dtype]), pairs)
    form = Form(schedule, epilogue, len(product.stack), right, dtype.name, pairs)
    m, n, k = product.m, product.n, product.k
    panels, band = -(-n // schedule.lanes), _band(product, right, schedule)
    bands = -(-m // band)
    numbers = [panels * bands * prod(product.stack), panels, bands, band, m, n, k]
    numbers += [stride for view in product.views for stride in (view.row, view.step)]
    numbers += [*product.stack[1:], *(stride for view in product.views for stride in view.stack)]
    count = 2 + len(product.operands)
    reads = (*places, *range(2, count))
    writes = tuple(range(count, count + len(epilogue.outputs)))
    moved = prod(product.stack) * (m * k + k * n + m * n) * dtype.itemsize
    work = 200.0 + max(prod(product.stack) * m * n * (k + 16) / _MACS_PER_NANOSECOND, moved / _BYTES_PER_NANOSECOND)
    return Stage(form.key(), lambda: matmul_loops.kernel(form), reads, writes, pack(*numbers), work)


def _right(product: Product, dtype: np.dtype[Any], kept: bool = False) -> str:
    """Return the way that the right operand is taken in (`matmul_loops.Form`), if it is packed at no cost or not."""
    one = product.k == 1
    rows = product.b.step == 1 or product.n == 1
    columns = product.b.row == 1 or one
    few = product.m <= _DOT_ROWS or product.n <= _DOT_COLUMNS
    if columns and (product.a.step == 1 or one) and few and not (rows and one):
        return "dot"
    if rows and product.m <= (gemm_loops.schedule(_SUMS[dtype]).rows if kept else _most_straight(dtype)):
        return "straight"
    return "rows" if rows else "columns" if columns else "strided"


def _most_straight(dtype: np.dtype[Any]) -> int:
    """Return up to how many rows packing does not pay (measured): what is widened as it is read had better be once."""
    schedule = gemm_loops.schedule(_SUMS[dtype])
    if _SUMS[dtype] != dtype:
        return schedule.rows
    return _STRAIGHT_ROWS if schedule.lanes * dtype.itemsize >= _WIDE_ROW else _STRAIGHT_ROWS_NARROW


def _by_pairs(right: str, dtype: np.dtype[Any]) -> bool:
    """Tell whether terms are added by pairs: where the right operand is one of panels, and of the dtype for it."""
    return right not in ("dot", "straight") and has_pairs(dtype)


def has_pairs(dtype: np.dtype[Any]) -> bool:
    """Tell whether this CPU adds products of that dtype by pairs."""
    return dtype == BFLOAT16 and "avx512bf16" in host.features()


def _lanes_fitted(schedule: Schedule, m: int, n: int) -> Schedule:
    """Return the schedule for a single row, or for columns that do not fill panels of all lanes."""
    found, half = fitted(schedule, m, n), schedule.lanes // 2
    narrow, wide = (-(-n // lanes) * lanes for lanes in (half, schedule.lanes))
    if found is schedule and narrow <= _WASTE * wide:
        return replace(schedule, rows=8, lanes=half)
    return found


def _schedule(product: Product, right: str, schedule: Schedule, pairs: bool) -> Schedule:
    """Return the schedule with as many rows and lanes as the product has use for."""
    if pairs:
        schedule = replace(schedule, rows=_PAIR_ROWS)
    if right == "packed":
        schedule = replace(schedule, band=_PACKED_BAND)
        if not pairs and product.m <= _PACKED_BAND:
            schedule = replace(schedule, rows=least_waste(product.m, schedule.rows))
    if right == "dot":
        lanes = 2 * schedule.square
        return replace(schedule, rows=1, lanes=lanes) if product.m == 1 else replace(schedule, rows=4)
    return _lanes_fitted(schedule, product.m if right == "straight" else 2, product.n)


def fitted(schedule: Schedule, m: int, n: int) -> Schedule:
    """Return the schedule for a single row, for few columns, or as it is."""
    vector = schedule.square
    if m == 1:
        return replace(schedule, rows=1, lanes=8 * vector)
    few = next((vectors for vectors in (1, 2) if n <= vectors * vector < schedule.lanes), 0)
    return replace(schedule, rows=8, lanes=few * vector) if few else schedule


def least_waste(m: int, rows: int) -> int:
    """Return of the numbers of rows for a micro-kernel, up to ``rows``, the one that computes fewest rows in vain.

    Only if these are a twentieth of all less than those of the most rows: each number is a kernel of its own.
    """
    computed = {n: -(-m // n) * n for n in (rows, rows - 1, rows - 2)}
    best = min(computed, key=computed.__getitem__)
    return best if computed[best] <= 0.95 * computed[rows] else rows


def _band(product: Product, right: str, schedule: Schedule) -> int:
    """Return the number of rows of a task."""
    if right == "dot":
        return schedule.rows
    packing = {"straight": 0.0, "rows": 3.0, "columns": 10.0, "strided": 50.0, "packed": 0.0}[right]
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


def plan_matmul(inputs: Sequence[Array], outputs: Sequence[Array], kept: bool = False) -> Plan | None:
    """Plan the op ``matmul``: ``x1 @ x2``."""
    return plan(inputs[0], inputs[1], outputs, kept=kept)


def plan_linear(inputs: Sequence[Array], outputs: Sequence[Array], kept: bool = False) -> Plan | None:
    """Plan the op ``linear``: ``x @ weight.T + bias``, the bias optional."""
    x, weight, *bias = inputs
    turned = Array(weight.dtype, weight.shape[::-1], weight.strides[::-1])
    if x.ndim == 1:  # one row
        x = Array(x.dtype, (1, *x.shape), (0, *x.strides))
        outputs = [Array.contiguous(out.dtype, (1, *out.shape)) for out in outputs]
    return plan(x, turned, outputs, [s.Var("product") + s.Var("e0")] if bias else None, bias, kept=kept)


PLANS: dict[str, Callable[..., Plan | None]] = {"matmul": plan_matmul, "linear": plan_linear}
"""The planning functions of this family, by op."""
