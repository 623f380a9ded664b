"""How the parameters of a function of ours differ from those of PyTorch's of the same name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tensorlite.declare import OPTION_ALIASES

#: Parameters that PyTorch itself calls deprecated or its own, and ``out``: what comes after them is given by name here.
GONE = {"size_average", "reduce", "_stacklevel", "min_value", "max_value", "out"}
#: What is said of these once, at the top of the page, and not at every name.
SAID_ONCE = {"layout", "pin_memory", "memory_format", "input", "self", "device", "generator", *GONE}

#: The rule, as the page says it.
RULE = """\
Beside a name that exists are the parameters in which it differs: those that it is *without*, those that are given *by
name* only where PyTorch also takes them by place, those in *another place*, and *defaults* that are not the same. They
are compared where PyTorch tells them, by its signature or by the first line of its docstring. Not compared are `out`,
`layout`, `pin_memory` and `memory_format` (tensors are values, whose memory is the library's), `device` and
`generator`, and the names of tensors that are given by place only, as the array API has it; `dim`, `dims` and `keepdim`
are taken wherever `axis` and `keepdims` are. What PyTorch calls deprecated (`size_average`, `reduce` and others) is not
here, and the parameters after it are given by name."""

NOTHING = inspect.Parameter.empty

#: Options, by their names or with a function's, whose other default means the same.
SAME = {"norm", "side", ("amax", "dim"), ("amin", "dim"), ("kthvalue", "dim"), ("mode", "dim"), ("topk", "dim")}


@dataclass(frozen=True)
class Given:
    """How a parameter is given: at a place or by name only, or with which default."""

    name: str
    place: int | None
    default: Any = NOTHING


def differences(ours: Callable[..., Any], theirs: Callable[..., Any], name: str, bound: bool = False) -> str:
    """Says in which parameters our function differs, in a few words, or nothing."""
    wanted = _theirs(theirs, name, bound)
    found = _signature(ours)
    if not wanted or found is None:
        return ""
    mine = list(found.parameters.values())[1 if bound else 0:]
    takes_any_name = any(p.kind is p.VAR_KEYWORD for p in mine)
    takes_any_place = any(p.kind is p.VAR_POSITIONAL for p in mine)
    by_name = _by_name(mine)
    lists: dict[str, list[str]] = {"without": [], "by name": [], "in another place": [], "default": []}
    places = [p for p in mine if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for given in wanted:
        same = by_name.get(given.name)
        if same is None:
            by_place = given.place is not None and given.place < len(places) and (
                places[given.place].kind is inspect.Parameter.POSITIONAL_ONLY)
            if not by_place and not (takes_any_place and given.place is not None) and not takes_any_name:
                lists["without"].append(f"`{given.name}`")
            continue
        if given.place is not None and not takes_any_place:
            if same.kind is same.KEYWORD_ONLY:
                lists["by name"].append(f"`{given.name}`")
            elif places.index(same) != given.place:
                lists["in another place"].append(f"`{given.name}`")
        if NOTHING not in (given.default, same.default) and not (
                _equal(given.default, same.default) or (name, given.name) in SAME or given.name in SAME):
            lists["default"].append(f"`{given.name}={same.default!r}` for `{given.default!r}`")
        elif given.default is not NOTHING and same.default is NOTHING and same.kind is not same.VAR_POSITIONAL:
            lists["default"].append(f"`{given.name}` has none for `{given.default!r}`")
    return "; ".join(f"{what} {', '.join(names)}" for what, names in lists.items() if names)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _by_name(parameters: list[inspect.Parameter]) -> Mapping[str, inspect.Parameter]:
    """Our parameters by all names that they can be given by."""
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    aliases = {alias: named[name] for alias, name in OPTION_ALIASES if name in named}
    return {**aliases, **named}


def _theirs(function: Callable[..., Any], name: str, bound: bool) -> list[Given]:
    """PyTorch's parameters, without those that are said once."""
    signature = None if inspect.isbuiltin(function) else _signature(function)
    if signature is not None and not all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
                                         for p in signature.parameters.values()):
        found = _of_signature(signature, bound)
    else:
        found = _of_docstring(function.__doc__ or "", name)
    if bound and found and found[0].name == "input":  # docstrings of some methods name the tensor itself
        found = [replace(given, place=None if given.place is None else given.place - 1) for given in found[1:]]
    gone = min((given.place for given in found if given.name in GONE and given.place is not None), default=len(found))
    return [replace(given, place=None) if given.place is not None and given.place > gone else given
            for given in found if given.name not in SAID_ONCE]


def _of_signature(signature: inspect.Signature, bound: bool) -> list[Given]:
    parameters = list(signature.parameters.values())[1 if bound else 0:]
    return [Given(p.name, None if p.kind is p.KEYWORD_ONLY else place, p.default)
            for place, p in enumerate(parameters) if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _of_docstring(text: str, name: str) -> list[Given]:
    """The parameters that a docstring begins with: ``add(input, other, *, alpha=1, out=None) -> Tensor``."""
    match = re.search(rf"^\s*{name}\((.*?)\)\s*(->.*)?$", text, re.MULTILINE)
    if match is None:
        return []
    place: int | None = 0
    found = []
    for part in re.split(r",\s*(?![^\[(]*[\])])", match[1]):
        written, _, default = (word.strip() for word in part.partition("="))
        if written.startswith(("*", "\\*")):
            place = None
        elif written.isidentifier():
            found.append(Given(written, place, _read(default)))
            place = None if place is None else place + 1
    return found


def _read(default: str) -> Any:
    try:
        return ast.literal_eval(default)
    except (SyntaxError, ValueError):
        return NOTHING


def _equal(one: Any, other: Any) -> bool:
    """Whether two defaults are the same to a user: a list is as good as a tuple, and objects are not compared."""
    plain = (bool, int, float, str, tuple, list, type(None))
    if not isinstance(one, plain) or not isinstance(other, plain):
        return True
    listed = [tuple(value) if isinstance(value, list) else value for value in (one, other)]
    return listed[0] == listed[1] or (isinstance(one, float) and one != one and other != other)
