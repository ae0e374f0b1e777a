"""The functions of `vector_math.py` as C99."""

from __future__ import annotations

from collections import Counter

from symgrad.targets.text import wrapped
from symgrad.targets.trace import Operation
from symgrad.targets.vector_math import APART, FUNCTIONS, OWN, function_of, is_limited, traced

_TYPES = {"real": "double", "single": "float", "bits": "uint64_t", "truth": "int"}
_TEXTS = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}",
    "fma": "fma({0}, {1}, {2})", "abs": "fabs({0})", "sqrt": "sqrt({0})",
    "less": "{0} < {1}", "equal": "{0} == {1}", "select": "{0} ? {1} : {2}",
    "to_bits": "{prefix}_bits({0})", "from_bits": "{prefix}_from_bits({0})",
    "bits_add": "{0} + {1}", "bits_sub": "{0} - {1}", "bits_and": "{0} & {1}", "bits_or": "{0} | {1}",
    "bits_xor": "{0} ^ {1}", "bits_left": "{0} << {1}", "bits_right": "{0} >> {1}",
    "widen": "(double){0}", "narrow": "(float){0}",
}  # fmt: skip
_CALLS = ("fma", "abs", "sqrt", "to_bits", "from_bits")
_LONGEST = 70


def _defined(op: str, dtype: str, prefix: str, kind: str = "INLINE") -> list[str]:
    """The lines of `REAL PREFIX_OP(REAL x)`; it calls the functions of `_BIT_CASTS`.

    kind  the macro before it: "INLINE", or "VECTOR" for functions that loops call with vectors.
    """
    operations = traced(function_of(op), dtype)
    uses = Counter(a for o in operations for a in o.args)
    values: list[str] = []
    lines: list[str] = []
    for number, o in enumerate(operations):
        if o.op == "argument":
            values.append("xy"[int(o.constant)])
        elif o.op == "constant":
            values.append(_literal(o))
        else:
            text = _TEXTS[o.op].format(*(_operand(values[a], o.op) for a in o.args), prefix=prefix)
            if number == len(operations) - 1 or (uses[number] == 1 and len(text) <= _LONGEST):
                values.append(text)
            else:
                values.append(f"t{len(lines) + 1}")
                lines.append(f"    const {_TYPES[o.kind]} {values[-1]} = {text};")
    real = _TYPES[operations[-1].kind]
    parameters = ", ".join(f"{real} {x}" for x in "xy"[: FUNCTIONS[function_of(op)].arity])
    head = f"{prefix}_{kind} {real} {prefix}_{op}({parameters})"
    return [head, "{", *lines, f"    return {values[-1]};", "}"]


def _operand(text: str, op: str) -> str:
    """The operand, in parentheses unless it stands alone or is one word, one number or one call."""
    is_plain = not any(c in text for c in " (") and not text.startswith("-")
    return text if op in _CALLS or is_plain or _is_call(text) else f"({text})"


def _is_call(text: str) -> bool:
    """Whether the text is one call: its first parenthesis ends it."""
    head, _, _ = text.partition("(")
    if not head.replace("_", "").isalnum():
        return False
    depth = 0
    for place, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == ")" and depth == 0:
            return place == len(text) - 1
    return False


def _literal(o: Operation) -> str:
    """A constant; hexadecimal where decimals would be long, and exact either way."""
    x = o.constant
    if isinstance(x, int):
        return str(x) if x < 4096 else f"UINT64_C(0x{x:x})"
    if x != x:
        return "NAN"
    if x in (float("inf"), -float("inf")):
        return "INFINITY" if x > 0 else "-INFINITY"
    if len(repr(x)) <= 8:
        return repr(x)
    mantissa, _, exponent = x.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"


