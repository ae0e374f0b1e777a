"""Names that are safe in every target, from names that may be anything at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Keywords of C99, C11, C++ and CUDA, names C's headers take, and names generated code uses itself.
_WORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int
    long register restrict return short signed sizeof static struct switch typedef union unsigned void
    volatile while alignas alignof bool complex imaginary noreturn static_assert thread_local and and_eq
    asm bitand bitor catch class compl concept const_cast constexpr delete dynamic_cast explicit export
    false friend mutable namespace new not not_eq nullptr operator or or_eq private protected public
    reinterpret_cast requires static_cast template this throw true try typeid typename using virtual
    wchar_t xor xor_eq main real work meta buffers count size_t int64_t uint64_t int32_t j0 j1 jn y0 y1 yn
    gamma lgamma tgamma exp log sin cos tan sqrt pow fabs floor ceil fmod abs div time signal index
    INFINITY NAN HUGE_VAL NULL EOF I errno assert global local kernel device host shared gridDim blockDim
    blockIdx threadIdx warpSize remainder erf erfc hypot cbrt exp2 expm1 log10 log1p log2 logb fmin fmax
    fma fdim nan trunc round rint sinh cosh tanh asin acos atan atan2 asinh acosh atanh ldexp frexp modf
    scalbn ilogb nextafter nexttoward copysign isnan isinf isfinite signbit linux unix
    char8_t char16_t char32_t co_await co_return co_yield concept consteval constexpr constinit decltype
    noexcept typeof typeof_unqual stdin stdout stderr offsetof math_errhandling BUFSIZ NFDBITS WCONTINUED
    WEXITED WNOHANG WNOWAIT WSTOPPED WUNTRACED L_tmpnam L_ctermid P_tmpdir BYTE_ORDER
    MAXFLOAT NZERO TIME_UTC CLOCKS_PER_SEC CUDARTAPI CUDARTAPI_CDECL L_cuserid TIMER_ABSTIME
"""
_RESERVED = frozenset(_WORDS.split())
# Families of macros in the headers of C: a variable of such a name would turn into something else.
_MACRO = re.compile(
    r"[A-Z]\w*_(MAX|MIN|WIDTH|BIT|C|ENDIAN|SET|CUR|END)|M_([12]_)?[A-Z]\w*|(PRI|SCN)[a-zX]\w*"
    r"|(FP|MATH|EXIT|HUGE|FLT|DBL|LDBL|DECIMAL|CHAR|MB|FD|CUDA|CUDART|CU|CLOCK|TIMER|SEEK|STA|MOD|ADJ)_\w+"
    r"|SNAN\w*|cuda[A-Z]\w*"
)


def mangled(names: Iterable[str]) -> list[str]:
    """One distinct ASCII identifier per name, the name itself where it already is one.

    Other characters become underscores (Greek letters their names are not: one rule for all);
    collisions, keywords and library names get a number. No two underscores follow each other: C++
    keeps such names for itself.
    """
    taken: set[str] = set()
    out = []
    for name in names:
        base = re.sub(r"[^0-9A-Za-z_]", "_", name)[:40] or "x"
        if not base[0].isalpha():
            base = "x" + base
        base = re.sub(r"_+", "_", base)
        if _MACRO.fullmatch(base):
            base = base.rstrip("_") + "_x"
        candidate, k = base, 0
        while candidate in taken or candidate in _RESERVED:
            k += 1
            candidate = f"{base.rstrip('_')}_{k}"
        taken.add(candidate)
        out.append(candidate)
    return out
