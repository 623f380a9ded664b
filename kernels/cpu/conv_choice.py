"""Which algorithm a layer of 3 x 3 filters is computed by: tiles of one size, or windows; and why.

Where the candidates were measured (`tuning`), the fastest is taken, and else the one that a model of the machine takes
to be. Tiles that are not exact enough are none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tensorlite.kernels.cpu import tuning, winograd
from tensorlite.kernels.stage import Array, Plan


class Choice(int):
    """The extent of tiles of results, 0 for windows; ``why`` is what spoke for it.

    >>> Choice(4, "measured"), Choice(4, "measured").why
    (4, 'measured')
    """

    why: str

    def __new__(cls, tile: int, why: str = "") -> Choice:
        """Make the number; what spoke for it goes along."""
        choice = super().__new__(cls, tile)
        choice.why = why
        return choice

    def noted(self, plan: Plan) -> Plan:
        """Return a plan whose last stage says why."""
        *others, last = plan.stages
        return replace(plan, stages=(*others, replace(last, note=self.why))) if self.why else plan


def choose(
    op: str, layer: winograd.Layer, arrays: tuple[Array, Array, Array], planner: Callable[..., Plan | None],
    geometry: Mapping[str, Any],
) -> Choice:  # fmt: skip
    """Return the choice for a layer: of two inputs and an output, planned by ``planner`` with a ``tile``."""
    dtype = arrays[0].dtype
    tiles = [m for m in winograd.TILES if winograd.takes(layer, dtype, m)]
    if not tiles:
        return Choice(0, _too_inexact(layer) if winograd.fits(layer, dtype) else "")
    ways = (Array.contiguous, Array.channels_last)
    *inputs, output = (ways[x.is_channels_last](x.dtype, x.shape) for x in arrays)
    plans = {str(m): partial(planner, *inputs, [output], tile=m, **geometry) for m in (0, *tiles)}
    what = f"{op} {[x.shape for x in arrays]} {layer.last} {sorted(geometry.items())}"
    counted = frozenset((0,)) if layer.kept else frozenset()
    measured = tuning.times(what, plans, inputs, output, counted)
    if measured is not None:
        times, how = {int(m): seconds * 1e9 for m, seconds in measured.items()}, "measured"
    else:
        times, how = winograd.modelled(layer, dtype), "by the model of the machine"
    ordered = sorted(times, key=times.__getitem__)
    found = ", ".join(f"{_name(m)} {times[m] / 1e3:.0f} us" for m in ordered)
    return Choice(ordered[0], "; ".join(filter(None, (f"{how}: {found}", _too_inexact(layer)))))


def _name(m: int) -> str:
    return f"{m}x{m} tiles" if m else "windows"


def _too_inexact(layer: winograd.Layer) -> str:
    """Say which tiles are left out because of their error."""
    found = {m: winograd.error(m, winograd.R, layer.depth) for m in winograd.TILES}
    return ", ".join(
        f"{_name(m)} are not exact enough: {x:.1e} > {winograd.LIMIT}" for m, x in found.items() if x > winograd.LIMIT
    )
