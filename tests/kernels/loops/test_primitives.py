"""Every primitive, on every dtype that it takes, natively and by its definition, on ordinary and on odd values."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from guarded import compile_kernel, run_native

from tensorlite.kernels import llvm, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
SIGNED = [np.dtype(f"i{size}") for size in (1, 2, 4, 8)]
UNSIGNED = [np.dtype(f"u{size}") for size in (1, 2, 4, 8)]
BOOL, HALF, BFLOAT = np.dtype(bool), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
BY_KIND = {"f": FLOATS, "i": SIGNED, "u": UNSIGNED, "b": [BOOL], "w": [np.dtype(np.int32)]}
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


def values(dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """Ordinary values and the odd ones of a dtype."""
    if dtype.kind == "b":
        return rng.integers(0, 2, 40).astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        odd = [limits.min, limits.max, 0, 1, 2, 7, limits.max // 2, limits.min + 1]
        return np.concatenate((np.array(odd, dtype), rng.integers(limits.min, limits.max, 40, dtype, endpoint=True)))
    odd = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-42, -3e38, 6e4, 7e4, 5e9, -5e9, 1e-7]
    with np.errstate(all="ignore"):
        return np.concatenate((np.array(odd), rng.normal(0, 10, 40), rng.normal(0, 1e-5, 10))).astype(dtype)


def cases():
    for op, (arity, kinds, _) in s.PRIMITIVES.items():
        if op in ("var", "const", "bitcast", "convert", "dot2"):  # dot2: test_pairs.py
            continue
        for kind in "iufb" if op in COMPARISONS else kinds.replace("h", ""):
            for dtype in BY_KIND[kind]:
                yield op, arity, dtype


def primitive(op: str, arity: int, dtype: np.dtype) -> s.Typed:
    args = tuple(s.Typed("var", (), dtype, name) for name in "abc"[:arity])
    if op == "select":
        args = (s.Typed("lt", args[:2], BOOL), *args[1:])
    return s.Typed(op, args, BOOL if op in COMPARISONS else dtype)


def apply(
    value: s.Typed, inputs: dict[str, np.ndarray], lanes: int = 16, target: llvm.Target | None = None
) -> np.ndarray:
    """Evaluate ``value`` natively over arrays."""
    size = len(next(iter(inputs.values())))
    i = s.Var("i")
    kernel = loops.build(
        "apply",
        (
            *(loops.Buffer(f"in_{name}", array.dtype) for name, array in inputs.items()),
            loops.Buffer("out", value.dtype, True),
        ),
        (
            loops.parallel(
                "one",
                1,
                loops.vector(
                    "i",
                    size,
                    lanes,
                    *(loops.Load(name, f"in_{name}", i) for name in inputs),
                    loops.Store("out", i, value),
                ),
            ),
        ),
    )
    out = np.zeros(size, value.dtype)
    arguments = {f"in_{name}": array for name, array in inputs.items()} | {"out": out}
    run_native(kernel, arguments, address=compile_kernel(kernel, target))
    return out


def assert_equal(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal values; NaNs alike; zeros alike but for the sign where min and max may choose."""
    assert actual.dtype == expected.dtype
    wide = np.float64 if actual.dtype.kind in "fV" else actual.dtype
    np.testing.assert_array_equal(actual.astype(wide), expected.astype(wide))


@pytest.mark.parametrize("op, arity, dtype", list(cases()), ids=lambda x: str(x))
def test_primitive(op, arity, dtype):
    rng = np.random.default_rng(7)
    column = values(dtype, rng)
    pairs = np.array(list(itertools.product(column, repeat=2)) if arity > 1 else [(x, x) for x in column], dtype)
    inputs = {"a": pairs[:, 0].copy(), "b": pairs[:, 1].copy(), "c": rng.permutation(pairs[:, 1])}
    inputs = {name: inputs[name] for name in "abc"[:arity]}
    if dtype.kind in "iu" and op in ("div", "rem"):
        inputs["b"][(inputs["b"] == 0) | (inputs["b"] == np.array(-1).astype(dtype))] = 3
    if op in ("shl", "shr"):
        inputs["b"] = (inputs["b"] % (8 * dtype.itemsize)).astype(dtype)
    value = primitive(op, arity, dtype)
    assert_equal(apply(value, inputs), s.evaluate_typed(value, inputs))


@pytest.mark.parametrize("source", [*FLOATS, *SIGNED, *UNSIGNED, BOOL], ids=str)
@pytest.mark.parametrize("target", [*FLOATS, *SIGNED, *UNSIGNED], ids=str)
def test_convert(source, target):
    inputs = {"a": values(source, np.random.default_rng(3))}
    value = s.Typed("convert", (s.Typed("var", (), source, "a"),), target)
    assert_equal(apply(value, inputs), s.evaluate_typed(value, inputs))


