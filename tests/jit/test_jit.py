"""A jitted function, method or module is what it was, but for its speed."""

from __future__ import annotations

import collections
import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from laws.stages import leaves
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import TraceError
from tensorlite.tree import flatten

X = tl.tensor([1.0, 2.0])


def fresh(requires_grad: bool = False) -> tl.Tensor:
    return tl.tensor([1.0, 2.0], requires_grad=requires_grad)


def count(jitted: Any) -> int:
    """How often a function was compiled."""
    return sum(map(len, jitted.variants.values()))


# --- what goes in and out -------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Pair:
    first: Any
    second: Any = 3


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any
    kept: int = dataclasses.field(default=0, init=False)


Named = collections.namedtuple("Named", "x y")


class Special(list):
    """A list of another kind."""


TREES = {
    "tensor": lambda x: x + 1,
    "tuple": lambda x: (x + 1, x * 2),
    "tuple of one": lambda x: (x + 1,),
    "empty tuple": lambda x: (),
    "list": lambda x: [x + 1, [x * 2, []]],
    "list of another kind": lambda x: Special([x + 1]),
    "dict": lambda x: {"a": x + 1, "b": {"c": (x * 2,)}, 3: x},
    "ordered dict": lambda x: collections.OrderedDict(b=x + 1, a=x * 2),
    "default dict": lambda x: collections.defaultdict(list, {"a": x + 1}),
    "named tuple": lambda x: Named(x + 1, [x]),
    "dataclass": lambda x: Pair(x + 1, Pair(x * 2)),
    "frozen dataclass": lambda x: Frozen(x + 1),
    "None": lambda x: None,
    "numbers": lambda x: (1, 2.5, True, 1j, x.shape, x.ndim),
    "strings": lambda x: {"name": "a", "dtype": x.dtype, "bytes": b"b"},
    "mixed": lambda x: [x, None, 1, {"a": (x * 2, None, "s")}, Pair(x, None)],
    "one tensor twice": lambda x: (lambda y: (y, y, [y]))(x + 1),
    "the argument": lambda x: x,
    "the argument, twice": lambda x: (x, x),
    "views": lambda x: (x[0], x[:1], x.reshape(2, 1).T, tl.broadcast_to(x, (3, 2))),
    "constants": lambda x: (tl.ones(2), tl.arange(3), tl.tensor([4.0])),
}


def same(found: Any, expected: Any) -> None:
    """Asserts equal containers of equal tensors."""
    (a, rebuild), (b, again) = flatten(found), flatten(expected)
    assert len(a) == len(b)
    assert repr(rebuild(iter(range(len(a))))) == repr(again(iter(range(len(b)))))
    for x, y in zip(a, b, strict=True):
        assert type(x) is type(y)
        if isinstance(x, tl.Tensor):
            assert x.type == y.type
            assert_close(x, y, terms=4)
            assert x.requires_grad == y.requires_grad
        else:
            assert x == y


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("what", TREES)
def test_results_of_every_structure(what, tracked):
    jitted = tl.jit(TREES[what])
    for _ in range(3):
        same(jitted(fresh(tracked)), TREES[what](fresh(tracked)))
    assert count(jitted) == 1


