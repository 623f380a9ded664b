"""From loops to the text of LLVM modules, for CPUs and for NVIDIA GPUs."""

from tensorlite.kernels.llvm.emit import emit, emit_apart
from tensorlite.kernels.llvm.nvptx import emit_nvptx
from tensorlite.kernels.llvm.target import AARCH64, NVPTX, Target, host

__all__ = ["AARCH64", "NVPTX", "Target", "emit", "emit_apart", "emit_nvptx", "host"]
