"""The search along a line for a point that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tensorlite.tensor import Tensor

#: How much of the decrease that the slope promises is enough, and how much of the slope may be left.
_DECREASE, _CURVATURE = 1e-4, 0.9
#: How close to the end of its interval a trial may come, as a share of that, before it is moved away.
_MARGIN = 0.1


@dataclass(frozen=True)
class Point:
    """A point on the line: how far along, the loss, its gradient and its slope along the line there."""

    at: float
    loss: float
    gradient: Tensor
    slope: float


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, first: float, longest: float, tolerance: float,
                 most: int) -> tuple[Point, int]:
    """A point on the line where loss and slope are low enough, and how often the loss was computed.

    The search begins with ``first`` and is given up after ``most`` trials, or where the interval is as small as
    ``tolerance`` in the element that is ``longest``: Nocedal and Wright, "Numerical Optimization", algorithms 3.5, 3.6.
    """
    before, point, trials = start, evaluate(first), 0
    bracket: list[Point] = []
    while trials < most:
        if _is_too_high(point, start) or (trials > 1 and point.loss >= before.loss):
            bracket = [before, point]
            break
        if abs(point.slope) <= -_CURVATURE * start.slope:
            return point, trials + 1
        if point.slope >= 0:
            bracket = [before, point]
            break
        low, high = point.at + 0.01 * (point.at - before.at), point.at * 10
        before, point = point, evaluate(_lowest_of_cubic(before, point, low, high))
        trials += 1
    return _zoom(evaluate, start, bracket or [start, point], longest, tolerance, most, trials)


def _is_too_high(point: Point, start: Point) -> bool:
    return point.loss > start.loss + _DECREASE * point.at * start.slope


def _zoom(evaluate: Callable[[float], Point], start: Point, bracket: list[Point], longest: float, tolerance: float,
          most: int, trials: int) -> tuple[Point, int]:
    """Narrows an interval that holds a point which will do."""
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    hesitated = False
    while trials < most and abs(bracket[1].at - bracket[0].at) * longest >= tolerance:
        ends = sorted(point.at for point in bracket)
        lowest = _lowest_of_cubic(bracket[0], bracket[1], ends[0], ends[1])
        at, hesitated = _kept_away(lowest, ends[0], ends[1], hesitated)
        point = evaluate(at)
        trials += 1
        if _is_too_high(point, start) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if abs(point.slope) <= -_CURVATURE * start.slope:
            return point, trials + 1
        if point.slope * (bracket[high].at - bracket[low].at) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
    return bracket[low], trials + 1


def _kept_away(at: float, least: float, most: float, hesitated: bool) -> tuple[float, bool]:
    """A trial that does not stay at an end of the interval, and whether it was near one."""
    margin = _MARGIN * (most - least)
    if min(most - at, at - least) >= margin:
        return at, False
    if not hesitated and least < at < most:
        return at, True
    return (most - margin if abs(at - most) < abs(at - least) else least + margin), False


def _lowest_of_cubic(one: Point, other: Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes is lowest, or the middle where it is nowhere."""
    left, right = (one, other) if one.at <= other.at else (other, one)
    length = right.at - left.at
    bend = one.slope + other.slope + 3 * (left.loss - right.loss) / length if length else math.nan
    square = bend * bend - one.slope * other.slope
    if not square >= 0:
        return (least + most) / 2
    root = math.sqrt(square)
    turn = right.slope - left.slope + 2 * root
    return min(max(right.at - length * (right.slope + root - bend) / turn, least), most) if turn else (least + most) / 2
