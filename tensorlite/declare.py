"""The decorators that declare ops: `elementwise`, `primitive`; `public` and `functional` for what users call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

from tensorlite import errors
from tensorlite.derivative import elementwise_op
from tensorlite.dispatch import applier
from tensorlite.eager import runner
from tensorlite.kernels import scalar as s
from tensorlite.op import KINDS, OPS, Elementwise, Op, Sample
from tensorlite.state import state
from tensorlite.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

#: Every public function by name; `METHODS` are those that tensors have as methods too.
PUBLIC: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
IN_PLACE: dict[str, Callable[..., Any]] = {}

#: PyTorch's name of an option, and those that it may have here.
OPTION_ALIASES = (("dim", "axes"), ("dim", "axis"), ("dims", "axes"), ("dims", "axis"), ("keepdim", "keepdims"),
                  ("shifts", "shift"), ("diagonal", "k"), ("size", "shape"), ("steps", "num"), ("end", "stop"))


def elementwise(function: Callable[..., Any] | None = None, *, accepts: str = "numeric",
                vjp: Mapping[str, Callable[..., s.Expr]] | None = None, conditions: Sequence[str] = (),
                domain: Mapping[str, tuple[float, float]] | None = None, differentiable: bool = True,
                hidden: bool = False, name: str | None = None, autocast: str | None = None) -> Any:
    """Declares an elementwise op by a Python function over scalars.

    ``accepts`` names the group of dtypes it takes (`tensor_type.GROUPS`; a floating group takes integers too, as
    the default float), ``vjp`` states derivatives that the chain rule would get wrong or slow, as scalar functions
    of ``g``, ``y`` and the inputs, and ``domain`` tells tests where to draw inputs from. The op becomes a function
    of ``tl``, a method and an in-place method of tensors, unless it is ``hidden``.

        @elementwise(accepts="floating", vjp={"x": lambda g, y: g * y * (1 - y)})
        def sigmoid(x):
            \"\"\"The logistic function ``1 / (1 + exp(-x))``.\"\"\"
            return 1 / (1 + s.exp(-x))
    """
    if function is None:
        return lambda f: elementwise(f, accepts=accepts, vjp=vjp, conditions=conditions, domain=domain,
                                     differentiable=differentiable, hidden=hidden, name=name, autocast=autocast)
    title = name or function.__name__
    _check_scalars(title, function)
    op = elementwise_op(s.trace(function), title, accepts, conditions=frozenset(conditions), domain=domain or {},
                        stated=vjp or {}, differentiable=differentiable)
    op.autocast = autocast
    _declare(op)
    face = _face(op)
    face.__name__ = face.__qualname__ = title
    is_elsewhere = title != function.__name__ and not hidden  # its module may have a function of that name beside it
    face.__doc__, face.__module__ = function.__doc__, "tensorlite" if is_elsewhere else function.__module__
    face.op = op  # type: ignore[attr-defined]
    if not hidden:
        PUBLIC[title] = METHODS[title] = IN_PLACE[title] = face
    return face


def _declare(op: Op) -> None:
    """Puts an op among the others, none of which may have its name: graphs and rules know ops by theirs."""
    _check_names(op)
    other = OPS.get(op.name)
    if other is not None and _meaning(other) != _meaning(op):
        raise errors.InternalError(f"there are two ops called {op.name}")
    OPS[op.name] = op


def _meaning(op: Op) -> object:
    """What two declarations of one op share: the scalar function, or the code of the body."""
    return op.function if isinstance(op, Elementwise) else op.body.__code__


def _check_scalars(title: str, function: Callable[..., Any]) -> None:
    """Refuses functions that are no op of scalars: its inputs are given by position, all of them."""
    code = getattr(function, "__code__", None)
    if getattr(function, "__defaults__", None) or code is not None and not (
            code.co_argcount or code.co_kwonlyargcount or code.co_flags & inspect.CO_VARARGS):
        raise errors.complaint(errors.ArgumentError, title, "an elementwise op takes one scalar or more, without "
                               "defaults", None, "write a function around it that fills in what is left out")


def _check_names(op: Op) -> None:
    """Refuses inputs called as what rules ask for: ``g`` is the cotangent, and ``y`` of a structured op the output."""
    taken = {"g"} if isinstance(op, Elementwise) else {"g", "y", "index"}
    for name in taken.intersection(op.inputs):
        raise errors.complaint(errors.ArgumentError, op.name, f"an input cannot be called {name}, which derivatives "
                               "ask for by that name", None, f"call it {name}_")


def _face(op: Elementwise) -> Callable[..., Any]:
    """The public function of an elementwise op, with its own parameters' names."""
    code = _face_code(len(op.inputs)).replace(co_varnames=op.inputs, co_filename=f"<tensorlite {op.name}>")
    face = FunctionType(code, {"apply": applier(op)}, op.name)
    face.__annotations__ = {**dict.fromkeys(op.inputs, "Operand"), "return": "Tensor"}
    return face


@functools.cache
def _face_code(count: int) -> CodeType:
    """The code of a function that applies an op to ``count`` inputs: compiling one an op takes longer than the op."""
    names = ", ".join(f"x{number}" for number in range(count))
    scope: dict[str, Any] = {}
    exec(f"def face({names}, /): return apply({names})", scope)
    return cast(FunctionType, scope["face"]).__code__


