"""GRADBENCH.md from the stored results: text, one table for each eval."""

from __future__ import annotations

from collections.abc import Sequence

from outcomes import Measured, Result, Session

# What a tool calls a derivative and is not the derivative of the program: never the best of a row.
CLOSED_FORMS = {("ode", "gradient", "manual")}

TITLE = """# GradBench

The public suite's evals with their own checks: `tools/bench/gradbench/run.py` runs them, one process for each
tool, all on one core, one thread, in step: a workload meets every tool within seconds, and only one process
works at a time. A row is the largest workload of a function; its numbers are medians of the runs that tools
report, in milliseconds. "best" is the fastest other tool whose result was valid. Other programs ran on this
machine too, and what streams through memory suffers most from them: ratios are worth more than times.

Valid means what the suite's eval says: results are compared with those of `manual`, within 1e-4 (`hello`,
`particle` and `saddle` with known numbers). "(wrong)" is a result that failed, "-" one that did not come.

"symbolic" is symgrad's time from the expressions to loop nests, "compile" that from there to machine code;
neither is in the times below. JAX's clock stops when its result is there, which the suite's own does not wait
for; it compiles in its first run, so that medians of three runs or more are without that.

`hello` is a single multiplication, and by the suite's own words no benchmark: it asks for one run. Ours is
exported C, with the clock read in C around it as the tools in C++ do (a call from Python takes 100 ns,
after a pause 3 us). All compiled tools measure the two readings and nothing else: most runs are 20 ns, the
others 30, since the clock counts in steps of 10 ns here. So the eval ran many times, and its rows are means
of the runs without the twentieth at either end. Of two such measurements the means of one tool differ by as
much as those of two compiled tools (1 ns): it is a tie, whoever is ahead.

The gradient of `ode` in `manual` is a closed form and not the derivative of the steps: it is no "best".

- manual, finite: the suite's Makefiles, g++ 12 -O3 -march=native.
- CoDiPack 3.1.1: from source, then the suite's Makefile.
- Tapenade 3.16: the derivatives that it generated and the suite keeps (ba, gmm, ht, lstm), with g++.
- Enzyme: its pass and the LLVM 19 in PennyLane-Catalyst 0.9.0, on clang 19's code before link-time
  optimisation, then clang 19 -O3; without branch weights, and with loose types for saddle and errno for lstm,
  where that pass fails otherwise.
- JAX 0.10 and PyTorch 2.13: wheels for CPUs, one thread.

The repository's archive lacks two files of data: the largest of `ht`, which is left out below (the archives
of ADBench and of a fork of it, where the problem comes from, lack the same one), and the text of `lstm`.
That is the one of ADBench; 4,096 characters of it are there as bits (data/lstm/lstm_l2_c4096.txt:
Shakespeare's sonnets). Those after them are of another public copy of the same text, which is equal to the
bits where both have it but for the form of quotation marks.

Without other tools symgrad ran all evals with the workloads they have by default on 2026-11-23 (--tools
symgrad -- --min-seconds 0.1): 234 results, all valid; made-up data stood in for the largest of `ht`.

Of these tools only Enzyme has `particle` and `saddle`. CppAD, Adept and ADOL-C build here, too; in earlier
runs of `lse`, `llsq`, `det` and `ode` symgrad was ahead of them on the largest workload. JAX has no `ba`,
`ht`, `lstm` or `det` in the suite; in earlier runs of `gmm` it took 8 to 19 times as long as symgrad.
PyTorch, in runs of the same day, took 14 and 26 times as long in `gmm`, 1,100 and 490 times in `lstm` and
4,900 times in the objective of `ht`; it had no answer within 60 s for the Jacobian of `ht`, nor in `ba`.

Not here: ad-hpp and Tapenade's generator (their servers are not reachable), the suite's tools in Futhark,
Haskell, Julia, JavaScript, Lean and OCaml (no compilers on this machine). floretta and TensorFlow were not
tried.
"""


def text(results: Sequence[Result]) -> str:
    """The whole file."""
    return "\n".join([TITLE, *map(table, results)])


def table(result: Result) -> str:
    """One eval: what each tool is worth, and a row for each function."""
    ours, others = result.sessions[0], [s for s in result.sessions[1:] if s.rows]
    has_manual = any(s.tool == "manual" for s in others)
    ratios = [*(["symgrad / manual"] if has_manual else []), *(["best", "symgrad / best"] if others else [])]
    header = ["function, workload", "symgrad", *(s.tool for s in others), *ratios]
    functions = dict.fromkeys(row.function for row in ours.rows.values())
    rows = [_row(result.eval, mine, others) for f in functions if (mine := ours.last(f))]
    options = " with " + " ".join(result.options) if result.options else ""
    times = f", {result.times} times" if result.times > 1 else ""
    about = f"{result.day}, {result.machine}, the suite's workloads{options}{times}."
    head = [f"## {result.eval}", "", about, "", *(_verdict(s) for s in result.sessions), "", _line(header)]
    return "\n".join([*head, _line(["---", *["---:"] * (len(header) - 1)]), *map(_line, rows), ""])


def _row(name: str, mine: Measured, others: Sequence[Session]) -> list[str]:
    theirs = {s.tool: s.at(mine.function, mine.workload) for s in others}
    workload = f"{mine.function} {mine.workload}".replace("|", " ")[:60]
    cells = [workload, _cell(mine), *map(_cell, theirs.values())]
    if "manual" in theirs:
        cells.append(_ratio(mine, theirs["manual"]))
    fair = {t: m for t, m in theirs.items() if m and m.valid and (name, mine.function, t) not in CLOSED_FORMS}
    best = min(fair, key=lambda t: fair[t].milliseconds, default=None)
    if others:
        cells += [best, _ratio(mine, fair[best])] if best else ["-", "-"]
    return cells


def _verdict(session: Session) -> str:
    if not session.rows:
        return f"- {session.tool}: does not have it{_error(session)}"
    made = ", ".join(f"{k} {v / 1e9:.2f} s" for k, v in session.making.items())
    valid = sum(row.valid for row in session.rows.values())
    text = f"- {session.tool}: {valid} of {len(session.rows)} results valid"
    return text + (f"; {made}" if made else "") + _error(session)


def _error(session: Session) -> str:
    if not session.errors or session.errors[0].startswith("define:"):
        return ""
    return f"; first error: {session.errors[0].strip().splitlines()[-1][:100]}"


def _cell(measured: Measured | None) -> str:
    if measured is None:
        return "-"
    return _number(measured.milliseconds) + ("" if measured.valid else " (wrong)")


def _ratio(mine: Measured, theirs: Measured | None) -> str:
    return "-" if theirs is None else _number(mine.milliseconds / theirs.milliseconds)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