ARGUMENTS = {
    "list": ([fresh(), [fresh()]],),
    "tuple": ((fresh(), 2.0),),
    "dict": ({"a": fresh(), "b": [1, fresh()]},),
    "ordered dict": (collections.OrderedDict(a=fresh(), b=2),),
    "named tuple": (Named(fresh(), None),),
    "dataclass": (Pair(fresh(), Pair(fresh())),),
    "numbers": (2, 3.5, True, None, "s", fresh()),
    "special list": (Special([fresh()]),),
    "nothing": (),
    "empty": ([], {}, (), fresh()),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments_of_every_structure(what):
    def function(*given):
        numbers = [leaf for leaf in flatten(given)[0] if isinstance(leaf, int | float)]
        return [x * 2 + sum(numbers) for x in leaves(given)], given, type(given[0]) if given else None
    jitted = tl.jit(function)
    for _ in range(2):
        same(jitted(*ARGUMENTS[what]), function(*ARGUMENTS[what]))


def test_structure_types_and_values_of_arguments_are_told_apart():
    jitted = tl.jit(lambda tree, k=1: [x * k for x in leaves(tree)])
    for tree in ([X], (X,), {"a": X}, {"b": X}, [X, X], [[X], X], Pair(X), Named(X, 1)):
        same(jitted(tree), [x * 1 for x in leaves(tree)])
        same(jitted(tree), [x * 1 for x in leaves(tree)])
    assert count(jitted) == 8
    assert tl.jit(lambda d: d["a"] - d["b"])({"b": X, "a": X * 3}).tolist() == [2.0, 4.0]


def test_numbers_are_told_apart_by_type_and_sign():
    jitted = tl.jit(lambda x, k: x * k)
    whole = tl.tensor([1, 2])
    assert [jitted(whole, k).dtype for k in (1, True, 1.0, 1j)] == [(whole * k).dtype for k in (1, True, 1.0, 1j)]
    signs = [bool(np.signbit(jitted(X, k).numpy()).any()) for k in (0.0, -0.0, 0.0)]
    assert signs == [False, True, False]
    before = count(jitted)
    for _ in range(3):
        assert np.isnan(jitted(X, float("nan")).numpy()).all()
    assert count(jitted) == before + 1


@pytest.mark.parametrize("dtype", [tl.bool, tl.int8, tl.int64, tl.uint8, tl.float16, tl.bfloat16, tl.float32,
                                   tl.float64, tl.complex64], ids=lambda d: d.name)
def test_every_dtype_goes_through(dtype):
    function = lambda x: (x, x + x if dtype != tl.bool else ~x, x == x, x.reshape(2, 2))
    for array in (np.arange(4).astype(dtype), np.arange(8).astype(dtype)[::2], np.arange(4).astype(dtype)[::-1]):
        x = tl.asarray(array)
        same(tl.jit(function)(x), function(x))


SHAPES = {"0-d": np.array(3.0), "empty": np.zeros((0, 3)), "empty axis": np.zeros((2, 0, 3)), "one": np.ones((1, 1)),
          "stepped": np.arange(12.0).reshape(3, 4)[:, ::2], "transposed": np.arange(12.0).reshape(3, 4).T,
          "reversed": np.arange(12.0).reshape(3, 4)[::-1, ::-1], "repeated": np.broadcast_to(np.arange(2.0), (3, 2)),
          "part": np.arange(24.0).reshape(2, 3, 4)[1, 1:]}


@pytest.mark.parametrize("what", SHAPES)
def test_every_shape_and_layout_goes_through(what):
    x = tl.from_numpy(SHAPES[what]) if SHAPES[what].flags.writeable else tl.asarray(SHAPES[what])
    function = lambda a: (a, a * 2, a.sum(), a.T if a.ndim == 2 else a, tl.exp(a).sum(axis=0) if a.ndim else a)
    same(tl.jit(function)(x), function(x))
    captured = lambda: (x, x * 2, x.sum())
    same(tl.jit(captured)(), captured())


def test_keywords_and_defaults():
    def function(a, b=2.0, *rest, c=None, **others):
        return a * b + sum(rest) + (0 if c is None else c) + sum(others.values()), sorted(others)
    jitted = tl.jit(function)
    for arguments, named in [((X,), {}), ((X, 3.0), {}), ((X,), {"b": 3.0}), ((X, X, X, 1), {"c": X}),
                             ((), {"b": X, "a": X}), ((X,), {"c": X, "z": X, "y": 1})]:
        same(jitted(*arguments, **named), function(*arguments, **named))


# --- functions, methods, modules ------------------------------------------------------------------------------------


def test_the_decorator_keeps_name_and_documentation():
    @tl.jit
    def double(x):
        """Doubles."""
        return x * 2
    assert (double.__name__, double.__doc__) == ("double", "Doubles.")
    assert "double" in repr(double)
    assert tl.jit(double) is double
    assert tl.jit()(double.__wrapped__)(X).tolist() == [2.0, 4.0]


class Model:
    """Methods of every kind."""

    factor = 3.0

    def __init__(self, weight):
        self.weight = weight

    @tl.jit
    def scaled(self, x):
        return x * self.weight

    @classmethod
    def of_class(cls, x):
        return x * cls.factor

    @staticmethod
    @tl.jit
    def of_nobody(x):
        return x + 1


def test_methods():
    first, second = Model(tl.tensor(2.0)), Model(tl.tensor(5.0))
    assert [m.scaled(X).tolist() for m in (first, second, first)] == [[2.0, 4.0], [5.0, 10.0], [2.0, 4.0]]
    assert tl.jit(first.of_class)(X).tolist() == [3.0, 6.0]
    assert Model.of_nobody(X).tolist() == first.of_nobody(X).tolist() == [2.0, 3.0]
    first.weight = tl.tensor(7.0)
    assert first.scaled(X).tolist() == [7.0, 14.0]


def test_modules_stay_modules():
    tl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    jitted = tl.jit(model)
    x = tl.ones((4, 2))
    jitted.eval()
    assert not model.training
    assert_close(jitted(x), model(x), terms=4)
    assert [id(p) for p in jitted.parameters()] == [id(p) for p in model.parameters()]
    assert list(jitted.state_dict()) == list(model.state_dict())
    assert len(jitted) == 3
    assert jitted[0] is model[0]
    assert list(jitted) == list(model)
    jitted.load_state_dict({name: value * 0 + 1 for name, value in model.state_dict().items()})
    assert_close(jitted(x), model(x), terms=4)
    jitted.train()
    assert model[1].training
    tl.manual_seed(1)
    found = jitted(x)
    tl.manual_seed(1)
    assert_close(found, model(x), terms=4)
    jitted.extra = 3
    assert model.extra == 3
    assert "Sequential" in repr(jitted)


def test_copies_and_pickles_compile_anew():
    model = tl.jit(nn.Linear(2, 2))
    x = tl.ones((1, 2))
    expected = model(x).tolist()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other(x).tolist() == expected
        assert next(other.parameters()) is not next(model.parameters())
    assert pickle.loads(pickle.dumps(tl.jit(module_function)))(X).tolist() == [2.0, 4.0]


def module_function(x):
    return x * 2


def test_jit_inside_of_jit_and_of_control_flow():
    inner = tl.jit(lambda a: a * 2)
    assert tl.jit(lambda a: inner(a) + inner(a + 1))(X).tolist() == [6.0, 10.0]
    assert tl.scan(lambda c, row: (c + inner(row), inner(c)), tl.tensor(0.0), X)[0].item() == 6.0
    assert tl.jit(lambda a: tl.map(inner, a))(X).tolist() == [2.0, 4.0]


# --- derivatives ----------------------------------------------------------------------------------------------------


def objective(x: tl.Tensor) -> tl.Tensor:
    return (tl.sin(x) ** 2 * tl.tensor([1.0, 3.0])).sum()


def test_transforms_compose():
    g, h = tl.grad(objective), tl.grad(lambda x: tl.grad(objective)(x).sum())
    for found in (tl.jit(g), tl.grad(tl.jit(objective)), tl.jit(tl.grad(tl.jit(objective)))):
        assert_close(found(X), g(X), terms=4)
    for found in (tl.jit(h), tl.grad(lambda x: tl.grad(tl.jit(objective))(x).sum()),
                  tl.grad(lambda x: tl.jit(tl.grad(objective))(x).sum()),
                  tl.jit(tl.grad(lambda x: tl.jit(tl.grad(tl.jit(objective)))(x).sum()))):
        assert_close(found(X), h(X), terms=16)
    for transformed in (tl.jit(tl.value_and_grad(objective)), tl.value_and_grad(tl.jit(objective))):
        value, gradient = transformed(X)
        assert_close(value, objective(X), terms=4)
        assert_close(gradient, g(X), terms=4)
    third = tl.grad(lambda x: h(x).sum())
    assert_close(tl.grad(lambda x: tl.grad(lambda x: tl.grad(tl.jit(objective))(x).sum())(x).sum())(X), third(X),
                 terms=64)
    value, pull = tl.vjp(tl.jit(tl.sin), X)
    assert_close(pull(X)[0], X * tl.cos(X))


#: By what stops or bends a derivative: functions of one tensor.
BENT = {
    "detach": lambda a: (a.detach() * a).sum(),
    "no_grad": lambda a: _without(a),
    "a part detached": lambda a: ((a * 2).detach() + a * 3).sum(),
    "an assignment": lambda a: _assigned(a),
    "in place": lambda a: (a * 1).add_(1).mul_(a).sum(),
    "a number": lambda a: (a * 1).mul_(2).sum() + 5,
    "kinks": lambda a: (tl.relu(a - 1) + abs(a - 2) + tl.maximum(a, tl.tensor([1.0, 3.0]))).sum(),
    "by elements": lambda a: sum(x * x for x in a),
    "gathered": lambda a: a[tl.tensor([0, 0, 1])].prod(),
    "integers beside": lambda a: a[a.argmax()] * a.argmax(),
}


def _without(a):
    with tl.no_grad():
        constant = a * 2
        with tl.enable_grad():
            tracked = a * 3
    return (constant * a + tracked).sum()


def _assigned(a):
    y = a * 2
    y[0] = 5.0
    y[1:] = a[0]
    return (y * y).sum()


@pytest.mark.parametrize("what", BENT)
def test_backward_through_a_compiled_call(what):
    found = []
    for function in (BENT[what], tl.jit(BENT[what])):
        x = fresh(True)
        for _ in range(2):
            y = function(x)
            y.backward()
        found.append((y.item(), x.grad.tolist()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-6)


def test_what_requires_gradients_is_told_as_eager_tells_it():
    w = fresh(True)
    function = lambda a: (a * 2, a * w, (a * w).detach(), tl.argmax(a), a > 1, w, a)
    jitted = tl.jit(function)
    for make in (fresh, lambda: fresh(True), fresh):
        assert [y.requires_grad for y in jitted(make())] == [y.requires_grad for y in function(make())]
        with tl.no_grad():
            assert [y.requires_grad for y in jitted(make())[:5]] == [False] * 5
    w.requires_grad_(False)
    assert [y.requires_grad for y in jitted(X)] == [False] * 7


def test_graphs_are_kept_and_walked_again_as_asked():
    x = fresh(True)
    y = tl.jit(lambda a: (a**3).sum())(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6.0, 24.0]
    (g,) = tl.autograd.grad(tl.jit(lambda a: (a**3).sum())(x), [x], create_graph=True)
    (h,) = tl.autograd.grad(g.sum(), [x], create_graph=True)
    assert h.tolist() == [6.0, 12.0]
    assert tl.autograd.grad(h.sum(), [x])[0].tolist() == [6.0, 6.0]


def test_the_forward_call_happens_once_and_its_mask_is_the_derivatives():
    drop = tl.jit(nn.Dropout(0.5))
    x = tl.ones(50).requires_grad_()
    y = drop(x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    norm = nn.BatchNorm1d(3)
    tl.jit(norm)(tl.randn(4, 3)).sum().backward()
    assert norm.num_batches_tracked.item() == 1


def test_backward_inside_of_arguments_and_captures():
    w = fresh(True)

    def function(a):
        loss = (a * a * w).sum()
        loss.backward()
        return a.grad * 1, loss
    found = []
    for each in (function, tl.jit(function)):
        w.grad, x = None, fresh(True)
        found.append(([each(x)[0].tolist() for _ in range(3)], x.grad.tolist(), w.grad.tolist()))
    assert found[0] == found[1]


def test_gradients_set_by_hand():
    found = []
    for wrap in (lambda f: f, tl.jit):
        w = fresh(True)

        def replace(x, w=w):
            before = None if w.grad is None else w.grad + 1
            (w * w * x).sum().backward()
            w.grad = w.grad * 2
            return before
        replace = wrap(replace)
        befores = [replace(X) for _ in range(3)]
        found.append(([None if b is None else b.tolist() for b in befores], w.grad.tolist()))
        w.grad = None
        assert replace(X) is None
    assert found[0] == found[1]


def test_containers_given_back_are_fresh():
    jitted = tl.jit(lambda x: [1, [2], {"a": x}])
    jitted(X)[1].append(3)
    jitted(X)[2]["b"] = 4
    same(jitted(X), [1, [2], {"a": X}])


def test_containers_changed_by_the_function():
    """What the eager call does to a list or a dict of the caller's, the compiled one does, or refuses."""
    def change(table, numbers):
        table["y"] = table["x"] * 2
        numbers.append(table["y"] + 1)
        return table["x"]
    table, numbers = {"x": fresh()}, []
    jitted = tl.jit(change)
    for _ in range(2):
        try:
            jitted(table, numbers)
        except tl.errors.TraceError:
            return
    assert table["y"].tolist() == [2.0, 4.0]
    assert len(numbers) == 2


def test_state_of_another_type_is_traced_anew():
    w = tl.tensor([1.0, 2.0])
    jitted = tl.jit(lambda a: a * w)
    jitted(X)
    w.array = np.array([[1.0], [2.0]])
    assert jitted(X).type == (X * w).type
    assert jitted(X).tolist() == [[1.0, 2.0], [2.0, 4.0]]


def test_threads_modes_and_devices_have_their_own_variants():
    jitted = tl.jit(lambda a: a * 2)
    x = fresh(True)
    assert jitted(x).requires_grad
    with tl.no_grad():
        assert not jitted(x).requires_grad
    assert jitted(x).requires_grad
    assert count(jitted) == 2


@pytest.mark.parametrize(("mask_axes", "value"), [
    (2, 0.0), (2, [5.0]), (1, 7), (1, [1.0, 2.0, 3.0]), (1, [[4.0]]), (1, [[4.0], [5.0]])])
def test_a_mask_that_is_only_known_later_assigns(mask_axes, value):
    """What needs no count of elements is as outside; a value for each picked element does need it."""
    def clip(x):
        y = x * 2
        mask = y > 1 if mask_axes == 2 else y.sum(1) > 1
        y[mask] = tl.tensor(value) if isinstance(value, list) else value
        return y
    x = tl.tensor([[-1.0, 0.2, 3.0], [0.1, 0.2, 0.1]])
    if np.size(value) == 2:
        with pytest.raises(TraceError, match="how many elements a mask picks"):
            tl.jit(clip)(x)
        return
    np.testing.assert_array_equal(tl.jit(clip)(x).numpy(), clip(x).numpy())
    total = lambda f: tl.grad(lambda x: (f(x) ** 2).sum())(x).numpy()
    np.testing.assert_array_equal(total(tl.jit(clip)), total(clip))
    batch = tl.stack([x, x + 1])
    np.testing.assert_array_equal(tl.vmap(clip)(batch).numpy(), tl.stack([clip(x), clip(x + 1)]).numpy())
