"""Draws that reject some proposals: each number has a stream of its own, and takes from it what it needs.

Proposal ``j`` of number ``i`` is made of the block of Philox4x32-10 whose counter is ``(offset + i, j)``, 64 bits and
32: a number depends on its seed, its place and its parameters only. All is computed in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_LOW, _HALF, _SHORT = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(16)
_SHORTS = np.uint64(0xFFFF)
_FIRST, _SECOND = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEP, _OTHER_STEP = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_APART = np.uint64(0xFFFFFFFF)  # no proposal has this number

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


def draw_gamma(thread: int, threads: int, state: Any, concentration: Any, out: Any, n: int, least: float) -> None:
    """Gamma numbers of scale 1, none below ``least``: Marsaglia and Tsang, "A simple method", 2000.

    About 1.35 proposals a number, of which one in five has no normal number in it (Marsaglia's polar method, 1964).
    """
    share = (n + threads - 1) // threads
    for i in range(thread * share, min((thread + 1) * share, n)):
        place, shape = state[1] + np.uint64(i), np.float64(concentration[i])
        if shape > 0:
            found = standard_gamma(state[0], place, shape)
            out[i] = least if found < least else found
        else:
            out[i] = 0.0 if shape == 0 else math.nan


def standard_gamma(seed: Any, place: Any, shape: float) -> float:
    """One gamma number; of a shape below 1 by that of ``shape + 1``, times a power of an even one."""
    factor = 1.0
    if shape < 1:
        a, b, _, _ = philox(seed, place, _APART)
        factor = math.exp(math.log(fine(a, b)) / shape)
        shape += 1
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    for attempt in range(1 << 31):
        w0, w1, w2, w3 = philox(seed, place, np.uint64(attempt))
        x = 2 * long(w0, w3 >> _SHORT) - 1
        y = 2 * long(w1, w3 & _SHORTS) - 1
        s = x * x + y * y
        if s < 1:
            z = x * math.sqrt(-2 * math.log(s) / s)
            v = 1 + c * z
            if v > 0:
                v = v * v * v
                u, square = even(w2), z * z
                if u < 1 - 0.0331 * square * square or math.log(u) < 0.5 * square + d * (1 - v + math.log(v)):
                    return factor * d * v
    return math.nan


def draw_poisson(thread: int, threads: int, state: Any, rate: Any, out: Any, n: int) -> None:
    """Poisson numbers: by inversion below a rate of 10, else by transformed rejection (Hörmann, 1993, PTRS)."""
    share = (n + threads - 1) // threads
    for i in range(thread * share, min((thread + 1) * share, n)):
        place, mean = state[1] + np.uint64(i), np.float64(rate[i])
        if mean >= 10:
            out[i] = mean if mean == math.inf else large_poisson(state[0], place, mean)
        elif mean >= 0:
            out[i] = small_poisson(state[0], place, mean)
        else:
            out[i] = math.nan


def small_poisson(seed: Any, place: Any, rate: float) -> float:
    """The first count whose distribution function is not below an even number."""
    a, b, _, _ = philox(seed, place, np.uint64(0))
    u, k, p = fine(a, b), 0, math.exp(-rate)
    total = p
    while u > total and k < 1000:
        k += 1
        p *= rate / k
        total += p
    return np.float64(k)


def large_poisson(seed: Any, place: Any, rate: float) -> float:
    """Counts proposed by a ratio of even numbers, under the scaled table mountain's hat."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse, sure = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    for attempt in range(1 << 31):
        w0, w1, w2, _ = philox(seed, place, np.uint64(attempt))
        u, v = fine(w0, w1) - 0.5, even(w2)
        us = 0.5 - abs(u)
        k = floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= sure:
            return k
        if k >= 0 and (us >= 0.013 or v <= us):
            wanted = k * math.log(rate / (k + 1)) - 0.5 * math.log(k + 1) + (k + 1 - rate) - _HALF_LOG_TAU
            if math.log(v * inverse / (a / (us * us) + b)) <= wanted - correction(k):
                return k
    return math.nan


def draw_binomial(thread: int, threads: int, state: Any, count: Any, prob: Any, out: Any, n: int) -> None:
    """Binomial numbers: by inversion where fewer than 10 are expected, else by rejection (Hörmann, 1993, BTRS)."""
    share = (n + threads - 1) // threads
    for i in range(thread * share, min((thread + 1) * share, n)):
        place, trials, p = state[1] + np.uint64(i), np.float64(count[i]), np.float64(prob[i])
        if trials >= 0 and trials < math.inf and p >= 0 and p <= 1:
            rare = p if p <= 0.5 else 1 - p
            if trials * rare >= 10:
                k = large_binomial(state[0], place, trials, rare)
            else:
                k = small_binomial(state[0], place, trials, rare)
            out[i] = k if p <= 0.5 else trials - k
        else:
            out[i] = math.nan


def small_binomial(seed: Any, place: Any, trials: float, p: float) -> float:
    """The first count whose distribution function is not below an even number, the terms one from the other."""
    a, b, _, _ = philox(seed, place, np.uint64(0))
    u, k, odds = fine(a, b), 0.0, p / (1 - p)
    r = math.exp(trials * log_of_rest(p))
    while u > r and k < trials and k < 1000:
        u -= r
        k += 1
        r *= (trials - k + 1) * odds / k
    return k


def large_binomial(seed: Any, place: Any, n: float, p: float) -> float:
    """Counts proposed by a ratio of even numbers, under the scaled table mountain's hat."""
    spread, odds = math.sqrt(n * p * (1 - p)), p / (1 - p)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    sure, alpha = 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    m = floor((n + 1) * p)
    peak = (m + 0.5) * math.log((m + 1) / (odds * (n - m + 1))) + correction(m) + correction(n - m)
    for attempt in range(1 << 31):
        w0, w1, w2, _ = philox(seed, place, np.uint64(attempt))
        u, v = fine(w0, w1) - 0.5, even(w2)
        us = 0.5 - abs(u)
        k = floor((2 * a / us + b) * u + n * p + 0.5)
        if k >= 0 and k <= n:
            if us >= 0.07 and v <= sure:
                return k
            wanted = peak + (n + 1) * math.log((n - m + 1) / (n - k + 1)) - correction(k) - correction(n - k)
            wanted += (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
            if math.log(v * alpha / (a / (us * us) + b)) <= wanted:
                return k
    return math.nan


def draw_von_mises(thread: int, threads: int, state: Any, concentration: Any, out: Any, n: int) -> None:
    """Sines of half the angles of von Mises numbers around 0 (Best and Fisher, 1979)."""
    share = (n + threads - 1) // threads
    for i in range(thread * share, min((thread + 1) * share, n)):
        place, kappa = state[1] + np.uint64(i), np.float64(concentration[i])
        out[i] = half_sine(state[0], place, kappa) if kappa >= 0 and kappa < math.inf else math.nan


def half_sine(seed: Any, place: Any, kappa: float) -> float:
    """One of them: the hat is a wrapped Cauchy distribution, of ``rho``."""
    if kappa < 1e-5:
        rho = 0.5 * kappa
    else:
        tau = 1 + math.sqrt(1 + 4 * kappa * kappa)
        rho = (tau - math.sqrt(2 * tau)) / (2 * kappa)
    for attempt in range(1 << 31):
        w0, w1, w2, w3 = philox(seed, place, np.uint64(attempt))
        z = math.cos(math.pi * long(w0, w3 & _SHORTS))
        square = rho * rho
        nearness = (1 - rho) * (1 - rho) * (1 - z) / (1 + square + 2 * rho * z)  # 1 - cos of the angle
        c = kappa * ((1 - rho) * (1 - rho) / (2 * rho) + nearness) if rho > 0 else 1.0
        u = even(w1)
        if c * (2 - c) > u or math.log(c / u) + 1 - c >= 0:
            sine = math.sqrt(min(1.0, 0.5 * nearness))
            return sine if even(w2) < 0.5 else -sine
    return math.nan


def philox(seed: Any, place: Any, attempt: Any) -> Any:
    """The four words of one block."""
    a, b, c, d = place & _LOW, place >> _HALF, attempt, attempt ^ attempt
    key, other = seed & _LOW, seed >> _HALF
    for _ in range(10):
        first, second = a * _FIRST, c * _SECOND
        a, b, c, d = (second >> _HALF) ^ b ^ key, second & _LOW, (first >> _HALF) ^ d ^ other, first & _LOW
        key, other = (key + _STEP) & _LOW, (other + _OTHER_STEP) & _LOW
    return a, b, c, d


def even(word: Any) -> float:
    """An even number of (0, 1) of 32 bits."""
    return (np.float64(word) + 0.5) * 2.0**-32


def long(word: Any, short: Any) -> float:
    """An even number of (0, 1) of 48 bits."""
    return (np.float64((word << _SHORT) | short) + 0.5) * 2.0**-48


def fine(high: Any, low: Any) -> float:
    """An even number of (0, 1) of 52 bits."""
    return (np.float64(((high << _HALF) | low) >> np.uint64(12)) + 0.5) * 2.0**-52


def floor(x: float) -> float:
    """The nearest integer below or equal; numbers beyond 2**52 are their own."""
    if abs(x) >= 4503599627370496.0:
        return x
    whole = np.float64(np.int64(x))
    return whole - 1 if whole > x else whole


def log_of_rest(p: float) -> float:
    """``log(1 - p)``, accurate for small ones (Kahan)."""
    rest = 1 - p
    return -p if rest == 1 else math.log(rest) * p / (1 - rest)


def correction(k: float) -> float:
    """What Stirling's ``log(2 pi) / 2 + (k + 1/2) log(k + 1) - (k + 1)`` lacks to ``log(k!)``."""
    if k < 10:
        factorial, factor = 1.0, k
        while factor > 1:
            factorial *= factor
            factor -= 1
        return math.log(factorial) - _HALF_LOG_TAU - (k + 0.5) * math.log(k + 1) + (k + 1)
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
