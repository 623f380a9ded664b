"""Linear algebra: the array API's `linalg` extension, and what PyTorch has beside it.

A function is named in the ``__all__`` of its family's file, and nowhere else.

>>> import tensorlite as tl
>>> tl.linalg.solve(tl.tensor([[2.0, 0.0], [0.0, 4.0]]), tl.tensor([2.0, 8.0]))
tensor([1., 2.])
"""

from tensorlite.errors import LinAlgError
from tensorlite.ops.linear_algebra.determinants import *
from tensorlite.ops.linear_algebra.eigen import *
from tensorlite.ops.linear_algebra.elimination import *
from tensorlite.ops.linear_algebra.functions import *
from tensorlite.ops.linear_algebra.householder import *
from tensorlite.ops.linear_algebra.linalg import matmul, matrix_transpose, tensordot, vecdot
from tensorlite.ops.linear_algebra.norms import *
from tensorlite.ops.linear_algebra.products import *
from tensorlite.ops.linear_algebra.singular import *
from tensorlite.ops.linear_algebra.solve import *
from tensorlite.ops.linear_algebra.triangular import *
