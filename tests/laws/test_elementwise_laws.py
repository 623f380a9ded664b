"""Every elementwise op on every dtype, shape and layout is what NumPy computes in float64."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from laws.drawing import ELEMENTWISE, LARGE_SHAPES, LAYOUTS, SHAPES, compute_dtype, inputs_of, seeded, taken_dtypes
from laws.oracles import NAMES, oracle
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.declare import PUBLIC
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, TensorliteError
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import OPS, Elementwise
from tensorlite.ops.torch_members import TENSOR_MEMBERS
from tensorlite.tensor_type import DIFFERENTIABLE, DTYPES, INTEGERS, can_hold, promote_scalar

PAIRS = [(op, dtype) for op in ELEMENTWISE for dtype in taken_dtypes(op)]
by_pair = pytest.mark.parametrize(("op", "dtype"), PAIRS, ids=lambda x: x.name)
by_op = pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)

#: What native kernels are asked for here; the kernels' own tests go through the other dtypes.
NATIVE_DTYPES = (tl.float32, tl.float64, tl.int32, tl.bfloat16)


def run(op: Elementwise, arrays: list[np.ndarray]) -> tl.Tensor:
    return apply(op, *map(tl.asarray, arrays))


def expected_of(op: Elementwise, dtype: np.dtype, arrays: list[np.ndarray]) -> np.ndarray:
    """What NumPy says: in float64 for floats (and integers made floats), in the same dtype for integers."""
    function = oracle(op)
    conditioned = [name in op.conditions for name in op.inputs]
    if op.name == "nextafter":
        computed = [a.astype(compute_dtype(op, dtype)) for a in arrays]
    elif compute_dtype(op, dtype) in DIFFERENTIABLE:
        complex_ = dtype.kind == "c"
        computed = [a if c else a.astype(complex if complex_ else float) for a, c in zip(arrays, conditioned)]
    else:
        computed = arrays
    return function(*computed)


def check(op: Elementwise, dtype: np.dtype, arrays: list[np.ndarray]) -> None:
    result = run(op, arrays)
    assert type(result.array) is np.ndarray
    assert result.dtype == op.result_dtype(compute_dtype(op, dtype))
    expected = expected_of(op, dtype, arrays)
    assert_close(result, expected, dtype=compute_dtype(op, dtype) if result.dtype in DIFFERENTIABLE else None)


@by_pair
def test_small_shapes(op, dtype):
    for name, shapes in SHAPES.items():
        check(op, dtype, inputs_of(op, dtype, shapes, "contiguous", seeded(op.name, dtype.name, name)))


@by_pair
def test_layouts(op, dtype):
    for layout in LAYOUTS:
        check(op, dtype, inputs_of(op, dtype, [(4, 3)] * 3, layout, seeded(op.name, dtype.name, layout)))


@pytest.mark.parametrize(("op", "dtype"), [pair for pair in PAIRS if pair[1] in NATIVE_DTYPES], ids=lambda x: x.name)
def test_large_shapes(op, dtype):
    for name, shapes in LARGE_SHAPES.items() if dtype == tl.float32 else [("rows", LARGE_SHAPES["rows"])]:
        check(op, dtype, inputs_of(op, dtype, shapes, "contiguous", seeded(op.name, dtype.name, name)))


@pytest.mark.parametrize("layout", LAYOUTS)
@by_op
def test_large_layouts(op, layout):
    dtype = tl.float32 if tl.float32 in taken_dtypes(op) else tl.int32
    check(op, dtype, inputs_of(op, dtype, LARGE_SHAPES["rows"], layout, seeded(op.name, dtype.name, layout)))


@by_op
def test_large_is_small_in_many(op):
    """A native kernel and the small path give the same elements, up to the tolerance of the dtype."""
    for dtype in (d for d in taken_dtypes(op) if d in NATIVE_DTYPES):
        arrays = inputs_of(op, dtype, LARGE_SHAPES["long"], "contiguous", seeded(op.name, dtype.name))
        parts = [run(op, [a[start:start + 1000] for a in arrays]).numpy() for start in range(0, arrays[0].size, 1000)]
        assert_close(run(op, arrays), np.concatenate(parts))


@pytest.mark.parametrize(("op", "dtype"), [pair for pair in PAIRS if pair[0].name in PUBLIC], ids=lambda x: x.name)
def test_function_method_and_in_place_method_agree(op, dtype):
    arrays = inputs_of(op, dtype, SHAPES["matrix"], "contiguous", seeded(op.name, dtype.name))
    expected = run(op, arrays)
    tensors = [tl.asarray(a) for a in arrays]
    assert_same(getattr(tl, op.name)(*tensors), expected)
    method = getattr(type(tensors[0]), op.name)
    if not isinstance(method, property) and op.name not in TENSOR_MEMBERS:  # PyTorch's own: operands in another order
        assert_same(method(*tensors), expected)
    target = tensors[0].clone()
    in_place = getattr(target, f"{op.name}_")
    if can_hold(target.dtype, expected.dtype):
        assert in_place(*tensors[1:]) is target
        assert_same(target, expected.to(target.dtype))
    else:
        with pytest.raises(DTypeError):
            in_place(*tensors[1:])
        assert_same(target, tensors[0])


@by_op
def test_dtypes_that_an_op_does_not_take_are_refused(op):
    for dtype in DTYPES:
        if dtype in taken_dtypes(op):
            continue
        arrays = inputs_of(op, dtype, SHAPES["vector"], "contiguous", seeded(op.name, dtype.name))
        with pytest.raises(DTypeError) as caught:
            run(op, arrays)
        assert str(caught.value).startswith(f"{op.name}: takes {op.accepts} dtypes, not {dtype.name}\n")


SCALARS = (True, 2, 1.5, 0.5 + 0.5j)


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if len(op.inputs) == 2], ids=lambda op: op.name)
def test_python_scalars_left_and_right_are_weak(op):
    for dtype in DTYPES:
        for scalar in SCALARS:
            x = tl.asarray(inputs_of(op, dtype, [(3,)], "contiguous", seeded(op.name, dtype.name))[0])
            kind = type(scalar).__name__
            meeting = promote_scalar(dtype, kind)
            for flip in (False, True):
                met = [x.to(meeting), tl.asarray(scalar, dtype=meeting)][::-1 if flip else 1]
                given = [x, scalar][::-1 if flip else 1]
                try:
                    expected = apply(op, *met)
                except TensorliteError as error:
                    with pytest.raises(type(error)):
                        apply(op, *given)
                else:
                    assert_same(apply(op, *given), expected)


OPERATORS = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "floor_divide": operator.floordiv, "remainder": operator.mod, "pow": operator.pow, "bitwise_and": operator.and_,
    "bitwise_or": operator.or_, "bitwise_xor": operator.xor, "bitwise_left_shift": operator.lshift,
    "bitwise_right_shift": operator.rshift, "less": operator.lt, "less_equal": operator.le, "greater": operator.gt,
    "greater_equal": operator.ge, "equal": operator.eq, "not_equal": operator.ne, "negative": operator.neg,
    "positive": operator.pos, "abs": operator.abs, "bitwise_invert": operator.invert,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_the_functions(name):
    op, apply_operator = OPS[name], OPERATORS[name]
    for dtype in taken_dtypes(op):
        arrays = inputs_of(op, dtype, SHAPES["matrix"], "contiguous", seeded(name, dtype.name))
        tensors = [tl.asarray(a) for a in arrays]
        expected = apply(op, *tensors)
        assert_same(apply_operator(*tensors), expected)
        if len(tensors) == 2:
            assert_same(apply_operator(tensors[0], arrays[1]), expected)
            assert_same(apply_operator(arrays[0], tensors[1]), expected)


@pytest.mark.parametrize("name", [n for n in OPERATORS if f"__i{OPERATORS[n].__name__.strip('_')}__" in dir(tl.Tensor)])
def test_augmented_assignment_rebinds_to_what_the_operator_gives(name):
    augmented = getattr(operator, f"i{OPERATORS[name].__name__.strip('_')}")
    for dtype in taken_dtypes(OPS[name]):
        x, y = map(tl.asarray, inputs_of(OPS[name], dtype, SHAPES["matrix"], "contiguous", seeded(name, dtype.name)))
        expected = OPERATORS[name](x, y)
        if can_hold(x.dtype, expected.dtype):
            target = x.clone()
            assert augmented(target, y) is target
            assert_same(target, expected.to(x.dtype))


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, np.inf, -np.inf, np.nan, 1e-30, 1e30, -1e30, 700.0,
                    -700.0])


IN_NUMPY = [op for op in ELEMENTWISE if hasattr(np, NAMES.get(op.name, op.name)) and op.dtypes & DIFFERENTIABLE]


@pytest.mark.parametrize("dtype", [tl.float64, tl.float32], ids=lambda d: d.name)
@pytest.mark.parametrize("copies", [1, 400])
@pytest.mark.parametrize("op", IN_NUMPY, ids=lambda op: op.name)
def test_infinities_nans_and_signed_zeros(op, dtype, copies):
    """NumPy's answers, on the small and on the native path."""
    special = SPECIAL.astype(dtype)
    pairs = np.meshgrid(special, special, indexing="ij")
    arrays = [special] if len(op.inputs) == 1 else [pair.reshape(-1) for pair in pairs]
    arrays = [np.tile(a, copies) for a in arrays]
    arrays = [arrays[0] > 0, *arrays] if op.conditions else arrays
    assert_close(run(op, arrays), oracle(op)(*arrays).astype(dtype), dtype=dtype)


