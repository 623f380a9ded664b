"""Optimizers and learning rates over time, in PyTorch's names, signatures, defaults and state dicts.

An optimizer is named in the ``__all__`` of its own file, and nowhere else. There is no SparseAdam: gradients are dense.
"""

from tensorlite.optim import lr_scheduler, swa_utils
from tensorlite.optim.adadelta import *
from tensorlite.optim.adafactor import *
from tensorlite.optim.adagrad import *
from tensorlite.optim.adam import *
from tensorlite.optim.adamax import *
from tensorlite.optim.asgd import *
from tensorlite.optim.lamb import *
from tensorlite.optim.lars import *
from tensorlite.optim.lbfgs import *
from tensorlite.optim.lion import *
from tensorlite.optim.muon import *
from tensorlite.optim.nadam import *
from tensorlite.optim.optimizer import Optimizer as Optimizer
from tensorlite.optim.radam import *
from tensorlite.optim.rmsprop import *
from tensorlite.optim.rprop import *
from tensorlite.optim.sgd import *
