"""Ops that are declared anew get everything from their declaration."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from laws.differences import check_first, check_second
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.declare import IN_PLACE, METHODS, PUBLIC, elementwise, primitive, public
from tensorlite.errors import ArgumentError, DTypeError, InternalError, ShapeError
from tensorlite.kernels import scalar as s
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import OPS, Sample


@pytest.fixture(autouse=True)
def undeclared():
    """Takes out again what a test declares."""
    tables = (OPS, PUBLIC, METHODS, IN_PLACE)
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before):
        table.clear()
        table.update(content)


def check_derivatives(function, *arrays):
    check_first(function, arrays, np.random.default_rng(1))
    check_second(function, arrays, np.random.default_rng(2))


X, Y = np.array([0.5, 1.5, -0.7]), np.array([2.0, -1.0, 0.3])


def test_an_elementwise_op_in_four_lines():
    @elementwise(accepts="real floating")
    def swoosh(x):
        """The hyperbolic tangent of a sigmoid."""
        return s.tanh(1 / (1 + s.exp(-x)))

    expected = np.tanh(1 / (1 + np.exp(-X)))
    assert_close(swoosh(tl.tensor(X)), expected)
    assert swoosh.__doc__ == "The hyperbolic tangent of a sigmoid."
    assert swoosh(tl.tensor([1, 2])).dtype == tl.float32
    large = np.linspace(-3, 3, 3 * NATIVE_SIZE)
    for dtype in (tl.float16, tl.bfloat16, tl.float32, tl.float64):
        x = tl.tensor(large, dtype=dtype)
        assert_close(swoosh(x), np.tanh(1 / (1 + np.exp(-x.numpy().astype(np.float64)))))
    with pytest.raises(DTypeError, match="takes real floating dtypes, not complex64"):
        swoosh(tl.tensor(1j))
    check_derivatives(swoosh, X)


@pytest.mark.parametrize("names", ["x y", "y x", "y", "x1 y", "a y g_", "y_ y", "index x", "x x_shape"])
def test_inputs_may_have_any_name(names):
    """Among them ``y``, which a structured op's rules understand as the output."""
    first, *others = names.split()
    scope = {"s": s}
    exec(f"def product({', '.join(names.split())}):\n"
         f"    return {first} * {first} * s.sin({' * '.join(names.split())})", scope)
    op = elementwise(scope["product"])
    arrays = [X, Y, X + 3][:1 + len(others)]
    expected = arrays[0] ** 2 * np.sin(np.prod(arrays, axis=0))
    assert_close(op(*map(tl.tensor, arrays)), expected)
    check_derivatives(op, *arrays)


def test_g_names_the_cotangent_and_no_input():
    with pytest.raises(ArgumentError, match="an input cannot be called g, which derivatives ask for by that name"):
        @elementwise
        def scaled(x, g):
            return x * g

    for name in ("g", "y", "index"):
        scope = {}
        exec(f"def _moved(xp, x, {name}): return x", scope)
        with pytest.raises(ArgumentError, match=f"an input cannot be called {name}"):
            primitive("opaque")(scope["_moved"])


@pytest.mark.parametrize("text", ["lambda: s.Const(1.0)", "lambda x, y=2: x * y"])
def test_elementwise_ops_have_inputs_without_defaults(text):
    with pytest.raises(ArgumentError) as caught:
        elementwise(eval(text, {"s": s}), name="odd", hidden=True)
    assert str(caught.value).startswith("odd: an elementwise op takes one scalar or more, without defaults\n")
    assert str(caught.value).endswith("fix: write a function around it that fills in what is left out")


def test_a_module_that_declares_ops_may_be_read_again():
    """As `importlib.reload` does, and a notebook whose cell runs twice; another op of the name is refused."""
    text = ("@elementwise(hidden=True)\ndef twice(x):\n    return x + x\n"
            "@primitive('opaque', type=lambda x, *, k: x)\ndef _times(xp, x, *, k):\n    return x * k\n")
    for _ in range(2):
        scope = {"elementwise": elementwise, "primitive": primitive}
        exec(text, scope)
        assert_same(scope["_times"](scope["twice"](tl.tensor(X)), k=2.0), X * 4)
    for changed in (text.replace("x * k", "x / k"), text.replace("x + x", "x * 3")):
        with pytest.raises(InternalError, match="there are two ops called"):
            exec(changed, {"elementwise": elementwise, "primitive": primitive})


def test_public_functions_are_pickled_by_name():
    """Also where an op shares its name with a function of `nn.functional` that its module declares."""
    names = [name for name in PUBLIC if getattr(tl, name, None) is PUBLIC[name]]
    assert {"gelu", "silu", "softplus", "sin", "sum"} <= set(names)
    for name in names:
        assert pickle.loads(pickle.dumps(getattr(tl, name))) is getattr(tl, name), name


def test_stated_derivatives_are_taken():
    @elementwise(accepts="floating", vjp={"x": lambda g, y: 7 * g * y})
    def strange(x):
        return s.exp(x)

    x = tl.tensor(X, requires_grad=True)
    strange(x).sum().backward()
    assert_close(x.grad, 7 * np.exp(X))


def test_conditions_are_bool_and_have_no_derivative():
    @elementwise(accepts="numeric", conditions=("keep",))
    def gate(keep, x):
        return s.where(keep, x * x, 0)

    keep = np.array([True, False, True])
    assert_same(gate(tl.tensor(keep), tl.tensor(X)), np.where(keep, X * X, 0))
    check_derivatives(lambda x: gate(tl.tensor(keep), x), X)
    with pytest.raises(DTypeError, match="keep must be bool, not float64"):
        gate(tl.tensor(X), tl.tensor(X))