WITHOUT_HALF = llvm.Target("software", frozenset(), converts_half=False)


@pytest.mark.parametrize("target", [None, WITHOUT_HALF], ids=["host", "software"])
def test_every_float16_widens(target):
    every = np.arange(2**16, dtype=np.uint16).view(HALF)
    value = s.Typed("convert", (s.Typed("var", (), HALF, "a"),), np.float32)
    with np.errstate(all="ignore"):
        assert_equal(apply(value, {"a": every}, target=target), every.astype(np.float32))


@pytest.mark.parametrize("target", [None, WITHOUT_HALF], ids=["host", "software"])
def test_float32_narrows_to_float16(target):
    rng = np.random.default_rng(5)
    value = s.Typed("convert", (s.Typed("var", (), np.float32, "a"),), HALF)
    with np.errstate(all="ignore"):  # NaNs of all kinds
        halves = np.sort(np.arange(2**16, dtype=np.uint16).view(HALF).astype(np.float64))
        halves = halves[np.isfinite(halves)]
        ties = (halves[:-1] + halves[1:]) / 2
        any_bits = rng.integers(0, 2**32, 5000, np.uint32).view(np.float32)
        odd = values(np.dtype(np.float32), rng)
        inputs = np.concatenate([part.astype(np.float32) for part in (halves, ties, any_bits, odd)])
        assert_equal(apply(value, {"a": inputs}, target=target), inputs.astype(HALF))


@pytest.mark.parametrize("dtype", [HALF, BFLOAT], ids=str)
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_narrow_dtypes_round_as_the_scalar_language_says(dtype, source):
    x = values(np.dtype(source), np.random.default_rng(1))
    value = s.lower(s.cast(s.Var("a"), dtype), {"a": np.dtype(source)})
    assert_equal(apply(value, {"a": x}), s.evaluate_typed(value, {"a": x}))


@pytest.mark.parametrize("lanes", [2, 4, 8, 32, 64, 128, 256])
def test_any_number_of_lanes(lanes):
    x = np.arange(300, dtype=np.float32)
    value = s.lower(s.Var("a") * 2.0 + 1.0, {"a": np.dtype(np.float32)})
    assert_equal(apply(value, {"a": x}, lanes), x * 2 + 1)


@pytest.mark.skipif(not host.is_x86(), reason="features of x86")
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, bool])
def test_machines_without_masks(dtype):
    x = np.random.default_rng(2).integers(0, 2, 37).astype(dtype)
    value = s.Typed("var", (), dtype, "a")
    assert_equal(apply(value, {"a": x}, 16, llvm.Target("plain")), x)


DOTS = {"host": None, "pairs": llvm.Target("plain"), "narrow": llvm.Target("vnni", dots=frozenset((4, 8)))}


@pytest.mark.parametrize("lanes", [2, 4, 16, 64])
@pytest.mark.parametrize("target", DOTS)
def test_products_of_bytes_are_exact_on_every_machine(target, lanes):
    """Extreme bytes, whose products in pairs would not fit 16 bits, and sums that wrap."""
    if target == "narrow" and not {"avxvnni", "avx512vnni"} & host.features():
        pytest.skip("needs vpdpbusd")
    rng = np.random.default_rng(lanes)
    word = np.dtype(np.int32)
    edges = [rng.choice(np.array(edge, np.uint8), (300, 4)).view(word)[:, 0] for edge in ([0, 1, 255], [127, 128, 255])]
    inputs = dict(zip("abc", (values(word, rng)[np.arange(300) % 48], *edges), strict=True))
    unsigned, signed = (x.view(dtype).reshape(-1, 4).astype(np.int64) for x, dtype in zip(edges, (np.uint8, np.int8)))
    expected = (inputs["a"] + (unsigned * signed).sum(axis=1)).astype(word)
    np.testing.assert_array_equal(apply(primitive("dot4", 3, word), inputs, lanes, DOTS[target]), expected)


@pytest.mark.parametrize("lanes", [2, 4, 16, 64])
@pytest.mark.parametrize("target", ["host", "pairs"])
def test_products_of_halves_are_exact_on_every_machine(target, lanes):
    """Extreme numbers, of which two products do not fit an int32, and sums that wrap."""
    rng, word = np.random.default_rng(lanes), np.dtype(np.int32)
    edges = [rng.choice(np.array([-(2**15), -1, 0, 1, 2**15 - 1], np.int16), (300, 2)) for _ in range(2)]
    total = values(word, rng)[np.arange(300) % 48]
    inputs = dict(zip("abc", (total, *(x.view(word)[:, 0] for x in edges)), strict=True))
    left, right = (x.astype(np.int64) for x in edges)
    expected = (total + (left * right).sum(axis=1)).astype(word)
    np.testing.assert_array_equal(apply(primitive("dot_halves", 3, word), inputs, lanes, DOTS[target]), expected)