def primitive(kind: str, *, type: Callable[..., Any] | None = None,
              vjp: Mapping[str, Callable[..., Any]] | None = None, samples: Sequence[Sample] = (),
              meaning: Callable[..., Any] | None = None, batch: Callable[..., Any] | None = None,
              native_size: int | None = None, autocast: str | None = None) -> Any:
    """Declares a structured op by a body on arrays, ``body(xp, *inputs, *, attributes)``.

    ``kind`` is what the compiler decides from (`op.KINDS`), ``type`` maps input types to the output's, ``vjp`` holds
    one rule an input in Tensor ops, ``samples`` the calls that generated tests make, ``meaning`` says the op in other
    Tensor ops, ``batch`` is its rule for `vmap` where none follows from kind and attributes, ``native_size`` says from
    how many elements on kernels are worth it where that is not usual, and ``autocast`` what it takes in mixed precision
    (`op.Op`). What it returns applies the op.
    """
    if kind not in KINDS:
        raise errors.InternalError(f"no kind of op is called {kind!r}; there are {', '.join(KINDS)}")

    def declare(body: Callable[..., Any]) -> Callable[..., Any]:
        positional, attributes, variadic = s.parameter_names(body)
        op = Op(name=body.__name__.strip("_"), kind=kind, body=body, runner=runner,
                inputs=(*positional[1:], *variadic), attributes=attributes, variadic=bool(variadic), type_rule=type,
                rules=dict(vjp or {}), samples=tuple(samples), meaning=meaning, batch=batch, native_size=native_size,
                autocast=autocast)
        _declare(op)
        return applier(op)
    return declare


def public(function: F | None = None, *, method: bool | str = True, in_place: bool = False,
           autocast: str | None = None) -> Any:
    """Makes a function part of the namespace ``tl``, and a method of tensors; accepts ``dim`` and ``keepdim`` too.

    ``autocast`` says what its tensors are cast to in mixed precision (`op.Op`), where its ops do not say it.
    """
    if function is None:
        return lambda f: public(f, method=method, in_place=in_place, autocast=autocast)
    face = _cast(_checked(function), autocast)
    face = _making_leaves(face) if _makes_tensors(function) else face
    name = function.__name__.rstrip("_")
    PUBLIC[name] = face
    errors.ENTRIES[id(function.__code__)] = name
    if method:
        METHODS[method if isinstance(method, str) else name] = face
    if in_place:
        IN_PLACE[name] = face
    return face


def functional(function: F | None = None, *, autocast: str | None = None) -> Any:
    """Makes a function of `nn.functional`, `linalg` or `fft` alone: named, checked and cast as those of ``tl``."""
    if function is None:
        return lambda f: functional(f, autocast=autocast)
    errors.ENTRIES[id(function.__code__)] = function.__name__
    face = _cast(_checked(function), autocast)
    return _making_leaves(face) if _makes_tensors(function) else face


def _makes_tensors(function: Callable[..., Any]) -> bool:
    """Whether a function makes tensors of a dtype and on a device, and not of another tensor's elements."""
    code = function.__code__
    names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    of_another = names[:1] == ("x",) and not function.__name__.endswith("_like")
    return {"dtype", "device"} <= set(names) and "requires_grad" not in names and not of_another


def _making_leaves(function: F) -> F:
    """Accepts PyTorch's ``requires_grad``, which makes what is made a leaf of the tape."""
    @functools.wraps(function)
    def face(*arguments: Any, requires_grad: bool = False, **kwargs: Any) -> Any:
        made = function(*arguments, **kwargs)
        return made.requires_grad_() if requires_grad else made
    signature = inspect.signature(function)
    option = inspect.Parameter("requires_grad", inspect.Parameter.KEYWORD_ONLY, default=False, annotation="bool")
    face.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), option])
    return face  # type: ignore[return-value]


def _cast(function: F, autocast: str | None) -> F:
    """The function, which casts its tensors in mixed precision if that is wanted."""
    if autocast is None:
        return function

    @functools.wraps(function)
    def face(*arguments: Any, **kwargs: Any) -> Any:
        if state.autocast is not None:
            arguments, _ = state.autocast.operands(autocast, arguments, {})
            given, _ = state.autocast.operands(autocast, list(kwargs.values()), {})
            kwargs = dict(zip(kwargs, given, strict=True))
        return function(*arguments, **kwargs)
    return face  # type: ignore[return-value]


def _checked(function: F) -> F:
    """Accepts PyTorch's names of options, ``dim`` for ``axis`` and so on, and says which argument is no tensor.

    The one place that does either.
    """
    code = inspect.unwrap(function).__code__  # a signature takes 20 us, of each of some hundred functions
    names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    known = {alias: name for alias, name in OPTION_ALIASES if name in names and alias not in names}

    @functools.wraps(function)
    def face(*arguments: Any, **kwargs: Any) -> Any:
        if kwargs:
            for alias, name in known.items():
                if alias in kwargs:
                    if name in kwargs:
                        raise errors.complaint(errors.ArgumentError, function.__name__,
                                               f"{alias} and {name} are the same option: both were given")
                    kwargs[name] = kwargs.pop(alias)
        try:
            return function(*arguments, **kwargs)
        except (AttributeError, TypeError) as error:
            known_as = isinstance(error, errors.TensorliteError)
            told = None if known_as else _no_tensor(function, arguments, kwargs)
            if told is None:
                raise
        try:
            raise told
        finally:
            del told
    return face  # type: ignore[return-value]


def _no_tensor(function: Callable[..., Any], arguments: Sequence[Any],
               kwargs: Mapping[str, Any]) -> errors.TensorliteError | None:
    """What to say of a call with something else where a tensor is wanted."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*arguments, **kwargs).arguments
    except TypeError:
        return None
    for name, value in bound.items():
        if signature.parameters[name].annotation in (Tensor, "Tensor") and not isinstance(value, Tensor):
            return errors.complaint(errors.DTypeError, function.__name__,
                                    f"{name} must be a tensor, not {type(value).__name__}", {name: value},
                                    "make it one: tl.asarray(...)")
    return None