INTEGER_PAIRS = ["add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum", "bitwise_and",
                 "bitwise_or", "bitwise_xor", "less", "equal"]
SINGLE_INTEGERS = ["abs", "negative", "square", "sign", "bitwise_invert", "floor", "relu"]


@pytest.mark.parametrize("copies", [1, NATIVE_SIZE // 100 + 1])
@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_integers_at_the_ends_of_their_range(dtype, copies):
    """They wrap; nothing traps: not a division by zero, nor the least number divided by -1."""
    limits = np.iinfo(dtype)
    ends = [limits.min, limits.min + 1, 0, 1, 2, 3, 7, limits.max - 1, limits.max, -1 if limits.min else 5]
    pairs = [np.tile(grid.reshape(-1), copies) for grid in np.meshgrid(*[np.array(ends, dtype)] * 2, indexing="ij")]
    for name in INTEGER_PAIRS:
        assert_same(run(OPS[name], pairs), oracle(OPS[name])(*pairs))
    for name in SINGLE_INTEGERS:
        assert_same(run(OPS[name], pairs[:1]), oracle(OPS[name])(*pairs[:1]).astype(dtype))


@pytest.mark.parametrize("copies", [1, NATIVE_SIZE // 10 + 1])
@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_shifts_by_any_number_of_places(dtype, copies):
    """Beyond the width everything is shifted out."""
    bits = dtype.itemsize * 8
    values = np.tile(np.array([0, 1, 3, 100, np.iinfo(dtype).max, np.iinfo(dtype).min, 5, 64, 1, 2], dtype), copies)
    places = np.tile(np.array([0, 1, bits - 1, bits, bits + 1, 2, 3, 100, 8, 7], dtype), copies)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        assert_same(run(OPS[name], [values, places]), oracle(OPS[name])(values, places))


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32, tl.float64], ids=lambda d: d.name)
def test_casts_of_large_tensors_are_those_of_small_ones(dtype):
    """Of numbers that fit; what becomes of others as integers, C and NumPy leave open."""
    values = np.array([0.0, -0.0, 0.25, 0.99, 1.0, 1.5, 3.7, 100.7, 126.9])
    small = tl.tensor(values).to(dtype)
    large = tl.tensor(np.tile(values, NATIVE_SIZE // 8)).to(dtype)
    for wanted in DTYPES:
        assert_same(large.to(wanted).reshape(-1, values.size)[17], small.to(wanted))
        assert_same(small.to(wanted), small.numpy().astype(wanted))
