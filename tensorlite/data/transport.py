"""Batches between processes: pickled, the arrays' bytes beside the pickle and not in it."""

from __future__ import annotations

import io
import os
import pickle
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np


def pack(value: Any) -> list[Any]:
    """Makes a message of a value: a pickle that holds the sizes of its buffers, then the buffers themselves."""
    buffers: list[pickle.PickleBuffer] = []
    text = io.BytesIO()
    ForkingPickler(text, 5, True, buffers.append).dump(value)
    raws = [buffer.raw() for buffer in buffers]
    return [pickle.dumps((text.getvalue(), [raw.nbytes for raw in raws])), *(raw for raw in raws if raw.nbytes)]


def send(connection: Connection, message: list[Any]) -> None:
    """Sends what `pack` made."""
    text, *buffers = message
    connection.send_bytes(text)
    for buffer in buffers:
        left = memoryview(buffer)
        while left:
            left = left[os.write(connection.fileno(), left):]


def receive(connection: Connection) -> Any:
    """Receives a value, each buffer straight into memory of its own (`recv_bytes_into` would copy it once more)."""
    text, sizes = pickle.loads(connection.recv_bytes())
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        left = buffer.data
        while left:
            count = os.readv(connection.fileno(), [left])
            if count == 0:
                raise EOFError
            left = left[count:]
    return pickle.loads(text, buffers=buffers)
