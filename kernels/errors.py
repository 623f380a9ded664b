"""What can go wrong below the tensors: the exceptions and warnings of the kernels floor."""


class KernelError(RuntimeError):
    """A kernel could not be built or loaded; the message says which and why."""


class DeviceUnavailable(RuntimeError):
    """The device asked for cannot be used here; the message says what to install or what is missing."""


class CacheWarning(UserWarning):
    """The disk cache does not work as it should; everything still works, only slower."""
