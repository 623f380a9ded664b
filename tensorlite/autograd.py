"""What users of PyTorch know as autograd: `backward`, hooks, `grad`, and functions with their own derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tensorlite import errors, versions
from tensorlite.backward import Keep, backward
from tensorlite.backward import gradients as grad
from tensorlite.custom import Function
from tensorlite.declare import PUBLIC
from tensorlite.dispatch import apply
from tensorlite.gradcheck import gradcheck, gradgradcheck
from tensorlite.modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from tensorlite.op import OPS
from tensorlite.ops.creation import require_grad
from tensorlite.state import state
from tensorlite.tape import Leaf, Node, Output, is_leaf
from tensorlite.tensor import Tensor, link_view

__all__ = ["Function", "Handle", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck",
           "inference_mode", "no_grad", "set_grad_enabled"]


class Handle:
    """What registering a hook returns: `remove` takes the hook out again."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks, self._hook = hooks, functools.partial(hook)  # the same hook may be registered twice
        hooks.append(self._hook)

    def remove(self) -> None:
        """Takes the hook out; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)
            versions.changed()

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
    node = _node(self, "retain_grad")
    if not isinstance(node, Leaf) and not any(isinstance(hook, Keep) for hook in node.hooks or ()):
        node.hooks = [] if node.hooks is None else node.hooks
        node.hooks.append(Keep(self))


def _retains_grad(self: Tensor) -> bool:
    """Whether `backward` fills ``.grad`` of this tensor though it is not a leaf."""
    return not is_leaf(self) and any(isinstance(hook, Keep) for hook in self.node.hooks or ())


def detach(self: Tensor) -> Tensor:
    """The same value without its tape."""
    if state.met is not None:  # a trace knows of what its ops make
        return apply(OPS["stop_gradient"], self)
    result = Tensor(_constant(self.array))
    link_view(result, self)
    return result


def _get_data(self: Tensor) -> Tensor:
    """The value without its tape; a value that is assigned to it, of the same shape and dtype, is not taped."""
    return detach(self)


def _set_data(self: Tensor, value: Tensor) -> None:
    if not isinstance(value, Tensor) or value.type != self.type:
        raise errors.complaint(errors.ShapeError, "data", "a tensor keeps its shape, dtype and device",
                               {"x": self, "value": value}, "make a new tensor, or a new nn.Parameter")
    if state.met is not None:
        state.met(self)
    self.array, self.bases = _constant(value.array), ()


def _constant(array: Any) -> Any:
    """What a tensor without a tape holds: inside vmap, a tensor without one too."""
    return array.constant() if hasattr(array, "constant") else array


def detach_(self: Tensor) -> Tensor:
    """Forgets the tape; the tensor becomes a constant."""
    self.array, self.node = _constant(self.array), None
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
    if node is None or isinstance(node, Leaf):
        return None
    maker: Any = node.parents[0] if type(node) is Output else node
    return maker.plan.op.name


PUBLIC["detach"] = detach

TENSOR_MEMBERS: dict[str, Any] = {
    "backward": backward, "register_hook": register_hook, "retain_grad": retain_grad, "detach": detach,
    "detach_": detach_, "requires_grad_": requires_grad_, "is_leaf": property(is_leaf),
    "requires_grad": property(_get_requires_grad, _set_requires_grad), "grad_fn": property(_grad_fn),
    "data": property(_get_data, _set_data), "retains_grad": property(_retains_grad),
    "register_post_accumulate_grad_hook": register_post_accumulate_grad_hook,
}
