"""The command line: `symgrad export | derive | verify | explain | bench | demo | cache | why`.

An expression is given as `file.py:name` (the user's own file is imported, and the name is an expression, a
Program, or a function of no arguments that returns one) or as a text for the safe parser
(`frontend/parse.py`). Everything heavy is imported by the command that needs it.

Exit codes: 0 done, 1 a verification failed or the demonstration missed its optimum, 2 the input is wrong
(one message on the standard error, no traceback). An exception inside the user's own file is theirs, and
shows its traceback.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from symgrad.errors import (
    BadArgument,
    BadOption,
    SymgradError,
    error_classes,
    error_page,
    format_error,
    quoted,
)
from symgrad.ir.kinks import CONVENTIONS, DEFAULT

DONE, FAILED, WRONG_INPUT = 0, 1, 2
_EXAMPLE = "x=1.5 or X=[[1, 2], [3, 4]]"

_EPILOG = """\
examples
  symgrad derive "x**2*sin(y)" --wrt x,y
  symgrad derive "Trace(X.T*X)" --let "X = matrix(n, d)" --wrt X --format latex
  symgrad verify "Sum(v[i]**4, (i, 0, n - 1))" --let "v = array(n)"
  symgrad verify "x**2*y" --grad "2*x*y" --grad "x**3"
  symgrad verify model.py:loss --against out/softmax.c
  symgrad export model.py:loss --wrt W --outputs value,grad --name softmax --directory out
  symgrad why ParseError
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is without the program's name, as in sys.argv[1:]."""
    parser = _parser()
    try:
        options = parser.parse_args(_with_minus_signs(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:  # argparse has printed the help or its complaint
        return int(stop.code or 0)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except SymgradError as error:
        print(format_error(error), file=sys.stderr)
        return WRONG_INPUT
    except BrokenPipeError:  # whoever read the output, as `head` does, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes
        return 0


def _with_minus_signs(argv: Sequence[str]) -> list[str]:
    """Expressions may start with a minus sign: behind a space, argparse takes none for an option."""
    return [f" {word}" if re.match("-[^-h]|-h.", word) else word for word in argv]


# --- the commands ------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> int:
    import symgrad

    if options.target == "cuda" and options.blas == "cblas":
        raise BadOption("CUDA code cannot call CBLAS", where="--blas", try_="--target c, or leave --blas out")
    if options.target == "c" and options.shared:
        raise BadOption(
            "exported C computes one sample", where="--shared", try_="--target cuda, or leave --shared out"
        )
    program = _program(options)
    common = {
        "directory": options.directory, "outputs": options.outputs, "dtype": options.dtype,
        "memory": options.memory, "own_functions": options.own_functions,
    }  # fmt: skip
    try:
        if options.target == "cuda":
            paths = symgrad.export_cuda(program, options.name, shared=options.shared, **common)
        else:
            paths = symgrad.export_c(program, options.name, blas=options.blas, **common)
    except OSError as error:
        raise BadOption(
            f"cannot write to {quoted(options.directory)}", because=str(error), try_="--directory DIRECTORY"
        ) from None
    for path in paths:
        print(path)
    return DONE


def _derive(options: argparse.Namespace) -> int:
    import sympy as sp

    program = _program(options)
    derivative = program.grad if options.order == 1 else program.hess
    printers: dict[str, Callable[[Any], str]] = {
        "text": lambda part: str(sp.pretty(part, wrap_line=False)),
        "latex": lambda part: str(sp.latex(part)),
        "sympy": str,
    }
    for part in derivative if isinstance(derivative, (tuple, list)) else (derivative,):
        print(printers[options.format](part))
    return DONE


def _verify(options: argparse.Namespace) -> int:
    import symgrad

    program = _program(options)
    point = dict(_name_and_value(text) for text in options.at)
    domain = dict(_name_and_value(text, "--domain", "x=[0.1, 2]") for text in options.domain)
    own = {"grad": _own(options, options.grad, program), "hess": _own(options, options.hess, program)}
    report = symgrad.verify(
        program,
        at=point or None,
        outputs=options.outputs,
        domain=domain or None,
        against=options.against,
        samples=options.samples,
        seed=options.seed,
        digits=options.digits,
        rtol=options.rtol,
        backend=options.backend,
        dtype=options.dtype,
        **{word: given for word, given in own.items() if given is not None},
    )
    print(report.to_json() if options.json else report.table)
    return DONE if report.ok else FAILED


def _own(options: argparse.Namespace, texts: Sequence[str], program: Any) -> Any:
    """A derivative written by hand: `file.py:name` (also a function of arrays), or expressions as text."""
    if not texts:
        return None
    found = _file_and_name(texts[0])
    if found is not None:
        path, name = found
        return _attribute(path, name)
    from symgrad.frontend.declare import parse_declarations
    from symgrad.frontend.parse import parse_expression

    is_typed = _file_and_name(options.expression) is None
    declared = parse_declarations(options.let) if is_typed else {}
    known = _symbols_by_name(program.expr, declared, program.args)
    parts = [parse_expression(text.lstrip(), known) for text in texts]
    return parts[0] if len(parts) == 1 else parts


def _explain(options: argparse.Namespace) -> int:
    import symgrad

    sizes = dict(_name_and_size(text) for text in options.size)
    explanation = symgrad.explain(
        _program(options), outputs=options.outputs, sizes=sizes, backend=options.backend,
        dtype=options.dtype, memory=options.memory,
    )  # fmt: skip
    print(explanation.to_json() if options.json else explanation)
    return DONE


def _bench(options: argparse.Namespace) -> int:
    import symgrad

    sizes = dict(_name_and_size(text) for text in options.size)
    point = dict(_name_and_value(text) for text in options.at)
    found = symgrad.bench(
        _program(options), outputs=options.outputs, sizes=sizes, at=point or None, seed=options.seed,
        backend=options.backend, dtype=options.dtype,
    )  # fmt: skip
    print(found.to_json() if options.json else found)
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from symgrad import demo

    return DONE if demo.run(options.directory, options.backend, options.steps) else FAILED


def _cache(options: argparse.Namespace) -> int:
    from symgrad.targets import cache

    if options.clear:
        entries, size = cache.clear()
        print(f"deleted {entries} entries, {size} bytes")
        return DONE
    held = cache.look()
    print(f"where    {held.directory or 'nowhere'}")
    print(f"entries  {held.entries}")
    print(f"bytes    {held.size}")
    print(f"bound    {held.bound} (SYMGRAD_CACHE_BYTES)")
    if held.problem:
        print(f"not used: {held.problem}")
    return DONE


def _why(options: argparse.Namespace) -> int:
    if options.error_class:
        print(error_page(options.error_class), end="")
        return DONE
    classes = error_classes()
    width = max(map(len, classes))
    for name, kind in classes.items():
        print(f"{name:<{width}}  {inspect.cleandoc(kind.__doc__ or '').splitlines()[0]}")
    return DONE


# --- from the arguments to a program -----------------------------------------------------------------


def _program(options: argparse.Namespace) -> Any:
    """The Program that the expression argument, `--let`, `--args` and `--wrt` describe."""
    import symgrad

    value, declared = _value_and_symbols(options)
    if isinstance(value, symgrad.Program):
        known = _symbols_by_name(value.expr, declared, value.args)
    else:
        known = _symbols_by_name(value, declared, ())
    args = tuple(_symbol(name, known) for name in options.args)
    wrt = tuple(_symbol(name, known) for name in options.wrt)
    # By one symbol, the gradient has its shape; by several, it is a vector or a tuple; by none, the default.
    return symgrad.program(
        value, args=args or None, wrt=wrt[0] if len(wrt) == 1 else wrt or None, kinks=options.kinks
    )


def _value_and_symbols(options: argparse.Namespace) -> tuple[Any, dict[str, object]]:
    """What the expression argument names or spells, and the symbols that `--let` declares."""
    found = _file_and_name(options.expression)
    if found is None:
        from symgrad.frontend.declare import parse_declarations
        from symgrad.frontend.parse import parse_expression

        symbols = parse_declarations(options.let)
        return parse_expression(options.expression.lstrip(), symbols), symbols
    if options.let:
        raise BadOption("--let declares names of an expression typed as text, not of one in a file")
    return _value_in_file(*found), {}


def _file_and_name(text: str) -> tuple[Path, str] | None:
    """The parts of `file.py:name`; None for a text to be parsed."""
    found = re.fullmatch(r"(.+\.py):([^\W\d]\w*)", text.strip())
    return (Path(found.group(1)), found.group(2)) if found else None


def _attribute(path: Path, name: str) -> Any:
    """What the user's file calls `name`."""
    if not path.is_file():
        raise BadArgument(f"there is no file {quoted(str(path))}", try_="file.py:name, or an expression")
    module = _imported(path)
    if not hasattr(module, name):
        public = ", ".join(key for key in vars(module) if not key.startswith("_"))
        raise BadArgument(
            f"{quoted(str(path))} has no {quoted(name)}", because=f"it has {public or 'no names'}"
        )
    return getattr(module, name)


def _value_in_file(path: Path, name: str) -> Any:
    value = _attribute(path, name)
    if not inspect.isroutine(value):
        return value
    needed = [p.name for p in inspect.signature(value).parameters.values() if p.default is p.empty]
    if needed:
        raise BadArgument(
            f"{quoted(name)} is a function that needs arguments",
            because=", ".join(needed),
            try_="a function of no arguments that returns the expression",
        )
    return value()


def _imported(path: Path) -> ModuleType:
    """The user's file as a module; files beside it can be imported from it, as when it is run."""
    spec = importlib.util.spec_from_file_location(f"_symgrad_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadArgument(f"{quoted(str(path))} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.modules[spec.name] = module  # dataclasses and pickling look their module up here
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _symbols_by_name(value: Any, declared: dict[str, object], args: Sequence[object]) -> dict[str, object]:
    """Everything `--args` and `--wrt` can name. An array comes before the plain symbol that is its label."""
    import sympy as sp

    if not hasattr(value, "free_symbols"):
        raise BadArgument(
            f"{quoted(type(value).__name__)} is not an expression",
            try_="a SymPy expression, a Program, or a function of no arguments that returns one",
        )
    symbols = sorted((symbol for symbol in value.free_symbols if symbol.is_symbol), key=str)
    known = {str(symbol): symbol for symbol in symbols if not isinstance(symbol, sp.Indexed)}
    known |= {str(array): array for array in sorted(value.atoms(sp.IndexedBase), key=str)}
    return known | {str(symbol): symbol for symbol in args} | declared


def _symbol(name: str, known: dict[str, object]) -> object:
    if name in known:
        return known[name]
    raise BadArgument(
        f"the expression has no symbol {quoted(name)}",
        because="it has " + ", ".join(map(quoted, sorted(known))),
    )


def _name_and_value(text: str, option: str = "--at", example: str = _EXAMPLE) -> tuple[str, Any]:
    """`x=1.5` or `X=[[1, 2], [3, 4]]`: a name, and a number or nested lists of numbers (read as JSON)."""
    import numpy as np

    name, _, written = (part.strip() for part in text.partition("="))
    try:
        array = np.asarray(json.loads(written))
        if array.dtype.kind not in "if":
            raise TypeError("these are not numbers")
    except (ValueError, TypeError, RecursionError) as error:
        raise BadOption(
            f"cannot read {quoted(text)}",
            where=option,
            because=str(error),
            try_=example,
        ) from None
    return name, array.item() if array.ndim == 0 else array


def _name_and_size(text: str) -> tuple[str, int]:
    name, _, written = (part.strip() for part in text.partition("="))
    if not (name and written.isdecimal() and len(written) < 19):
        raise BadOption(f"cannot read {quoted(text)}", where="--size", try_="n=1000")
    return name, int(written)


# --- the arguments -----------------------------------------------------------------------------------


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symgrad",
        description="Compile SymPy expressions and their derivatives.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    shared = _expression_options()
    _add_export(commands, shared)
    _add_derive(commands, shared)
    _add_verify(commands, shared)
    _add_explain(commands, shared)
    _add_bench(commands, shared)
    _add_demo(commands)
    _add_cache(commands)
    why = commands.add_parser("why", help="the page of an error class")
    why.add_argument("error_class", nargs="?", metavar="ERRORCLASS", help="left out: a list of the classes")
    why.set_defaults(run=_why)
    return parser


def _expression_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("expression", metavar="EXPRESSION", help="file.py:name, or an expression")
    shared.add_argument(
        "--let", action="append", default=[], metavar="DECLARATION", help='"X = matrix(n, d)"; repeatable'
    )
    shared.add_argument("--args", type=_names, default=(), metavar="NAMES", help="argument order, as W,X,Y")
    conventions = "; ".join(f"{name}: {text}" for name, text in CONVENTIONS.items())
    shared.add_argument(
        "--kinks",
        choices=tuple(CONVENTIONS),
        help=f"the derivative at kinks (default: {DEFAULT}). {conventions}",
    )
    shared.add_argument("--wrt", type=_names, default=(), metavar="NAMES", help="differentiate by, as W,b")
    return shared


def _add_export(commands: Any, shared: argparse.ArgumentParser) -> None:
    files = "write C: NAME.c, NAME.h, a Makefile, a test main; or CUDA: NAME.cu"
    export = commands.add_parser("export", aliases=["compile"], parents=[shared], help=files)
    export.add_argument("--outputs", type=_names, default=("value", "grad"), metavar="WORDS")
    export.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    export.add_argument("--name", default="kernel", help="a C identifier (default: kernel)")
    export.add_argument("--directory", default=".", help="created if it is not there (default: here)")
    export.add_argument("--target", choices=("c", "cuda"), default="c", help="(default: c)")
    common = "with --target cuda: arguments that are the same for all samples"
    export.add_argument("--shared", type=_names, default=(), metavar="NAMES", help=common)
    ours = "print our own exp, log, sin, ... into the file"
    export.add_argument("--own-functions", action="store_true", help=ours)
    tiles = "recurrences in tiles of time, whose number and length the caller chooses"
    export.add_argument("--memory", choices=("stored", "checkpointed", "recomputed"), help=tiles)
    products = "who computes large matrix products (default: the file itself)"
    export.add_argument("--blas", choices=("built-in", "cblas"), default="built-in", help=products)
    export.set_defaults(run=_export)


def _add_derive(commands: Any, shared: argparse.ArgumentParser) -> None:
    derive = commands.add_parser("derive", parents=[shared], help="print a derivative")
    derive.add_argument("--order", type=int, choices=(1, 2), default=1)
    derive.add_argument("--format", choices=("text", "latex", "sympy"), default="text")
    derive.set_defaults(run=_derive)


def _add_explain(commands: Any, shared: argparse.ArgumentParser) -> None:
    explain = commands.add_parser("explain", parents=[shared], help="every stage, operation counts, timing")
    words = "value,grad,hess,... (default: value and gradient; for an array, value and Jacobian)"
    explain.add_argument("--outputs", type=_names, default=None, metavar="WORDS", help=words)
    explain.add_argument(
        "--size", action="append", default=[], metavar="NAME=NUMBER", help="such as n=1000; for the counts"
    )
    explain.add_argument("--backend", choices=("llvm", "c", "numpy"), default="llvm")
    explain.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    budget = 'of recurrences: bytes of workspace, or "checkpointed" or "recomputed"'
    explain.add_argument("--memory", type=_memory, default=None, metavar="BYTES", help=budget)
    explain.add_argument("--json", action="store_true", help="print the explanation as JSON")
    explain.set_defaults(run=_explain)


def _add_bench(commands: Any, shared: argparse.ArgumentParser) -> None:
    help_text = "operations, bytes, the floor that follows, and measured times"
    bench = commands.add_parser("bench", parents=[shared], help=help_text)
    words = "value,grad,hess,... (default: value and gradient; for an array, value and Jacobian)"
    bench.add_argument("--outputs", type=_names, default=None, metavar="WORDS", help=words)
    bench.add_argument("--size", action="append", default=[], metavar="NAME=NUMBER", help="such as n=1000")
    bench.add_argument(
        "--at", action="append", default=[], metavar="NAME=VALUE", help="such as x=1.5 or X=[[1,2],[3,4]]"
    )
    bench.add_argument("--seed", type=int, default=0, help="of what --at does not give")
    bench.add_argument("--backend", choices=("llvm", "c"), default="llvm")
    bench.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    bench.add_argument("--json", action="store_true", help="print the same as JSON")
    bench.set_defaults(run=_bench)


def _add_verify(commands: Any, shared: argparse.ArgumentParser) -> None:
    verify = commands.add_parser("verify", parents=[shared], help="compare with independent computations")
    words = "default: value and gradient, or Jacobian"
    verify.add_argument("--outputs", type=_names, default=None, metavar="WORDS", help=words)
    verify.add_argument(
        "--at", action="append", default=[], metavar="NAME=VALUE", help="such as x=1.5 or X=[[1,2],[3,4]]"
    )
    verify.add_argument(
        "--domain", action="append", default=[], metavar="NAME=[LOW,HIGH]", help="draw from it, as x=[0.1,2]"
    )
    own = "your own, to verify instead: file.py:name or an expression; repeatable, one per symbol of --wrt"
    verify.add_argument("--grad", action="append", default=[], metavar="EXPRESSION", help=own)
    verify.add_argument("--hess", action="append", default=[], metavar="EXPRESSION", help="the same, in rows")
    verify.add_argument("--against", metavar="FILE.c", help="an exported C file, to verify instead")
    verify.add_argument("--samples", type=_count, default=1, metavar="N", help="how many random points")
    verify.add_argument("--seed", type=int, default=0, help="of the random point, where --at gives none")
    verify.add_argument("--digits", type=_count, default=50, help="of the high-precision evaluation")
    verify.add_argument("--rtol", type=float, help="the relative error allowed, for all methods")
    verify.add_argument("--backend", choices=("llvm", "c", "numpy"), default="llvm")
    verify.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    verify.set_defaults(run=_verify)


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser("demo", help="train softmax regression on handwritten digits")
    demo.add_argument("--directory", default="symgrad-demo", help="for the C files (default: symgrad-demo)")
    demo.add_argument("--backend", choices=("llvm", "c", "numpy"), default="llvm", help="what trains")
    demo.add_argument("--steps", type=_count, metavar="N", help="at most so many")
    demo.set_defaults(run=_demo)


def _add_cache(commands: Any) -> None:
    cache = commands.add_parser("cache", help="the compiled code kept on disk: where, and how much")
    cache.add_argument("--clear", action="store_true", help="delete all of it")
    cache.set_defaults(run=_cache)


def _memory(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
