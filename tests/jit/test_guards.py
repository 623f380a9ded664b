"""What a jitted function read from Python may change: the next call gives what eager gives, never the old answer."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import sys
import types

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, optim

X = tl.tensor([1.0, 2.0])

RATE = 2.0
CONFIG = {"rate": 2.0, "deep": {"rate": 2.0, "list": [1.0, 2.0]}}
NUMBERS = [1.0, 2.0]
NESTED = [[1.0], [2.0]]
NAMES = {"a"}
MANY = [float(k) for k in range(200)]
QUEUE = collections.deque([1.0, 2.0])
ARRAY = np.array([1.0, 2.0])
SPACE = types.SimpleNamespace(rate=2.0, inner=types.SimpleNamespace(rate=2.0))
WEIGHT = tl.tensor([1.0, 1.0])
WEIGHTS = [tl.tensor([1.0, 1.0]), tl.tensor([2.0, 2.0])]
TABLE = {"w": tl.tensor([1.0, 1.0])}
SETTINGS = types.ModuleType("settings")
SETTINGS.rate = 2.0


class Mode(enum.Enum):
    SLOW = 2.0
    FAST = 3.0


MODE = Mode.SLOW


class Scale:
    rate = 2.0

    def __init__(self):
        self.own = 2.0

    def by_class(self, x):
        return x * self.rate

    def by_object(self, x):
        return x * self.own

    def __call__(self, x):
        return x * self.own

    @property
    def doubled(self):
        return 2 * self.own


@dataclasses.dataclass
class Options:
    rate: float = 2.0
    scale: Scale = dataclasses.field(default_factory=Scale)


OBJECT = Scale()
OPTIONS = Options()


def helper(x):
    return x * RATE


def other_helper(x):
    return x + 100.0


def doubling(function):
    @functools.wraps(function)
    def twice(x):
        return 2 * function(x)
    return twice


@doubling
def decorated(x):
    return x * RATE


def assign(name, value):
    """The change that binds a global of this module to another value."""
    return lambda: globals().update({name: value})


class Switch(nn.Module):
    def forward(self, x):
        return x + 1 if self.training else x


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = 2.0
        self.config = {"rate": 2.0}
        self.numbers = [1.0]
        self.options = Options()
        self.linear = nn.Linear(2, 2)
        self.layers = nn.ModuleList([nn.Linear(2, 2), Switch()])

    def forward(self, x):
        x = self.linear(x) * self.rate * self.config["rate"] * self.numbers[0] * self.options.rate
        for layer in self.layers:
            x = layer(x)
        return x * 2 if self.training else x


def closure(kind):
    number, numbers, table, layer = 2.0, [2.0], {"rate": 2.0}, Layer()

    def rebind():
        nonlocal number
        number = 3.0
    functions = {"number": lambda x: x * number, "list": lambda x: x * numbers[0], "dict": lambda x: x * table["rate"],
                 "module": lambda x: layer(x), "in a comprehension": lambda x: sum([x * number for _ in range(2)])}
    changes = {"number": rebind, "list": lambda: numbers.append(numbers.pop() + 1),
               "dict": lambda: table.update(rate=3.0), "module": lambda: setattr(layer, "rate", 5.0),
               "in a comprehension": rebind}
    return functions[kind], changes[kind]


def with_default(x, rate=2.0):
    return x * rate


#: By what changes: the function, and the change.
GLOBALS = {
    "number": (lambda x: x * RATE, assign("RATE", 3.0)),
    "type of a number": (lambda x: (x * 0 + 1).to(tl.int64) * RATE, assign("RATE", 2)),
    "number of a helper": (lambda x: helper(x), assign("RATE", 5.0)),
    "helper": (lambda x: helper(x), assign("helper", other_helper)),
    "decorated helper": (lambda x: decorated(x), assign("RATE", 7.0)),
    "dict's item": (lambda x: x * CONFIG["rate"], lambda: CONFIG.update(rate=3.0)),
    "dict's new item": (lambda x: x * len(CONFIG), lambda: CONFIG.update(new=1.0)),
    "item deep in a dict": (lambda x: x * CONFIG["deep"]["rate"], lambda: CONFIG["deep"].update(rate=3.0)),
    "list in a dict in a dict": (lambda x: x * sum(CONFIG["deep"]["list"]), lambda: CONFIG["deep"]["list"].append(3.0)),
    "list's item": (lambda x: x * NUMBERS[0], lambda: NUMBERS.__setitem__(0, 3.0)),
    "list's length": (lambda x: x * sum(NUMBERS), lambda: NUMBERS.append(5.0)),
    "list in a list": (lambda x: x * NESTED[0][0], lambda: NESTED[0].__setitem__(0, 7.0)),
    "set": (lambda x: x * len(NAMES), lambda: NAMES.add("b")),
    "long list's item": (lambda x: x * MANY[150], lambda: MANY.__setitem__(150, 1.0)),
    "deque's item": (lambda x: x * QUEUE[0], lambda: QUEUE.__setitem__(0, 3.0)),
    "array's element": (lambda x: x * float(ARRAY[0]), lambda: ARRAY.__setitem__(0, 3.0)),
    "array as a tensor": (lambda x: x * tl.asarray(ARRAY), lambda: ARRAY.__setitem__(0, 9.0)),
    "namespace's attribute": (lambda x: x * SPACE.rate, lambda: setattr(SPACE, "rate", 3.0)),
    "attribute's attribute": (lambda x: x * SPACE.inner.rate, lambda: setattr(SPACE.inner, "rate", 3.0)),
    "module's attribute": (lambda x: x * SETTINGS.rate, lambda: setattr(SETTINGS, "rate", 3.0)),
    "enumeration": (lambda x: x * MODE.value, assign("MODE", Mode.FAST)),
    "class attribute": (lambda x: x * Scale.rate, lambda: setattr(Scale, "rate", 3.0)),
    "class attribute by an object": (OBJECT.by_class, lambda: setattr(Scale, "rate", 4.0)),
    "object's attribute": (lambda x: OBJECT.by_object(x), lambda: setattr(OBJECT, "own", 3.0)),
    "object's property": (lambda x: x * OBJECT.doubled, lambda: setattr(OBJECT, "own", 4.0)),
    "object of a bound method": (OBJECT.by_object, lambda: setattr(OBJECT, "own", 5.0)),
    "object that is called": (OBJECT, lambda: setattr(OBJECT, "own", 6.0)),
    "dataclass's field": (lambda x: x * OPTIONS.rate, lambda: setattr(OPTIONS, "rate", 3.0)),
    "object in a dataclass": (lambda x: OPTIONS.scale(x), lambda: setattr(OPTIONS.scale, "own", 3.0)),
    "default": (with_default, lambda: setattr(with_default, "__defaults__", (4.0,))),
    "partial's keyword": (functools.partial(with_default, rate=3.0), None),
    "tensor": (lambda x: x * WEIGHT, assign("WEIGHT", tl.tensor([5.0, 5.0]))),
    "tensor's value": (lambda x: x * WEIGHT, lambda: WEIGHT.add_(1.0)),
    "tensor's element": (lambda x: x * WEIGHT, lambda: WEIGHT.__setitem__(0, 9.0)),
    "tensor in a list": (lambda x: x * WEIGHTS[0], lambda: WEIGHTS.__setitem__(0, tl.tensor([8.0, 8.0]))),
    "tensor in a dict": (lambda x: x * TABLE["w"], lambda: TABLE.update(w=tl.tensor([8.0, 8.0]))),
    **{f"closure's {kind}": closure(kind) for kind in ("number", "list", "dict", "module", "in a comprehension")},
}


def check_change(function, change, *arguments):
    """Before and after a change, and again, the compiled function gives the eager answer, which the change changed."""
    compiled = tl.jit(function)

    def agree():
        expected = function(*arguments).detach()
        for _ in range(2):
            found = compiled(*arguments).detach()
            assert found.type == expected.type
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
        return str(expected.type), expected.tolist()
    before = agree()
    if change is not None:
        change()
        assert agree() != before


@pytest.fixture
def world():
    """Puts back what a case changes in this module."""
    module = sys.modules[__name__]
    before = {name: getattr(module, name) for name in ("RATE", "MODE", "WEIGHT", "helper")}
    yield
    vars(module).update(before)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("what", GLOBALS)
def test_a_change_of_python_is_seen(what):
    check_change(*GLOBALS[what], X)


MODULES = {
    "attribute": lambda m: setattr(m, "rate", 3.0),
    "dict's item": lambda m: m.config.update(rate=3.0),
    "list's item": lambda m: m.numbers.__setitem__(0, 3.0),
    "object's attribute": lambda m: setattr(m.options, "rate", 3.0),
    "mode": lambda m: m.eval(),
    "mode of a layer": lambda m: m.layers[1].eval(),
    "layer": lambda m: setattr(m, "linear", nn.Linear(2, 2)),
    "layer of a list": lambda m: m.layers.__setitem__(0, nn.Linear(2, 2)),
    "one layer more": lambda m: m.layers.append(nn.Linear(2, 2)),
    "parameter": lambda m: setattr(m.linear, "weight", nn.Parameter(tl.ones((2, 2)))),
    "parameter's value": lambda m: m.linear.weight.detach_().mul_(2),
    "parameters": lambda m: m.load_state_dict({k: x + 1 for k, x in m.state_dict().items()}),
    "no bias": lambda m: setattr(m.linear, "bias", None),
    "hook": lambda m: m.linear.register_forward_hook(lambda module, given, made: made * 2),
}


@pytest.mark.parametrize("spelling", ["module", "function", "method"])
@pytest.mark.parametrize("what", MODULES)
def test_a_change_of_a_module_is_seen(what, spelling):
    tl.manual_seed(3)
    m = Layer()
    function = {"module": m, "function": lambda x: m(x), "method": m.forward}[spelling]
    check_change(function, lambda: MODULES[what](m), tl.tensor([[1.0, 2.0]]))


def test_a_hook_that_is_removed_is_not_called_again():
    m = Layer()
    jitted = tl.jit(m)
    handle = m.linear.register_forward_hook(lambda module, given, made: made * 2)
    x = tl.tensor([[1.0, 2.0]])
    assert jitted(x).tolist() == m(x).tolist()
    handle.remove()
    assert jitted(x).tolist() == m(x).tolist()


OPTIMIZERS = {
    "momentum": (optim.SGD, {"momentum": 0.9}, {"momentum": 0.5}),
    "weight decay": (optim.SGD, {"momentum": 0.9}, {"weight_decay": 0.1}),
    "nesterov": (optim.SGD, {"momentum": 0.9}, {"nesterov": True}),
    "maximize": (optim.SGD, {}, {"maximize": True}),
    "lr": (optim.SGD, {"momentum": 0.9}, {"lr": 0.5}),
    "lr of Adam": (optim.Adam, {}, {"lr": 0.5}),
    "betas": (optim.Adam, {}, {"betas": (0.5, 0.6)}),
    "eps": (optim.AdamW, {}, {"eps": 0.1}),
}


@pytest.mark.parametrize("what", OPTIMIZERS)
def test_a_change_of_an_optimizers_options_is_seen(what):
    kind, options, change = OPTIMIZERS[what]

    def run(wrap):
        p = nn.Parameter(tl.tensor([1.0, 2.0]))
        opt = kind([p], **{"lr": 0.1, **options})

        @wrap
        def step(x):
            opt.zero_grad()
            ((p * x) ** 2).sum().backward()
            opt.step()
        curve = []
        for number in range(6):
            if number == 3:
                for name, value in change.items():
                    opt.param_groups[0][name] = value
            step(X)
            curve.append(p.tolist())
        return curve
    np.testing.assert_allclose(run(tl.jit), run(lambda step: step), rtol=1e-5)


def test_a_group_added_later_is_optimized():
    def run(wrap):
        p, q = nn.Parameter(tl.tensor([1.0])), nn.Parameter(tl.tensor([2.0]))
        opt = optim.SGD([p], lr=0.1)

        @wrap
        def step():
            opt.zero_grad()
            (p * q).sum().backward()
            opt.step()
        step()
        opt.add_param_group({"params": [q], "lr": 0.5})
        step()
        step()
        return [p.item(), q.item()]
    np.testing.assert_allclose(run(tl.jit), run(lambda step: step), rtol=1e-6)


def test_a_decorated_method_sees_its_own_object():
    class Model:
        def __init__(self, rate):
            self.rate = rate

        @tl.jit
        def run(self, x):
            return x * self.rate

    first, second = Model(2.0), Model(5.0)
    assert first.run(X).tolist() == [2.0, 4.0]
    assert second.run(X).tolist() == [5.0, 10.0]
    first.rate = 3.0
    assert first.run(X).tolist() == [3.0, 6.0]
    assert second.run(X).tolist() == [5.0, 10.0]


def test_an_object_as_an_argument_is_read_anew():
    options = Options()
    scaled = tl.jit(lambda x, options, scale: x * options.rate * scale.own)
    assert scaled(X, options, OPTIONS.scale).tolist() == (X * options.rate * OPTIONS.scale.own).tolist()
    options.rate = 11.0
    assert scaled(X, options, OPTIONS.scale).tolist() == (X * 11.0 * OPTIONS.scale.own).tolist()
    scale = Scale()
    assert scaled(X, options, scale).tolist() == (X * 11.0 * 2.0).tolist()
    scale.own = 3.0
    assert scaled(X, options, scale).tolist() == (X * 11.0 * 3.0).tolist()


def test_what_did_not_change_compiles_nothing():
    model, opt = Layer(), None
    opt = optim.Adam(model.parameters())

    @tl.jit
    def step(x):
        loss = (model(x) * CONFIG["deep"]["rate"] * SPACE.inner.rate).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    x = tl.tensor([[1.0, 2.0]])
    for number in range(20):
        opt.param_groups[0]["lr"] = 0.1 / (1 + number)
        step(x)
        if number == 1:  # the first call found no gradients, the second did
            count = sum(map(len, step.variants.values()))
    assert sum(map(len, step.variants.values())) == count <= 2


def test_what_changed_back_is_not_compiled_again():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    compiled, x = tl.jit(model), tl.tensor([[1.0, 2.0]])
    for _ in range(5):
        compiled(x)
        model.eval()
        assert compiled(x).tolist() == model(x).tolist()
        model.train()
    assert sum(map(len, compiled.variants.values())) == 2


def test_two_tensors_of_one_array_part_when_one_is_changed():
    first = tl.tensor(np.ones((600, 600), np.float32))
    second = first.detach()
    step = tl.jit(lambda: (first.add_(1.0), second * 1)[1])
    for k in range(3):
        assert step()[0, 0].item() == 1.0
        assert (first[0, 0].item(), second[0, 0].item()) == (k + 2.0, 1.0)


def test_a_gradient_that_is_set_on_a_tensor_that_no_op_meets():
    source, target = tl.tensor([1.0, 2.0], requires_grad=True), tl.tensor([0.0, 0.0], requires_grad=True)

    @tl.jit
    def hand_over(x):
        target.grad = source.grad * x
        source.grad = None
        (source * source * x).sum().backward()
    (source * 3).sum().backward()
    for x, given, left in ((2.0, [6.0, 6.0], [4.0, 8.0]), (3.0, [12.0, 24.0], [6.0, 12.0])):
        hand_over(tl.tensor(x))
        assert target.grad.tolist() == given
        assert source.grad.tolist() == left


def test_what_the_library_makes_for_eager_ops_is_no_reason_to_trace_again():
    layer = tl.nn.LSTM(2, 3)

    def step(x):
        return tl.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))

    compiled, x = tl.jit(step), tl.ones((4, 1, 2))
    compiled(x)
    for dtype in (tl.float16, tl.float64, tl.bfloat16):  # kernels of these dtypes are made at their first use
        layer.to(dtype)
        step(x.to(dtype))
    layer.to(tl.float32)
    compiled(x)
    assert sum(map(len, compiled.variants.values())) == 1


@pytest.mark.parametrize("change", [lambda x: x.copy_(x + 3), lambda x: x.__iadd__(3), lambda x: x.__setitem__(0, 7.0)],
                         ids=["copy_", "+=", "[0] ="])
@pytest.mark.parametrize("read", [lambda x: x[:1].sum(), lambda x: x.numpy()[0], lambda x: x.tolist()[0],
                                  lambda x: np.asarray(x)[0]], ids=["op", "numpy", "tolist", "asarray"])
def test_elements_that_python_was_given_are_looked_at_again(read, change):
    held = tl.tensor([1.0, 2.0])
    run = tl.jit(lambda x: x * read(held))
    for _ in range(2):
        assert run(tl.tensor(2.0)).item() == 2.0
    change(held)
    assert run(tl.tensor(2.0)).item() == 2 * held.numpy()[0]
    assert run(tl.tensor(2.0)).item() == 2 * held.numpy()[0]


def test_numbers_of_closed_over_tensors_compile_once_for_each_value():
    held = tl.tensor(3)
    run = tl.jit(lambda x: x.sum() * held.item() + int(held))
    assert [run(tl.ones(2)).item() for _ in range(3)] == [9.0] * 3
    assert sum(map(len, run.variants.values())) == 1
    held.copy_(tl.tensor(4))
    assert [run(tl.ones(2)).item() for _ in range(3)] == [12.0] * 3
    assert sum(map(len, run.variants.values())) == 2