def _apart(op: str, dtype: str, prefix: str) -> list[str]:
    """A function of its own: ours up to its limit, the library's beyond; nan takes the first way."""
    name = function_of(op)
    real, suffix = ("double", "") if dtype == "float64" else ("float", "f")
    names = "xy"[: FUNCTIONS[name].arity]
    result = f"{prefix}_{OWN}{name}({', '.join(names)})"
    if is_limited(name):
        result = f"fabs{suffix}(x) > {FUNCTIONS[name].limit!r}{suffix} ? {name}{suffix}(x) : {result}"
    parameters = ", ".join(f"{real} {x}" for x in names)
    return [f"static {real} {prefix}_{op}({parameters})", "{", f"    return {result};", "}"]


def definitions(ops: set[str], dtype: str, prefix: str, called: bool = False) -> list[list[str]]:
    """Everything that code calling these ops needs, function by function, in order of their names.

    called  the inlined ones are called instead, with vectors where a compiler can.
    """
    kind = "VECTOR" if called else "INLINE"
    own = sorted({OWN + function_of(op) for op in ops})
    apart = sorted(op for op in ops if op.startswith(APART))
    suffix = "" if dtype == "float64" else "f"
    library = [f"#define {prefix}_{op} {function_of(op)}{suffix}" for op in (*own, *apart)]
    return [
        _HEAD.replace("PREFIX", prefix).splitlines(),
        *([*line.splitlines()] for line in _BIT_CASTS.replace("PREFIX", prefix).split("\n\n")),
        *([_VECTOR.replace("PREFIX", prefix).splitlines()] if called else []),
        *(_defined(op, dtype, prefix, kind) for op in own),
        *(_apart(op, dtype, prefix) for op in apart),
        ["#else", *library, "#endif"],
    ]


def vector_definitions(
    functions: set[tuple[str, int]], dtype: str, prefix: str
) -> tuple[list[list[str]], set[str]]:
    """Functions of arrays `PREFIX_OP_xLANES`, and the ops for single numbers that they call."""
    texts, single = [], set()
    for op, lanes in sorted(functions):
        single |= {OWN + op} | ({APART + op} if is_limited(op) else set())
        texts.append(_of_arrays(op, lanes, dtype, prefix))
    return texts, single


def _of_arrays(op: str, lanes: int, dtype: str, prefix: str) -> list[str]:
    """Our own function in a loop that vectorises; beyond its limit another one, again."""
    real, suffix = ("double", "") if dtype == "float64" else ("float", "f")
    names = "xy"[: FUNCTIONS[op].arity]
    parameters = ", ".join(f"const {real} *restrict {x}" for x in names)
    arguments = ", ".join(f"{x}[k]" for x in names)
    loop = f"    for (int k = 0; k < {lanes}; k++)"
    lines = [f"{loop} z[k] = {prefix}_{OWN}{op}({arguments});"]
    if is_limited(op):
        limit = f"{FUNCTIONS[op].limit!r}{suffix}"
        lines = [
            "    int far = 0;",
            f"{loop} far |= fabs{suffix}(x[k]) > {limit};",
            *lines,
            "    if (far) {",
            f"    {loop} z[k] = {prefix}_{APART}{op}({arguments});",
            "    }",
        ]
    head = f"static {prefix}_NOINLINE void {prefix}_{op}_x{lanes}({parameters}, {real} *restrict z)"
    return [*wrapped(head), "{", *lines, "}"]


_HEAD = """\
/*
 * Elementary functions without branches, so that loops over them vectorise; they need a fused
 * multiply-add (gcc and clang: -march=native). Without one, the library's are faster.
 */
#if defined(FP_FAST_FMA) || defined(__FMA__) || defined(__CUDACC__)
#if defined(__GNUC__)
#define PREFIX_INLINE static inline __attribute__((always_inline))
#else
#define PREFIX_INLINE static inline
#endif"""

_VECTOR = """\
/* A loop over lanes calls a version that takes a vector: gcc makes one. */
#if defined(__GNUC__) && defined(SYMGRAD_SIMD)
#define PREFIX_VECTOR _Pragma("omp declare simd notinbranch") static __attribute__((noinline))
#else
#define PREFIX_VECTOR static
#endif"""

_BIT_CASTS = """\
PREFIX_INLINE uint64_t PREFIX_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

PREFIX_INLINE double PREFIX_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}"""
