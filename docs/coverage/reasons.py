"""Why names of PyTorch are absent here, by patterns of their full names; the first that fits is said."""

from __future__ import annotations

import re

DEPRECATED = "deprecated in PyTorch"
SPARSE = "needs sparse tensors"
QUANTIZED = "quantized models come later"
SYMBOLIC = "symbolic shapes of PyTorch's compiler"
VALUES = "tensors are values: no storage, strides or views to reach"
TORCHSCRIPT = "TorchScript's own"
DEVICES = "devices are cpu and cuda"
SINGULAR = "singular matrices raise here"

REASONS = (
    (r"torch\.nn\.(DataParallel|SyncBatchNorm)|torch\.nn\.parallel.*", "distributed training"),
    (r"torch\.nn\.LinearCrossEntropyOptions", "`tl.checkpoint` computes scores again instead"),
    (r"torch\.Tensor\.(squeeze_|unsqueeze_|t_|transpose_|swapaxes_|swapdims_)", "in place, a tensor keeps its shape"),
    (r"torch\.nn\.factory_kwargs|torch\.nn\.utils\.rnn\.PackedSequence_", "a helper of PyTorch's own classes"),
    (r".*\.(ScalingType|SwizzleType|scaled_mm|scaled_grouped_mm|grouped_mm)", "products of GPUs"),
    (r".*\.convert_conv.*_memory_format", "layouts are the compiler's own choice"),
    (r"torch\.nn\.functional\.(conv_tbc|native_channel_shuffle)|torch\.(conv_tbc|native_channel_shuffle)",
     "a kernel of PyTorch's own"),
    (r"torch\.optim\.SparseAdam", SPARSE),
    (r".*sparse.*|.*\.(hspmm|smm|sspaddmm|coalesce|is_coalesced|indices|values|crow_indices|col_indices|dense_dim)"
     r"|.*\.to_(dense|mkldnn|padded_tensor)", SPARSE),
    (r".*quantize.*|.*\.(q_.*|qscheme|int_repr)", QUANTIZED),
    (r"torch\.sym_.*", SYMBOLIC),
    (r"torch\.\w+_copy", "for functionalization inside PyTorch"),
    (r"torch\.(parse_.*|import_ir.*|unify_type_list|merge_type_.*|fork|wait)", TORCHSCRIPT),
    (r".*\.(as_strided.*|storage.*|untyped_storage|data_ptr|const_data_ptr|set_|is_set_to|resize_.*|stride"
     r"|dim_order|is_conj|is_neg|is_storage|empty_strided|empty_permuted|new_empty_strided|from_file|unsafe_.*)",
     VALUES),
    (r".*\.(is_shared|share_memory_|pin_memory|is_pinned|record_stream)", "memory is the library's own"),
    (r"torch\.Tensor\.(is_(ipu|mps|xla|xpu|meta)|ipu|mtia|xpu|get_device)|torch\.(get_device_module)", DEVICES),
    (r".*\.(cdouble|cfloat|chalf)", "use `x.to(tl.complex64)`"),
    (r".*\.(apply_|map_)", "a call of Python for each number"),
    (r".*\.(as_subclass|module_load|index|grad_dtype|compiled_with.*|init_num_threads|thread_safe_generator)",
     "PyTorch's own machinery"),
    (r"torch\.(get|set)_default_(dtype|tensor_type)", "the default dtype is float32"),
    (r"torch\.(get|set)_default_device", "`with tl.device(...)`"),
    (r"torch\..*deterministic.*|torch\.fill_uninitialized.*", "results are always deterministic"),
    (r"torch\.(get|set)_float32_matmul_precision|torch\.set_flush_denormal", "products are float32, always"),
    (r"torch\.(get|set)_num_interop_threads", "there is one team of threads"),
    (r"torch\.(set_warn_always|is_warn_always_enabled)", "Python's `warnings` filters"),
    (r"torch\.(is_inference|is_inference_mode_enabled)|torch\.Tensor\.is_inference",
     "`no_grad` records nothing either"),
    (r"torch\.compile", "`tl.jit`"),
    (r"torch\.utils\.data\.DistributedSampler", "distributed training"),
    (r"torch\.utils\.data\.\w+DataPipe", "datasets and iterators do as much"),
    (r"torch\.func\.grad_and_value", "`tl.value_and_grad`, the value first"),
    (r"torch\.func\.(debug_unwrap|functionalize)|torch\.autograd\.(NestedIOFunction|kineto_available)",
     "PyTorch's own machinery"),
    (r"torch\.func\.rearrange", "`reshape`, `permute_dims`, `repeat`"),
    (r"torch\.func\.replace_all_batch_norm_modules_", "statistics are buffers that `functional_call` gives back"),
    (r"torch\.autograd\.(set_)?detect_anomaly", "`tl.debug_nans`"),
    (r"torch\.autograd\.set_multithreading_enabled", "`backward` walks the tape on one thread"),
    (r"torch\.autograd\.enforce_grad_layout_policy", VALUES),
    (r"torch\.autograd\.functional\.(jacobian|hessian|jvp|vjp)", "the function of that name in `tl`"),
    (r"torch\.autograd\.functional\.(hvp|vhp)", "`tl.jvp(tl.grad(f), (x,), (v,))`"),
    (r"torch\.amp\.custom_(fwd|bwd)", "custom functions compute in what they are given"),
    (r"torch\.amp\.is_autocast_available", "`tl.autocast` is there on every device"),
    (r"torch\.random\.(fork_rng|initial_seed|seed)", "a `Generator` of one's own"),
    (r"torch\.distributions\.transforms\.softplus", "a helper of PyTorch's own classes"),
    (r"torch\.linalg\.(cholesky|inv|solve|lu_factor)_ex", SINGULAR),
    (r"torch\.(Tensor\.)?(triangular_solve|lu)", DEPRECATED),
    (r"torch\.(chain_matmul|range)", DEPRECATED),
    (r"torch\.linalg\.ldl_.*", "indefinite matrices by `linalg.solve`, which pivots"),
    (r"torch\.(Tensor\.)?(lu_solve|lu_unpack)", "`linalg.lu_solve`; factors apart are `linalg.lu`'s"),
    (r"torch\.(Tensor\.)?(geqrf|ormqr)", "reflections of LAPACK: `linalg.qr`, `linalg.householder_product`"),
    (r"torch\.(lobpcg|svd_lowrank|pca_lowrank)", "some of the values alone: `linalg.eigh` and `linalg.svd` give all"),
    (r"torch\.special\.zeta", "`polygamma` is what is used of it"),
    (r"torch\.(Tensor\.)?nonzero_static", "a shape that is given: `tl.jit` takes `nonzero` as it is"),
    (r"torch\.segment_reduce", "`scatter_reduce`, or `index_reduce`"),
    (r"torch\.histogramdd", "`histogram` along one axis"),
    (r"torch\.(initial_seed|seed)", "a `Generator` of one's own"),
    (r"torch\.(frombuffer|to_dlpack)", "`tl.from_dlpack`, `tl.asarray` of what NumPy makes of a buffer"),
    (r"torch\.set_printoptions", "tensors show four digits; `x.numpy()` shows as NumPy is told"),
    (r"torch\.typename", "Python's `type`"),
    (r"torch\.hash_tensor", "PyTorch's own machinery"),
    (r"torch\.optim\.swa_utils\.swap_in_.*|.*\.swap_in_optimizer_params_and_state", "an `AveragedModel` is a model"),
    (r"torch\.special\..*(chebyshev|hermite|laguerre|legendre|bessel|airy).*",
     "neither Bessel's functions nor orthogonal polynomials"),
)


