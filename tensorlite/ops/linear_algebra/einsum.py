"""einsum: sums of products written with one letter an axis, computed as products of matrices where they are such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import prod
from string import ascii_letters
from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, TensorliteError, complaint
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.linear_algebra.linalg import _matmul
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import _copy, _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import promote

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A tensor and the label of each of its axes."""

    tensor: Tensor
    labels: Labels


@public(method=False)
def einsum(equation: Any, /, *operands: Any) -> Tensor:
    """Sums of products in Einstein's notation: letters name axes, and those missing behind ``->`` are summed over.

    ``"ij,jk->ik"`` is a product of matrices, ``"ii->i"`` a diagonal, ``"...ij->...ji"`` a transpose whatever comes
    before. Without ``->`` the letters that appear once remain, in alphabetical order. Operands may also come each
    with a list of integers for labels, and the result's list last. Raises `ArgumentError` for an equation that
    cannot be read, `ShapeError` where extents of one letter differ.

    >>> import tensorlite as tl
    >>> tl.einsum("ij,j->i", tl.tensor([[1.0, 2.0], [3.0, 4.0]]), tl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = tuple(operands[0])
    try:
        terms, output = _terms(equation, operands)
        result = _permuted(_contract(_with_extents(terms), output), output)
        return _copy(result) if any(result is x for x in operands) else result
    except TensorliteError as error:
        if error.complete:
            raise
        arguments = {"equation": equation, **{f"operands[{i}]": x for i, x in enumerate(operands)}}
        raise complaint(type(error), "einsum", error.problem, arguments, error.fix) from None


# --- reading ------------------------------------------------------------------------------------------------------


def _from_lists(arguments: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """The equation of operands that each come with a list of integers for labels."""
    pairs = len(arguments) // 2
    operands, lists = arguments[:2 * pairs:2], [arguments[2 * i + 1] for i in range(pairs)]
    names = {number: ascii_letters[i] for i, number in enumerate(sorted(
        {n for labels in lists for n in labels if n is not Ellipsis}))}
    texts = ["".join("..." if n is Ellipsis else names[n] for n in labels) for labels in lists]
    if len(arguments) % 2 == 0:
        return ",".join(texts), tuple(operands)
    output = "".join("..." if n is Ellipsis else names[n] for n in arguments[-1])
    return f"{','.join(texts)}->{output}", tuple(operands)


def _terms(equation: str, operands: Sequence[Any]) -> tuple[list[Term], Labels]:
    """The labelled operands and the output's labels."""
    for x in operands:
        if not isinstance(x, Tensor):
            raise DTypeError(f"operands must be tensors, not {type(x).__name__}", "make it one: tl.asarray(...)")
    inputs, output = _parse(equation, tuple(x.ndim for x in operands))
    dtype = reduce(promote, (x.dtype for x in operands))
    return [Term(astype(x, dtype, copy=False), of) for x, of in zip(operands, inputs, strict=True)], output


@lru_cache(maxsize=4096)
def _parse(equation: str, ndims: tuple[int, ...]) -> tuple[tuple[Labels, ...], Labels]:
    """The labels of operands and output; axes behind an ellipsis are labelled 0, 1, ... from the last."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    texts = inputs.split(",")
    if not ndims or len(texts) != len(ndims):
        raise ArgumentError(f"the equation has {len(texts)} operands, not {len(ndims)}")
    terms = tuple(_labels(text, ndim) for text, ndim in zip(texts, ndims, strict=True))
    found = [label for term in terms for label in term]
    dots = sorted({label for label in found if label.isdecimal()}, key=int, reverse=True)
    if arrow:
        labels = _labels(output, len(output.replace("...", "")) + (len(dots) if "..." in output else 0))
    else:
        labels = (*dots, *sorted(label for label in set(found) if found.count(label) == 1 and not label.isdecimal()))
    for label in labels:
        if label not in found:
            raise ArgumentError(f"the output's {label!r} is in no operand")
    if len(set(labels)) < len(labels):
        raise ArgumentError("the output names an axis twice")
    return terms, labels


def _labels(text: str, ndim: int) -> Labels:
    before, dots, after = text.partition("...")
    letters = before + after
    for letter in letters:
        if letter not in ascii_letters:
            raise ArgumentError(f"{letter!r} names no axis", "use letters, ',', '->' and '...'")
    hidden = ndim - len(letters)
    if hidden < 0 or (hidden and not dots):
        raise ShapeError(f"{text!r} names {len(letters)} axes of a tensor that has {ndim}")
    return (*before, *(str(i) for i in reversed(range(hidden))), *after)


# --- computing ----------------------------------------------------------------------------------------------------


def _with_extents(terms: Sequence[Term]) -> list[Term]:
    """Terms without repeated labels, and without axes of extent 1 where the label's extent is another."""
    extents: dict[str, int] = {}
    for term in terms:
        for label, extent in zip(term.labels, term.tensor.shape, strict=True):
            known = extents.setdefault(label, extent)
            if extent != known and 1 not in (extent, known):
                name = "an axis of ..." if label.isdecimal() else repr(label)
                raise ShapeError(f"{name} has extent {known} and extent {extent}")
            extents[label] = extent if known == 1 else known
    return [_without_ones(_diagonal(term), extents) for term in terms]


