"""Which algorithm a layer of 3 x 3 filters of bytes is computed by: tiles, or windows; both are exact.

Where both were measured (`tuning`), the faster is taken, and else the one that a model of the machine takes to be:
products of 16 bits are worth their transforms where there is no instruction for products of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import int8_winograd, tuning
from tensorlite.kernels.cpu.conv_choice import Choice
from tensorlite.kernels.cpu.int8_images import Windows
from tensorlite.kernels.generated import gemm_loops
from tensorlite.kernels.generated.int8_winograd_parts import PRODUCTS, TILE
from tensorlite.kernels.llvm import target
from tensorlite.kernels.stage import Array, Plan

_INT32 = np.dtype(np.int32)


@dataclass(frozen=True, slots=True)
class Costs:
    """A model of the machine: nanoseconds of one thread for each vector of int32, of 256 bits or of 512 (measured)."""

    quads: float = 0.38  # products of four bytes, which are widened first
    quads_at_once: float = 0.135  # the same by one instruction
    pairs: float = 0.155  # products of two numbers of 16 bits
    data: float = 1.2  # transformed pixels, of two channels
    sums: float = 0.45  # sums that are transformed back
    filters: float = 0.7  # transformed taps, of two channels
    sorting: float = 0.4  # a quad, no vector, that is copied to its phase
    begun: float = 3000.0  # a layer, once: tables and short loops


COSTS = Costs()


def choose(window: Windows, inputs: Sequence[Array], output: Array, planner: Callable[..., Plan | None],
           kept: bool, options: Mapping[str, Any]) -> Choice:  # fmt: skip
    """Return the choice for a layer, which is planned by ``planner`` with a ``tile``.

    What is made of filters costs nothing where it is ``kept``.
    """
    if not int8_winograd.takes(window, "weight_zero_point" in options["extras"]):
        return Choice(0)
    inputs = [Array.contiguous(x.dtype, x.shape) for x in inputs]
    plans = {str(m): partial(planner, inputs, [output], tile=m, **options) for m in (0, TILE)}
    what = f"quantized_conv2d {[(x.dtype.name, x.shape) for x in (*inputs, output)]} {kept} {sorted(options.items())}"
    measured = tuning.times(what, plans, inputs, output, frozenset((0,)) if kept else frozenset())
    if measured is None:
        times, how = modelled(window, inputs[0].shape[0], kept), "by the model of the machine"
    else:
        times, how = {int(m): seconds * 1e9 for m, seconds in measured.items()}, "measured"
    ordered = sorted(times, key=times.__getitem__)
    names = {0: "windows", TILE: f"{TILE}x{TILE} tiles in 16 bits"}
    return Choice(ordered[0], f"{how}: " + ", ".join(f"{names[m]} {times[m] / 1e3:.0f} us" for m in ordered))


def modelled(window: Windows, images: int, kept: bool) -> dict[int, float]:
    """Return about how many nanoseconds one thread takes: by windows, 0, and by tiles."""
    filters, lanes = window.filters, gemm_loops.schedule(_INT32).square
    tiles = images * prod(int8_winograd.tiled(window).counts)
    vectors, pairs = -(-filters.m // lanes), 2 * filters.quads * PRODUCTS
    quads = COSTS.quads_at_once if lanes in target.host().dots else COSTS.quads
    transforming = COSTS.begun + tiles * (pairs * COSTS.data / lanes + PRODUCTS * vectors * COSTS.sums)
    transforming += tiles * TILE * TILE * filters.quads * COSTS.sorting
    transforming += 0.0 if kept else pairs * vectors * COSTS.filters
    return {
        0: images * prod(window.counts) * filters.quads * filters.taps * vectors * quads,
        TILE: tiles * pairs * vectors * COSTS.pairs + transforming,
    }
