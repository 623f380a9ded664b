"""The CPU: native code, the thread team, memory, and the kernels that run on them."""
