"""Blocks of samples in C: what brings samples into tiles and out of them, and the loop over all samples.

The routine itself (`loops/lanes.py`) computes one block of samples on tiles: rows of LANES numbers, one row
per element of a buffer. Tiles are filled and emptied by shuffles of vectors where the compiler has them (gcc
12, clang), else by plain loops.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.loops.nest import Buffer
from symgrad.targets.tiles import exchanges, merges, tile_rows

_PLAIN = """\
/* The first n samples of a block, of any size and stride; lanes beyond are filled with the last one. */
static void PREFIX_in(REAL *tile, const REAL *samples, int64_t stride, int64_t core, int64_t n)
{
    for (int64_t lane = 0; lane < LANES; lane++) {
        for (int64_t k = 0; k < core; k++) {
            tile[k*LANES + lane] = samples[(lane < n ? lane : n - 1)*stride + k];
        }
    }
}

static void PREFIX_out(const REAL *tile, REAL *samples, int64_t stride, int64_t core, int64_t n)
{
    for (int64_t lane = 0; lane < n; lane++) {
        for (int64_t k = 0; k < core; k++) {
            samples[lane*stride + k] = tile[k*LANES + lane];
        }
    }
}"""

_TYPES = """\
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PREFIX_SHUFFLES
#endif
#endif
#ifdef PREFIX_SHUFFLES
typedef REAL PREFIX_row __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));"""


class _Moves:
    """Functions that move whole blocks: NAME_in_CORE(tile, samples), NAME_in_wide(tile, samples, core)."""

    def __init__(self, prefix: str, real: str, lanes: int) -> None:
        self.prefix, self.real, self.lanes = prefix, real, lanes
        self.wanted: set[tuple[bool, int]] = set()  # into tiles?; size, 0 for the wide ones

    def call(self, into: bool, core: int, tile: str, samples: str) -> str:
        wide = core >= self.lanes
        self.wanted.add((into, 0 if wide else core))
        name = f"{self.prefix}_{'in' if into else 'out'}_{'wide' if wide else core}"
        return f"{name}({tile}, {samples}{f', {core}' if wide else ''});"

    def texts(self) -> list[list[str]]:
        if not self.wanted:
            return []
        filled = _TYPES.replace("PREFIX", self.prefix).replace("REAL", self.real)
        blocks = [filled.replace("BYTES", f"{self.lanes}*sizeof({self.real})").splitlines()]
        plain = ["#else"]
        if any(core == 0 for _, core in self.wanted):
            blocks.append(self._transpose())
        for into, core in sorted(self.wanted):
            blocks.append(self._narrow(into, core) if core else self._wide(into))
            plain += self._without_shuffles(into, core)
        return [*blocks, [*plain, "#endif"]]

    def _head(self, into: bool, core: int) -> list[str]:
        tile, samples = ("", "const ") if into else ("const ", "")
        name = f"{self.prefix}_{'in' if into else 'out'}_{core or 'wide'}"
        last = "" if core else ", int64_t core"
        return [
            f"static void {name}(",
            f"    {tile}{self.real} *restrict tile, {samples}{self.real} *restrict samples{last})",
            "{",
        ]

    def _shuffle(self, a: str, b: str, places: Sequence[int]) -> str:
        # Never of a vector with itself: gcc 12 gets some of those wrong.
        return f"__builtin_shufflevector({a}, {b}, {', '.join(map(str, places))})"

    def _transpose(self) -> list[str]:
        lines = [f"static inline void {self.prefix}_transpose({self.prefix}_row *r)", "{"]
        lines.append(f"    {self.prefix}_row a, b;")
        for distance, first, second in exchanges(self.lanes):
            for i in range(self.lanes):
                if not i & distance:
                    a, b = f"r[{i}]", f"r[{i + distance}]"
                    lines.append(f"    a = {self._shuffle(a, b, first)};")
                    lines.append(f"    b = {self._shuffle(a, b, second)};")
                    lines.append(f"    {a} = a, {b} = b;")
        return [*lines, "}"]

    def _wide(self, into: bool) -> list[str]:
        n, row = self.lanes, f"{self.prefix}_row"
        sample, tile = "samples[at + lane*core]", f"tile[(at + lane)*{n}]"
        source, target = (sample, tile) if into else (tile, sample)
        return [
            *self._head(into, 0),
            f"    for (int64_t k = 0; k < core; k += {n}) {{",
            f"        const int64_t at = k < core - {n} ? k : core - {n};",
            f"        {row} r[{n}];",
            f"        for (int64_t lane = 0; lane < {n}; lane++) r[lane] = *(const {row} *)&{source};",
            f"        {self.prefix}_transpose(r);",
            f"        for (int64_t lane = 0; lane < {n}; lane++) *({row} *)&{target} = r[lane];",
            "    }",
            "}",
        ]

    def _narrow(self, into: bool, core: int) -> list[str]:
        n, row = self.lanes, f"{self.prefix}_row"
        source, target = ("samples", "tile") if into else ("tile", "samples")
        lines = self._head(into, core)
        for k in range(core):
            lines.append(f"    const {row} v{k} = *(const {row} *)&{source}[{k * n}];")
        for k, (first, steps) in enumerate(merges(core, n, into)):
            lines.append(f"    {row} m{k} = v{first};")
            for number, places in steps:
                lines.append(f"    m{k} = {self._shuffle(f'm{k}', f'v{number}', places)};")
        for k in range(core):
            lines.append(f"    *({row} *)&{target}[{k * n}] = m{k};")
        return [*lines, "}"]

    def _without_shuffles(self, into: bool, core: int) -> list[str]:
        size, n = str(core) if core else "core", self.lanes
        direction = "in" if into else "out"
        return [
            *self._head(into, core),
            f"    {self.prefix}_{direction}(tile, samples, {size}, {size}, {n});",
            "}",
        ]


def samples_functions(
    name: str, real: str, lanes: int, parameters: Sequence[Buffer], work: int, sizes: int, far: str
) -> list[list[str]]:
    """`NAME_call`: all samples, block after block; and the functions it needs.

    parameters  the buffers of `NAME`, whose last axis is the lane; the caller has all of them but `far`.
    work        elements of the routine's own workspace; the tiles stand behind it.
    """
    return _Samples(name, real, lanes, parameters, work, sizes, far).texts()


class _Samples:
    """`NAME_call`. Buffer k of the caller is `bk`, its stride `dk`, the tile of `NAME`'s parameter k `tk`."""

    def __init__(
        self, name: str, real: str, lanes: int, parameters: Sequence[Buffer], work: int, sizes: int, far: str
    ) -> None:
        self.name, self.real, self.lanes, self.work, self.sizes = name, real, lanes, work, sizes
        self.moves = _Moves(name, real, lanes)
        self.all = list(parameters)
        self.given = [b for b in parameters if b.name != far]
        self.cores = {b.name: tile_rows(b) for b in parameters}
        self.tiles = {b.name: f"t{k}" for k, b in enumerate(parameters)}
        self.far = self.tiles.get(far, "")

    def texts(self) -> list[list[str]]:
        call = self._call()
        plain = _PLAIN.replace("PREFIX", self.name).replace("REAL", self.real)
        return [plain.replace("LANES", str(self.lanes)).splitlines(), *self.moves.texts(), call]

    def _call(self) -> list[str]:
        head = f"void {self.name}_call(void *const *buffers, const int64_t *meta)"
        work = f"({self.real} *)(((uintptr_t)buffers[{len(self.given)}] + 63) & ~(uintptr_t)63)"
        return [
            "/* every sample, block after block: buffers are inputs, outputs, workspace, the function for",
            "   one sample; meta is count, sizes, strides */",
            f"{head};",
            head,
            "{",
            "    const int64_t count = meta[0];",
            f"    {self.real} *const work = {work};",
            *self._declarations(),
            *self._shared_inputs(),
            f"    for (int64_t s = 0; s < count; s += {self.lanes}) {{",
            f"        const int64_t n = count - s < {self.lanes} ? count - s : {self.lanes};",
            f"        if (n == {self.lanes} && regular) {{",
            *self._whole(),
            "        } else {",
            *self._part(),
            "        }",
            *(self._alone() if self.far else []),
            "    }",
            "}",
        ]

    def _declarations(self) -> list[str]:
        """Tiles, buffers, strides; and whether samples follow each other without gaps."""
        lines, offset, regular = [], self.work, []
        for b in self.all:
            lines.append(f"    {self.real} *const {self.tiles[b.name]} = work + {offset};")
            offset += self.cores[b.name] * self.lanes
        for k, b in enumerate(self.given):
            const = "const " if b.role == "input" else ""
            lines.append(f"    {const}{self.real} *const b{k} = ({const}{self.real} *)buffers[{k}];")
            lines.append(f"    const int64_t d{k} = meta[{1 + self.sizes + k}];")
            dense = f"d{k} == {self.cores[b.name]}"
            regular.append(f"(d{k} == 0 || {dense})" if b.role == "input" else dense)
        return [*lines, f"    const int regular = {' && '.join(regular) or '1'};"]

    def _shared_inputs(self) -> list[str]:
        """Where all samples share an input, its tile is filled once."""
        return [
            f"    if (count > 0 && d{k} == 0) {self._any(b, f'b{k}, 0', '1')}"
            for k, b in enumerate(self.given)
            if b.role == "input"
        ]

    def _any(self, b: Buffer, samples_and_stride: str, n: str) -> str:
        function = f"{self.name}_{'in' if b.role == 'input' else 'out'}"
        return f"{function}({self.tiles[b.name]}, {samples_and_stride}, {self.cores[b.name]}, {n});"

    def _whole(self) -> list[str]:
        """A block of LANES samples; single numbers are read and written where they are."""
        number = {b.name: k for k, b in enumerate(self.given)}
        before: list[str] = []
        after: list[str] = []
        places: list[str] = []
        for b in self.all:
            k, core, tile = number.get(b.name), self.cores[b.name], self.tiles[b.name]
            is_input = b.role == "input"
            direct = f"d{k} ? b{k} + s : {tile}" if is_input else f"b{k} + s"
            places.append(tile if k is None or core != 1 else direct)
            if k is not None and core > 1:
                move = self.moves.call(is_input, core, tile, f"b{k} + s*{core}")
                (before if is_input else after).append(f"            {f'if (d{k}) ' * is_input}{move}")
        return [*before, *self._compute(places), *after]

    def _part(self) -> list[str]:
        """Fewer samples, or gaps between them: everything goes through tiles."""
        moves: dict[str, list[str]] = {"input": [], "output": []}
        for k, b in enumerate(self.given):
            moves[b.role].append(f"            {self._any(b, f'b{k} + s*d{k}, d{k}', 'n')}")
        return [*moves["input"], *self._compute([*self.tiles.values()]), *moves["output"]]

    def _compute(self, places: list[str]) -> list[str]:
        return [f"            {line}" for line in _called(self.name, [*places, *self._rest()])]

    def _rest(self) -> list[str]:
        """The arguments after the buffers."""
        return ["work"] * bool(self.work) + [f"meta[{1 + k}]" for k in range(self.sizes)]

    def _alone(self) -> list[str]:
        """The samples of a block that need the routine for one sample, whose address comes last."""
        types = [f"{'const ' if b.role == 'input' else ''}{self.real} *" for b in self.given]
        types += [f"{self.real} *"] * bool(self.work) + ["int64_t"] * self.sizes
        function = f"((void (*)({', '.join(types)}))(uintptr_t)buffers[{len(self.given) + 1}])"
        arguments = [f"b{k} + (s + lane)*d{k}" for k in range(len(self.given))]
        return [
            f"        {self.real} beyond = 0;",
            f"        for (int64_t lane = 0; lane < {self.lanes}; lane++) beyond += {self.far}[lane];",
            "        for (int64_t lane = 0; beyond != 0 && lane < n; lane++) {",
            f"            if ({self.far}[lane] != 0) {{",
            *(f"                {line}" for line in _called(function, [*arguments, *self._rest()])),
            "            }",
            "        }",
        ]


def _called(function: str, arguments: Sequence[str]) -> list[str]:
    """A call, one argument a line."""
    return [
        f"{function}(",
        *(f"    {a}," for a in arguments[:-1]),
        *(f"    {a});" for a in arguments[-1:]),
    ]
