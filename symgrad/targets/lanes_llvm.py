"""Blocks of samples in LLVM assembly: functions without a vector form, and the loop over all samples.

The routine itself (`loops/lanes.py`) computes one block of samples on tiles: rows of LANES numbers, one row
per element of a buffer. What is written here brings the samples of a block into tiles and out of them
(`tiles.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.loops.nest import Buffer
from symgrad.targets.tiles import exchanges, merges, tile_rows
from symgrad.targets.vector_math_llvm import lane_by_lane, lanes_type


def lanes_function(name: str) -> str:
    """What the function that applies `name` to every lane is called."""
    return f"symgrad.each.{name.removeprefix('symgrad.')}"


def each_lane(functions: dict[str, int], element: str, lanes: int) -> tuple[list[str], dict[str, str]]:
    """Functions of vectors that call these functions (name -> number of arguments) for lane after lane.

    Also the declarations of those that the module does not define, by name.
    """
    texts = [_one_by_one(name, arity, element, lanes) for name, arity in sorted(functions.items())]
    outside = {
        name: f"declare {element} @{name}({', '.join([element] * arity)}) #1"
        for name, arity in functions.items()
        if not name.startswith("symgrad.")
    }
    return texts, outside


def _one_by_one(name: str, arity: int, element: str, lanes: int) -> str:
    vector, vectors = lanes_type(element, lanes), [f"%x{k}" for k in range(arity)]
    head = ", ".join(f"{vector} {x}" for x in vectors)
    first = f"define internal {vector} @{lanes_function(name)}({head}) #5 {{"
    return "\n".join([first, *lane_by_lane(name, vectors, element, lanes), "}"])


# ---- tiles -------------------------------------------------------------------------------------


class Tiles:
    """The functions that move samples into tiles and back; `texts` are those that were asked for."""

    def __init__(self, element: str, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        self.vector = f"<{lanes} x {element}>"
        self.align = 8 if element == "double" else 4
        self._texts: dict[str, str] = {}

    def texts(self) -> list[str]:
        return [self._texts[name] for name in sorted(self._texts)]

    def move(self, into: bool, core: int) -> str:
        """The function for a whole block of samples of `core` > 1 numbers each: (tile, samples, stride).

        It does nothing where the stride is 0: then the tile is there already.
        """
        direction = "in" if into else "out"
        wide = core >= self.lanes
        name = f"symgrad.{direction}.{'wide' if wide else core}"
        if name not in self._texts:
            lines = self._wide(into) if wide else self._narrow(into, core)
            head = f"define internal void @{name}(ptr noalias %tile, ptr noalias %samples, i64 %core) #3 {{"
            moves = "  %moves = icmp sgt i64 %core, 0"
            enter = "  br i1 %moves, label %go, label %done"
            self._texts[name] = "\n".join([head, "entry:", moves, enter, *lines, "done:", "  ret void", "}"])
        return name

    def move_any(self, into: bool) -> str:
        """The same for the first `n` samples of any size and stride: (tile, samples, stride, core, n).

        The lanes beyond `n` are filled with the last sample.
        """
        name = f"symgrad.{'in' if into else 'out'}.any"
        self._texts[name] = self._loops(name, into)
        return name

    # ---- whole blocks --------------------------------------------------------------------------

    def _shuffle(self, lines: list[str], name: str, a: str, b: str, places: Sequence[int]) -> str:
        mask = ", ".join("i32 poison" if p < 0 else f"i32 {p}" for p in places)
        lines.append(
            f"  {name} = shufflevector {self.vector} {a}, {self.vector} {b}, <{len(places)} x i32> <{mask}>"
        )
        return name

    def _transposed(self, lines: list[str], rows: list[str]) -> list[str]:
        for distance, first, second in exchanges(self.lanes):
            for i in range(self.lanes):
                if not i & distance:
                    a, b, stem = rows[i], rows[i + distance], f"%x{distance}.{i}"
                    rows[i] = self._shuffle(lines, f"{stem}a", a, b, first)
                    rows[i + distance] = self._shuffle(lines, f"{stem}b", a, b, second)
        return rows

    def _load(self, lines: list[str], name: str, place: str) -> str:
        lines.append(f"  {name} = load {self.vector}, ptr {place}, align {self.align}")
        return name

    def _store(self, lines: list[str], value: str, place: str) -> None:
        lines.append(f"  store {self.vector} {value}, ptr {place}, align {self.align}")

    def _place(self, lines: list[str], name: str, base: str, offset: str) -> str:
        lines.append(f"  {name} = getelementptr inbounds {self.element}, ptr {base}, i64 {offset}")
        return name

    def _wide(self, into: bool) -> list[str]:
        """Samples of at least LANES numbers: square after square; the last one overlaps the one before."""
        n = self.lanes
        lines = [
            "go:",
            f"  %last = sub i64 %core, {n}",
            "  br label %square",
            "square:",
            "  %k = phi i64 [ 0, %go ], [ %next, %square ]",
            "  %at = call i64 @llvm.smin.i64(i64 %k, i64 %last)",
            f"  %row = mul i64 %at, {n}",
        ]
        sample = self._place(lines, "%s0", "%samples", "%at")
        samples = [sample]
        for lane in range(1, n):
            samples.append(self._place(lines, f"%s{lane}", samples[-1], "%core"))
        first = self._place(lines, "%t0", "%tile", "%row")
        rows = [first] + [self._place(lines, f"%t{k}", first, str(k * n)) for k in range(1, n)]
        source, target = (samples, rows) if into else (rows, samples)
        values = [self._load(lines, f"%v{k}", place) for k, place in enumerate(source)]
        for value, place in zip(self._transposed(lines, values), target, strict=True):
            self._store(lines, value, place)
        return [
            *lines,
            f"  %next = add i64 %k, {n}",
            "  %more = icmp slt i64 %next, %core",
            "  br i1 %more, label %square, label %done",
        ]

    def _narrow(self, into: bool, core: int) -> list[str]:
        """Samples of fewer than LANES numbers: as many vectors as rows, merged one after the other."""
        n, lines = self.lanes, ["go:"]
        source, target = ("%samples", "%tile") if into else ("%tile", "%samples")
        values = []
        for k in range(core):
            place = self._place(lines, f"%p{k}", source, str(k * n))
            values.append(self._load(lines, f"%v{k}", place))
        for k, (first, steps) in enumerate(merges(core, n, into)):
            result = values[first]
            for number, places in steps:
                result = self._shuffle(lines, f"%m{k}.{number}", result, values[number], places)
            self._store(lines, result, self._place(lines, f"%q{k}", target, str(k * n)))
        return [*lines, "  br label %done"]

    # ---- any block -----------------------------------------------------------------------------

    def _loops(self, name: str, into: bool) -> str:
        turns, sample = (self.lanes, "%lane.in") if into else ("%n", "%lane")
        source, target = ("%ps", "%pt") if into else ("%pt", "%ps")
        return f"""\
