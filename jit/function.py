"""Jitted functions: the decorator's objects, which trace and compile at the first call of each kind."""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

from tensorlite import errors
from tensorlite.autocast import autocast
from tensorlite.errors import TraceError
from tensorlite.jit.compiled import Compiled, Stale, without_collection
from tensorlite.jit.differentiate import Halves, call_recorded, halve
from tensorlite.jit.explain import Explanation, explain, memory
from tensorlite.jit.guards import guarding
from tensorlite.jit.key import key_of, pattern_of
from tensorlite.jit.lock import Lock
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.profile import Profile
from tensorlite.jit.trace import Traced, trace_call
from tensorlite.modes import no_grad
from tensorlite.nn.module import Module
from tensorlite.state import state
from tensorlite.tensor import Tensor

MANY = 8  # specialisations of one function, from which on it is told what makes them


class RecompileWarning(UserWarning):
    """A function is compiled again and again."""


class Jitted:
    """A function that is traced once for each kind of arguments and then runs as one native program.

    It gives what the function gives. Its Python runs only while it is traced: again where arguments have other types or
    structure, or where what the function read from Python (globals, closures, attributes of modules, options of
    optimizers) has changed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function if not isinstance(function, Module) else function.forward)
        self.function = function  # after what another decorator copied of a jitted function's attributes
        self.variants: dict[Any, list[Compiled]] = {}
        self.escaped: set[Any] = set()
        self._lock = Lock()
        self._warned = False
        self._last: tuple[list[Any] | None, Sequence[Compiled]] = None, ()

    def __repr__(self) -> str:
        return f"<jit {getattr(self.function, '__qualname__', None) or type(self.function).__name__}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        if state.interpreter is not None:  # part of another trace
            return self.function(*arguments, **kwargs)
        tensors: list[Tensor] = []
        parts: list[Any] = [state.recording, state.device, state.autocast and state.autocast.dtype]
        key_of((arguments, kwargs) if kwargs else arguments, tensors, parts)
        if len(tensors) > 1:
            parts.append(pattern_of(tensors))
        last, variants = self._last
        if parts != last:
            variants = self.variants.get(tuple(parts), ())
            self._last = parts, variants
        for compiled in variants:
            if compiled.guards.hold():
                try:
                    return self._run(compiled, tensors)
                except Stale:
                    continue
        return self._first(tuple(parts), tensors, arguments, kwargs)

    def _first(self, key: Any, tensors: list[Tensor], arguments: Any, kwargs: Any) -> Any:
        """Traces and compiles a call, and runs it."""
        with self._lock:
            for known in self.variants.get(key, ()):  # another thread may have been here meanwhile
                if known.guards.hold():
                    try:
                        return self._run(known, tensors)
                    except Stale:
                        continue
            compiled = self._specialize(key, tensors, arguments, kwargs)
            result = self._run(compiled, tensors)
            if compiled.traced.kept:
                return result
            self.variants.setdefault(key, []).insert(0, compiled)
            self._last = None, ()
            del self.variants[key][MANY:]
        self._count()
        return result

    def _run(self, compiled: Compiled, tensors: list[Tensor]) -> Any:
        traced = compiled.traced
        if traced.tracked and state.recording:
            made = call_recorded(compiled, tensors, self._halve)
        else:
            made = [Tensor(array) for array in compiled.call(tensors)[:compiled.count]]
        return compiled.results(made)

    def _halve(self, compiled: Compiled, wanted: tuple[bool, ...]) -> Halves:
        """Cuts a specialisation and its derivative in two."""
        with without_collection(), autocast(enabled=False):
            return halve(compiled, wanted)

    def _specialize(self, key: Any, tensors: list[Tensor], arguments: Any, kwargs: Any) -> Compiled:
        with without_collection(), guarding(self.function, (arguments, kwargs)) as guards:
            traced = trace_call(self.function, arguments, kwargs)
        if traced.kept:
            _settle(traced, tensors)
            if key in self.escaped:
                raise _escape(traced)
            self.escaped.add(key)
        with autocast(enabled=False):  # the trace has its casts; what the passes write needs none
            return Compiled(traced, guards, state.recording)

    def _count(self) -> None:
        count = sum(map(len, self.variants.values()))
        if count > MANY and not self._warned:
            self._warned = True
            warnings.warn(f"{self!r} was compiled {count} times: its arguments' shapes, numbers or strings, or what it "
                          "reads from Python, keep changing; pass numbers that change as tensors",
                          RecompileWarning, stacklevel=4)

    def explain(self, *arguments: Any, graphs: bool = False, kernels: bool = False) -> Explanation:
        """What became of the function, to print or to show in a notebook: kernels, memory, and what each costs.

        For each kind of arguments that it was called with: a summary, and a table of kernels with the time that each
        takes, measured on copies, beside what this machine could do. ``graphs`` adds the graph after each pass,
        ``kernels`` every kernel with its loops. With arguments, what these run is explained, and measured with them;
        without, with made-up ones. The result's ``kernels[i]`` have ``loops``, ``llvm`` and ``assembly``. Raises
        `TraceError` before the first call.

        >>> import tensorlite as tl
        >>> step = tl.jit(lambda x: tl.exp(x) * 2 + 1)
        >>> y = step(tl.ones((8, 4)))
        >>> step.explain().kernels
        (<kernel 0: exp multiply add>,)
        >>> step.explain().kernels[0].flops
        96
        """
        return explain(self, arguments, graphs, kernels)

    def memory(self) -> dict[str, int]:
        """The bytes that calls need, known before any runs, by what they are for; of the specialisation with most.

        ``arena`` is for all that lives during a call only, ``bound`` the least that any plan for it needs;
        ``constants`` and what is made of unchanged state, ``state`` that the function met (parameters, moments), and
        ``results`` that calls return or give fresh memory to. Raises `TraceError` before the first call.

        >>> import tensorlite as tl
        >>> step = tl.jit(lambda x: (x @ x) @ x)
        >>> y = step(tl.ones((64, 64)))
        >>> step.memory()
        {'arena': 16384, 'bound': 16384, 'constants': 0, 'state': 0, 'results': 16384}
        """
        return memory(self)

    def profile(self, path: str | os.PathLike[str] | None = None) -> Profile:
        """Records the calls within ``with``, and writes them as a trace that Perfetto and Chrome open.

        A row for each thread, and on it a slice for each kernel with its bytes, operations and line; Python edges, and
        what a call spends before and after, are slices too. It is used as PyTorch's and JAX's profilers are. What is
        recorded gives the same results, and takes a little longer. Calls within other jitted functions are part of
        those.

        >>> import tensorlite as tl
        >>> step = tl.jit(lambda x: tl.exp(x) * 2 + 1)
        >>> with step.profile() as profile:  # step.profile("trace.json") writes the file
        ...     y = step(tl.ones((8, 4)))
        >>> [event["name"] for event in profile.trace["traceEvents"] if event.get("cat") == "kernel"]
        ['exp multiply add']
        """
        return Profile(self, path)

    def __reduce__(self) -> Any:
        return type(self), (self.function,)


_OWN = frozenset({"function", "variants", "escaped", "_last", "_lock", "_warned"})


class JittedModule(Jitted):
    """A module whose calls are compiled; everything else is the module's own."""

    def __getattr__(self, name: str) -> Any:
        if name == "function":
            raise AttributeError(name)
        return getattr(self.function, name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in _OWN or (name.startswith("__") and name.endswith("__"))
        (object.__setattr__ if own else setattr)(self if own else self.function, name, value)

    def __len__(self) -> int:
        return len(self.function)  # type: ignore[arg-type]

    def __iter__(self) -> Any:
        return iter(self.function)  # type: ignore[call-overload]

    def __getitem__(self, key: Any) -> Any:
        return self.function[key]  # type: ignore[index]

    def __contains__(self, key: Any) -> bool:
        return key in self.function  # type: ignore[operator]

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"jit({self.function!r})"


def _settle(traced: Traced, tensors: list[Tensor]) -> None:
    """Gives the tensors of a trace that are kept outside what they would hold had the function run."""
    graph, numbers = traced.graph, [number for _, number in traced.kept]
    only = eliminate_dead_code(graph.with_equations(graph.equations, [graph.outputs[number] for number in numbers]))
    with no_grad():
        values = only(*tensors, *traced.state)
    for (tensor, _), value in zip(traced.kept, values, strict=True):
        tensor.array, tensor.node = value.array.copy(), None  # calls may write where state lies


def _escape(traced: Traced) -> errors.TensorliteError:
    _, number = traced.kept[0]
    value = traced.graph.outputs[number]
    line = next((e.line for e in traced.graph.equations if value in e.outputs), None)
    return errors.complaint(TraceError, "jit", "a tensor of the trace is kept outside of the function", {"made": value},
                            "return it, or write it into a tensor that was there before: x.copy_(y)", line or None)


def jit(function: Callable[..., Any] | None = None) -> Any:
    """Makes a function run as compiled native code; see the module's own documentation."""
    if function is None:
        return jit
    if isinstance(function, Jitted):
        return function
    if isinstance(function, Module):
        return JittedModule(function)
    if not callable(function):
        raise errors.complaint(errors.DTypeError, "jit", f"takes a function, not {type(function).__name__}")
    called = function if hasattr(function, "__code__") else type(function).__call__
    if inspect.isgeneratorfunction(called) or inspect.iscoroutinefunction(called):
        kind = "generator" if inspect.isgeneratorfunction(called) else "coroutine"
        raise errors.complaint(TraceError, "jit", f"a {kind} goes on after its call, when nothing is traced any more",
                               None, "return a list of what it yields, or jit what it calls")
    return Jitted(function)
