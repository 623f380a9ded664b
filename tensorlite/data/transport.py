"""Batches between processes: pickled, the arrays' bytes beside the pickle and not in it."""

from __future__ import annotations

import io
import pickle
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from tensorlite.tensor import Tensor

ForkingPickler.register(Tensor, lambda tensor: (Tensor, (np.asarray(tensor.numpy()),)))


def pack(value: Any) -> list[Any]:
    """Makes a message of a value: a pickle that holds the sizes of its buffers, then the buffers themselves."""
    buffers: list[pickle.PickleBuffer] = []
    text = io.BytesIO()
    ForkingPickler(text, 5, True, buffers.append).dump(value)
    raws = [buffer.raw() for buffer in buffers]
    return [pickle.dumps((text.getvalue(), [raw.nbytes for raw in raws])), *(raw for raw in raws if raw.nbytes)]


def send(connection: Connection, message: list[Any]) -> None:
    """Sends what `pack` made."""
    for part in message:
        connection.send_bytes(part)


def receive(connection: Connection) -> Any:
    """Receives a value, each buffer straight into memory of its own."""
    text, sizes = pickle.loads(connection.recv_bytes())
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        if buffer.size:
            connection.recv_bytes_into(buffer.data)
    return pickle.loads(text, buffers=buffers)