define internal void @{name}(ptr %tile, ptr %samples, i64 %stride, i64 %core, i64 %n) #3 {{
entry:
  %some = icmp sgt i64 %core, 0
  %final = sub i64 %n, 1
  br i1 %some, label %outer, label %done
outer:
  %lane = phi i64 [ 0, %entry ], [ %lane.next, %outer.end ]
  %lane.in = call i64 @llvm.smin.i64(i64 %lane, i64 %final)
  %begin = mul i64 {sample}, %stride
  br label %inner
inner:
  %k = phi i64 [ 0, %outer ], [ %k.next, %inner ]
  %is = add i64 %begin, %k
  %row = mul i64 %k, {self.lanes}
  %it = add i64 %row, %lane
  %ps = getelementptr {self.element}, ptr %samples, i64 %is
  %pt = getelementptr {self.element}, ptr %tile, i64 %it
  %x = load {self.element}, ptr {source}, align {self.align}
  store {self.element} %x, ptr {target}, align {self.align}
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %core
  br i1 %k.more, label %inner, label %outer.end
outer.end:
  %lane.next = add i64 %lane, 1
  %lane.more = icmp slt i64 %lane.next, {turns}
  br i1 %lane.more, label %outer, label %done
done:
  ret void
}}"""


# ---- all samples -------------------------------------------------------------------------------


def samples_function(
    name: str, parameters: Sequence[Buffer], work: int, sizes: int, far: str, tiles: Tiles
) -> list[str]:
    """`NAME_call`: all samples, block after block; and the functions it needs.

    parameters  the buffers of `NAME`, whose last axis is the lane; the caller has all of them but `far`.
    work        elements of the routine's own workspace; the tiles stand behind it.
    """
    return _Samples(name, parameters, work, sizes, far, tiles).texts()


class _Samples:
    def __init__(
        self, name: str, parameters: Sequence[Buffer], work: int, sizes: int, far: str, tiles: Tiles
    ) -> None:
        self.name, self.work, self.sizes, self.tiles = name, work, sizes, tiles
        self.all = list(parameters)
        self.given = [b for b in parameters if b.name != far]
        self.far = next((k for k, b in enumerate(parameters) if b.name == far), None)
        self.place = {b.name: k for k, b in enumerate(self.given)}
        self.cores = [tile_rows(b) for b in self.all]
        self.lines: list[str] = []

    def texts(self) -> list[str]:
        self._entry()
        self._whole()
        self._part()
        self._end()
        functions = [*self.tiles.texts(), "\n".join(self.lines)]
        return functions if self.far is None else [self._alone(), *functions]

    def _add(self, *lines: str) -> None:
        self.lines += [f"  {line}" for line in lines]

    def _label(self, label: str) -> None:
        self.lines.append(f"{label}:")

    def _entry(self) -> None:
        real, lanes = self.tiles.element, self.tiles.lanes
        self.lines = [f"define void @{self.name}_call(ptr %buffers, ptr %meta) #0 {{", "entry:"]
        self.lines += read("i64", "%count", "%meta", 0)
        for k in range(self.sizes):
            self.lines += read("i64", f"%z{k}", "%meta", 1 + k)
        for k, _ in enumerate(self.given):
            self.lines += read("ptr", f"%b{k}", "%buffers", k)
            self.lines += read("i64", f"%d{k}", "%meta", 1 + self.sizes + k)
        self.lines += read("ptr", "%given", "%buffers", len(self.given))
        self._add(
            "%address = ptrtoint ptr %given to i64",
            "%below = sub i64 0, %address",
            "%gap = and i64 %below, 63",  # tiles begin where a vector register's memory should
            "%work = getelementptr i8, ptr %given, i64 %gap",
        )
        offset = self.work
        for k, core in enumerate(self.cores):
            self._add(f"%t{k} = getelementptr {real}, ptr %work, i64 {offset}")
            offset += core * lanes
        self._regular()
        self._add("%any = icmp sgt i64 %count, 0", "br i1 %any, label %spread, label %done")
        self._label("spread")
        for k, b in enumerate(self.given):
            if b.role == "input":
                # Where all samples share an input, its tile is filled once.
                self._add(f"%once{k} = select i1 %same{k}, i64 {self._core(b)}, i64 0")
                self._add(self._call_any(True, b, f"%b{k}", "0", f"%once{k}", "1"))
        self._add("br label %block")

    def _regular(self) -> None:
        """Whether samples follow each other without gaps, but for inputs that all samples share."""
        self._add("%regular = add i1 0, 1")
        last = "%regular"
        for k, b in enumerate(self.given):
            self._add(f"%same{k} = icmp eq i64 %d{k}, 0", f"%dense{k} = icmp eq i64 %d{k}, {self._core(b)}")
            if b.role == "input":
                self._add(f"%fine{k} = or i1 %same{k}, %dense{k}")
            else:
                self._add(f"%fine{k} = and i1 %dense{k}, %dense{k}")
            self._add(f"%regular{k} = and i1 {last}, %fine{k}")
            last = f"%regular{k}"
        self.regular = last

    def _core(self, b: Buffer) -> int:
        return self.cores[self._number(b)]

    def _number(self, b: Buffer) -> int:
        return self.all.index(b)

    def _call_any(self, into: bool, b: Buffer, samples: str, stride: str, core: str, n: str) -> str:
        function, tile = self.tiles.move_any(into), f"%t{self._number(b)}"
        return f"call void @{function}(ptr {tile}, ptr {samples}, i64 {stride}, i64 {core}, i64 {n})"

    def _whole(self) -> None:
        """A block of LANES samples; single numbers are read and written where they are."""
        lanes = self.tiles.lanes
        self._label("block")
        self._add(
            "%s = phi i64 [ 0, %spread ], [ %next, %after ]",
            "%left = sub i64 %count, %s",
            f"%n = call i64 @llvm.smin.i64(i64 %left, i64 {lanes})",
            f"%full = icmp eq i64 %n, {lanes}",
            f"%quick = and i1 %full, {self.regular}",
        )
        for k, _ in enumerate(self.given):
            self._add(f"%o{k} = mul i64 %s, %d{k}")
            self._add(f"%q{k} = getelementptr {self.tiles.element}, ptr %b{k}, i64 %o{k}")
        self._add("br i1 %quick, label %whole, label %part")
        self._label("whole")
        places: list[str] = []
        for number, b in enumerate(self.all):
            core, own = self.cores[number], self.place.get(b.name)
            if own is None or core != 1:
                places.append(f"%t{number}")
                if own is not None and b.role == "input" and core:
                    self._move(True, b, own)
            elif b.role == "input":
                self._add(f"%x{own} = select i1 %same{own}, ptr %t{number}, ptr %q{own}")
                places.append(f"%x{own}")
            else:
                places.append(f"%q{own}")
        self._compute(places)
        for k, b in enumerate(self.given):
            if b.role == "output" and self._core(b) > 1:
                self._move(False, b, k)
        self._add("br label %after")

    def _move(self, into: bool, b: Buffer, k: int) -> None:
        function = self.tiles.move(into, self._core(b))
        self._add(f"call void @{function}(ptr %t{self._number(b)}, ptr %q{k}, i64 %d{k})")

    def _compute(self, places: list[str]) -> None:
        arguments = [f"ptr {place}" for place in places] + ["ptr %work"] * bool(self.work)
        arguments += [f"i64 %z{k}" for k in range(self.sizes)]
        self._add(f"call void @{self.name}({', '.join(arguments)})")

    def _part(self) -> None:
        """Fewer samples, or gaps between them: everything goes through tiles."""
        self._label("part")
        for k, b in enumerate(self.given):
            if b.role == "input":
                self._add(self._call_any(True, b, f"%q{k}", f"%d{k}", str(self._core(b)), "%n"))
        self._compute([f"%t{number}" for number in range(len(self.all))])
        for k, b in enumerate(self.given):
            if b.role == "output":
                self._add(self._call_any(False, b, f"%q{k}", f"%d{k}", str(self._core(b)), "%n"))
        self._add("br label %after")

    def _end(self) -> None:
        tiles = self.tiles
        self._label("after")
        if self.far is not None:
            bits = f"i{tiles.lanes}"
            self._add(
                f"%far = load {tiles.vector}, ptr %t{self.far}, align {tiles.align}",
                f"%beyond = fcmp une {tiles.vector} %far, zeroinitializer",
                f"%which = bitcast <{tiles.lanes} x i1> %beyond to {bits}",
                f"%some = icmp ne {bits} %which, 0",
            )
            self._add("br i1 %some, label %alone, label %go.on")
            self._label("alone")
            self._add(
                f"call void @symgrad.alone(ptr %buffers, ptr %meta, ptr %t{self.far}, i64 %s, i64 %n)",
                "br label %go.on",
            )
            self._label("go.on")
        last = "go.on" if self.far is not None else "after"
        self._add("%next = add i64 %s, %n", "%more = icmp slt i64 %next, %count")
        self.lines = [line.replace("[ %next, %after ]", f"[ %next, %{last} ]") for line in self.lines]
        self._add("br i1 %more, label %block, label %done")
        self._label("done")
        self._add("ret void")
        self.lines.append("}")

    def _alone(self) -> str:
        """The samples of a block that need the routine for one sample, whose address comes last."""
        real, lines = self.tiles.element, []
        head = (
            "define internal void @symgrad.alone(ptr %buffers, ptr %meta, ptr %far, i64 %first, i64 %n) #3 {"
        )
        arguments = []
        for k in range(len(self.given)):
            lines += read("ptr", f"%b{k}", "%buffers", k)
            lines += read("i64", f"%d{k}", "%meta", 1 + self.sizes + k)
            arguments.append(f"ptr %q{k}")
        lines += read("ptr", "%work", "%buffers", len(self.given))
        lines += read("ptr", "%scalar", "%buffers", len(self.given) + 1)
        arguments += ["ptr %work"] * bool(self.work)
        for k in range(self.sizes):
            lines += read("i64", f"%z{k}", "%meta", 1 + k)
            arguments.append(f"i64 %z{k}")
        inside = []
        for k in range(len(self.given)):
            inside += [
                f"  %o{k} = mul i64 %s, %d{k}",
                f"  %q{k} = getelementptr {real}, ptr %b{k}, i64 %o{k}",
            ]
        return "\n".join([
            head,
            "entry:",
            *lines,
            "  br label %lane",
            "lane:",
            "  %l = phi i64 [ 0, %entry ], [ %next, %end ]",
            "  %s = add i64 %first, %l",
            f"  %p = getelementptr {real}, ptr %far, i64 %l",
            f"  %x = load {real}, ptr %p, align {self.tiles.align}",
            f"  %is = fcmp une {real} %x, 0.0",
            "  br i1 %is, label %one, label %end",
            "one:",
            *inside,
            f"  call void %scalar({', '.join(arguments)})",
            "  br label %end",
            "end:",
            "  %next = add i64 %l, 1",
            "  %more = icmp slt i64 %next, %n",
            "  br i1 %more, label %lane, label %done",
            "done:",
            "  ret void",
            "}",
        ])  # fmt: skip


def read(kind: str, name: str, array: str, place: int) -> list[str]:
    """Instructions for `name = array[place]`."""
    return [
        f"  {name}.p = getelementptr inbounds {kind}, ptr {array}, i64 {place}",
        f"  {name} = load {kind}, ptr {name}.p, align 8",
    ]
