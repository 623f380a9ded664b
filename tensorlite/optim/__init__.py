"""Optimizers and learning rates over time, in PyTorch's names, signatures, defaults and state dicts."""

from tensorlite.optim import lr_scheduler
from tensorlite.optim.adam import Adam, AdamW
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
