"""The ops, by family; importing this folder declares them all."""

from tensorlite.ops import (
    bounds,
    complex_numbers,
    creation,
    cumulative,
    elementwise,
    extremes,
    filled,
    index,
    info,
    join,
    linalg,
    manipulation,
    ranges,
    reduce,
    shape,
    torch_names,
)
