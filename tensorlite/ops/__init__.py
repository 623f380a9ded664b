"""The ops, by family; importing this folder declares them all."""

from tensorlite.ops import creation, elementwise, index, linalg, reduce, shape, torch_names
