"""The function behind `nest.Contract`: a matrix product in blocks, written in the loop language.

    for i0 in 0..m by BLOCK:                    a[i0.., p0..] stays in the second cache
      for p0 in 0..k by DEPTH:
        for j0 in 0..n by the tile's columns:   b[p0.., j0..] stays in the first: as it is, or packed
          for i in i0.. by ROWS:                c[i.., j0..] in registers: `nest.Tile`

Packing makes a block of b contiguous where a row of b is not, and fills it up with zeros where it is no
whole number of vectors and the machine has no masks. Where columns of b are contiguous (b is the transpose
of a matrix), squares of it are transposed in registers: `nest.Transpose`. Where columns of c do not lie side
by side, or are no whole number of vectors, a tile is computed in scratch memory and copied. Where c has fewer
columns than a vector has lanes the roles are exchanged: c^T = b^T a^T.

Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3); Van
Zee & van de Geijn 2015, "BLIS", ACM TOMS 41(3).
"""

from __future__ import annotations

from itertools import count

from symgrad.loops.nest import (
    Buffer,
    Contract,
    Poly,
    Routine,
    Start,
    Strided,
    Tile,
    Transpose,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.writer import Index, Number, View, Writer, minus, plus, times

ROWS = 8  # of a tile
DEPTH = 192  # of a packed block: 24 columns of it take 36 KiB
BLOCK = 256  # rows of a between two visits to the same block of b
BYTES = 192  # of a tile's row: 24 doubles, 48 floats
SCRATCH = (DEPTH + ROWS) * BYTES // 4  # elements, enough for either type

_FEW = 8  # columns; with fewer, vectors would be mostly empty
# The integers of the function, in order.
_SIZES = ("rows", "columns", "depth", "a_row", "a_depth", "b_depth", "b_column", "c_row", "c_column",
          "keep", "sign", "lower")  # fmt: skip
_M, _N, _K, _A_ROW, _A_DEPTH, _B_DEPTH, _B_COLUMN, _C_ROW, _C_COLUMN, _KEEP, _SIGN, _LOWER = map(
    variable, _SIZES
)


def integers(s: Contract) -> tuple[Poly, ...]:
    """The integers of a call of the function, in order."""
    return (s.rows, s.columns, s.depth, *s.a.strides, *s.b.strides, *s.c.strides, s.keep, s.sign, s.lower)


def contract_routine(name: str, columns: int, masks: bool) -> Routine:
    """The function: a, b (read), c (read and written), scratch, integers.

    columns  of the target's tile, three vectors.
    masks    parts of a vector are loaded and stored as fast as a whole one.
    """
    body = _Blocks(columns, masks)
    body.write()
    one = (poly(1),)
    buffers = [Buffer("a", "input", one), Buffer("b", "input", one), Buffer("c", "output", one)]
    scratch = Buffer("scratch", "work", (poly(SCRATCH),))
    title = "c[i, j] (+)= sign * (sum over p of a[i, p]*b[p, j])"
    return Routine(name, tuple(_SIZES), tuple(_SIZES), (*buffers, scratch), body.w.statements, title)


class _Blocks:
    """The statements in the making."""

    def __init__(self, columns: int, masks: bool) -> None:
        values, integers_ = count(), count()
        self.w = Writer(
            lambda: next(values), lambda d: f"i{d}", lambda: f"n{next(integers_)}", 0, lambda _: 1
        )
        self.columns, self.masks = columns, masks
        self.a, self.b, self.c = (View(self.w, buffer) for buffer in "abc")
        self.scratch = View(self.w, "scratch")
        self.tile = DEPTH * columns  # where a tile starts in scratch memory

    def write(self) -> None:
        w, is_tile, has_rows = self.w, self._is_tile(), self.w.equals_zero(minus(_B_COLUMN, 1))
        with w.when(is_tile):
            a, b, c = (self._start(x, (0, 1)) for x in "abc")
            a_entries, c_rows = Strided(a, (_A_ROW, _A_DEPTH)), Strided(c, (_C_ROW, poly(1)))
            with w.when(has_rows):
                b_rows = Strided(b, (_B_DEPTH, poly(1)))
                w.append(Tile(_M, _N, _K, a_entries, b_rows, c_rows, _KEEP, _SIGN))
            with w.when(~has_rows):
                w.append(Transpose(_K, _N, Strided(b, (_B_COLUMN, poly(1))), self._packed()))
                w.append(Tile(_M, _N, _K, a_entries, self._packed(), c_rows, _KEEP, _SIGN))
        with w.when(~is_tile):
            self._write_blocks()

    def _is_tile(self) -> Number:
        """Whether the product is one tile, where it is, or after a transposition of b."""
        w = self.w
        known = w.equals_zero(minus(_B_COLUMN, 1)) | w.equals_zero(minus(_B_DEPTH, 1))
        known = known & w.equals_zero(minus(_C_COLUMN, 1))
        for length, most in ((_M, ROWS), (_N, self.columns), (_K, DEPTH)):
            known = known & w.at_least_zero(minus(length, 1)) & w.at_least_zero(minus(most, length))
        return known if self.masks else known & self._are_whole_vectors(_N)

    def _write_blocks(self) -> None:
        w = self.w
        few = w.at_least_zero(minus(_FEW - 1, _N)) & w.at_least_zero(minus(_M, plus(_N, 1)))
        turns = few & w.equals_zero(_LOWER)
        with w.when(turns):
            w.append(_turned())
        with w.when(~turns):
            self._fill()
            with w.loop(0, _M, step=BLOCK) as i0, w.loop(0, _K, step=DEPTH) as p0:
                self._strip(i0, p0, w.least(DEPTH, minus(_K, p0)))
            with w.when(~w.equals_zero(_LOWER)):
                self._mirror()

    def _fill(self) -> None:
        """A sum of no terms is 0."""
        w = self.w
        empty = w.at_least_zero(minus(0, _K)) & w.equals_zero(_KEEP)
        with w.when(empty), w.loop(0, _M) as i, w.loop(0, _N) as j:
            self.c[_place((i, _C_ROW), (j, _C_COLUMN))] = 0

    def _mirror(self) -> None:
        with self.w.loop(0, _M) as i, self.w.loop(0, i) as j:
            self.c[_place((j, _C_ROW), (i, _C_COLUMN))] = self.c[_place((i, _C_ROW), (j, _C_COLUMN))]

    def _strip(self, i0: Poly, p0: Poly, depth: Poly) -> None:
        w = self.w
        with w.loop(0, _N, step=self.columns) as j0:
            columns = w.least(self.columns, minus(_N, j0))
            whole = w.truth(True) if self.masks else self._are_whole_vectors(columns)
            packs = ~(w.equals_zero(minus(_B_COLUMN, 1)) & whole)
            with w.when(packs):
                self._pack(p0, j0, columns, depth)
            direct = Strided(self._start("b", (p0, _B_DEPTH), (j0, _B_COLUMN)), (_B_DEPTH, poly(1)))
            in_place = w.equals_zero(minus(_C_COLUMN, 1)) & whole
            for condition, b in ((~packs, direct), (packs, self._packed())):
                with w.when(condition):
                    self._tiles(i0, p0, j0, columns, depth, b, in_place)

    def _are_whole_vectors(self, columns: Poly) -> Number:
        """Vectors are a third of a tile, or a part of that."""
        product = poly(1)
        for vectors in (1, 2, 3):
            product = times(product, minus(columns, vectors * self.columns // 3))
        return self.w.equals_zero(product)

    def _pack(self, p0: Poly, j0: Poly, columns: Poly, depth: Poly) -> None:
        """A block of b, row by row; filled up with zeros where vectors are read whole."""
        w, wide, has_columns = self.w, self.columns, self.w.equals_zero(minus(_B_DEPTH, 1))
        with w.when(has_columns):
            start = self._start("b", (p0, 1), (j0, _B_COLUMN))
            w.append(Transpose(depth, columns, Strided(start, (_B_COLUMN, poly(1))), self._packed()))
        with w.when(~has_columns), w.loop(0, columns) as j, w.loop(0, depth) as p:
            number = self.b[_place((plus(p0, p), _B_DEPTH), (plus(j0, j), _B_COLUMN))]
            self.scratch[_place((p, wide), (j, 1))] = number
        if not self.masks:
            with w.loop(columns, wide) as j, w.loop(0, depth) as p:
                self.scratch[_place((p, wide), (j, 1))] = 0

    def _tiles(
        self, i0: Poly, p0: Poly, j0: Poly, columns: Poly, depth: Poly, b: Strided, in_place: Number
    ) -> None:
        w, keep = self.w, plus(_KEEP, p0)
        with w.loop(i0, plus(i0, BLOCK), _M, step=ROWS, after=times(_LOWER, j0)) as i:
            rows = w.least(ROWS, minus(_M, i))
            a = Strided(self._start("a", (i, _A_ROW), (p0, _A_DEPTH)), (_A_ROW, _A_DEPTH))
            c = Strided(self._start("c", (i, _C_ROW), (j0, _C_COLUMN)), (_C_ROW, poly(1)))
            with w.when(in_place):
                w.append(Tile(rows, columns, depth, a, b, c, keep, _SIGN))
            with w.when(~in_place):
                apart = Strided(Start("scratch", (poly(self.tile),)), (poly(self.columns), poly(1)))
                w.append(Tile(rows, columns, depth, a, b, apart, poly(0), _SIGN))
                self._add(i, j0, rows, columns, keep)

    def _add(self, i0: Poly, j0: Poly, rows: Poly, columns: Poly, keep: Poly) -> None:
        """The tile in scratch memory to its place in c."""
        w = self.w
        fresh = w.equals_zero(keep)
        with w.loop(0, rows) as i, w.loop(0, columns) as j:
            number = self.scratch[_place((i, self.columns), (j, 1), (self.tile, 1))]
            place = _place((plus(i0, i), _C_ROW), (plus(j0, j), _C_COLUMN))
            self.c[place] = number + w.choose(fresh, 0, self.c[place])

    def _packed(self) -> Strided:
        """The block of b in scratch memory."""
        return Strided(Start("scratch", (poly(0),)), (poly(self.columns), poly(1)))

    def _start(self, buffer: str, *steps: tuple[Index, Index]) -> Start:
        return Start(buffer, (_place(*steps),))


def _place(*steps: tuple[Index, Index]) -> Poly:
    """The number of an element: index times stride, added up."""
    total: Poly = ()
    for index, stride in steps:
        total = poly_add(total, times(index, stride))
    return total


def _turned() -> Contract:
    """c^T = b^T a^T."""
    start = (poly(0),)
    return Contract(
        _N, _M, _K,
        Strided(Start("b", start), (_B_COLUMN, _B_DEPTH)),
        Strided(Start("a", start), (_A_DEPTH, _A_ROW)),
        Strided(Start("c", start), (_C_COLUMN, _C_ROW)),
        _KEEP, _SIGN, _LOWER, Start("scratch", start),
    )  # fmt: skip