def test_ops_without_derivative_give_constants():
    @elementwise(accepts="real floating", differentiable=False)
    def bucket(x):
        return s.floor(x * 10)

    assert not bucket(tl.tensor(X, requires_grad=True)).requires_grad


def test_hidden_ops_have_no_public_name():
    @elementwise(hidden=True)
    def secret(x):
        return x * 2

    assert "secret" in OPS
    assert "secret" not in PUBLIC
    assert secret(tl.tensor([1])).tolist() == [2]


def test_many_inputs():
    @elementwise
    def blend(a, b, c, d):
        return a * b + c * d

    arrays = [X, Y, X + 1, np.array(2.0)]
    assert_close(blend(*map(tl.tensor, arrays)), X * Y + (X + 1) * 2)
    assert_close(blend(2, tl.tensor(Y), 1.5, tl.tensor(X)), 2 * Y + 1.5 * X)
    check_derivatives(blend, *arrays)


def test_constants_and_inputs_that_nothing_uses():
    @elementwise(accepts="real floating")
    def five(x):
        return s.where(x > 0, 5, 5) * 1

    @elementwise(accepts="real floating")
    def first_alone(x, ignored):
        return x * 1.5

    assert first_alone(tl.tensor([2.0]), tl.zeros((3, 1))).tolist() == [[3.0]] * 3
    check_derivatives(first_alone, X, Y)
    assert five(tl.tensor([1.0, -1.0])).tolist() == [5.0, 5.0]


def test_a_structured_op():
    @primitive("reduce", type=lambda x, *, axis: x, samples=[Sample((2, 3), axis=0)],
               vjp={"x": lambda g, y, axis: (g - (g * y).sum(axis=axis, keepdims=True)) * y})
    def _softest(xp, x, *, axis):
        wide = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
        return wide / xp.sum(wide, axis=axis, keepdims=True)

    op = OPS["softest"]
    assert (op.kind, op.inputs, op.attributes, op.variadic) == ("reduce", ("x",), ("axis",), False)
    check_derivatives(lambda x: _softest(x, axis=0), X)


def test_a_structured_op_of_any_number_of_inputs_and_two_outputs():
    def vjp(g, index, arrays):
        total, product = g
        rest = [x for i, x in enumerate(arrays) if i != index]
        out = total + product * (rest[0] * rest[1] if len(rest) == 2 else rest[0])
        return out

    @primitive("opaque", type=lambda *arrays: (arrays[0], arrays[0]), vjp={"arrays": vjp})
    def _summary(xp, *arrays):
        return sum(arrays), np.prod(arrays, axis=0)

    check_derivatives(_summary, X, Y)
    check_derivatives(_summary, X, Y, X + Y)
    check_derivatives(lambda *arrays: _summary(*arrays)[1], X, Y, X + Y)


def test_rules_that_ask_for_what_is_not_there_are_ours_to_mend():
    @primitive("opaque", type=lambda x: x, vjp={"x": lambda g, nonsense: g})
    def _odd(xp, x):
        return x * 2

    with pytest.raises(TypeError, match="the derivative of odd asks for 'nonsense', which is no input"):
        _odd(tl.tensor(X, requires_grad=True))
    with pytest.raises(InternalError, match="no kind of op is called 'magic'"):
        primitive("magic")


def test_type_rules_explain_what_arrays_refuse():
    def rule(x, y_):
        if x.shape != y_.shape:
            raise ShapeError("x and y_ must have one shape", "make them alike")
        return x

    @primitive("opaque", type=rule)
    def _alike(xp, x, y_):
        return x + y_.reshape(x.shape)

    with pytest.raises(ShapeError) as caught:
        _alike(tl.zeros(2), tl.zeros(3))
    lines = str(caught.value).splitlines()
    assert lines[:3] == ["alike: x and y_ must have one shape", "  x   float32[2]", "  y_  float32[3]"]
    assert lines[-1] == "  fix: make them alike"


def test_public_functions_take_pytorchs_names_too():
    @public
    def spread(x, /, axis=None, keepdims=False):
        """The range."""
        return x.max(axis=axis, keepdims=keepdims) - x.min(axis=axis, keepdims=keepdims)

    x = tl.tensor([[1.0, 5.0], [2.0, 9.0]])
    face = PUBLIC["spread"]
    assert face(x, dim=1).tolist() == face(x, 1).tolist() == [4.0, 7.0]
    assert face(x, dim=1, keepdim=True).shape == (2, 1)
    assert list(inspect.signature(face).parameters) == ["x", "axis", "keepdims"]
    with pytest.raises(ArgumentError, match="dim and axis are the same option: both were given"):
        face(x, dim=1, axis=1)


def takes_an_axis_alone(name: str) -> bool:
    """Whether a function can be called with a tensor and an axis, and nothing else."""
    parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    needed = [p.name for p in parameters[1:] if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    names = [p.name for p in parameters]
    return "axis" in names and set(needed) <= {"axis"} and parameters[0].annotation == "Tensor"


@pytest.mark.parametrize("name", [name for name in sorted(PUBLIC) if takes_an_axis_alone(name)])
def test_every_function_with_an_axis_takes_dim(name):
    face, x = PUBLIC[name], tl.tensor([[3.0], [1.0]] if name == "gradient" else [[3.0, 1.0]])
    expected, found = face(x, axis=0), face(x, dim=0)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (expected, found)), strict=True):
        assert_same(a, b)
