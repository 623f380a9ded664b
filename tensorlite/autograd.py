"""What users of PyTorch know as autograd: `backward`, hooks, `grad`, and functions with their own derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.backward import backward
from tensorlite.backward import gradients as grad
from tensorlite.derivative import Rule
from tensorlite.dispatch import apply
from tensorlite.gradcheck import gradcheck, gradgradcheck
from tensorlite.modes import enable_grad, no_grad, set_grad_enabled
from tensorlite.op import OPS, Op
from tensorlite.ops.creation import require_grad
from tensorlite.state import state
from tensorlite.tape import Leaf, Node, Output, Plan, Step, is_leaf
from tensorlite.tensor import Tensor, link_view

__all__ = ["Function", "Handle", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck", "no_grad", "set_grad_enabled"]


class Handle:
    """What registering a hook returns: `remove` takes the hook out again."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks, self._hook = hooks, hook
        hooks.append(hook)

    def remove(self) -> None:
        """Takes the hook out; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _node(x: Tensor, caller: str) -> Node:
    if x.node is None:
        raise errors.complaint(errors.GradientError, caller, "the tensor does not require gradients", {"x": x},
                               "create it with requires_grad=True")
    return x.node


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """Calls ``hook(gradient)`` when the tensor's gradient is known; what it returns replaces the gradient."""
    node = _node(self, "register_hook")
    node.hooks = [] if node.hooks is None else node.hooks
    return Handle(node.hooks, hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Handle:
    """Calls ``hook(leaf)`` each time that `backward` has added to a leaf's ``.grad``."""
    node = _node(self, "register_post_accumulate_grad_hook")
    if not isinstance(node, Leaf):
        raise errors.complaint(errors.GradientError, "register_post_accumulate_grad_hook",
                               "only leaves accumulate gradients", {"x": self}, "use register_hook")
    return Handle(node.post_hooks, hook)


def retain_grad(self: Tensor) -> None:
    """Makes `backward` fill ``.grad`` of a tensor that is not a leaf."""
    if is_leaf(self):
        return
    def keep(g: Tensor) -> None:
        self.grad = g if self.grad is None else apply(OPS["add"], self.grad, g)
    register_hook(self, keep)


def detach(self: Tensor) -> Tensor:
    """The same value without its tape."""
    result = Tensor(self.array)
    link_view(result, self)
    return result


def detach_(self: Tensor) -> Tensor:
    """Forgets the tape; the tensor becomes a constant."""
    self.node = None
    return self


def _get_requires_grad(self: Tensor) -> bool:
    """Whether `backward` can reach the tensor; set it on a leaf to ask for its gradient."""
    return self.node is not None


def _set_requires_grad(self: Tensor, value: bool) -> None:
    if not is_leaf(self) and not value:
        raise errors.complaint(errors.GradientError, "requires_grad", "only a leaf can stop requiring gradients",
                               {"x": self}, "use x.detach()")
    require_grad(self, value)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Sets ``requires_grad`` and returns the tensor."""
    _set_requires_grad(self, requires_grad)
    return self


def _grad_fn(self: Tensor) -> str | None:
    """The name of the op that made a recorded tensor, or None for leaves and constants."""
    node = self.node
    if node is None or type(node) is Leaf:
        return None
    node = node.parents[0] if type(node) is Output else node
    return node.plan.op.name


class Context:
    """What a custom function's forward leaves for its backward."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._tensors: tuple[Tensor | None, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors as they are now."""
        self._tensors = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors that were saved, in order."""
        return self._tensors


class Function:
    """A function with its own derivative, as PyTorch's `torch.autograd.Function`.

    Subclasses give ``forward(context, *arguments)`` and ``backward(context, *cotangents)``, both static; ``backward``
    returns one cotangent (or None) an argument. It is recorded itself where higher derivatives are asked for.

    >>> import tensorlite as tl
    >>> class Double(tl.autograd.Function):
    ...     @staticmethod
    ...     def forward(context, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(context, g):
    ...         return g * 2
    >>> x = tl.tensor(3.0, requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad
    tensor(2.)
    """

    @staticmethod
    def forward(context: Context, *arguments: Any, **kwargs: Any) -> Any:
        """Computes the value."""
        raise TypeError("a Function needs a static method forward(context, *arguments)")

    @staticmethod
    def backward(context: Context, *cotangents: Tensor) -> Any:
        """Computes the arguments' cotangents."""
        raise TypeError("a Function needs a static method backward(context, *cotangents)")

    @classmethod
    def apply(cls, *arguments: Any, **kwargs: Any) -> Any:
        """Calls `forward`, recording that `backward` gives its derivative."""
        nodes = [x.node if isinstance(x, Tensor) else None for x in arguments]
        context = Context(tuple(node is not None for node in nodes))
        with no_grad():
            result = cls.forward(context, *arguments, **kwargs)
        if not state.recording or not any(context.needs_input_grad):
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        arrays = tuple(y.array for y in outputs)
        node = Node(_custom_plan(cls, context), nodes, (), {}, (), arrays[0].dtype)
        node.attributes = {"_outputs": tuple((a.shape, a.dtype) for a in arrays), "arguments": len(arguments)}
        made = tuple(Tensor(a, Output(node, i, a)) for i, a in enumerate(arrays))
        recorded = dict(zip(map(id, outputs), made, strict=True))
        context.save_for_backward(*(recorded.get(id(x), x) for x in context.saved_tensors))
        return made if isinstance(result, tuple) else made[0]


def _custom_plan(function: type[Function], context: Context) -> Plan:
    """A plan whose rules share one call of the function's backward."""
    last: tuple[Any, Sequence[Any]] = (None, ())

    def cotangent(g: tuple[Tensor, ...], index: int) -> Any:
        nonlocal last
        if last[0] is not g:
            given = function.backward(context, *g)
            last = g, given if isinstance(given, tuple) else (given,)
        given = last[1]
        if len(given) != len(context.needs_input_grad):
            raise errors.complaint(
                errors.GradientError, function.__name__,
                f"backward returned {len(given)} cotangents for {len(context.needs_input_grad)} arguments")
        return given[index]

    op = Op(name=function.__name__, kind="opaque", body=function.forward, inputs=("arguments",), variadic=True)
    rule = Rule(cotangent, ("g", "index"))
    steps = tuple(Step(i, rule, (("g", None), ("index", None))) for i, n in enumerate(context.needs_input_grad) if n)
    return Plan(op, (), False, steps)


TENSOR_MEMBERS: dict[str, Any] = {
    "backward": backward, "register_hook": register_hook, "retain_grad": retain_grad, "detach": detach,
    "detach_": detach_, "requires_grad_": requires_grad_, "is_leaf": property(is_leaf),
    "requires_grad": property(_get_requires_grad, _set_requires_grad), "grad_fn": property(_grad_fn),
    "register_post_accumulate_grad_hook": register_post_accumulate_grad_hook,
}
