"""Errors word for word: what is wrong, the arguments with their types, the user's own line, and the fix."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors
from tensorlite.kernels import device as devices
from tensorlite.op import OPS

X = tl.tensor([1.0, 2.0])
M = tl.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
I = tl.tensor([1, 2])
B = tl.tensor([True, False])
C = tl.tensor([1j, 2.0])
Z = tl.tensor(3.0)
P = tl.tensor([1.0, 2.0], requires_grad=True)

BROADCAST = "extents must be equal or 1, counted from the last axis"
MAKE_ONE = "make it one: tl.asarray(...)"
REPLACED = "update it inside `with tl.no_grad():`, or write y = ... for a new tensor"
VIEWED = "the tensor is a view of another one that is still in use, and would not change it"
DTYPES = ("there are bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, "
          "float64, complex64, complex128")
LEAF = "a leaf that requires gradients cannot be replaced while ops are recorded"


def walk_twice() -> None:
    loss = (P * P).sum()
    loss.backward()
    loss.backward()


def change_view() -> None:
    base = tl.zeros((2, 3))
    view = base[0]
    view += 1


def change_view_by_method() -> None:
    base = tl.zeros((2, 3))
    base.T.mul_(2)


def assign_view() -> None:
    base = tl.zeros((2, 3))
    base[0][1] = 5


def set_requires_grad() -> None:
    (P * 2).requires_grad = False


#: The call, the error, its problem, its arguments and its fix; the user's line is that of the call.
CASES: list[tuple[Callable[[], object], type[Exception], str, list[str], str | None]] = [
    # shapes
    (lambda: X + M, errors.ShapeError, "add: shapes [2] and [2, 3] do not broadcast",
     ["x1  float32[2]", "x2  float32[2, 3]"], BROADCAST),
    (lambda: tl.where(B, X, M), errors.ShapeError, "where: shapes [2] and [2] and [2, 3] do not broadcast",
     ["condition  bool[2]", "x1         float32[2]", "x2         float32[2, 3]"], BROADCAST),
    (lambda: M.reshape(7), errors.ShapeError, "reshape: 6 elements do not fill the shape (7,)",
     ["x  float32[2, 3]"], None),
    (lambda: M.reshape(4, -1), errors.ShapeError, "reshape: 6 elements do not fill the shape (4, -1)",
     ["x  float32[2, 3]"], None),
    (lambda: M @ M, errors.ShapeError, "matmul: x1 has 3 columns, x2 has 2 rows",
     ["x1  float32[2, 3]", "x2  float32[2, 3]"], None),
    (lambda: M @ Z, errors.ShapeError, "matmul: a 0-dimensional tensor is no matrix",
     ["x1  float32[2, 3]", "x2  float32[]"], "use x1 * x2"),
    (lambda: tl.broadcast_to(M, (3, 3)), errors.ShapeError, "broadcast_to: [2, 3] does not broadcast to [3, 3]",
     ["x      float32[2, 3]", "shape  (3, 3)"], None),
    (lambda: tl.zeros((2, 2, 2)).T, errors.ShapeError, "T: only a matrix has one transpose", ["x  float32[2, 2, 2]"],
     "use x.mT for stacks of matrices"),
    (lambda: M.permute(0, 0), errors.ShapeError, "permute_dims: axes must name each of 2 axes once",
     ["x     float32[2, 3]", "axes  (0, 0)"], None),
    (lambda: X.clone().add_(tl.zeros((2, 2))), errors.ShapeError,
     "add_: the result has shape [2, 2], which x cannot hold", ["x  float32[2]"],
     "use the function that makes a new tensor"),
    (lambda: X.clone().copy_(tl.zeros(3)), errors.ShapeError, "copy_: [3] does not broadcast to [2]",
     ["x       float32[2]", "source  float32[3]"], None),
    (lambda: M.item(), errors.ShapeError, "item: only a tensor of one element is a number", ["x  float32[2, 3]"],
     "index it, or use x.tolist()"),
    (lambda: bool(M), errors.ShapeError, "bool: the truth of several elements or none is ambiguous",
     ["x  float32[2, 3]"], "use x.any() or x.all()"),
    # axes
    (lambda: M.sum(axis=2), errors.AxisError, "sum: axis 2 is out of range for 2 dimensions", ["x  float32[2, 3]"],
     "use -2 to 1"),
    (lambda: M.sum(dim=-3), errors.AxisError, "sum: axis -3 is out of range for 2 dimensions", ["x  float32[2, 3]"],
     "use -2 to 1"),
    (lambda: Z.sum(axis=0), errors.AxisError, "sum: axis 0 is out of range for 0 dimensions", ["x  float32[]"],
     "a 0-dimensional tensor has no axis"),
    (lambda: M.sum(axis=(0, -2)), errors.ArgumentError, "sum: an axis is given twice",
     ["x     float32[2, 3]", "axis  (0, -2)"], None),
    (lambda: M.sum(axis=1.5), errors.DTypeError, "sum: axis must be an integer, not float",
     ["x     float32[2, 3]", "axis  1.5"], None),
    (lambda: M.sum(axis=0, dim=0), errors.ArgumentError, "sum: dim and axis are the same option: both were given", [],
     None),
    # dtypes and kinds of argument
    (lambda: X & X, errors.DTypeError, "bitwise_and: takes integer or bool dtypes, not float32",
     ["x1  float32[2]", "x2  float32[2]"], "cast it first: x.to(tl.int64)"),
    (lambda: C < C, errors.DTypeError, "less: takes real or bool dtypes, not complex64",
     ["x1  complex64[2]", "x2  complex64[2]"], "use tl.abs(x) or tl.real(x)"),
    (lambda: B - B, errors.DTypeError, "subtract: takes numeric dtypes, not bool", ["x1  bool[2]", "x2  bool[2]"],
     "use logical_and, logical_or, logical_not or logical_xor on bool, or cast it first"),
    (lambda: tl.exp("a"), errors.DTypeError, "exp: x must be a tensor or a number, not str", ["x  'a'"], MAKE_ONE),
    (lambda: tl.add(X, [1.0, 2.0]), errors.DTypeError, "add: x2 must be a tensor or a number, not list",
     ["x1  float32[2]", "x2  [1.0, 2.0]"], MAKE_ONE),
    (lambda: tl.sum([1, 2]), errors.DTypeError, "sum: x must be a tensor, not list", ["x  [1, 2]"], MAKE_ONE),
    (lambda: tl.where(X, X, X), errors.DTypeError, "where: condition must be bool, not float32",
     ["condition  float32[2]", "x1         float32[2]", "x2         float32[2]"], "compare it: condition != 0"),
    (lambda: I**-1, errors.ArgumentError, "pow: Integers to negative integer powers are not allowed.",
     ["x1  int64[2]", "x2  -1"], None),
    (lambda: tl.tensor([1], dtype=tl.int8) + 300, errors.ArgumentError,
     "add: Python integer 300 out of bounds for int8", ["x1  int8[1]", "x2  300"], None),
    (lambda: I.clone().div_(2), errors.DTypeError, "div_: the result is float32, which x cannot hold", ["x  int64[2]"],
     "cast x first: x.to(tl.float32)"),
    (lambda: float(C[0]), errors.DTypeError, "float: a complex number is no real one", ["x  complex64[]"],
     "use tl.real(x) or tl.abs(x)"),
    (lambda: C.to(tl.float32), errors.DTypeError, "astype: complex numbers do not become float32", ["x  complex64[2]"],
     "use tl.real(x)"),
    (lambda: X.to("float99"), errors.DTypeError, "dtype: no tensor has dtype float99", [], DTYPES),
    (lambda: tl.tensor("text"), errors.DTypeError, "asarray: a tensor is made of numbers", ["obj  'text'"],
     "give numbers, nested lists of numbers, or an array"),
    (lambda: tl.tensor(2**70), errors.DTypeError, "asarray: a tensor is made of numbers",
     ["obj  1180591620717411303424"], "give numbers, nested lists of numbers, or an array"),
    (lambda: tl.tensor(300, dtype=tl.int8), errors.ArgumentError, "asarray: Python integer 300 out of bounds for int8",
     ["obj  'int'"], None),
    (lambda: tl.asarray(np.array(["a"])), errors.DTypeError, "asarray: no tensor has dtype <U1",
     ["obj  numpy str32[1]"], None),
    (lambda: tl.asarray([1], copy=False), errors.ArgumentError,
     "asarray: Python data cannot become a tensor without a copy", ["obj  [1]"], "leave copy=False out"),
    (lambda: tl.from_numpy([1]), errors.DTypeError, "from_numpy: takes a NumPy array, not list", [],
     "use tl.asarray(...)"),
    (lambda: tl.from_dlpack(3), errors.DTypeError, "from_dlpack: int has no __dlpack__ method", [], None),
    (lambda: X.view(tl.int64), errors.DTypeError, "view: int64 is not as wide as float32", ["x  float32[2]"],
     "cast it: x.to(tl.int64)"),
    (lambda: len(Z), errors.DTypeError, "len: a 0-dimensional tensor has no length", ["x  float32[]"], None),
    (lambda: iter(Z), errors.DTypeError, "iter: a 0-dimensional tensor cannot be iterated over",
     ["x  float32[]"], None),
    (lambda: range(3)[X], errors.DTypeError, "index: only a 0-dimensional integer tensor is an index",
     ["x  float32[2]"], None),
    (lambda: f"{M:.2f}", errors.ArgumentError, "format: only a tensor of one element takes a format",
     ["x       float32[2, 3]", "format  '.2f'"], "format its elements: x.tolist()"),
    (lambda: X.__array_namespace__(api_version="1999.1"), errors.ArgumentError,
     "__array_namespace__: no array API version '1999.1' here", [], "use '2024.12'"),
    # indices
    (lambda: M[5], errors.IndexingError, "getitem: index 5 is out of bounds for axis 0 of extent 2",
     ["x      float32[2, 3]", "index  5"], "use -2 to 1"),
    (lambda: M[1.5], errors.IndexingError,
     "getitem: an index is made of integers, slices, None, ... and tensors, not float",
     ["x      float32[2, 3]", "index  1.5"], None),
    (lambda: M[X], errors.IndexingError, "getitem: a tensor that indexes must be integer or bool, not float32",
     ["x      float32[2, 3]", "index  float32[2]"], "cast it first: x.to(tl.int64)"),
    (lambda: M.clone().__setitem__(5, 1.0), errors.IndexingError,
     "setitem: index 5 is out of bounds for axis 0 of extent 2",
     ["x      float32[2, 3]", "index  5", "value  float32[]"], "use -2 to 1"),
    (lambda: M.clone().__setitem__(0, X), errors.ShapeError,
     "setitem: a value of shape [2] does not broadcast to the shape [3] that the index names",
     ["x      float32[2, 3]", "index  0", "value  float32[2]"], None),
    (lambda: I.clone().__setitem__(0, 1.5), errors.DTypeError, "setitem: x cannot hold float32 values",
     ["x      int64[2]", "value  float32[]"], "cast them first: value.to(tl.int64)"),
    (lambda: tl.tensor([1], dtype=tl.int8).__setitem__(0, 300), errors.ArgumentError,
     "setitem: Python integer 300 out of bounds for int8", ["x      int8[1]", "value  300"], None),
    # gradients
    (lambda: (P * 2).backward(), errors.GradientError,
     "backward: only a tensor of one element has a gradient by itself", ["output  float32[2]"],
     "reduce it first, as in loss.sum(), or pass gradient="),
    (walk_twice, errors.GradientError, "backward: the graph was walked before, and what it saved was freed", [],
     "call backward(retain_graph=True) the first time, or compute the loss again"),
    (lambda: X.sum().backward(), errors.GradientError,
     "backward: the output does not depend on anything that requires gradients", ["output  float32[]"],
     "create a leaf with requires_grad=True, and do not leave no_grad() around the computation"),
    (lambda: (P * 2).backward(tl.zeros(3)), errors.ShapeError, "backward: the gradient's shape is not the output's",
     ["output    float32[2]", "gradient  float32[3]"], None),
    (lambda: (P * 2).backward(1.0), errors.DTypeError, "backward: a gradient is a tensor, not float",
     ["output    float32[2]", "gradient  1.0"], MAKE_ONE),
    (lambda: P.add_(1), errors.GradientError, f"add_: {LEAF}", ["x  float32[2]"], REPLACED),
    (lambda: P.__setitem__(0, 1.0), errors.GradientError, f"setitem: {LEAF}", ["x  float32[2]"], REPLACED),
    (lambda: P.__isub__(1), errors.GradientError, f"-=: {LEAF}", ["x  float32[2]"], REPLACED),
    (change_view, errors.GradientError, f"+=: {VIEWED}", ["view  float32[3]", "base  float32[2, 3]"],
     "index the base itself, as in base[i] += v, or make a new tensor: v = v + ..."),
    (change_view_by_method, errors.GradientError, f"mul_: {VIEWED}", ["view  float32[3, 2]", "base  float32[2, 3]"],
     "index the base itself, as in base[i] += v, or make a new tensor: v = v.mul(...)"),
    (assign_view, errors.GradientError, f"setitem: {VIEWED}", ["view  float32[3]", "base  float32[2, 3]"],
     "index the base itself, as in base[i] += v, or make a new tensor: v = v.clone()"),
    (lambda: tl.autograd.grad(P.sum(), X), errors.GradientError, "grad: an input does not require gradients",
     ["input  float32[2]"], "create it with requires_grad=True"),
    (lambda: tl.autograd.grad((P * 1).sum(), tl.tensor(1.0, requires_grad=True)), errors.GradientError,
     "grad: an input was not used to compute the outputs", ["input  float32[]"],
     "pass allow_unused=True to get None for it"),
    (lambda: tl.autograd.grad((P * 1).sum(), P, [X, X]), errors.ArgumentError,
     "grad: 2 cotangents were given for 1 outputs", [], None),
    (lambda: tl.tensor([1], requires_grad=True), errors.GradientError,
     "requires_grad: only floating tensors have gradients", ["x  int64[1]"], "cast it first: x.to(tl.float32)"),
    (set_requires_grad, errors.GradientError, "requires_grad: only a leaf can stop requiring gradients",
     ["x  float32[2]"], "use x.detach()"),
    (lambda: X.register_hook(print), errors.GradientError, "register_hook: the tensor does not require gradients",
     ["x  float32[2]"], "create it with requires_grad=True"),
    (lambda: P.numpy(), errors.GradientError, "numpy: NumPy cannot record derivatives", ["x  float32[2]"],
     "use x.detach().numpy()"),
    (lambda: np.asarray(P), errors.GradientError, "__array__: NumPy cannot record derivatives", ["x  float32[2]"],
     "use x.detach().numpy()"),
    (lambda: np.from_dlpack(P), errors.GradientError, "__dlpack__: another library cannot record derivatives",
     ["x  float32[2]"], "export x.detach()"),
    (lambda: pickle.dumps(P * 2), errors.GradientError, "pickle: a recorded tensor cannot be copied with its tape",
     ["x  float32[2]"], "copy x.detach(), or use x.clone(), which is recorded"),
    # devices
    (lambda: tl.zeros(2, device="moon"), errors.DeviceError,
     "zeros: moon: no such device; expected 'cpu', 'cuda' or 'cuda:1'", [], None),
]


def line_of(error: Exception) -> str:
    """The user's line: where the traceback is last in this file."""
    traceback, line = error.__traceback__, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == __file__:
            line = f"  at {Path(__file__).name}:{traceback.tb_lineno} in {code.co_name}"
        traceback = traceback.tb_next
    return line