def reason(name: str) -> str:
    """Why a name of PyTorch, spelled in full, is absent; nothing where it simply is not there."""
    return next((said for pattern, said in REASONS if re.fullmatch(pattern, name)), "")

#: What a name that is here does otherwise than PyTorch's, where parameters do not show it.
OTHERWISE = (
    (r"torch\.(Tensor\.)?(max|min)", "along an axis, the values alone: places are `argmax`'s (the standard)"),
    (r"torch\.(Tensor\.)?sort", "the sorted values alone: places are `argsort`'s (the standard)"),
    (r"torch\.(Tensor\.)?nonzero", "a tensor for each axis unless `as_tuple=False` (the standard)"),
    (r"torch\.Tensor\.size", "the number of elements; extents are `x.shape` (the standard)"),
    (r"torch\.Tensor\.(unsqueeze|view|reshape|permute|expand|detach|data|T|mT|H|mH)",
     "a value: changing it in place raises while its source lives"),
    (r"torch\.(Tensor\.)?sign", "of complex numbers, PyTorch's `sgn` (the standard)"),
    (r"torch\.meshgrid", "`\"xy\"` by default (the standard)"),
    (r"torch\.(save|load)", "files by safetensors, without pickle"),
    (r"torch\.vmap", "JAX's names: `in_axes`, `out_axes`"),
)


def otherwise(name: str) -> str:
    """What a name of PyTorch, spelled in full, does here otherwise; nothing where it does the same."""
    return next((said for pattern, said in OTHERWISE if re.fullmatch(pattern, name)), "")
