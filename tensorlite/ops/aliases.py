"""Functions by the names that PyTorch gives them: each row is the same function as one of the array API's."""

from __future__ import annotations

from tensorlite.declare import IN_PLACE, METHODS, PUBLIC
from tensorlite.ops import (  # noqa: F401  (they declare the functions)
    bounds,
    cumulative,
    distances,
    elementwise,
    join,
    linear,
    linear_algebra,
    manipulation,
    parts,
    piecewise,
    rectifiers,
    shape,
    statistics,
    torch_names,
)
from tensorlite.ops.indexing import slices  # noqa: F401
from tensorlite.ops.linear_algebra import linalg  # noqa: F401

#: PyTorch's name, and ours.
ALIASES = {
    "broadcast_tensors": "broadcast_arrays", "concatenate": "concat", "row_stack": "vstack", "swapdims": "swapaxes",
    "trapz": "trapezoid", "ger": "outer", "conj_physical": "conj", "narrow_copy": "narrow",
    "bmm": "matmul", "cat": "concat", "clamp": "clip", "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum", "mm": "matmul", "movedim": "moveaxis", "permute": "permute_dims",
    "transpose": "swapaxes", "unbind": "unstack", "unsqueeze": "expand_dims",
}

for _alias, _name in ALIASES.items():
    PUBLIC[_alias] = PUBLIC[_name]
    for _table in (METHODS, IN_PLACE):
        if _name in _table:
            _table[_alias] = _table[_name]
for _alias, _name in torch_names.ALIASES.items():
    PUBLIC[_alias] = PUBLIC[_name]

#: What PyTorch has both in `torch.nn.functional` and in its main namespace.
FUNCTIONAL = {
    distances: ("cosine_similarity", "pairwise_distance", "pdist"), linear: ("bilinear",), piecewise: ("hardshrink",),
    rectifiers: ("celu", "celu_", "prelu", "relu_", "rrelu", "rrelu_", "selu", "selu_", "threshold", "threshold_"),
}
for _module, _names in FUNCTIONAL.items():
    PUBLIC.update({name: getattr(_module, name) for name in _names})
METHODS.update(hardshrink=piecewise.hardshrink, prelu=rectifiers.prelu)
