"""The innermost block of `nest.Contract` as C99, in vector registers where the compiler has vector types.

GCC's vector extension, which Clang has too, is enough for every processor; how wide registers are is asked of
the compiler's own macros. Elsewhere a vector is one number. The loops over rows and vectors have constant
bounds once `block` is inlined, so that all sums are registers.

Standalone C may hand large products to CBLAS, where that takes their strides.
Source: Dongarra et al. 1990, "A set of level 3 basic linear algebra subprograms", ACM TOMS 16(1); the C
interface is that of the BLAS Technical Forum Standard (2001), appendix B.
"""

from __future__ import annotations

from symgrad.loops.contract import BYTES
from symgrad.targets.text import wrapped
from symgrad.targets.tiles import exchanges

LARGE = 64**3  # multiplications; below, a call of BLAS costs more than it brings
_WIDTHS = (64, 32)  # of vectors in bytes, of which squares are transposed; narrower ones gain little


def columns_of(dtype: str) -> int:
    """Of a tile."""
    return BYTES // (8 if dtype == "float64" else 4)


def functions(dtype: str, prefix: str, tile: bool) -> list[str]:
    """The lines of `PREFIX_transpose`, of `PREFIX_tile` where that is asked for, and what they need."""
    real, size = ("double", 8) if dtype == "float64" else ("float", 4)
    squares = "\n".join(line for width in _WIDTHS for line in _square(width // size, width))
    text = (_VECTOR + _TILE * tile + _TRANSPOSE.replace("SQUARES", squares)).replace("SIZE", str(size))
    return text.replace("PREFIX", prefix).replace("REAL", real).strip().split("\n")


def _square(lanes: int, width: int) -> list[str]:
    """`PREFIX_exchange`, which transposes the square of some vectors of a width in bytes, for that width."""
    lines = [f"#if PREFIX_BYTES == {width}"]
    lines += ["PREFIX_ALWAYS void PREFIX_exchange(PREFIX_vector *r)", "{", "    PREFIX_vector a, b;"]
    for distance, first, second in exchanges(lanes):
        for i in range(lanes):
            if not i & distance:
                pair = f"r[{i}], r[{i + distance}]"
                for name, places in (("a", first), ("b", second)):
                    chosen = ", ".join(map(str, places))
                    lines += wrapped(f"    {name} = __builtin_shufflevector({pair}, {chosen});")
                lines.append(f"    r[{i}] = a, r[{i + distance}] = b;")
    return [*lines, "}", "#endif"]


def cblas_function(dtype: str, prefix: str) -> list[str]:
    """The lines of `PREFIX_cblas`, which says whether it computed the product, and what it needs."""
    gemm, real = ("cblas_dgemm", "double") if dtype == "float64" else ("cblas_sgemm", "float")
    text = _CBLAS.replace("PREFIX", prefix).replace("GEMM", gemm).replace("REAL", real)
    return text.replace("LARGE", f"{LARGE}.0").strip().split("\n")


_CBLAS = """
/* Whether rows of so many numbers each lie in memory one after the other. */
static int PREFIX_lies(int64_t row, int64_t column, int64_t columns)
{
    return column == 1 && row >= columns && row <= INT_MAX;
}

/* The product by CBLAS, if it is large and BLAS takes such strides; whether that was so. */
static int PREFIX_cblas(
    const REAL *a, const REAL *b, REAL *c, int64_t rows, int64_t columns, int64_t depth, int64_t a_row,
    int64_t a_depth, int64_t b_depth, int64_t b_column, int64_t c_row, int64_t c_column, int64_t keep,
    int64_t sign, int64_t lower)
{
    const int a_rows = PREFIX_lies(a_row, a_depth, depth);
    const int b_rows = PREFIX_lies(b_depth, b_column, columns);
    const int c_rows = PREFIX_lies(c_row, c_column, columns);
    const int a_columns = PREFIX_lies(a_depth, a_row, rows);
    const int b_columns = PREFIX_lies(b_column, b_depth, depth);
    const int c_columns = PREFIX_lies(c_column, c_row, rows);
    const int is_large = (double)rows*(double)columns*(double)depth >= LARGE;
    const int fits = rows <= INT_MAX && columns <= INT_MAX && depth <= INT_MAX;
    if (!is_large || !fits || lower != 0
        || !(a_rows || a_columns) || !(b_rows || b_columns) || !(c_rows || c_columns)) {
        return 0;
    }
    GEMM(c_rows ? CblasRowMajor : CblasColMajor, a_rows == c_rows ? CblasNoTrans : CblasTrans,
        b_rows == c_rows ? CblasNoTrans : CblasTrans, (int)rows, (int)columns, (int)depth, (REAL)sign, a,
        (int)(a_rows ? a_row : a_depth), b, (int)(b_rows ? b_depth : b_column), keep != 0 ? 1 : 0, c,
        (int)(c_rows ? c_row : c_column));
    return 1;
}
"""


_VECTOR = """
/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define PREFIX_BYTES 64
#elif defined(__AVX__)
#define PREFIX_BYTES 32
#else
#define PREFIX_BYTES 16
#endif
#if defined(__GNUC__)
typedef REAL PREFIX_vector __attribute__((vector_size(PREFIX_BYTES), aligned(SIZE), may_alias));
#define PREFIX_LANES (PREFIX_BYTES / SIZE)
#define PREFIX_ALWAYS static inline __attribute__((always_inline))
#else
typedef REAL PREFIX_vector;
#define PREFIX_LANES 1
#define PREFIX_ALWAYS static
#endif
"""


_TILE = """
/* Rows and columns of a block that is summed up in registers. */
#if PREFIX_BYTES == 64
#define PREFIX_ROWS 8
#else
#define PREFIX_ROWS 4
#endif
#define PREFIX_VECTORS 3
#if defined(__clang__)
#define PREFIX_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PREFIX_UNROLL _Pragma("GCC unroll 8")
#else
#define PREFIX_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define PREFIX_ONCE __attribute__((noinline, noclone))
#else
#define PREFIX_ONCE
#endif

typedef struct {
    const REAL *a, *b;
    REAL *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    REAL sign;
} PREFIX_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
PREFIX_ALWAYS void PREFIX_block(const PREFIX_operands s, const int rows, const int vectors)
{
    PREFIX_vector sum[PREFIX_ROWS][PREFIX_VECTORS];
    PREFIX_UNROLL
    for (int i = 0; i < rows; i++) {
        PREFIX_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (PREFIX_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const REAL *const row = s.b + p*s.b_depth;
        PREFIX_vector right[PREFIX_VECTORS];
        PREFIX_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const PREFIX_vector *)(row + j*PREFIX_LANES);
        }
        PREFIX_UNROLL
        for (int i = 0; i < rows; i++) {
            const REAL left = s.a[i*s.a_row + p*s.a_depth];
            PREFIX_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    PREFIX_UNROLL
    for (int i = 0; i < rows; i++) {
        PREFIX_UNROLL
        for (int j = 0; j < vectors; j++) {
            PREFIX_vector *const place = (PREFIX_vector *)(s.c + i*s.c_row + j*PREFIX_LANES);
            PREFIX_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define PREFIX_CASE(rows, vectors) \\
    case 4*rows + vectors: PREFIX_block(s, rows, vectors); break;
#define PREFIX_CASES(rows) \\
    PREFIX_CASE(rows, 1) PREFIX_CASE(rows, 2) PREFIX_CASE(rows, 3)

static PREFIX_ONCE void PREFIX_tile(
    const REAL *a, int64_t a_row, int64_t a_depth, const REAL *b, int64_t b_depth, REAL *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = PREFIX_VECTORS * PREFIX_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + PREFIX_LANES - 1) / PREFIX_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const PREFIX_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (REAL)sign,
            };
            taken = rows - i >= PREFIX_ROWS ? PREFIX_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if PREFIX_ROWS == 8
            PREFIX_CASES(8)
#endif
            PREFIX_CASES(4)
            PREFIX_CASES(2)
            PREFIX_CASES(1)
            default: break;
            }
        }
    }
}
"""


# Rows beyond the last whole square, and columns, are copied one number at a time.
_TRANSPOSE = """
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && PREFIX_BYTES >= 32
#define PREFIX_SHUFFLES
SQUARES
#endif
#endif

/* to[p][j] = source[j][p] for p < rows, j < columns: squares in registers, the rest number by number. */
static void PREFIX_transpose(
    const REAL *source, int64_t source_row, REAL *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef PREFIX_SHUFFLES
    whole_rows = rows - rows % PREFIX_LANES;
    whole_columns = columns - columns % PREFIX_LANES;
    for (int64_t j = 0; j < whole_columns; j += PREFIX_LANES) {
        for (int64_t p = 0; p < whole_rows; p += PREFIX_LANES) {
            PREFIX_vector r[PREFIX_LANES];
            for (int k = 0; k < PREFIX_LANES; k++) {
                r[k] = *(const PREFIX_vector *)(source + (j + k)*source_row + p);
            }
            PREFIX_exchange(r);
            for (int k = 0; k < PREFIX_LANES; k++) {
                *(PREFIX_vector *)(to + (p + k)*to_row + j) = r[k];
            }
        }
    }
#endif
    for (int64_t j = whole_rows < rows ? 0 : whole_columns; j < columns; j++) {
        for (int64_t p = j < whole_columns ? whole_rows : 0; p < rows; p++) {
            to[p*to_row + j] = source[j*source_row + p];
        }
    }
}
"""
