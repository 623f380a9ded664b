"""Optimizer: groups of parameters with their options, and the state kept for each parameter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from tensorlite import versions
from tensorlite.autograd import Handle
from tensorlite.backward import clear_grad
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError, complaint
from tensorlite.modes import run_with
from tensorlite.nn.hooks import register
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.optim.options import Group, Options
from tensorlite.optim.pairs import numbers_of, pairs_of, step_by_pairs
from tensorlite.optim.rule import replace
from tensorlite.optim.saved import saved, taken
from tensorlite.state import state as thread
from tensorlite.tape import is_leaf
from tensorlite.tensor import Tensor

Params = Iterable[Tensor] | Iterable[Mapping[str, Any]] | Iterable[tuple[str, Tensor]]
State = dict[str, Any]

_HOOKS = ("_step_pre_hooks", "_step_post_hooks", "_state_dict_pre_hooks", "_state_dict_post_hooks",
          "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


class Optimizer:
    """The base of all optimizers, which give a ``begin_state`` and an ``update`` of one parameter.

    `param_groups` is a list of dicts, the parameters under ``params`` beside the group's options; `state` holds what is
    kept for each parameter; `defaults` the options of groups that do not say otherwise. ``adjustable`` names options
    that a compiled step sees change without being compiled again: those that ``update`` reads by ``group.number``;
    ``only_real`` says that parameters cannot be complex, ``by_pairs`` that complex ones move as pairs of real numbers.

    With ``master_weights``, parameters of 16 bits have a copy in float32 in the state, ``master_param``: steps are made
    on it, with state in float32, and the parameter is its rounding (Micikevicius et al., 2018).

    ``foreach``, ``fused`` and ``capturable`` choose between implementations in PyTorch. Here all steps are fused and
    can be captured by `tl.jit`, so that any choice is taken, and changes nothing.
    """

    adjustable: ClassVar[tuple[str, ...]] = ()
    only_real: ClassVar[bool] = False
    by_pairs: ClassVar[bool] = False
    _step_pre_hooks: list[Callable[..., Any]]
    _step_post_hooks: list[Callable[..., Any]]
    _state_dict_pre_hooks: list[Callable[..., Any]]
    _state_dict_post_hooks: list[Callable[..., Any]]
    _load_state_dict_pre_hooks: list[Callable[..., Any]]
    _load_state_dict_post_hooks: list[Callable[..., Any]]

    def __init__(self, params: Params, defaults: dict[str, Any], master_weights: bool = False) -> None:
        if isinstance(params, Tensor):
            raise complaint(DTypeError, type(self).__name__,
                            "params must be an iterable of tensors or dicts, not one tensor", None,
                            "put it in a list")
        self.defaults, self.master_weights = defaults, master_weights
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        vars(self).update((name, []) for name in _HOOKS)
        given = list(params)
        if not given:
            raise complaint(ArgumentError, type(self).__name__, "there are no parameters")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)  # type: ignore[arg-type]

    # --- what optimizers give ---

    def check(self, group: Group) -> None:
        """Raises `ArgumentError` where an option of a group makes no sense."""

    def begin_state(self, p: Tensor, group: Group) -> State:
        """What is kept for a parameter before its first step."""
        return {}

    def update(self, p: Tensor, g: Tensor, state: State, group: Group) -> None:
        """Makes one parameter's step, given its gradient, its state and its group."""
        raise complaint(ArgumentError, type(self).__name__, "the optimizer has no update method", None,
                        "define update(self, p, g, state, group)")

    def shape_of(self, p: Tensor, key: str) -> tuple[int, ...] | None:
        """The shape that a tensor with dimensions in a parameter's state must have, None where any will do."""
        return p.shape

    # --- groups ---

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Adds parameters, alone or with names, and options of their own."""
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise complaint(DTypeError, name, f"a group is a dict with 'params', not {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set | frozenset):
            raise complaint(DTypeError, name, "parameters need an order, which a set has not", None, "pass a list")
        params, named = self._without_names([params] if isinstance(params, Tensor) else list(params))
        self._check_params(params)
        group = Options({**self.defaults, **param_group, "params": params, **named})
        group.adjustable = self.adjustable
        self._check_group(group)
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            raise complaint(ArgumentError, name, "either all groups have names of parameters or none has")
        self.param_groups.append(group)
        versions.changed()

    def _without_names(self, params: list[Any]) -> tuple[list[Any], dict[str, list[str]]]:
        """Parameters, and what a group notes of their names."""
        pairs = [p for p in params if isinstance(p, tuple)]
        if not pairs:
            return params, {}
        if len(pairs) != len(params):
            raise complaint(ArgumentError, type(self).__name__, "some parameters have names and others have not")
        return [p for _, p in pairs], {"param_names": [name for name, _ in pairs]}

    def _check_params(self, params: list[Any]) -> None:
        name, held = type(self).__name__, {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise complaint(DTypeError, name, f"optimizes tensors, not {type(p).__name__}")
            if not is_leaf(p):
                raise complaint(GradientError, name, "only leaves can be optimized", {"p": p})
            if self.only_real and p.dtype.kind == "c":
                raise complaint(DTypeError, name, "parameters must be real", {"p": p},
                                "keep real and imaginary parts as parameters of their own")
            if id(p) in held:
                raise complaint(ArgumentError, name, "a parameter is given twice", {"p": p})
            held.add(id(p))

    def _check_group(self, group: Group) -> None:
        """Raises `ArgumentError` where an option makes no sense, those that choose implementations among them."""
        name = type(self).__name__
        if group.get("differentiable"):
            raise complaint(ArgumentError, name, "differentiable=True is not there: steps are not recorded", None,
                            "write the step in tensors, p - lr * tl.autograd.grad(loss, p, create_graph=True)[0]")
        if group.get("fused") and group.get("foreach"):
            raise complaint(ArgumentError, name, "fused and foreach cannot both be True")
        lr = group.get("lr")
        if isinstance(lr, Tensor) and lr.size != 1:
            raise complaint(ArgumentError, name, "lr must be a number, or a tensor of one element", {"lr": lr})
        self.check(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients, or makes them zero."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    # --- steps ---

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every parameter that has a gradient; a closure computes the loss first, which is returned."""
        if not self._step_pre_hooks and not self._step_post_hooks:
            return self._run(closure)
        arguments: tuple[Any, ...] = () if closure is None else (closure,)
        kwargs: dict[str, Any] = {}
        for hook in tuple(self._step_pre_hooks):
            changed = hook(self, arguments, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise complaint(DTypeError, "step_pre_hook", "a hook returns None or (arguments, kwargs)")
            arguments, kwargs = changed
        result = self._run(*arguments, **kwargs)
        for hook in tuple(self._step_post_hooks):
            hook(self, arguments, kwargs)
        return result

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else run_with(True, closure)
        if thread.read is not None:
            thread.read(self)
        run_with(False, self._step_all)
        return loss

    def _step_all(self) -> None:
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: Group) -> None:
        for p in group["params"]:
            grad = p.grad
            if grad is not None:
                self._step_one(p, grad, group)

    def _step_one(self, p: Tensor, g: Tensor, group: Group) -> None:
        if g.shape != p.shape:
            raise complaint(ShapeError, type(self).__name__, "a gradient has another shape than its parameter",
                            {"p": p, "grad": g})
        g = g.detach() if g.node is not None else g
        state = self.state[p]
        if not state:
            state.update(untraced(lambda: self._first_state(p, group)))
        master = state.get("master_param")
        if self.by_pairs and p.dtype.kind == "c":
            step_by_pairs(self, p, g, state, group)
        elif master is None:
            self.update(p, g, state, group)
        else:
            self.update(master, astype(g, master.dtype), state, group)
            replace(p, astype(master, p.dtype))

    def _first_state(self, p: Tensor, group: Group) -> State:
        wide = accumulator(p.dtype)
        if self.by_pairs and p.dtype.kind == "c":
            return numbers_of(self.begin_state(pairs_of(p.detach()), group))
        if not self.master_weights or wide == p.dtype:
            return self.begin_state(p, group)
        master = astype(p.detach(), wide)
        return {"master_param": master, **self.begin_state(master, group)}

    def seen(self) -> tuple[Any, ...]:
        """What a step asks of Python: options and hooks; values that change are told by `versions`."""
        options = [pair for group in self.param_groups for pair in group.seen()]
        return *options, *(id(hook) for hook in (*self._step_pre_hooks, *self._step_post_hooks))

    # --- state ---

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, parameters as their numbers: PyTorch's layout."""
        for hook in tuple(self._state_dict_pre_hooks):
            hook(self)
        found = saved(self.state, self.param_groups)
        for hook in tuple(self._state_dict_post_hooks):
            changed = hook(self, found)
            found = found if changed is None else changed
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the state and the options of a dict that `state_dict` gave, or PyTorch's; its values may be arrays.

        Raises `ArgumentError` where groups, parameters or shapes do not fit, and changes nothing then.
        """
        state_dict = dict(state_dict)
        for hook in tuple(self._load_state_dict_pre_hooks):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        state, groups = taken(self, state_dict)
        self.state = defaultdict(dict, state)
        for own, options in zip(self.param_groups, groups, strict=True):
            own.update(options)
        versions.changed()
        for hook in tuple(self._load_state_dict_post_hooks):
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _HOOKS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: [] for name in _HOOKS} | state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # --- hooks ---

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls ``hook(optimizer, arguments, kwargs)`` before `step`; what it returns replaces these two."""
        return register(self._step_pre_hooks, hook, False)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls ``hook(optimizer, arguments, kwargs)`` after `step`."""
        return register(self._step_post_hooks, hook, False)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(optimizer)`` before `state_dict` is made."""
        return register(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(optimizer, state_dict)`` with what `state_dict` made; what it returns replaces that."""
        return register(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(optimizer, state_dict)`` before it is loaded; what it returns is loaded instead."""
        return register(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(optimizer)`` after a state dict was loaded."""
        return register(self._load_state_dict_post_hooks, hook, prepend)


def untraced(create: Callable[[], Any]) -> Any:
    """What is created now even if a step is being traced: state that begins, rather than what a step computes."""
    before, thread.interpreter = thread.interpreter, None
    try:
        return create()
    finally:
        thread.interpreter = before


def check_at_least_zero(name: str, group: Group, *options: str) -> None:
    """Raises `ArgumentError` for an option that is negative or no number."""
    for option in options:
        value = group[option].item() if isinstance(group[option], Tensor) else group[option]
        if not value >= 0.0:
            raise complaint(ArgumentError, name, f"{option} must not be negative, it is {value}")


def check_betas(name: str, group: Group) -> None:
    """Raises `ArgumentError` for a share of a running mean that is not in [0, 1)."""
    for number, beta in enumerate(group["betas"]):
        if not 0.0 <= beta < 1.0:
            raise complaint(ArgumentError, name, f"betas[{number}] must be in [0, 1), it is {beta}")
