"""The function behind `nest.Contract` as LLVM assembly: its innermost block in vector registers.

A tile has as many sums as the machine's registers hold beside one row of b and one number of a: 8 times 3
vectors of 512 bits, 4 times 3 of 256 or 128. There is a loop over p for every number of rows and vectors,
where the machine has masks also for columns that do not fill the last vector. Sums are taken in the order
of p. Beside it stands the function behind `nest.Transpose`, which makes rows of columns, square by square.

The function is the same for all kernels: a module of its own, compiled once per type. Kernels that transpose
have a function for that in their own module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from symgrad.loops.nest import Tile, Transpose
from symgrad.records import dataclass
from symgrad.targets.tiles import exchanges

TILE, TRANSPOSE = "tile", "transpose"
_INTEGERS = 12
_NAMES = {"float64": "symgrad_contract_f64", "float32": "symgrad_contract_f32"}


@dataclass(frozen=True)
class Shape:
    """Of a tile: rows, vectors in a row, numbers in a vector; whether loads of parts of one are fast."""

    rows: int
    vectors: int
    lanes: int
    masks: bool

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes


def shape_for(features: str, dtype: str) -> Shape:
    """The tile for a processor with these features, as LLVM writes them."""
    present = set(features.split(","))
    size = 8 if dtype == "float64" else 4
    if "+avx512f" in present:
        return Shape(8, 3, 64 // size, masks=True)
    return Shape(4, 3, (32 if "+avx" in present else 16) // size, masks=False)


def name_of(dtype: str) -> str:
    return _NAMES[dtype]


def declaration(dtype: str) -> str:
    return f"declare void @{_NAMES[dtype]}({', '.join(['ptr'] * 4 + ['i64'] * _INTEGERS)})"


def functions(shape: Shape, dtype: str, kinds: Collection[type]) -> tuple[list[str], dict[str, str]]:
    """The texts of `TILE` and `TRANSPOSE`, if statements of these kinds need them, and their declarations."""
    writers = [
        write(shape, dtype) for kind, write in ((Tile, _Tile), (Transpose, _Transpose)) if kind in kinds
    ]
    needs = {name: text for w in writers for name, text in w.functions.items()}
    return ["\n".join(w.text()) for w in writers], needs


class _Vectors:
    """What text about vectors of a machine is made of."""

    def __init__(self, shape: Shape, dtype: str) -> None:
        self.shape = shape
        self.real, bits = ("double", 64) if dtype == "float64" else ("float", 32)
        self.align = bits // 8
        self.vector = f"<{shape.lanes} x {self.real}>"
        self.truths = f"<{shape.lanes} x i1>"
        self.suffix = f"v{shape.lanes}f{bits}"
        v, suffix = self.vector, self.suffix
        self.load, self.store, self.fma = (
            f"llvm.masked.load.{suffix}.p0", f"llvm.masked.store.{suffix}.p0", f"llvm.fmuladd.{suffix}"
        )  # fmt: skip
        self.functions = {
            self.load: f"declare {v} @{self.load}(ptr, i32, {self.truths}, {v})",
            self.store: f"declare void @{self.store}({v}, ptr, i32, {self.truths})",
            self.fma: f"declare {v} @{self.fma}({v}, {v}, {v})",
        }

    def _splat(self, name: str, kind: str, value: str, vector: str) -> Iterator[str]:
        yield f"  %{name}.0 = insertelement {vector} poison, {kind} {value}, i32 0"
        zeros = f"<{self.shape.lanes} x i32> zeroinitializer"
        yield f"  %{name} = shufflevector {vector} %{name}.0, {vector} poison, {zeros}"

    def _mask(self, count: str) -> Iterator[str]:
        """The first `count` places of a vector."""
        lanes = self.shape.lanes
        yield from self._splat("lasts", "i64", count, f"<{lanes} x i64>")
        numbers = ", ".join(f"i64 {k}" for k in range(lanes))
        yield f"  %mask = icmp ult <{lanes} x i64> <{numbers}>, %lasts"

    def _address(self, name: str, row: str, j: int) -> str:
        return f"  %{name}.p = getelementptr {self.real}, ptr {row}, i64 {j * self.shape.lanes}"

    def _load(self, name: str, row: str, j: int, masked: bool) -> Iterator[str]:
        yield self._address(name, row, j)
        if masked:
            rest = f"i32 {self.align}, {self.truths} %mask, {self.vector} zeroinitializer"
            yield f"  %{name} = call {self.vector} @{self.load}(ptr %{name}.p, {rest})"
        else:
            yield f"  %{name} = load {self.vector}, ptr %{name}.p, align {self.align}"


class _Tile(_Vectors):
    def text(self) -> Iterator[str]:
        rows, vectors, lanes = self.shape.rows, self.shape.vectors, self.shape.lanes
        integers = ("ar", "ad", "bd", "cr", "rows", "columns", "depth", "keep", "sign")
        yield (f"define internal void @{TILE}(ptr %a, ptr noalias %b, ptr noalias %c, "
               f"{', '.join(f'i64 %{x}' for x in integers)}) #3 {{")  # fmt: skip
        yield "entry:"
        yield "  %fresh = icmp eq i64 %keep, 0"
        yield f"  %scale = sitofp i64 %sign to {self.real}"
        yield from self._splat("scales", self.real, "%scale", self.vector)
        yield "  %before = sub i64 %columns, 1"
        yield f"  %vector = udiv i64 %before, {lanes}"
        yield f"  %whole = mul i64 %vector, {lanes}"
        yield "  %last = sub i64 %columns, %whole"
        yield f"  %fits = icmp eq i64 %last, {lanes}"
        yield from self._mask("%last")
        masked = rows * vectors if self.shape.masks else 0
        yield f"  %masked = select i1 %fits, i64 0, i64 {masked}"
        yield "  %row = sub i64 %rows, 1"
        yield f"  %place = mul i64 %row, {vectors}"
        yield "  %one = add i64 %place, %vector"
        yield "  %which = add i64 %one, %masked"
        masks = (False, True) if self.shape.masks else (False,)
        kinds = [(m, r, v) for m in masks for r in range(1, rows + 1) for v in range(1, vectors + 1)]
        cases = " ".join(f"i64 {k}, label %k{k}" for k in range(len(kinds)))
        yield f"  switch i64 %which, label %done [ {cases} ]"
        for number, (masked, r, v) in enumerate(kinds):
            yield from self._kind(f"k{number}", r, v, masked)
        yield from ("done:", "  ret void", "}")

    def _kind(self, k: str, rows: int, vectors: int, masked: bool) -> Iterator[str]:
        """The loop for so many rows and vectors; labels and names start with `k`."""
        sums = [(i, j) for i in range(rows) for j in range(vectors)]
        yield f"{k}:"
        for i in range(rows):
            yield f"  %{k}.ao{i} = mul i64 %ar, {i}"
            yield f"  %{k}.a{i} = getelementptr {self.real}, ptr %a, i64 %{k}.ao{i}"
        yield f"  br label %{k}.loop"
        yield f"{k}.loop:"
        yield f"  %{k}.p = phi i64 [ 0, %{k} ], [ %{k}.p1, %{k}.loop ]"
        yield f"  %{k}.at = phi i64 [ 0, %{k} ], [ %{k}.at1, %{k}.loop ]"
        yield f"  %{k}.b = phi ptr [ %b, %{k} ], [ %{k}.b1, %{k}.loop ]"
        for i, j in sums:
            from_loop = f"[ %{k}.n{i}.{j}, %{k}.loop ]"
            yield f"  %{k}.s{i}.{j} = phi {self.vector} [ zeroinitializer, %{k} ], {from_loop}"
        for j in range(vectors):
            yield from self._load(f"{k}.b.{j}", f"%{k}.b", j, masked and j == vectors - 1)
        for i in range(rows):
            yield f"  %{k}.q{i} = getelementptr {self.real}, ptr %{k}.a{i}, i64 %{k}.at"
            yield f"  %{k}.x{i} = load {self.real}, ptr %{k}.q{i}, align {self.align}"
            yield from self._splat(f"{k}.v{i}", self.real, f"%{k}.x{i}", self.vector)
        for i, j in sums:
            v = self.vector
            yield f"  %{k}.n{i}.{j} = call {v} @{self.fma}({v} %{k}.v{i}, {v} %{k}.b.{j}, {v} %{k}.s{i}.{j})"
        yield f"  %{k}.b1 = getelementptr {self.real}, ptr %{k}.b, i64 %bd"
        yield f"  %{k}.at1 = add i64 %{k}.at, %ad"
        yield f"  %{k}.p1 = add nuw nsw i64 %{k}.p, 1"
        yield f"  %{k}.more = icmp slt i64 %{k}.p1, %depth"
        yield f"  br i1 %{k}.more, label %{k}.loop, label %{k}.end"
        yield f"{k}.end:"
        for i, j in sums:
            yield f"  %{k}.r{i}.{j} = fmul {self.vector} %{k}.n{i}.{j}, %scales"
        yield f"  br i1 %fresh, label %{k}.set, label %{k}.add"
        for label, added in (("set", False), ("add", True)):
            yield f"{k}.{label}:"
            yield from self._write(f"{k}.{label}", k, sums, masked, added)
            yield "  br label %done"

    def _write(
        self, name: str, k: str, sums: list[tuple[int, int]], masked: bool, added: bool
    ) -> Iterator[str]:
        last = max(j for _, j in sums)
        for i, j in sums:
            if j == 0:
                yield f"  %{name}.o{i} = mul i64 %cr, {i}"
                yield f"  %{name}.c{i} = getelementptr {self.real}, ptr %c, i64 %{name}.o{i}"
            at, value, partly = f"{name}.{i}.{j}", f"%{k}.r{i}.{j}", masked and j == last
            if added:
                yield from self._load(at, f"%{name}.c{i}", j, partly)
                yield f"  %{at}.new = fadd {self.vector} %{at}, {value}"
                value = f"%{at}.new"
            else:
                yield self._address(at, f"%{name}.c{i}", j)
            if partly:
                rest = f"ptr %{at}.p, i32 {self.align}, {self.truths} %mask"
                yield f"  call void @{self.store}({self.vector} {value}, {rest})"
            else:
                yield f"  store {self.vector} {value}, ptr %{at}.p, align {self.align}"


class _Transpose(_Vectors):
    """Squares of as many numbers as a vector has lanes: read row by row, exchanged, stored row by row."""

    def text(self) -> Iterator[str]:
        lanes = self.shape.lanes
        yield (f"define internal void @{TRANSPOSE}(ptr %source, ptr noalias %to, "
               "i64 %from_row, i64 %to_row, i64 %rows, i64 %columns) #3 {")  # fmt: skip
        yield "entry:"
        yield f"  %whole = and i64 %rows, {-lanes}"
        yield "  %rest = sub i64 %rows, %whole"
        yield "  %fits = icmp eq i64 %rest, 0"
        yield "  %any = icmp ne i64 %whole, 0"
        yield from self._mask("%rest")
        yield "  br label %strip"
        yield "strip:"
        yield "  %left = phi i64 [ %columns, %entry ], [ %fewer, %next ]"
        yield "  %row0 = phi ptr [ %source, %entry ], [ %row.next, %next ]"
        yield "  %out = phi ptr [ %to, %entry ], [ %out.next, %next ]"
        for k in range(1, lanes):  # beyond the last column, that one again
            yield f"  %is{k} = icmp sgt i64 %left, {k}"
            yield f"  %step{k} = select i1 %is{k}, i64 %from_row, i64 0"
            yield f"  %row{k} = getelementptr {self.real}, ptr %row{k - 1}, i64 %step{k}"
        yield "  br i1 %any, label %square, label %end"
        yield "square:"
        yield "  %p = phi i64 [ 0, %strip ], [ %p1, %square ]"
        yield f"  %s.t0 = phi ptr [ %out, %strip ], [ %s.t{lanes}, %square ]"
        yield from self._square("s", "%p", masked=False)
        yield f"  %p1 = add i64 %p, {lanes}"
        yield "  %more = icmp slt i64 %p1, %whole"
        yield "  br i1 %more, label %square, label %end"
        yield "end:"
        yield f"  %r.t0 = phi ptr [ %out, %strip ], [ %s.t{lanes}, %square ]"
        yield "  br i1 %fits, label %next, label %part"
        yield "part:"
        yield from self._square("r", "%whole", masked=True)
        yield "  br label %next"
        yield "next:"
        yield f"  %row.next = getelementptr {self.real}, ptr %row{lanes - 1}, i64 %from_row"
        yield f"  %out.next = getelementptr {self.real}, ptr %out, i64 {lanes}"
        yield f"  %fewer = sub i64 %left, {lanes}"
        yield "  %again = icmp sgt i64 %fewer, 0"
        yield "  br i1 %again, label %strip, label %done"
        yield from ("done:", "  ret void", "}")

    def _square(self, name: str, p: str, masked: bool) -> Iterator[str]:
        """From row `p` of the result on, at NAME.t0; of the last square only what is there is read."""
        lanes = self.shape.lanes
        for k in range(lanes):
            yield f"  %{name}.q{k} = getelementptr {self.real}, ptr %row{k}, i64 {p}"
            yield from self._load(f"{name}.x{k}", f"%{name}.q{k}", 0, masked)
        values = [f"%{name}.x{k}" for k in range(lanes)]
        for distance, first, second in exchanges(lanes):
            for i in range(lanes):
                if not i & distance:
                    a, b, stem = values[i], values[i + distance], f"%{name}.{distance}.{i}"
                    for end, at, places in (("a", i, first), ("b", i + distance, second)):
                        chosen = ", ".join(f"i32 {k}" for k in places)
                        yield (f"  {stem}{end} = shufflevector {self.vector} {a}, {self.vector} {b}, "
                               f"<{lanes} x i32> <{chosen}>")  # fmt: skip
                        values[at] = f"{stem}{end}"
        for k, value in enumerate(values):
            yield f"  store {self.vector} {value}, ptr %{name}.t{k}, align {self.align}"
            yield f"  %{name}.t{k + 1} = getelementptr {self.real}, ptr %{name}.t{k}, i64 %to_row"
