"""Nested containers are flattened in a fixed order and rebuilt as what they were."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlite.tree import flatten, tree_map

Point = namedtuple("Point", "x y")


@dataclass(frozen=True)
class Pair:
    first: object
    second: object
    name: str = field(default="pair", init=False)


TREES = [1, None, "text", [], (), {}, [1, 2], (1, (2, [3])), {"b": 1, "a": (2, {"c": 3})}, Point(1, [2]),
         Pair(1, {"a": 2}), OrderedDict(b=1, a=2), [Pair(Point(1, 2), ()), None], {1: 2, (1, 2): 3}]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_rebuilding_gives_the_same_tree(tree):
    leaves, rebuild = flatten(tree)
    again = rebuild(iter(leaves))
    assert again == tree
    assert type(again) is type(tree)


def trees():
    return st.recursive(st.integers(), lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.builds(Point, inner, inner), st.builds(Pair, inner, inner)), max_leaves=12)


@given(trees())
def test_trees_drawn_at_random(tree):
    leaves, rebuild = flatten(tree)
    assert all(isinstance(leaf, int) for leaf in leaves)
    assert rebuild(iter(leaves)) == tree
    doubled = tree_map(lambda n: 2 * n, tree)
    assert flatten(doubled)[0] == [2 * n for n in leaves]
    assert tree_map(lambda a, b: b - a, tree, doubled) == tree


def test_dicts_keep_their_order_and_kind():
    assert flatten({"b": 1, "a": 2})[0] == [1, 2]
    made = tree_map(lambda n: n + 1, OrderedDict(b=1, a=2))
    assert list(made.items()) == [("b", 2), ("a", 3)]
    counts = defaultdict(int, {"a": 1})
    assert tree_map(lambda n: n + 1, counts) == {"a": 2}
    assert type(tree_map(lambda n: n, counts)) is defaultdict


def test_trees_of_different_structure_do_not_map():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        tree_map(lambda a, b: a, [1, 2], [1])
