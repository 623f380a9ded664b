"""Weighed sums of elements that places name, for all channels alike, and the two transposes of that trilinear form.

``x`` is [batch, channels, extent], ``places`` and ``weights`` are [batch, taps, samples], ``g`` is [batch, channels,
samples]. Of some samples at a time, what places and weights say stays in the nearest cache for all channels.
"""

from __future__ import annotations

from typing import Any

from tensorlite.kernels.irregular.keys import shares

SAMPLES = 256
"""Of a task: of so many, four places and weights take 12 kB."""

CHANNELS = 8
"""Of a task that writes to elements."""


def weigh(thread: int, threads: int, x: Any, places: Any, weights: Any, out: Any, fault: Any, batch: int,
          channels: int, extent: int, taps: int, samples: int) -> None:  # fmt: skip
    """Writes ``sum_k weights[b, k, s] * x[b, c, places[b, k, s]]``."""
    blocks = (samples + SAMPLES - 1) // SAMPLES
    for share in range(shares(thread, batch * blocks, threads)):
        task = thread + share * threads
        b, first = task // blocks, task % blocks * SAMPLES
        last, named = min(first + SAMPLES, samples), b * taps * samples
        if check(places, named, first, last, extent, taps, samples, fault):
            for c in range(b * channels, (b + 1) * channels):
                base, row = c * extent, c * samples
                if taps == 4:
                    for s in range(first, last):
                        k = named + s
                        out[row + s] = ((weights[k] * x[base + places[k]]
                                         + weights[k + samples] * x[base + places[k + samples]])
                                        + (weights[k + 2 * samples] * x[base + places[k + 2 * samples]]
                                           + weights[k + 3 * samples] * x[base + places[k + 3 * samples]]))
                else:
                    for s in range(first, last):
                        out[row + s] = 0
                    for tap in range(taps):
                        k = named + tap * samples
                        for s in range(first, last):
                            out[row + s] += weights[k + s] * x[base + places[k + s]]


def spread(thread: int, threads: int, g: Any, places: Any, weights: Any, out: Any, fault: Any, batch: int,
           channels: int, extent: int, taps: int, samples: int) -> None:  # fmt: skip
    """Adds ``weights[b, k, s] * g[b, c, s]`` to the elements of zeros that places name: samples in order, and taps."""
    blocks = (channels + CHANNELS - 1) // CHANNELS
    for share in range(shares(thread, batch * blocks, threads)):
        task = thread + share * threads
        b, low = task // blocks, task % blocks * CHANNELS
        high, named = min(low + CHANNELS, channels), b * taps * samples
        for e in range((b * channels + low) * extent, (b * channels + high) * extent):
            out[e] = 0
        for block in range((samples + SAMPLES - 1) // SAMPLES):
            first, last = block * SAMPLES, min((block + 1) * SAMPLES, samples)
            if check(places, named, first, last, extent, taps, samples, fault):
                for c in range(b * channels + low, b * channels + high):
                    base, row = c * extent, c * samples
                    for s in range(first, last):
                        value = g[row + s]
                        for tap in range(taps):
                            k = named + tap * samples + s
                            out[base + places[k]] += weights[k] * value


def dots(thread: int, threads: int, x: Any, g: Any, places: Any, out: Any, fault: Any, batch: int, channels: int,
         extent: int, taps: int, samples: int) -> None:  # fmt: skip
    """Writes ``sum_c g[b, c, s] * x[b, c, places[b, k, s]]``."""
    blocks = (samples + SAMPLES - 1) // SAMPLES
    for share in range(shares(thread, batch * blocks, threads)):
        task = thread + share * threads
        b, first = task // blocks, task % blocks * SAMPLES
        last, named = min(first + SAMPLES, samples), b * taps * samples
        if check(places, named, first, last, extent, taps, samples, fault):
            for tap in range(taps):
                k = named + tap * samples
                for s in range(first, last):
                    out[k + s] = 0
                for c in range(b * channels, (b + 1) * channels):
                    base, row = c * extent, c * samples
                    for s in range(first, last):
                        out[k + s] += g[row + s] * x[base + places[k + s]]


def check(places: Any, named: int, first: int, last: int, extent: int, taps: int, samples: int, fault: Any) -> bool:
    """Whether the places of some samples are elements; others are a fault."""
    wrong = 0
    for tap in range(taps):
        k = named + tap * samples
        for s in range(first, last):
            if places[k + s] < 0 or places[k + s] >= extent:
                wrong += 1
    if wrong:
        fault[0] = 1
    return wrong == 0
