"""Linear algebra: equations, determinants, decompositions, functions and norms of (stacks of) matrices.

What `tensorlite.linalg` offers is named in the ``__all__`` of a family's file, and nowhere else.
"""

from tensorlite.ops.linear_algebra import (
    determinants,
    eigen,
    elimination,
    functions,
    householder,
    norms,
    products,
    singular,
    solve,
    triangular,
)
