"""The ops, by family; importing this folder declares them all."""

from tensorlite.ops import (
    creation,
    elementwise,
    extremes,
    filled,
    index,
    join,
    linalg,
    ranges,
    reduce,
    shape,
    torch_names,
)
