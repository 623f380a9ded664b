"""Datasets and the loader that goes through them in batches.

The names are looked up on first use: sockets and processes would cost every `import tensorlite` 50 ms.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorlite.data import transforms
    from tensorlite.data.cifar import CIFAR10
    from tensorlite.data.collate import default_collate, default_convert
    from tensorlite.data.dataset import (
        ChainDataset,
        ConcatDataset,
        Dataset,
        IterableDataset,
        StackDataset,
        TensorDataset,
    )
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
    from tensorlite.data.split import Subset, random_split
    from tensorlite.data.text import CharacterText, TinyShakespeare
    from tensorlite.data.worker import WorkerInfo, get_worker_info

_NAMES = {
    "cifar": ("CIFAR10",),
    "collate": ("default_collate", "default_convert"),
    "dataset": ("ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "TensorDataset"),
    "digits": ("Digits",),
    "downloads": ("DownloadError", "download"),
    "idx": ("read_idx", "write_idx"),
    "loader": ("DataLoader",),
    "mnist": ("MNIST", "FashionMNIST"),
    "pool": ("WorkerDied", "WorkerError"),
    "readahead": ("LoaderTimeout",),
    "sampler": ("BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler",
                "WeightedRandomSampler"),
    "split": ("Subset", "random_split"),
    "text": ("CharacterText", "TinyShakespeare"),
    "worker": ("WorkerInfo", "get_worker_info"),
}
#: What is a module of its own, and looked up in the same way.
_MODULES = ("transforms",)
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = list(_HOMES) + list(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
