"""The demo's pictures: curves, a confusion matrix, and the images that were taken for something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tensorlite.cli.training import Evaluation, Row
from tensorlite.data.missing import MissingPackage
from tensorlite.errors import complaint
from tensorlite.io.files import atomic_write

#: How many mistakes the grid shows at most: the most confident ones.
COLUMNS, ROWS = 6, 4
TRAIN, TEST = "#4477aa", "#cc6677"


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise complaint(MissingPackage, "demo", "the pictures need matplotlib, which is not installed",
                        fix="pip install 'tensorlite[demo]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Draws loss and accuracy by epoch, on the training images and on those held out."""
    figure = _figure(9, 3.6)
    epochs = [row.epoch for row in rows]
    for axes, name, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100)):
        for split, colour in (("train", TRAIN), ("test", TEST)):
            values = [scale * getattr(row, f"{split}_{name}") for row in rows]
            axes.plot(epochs, values, "o-", color=colour, label=split, markersize=3)
        axes.set(xlabel="epoch", title="loss" if name == "loss" else "accuracy, %")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def count_confusions(result: Evaluation, classes: int) -> np.ndarray:
    """Counts images by true class (rows) and by what they were taken for (columns)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (result.labels, result.predictions), 1)
    return counts


def draw_confusions(result: Evaluation, classes: Sequence[str], path: Path) -> None:
    """Draws the confusion matrix, coloured by the share of each true class."""
    counts = count_confusions(result, len(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = _figure(6.4, 5.6)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places, slanted = range(len(classes)), max(map(len, classes)) > 2
    axes.set(xlabel="predicted", ylabel="true", title=f"{result.accuracy:.2%} of {len(result.labels)} images are right")
    axes.set_xticks(places, classes, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(places, classes)
    for row, column in zip(*np.nonzero(counts)):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=colour)
    _save(figure, path)


def draw_mistakes(result: Evaluation, images: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """Draws the images that the network is most sure of and wrong about."""
    wrong = np.flatnonzero(result.predictions != result.labels)
    chosen = wrong[np.argsort(-result.confidences[wrong], kind="stable")][:ROWS * COLUMNS]
    rows = max(1, -(-len(chosen) // COLUMNS))
    figure = _figure(1.6 * COLUMNS, 1.95 * rows + 0.35)
    shown = f", the {len(chosen)} most confident" if len(chosen) < len(wrong) else ""
    figure.suptitle(f"{len(wrong)} mistakes in {len(result.labels)} images{shown}")
    for number, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
        axes.axis("off")
        if number < len(chosen):
            index = chosen[number]
            axes.imshow(images[index], cmap="gray")
            axes.set_title(f"{classes[result.labels[index]]} taken for\n"
                           f"{classes[result.predictions[index]]}, {result.confidences[index]:.0%} sure", fontsize=8)
    _save(figure, path)
