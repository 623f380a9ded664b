"""Module: parameters, buffers and modules in a tree, called like a function."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from tensorlite import versions
from tensorlite.autograd import Handle
from tensorlite.backward import clear_grad
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn import names, state
from tensorlite.nn.derived import Derived
from tensorlite.nn.hooks import ForwardHook, PreHook, call_with_hooks, register
from tensorlite.nn.parameter import Buffer, Parameter
from tensorlite.ops.filled import empty
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, bfloat16, dtype_of, float16, float32, float64

__all__ = ["Module"]

_TABLES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks", "_state_dict_pre_hooks",
          "_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


class Module:
    """The base of all layers and models.

    Subclasses call ``super().__init__()``, assign parameters and modules to attributes, and define ``forward``.

    >>> import tensorlite as tl
    >>> from tensorlite import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = nn.Parameter(tl.tensor(2.0))
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> Twice()(tl.tensor([1.0, 2.0])).detach()
    tensor([2., 4.])
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _derived: dict[str, Derived]
    _non_persistent_buffers_set: set[str]
    _forward_pre_hooks: list[Callable[..., Any]]
    _forward_hooks: list[Callable[..., Any]]
    _backward_pre_hooks: list[Callable[..., Any]]
    _backward_hooks: list[Callable[..., Any]]
    _state_dict_pre_hooks: list[Callable[..., Any]]
    _state_dict_hooks: list[Callable[..., Any]]
    _load_state_dict_pre_hooks: list[Callable[..., Any]]
    _load_state_dict_post_hooks: list[Callable[..., Any]]

    def __init__(self) -> None:
        self.__dict__.update(training=True, _non_persistent_buffers_set=set(), **{name: {} for name in _TABLES},
                             **{name: [] for name in _HOOKS})

    def forward(self, *arguments: Any, **kwargs: Any) -> Any:
        """Computes the output; every subclass defines it."""
        raise complaint(ArgumentError, type(self).__name__, "the module has no forward method", None,
                        "define forward(self, ...)")

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        if thread.read is not None:
            thread.read(self)
        if self._forward_pre_hooks or self._forward_hooks or self._backward_hooks or self._backward_pre_hooks:
            return call_with_hooks(self, arguments, kwargs)
        return self.forward(*arguments, **kwargs)

    # --- attributes ---

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        versions.changed()
        if name in tables.get("_derived", ()):
            tables["_derived"][name].assign(self, value)
            return
        if isinstance(value, Parameter | Buffer | Module) and "_parameters" not in tables:
            raise complaint(ArgumentError, type(self).__name__,
                            f"{name} is assigned before Module.__init__() was called",
                            None, "call super().__init__() first")
        if isinstance(value, Parameter):
            self._forget(name)
            self.register_parameter(name, value)
        elif isinstance(value, Buffer):
            self._forget(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif isinstance(value, Module):
            self._forget(name, keep="_modules")
            tables["_modules"][name] = value
        elif name in tables.get("_parameters", ()):
            self._set_member(name, value, "_parameters", "a Parameter")
        elif name in tables.get("_modules", ()):
            self._set_member(name, value, "_modules", "a Module")
        elif name in tables.get("_buffers", ()):
            self._set_member(name, value, "_buffers", "a tensor")
        else:
            object.__setattr__(self, name, value)

    def _set_member(self, name: str, value: Any, table: str, wanted: str) -> None:
        if value is not None and not (table == "_buffers" and isinstance(value, Tensor)):
            raise complaint(DTypeError, type(self).__name__,
                            f"{name} must be {wanted} or None, not {type(value).__name__}",
                            None, f"wrap it, or del the attribute {name} first")
        self.__dict__[table][name] = value

    def _forget(self, name: str, keep: str = "_parameters") -> None:
        """Removes whatever else has a name."""
        self.__dict__.pop(name, None)
        for table in _TABLES:
            if table != keep:
                self.__dict__[table].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        tables = self.__dict__
        for table in _TABLES:
            if name in tables.get(table, ()):
                return tables[table][name]
        if name in tables.get("_derived", ()):
            return tables["_derived"][name].compute(self)
        hint = "" if "_parameters" in tables else ": Module.__init__() was not called"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        versions.changed()
        for table in _TABLES:
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for table in _TABLES for name in self.__dict__.get(table, ())),
                       *self.__dict__.get("_derived", ())})

    def derive(self, name: str, derived: Derived | None) -> None:
        """Makes an attribute what something computes each time it is read, in place of a parameter or a buffer.

        With None the name stands for nothing again.
        """
        versions.changed()
        if derived is None:
            del self._derived[name]
            return
        self._forget(name, keep="")
        self.__dict__.setdefault("_derived", {})[name] = derived

    def _check_name(self, what: str, name: str, table: str) -> None:
        if "_parameters" not in self.__dict__:
            raise complaint(ArgumentError, type(self).__name__,
                            f"{what} {name} comes before Module.__init__() was called",
                            None, "call super().__init__() first")
        if not isinstance(name, str):
            raise complaint(DTypeError, f"register_{what}", f"a name is a string, not {name!r}")
        if not name or "." in name:
            raise complaint(ArgumentError, f"register_{what}", f"a name has no dot and is not empty: {name!r}")
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise complaint(ArgumentError, f"register_{what}",
                            f"{type(self).__name__} already has an attribute {name!r}")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, or a name for one that may come later."""
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise complaint(DTypeError, "register_parameter",
                            f"{name} must be a Parameter or None, not {type(param).__name__}",
                            None, "wrap it: nn.Parameter(...)")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is no parameter; `state_dict` holds it if it is persistent."""
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise complaint(DTypeError, "register_buffer",
                            f"{name} must be a tensor or None, not {type(tensor).__name__}")
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Adds a module."""
        self._check_name("module", name, "_modules")
        if module is not None and not isinstance(module, Module):
            raise complaint(DTypeError, "register_module",
                            f"{name} must be a Module or None, not {type(module).__name__}")
        self._modules[name] = module

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a module."""
        self.register_module(name, module)

    # --- walking ---

    def named_modules(self, memo: set[Module] | None = None, prefix: str = "",
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """The module itself and all below it, with their dotted names."""
        return names.named_modules(self, prefix, remove_duplicate, memo)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """The module itself and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one, with their names."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        return (child for _, child in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; a shared one once."""
        return names.named_members(self, "_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as an optimizer takes them."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; a shared one once."""
        return names.named_members(self, "_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; the module itself for an empty one."""
        return names.find(self, target, "_modules", "submodule") if target else self

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a dotted name, whose holder must be there; with ``strict``, only in place of another.

        >>> import tensorlite as tl
        >>> model = tl.nn.Sequential(tl.nn.Sequential(tl.nn.ReLU()))
        >>> model.set_submodule("0.0", tl.nn.Identity())
        >>> model[0][0]
        Identity()
        """
        path, _, name = target.rpartition(".")
        if not isinstance(module, Module):
            raise complaint(DTypeError, "set_submodule", f"takes a Module, not {type(module).__name__}")
        if not name:
            raise complaint(ArgumentError, "set_submodule", f"a name is not empty: {target!r}")
        holder = self.get_submodule(path)
        if strict or hasattr(holder, name):
            self.get_submodule(target)
        setattr(holder, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name."""
        return names.find(self, target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name."""
        return names.find(self, target, "_buffers", "buffer")

    # --- changing all ---

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Calls a function with every module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets training mode, or evaluation, of every module."""
        if not isinstance(mode, bool):
            raise complaint(DTypeError, "train", f"mode must be a bool, not {mode!r}")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode of every module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets whether the parameters require gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the parameters' gradients, or makes them zero."""
        for parameter in self.parameters():
            clear_grad(parameter, set_to_none)

    def to(self, *arguments: Any, dtype: Any = None, device: str | None = None) -> Self:
        """Casts floating parameters and buffers, or moves all, in place: as `Tensor.to` reads its arguments.

        >>> import tensorlite as tl
        >>> tl.nn.Linear(2, 1).to(tl.float64).weight.dtype.name
        'float64'
        """
        for argument in arguments:
            if isinstance(argument, Tensor):
                dtype, device = argument.dtype, argument.device
            elif isinstance(argument, str) and argument.partition(":")[0] in ("cpu", "cuda"):
                device = argument
            else:
                dtype = argument
        wanted = None if dtype is None else dtype_of(dtype)
        if wanted is not None and wanted not in DIFFERENTIABLE:
            raise complaint(DTypeError, "to", f"a module can be cast to floating dtypes, not {wanted.name}")
        return self._apply(lambda x: x.to(dtype=wanted if x.dtype in DIFFERENTIABLE else None, device=device))

    def type(self, dst_type: Any) -> Self:
        """Casts all parameters and buffers, those of integers too."""
        wanted = dtype_of(dst_type)
        if wanted not in DIFFERENTIABLE:
            raise complaint(DTypeError, "type", f"a module can be cast to floating dtypes, not {wanted.name}")
        return self._apply(lambda x: x.to(dtype=wanted))

    def to_empty(self, *, device: str | None, recurse: bool = True) -> Self:
        """Moves parameters and buffers without their values: they hold any numbers then, until they are filled."""
        return self._apply(lambda x: empty(x.shape, dtype=x.dtype, device=device or x.device), recurse)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the values of parameters, their gradients and the buffers by those of a function."""
        with no_grad():
            for module in self.modules() if recurse else (self,):
                for parameter in module._parameters.values():
                    if parameter is not None:
                        _refill(parameter, fn(parameter))
                        parameter.grad = None if parameter.grad is None else fn(parameter.grad)
                for name, buffer in module._buffers.items():
                    module._buffers[name] = None if buffer is None else fn(buffer)
        return self

    def float(self) -> Self:
        """Casts floating parameters and buffers to float32."""
        return self.to(float32)

    def double(self) -> Self:
        """Casts floating parameters and buffers to float64."""
        return self.to(float64)

    def half(self) -> Self:
        """Casts floating parameters and buffers to float16."""
        return self.to(float16)

    def bfloat16(self) -> Self:
        """Casts floating parameters and buffers to bfloat16."""
        return self.to(bfloat16)

    def cpu(self) -> Self:
        """Moves parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self, device: int = 0) -> Self:
        """Moves parameters and buffers to a GPU."""
        return self.to(f"cuda:{device}")

    # --- state ---

    def state_dict(self, *, destination: dict[str, Any] | None = None, prefix: str = "",
                   keep_vars: bool = False) -> dict[str, Any]:
        """The parameters and persistent buffers by their dotted names, as they are now.

        >>> import tensorlite as tl
        >>> list(tl.nn.Sequential(tl.nn.Linear(2, 1)).state_dict())
        ['0.weight', '0.bias']
        """
        found: dict[str, Any] = OrderedDict() if destination is None else destination
        for before in tuple(self._state_dict_pre_hooks):
            before(self, prefix, keep_vars)
        self._save_to_state_dict(found, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for after in tuple(self._state_dict_hooks):
            after(self, found, prefix, {})
        return found

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Adds the module's own entries to a state dict; a subclass may add others."""
        state.save(self, destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: state.Loading, prefix: str, local_metadata: Any, strict: bool,
                              missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str]) -> None:
        """Finds the module's own entries in a state dict; a subclass may change that before, to read older ones."""
        for hook in tuple(self._load_state_dict_pre_hooks):
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        state.find_own(self, state_dict, prefix, missing_keys)

    def get_extra_state(self) -> Any:
        """What `state_dict` is to hold beside parameters and buffers; a subclass defines it, with `set_extra_state`."""
        raise complaint(ArgumentError, type(self).__name__, "the module has no extra state", None,
                        "define get_extra_state(self)")

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` gave, when a state dict is loaded."""
        raise complaint(ArgumentError, type(self).__name__, "the module has no extra state", None,
                        "define set_extra_state(self, state)")

    get_extra_state.is_absent = set_extra_state.is_absent = True  # type: ignore[attr-defined]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True,
                        assign: bool = False) -> state.IncompatibleKeys:
        """Copies parameters and buffers from a dict of tensors or arrays; with ``assign`` takes the tensors themselves.

        Nothing is changed where something does not fit: `ArgumentError` names every missing, unexpected and misshapen
        key. Without ``strict`` missing and unexpected keys are left out and returned.
        """
        return state.load(self, state_dict, strict, assign)

    # --- hooks ---

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False,
                                  with_kwargs: bool = False) -> Handle:
        """Calls ``hook(module, arguments)`` before `forward`; what it returns replaces the arguments."""
        return register(self._forward_pre_hooks, PreHook(hook, with_kwargs), prepend)

    def register_forward_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> Handle:
        """Calls ``hook(module, arguments, output)`` after `forward`; what it returns replaces the output.

        With ``always_call`` it is called where `forward` raises, too, with None for the output.
        """
        return register(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(module, grad_output)`` when the output's gradients are known; what it returns replaces them."""
        return register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Calls ``hook(module, grad_input, grad_output)`` when both are known; what it returns replaces the first."""
        return register(self._backward_hooks, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls ``hook(module, prefix, keep_vars)`` before `state_dict` reads the module."""
        return register(self._state_dict_pre_hooks, hook, False)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls ``hook(module, state_dict, prefix, local_metadata)`` after `state_dict` read the module."""
        return register(self._state_dict_hooks, hook, False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls a hook before entries are looked up, on a copy of the state dict, which it may change.

        As ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.
        """
        return register(self._load_state_dict_pre_hooks, hook, False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Calls ``hook(module, incompatible_keys)`` after loading; it may change the lists of keys.

        Where keys do not fit, it is called before anything is loaded: what it takes out of the lists is forgiven.
        """
        return register(self._load_state_dict_post_hooks, hook, False)

    # --- text ---

    def extra_repr(self) -> str:
        """What the module says of itself in its text."""
        return ""

    def _get_name(self) -> str:
        return ("Parametrized" if "parametrizations" in self._modules else "") + type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [indented(f"({name}): {child!r}") for name, child in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({extra})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def indented(text: str) -> str:
    """A text whose lines after the first are moved to the right."""
    return text.replace("\n", "\n  ")


def _refill(parameter: Parameter, value: Tensor) -> None:
    """Makes a parameter hold another dtype's or device's value, staying the leaf that it is."""
    parameter.array = value.array
    if parameter.node is not None:
        parameter.node.dtype = value.dtype