def _diagonal(term: Term) -> Term:
    """The term where axes of the same label are one: the diagonal over them."""
    for label in term.labels:
        places = [i for i, other in enumerate(term.labels) if other == label]
        if len(places) > 1:
            i, j = places[:2]
            x, labels = term.tensor, term.labels
            rest = [a for a in range(x.ndim) if a not in (i, j)]
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"{label!r} has extent {x.shape[i]} and extent {x.shape[j]}")
            n = x.shape[i]
            flat = _reshape(_permute_dims(x, axes=(*rest, i, j)), shape=(*(x.shape[a] for a in rest), n * n))
            line = _slice(flat, spec=(Ellipsis, slice(None, None, n + 1)))
            return _diagonal(Term(line, (*(labels[a] for a in rest), label)))
    return term


def _without_ones(term: Term, extents: dict[str, int]) -> Term:
    kept = [i for i, label in enumerate(term.labels) if term.tensor.shape[i] == extents[label]]
    if len(kept) == len(term.labels):
        return term
    shape = tuple(term.tensor.shape[i] for i in kept)
    return Term(_reshape(term.tensor, shape=shape), tuple(term.labels[i] for i in kept))


def _contract(terms: list[Term], output: Labels) -> Term:
    """Multiplies terms two by two, the pair first whose product is smallest, and sums what is needed no more."""
    terms = [_summed(term, _needed(output, terms, (i,))) for i, term in enumerate(terms)]
    while len(terms) > 1:
        pairs = [(i, j) for j in range(len(terms)) for i in range(j)]
        i, j = min(pairs, key=lambda pair: _size(terms, pair, output)) if len(pairs) > 1 else pairs[0]
        product = _product(terms[i], terms[j], _needed(output, terms, (i, j)))
        terms = [term for k, term in enumerate(terms) if k not in (i, j)] + [product]
    return terms[0]


def _needed(output: Labels, terms: Sequence[Term], but: Sequence[int]) -> frozenset[str]:
    """The labels of the output and of all terms but some."""
    return frozenset(output).union(*(term.labels for i, term in enumerate(terms) if i not in but))


def _size(terms: Sequence[Term], pair: tuple[int, int], output: Labels) -> int:
    needed = _needed(output, terms, pair)
    extents = {label: n for i in pair for label, n in zip(terms[i].labels, terms[i].tensor.shape, strict=True)}
    return prod(n for label, n in extents.items() if label in needed)


def _summed(term: Term, needed: frozenset[str]) -> Term:
    """The term without the axes that nothing else needs."""
    axis = tuple(i for i, label in enumerate(term.labels) if label not in needed)
    if not axis:
        return term
    return Term(_sum(term.tensor, axis=axis, keepdims=False, dtype=None),
                tuple(label for label in term.labels if label in needed))


@dataclass(frozen=True, slots=True)
class Roles:
    """What the axes of two terms are in their product, by label: in both and kept, in one, or summed over."""

    batch: Labels
    rows: Labels
    inner: Labels
    columns: Labels


@lru_cache(maxsize=4096)
def _roles(a: Labels, b: Labels, needed: frozenset[str]) -> Roles:
    return Roles(tuple(label for label in a if label in b and label in needed),
                 tuple(label for label in a if label not in b),
                 tuple(label for label in a if label in b and label not in needed),
                 tuple(label for label in b if label not in a))


def _product(a: Term, b: Term, needed: frozenset[str]) -> Term:
    """The product of two terms summed over what both have and nothing else needs."""
    roles = _roles(a.labels, b.labels, needed)
    extents = dict(zip(a.labels + b.labels, a.tensor.shape + b.tensor.shape, strict=True))
    batch, rows, inner, columns = (
        tuple(extents[label] for label in group) for group in (roles.batch, roles.rows, roles.inner, roles.columns))
    left = _aligned(a, roles.batch + roles.rows + roles.inner, (*batch, prod(rows), prod(inner)))
    right = _aligned(b, roles.batch + roles.inner + roles.columns, (*batch, prod(inner), prod(columns)))
    product = _matmul(left, right) if roles.inner else left * right
    return Term(_shaped(product, batch + rows + columns), roles.batch + roles.rows + roles.columns)


def _aligned(term: Term, labels: Labels, shape: tuple[int, ...]) -> Tensor:
    return _shaped(_permuted(term, labels), shape)


def _permuted(term: Term, labels: Labels) -> Tensor:
    if term.labels == labels:
        return term.tensor
    return _permute_dims(term.tensor, axes=tuple(term.labels.index(label) for label in labels))


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else _reshape(x, shape=shape)
