"""Learning rates over time: each scheduler changes its optimizer's groups at every call of `step`.

A scheduler is named in the ``__all__`` of its own file, and nowhere else.
"""

from tensorlite.optim.lr_scheduler.combined import *
from tensorlite.optim.lr_scheduler.cosine import *
from tensorlite.optim.lr_scheduler.cycles import *
from tensorlite.optim.lr_scheduler.factors import *
from tensorlite.optim.lr_scheduler.plateau import *
from tensorlite.optim.lr_scheduler.scheduler import *
