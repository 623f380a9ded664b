"""Common divisors and multiples of integers."""

from __future__ import annotations

from tensorlite.declare import public
from tensorlite.ops import elementwise
from tensorlite.ops.complex_parts import pair_of
from tensorlite.ops.control_flow.control import while_loop
from tensorlite.ops.elementwise import equal, floor_divide, not_equal, remainder, where
from tensorlite.ops.indexing.search import any as any_of
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS


@public(in_place=True)
def gcd(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The greatest common divisors of integers, by Euclid's algorithm; of 0 and 0, 0. Raises `DTypeError` for others.

    >>> import tensorlite as tl
    >>> tl.gcd(tl.tensor([12, -7, 0]), tl.tensor([18, 3, 5]))
    tensor([6, 1, 5])
    """
    found, _ = while_loop(lambda pair: any_of(not_equal(pair[1], 0)), _euclid,
                          pair_of("gcd", x1, x2, GROUPS["integer"], "integer"))
    return elementwise.abs(found)


def _euclid(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """``(a, b)`` to ``(b, a mod b)``, where ``b`` is not 0 yet; modulo 0 is 0 here."""
    larger, smaller = pair
    done = equal(smaller, 0)
    return where(done, larger, smaller), where(done, smaller, remainder(larger, smaller))


@public(in_place=True)
def lcm(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The least common multiples of integers, 0 where either is 0. Raises `DTypeError` for other numbers.

    >>> import tensorlite as tl
    >>> tl.lcm(tl.tensor([4, 5, 0]), tl.tensor([6, -3, 5]))
    tensor([12, 15,  0])
    """
    x1, x2 = pair_of("lcm", x1, x2, GROUPS["integer"], "integer")
    return elementwise.abs(floor_divide(x1, gcd(x1, x2)) * x2)
