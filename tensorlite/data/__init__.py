"""Datasets and the loader that goes through them in batches.

The names are looked up on first use: sockets and processes would cost every `import tensorlite` 50 ms.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorlite.data.collate import default_collate, default_convert
    from tensorlite.data.dataset import Dataset, Subset, TensorDataset, random_split
    from tensorlite.data.digits import Digits
    from tensorlite.data.downloads import DownloadError, download
    from tensorlite.data.idx import read_idx, write_idx
    from tensorlite.data.loader import DataLoader
    from tensorlite.data.mnist import MNIST, FashionMNIST
    from tensorlite.data.pool import WorkerDied, WorkerError
    from tensorlite.data.readahead import LoaderTimeout
    from tensorlite.data.sampler import (
        BatchSampler,
        RandomSampler,
        Sampler,
        SequentialSampler,
        SubsetRandomSampler,
        WeightedRandomSampler,
    )
    from tensorlite.data.worker import WorkerInfo, get_worker_info

_NAMES = {
    "collate": ("default_collate", "default_convert"),
    "dataset": ("Dataset", "Subset", "TensorDataset", "random_split"),
    "digits": ("Digits",),
    "downloads": ("DownloadError", "download"),
    "idx": ("read_idx", "write_idx"),
    "loader": ("DataLoader",),
    "mnist": ("MNIST", "FashionMNIST"),
    "pool": ("WorkerDied", "WorkerError"),
    "readahead": ("LoaderTimeout",),
    "sampler": ("BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler",
                "WeightedRandomSampler"),
    "worker": ("WorkerInfo", "get_worker_info"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
