"""A variational autoencoder."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.ops.elementwise import exp
from tensorlite.random import Generator, randn, randn_like
from tensorlite.tensor import Tensor

__all__ = ["VAE"]


class VAE(nn.Module):
    """An autoencoder whose code is a normal distribution.

    ``float32[batch, ...]`` of numbers in [0, 1] to the scores of its decoder ``[batch, inputs]``, and the code's mean
    and logarithm of the variance, ``[batch, code]``. Kingma and Welling, "Auto-encoding variational Bayes", 2014.

    >>> import tensorlite as tl
    >>> model, x = tl.models.VAE(16, hidden=8, code=2), tl.rand(4, 16)
    >>> [part.shape for part in model(x)]
    [(4, 16), (4, 2), (4, 2)]
    >>> model.loss(x, *model(x)).shape
    ()
    """

    def __init__(self, inputs: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.code = code
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc21 = nn.Linear(hidden, code)
        self.fc22 = nn.Linear(hidden, code)
        self.fc3 = nn.Linear(code, hidden)
        self.fc4 = nn.Linear(hidden, inputs)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the logarithm of the variance of the code."""
        hidden = nn.functional.relu(self.fc1(x.flatten(1)))
        return self.fc21(hidden), self.fc22(hidden)

    def decode(self, code: Tensor) -> Tensor:
        """The scores whose sigmoids are the numbers."""
        return self.fc4(nn.functional.relu(self.fc3(code)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encode(x)
        code = mean + randn_like(mean) * exp(logvar * 0.5) if self.training else mean
        return self.decode(code), mean, logvar

    def loss(self, x: Tensor, scores: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
        """The negative lower bound of the likelihood, a mean over the batch."""
        rebuilt = nn.functional.binary_cross_entropy_with_logits(scores, x.flatten(1), reduction="sum")
        divergence = -0.5 * (1 + logvar - mean * mean - exp(logvar)).sum()
        return (rebuilt + divergence) / x.shape[0]

    def sample(self, count: int, generator: Generator | None = None) -> Tensor:
        """Numbers in [0, 1] that the decoder makes of random codes, ``[count, inputs]``."""
        return nn.functional.sigmoid(self.decode(randn(count, self.code, generator=generator)))
