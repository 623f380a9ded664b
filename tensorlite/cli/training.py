"""The demo's training: steps, epochs, evaluation, and checkpoints from which a run goes on as if never broken."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from io import StringIO
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import io, nn, optim
from tensorlite.data import DataLoader, Dataset
from tensorlite.io.files import atomic_write


@dataclass(frozen=True, slots=True)
class Row:
    """What one epoch came to; accuracies are fractions."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """What a network says of a dataset: the mean loss, and of each image the class and its probability."""

    loss: float
    labels: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray

    @property
    def accuracy(self) -> float:
        """The fraction of images whose class is right."""
        return float((self.predictions == self.labels).mean())


class Step:
    """A function of a batch, compiled or as it stands, and what compiling it took."""

    def __init__(self, function: Callable[..., Any], jit: bool) -> None:
        self.function, self.call = function, tl.jit(function) if jit else function
        self.seconds = 0.0

    @property
    def programs(self) -> int:
        """How many programs were compiled: one for each size of a batch."""
        return sum(map(len, getattr(self.call, "variants", {}).values()))

    def __call__(self, *batch: tl.Tensor) -> Any:
        before, began = self.programs, perf_counter()
        result = self.call(*batch)
        if self.programs != before:
            self.seconds += perf_counter() - began
        return result


@dataclass
class Run:
    """A training run between two epochs: all that a checkpoint holds, and the two functions that are compiled."""

    model: nn.Module
    optimizer: optim.Optimizer
    settings: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    jit: bool = True

    @cached_property
    def step(self) -> Step:
        """Learns from a batch, and gives the loss and the scores that it had."""
        model, optimizer = self.model, self.optimizer

        def step(images: tl.Tensor, labels: tl.Tensor) -> tuple[tl.Tensor, tl.Tensor]:
            scores = model(images)
            loss = nn.functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach(), scores.detach()
        return Step(step, self.jit)

    @cached_property
    def judge(self) -> Step:
        """Gives the loss and the probabilities of a batch, and learns nothing."""
        model = self.model

        @tl.no_grad()
        def judge(images: tl.Tensor, labels: tl.Tensor) -> tuple[tl.Tensor, tl.Tensor]:
            scores = model(images)
            return nn.functional.cross_entropy(scores, labels), nn.functional.softmax(scores, axis=1)
        return Step(judge, self.jit)

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        io.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "settings": self.settings,
                 "rows": [asdict(row) for row in self.rows], "random": tl.get_rng_state()}, path)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Goes back to where a checkpoint was written, random numbers included."""
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.rows = [Row(**row) for row in checkpoint["rows"]]
        tl.set_rng_state(checkpoint["random"])


def train(run: Run, train_set: Dataset[Any], test_set: Dataset[Any], epochs: int, folder: Path,
          progress: Callable[..., Any], check: Callable[[], None]) -> Iterator[Row]:
    """Trains until ``epochs`` epochs are done, and leaves a checkpoint after each; ``check`` may stop it at a step."""
    checkpoint = folder / "checkpoint.safetensors"
    run.save(checkpoint)
    loader = DataLoader(train_set, batch_size=run.settings["batch_size"], shuffle=True)
    while run.epoch < epochs:
        began = perf_counter()
        rate = run.settings["lr"] * run.settings["decay"]**run.epoch
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        with progress(loader, desc=f"epoch {run.epoch + 1}/{epochs}") as batches:
            loss, accuracy = train_epoch(run, batches, check)
        result = evaluate(run, test_set)
        row = Row(run.epoch + 1, rate, loss, accuracy, result.loss, result.accuracy, perf_counter() - began)
        run.rows.append(row)
        run.save(checkpoint)
        yield row
        check()


def train_epoch(run: Run, batches: Any, check: Callable[[], None]) -> tuple[float, float]:
    """Goes through the batches once, a step each, and gives the mean loss and accuracy on the way."""
    run.model.train()
    losses, correct, count = 0.0, 0, 0
    for images, labels in batches:
        check()
        loss, scores = run.step(images, labels)
        losses += loss.item() * len(labels)
        correct += int((scores.numpy().argmax(1) == labels.numpy()).sum())
        count += len(labels)
        batches.set_postfix(loss=f"{losses / count:.4f}", accuracy=f"{correct / count:.1%}", refresh=False)
    return losses / count, correct / count


def evaluate(run: Run, dataset: Dataset[Any], batch_size: int = 500) -> Evaluation:
    """Asks the network about every image of a dataset."""
    run.model.eval()
    losses, labels, probabilities = 0.0, [], []
    for images, targets in DataLoader(dataset, batch_size=batch_size):
        loss, shares = run.judge(images, targets)
        losses += loss.item() * len(targets)
        labels.append(targets.numpy())
        probabilities.append(shares.numpy())
    found, truth = np.concatenate(probabilities), np.concatenate(labels)
    return Evaluation(losses / len(truth), truth, found.argmax(1), found.max(1))


def measure_speeds(run: Run, train_set: Dataset[Any], rounds: int = 5, steps: int = 8) -> dict[str, float]:
    """Steps a second, ``eager`` and ``jit``, on the same full batches: medians of alternating rounds.

    Compiling is over when it begins. The run goes on learning by it, and is of no use afterwards.
    """
    run.model.train()
    batches = list(islice(DataLoader(train_set, batch_size=run.settings["batch_size"]), steps))
    batches = [batch for batch in batches if len(batch[1]) == len(batches[0][1])]
    compiled = run.step.call if run.jit else tl.jit(run.step.function)
    kinds = {"eager": run.step.function, "jit": compiled}
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(-1, rounds):
        for name, step in kinds.items():
            began = perf_counter()
            for batch in batches:
                step(*batch)
            if number >= 0:  # the round before is for what happens once
                speeds[name].append(len(batches) / (perf_counter() - began))
    return {name: median(found) for name, found in speeds.items()}


def write_metrics(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as a table of comma-separated values."""
    text = StringIO(newline="")
    table = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
