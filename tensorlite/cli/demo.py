"""Trains a small network on real images, compiled, and shows what came out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import tensorlite as tl
from tensorlite import io, optim
from tensorlite.cli import pictures
from tensorlite.cli.interrupts import deferred_interrupts
from tensorlite.cli.networks import COLOUR, DIGITS, GREY, RECIPES
from tensorlite.cli.training import Evaluation, Row, Run, evaluate, measure_speeds, train, write_metrics
from tensorlite.data import CIFAR10, MNIST, Digits, FashionMNIST, transforms
from tensorlite.data.cifar import is_cifar10
from tensorlite.data.missing import MissingPackage
from tensorlite.errors import ArgumentError, complaint

RESULTS = ("checkpoint.safetensors", "confusions.png", "curves.png", "metrics.csv", "mistakes.png", "model.safetensors")
#: The first labels of MNIST's test set, which tell it from Fashion-MNIST under the same file names.
MNIST_BEGINS = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
#: The means and deviations of CIFAR-10's channels.
CIFAR10_MOMENTS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class Task:
    """What to learn: images of some kind, to train on and to test on."""

    name: str
    images: str
    train_set: Any
    test_set: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, help="folder with the idx files of MNIST or Fashion-MNIST, gzipped or not, "
        "or with CIFAR-10, its binary files or pictures; without it, scikit-learn's digits")
    add("--model", choices=[name for name in RECIPES if name != "digits"], help="lenet for MNIST and Fashion-MNIST; "
        "resnet20, or a small vit, for CIFAR-10")
    add("--epochs", type=_positive, help="epochs in all (15, lenet: 5)")
    add("--batch-size", type=_positive, help="images in a step (64, digits: 32)")
    add("--lr", type=float, help="learning rate of the first epoch (0.002, vit: 0.001)")
    add("--seed", type=int, help="of weights, order and dropout (0)")
    add("--out", metavar="DIR", type=Path, default=Path("runs/demo"), help="where results go (runs/demo)")
    add("--resume", action="store_true", help="go on from the checkpoint in --out")
    add("--eager", action="store_true", help="compute op by op, without compiling the step")
    add("--threads", type=_positive, help="threads to compute with (all cores)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(options: argparse.Namespace) -> int:
    """Trains, draws and saves; an interrupt leaves the checkpoint of the last whole epoch."""
    began = perf_counter()
    if find_spec("matplotlib") is None:
        raise complaint(MissingPackage, "demo", "the pictures need matplotlib, which is not installed",
                        fix="pip install 'tensorlite[demo]'")
    if options.threads:
        tl.set_num_threads(options.threads)
    task, state, epochs = _prepare(options)
    try:
        result = _train(task, state, epochs, options.out)
        _write_results(task, state, result, options.out)
        seconds = perf_counter() - began
        _print_speeds(state, task)
    except KeyboardInterrupt:
        again = options.command_line if options.resume else f"{options.command_line} --resume"
        print(f"interrupted; {options.out / 'checkpoint.safetensors'} holds {_count(state.epoch)}, go on with: {again}",
              file=sys.stderr)
        return 130
    print(f"{result.accuracy:.2%} of {len(result.labels)} test images are right, "
          f"after {_count(state.epoch)} and {seconds:.1f} s")
    return 0


def _count(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _prepare(options: argparse.Namespace) -> tuple[Task, Run, int]:
    """Loads the images, makes the network or takes it from the checkpoint, and says for how many epochs in all."""
    task = _task(options.data)
    checkpoint = _load_checkpoint(options, task) if options.resume else None
    chosen = options.model or (checkpoint["settings"].get("model") if checkpoint is not None else None)
    name = chosen or next(name for name, recipe in RECIPES.items() if recipe.images == task.images)
    recipe = RECIPES[name]
    if recipe.images != task.images:
        problem = f"{name} takes {recipe.images}, and these are {task.images}"
        others = " or ".join(f"--model {other}" for other, each in RECIPES.items() if each.images == task.images)
        fix = "give images by --data" if options.data is None else f"take {others}, or other images by --data"
        raise complaint(ArgumentError, "--model", problem, fix=fix)
    settings: dict[str, Any] = {"task": task.name, "model": name, "batch_size": recipe.batch_size, "lr": recipe.lr,
                                "decay": recipe.decay, "seed": 0}
    given = {name: getattr(options, name) for name in ("batch_size", "lr", "seed")}
    own = {name: value for name, value in given.items() if value is not None}
    settings |= own if checkpoint is None else checkpoint["settings"]
    tl.manual_seed(settings["seed"])
    model = recipe.network()
    state = Run(model, optim.Adam(model.parameters(), lr=settings["lr"]), settings, jit=not options.eager)
    if checkpoint is not None:
        state.restore(checkpoint)
    options.out.mkdir(parents=True, exist_ok=True)
    return task, state, options.epochs or max(recipe.epochs, state.epoch)


def _task(folder: Path | None) -> Task:
    if folder is None:
        return Task("digits", DIGITS, Digits(train=True), Digits(train=False))
    return _cifar10(folder) if is_cifar10(folder) else _idx_files(folder)


def _cifar10(folder: Path) -> Task:
    """Photographs, moved and mirrored at random where they are learned from."""
    prepared = [transforms.ToTensor(), transforms.Normalize(*CIFAR10_MOMENTS)]
    varied = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *prepared]
    return Task("CIFAR10", COLOUR, CIFAR10(folder, transform=transforms.Compose(varied)),
                CIFAR10(folder, train=False, transform=transforms.Compose(prepared)))


def _idx_files(folder: Path) -> Task:
    guess = MNIST if (folder / "MNIST").is_dir() else FashionMNIST
    kind = MNIST if guess(folder, train=False).targets[:10].tolist() == MNIST_BEGINS else guess
    return Task(kind.__name__, GREY, kind(folder), kind(folder, train=False))


def _load_checkpoint(options: argparse.Namespace, task: Task) -> dict[str, Any]:
    path = options.out / "checkpoint.safetensors"
    if not path.exists():
        raise complaint(ArgumentError, "--resume", f"there is no {path}", fix="leave out --resume to begin")
    checkpoint: dict[str, Any] = io.load(path)
    settings = checkpoint["settings"]
    given = {name: getattr(options, name) for name in ("model", "batch_size", "lr", "seed")}
    wanted = {"task": task.name} | given
    for name, value in wanted.items():
        if value is not None and value != settings.get(name, value):
            problem = f"{path} was trained with {name.replace('_', ' ')} {settings[name]}, not {value}"
            raise complaint(ArgumentError, "--resume", problem, fix="use the same options, or leave out --resume")
    return checkpoint


def _train(task: Task, state: Run, epochs: int, folder: Path) -> Evaluation:
    from tqdm import tqdm

    print(f"{task.name}: {len(task.train_set)} images to train on, {len(task.test_set)} to test; "
          f"{sum(p.size for p in state.model.parameters())} parameters, {tl.get_num_threads()} threads, "
          f"seed {state.settings['seed']}")
    print(f"{'epoch':>5}{'train loss':>12}{'train acc':>11}{'test loss':>11}{'test acc':>10}{'seconds':>9}")
    for row in state.rows:
        _print(row)
    with deferred_interrupts() as check:
        for row in train(state, task.train_set, task.test_set, epochs, folder,
                         lambda batches, desc: tqdm(batches, desc, leave=False, unit="batch"), check):
            _print(row)
    return evaluate(state, task.test_set)


def _print(row: Row) -> None:
    print(f"{row.epoch:>5}{row.train_loss:>12.4f}{row.train_accuracy:>11.2%}{row.test_loss:>11.4f}"
          f"{row.test_accuracy:>10.2%}{row.seconds:>9.1f}", flush=True)


def _print_speeds(state: Run, task: Task) -> None:
    programs, seconds = state.step.programs + state.judge.programs, state.step.seconds + state.judge.seconds
    compiling = f"; compiling {programs} programs took {seconds:.1f} s" if state.jit else ""
    speeds = measure_speeds(state, task.train_set)
    print(f"speed: {speeds['jit']:.0f} steps/s with jit, {speeds['eager']:.0f} eager, on batches of "
          f"{min(state.settings['batch_size'], len(task.train_set))}: {speeds['jit'] / speeds['eager']:.1f} times"
          f"{compiling}")


def _write_results(task: Task, state: Run, result: Evaluation, folder: Path) -> None:
    classes = task.test_set.classes
    write_metrics(state.rows, folder / "metrics.csv")
    pictures.draw_curves(state.rows, folder / "curves.png")
    pictures.draw_confusions(result, classes, folder / "confusions.png")
    pictures.draw_mistakes(result, task.test_set.data, classes, folder / "mistakes.png")
    io.save(state.model.state_dict(), folder / "model.safetensors")
    print(f"wrote {', '.join(RESULTS)} to {folder}/")