@pytest.mark.parametrize(("call", "kind", "problem", "arguments", "fix"), CASES,
                         ids=[f"{i}-{case[2].split(':')[0]}" for i, case in enumerate(CASES)])
def test_the_whole_text(call, kind, problem, arguments, fix):
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value).splitlines() == [
        problem, *(f"  {argument}" for argument in arguments), line_of(caught.value),
        *([f"  fix: {fix}"] if fix else [])]


@pytest.mark.parametrize(("kind", "builtin"), [
    ("ShapeError", ValueError), ("AxisError", IndexError), ("IndexingError", IndexError), ("DTypeError", TypeError),
    ("ArgumentError", ValueError), ("DeviceError", RuntimeError), ("GradientError", RuntimeError),
    ("NumericsError", ArithmeticError), ("InternalError", RuntimeError)])
def test_errors_are_caught_by_pythons_own_kinds_too(kind, builtin):
    assert issubclass(getattr(errors, kind), builtin)
    assert issubclass(getattr(errors, kind), errors.TensorliteError)


@pytest.fixture
def other_device(monkeypatch):
    """A stand-in for a second device: its arrays are of a type of their own."""
    class Elsewhere(np.ndarray):
        pass

    class Other:
        name, xp = "cuda:0", np

    here = devices.of
    monkeypatch.setattr(devices, "of", lambda array: Other if isinstance(array, Elsewhere) else here(array))
    return lambda x: tl.Tensor(np.asarray(x.array).view(Elsewhere))


