"""A language model of LSTMs."""

from __future__ import annotations

from tensorlite import nn
from tensorlite.errors import ArgumentError, complaint
from tensorlite.tensor import Tensor

__all__ = ["LSTMLanguageModel"]

State = tuple[Tensor, Tensor]


class LSTMLanguageModel(nn.Module):
    """An embedding, LSTMs with dropout between them, and scores of the next token (Zaremba et al., 2014).

    ``int64[batch, tokens]``, and the state to go on from, to ``float32[batch, tokens, vocabulary]`` and the next state.
    ``tie_weights`` makes the scores' weights the embedding's own (Press and Wolf, 2017).

    >>> import tensorlite as tl
    >>> scores, state = tl.models.LSTMLanguageModel(10, 8, 8)(tl.zeros((2, 5), dtype=tl.int64))
    >>> scores.shape
    (2, 5, 10)
    """

    def __init__(self, vocabulary: int, embedding: int = 256, hidden: int = 256, layers: int = 1, dropout: float = 0.0,
                 tie_weights: bool = False) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.decoder = nn.Linear(hidden, vocabulary)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        if self.decoder.bias is not None:
            nn.init.zeros_(self.decoder.bias)
        if tie_weights:
            if embedding != hidden:
                raise complaint(ArgumentError, "LSTMLanguageModel",
                                f"tied weights need embedding == hidden, not {embedding} and {hidden}")
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        out, state = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(out)), state
