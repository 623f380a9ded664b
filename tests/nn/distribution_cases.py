"""Families of distributions by what their parameters and values are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Family:
    """The kinds of its parameters, by name, and that of its values; what PyTorch has of it, and fixed options."""

    parameters: dict[str, str]
    values: str
    known: tuple[str, ...] = ("mean", "variance", "mode")
    entropy: bool = True
    cdf: bool = False
    icdf: bool = True
    options: tuple[tuple[str, Any], ...] = ()
    of_value: bool = True
    second: bool = True


_LOC_SCALE = {"loc": "real", "scale": "positive"}
FAMILIES = {
    "Normal": Family(_LOC_SCALE, "real", cdf=True),
    "LogNormal": Family(_LOC_SCALE, "positive", cdf=True),
    "HalfNormal": Family({"scale": "positive"}, "positive", cdf=True),
    "Uniform": Family({"low": "below 0", "high": "above 1"}, "share", ("mean", "variance"), cdf=True, of_value=False),
    "Bernoulli": Family({"probs": "share"}, "bit", of_value=False),
    "ContinuousBernoulli": Family({"probs": "share"}, "share", ("mean", "variance"), cdf=True),
    "Geometric": Family({"probs": "share"}, "count"),
    "Binomial": Family({"probs": "share"}, "count", options=(("total_count", 9),)),
    "NegativeBinomial": Family({"probs": "share"}, "count", entropy=False, options=(("total_count", 4.0),)),
    "Poisson": Family({"rate": "positive"}, "count", entropy=False),
    "Exponential": Family({"rate": "positive"}, "positive", cdf=True),
    "Gamma": Family({"concentration": "positive", "rate": "positive"}, "positive", cdf=True, icdf=False),
    "Chi2": Family({"df": "positive"}, "positive", cdf=True, icdf=False),
    "InverseGamma": Family({"concentration": "above 2", "rate": "positive"}, "positive", cdf=True, icdf=False),
    "Beta": Family({"concentration1": "above 1", "concentration0": "above 1"}, "share"),
    "Kumaraswamy": Family({"concentration1": "above 1", "concentration0": "above 1"}, "share", ("mean", "variance"),
                          cdf=True),
    "Laplace": Family(_LOC_SCALE, "real", cdf=True),
    "Cauchy": Family(_LOC_SCALE, "real", cdf=True),
    "HalfCauchy": Family({"scale": "positive"}, "positive", cdf=True),
    "Gumbel": Family(_LOC_SCALE, "real", cdf=True),
    "StudentT": Family({"df": "positive", **_LOC_SCALE}, "real"),
    "FisherSnedecor": Family({"df1": "above 2", "df2": "above 4"}, "positive", entropy=False),
    "Weibull": Family({"scale": "positive", "concentration": "above 1"}, "positive", cdf=True),
    "Pareto": Family({"scale": "share", "alpha": "above 2"}, "above 1", cdf=True),
    "Categorical": Family({"logits": "row"}, "class", ("mode",), of_value=False),
    "OneHotCategorical": Family({"logits": "row"}, "one hot", of_value=False),
    "Multinomial": Family({"logits": "row"}, "counts", ("mean", "variance"), entropy=False,
                          options=(("total_count", 5),)),
    "Dirichlet": Family({"concentration": "row above 1"}, "shares"),
}
LOGITS = ["Bernoulli", "ContinuousBernoulli", "Geometric", "Binomial", "NegativeBinomial"]
CLASSES = 4


def draw(kind: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Parameters or values of a kind, in a batch shape."""
    if kind in ("row", "row above 1", "one hot", "counts", "shares"):
        rows = (*shape, CLASSES)
        if kind == "row":
            return random.standard_normal(rows)
        if kind == "row above 1":
            return random.uniform(1.1, 4, rows)
        if kind == "shares":
            return random.dirichlet(np.ones(CLASSES), shape)
        if kind == "counts":
            return random.multinomial(5, np.full(CLASSES, 1 / CLASSES), shape).astype(np.float64)
        return np.eye(CLASSES)[random.integers(0, CLASSES, shape)]
    if kind in ("bit", "count", "class"):
        high = {"bit": 2, "count": 7, "class": CLASSES}[kind]
        return np.asarray(random.integers(0, high, shape), np.float64)
    if kind == "real":
        return np.asarray(random.uniform(-2, 2, shape))
    low, high = {"positive": (0.2, 4), "share": (0.05, 0.95), "below 0": (-2, -0.1), "above 1": (1.1, 4),
                 "above 2": (2.1, 5), "above 4": (4.1, 9)}[kind]
    return np.asarray(random.uniform(low, high, shape))
