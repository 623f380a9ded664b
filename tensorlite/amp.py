"""Mixed precision, by PyTorch's name for it: `autocast` and `GradScaler`."""

from tensorlite.autocast import autocast
from tensorlite.optim.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast"]
