"""Tiles of images for Winograd convolutions: pixels are turned so that channels are lanes, and tiles are transformed.

Where channels lie along memory already, pixels are copied.

A block of tiles is some rows of tiles of an image, or some whole images: from ``first_image`` and ``top_line`` on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.winograd_transforms import Lanes, in_vectors, transform_square
from tensorlite.kernels.loops import (
    INDEX,
    Assign,
    If,
    Let,
    Load,
    Local,
    Reduce,
    Scratch,
    Statement,
    Store,
    Transpose,
    index,
)
from tensorlite.kernels.winograd import Matrix

_ZERO = s.Const(0)
_FLOAT32 = np.dtype(np.float32)

GAP = 16
"""Elements between planes, a cache line: what belongs to one tile must not fall on one set of a cache."""

ROW = 8
"""How many places a tile's row has in a table: no tile is larger."""

BLOCK_NUMBERS = ("images", "images_each", "strips", "rows_each", "tiles_down", "tiles_across")


def block(step: int) -> list[Statement]:
    """Name where the block number ``piece`` begins, and its size; a tile begins ``step`` pixels after the last one."""
    piece, strip = s.Var("piece"), s.Var("strip")
    return [
        Let("strip", index(piece % s.Var("strips"))),
        Let("first_image", index(piece // s.Var("strips") * s.Var("images_each"))),
        Let("block_images", index(s.minimum(s.Var("images_each"), s.Var("images") - s.Var("first_image")))),
        Let("rows", index(s.minimum(s.Var("rows_each"), s.Var("tiles_down") - strip * s.Var("rows_each")))),
        Let("top_line", index(strip * s.Var("rows_each") * step)),
        Let("tiles_each", index(s.Var("rows") * s.Var("tiles_across"))),
        Let("tiles", index(s.Var("block_images") * s.Var("tiles_each"))),
    ]


@dataclass(frozen=True, slots=True)
class Source:
    """Images in buffer ``name``, whose tiles a matrix transforms. ``channels`` from ``first`` on are the task's.

    The areas ``<name>_lines`` and ``<name>_tiles`` hold what was turned, and what was transformed: [products, tiles,
    channels], a product's tiles being ``<name>_plane`` elements. Where it is ``watched``, pixels that are not finite
    count as zeros, and ``<name>_odd`` is NaN if there are any. Where channels come ``last``, they are all the task's,
    and pixels lie without gaps.
    """

    name: str
    matrix: Matrix
    step: int
    square: int
    channels: s.Expr
    first: s.Expr = _ZERO
    watched: bool = False
    last: bool = False

    @property
    def areas(self) -> tuple[str, str]:
        """The areas of scratch memory that it needs."""
        return f"{self.name}_lines", f"{self.name}_tiles"

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of its numbers, in order."""
        whats = ("base", "image", "channel", "height", "width", "top", "left", "zeros", "plane")
        return tuple(f"{self.name}_{what}" for what in whats)

    def var(self, what: str) -> s.Var:
        """Return a name of this source's."""
        return s.Var(f"{self.name}_{what}")

    def let(self, what: str, value: s.Expr) -> Let:
        """Name an index of this source's."""
        return Let(f"{self.name}_{what}", index(value))

    def prepare(self) -> list[Statement]:
        """Declare a table of places, and set the pixel to zero that stands for those outside of an image."""
        clear = Store(f"{self.name}_lines", self.var("lines_at") + self.var("zeros") + self.var("z"), s.Const(0.0))
        return [
            Scratch(f"{self.name}_places", INDEX, len(self.matrix[0]) * ROW),
            loops.vector(f"{self.name}_z", self.channels, self.square, clear),
        ]

    def transform(self) -> list[Statement]:
        """Turn and transform the tiles of a block."""
        top, extent = s.Var("top_line") - self.var("top"), len(self.matrix[0])
        bottom = s.minimum(self.var("height"), top + (s.Var("rows") - 1) * self.step + extent)
        tile = self.var("image_here") * s.Var("tiles_each") + self.var("tile_here")
        here = self.let("tile", tile)
        tiles = loops.serial(f"{self.name}_tile_here", s.Var("tiles_each"), here, *self._tile(), apart=True)
        return [
            self.let("first_line", s.minimum(self.var("height"), s.maximum(s.Const(0), top))),
            self.let("seen", s.maximum(s.Const(0), bottom - self.var("first_line")) * self.var("width")),
            *([Local(f"{self.name}_odd", loops.constant(0.0, _FLOAT32))] if self.watched else []),
            loops.serial(
                f"{self.name}_image_here",
                s.Var("block_images"),
                *(self._copy() if self.last else self._turn()),
                *(self._watch() if self.watched else []),
                tiles,
            ),
        ]

    def _watch(self) -> list[Statement]:
        """Look for pixels that are not finite, and clear them: one would spoil all results of its tiles."""
        odd, count, lines = self.var("odd"), self.var("seen") * self.channels, f"{self.name}_lines"
        place, value = self.var("lines_at") + self.var("looked"), self.var("looked_at")
        look = loops.vector(
            f"{self.name}_looked",
            count,
            4 * self.square,  # several sums, as each addition takes a while
            Load(f"{self.name}_looked_at", lines, place),
            Assign(f"{self.name}_odd", s.fma(value, s.Const(0.0), odd)),
        )
        place, value = self.var("lines_at") + self.var("cleared"), self.var("cleared_at")
        clear = loops.vector(
            f"{self.name}_cleared",
            count,
            self.square,
            Load(f"{self.name}_cleared_at", lines, place),
            Store(lines, place, s.where(s.equal(value * 0, 0), value, 0)),
            single=True,
        )
        merge = odd + s.Var(loops.right(f"{self.name}_odd"))
        return [
            Reduce((f"{self.name}_odd",), (loops.constant(0.0, _FLOAT32),), (merge,), 4 * self.square, (look,)),
            If(s.not_equal(odd, odd), (clear,)),
        ]

    def _copy(self) -> list[Statement]:
        """Copy the pixels that an image's tiles see."""
        start = self.var("here") + self.var("copied")
        image = (s.Var("first_image") + self.var("image_here")) * self.var("image")
        first = self.var("first_line") * self.var("width") * self.channels
        return [
            self.let("here", self.var("base") + image + first),
            loops.vector(
                f"{self.name}_copied",
                self.var("seen") * self.channels,
                4 * self.square,
                Load(f"{self.name}_moved", self.name, start),
                Store(f"{self.name}_lines", self.var("lines_at") + self.var("copied"), self.var("moved")),
            ),
        ]

    def _turn(self) -> list[Statement]:
        """Turn the pixels that an image's tiles see: whole squares, the last ones overlapping."""
        size, seen, to = self.square, self.var("seen"), self.var("lines_at") + self.var("turned_channel")
        image = (s.Var("first_image") + self.var("image_here")) * self.var("image")
        source = self.var("here") + self.var("turned_channel") * self.var("channel")
        pixel, single, lane = self.var("turned_pixel"), self.var("single"), self.var("single_lane")
        lines = f"{self.name}_lines"
        turn = Transpose(lines, to + pixel * self.channels, self.channels, self.name, source + pixel,
                         self.var("channel"), size)  # fmt: skip
        squares = loops.serial(
            f"{self.name}_across",
            (seen + (size - 1)) // size,
            self.let("turned_pixel", s.minimum(self.var("across") * size, seen - size)),
            turn,
        )
        load = Load(f"{self.name}_moved", self.name, source + single + lane * self.var("channel"))
        store = Store(lines, to + single * self.channels + lane, self.var("moved"))
        copy = loops.vector(f"{self.name}_single_lane", size, size, load, store)
        first = self.first * self.var("channel") + self.var("first_line") * self.var("width")
        return [
            self.let("here", self.var("base") + image + first),
            loops.serial(
                f"{self.name}_down",
                (self.channels + (size - 1)) // size,
                self.let("turned_channel", s.minimum(self.var("down") * size, self.channels - size)),
                If(s.greater_equal(seen, size), (squares,)),
                If(s.less(seen, size), (loops.serial(f"{self.name}_single", seen, copy),)),
                apart=True,
            ),
        ]

    def _tile(self) -> list[Statement]:
        """Find a tile's pixels, and transform it for all channels: whole vectors, the last one overlapping."""
        size, here = len(self.matrix[0]), self.var("tile_here")
        y = s.Var("top_line") + here // s.Var("tiles_across") * self.step - self.var("top")
        x = here % s.Var("tiles_across") * self.step - self.var("left")
        line, column = self.var("tile_y") + self.var("i"), self.var("tile_x") + self.var("j")
        inside = _within(line, self.var("height")) & _within(column, self.var("width"))
        place = ((line - self.var("first_line")) * self.var("width") + column) * self.channels
        place = self.var("lines_at") + s.where(inside, place, self.var("zeros"))
        store = Store(f"{self.name}_places", self.var("i") * ROW + self.var("j"), place)
        tabulate = loops.vector(f"{self.name}_j", size, ROW, store)
        lanes = Lanes(f"{self.name}_lane", self.square, self.square, self.square)
        return [
            self.let("tile_y", y),
            self.let("tile_x", x),
            loops.serial(f"{self.name}_i", size, tabulate),
            self.let("to", self.var("tiles_at") + self.var("tile") * self.channels),
            in_vectors(
                self.name,
                self.channels,
                self.square,
                *transform_square(self.matrix, f"{self.name}_t", lanes, self._load, self._store),
            ),
        ]

    def _load(self, name: str, i: int, j: s.Expr, lane: s.Expr) -> list[Statement]:
        """Load pixels of a tile."""
        place = Load(f"{name}_place", f"{self.name}_places", j + i * ROW)
        return [place, Load(name, f"{self.name}_lines", s.Var(f"{name}_place") + self.var("first") + lane)]

    def _store(self, i: s.Expr, j: int, value: s.Expr, lane: s.Expr) -> list[Statement]:
        """Store elements of a transformed tile, each in its product's plane."""
        plane = (i * len(self.matrix) + j) * self.var("plane")
        return [Store(f"{self.name}_tiles", self.var("to") + plane + self.var("first") + lane, value)]


def _within(number: s.Expr, extent: s.Expr) -> s.Expr:
    return s.greater_equal(number, 0) & s.less(number, extent)