@pytest.mark.parametrize("flip", [False, True])
def test_tensors_on_two_devices(other_device, flip):
    there = other_device(X)
    operands = [X, there][::-1 if flip else 1]
    with pytest.raises(errors.DeviceError) as caught:
        tl.add(*operands)
    types = ["float32[2]", "float32[2] on cuda:0"][::-1 if flip else 1]
    assert str(caught.value).splitlines() == [
        "add: arguments are on different devices: cpu and cuda:0", f"  x1  {types[0]}", f"  x2  {types[1]}",
        line_of(caught.value), "  fix: move one: x.to('cpu')"]


@pytest.mark.parametrize("call", [lambda x, y: x @ y, lambda x, y: tl.concat([x, y]),
                                  lambda x, y: tl.where(x > 0, x, y)], ids=["matmul", "concat", "where"])
def test_every_kind_of_op_minds_the_devices(other_device, call):
    there = other_device(tl.zeros((2, 2)))
    with pytest.raises(errors.DeviceError, match="arguments are on different devices: cpu and cuda:0"):
        call(tl.zeros((2, 2)), there)


def test_the_users_line_is_found_through_callbacks_of_the_library():
    def loss(x):
        return (x + tl.zeros(3)).sum()

    for call in (lambda: tl.grad(loss)(X), lambda: tl.vjp(loss, X), lambda: tl.autograd.gradcheck(loss, P)):
        with pytest.raises(errors.ShapeError) as caught:
            call()
        assert f"at {Path(__file__).name}:{loss.__code__.co_firstlineno + 1} in loss" in str(caught.value)


