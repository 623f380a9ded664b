"""Spectra of signals over time: stft and istft."""

from __future__ import annotations

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops import complex_numbers, fourier
from tensorlite.ops.complex_numbers import _from_parts
from tensorlite.ops.complex_parts import view_as_real
from tensorlite.ops.convolution.fold import fold
from tensorlite.ops.elementwise import abs as absolute
from tensorlite.ops.elementwise import square
from tensorlite.ops.filled import ones
from tensorlite.ops.images.pad import pad
from tensorlite.ops.indexing.slices import unfold
from tensorlite.ops.linear_algebra.linalg import swap_last
from tensorlite.ops.shape import broadcast_to, reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import real_dtype
from tensorlite.traced import is_traced


def _window(op: str, x: Tensor, window: Tensor | None, n_fft: int, win_length: int) -> Tensor:
    """The window in the middle of ``n_fft`` zeros; of ones where none is given."""
    if not 0 < win_length <= n_fft:
        raise complaint(ArgumentError, op, f"win_length must be in (0, n_fft], not {win_length} for {n_fft}", {"x": x})
    if window is None:
        window = ones(win_length, dtype=real_dtype(x.dtype), device=x.device)
    if window.shape != (win_length,):
        raise complaint(ShapeError, op, f"window must have win_length = {win_length} elements", {"window": window})
    left = (n_fft - win_length) // 2
    return pad(window, (left, n_fft - win_length - left))


@public
def stft(x: Tensor, /, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
         window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
         onesided: bool | None = None, return_complex: bool | None = None) -> Tensor:
    """The Fourier transforms of overlapping frames of a signal, each weighted by a window.

    x: [time] or [batch, time]; the result: complex[batch, frequencies, frames], of real signals the frequencies up to
    half unless ``onesided`` is false. A frame of ``n_fft`` begins every ``hop_length`` (a quarter of it); with
    ``center`` its middle does, and the signal is padded. ``normalized`` divides by ``sqrt(n_fft)``. Real signals need
    ``return_complex``: false gives pairs of real numbers along a last axis.

    >>> import tensorlite as tl
    >>> tl.stft(tl.ones(16), 8, return_complex=True).shape
    (5, 9)
    """
    if x.ndim not in (1, 2):
        raise complaint(ShapeError, "stft", "takes one signal or a batch of them", {"x": x}, "reshape it first")
    is_complex = x.dtype.kind == "c" or (window is not None and window.dtype.kind == "c")
    if return_complex is None and not is_complex:
        raise complaint(ArgumentError, "stft", "return_complex must be given for real signals", {"x": x},
                        "return_complex=True")
    hop, length = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    weights = _window("stft", x, window, n_fft, length)
    if hop <= 0:
        raise complaint(ArgumentError, "stft", f"hop_length must be above 0, not {hop}", {"x": x})
    if onesided and is_complex:
        raise complaint(ArgumentError, "stft", "a complex signal has no half spectrum", {"x": x}, "onesided=False")
    signal = x if x.ndim == 2 else reshape(x, (1, -1))
    if center:
        signal = pad(signal, (n_fft // 2, n_fft // 2), pad_mode)
    if signal.shape[-1] < n_fft:
        raise complaint(ArgumentError, "stft", f"the signal is shorter than a frame of n_fft = {n_fft}", {"x": x})
    frames = unfold(signal, -1, n_fft, hop) * weights
    scaling = "ortho" if normalized else "backward"
    half = not is_complex if onesided is None else onesided
    found = swap_last((fourier.rfft if half else fourier.fft)(frames, norm=scaling))
    found = found if x.ndim == 2 else found[0]
    return view_as_real(found) if return_complex is False else found


@public
def istft(x: Tensor, /, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Tensor | None = None, center: bool = True, normalized: bool = False, onesided: bool | None = None,
          length: int | None = None, return_complex: bool = False) -> Tensor:
    """The signal of which `stft` with the same options gives a spectrum: frames added up, divided by their windows'.

    x: complex[frequencies, frames] or with a batch before; the result: [time], ``length`` of it where that is given.
    Without ``return_complex`` the signal is real, and only the frequencies up to half are read.
    Raises `ArgumentError` where the windows, squared and added up, leave a place at 0.

    >>> import tensorlite as tl
    >>> spectrum = tl.stft(tl.ones(16), 8, return_complex=True)
    >>> tl.istft(spectrum, 8, length=4)
    tensor([1., 1., 1., 1.])
    """
    hop, size = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    half = (x.ndim > 1 and x.shape[-2] != n_fft) if onesided is None else onesided
    _check_spectrum(x, n_fft, half, return_complex)
    weights = _window("istft", x, window, n_fft, size)
    spectrum = swap_last(x if x.ndim == 3 else x[None])
    scaling = "ortho" if normalized else "backward"
    spectrum = spectrum if return_complex else spectrum[..., :n_fft // 2 + 1]  # a real signal has all of it in a half
    frames = fourier.ifft(spectrum, norm=scaling) if return_complex else fourier.irfft(spectrum, n_fft, norm=scaling)
    frames = frames * weights
    envelope = _added(broadcast_to(square(weights), (1, *frames.shape[1:])), hop)
    first = n_fft // 2 if center else 0
    last = envelope.shape[-1] - first if length is None else min(first + length, envelope.shape[-1])
    total, envelope = _added(frames, hop)[:, first:last], envelope[:, first:last]
    _check_envelope(x, envelope)
    found = total / envelope
    if length is not None and found.shape[-1] < length:
        found = pad(found, (0, length - found.shape[-1]))
    return found if x.ndim == 3 else found[0]


def _check_spectrum(x: Tensor, n_fft: int, half: bool, return_complex: bool) -> None:
    if x.dtype.kind != "c":
        raise complaint(DTypeError, "istft", f"takes complex dtypes, not {x.dtype.name}", {"x": x},
                        "use tl.view_as_complex")
    rows = n_fft // 2 + 1 if half else n_fft
    if x.ndim not in (2, 3) or x.shape[-2] != rows:
        raise complaint(ShapeError, "istft", f"takes [frequencies, frames] with {rows} frequencies", {"x": x})
    if half and return_complex:
        raise complaint(ArgumentError, "istft", "half a spectrum is of a real signal", {"x": x},
                        "leave return_complex out, or give onesided=False")


def _added(frames: Tensor, hop: int) -> Tensor:
    """The sum of frames [batch, frames, n_fft] that begin ``hop`` apart."""
    if frames.dtype.kind == "c":
        return _from_parts(*(_added(part(frames), hop) for part in (complex_numbers.real, complex_numbers.imag)))
    _, count, n_fft = frames.shape
    extent = n_fft + hop * (count - 1)
    return fold(swap_last(frames), (1, extent), (1, n_fft), stride=(1, hop))[:, 0, 0]


def _check_envelope(x: Tensor, envelope: Tensor) -> None:
    if not is_traced(envelope) and bool((absolute(envelope) < 1e-11).any()):
        raise complaint(ArgumentError, "istft", "the windows, squared and added up, leave a place at 0", {"x": x},
                        "use a smaller hop_length, or a window without zeros")
