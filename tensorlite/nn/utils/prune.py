"""Pruning: parameters of which a mask keeps a part, by PyTorch's names.

The parameter is kept, and trained, as ``name_orig``, its mask is the buffer ``name_mask``, and the name stands for
their product. What is pruned again loses a part of what is left.

>>> import tensorlite as tl
>>> layer = tl.nn.utils.prune.l1_unstructured(tl.nn.Linear(4, 2), "weight", amount=0.25)
>>> sorted(layer.state_dict()), int((layer.weight == 0).sum())
(['bias', 'weight_mask', 'weight_orig'], 2)
>>> sorted(tl.nn.utils.prune.remove(layer, "weight").state_dict())
['bias', 'weight']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.nn.utils.pruning_base import BasePruningMethod, PruningContainer, pruning_of
from tensorlite.nn.utils.pruning_methods import (
    Amount,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
)
from tensorlite.ops.filled import ones_like
from tensorlite.ops.join import concat
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor

__all__ = ["BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
           "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
           "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove"]

M = TypeVar("M", bound=Module)


def identity(module: M, name: str) -> M:
    """Makes a parameter a pruned one, of which nothing is pruned; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: M, name: str, amount: Amount) -> M:
    """Prunes elements of a parameter at random; returns the module.

    ``amount`` is a fraction in [0, 1] if it is a float, and a count if it is an int. Raises `ArgumentError` for others.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: M, name: str, amount: Amount, importance_scores: Tensor | None = None) -> M:
    """Prunes the elements of a parameter that are smallest, or whose scores are; returns the module.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Linear(3, 1, bias=False)
    >>> _ = tl.nn.init.constant_(layer.weight, 1.0)
    >>> scores = tl.tensor([[3.0, -1.0, 2.0]])
    >>> tl.nn.utils.prune.l1_unstructured(layer, "weight", 2, importance_scores=scores).weight.detach()
    tensor([[1., 0., 0.]])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: M, name: str, amount: Amount, dim: int) -> M:
    """Prunes channels of a parameter along an axis at random; returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: M, name: str, amount: Amount, n: Any, dim: int,
                  importance_scores: Tensor | None = None) -> M:
    """Prunes the channels of a parameter along an axis that are smallest in a norm; returns the module.

    ``n`` is the order of the norm: a number, ``"fro"`` or ``"nuc"``.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: M, name: str, mask: Tensor) -> M:
    """Prunes a parameter where a mask of its shape is zero; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
                        importance_scores: Mapping[tuple[Module, str], Tensor] | None = None, **kwargs: Any) -> None:
    """Prunes elements of many parameters, (module, name) each, as if they were one: the smallest of all, for example.

    ``kwargs`` are the method's. Raises `DTypeError` for methods that prune channels.

    >>> import tensorlite as tl
    >>> prune, a, b = tl.nn.utils.prune, tl.nn.Linear(2, 2), tl.nn.Linear(2, 1)
    >>> prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=3)
    >>> int((a.weight == 0).sum() + (b.weight == 0).sum())
    3
    """
    if not isinstance(parameters, Iterable):
        raise complaint(DTypeError, "global_unstructured",
                        f"parameters must be pairs of module and name, not {type(parameters).__name__}")
    if importance_scores is not None and not isinstance(importance_scores, Mapping):
        raise complaint(DTypeError, "global_unstructured",
                        f"importance_scores must be a dict, not {type(importance_scores).__name__}")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise complaint(DTypeError, "global_unstructured", "takes methods that prune elements, "
                        f"{type(method).__name__} is {method.PRUNING_TYPE}", None, "prune each parameter by it")
    pairs, given = list(parameters), importance_scores or {}
    if not pairs:
        raise complaint(ArgumentError, "global_unstructured", "there are no parameters")
    with no_grad():
        values = [getattr(module, name).detach() for module, name in pairs]
        masks = [getattr(module, f"{name}_mask", None) for module, name in pairs]
        scores = _flat([given.get(pair, value) for pair, value in zip(pairs, values, strict=True)])
        before = _flat([ones_like(x) if mask is None else mask for x, mask in zip(values, masks, strict=True)])
        mask = PruningContainer(method).compute_mask(scores, before)
    start = 0
    for (module, name), value in zip(pairs, values, strict=True):
        custom_from_mask(module, name, reshape(mask[start:start + value.size], value.shape))
        start += value.size


def _flat(tensors: list[Tensor]) -> Tensor:
    """The elements of some tensors in one row."""
    return concat([reshape(x, (-1,)) for x in tensors])


def remove(module: M, name: str) -> M:
    """Makes what is pruned a parameter again, with zeros for what the mask left out; returns the module.

    It is the parameter that was trained, so that an optimizer goes on with it. Raises `ArgumentError` where nothing is
    pruned.
    """
    method = pruning_of(module, name)
    if method is None:
        raise complaint(ArgumentError, "remove", f"{name} of {type(module).__name__} is not pruned")
    method.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether anything of a module, or of one within it, is pruned.

    >>> import tensorlite as tl
    >>> tl.nn.utils.prune.is_pruned(tl.nn.Linear(2, 1))
    False
    """
    return any(pruning_of(each, name) is not None
               for each in module.modules() for name in each.__dict__.get("_derived", ()))