def test_the_users_line_in_a_file_beside_the_library(tmp_path):
    """A script called tensorlite_something.py, or one in a folder of such a name, is the user's own."""
    for name in ("tensorlite_train.py", "kernels.py"):
        script = tmp_path / name
        script.write_text("def train(x):\n    return x.sum(axis=9)\n")
        scope = {}
        folder = Path(tl.__file__).parent
        for filename in (script, f"{folder}_extra/{name}", f"{folder}-demo/{name}"):
            exec(compile(script.read_text(), str(filename), "exec"), scope)
            with pytest.raises(errors.AxisError) as caught:
                scope["train"](X)
            assert f"  at {name}:2 in train" in str(caught.value).splitlines()


def test_errors_survive_pickling():
    with pytest.raises(errors.ShapeError) as caught:
        X + M
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is errors.ShapeError
    assert str(again) == str(caught.value)
    assert again.fix == BROADCAST


def test_long_arguments_are_cut():
    with pytest.raises(errors.DTypeError) as caught:
        tl.exp("a" * 1000)
    assert max(map(len, str(caught.value).splitlines())) < 80


def test_no_context_of_numpys_is_shown():
    with pytest.raises(errors.ShapeError) as caught:
        X + M
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_what_no_rule_explains_is_ours_and_says_so():
    from tensorlite.declare import primitive
    from tensorlite.op import OPS

    @primitive("opaque", type=lambda x: x)
    def _broken(xp, x):
        raise AttributeError("no such thing")

    try:
        with pytest.raises(errors.InternalError) as caught:
            _broken(X)
    finally:
        del OPS["broken"]
    assert str(caught.value).splitlines()[0] == "broken: no such thing"
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_lack_of_memory_is_said_as_it_is():
    with pytest.raises(MemoryError):
        tl.zeros((1 << 40,)) + 1


@pytest.mark.parametrize("operands", [(1,), (1, 2)])
def test_what_a_signal_handler_raises_within_an_op_is_not_lost(operands, monkeypatch):
    class TooSlow(Exception):
        pass

    calls = []

    def run(*arrays):
        calls.append(arrays)
        raise TooSlow

    op = OPS["sin" if len(operands) == 1 else "add"]
    monkeypatch.setattr(op, "run", run)
    with pytest.raises(TooSlow):
        getattr(tl, op.name)(*(tl.ones(3) for _ in operands))
    assert len(calls) == 1
