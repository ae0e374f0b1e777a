"""The errors of ops that bounds of rounding error count on: `symgrad/ir/last_places.py` from ACCURACY.md.

    python tools/accuracy/last_places.py --write

The worst error of a value on any target and in either type, from the rows of `tools/bench/ACCURACY.md`,
rounded up to two digits.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from symgrad.ir.graph import Graph  # noqa: F401  the table of ops is whole once this is there
from symgrad.ir.ops import OPS

_ROOT = Path(__file__).resolve().parents[2]
TARGET = _ROOT / "symgrad" / "ir" / "last_places.py"
_COLUMNS = 9
_START = "MEASURED: dict[str, float] = {\n"


def measured(text: str) -> dict[str, float]:
    """Op -> the worst error of its value in last places, from the text of ACCURACY.md."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == _COLUMNS and cells[2] == "value" and cells[0] in OPS:
            worst = max(float(cell.strip("*").split("/")[0]) for cell in cells[3:])
            found[cells[0]] = _rounded_up(worst)
    return found


def _rounded_up(x: float) -> float:
    if x == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(x)) - 1)
    return float(f"{math.ceil(x / unit - 1e-9) * unit:.6g}")


def table(found: dict[str, float]) -> str:
    """The dictionary as source text."""
    return _START + "".join(f'    "{op}": {worst!r},\n' for op, worst in found.items()) + "}\n"


def written() -> str:
    """The module as it should read."""
    made, source = (
        table(measured((_ROOT / "tools" / "bench" / "ACCURACY.md").read_text())),
        TARGET.read_text(),
    )
    start = source.index(_START)
    return source[:start] + made + source[source.index("}\n", start) + 2 :]


def write() -> None:
    TARGET.write_text(written())


def main() -> int:
    if "--write" in sys.argv:
        write()
    elif written() != TARGET.read_text():
        print("symgrad/ir/last_places.py is not what ACCURACY.md says: run this with --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
