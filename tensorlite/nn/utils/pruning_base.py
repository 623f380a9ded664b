"""What methods of pruning share: a parameter is kept as ``name_orig``, and its name is its product with a mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, AxisError, DTypeError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.ops.elementwise import not_equal
from tensorlite.ops.filled import ones_like
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["BasePruningMethod", "PruningContainer"]


class BasePruningMethod(ABC):
    """The base of methods of pruning, which give a ``compute_mask``.

    ``PRUNING_TYPE`` says what a method sees of a parameter that was pruned before: of an ``"unstructured"`` one the
    elements that are left, of a ``"structured"`` one the channels along its ``dim`` that are, of a ``"global"`` one
    everything. The pruned parameter is computed anew whenever it is read, so that what is trained is ``name_orig``.

    >>> import tensorlite as tl
    >>> class Last(tl.nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return tl.arange(t.size).reshape(t.shape) < t.size - 1
    >>> layer = tl.nn.Linear(2, 1)
    >>> _ = Last.apply(layer, "weight")
    >>> layer.weight_mask
    tensor([[1., 0.]])
    """

    PRUNING_TYPE: ClassVar[str] = "global"
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of a tensor: zero where it is pruned, of its shape, on top of what was pruned before."""

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None,
              **kwargs: Any) -> BasePruningMethod:
        """Prunes a parameter of a module by the method with these options, on top of what was pruned before.

        ``importance_scores`` are judged in place of the parameter's own elements. Raises `ShapeError` where they have
        another shape, and `ArgumentError` where the module has no such parameter.
        """
        method = cls(*args, **kwargs)
        method._tensor_name = name
        before = pruning_of(module, name)
        original = module._parameters.get(name if before is None else f"{name}_orig")
        if original is None:
            raise complaint(ArgumentError, cls.__name__, f"{type(module).__name__} has no parameter {name!r}")
        scores = getattr(module, name).detach() if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise complaint(ShapeError, cls.__name__, f"importance_scores have another shape than {name}",
                            {"importance_scores": scores, name: original})
        whole = method if before is None else PruningContainer(*before.methods(), method)
        mask = ones_like(original.detach()) if before is None else getattr(module, f"{name}_mask")
        with no_grad():
            mask = astype(whole.compute_mask(scores.detach(), mask.clone()), original.dtype)
        if before is None:
            module.derive(name, whole)
            module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
        else:
            module.derive(name, whole)
            setattr(module, f"{name}_mask", mask)
        return whole

    def apply_mask(self, module: Module) -> Tensor:
        """The product of the original parameter and the mask."""
        name = getattr(self, "_tensor_name", None)
        if name is None or f"{name}_mask" not in module._buffers:
            raise complaint(ArgumentError, type(self).__name__, f"{type(module).__name__} was not pruned by it")
        original = getattr(module, f"{name}_orig")
        return astype(getattr(module, f"{name}_mask"), original.dtype, copy=False) * original

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor with zeros where the method prunes it, on top of ``default_mask``; no module is touched."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise complaint(ShapeError, type(self).__name__, "importance_scores have another shape than t",
                            {"importance_scores": scores, "t": t})
        mask = ones_like(t.detach()) if default_mask is None else default_mask
        with no_grad():
            mask = astype(self.compute_mask(scores.detach(), mask.clone()), t.dtype)
        return t * mask

    def remove(self, module: Module) -> None:
        """Makes what is pruned of a module a parameter again, the one that was trained, its pruned elements zero."""
        value = self.apply_mask(module).detach()
        name, original = self._tensor_name, getattr(module, f"{self._tensor_name}_orig")
        with no_grad():
            original.copy_(value)
        module.derive(name, None)
        delattr(module, f"{name}_orig")
        delattr(module, f"{name}_mask")
        module.register_parameter(name, original)

    def methods(self) -> tuple[BasePruningMethod, ...]:
        """The methods that it is made of."""
        return (self,)

    # --- in the place of a parameter (`Derived`) ---

    def compute(self, module: Module) -> Tensor:
        """The attribute's value."""
        return self.apply_mask(module)

    def assign(self, module: Module, value: Any) -> None:
        """Raises `ArgumentError`: what is pruned follows from its parts."""
        name = self._tensor_name
        raise complaint(ArgumentError, type(module).__name__, f"{name} is computed from {name}_orig and {name}_mask",
                        None, f"set these, or prune.remove(module, {name!r}) first")


class PruningContainer(BasePruningMethod):
    """Several methods, of which each prunes what the ones before it have left.

    >>> import tensorlite as tl
    >>> prune, layer = tl.nn.utils.prune, tl.nn.Linear(4, 2)
    >>> _ = prune.l1_unstructured(layer, "weight", 2)
    >>> _ = prune.l1_unstructured(layer, "weight", 0.5)
    >>> int(layer.weight_mask.sum())
    3
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Adds a method, which must be of the parameter that the others are of."""
        if not isinstance(method, BasePruningMethod):
            raise complaint(DTypeError, "PruningContainer",
                            f"takes objects of BasePruningMethod, not {type(method).__name__}")
        given, own = (getattr(each, "_tensor_name", None) for each in (method, self))
        if own is not None and given is not None and given != own:
            raise complaint(ArgumentError, "PruningContainer",
                            f"the methods are of {own!r}, and one more is of {given!r}", None,
                            "make a container for each parameter")
        if own is None and given is not None:
            self._tensor_name = given
        self._pruning_methods += (method,)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last method, on top of ``default_mask``, which the others are said to have left."""
        method, mask = self._pruning_methods[-1], astype(default_mask, t.dtype)
        where = _left(method, t, mask)
        mask[where] = astype(method.compute_mask(t[where], mask[where]), mask.dtype)
        return mask

    def methods(self) -> tuple[BasePruningMethod, ...]:
        """The methods in their order."""
        return self._pruning_methods

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]


def _left(method: BasePruningMethod, t: Tensor, mask: Tensor) -> Any:
    """The index of what a method sees of a tensor of which a part is pruned."""
    if method.PRUNING_TYPE == "unstructured":
        return not_equal(mask, 0)
    if method.PRUNING_TYPE == "global":
        return ...
    if method.PRUNING_TYPE != "structured":
        raise complaint(ArgumentError, type(method).__name__, "PRUNING_TYPE must be 'unstructured', 'structured' or "
                        f"'global', not {method.PRUNING_TYPE!r}")
    axis = channel_axis(method, t, method.dim)  # type: ignore[attr-defined]
    kept = not_equal(sum(mask, axis=tuple(i for i in range(t.ndim) if i != axis)), 0)
    return (*[slice(None)] * axis, kept)


def channel_axis(method: BasePruningMethod, t: Tensor, dim: int) -> int:
    """The axis of channels, counted from the first."""
    if t.ndim <= 1:
        raise complaint(ShapeError, type(method).__name__, "channels are pruned of tensors of two axes or more",
                        {"t": t}, "prune its elements")
    if not -t.ndim <= dim < t.ndim:
        raise complaint(AxisError, type(method).__name__, f"there is no axis {dim}", {"t": t})
    return dim % t.ndim


def pruning_of(module: Module, name: str) -> BasePruningMethod | None:
    """The method by which an attribute of a module is pruned, if it is."""
    found = module.__dict__.get("_derived", {}).get(name)
    return found if isinstance(found, BasePruningMethod) else None
