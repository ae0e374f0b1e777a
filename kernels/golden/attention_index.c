/*
 * value, grad
 *
 * size    n
 * size    d
 * size    m
 * size    e
 * input   Q (n, d) double
 * input   K (m, d) double
 * input   V (m, e) double
 * input   R (n, e) double
 * input   tau () double
 * output  value () double
 * output  grad_Q (n, d) double
 * output  grad_K (m, d) double
 * output  grad_V (m, e) double
 * output  grad_tau () double
 * work    t1_1 (few*m, rows_1) double
 * work    t2_1 (few*rows_1,) double
 * work    t3_1 (few*rows_1,) double
 * work    t4_1 (few*rows_1,) double
 * work    t5_1 (few*m, rows_1) double
 * work    t6_1 (few*rows_1,) double
 * work    t7_1 (few*m, rows_1) double
 * work    t8_1 (few*rows_1,) double
 * work    t9_1 (few*rows_1,) double
 * work    t10_1 (few*rows_1,) double
 * work    t13_1 (few*rows_1,) double
 * work    t14_1 (few*m, rows_1) double
 * work    t15_1 (few*rows_1, e) double
 * work    t16_1 (few*rows_1, e) double
 * work    t17_1 (few*m, rows_1) double
 * work    t18_1 (few*rows_1,) double
 * work    t19_1 (few*rows_1,) double
 * work    t20_1 (few*rows_1,) double
 * work    t21_1 (few*rows_1,) double
 * work    t22_1 (few*rows_1,) double
 * work    t23_1 () double
 * work    t24_1 (few*m, rows_1) double
 * work    t25_1 (9600*few,) double
 * work    t1 (many*rows, m) double
 * work    t2 (many*rows,) double
 * work    t3 (many*rows,) double
 * work    t4 (many*rows,) double
 * work    t5 (many*rows, m) double
 * work    t6 (many*rows,) double
 * work    t7 (m*many,) double
 * work    t8 (many*rows,) double
 * work    t9 (8*many,) double
 * work    t10 (many*rows,) double
 * work    t11 (many*rows,) double
 * work    t13 (many*rows,) double
 * work    t14 (many*rows, m) double
 * work    t15 (many*rows, e) double
 * work    t16 (many*rows, e) double
 * work    t17 (many*rows, m) double
 * work    t18 (many*rows,) double
 * work    t19 (many*rows,) double
 * work    t21 (many*rows,) double
 * work    t22 () double
 * work    t23 () double
 * work    t24 (many*rows, m) double
 * work    t25 (9600*many,) double
 *
 * expression: Sum((-R[i, a] + Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau))*V[j, a], (j, 0, m - 1))/Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau)), (j, 0, m - 1)))**2, (i, 0, n - 1), (a,...
 * differentiated by: Q, K, V, tau
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_Q (n, d), row-major; grad_K (m, d), row-major; grad_V (m, e), row-major; grad_tau (), row-major
 * operations: 7855 as derived, 7848 after optimisation, every size 8
 */

#include "attention_index.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define attention_index_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define attention_index_SUM(...) attention_index_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define attention_index_SUM(...)
#endif

/* The turns of a loop touch different elements of all arrays. */
#if defined(__clang__)
#define attention_index_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define attention_index_INDEPENDENT _Pragma("GCC ivdep")
#else
#define attention_index_INDEPENDENT
#endif

static int64_t attention_index_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t attention_index_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t attention_index_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t attention_index_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define attention_index_BYTES 64
#elif defined(__AVX__)
#define attention_index_BYTES 32
#else
#define attention_index_BYTES 16
#endif
#if defined(__GNUC__)
typedef double attention_index_vector __attribute__((vector_size(attention_index_BYTES), aligned(8), may_alias));
#define attention_index_LANES (attention_index_BYTES / 8)
#define attention_index_ALWAYS static inline __attribute__((always_inline))
#else
typedef double attention_index_vector;
#define attention_index_LANES 1
#define attention_index_ALWAYS static
#endif

/* Rows and columns of a block that is summed up in registers. */
#if attention_index_BYTES == 64
#define attention_index_ROWS 8
#else
#define attention_index_ROWS 4
#endif
#define attention_index_VECTORS 3
#if defined(__clang__)
#define attention_index_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define attention_index_UNROLL _Pragma("GCC unroll 8")
#else
#define attention_index_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define attention_index_ONCE __attribute__((noinline, noclone))
#else
#define attention_index_ONCE
#endif

typedef struct {
    const double *a, *b;
    double *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    double sign;
} attention_index_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
attention_index_ALWAYS void attention_index_block(const attention_index_operands s, const int rows, const int vectors)
{
    attention_index_vector sum[attention_index_ROWS][attention_index_VECTORS];
    attention_index_UNROLL
    for (int i = 0; i < rows; i++) {
        attention_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (attention_index_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const double *const row = s.b + p*s.b_depth;
        attention_index_vector right[attention_index_VECTORS];
        attention_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const attention_index_vector *)(row + j*attention_index_LANES);
        }
        attention_index_UNROLL
        for (int i = 0; i < rows; i++) {
            const double left = s.a[i*s.a_row + p*s.a_depth];
            attention_index_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    attention_index_UNROLL
    for (int i = 0; i < rows; i++) {
        attention_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            attention_index_vector *const place = (attention_index_vector *)(s.c + i*s.c_row + j*attention_index_LANES);
            attention_index_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define attention_index_CASE(rows, vectors) \
    case 4*rows + vectors: attention_index_block(s, rows, vectors); break;
#define attention_index_CASES(rows) \
    attention_index_CASE(rows, 1) attention_index_CASE(rows, 2) attention_index_CASE(rows, 3)

static attention_index_ONCE void attention_index_tile(
    const double *a, int64_t a_row, int64_t a_depth, const double *b, int64_t b_depth, double *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = attention_index_VECTORS * attention_index_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + attention_index_LANES - 1) / attention_index_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const attention_index_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (double)sign,
            };
            taken = rows - i >= attention_index_ROWS ? attention_index_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if attention_index_ROWS == 8
            attention_index_CASES(8)
#endif
            attention_index_CASES(4)
            attention_index_CASES(2)
            attention_index_CASES(1)
            default: break;
            }
        }
    }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && attention_index_BYTES >= 32
#define attention_index_SHUFFLES
#if attention_index_BYTES == 64
attention_index_ALWAYS void attention_index_exchange(attention_index_vector *r)
{
    attention_index_vector a, b;
    a = __builtin_shufflevector(r[0], r[4], 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(r[0], r[4], 4, 5, 6, 7, 12, 13, 14, 15);
    r[0] = a, r[4] = b;
    a = __builtin_shufflevector(r[1], r[5], 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(r[1], r[5], 4, 5, 6, 7, 12, 13, 14, 15);
    r[1] = a, r[5] = b;
    a = __builtin_shufflevector(r[2], r[6], 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(r[2], r[6], 4, 5, 6, 7, 12, 13, 14, 15);
    r[2] = a, r[6] = b;
    a = __builtin_shufflevector(r[3], r[7], 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(r[3], r[7], 4, 5, 6, 7, 12, 13, 14, 15);
    r[3] = a, r[7] = b;
    a = __builtin_shufflevector(r[0], r[2], 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(r[0], r[2], 2, 3, 10, 11, 6, 7, 14, 15);
    r[0] = a, r[2] = b;
    a = __builtin_shufflevector(r[1], r[3], 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(r[1], r[3], 2, 3, 10, 11, 6, 7, 14, 15);
    r[1] = a, r[3] = b;
    a = __builtin_shufflevector(r[4], r[6], 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(r[4], r[6], 2, 3, 10, 11, 6, 7, 14, 15);
    r[4] = a, r[6] = b;
    a = __builtin_shufflevector(r[5], r[7], 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(r[5], r[7], 2, 3, 10, 11, 6, 7, 14, 15);
    r[5] = a, r[7] = b;
    a = __builtin_shufflevector(r[0], r[1], 0, 8, 2, 10, 4, 12, 6, 14);
    b = __builtin_shufflevector(r[0], r[1], 1, 9, 3, 11, 5, 13, 7, 15);
    r[0] = a, r[1] = b;
    a = __builtin_shufflevector(r[2], r[3], 0, 8, 2, 10, 4, 12, 6, 14);
    b = __builtin_shufflevector(r[2], r[3], 1, 9, 3, 11, 5, 13, 7, 15);
    r[2] = a, r[3] = b;
    a = __builtin_shufflevector(r[4], r[5], 0, 8, 2, 10, 4, 12, 6, 14);
    b = __builtin_shufflevector(r[4], r[5], 1, 9, 3, 11, 5, 13, 7, 15);
    r[4] = a, r[5] = b;
    a = __builtin_shufflevector(r[6], r[7], 0, 8, 2, 10, 4, 12, 6, 14);
    b = __builtin_shufflevector(r[6], r[7], 1, 9, 3, 11, 5, 13, 7, 15);
    r[6] = a, r[7] = b;
}
#endif
#if attention_index_BYTES == 32
attention_index_ALWAYS void attention_index_exchange(attention_index_vector *r)
{
    attention_index_vector a, b;
    a = __builtin_shufflevector(r[0], r[2], 0, 1, 4, 5);
    b = __builtin_shufflevector(r[0], r[2], 2, 3, 6, 7);
    r[0] = a, r[2] = b;
    a = __builtin_shufflevector(r[1], r[3], 0, 1, 4, 5);
    b = __builtin_shufflevector(r[1], r[3], 2, 3, 6, 7);
    r[1] = a, r[3] = b;
    a = __builtin_shufflevector(r[0], r[1], 0, 4, 2, 6);
    b = __builtin_shufflevector(r[0], r[1], 1, 5, 3, 7);
    r[0] = a, r[1] = b;
    a = __builtin_shufflevector(r[2], r[3], 0, 4, 2, 6);
    b = __builtin_shufflevector(r[2], r[3], 1, 5, 3, 7);
    r[2] = a, r[3] = b;
}
#endif
#endif
#endif

/* to[p][j] = source[j][p] for p < rows, j < columns: squares in registers, the rest number by number. */
static void attention_index_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef attention_index_SHUFFLES
    whole_rows = rows - rows % attention_index_LANES;
    whole_columns = columns - columns % attention_index_LANES;
    for (int64_t j = 0; j < whole_columns; j += attention_index_LANES) {
        for (int64_t p = 0; p < whole_rows; p += attention_index_LANES) {
            attention_index_vector r[attention_index_LANES];
            for (int k = 0; k < attention_index_LANES; k++) {
                r[k] = *(const attention_index_vector *)(source + (j + k)*source_row + p);
            }
            attention_index_exchange(r);
            for (int k = 0; k < attention_index_LANES; k++) {
                *(attention_index_vector *)(to + (p + k)*to_row + j) = r[k];
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

static void attention_index_contract(const double *restrict a, const double *restrict b,
    double *restrict c, double *restrict work, int64_t rows, int64_t columns, int64_t depth,
    int64_t a_row, int64_t a_depth, int64_t b_depth, int64_t b_column, int64_t c_row,
    int64_t c_column, int64_t keep, int64_t sign, int64_t lower)
{
    double *const restrict scratch = work;
    const int t1 = (((((b_column == 1) || (b_depth == 1)) && (c_column == 1)) && (rows >= 1)) && (8 >= rows)) && (columns >= 1);
    const int t2 = (((t1 && (24 >= columns)) && (depth >= 1)) && (192 >= depth)) && (704*columns + columns*columns*columns == 48*columns*columns + 3072);
    const int t3 = b_column == 1;
    if (t2) {
        if (t3) {
            attention_index_tile(&a[0], a_row, a_depth, &b[0], b_depth, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
        if (!t3) {
            attention_index_transpose(&b[0], b_column, &scratch[0], 24, depth, columns);
            attention_index_tile(&a[0], a_row, a_depth, &scratch[0], 24, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
    }
    if (!t2) {
        const int t4 = ((7 >= columns) && (rows >= columns + 1)) && (lower == 0);
        if (t4) {
            attention_index_contract(&b[0], &a[0], &c[0], &scratch[0], columns, rows, depth, b_column, b_depth,
                a_depth, a_row, c_column, c_row, keep, sign, lower);
        }
        if (!t4) {
            if ((0 >= depth) && (keep == 0)) {
                for (int64_t i0 = 0; i0 < rows; i0++) {
                    for (int64_t i1 = 0; i1 < columns; i1++) {
                        c[c_column*i1 + c_row*i0] = 0.0;
                    }
                }
            }
            for (int64_t i0 = 0; i0 < rows; i0 += 256) {
                for (int64_t i1 = 0; i1 < depth; i1 += 192) {
                    const int64_t n0 = attention_index_min(192, depth - i1);
                    for (int64_t i2 = 0; i2 < columns; i2 += 24) {
                        const int64_t n1 = attention_index_min(24, columns - i2);
                        const int t5 = 704*n1 + n1*n1*n1 == 48*n1*n1 + 3072;
                        const int t6 = !((b_column == 1) && t5);
                        if (t6) {
                            const int t7 = b_depth == 1;
                            if (t7) {
                                attention_index_transpose(&b[b_column*i2 + i1], b_column, &scratch[0], 24, n0, n1);
                            }
                            if (!t7) {
                                for (int64_t i3 = 0; i3 < n1; i3++) {
                                    for (int64_t i4 = 0; i4 < n0; i4++) {
                                        scratch[i3 + 24*i4] = b[b_column*i2 + b_column*i3 + b_depth*i1 + b_depth*i4];
                                    }
                                }
                            }
                            for (int64_t i3 = n1; i3 < 24; i3++) {
                                for (int64_t i4 = 0; i4 < n0; i4++) {
                                    scratch[i3 + 24*i4] = 0.0;
                                }
                            }
                        }
                        const int t8 = (c_column == 1) && t5;
                        if (!t6) {
                            for (int64_t i3 = attention_index_max(i0, i2*lower); i3 < attention_index_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n2 = attention_index_min(8, rows - i3);
                                if (t8) {
                                    attention_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1],
                                        b_depth, &c[c_column*i2 + c_row*i3], c_row, n2, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    attention_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1],
                                        b_depth, &scratch[4608], 24, n2, n1, n0, 0 != 0, (int)sign);
                                    const int t9 = i1 + keep == 0;
                                    for (int64_t i4 = 0; i4 < n2; i4++) {
                                        for (int64_t i5 = 0; i5 < n1; i5++) {
                                            const double t10 = scratch[24*i4 + i5 + 4608] + (t9 ? 0.0 : c[c_column*i2 + c_column*i5 + c_row*i3 + c_row*i4]);
                                            c[c_column*i2 + c_column*i5 + c_row*i3 + c_row*i4] = t10;
                                        }
                                    }
                                }
                            }
                        }
                        if (t6) {
                            for (int64_t i3 = attention_index_max(i0, i2*lower); i3 < attention_index_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n3 = attention_index_min(8, rows - i3);
                                if (t8) {
                                    attention_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &c[c_column*i2 + c_row*i3], c_row, n3, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    attention_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24, &scratch[4608],
                                        24, n3, n1, n0, 0 != 0, (int)sign);
                                    const int t11 = i1 + keep == 0;
                                    for (int64_t i4 = 0; i4 < n3; i4++) {
                                        for (int64_t i5 = 0; i5 < n1; i5++) {
                                            const double t12 = scratch[24*i4 + i5 + 4608] + (t11 ? 0.0 : c[c_column*i2 + c_column*i5 + c_row*i3 + c_row*i4]);
                                            c[c_column*i2 + c_column*i5 + c_row*i3 + c_row*i4] = t12;
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            if (!(lower == 0)) {
                for (int64_t i0 = 0; i0 < rows; i0++) {
                    for (int64_t i1 = 0; i1 < i0; i1++) {
                        c[c_column*i0 + c_row*i1] = c[c_column*i1 + c_row*i0];
                    }
                }
            }
        }
    }
}

void attention_index(const double *restrict Q, const double *restrict K, const double *restrict V,
    const double *restrict R, const double *restrict tau, double *restrict value,
    double *restrict grad_Q, double *restrict grad_K, double *restrict grad_V,
    double *restrict grad_tau, double *restrict work, int64_t n, int64_t d, int64_t m, int64_t e)
{
    const int64_t rows_1 = attention_index_min(72, n);
    const int64_t few = attention_index_min(1, -m + 8);
    const int64_t rows = attention_index_min(72, n);
    const int64_t many = attention_index_min(1, m - 7);
    double *const restrict t1_1 = work;
    const int64_t at1 = attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t2_1 = work + at1;
    const int64_t at2 = at1 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t3_1 = work + at2;
    const int64_t at3 = at2 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t4_1 = work + at3;
    const int64_t at4 = at3 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t5_1 = work + at4;
    const int64_t at5 = at4 + attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t6_1 = work + at5;
    const int64_t at6 = at5 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t7_1 = work + at6;
    const int64_t at7 = at6 + attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t8_1 = work + at7;
    const int64_t at8 = at7 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t9_1 = work + at8;
    const int64_t at9 = at8 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t10_1 = work + at9;
    const int64_t at10 = at9 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t13_1 = work + at10;
    const int64_t at11 = at10 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t14_1 = work + at11;
    const int64_t at12 = at11 + attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t15_1 = work + at12;
    const int64_t at13 = at12 + attention_index_slice(attention_index_extent(few*rows_1)*attention_index_extent(e));
    double *const restrict t16_1 = work + at13;
    const int64_t at14 = at13 + attention_index_slice(attention_index_extent(few*rows_1)*attention_index_extent(e));
    double *const restrict t17_1 = work + at14;
    const int64_t at15 = at14 + attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t18_1 = work + at15;
    const int64_t at16 = at15 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t19_1 = work + at16;
    const int64_t at17 = at16 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t20_1 = work + at17;
    const int64_t at18 = at17 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t21_1 = work + at18;
    const int64_t at19 = at18 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t22_1 = work + at19;
    const int64_t at20 = at19 + attention_index_slice(attention_index_extent(few*rows_1));
    double *const restrict t23_1 = work + at20;
    double *const restrict t24_1 = work + at20 + 8;
    const int64_t at21 = at20 + 8 + attention_index_slice(attention_index_extent(few*m)*attention_index_extent(rows_1));
    double *const restrict t25_1 = work + at21;
    const int64_t at22 = at21 + attention_index_slice(attention_index_extent(9600*few));
    double *const restrict t1 = work + at22;
    const int64_t at23 = at22 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(m));
    double *const restrict t2 = work + at23;
    const int64_t at24 = at23 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t3 = work + at24;
    const int64_t at25 = at24 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t4 = work + at25;
    const int64_t at26 = at25 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t5 = work + at26;
    const int64_t at27 = at26 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(m));
    double *const restrict t6 = work + at27;
    const int64_t at28 = at27 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t7 = work + at28;
    const int64_t at29 = at28 + attention_index_slice(attention_index_extent(m*many));
    double *const restrict t8 = work + at29;
    const int64_t at30 = at29 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t9 = work + at30;
    const int64_t at31 = at30 + attention_index_slice(attention_index_extent(8*many));
    double *const restrict t10 = work + at31;
    const int64_t at32 = at31 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t11 = work + at32;
    const int64_t at33 = at32 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t13 = work + at33;
    const int64_t at34 = at33 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t14 = work + at34;
    const int64_t at35 = at34 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(m));
    double *const restrict t15 = work + at35;
    const int64_t at36 = at35 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(e));
    double *const restrict t16 = work + at36;
    const int64_t at37 = at36 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(e));
    double *const restrict t17 = work + at37;
    const int64_t at38 = at37 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(m));
    double *const restrict t18 = work + at38;
    const int64_t at39 = at38 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t19 = work + at39;
    const int64_t at40 = at39 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t21 = work + at40;
    const int64_t at41 = at40 + attention_index_slice(attention_index_extent(many*rows));
    double *const restrict t22 = work + at41;
    double *const restrict t23 = work + at41 + 8;
    double *const restrict t24 = work + at41 + 8 + 8;
    const int64_t at42 = at41 + 8 + 8 + attention_index_slice(attention_index_extent(many*rows)*attention_index_extent(m));
    double *const restrict t25 = work + at42;
    if (7 >= m) {
        const double tt1 = tau[0];
        const double tt2 = sqrt((double)d);
        const double tt3 = tt1 * tt2;
        const int tt4 = 1.0 / tt3 < 0.0;
        const double tt5 = tt4 ? (-INFINITY) : INFINITY;
        double c1 = 0.0;
        double c2 = 0.0;
        const double tt6 = tt2 * tt2 * (tt1 * tt1);
        const int64_t none = attention_index_min(0, n - 25);
        /* strip by strip: what is in between stays in the cache */
        for (int64_t first = 0; first < n - none - 24; first += 48) {
            const int64_t over = attention_index_min(0, first - n + 72);
            const int64_t more = attention_index_min(1, -over);
            const int64_t strip = first*more + 48*more + n - first - more*n;
            if (32 >= d*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < m; column++) {
                        double c3 = 0.0;
                        for (int64_t term = 0; term < d; term++) {
                            c3 += Q[first*d + d*row + term] * K[column*d + term];
                        }
                        t1_1[column*rows_1 + row] = c3;
                    }
                }
            }
            if (d*m*strip >= 33) {
                attention_index_contract(&Q[first*d], &K[0], &t1_1[0], &t25_1[0], strip, m, d, d, 1, 1, d, 1,
                    rows_1, 0, 1, 0);
            }
            attention_index_INDEPENDENT
            for (int64_t i = first; i < first + strip; i++) {
                t2_1[i - first] = -INFINITY;
                t3_1[i - first] = INFINITY;
                t8_1[i - first] = 0.0;
                t9_1[i - first] = 0.0;
                t19_1[i - first] = 0.0;
                t21_1[i - first] = 0.0;
                t22_1[i - first] = 0.0;
            }
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    const double tt7 = t1_1[i*rows_1 + j - first];
                    if (tt7 > t2_1[j - first] || tt7 != tt7) {
                        t2_1[j - first] = tt7;
                    }
                    if (tt7 < t3_1[j - first] || tt7 != tt7) {
                        t3_1[j - first] = tt7;
                    }
                }
            }
            attention_index_INDEPENDENT
            for (int64_t i = first; i < first + strip; i++) {
                const double tt8 = t2_1[i - first];
                const double tt9 = t3_1[i - first];
                const double tt10 = tt4 ? tt9 : tt8;
                t4_1[i - first] = (fabs(tt10) < INFINITY) ? tt10 : 0.0;
                t6_1[i - first] = ((tt4 ? tt9 : tt8) == tt5) ? INFINITY : 0.0;
            }
            for (int64_t i = 0; i < m; i++) {
                attention_index_INDEPENDENT
                for (int64_t j = first; j < first + strip; j++) {
                    const double tt11 = (t1_1[i*rows_1 + j - first] - t4_1[j - first]) / tt3;
                    t5_1[i*rows_1 + j - first] = tt11;
                    const double tt12 = t6_1[j - first];
                    const double tt13 = exp((tt11 == tt12) ? 0.0 : (tt11 - tt12));
                    t7_1[i*rows_1 + j - first] = tt13;
                    t8_1[j - first] += (tt11 == tt12) ? 0.0 : tt13;
                    t9_1[j - first] += (tt11 == tt12) ? 1.0 : 0;
                }
            }
            attention_index_INDEPENDENT
            for (int64_t i = first; i < first + strip; i++) {
                const double tt14 = t6_1[i - first];
                const double tt15 = t9_1[i - first];
                const double tt16 = ((tt14 == INFINITY) && (1.0 < tt15)) ? NAN : tt15;
                t10_1[i - first] = tt16;
                t13_1[i - first] = (tt14 == INFINITY) ? tt14 : (log1p(t8_1[i - first] + (tt16 - 1.0)) + tt14);
            }
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    t14_1[i*rows_1 + j - first] = t7_1[i*rows_1 + j - first] / (t8_1[j - first] + t10_1[j - first]);
                }
            }
            if (32 >= e*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < e; column++) {
                        double c4 = 0.0;
                        for (int64_t term = 0; term < m; term++) {
                            c4 += t14_1[row + rows_1*term] * V[column + e*term];
                        }
                        t15_1[column + e*row] = c4;
                    }
                }
            }
            if (e*m*strip >= 33) {
                attention_index_contract(&t14_1[0], &V[0], &t15_1[0], &t25_1[0], strip, e, m, 1, rows_1, e, 1, e,
                    1, 0, 1, 0);
            }
            for (int64_t i = first; i < first + strip; i++) {
                attention_index_SUM(c1)
                for (int64_t j = 0; j < e; j++) {
                    const double tt17 = R[i*e + j];
                    const double tt18 = t15_1[(i - first)*e + j];
                    const double tt19 = tt18 - tt17;
                    c1 += tt19 * tt19;
                    t16_1[(i - first)*e + j] = 2.0 * (tt18 - tt17);
                }
                t18_1[i - first] = fabs(tt4 ? t3_1[i - first] : t2_1[i - first]);
            }
            if (32 >= e*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < m; column++) {
                        double c5 = 0.0;
                        for (int64_t term = 0; term < e; term++) {
                            c5 += t16_1[e*row + term] * V[column*e + term];
                        }
                        t17_1[column*rows_1 + row] = c5;
                    }
                }
            }
            if (e*m*strip >= 33) {
                attention_index_contract(&t16_1[0], &V[0], &t17_1[0], &t25_1[0], strip, m, e, e, 1, 1, e, 1,
                    rows_1, 0, 1, 0);
            }
            attention_index_contract(&t14_1[0], &t16_1[0], &grad_V[0], &t25_1[0], m, e, strip, rows_1, 1, e, 1,
                e, 1, first, 1, 0);
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    const int tt20 = t8_1[j - first] < 3.0 * t10_1[j - first];
                    if (tt20) {
                        t19_1[j - first] += (t5_1[i*rows_1 + j - first] == t6_1[j - first]) ? t17_1[i*rows_1 + j - first] : 0.0;
                    }
                }
            }
            for (int64_t i = first; i < first + strip; i++) {
                const double tt21 = t19_1[i - first] / t10_1[i - first];
                t20_1[i - first] = (fabs(3.602879701896397e+16 * tt21) < INFINITY) ? tt21 : 0.0;
            }
            for (int64_t i = 0; i < m; i += 4) {
                const int tt22 = m >= i + 4;
                if (tt22) {
                    const int64_t i_1 = i;
                    const int64_t i_2 = i + 1;
                    const int64_t i_3 = i + 2;
                    const int64_t i_4 = i + 3;
                    for (int64_t j = first; j < first + strip; j++) {
                        const double tt23 = t21_1[j - first] + (t17_1[i_1*rows_1 + j - first] - t20_1[j - first]) * t14_1[i_1*rows_1 + j - first];
                        const double tt24 = tt23 + (t17_1[i_2*rows_1 + j - first] - t20_1[j - first]) * t14_1[i_2*rows_1 + j - first];
                        const double tt25 = tt24 + (t17_1[i_3*rows_1 + j - first] - t20_1[j - first]) * t14_1[i_3*rows_1 + j - first];
                        const double tt26 = tt25 + (t17_1[i_4*rows_1 + j - first] - t20_1[j - first]) * t14_1[i_4*rows_1 + j - first];
                        t21_1[j - first] = tt26;
                    }
                }
                if (!tt22) {
                    for (int64_t i_5 = i; i_5 < m; i_5++) {
                        for (int64_t j = first; j < first + strip; j++) {
                            t21_1[j - first] += (t17_1[i_5*rows_1 + j - first] - t20_1[j - first]) * t14_1[i_5*rows_1 + j - first];
                        }
                    }
                }
            }
            for (int64_t i = 0; i < m; i += 4) {
                const int tt27 = m >= i + 4;
                if (tt27) {
                    const int64_t i_6 = i;
                    const int64_t i_7 = i + 1;
                    const int64_t i_8 = i + 2;
                    const int64_t i_9 = i + 3;
                    attention_index_INDEPENDENT
                    for (int64_t j = first; j < first + strip; j++) {
                        const double tt28 = t17_1[i_6*rows_1 + j - first];
                        const double tt29 = t14_1[i_6*rows_1 + j - first];
                        const double tt30 = t20_1[j - first];
                        const double tt31 = t1_1[i_6*rows_1 + j - first] - t4_1[j - first];
                        const double tt32 = t21_1[j - first];
                        const double tt33 = ((t18_1[j - first] < INFINITY) ? ((fabs(tt31) == INFINITY) ? 0.0 : tt31) : tt31) * tt29 * (tt28 - tt30 - tt32);
                        const double tt34 = t22_1[j - first] + tt33;
                        t24_1[i_6*rows_1 + j - first] = (!(t13_1[j - first] == -INFINITY)) ? ((tt28 - tt30 - tt32) * tt29 / tt3) : 0;
                        const double tt35 = t17_1[i_7*rows_1 + j - first];
                        const double tt36 = t14_1[i_7*rows_1 + j - first];
                        const double tt37 = t20_1[j - first];
                        const double tt38 = t1_1[i_7*rows_1 + j - first] - t4_1[j - first];
                        const double tt39 = t21_1[j - first];
                        const double tt40 = ((t18_1[j - first] < INFINITY) ? ((fabs(tt38) == INFINITY) ? 0.0 : tt38) : tt38) * tt36 * (tt35 - tt37 - tt39);
                        t24_1[i_7*rows_1 + j - first] = (!(t13_1[j - first] == -INFINITY)) ? ((tt35 - tt37 - tt39) * tt36 / tt3) : 0;
                        const double tt41 = t17_1[i_8*rows_1 + j - first];
                        const double tt42 = t14_1[i_8*rows_1 + j - first];
                        const double tt43 = t20_1[j - first];
                        const double tt44 = t1_1[i_8*rows_1 + j - first] - t4_1[j - first];
                        const double tt45 = t21_1[j - first];
                        const double tt46 = ((t18_1[j - first] < INFINITY) ? ((fabs(tt44) == INFINITY) ? 0.0 : tt44) : tt44) * tt42 * (tt41 - tt43 - tt45);
                        t24_1[i_8*rows_1 + j - first] = (!(t13_1[j - first] == -INFINITY)) ? ((tt41 - tt43 - tt45) * tt42 / tt3) : 0;
                        const double tt47 = t17_1[i_9*rows_1 + j - first];
                        const double tt48 = t14_1[i_9*rows_1 + j - first];
                        const double tt49 = t20_1[j - first];
                        const double tt50 = t1_1[i_9*rows_1 + j - first] - t4_1[j - first];
                        const double tt51 = t21_1[j - first];
                        const double tt52 = ((t18_1[j - first] < INFINITY) ? ((fabs(tt50) == INFINITY) ? 0.0 : tt50) : tt50) * tt48 * (tt47 - tt49 - tt51);
                        t24_1[i_9*rows_1 + j - first] = (!(t13_1[j - first] == -INFINITY)) ? ((tt47 - tt49 - tt51) * tt48 / tt3) : 0;
                        t22_1[j - first] = tt34 + tt40 + tt46 + tt52;
                    }
                }
                if (!tt27) {
                    for (int64_t i_10 = i; i_10 < m; i_10++) {
                        attention_index_INDEPENDENT
                        for (int64_t j = first; j < first + strip; j++) {
                            const double tt53 = t17_1[i_10*rows_1 + j - first];
                            const double tt54 = t14_1[i_10*rows_1 + j - first];
                            const double tt55 = t20_1[j - first];
                            const double tt56 = t1_1[i_10*rows_1 + j - first] - t4_1[j - first];
                            const double tt57 = t21_1[j - first];
                            const double tt58 = ((t18_1[j - first] < INFINITY) ? ((fabs(tt56) == INFINITY) ? 0.0 : tt56) : tt56) * tt54 * (tt53 - tt55 - tt57);
                            t22_1[j - first] += tt58;
                            t24_1[i_10*rows_1 + j - first] = (!(t13_1[j - first] == -INFINITY)) ? ((tt53 - tt55 - tt57) * tt54 / tt3) : 0;
                        }
                    }
                }
            }
            for (int64_t i = first; i < first + strip; i++) {
                const int tt59 = !(t13_1[i - first] == -INFINITY);
                if (tt59) {
                    c2 += tt2 * t22_1[i - first] / tt6;
                }
            }
            attention_index_contract(&t24_1[0], &Q[first*d], &grad_K[0], &t25_1[0], m, d, strip, rows_1, 1, d,
                1, d, 1, first, 1, 0);
            if (32 >= d*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < d; column++) {
                        double c6 = 0.0;
                        for (int64_t term = 0; term < m; term++) {
                            c6 += t24_1[row + rows_1*term] * K[column + d*term];
                        }
                        grad_Q[first*d + column + d*row] = c6;
                    }
                }
            }
            if (d*m*strip >= 33) {
                attention_index_contract(&t24_1[0], &K[0], &grad_Q[first*d], &t25_1[0], strip, d, m, 1, rows_1, d,
                    1, d, 1, 0, 1, 0);
            }
        }
        value[0] = c1;
        t23_1[0] = c2;
        grad_tau[0] = -t23_1[0];
    }
    if (m >= 8) {
        const double tt60 = tau[0];
        const double tt61 = sqrt((double)d);
        const double tt62 = tt60 * tt61;
        const int tt63 = 1.0 / tt62 < 0.0;
        const double tt64 = tt63 ? (-INFINITY) : INFINITY;
        double c7 = 0.0;
        double c8 = 0.0;
        const double tt65 = tt61 * tt61 * (tt60 * tt60);
        const int64_t none = attention_index_min(0, n - 25);
        /* strip by strip: what is in between stays in the cache */
        for (int64_t first = 0; first < n - none - 24; first += 48) {
            const int64_t over = attention_index_min(0, first - n + 72);
            const int64_t more = attention_index_min(1, -over);
            const int64_t strip = first*more + 48*more + n - first - more*n;
            if (32 >= d*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < m; column++) {
                        double c9 = 0.0;
                        for (int64_t term = 0; term < d; term++) {
                            c9 += Q[first*d + d*row + term] * K[column*d + term];
                        }
                        t1[column + m*row] = c9;
                    }
                }
            }
            if (d*m*strip >= 33) {
                attention_index_contract(&Q[first*d], &K[0], &t1[0], &t25[0], strip, m, d, d, 1, 1, d, m, 1, 0, 1,
                    0);
            }
            /* some rows at a time: what is searched is still in the cache when it is used */
            for (int64_t first_1 = first; first_1 < first + strip; first_1 += 8) {
                for (int64_t i = first_1; i < attention_index_min(first_1 + 8, first + strip); i++) {
                    double c10 = -INFINITY;
                    double c11 = INFINITY;
                    for (int64_t j = 0; j < m; j++) {
                        const double tt66 = t1[(i - first)*m + j];
                        c10 = (tt66 > c10 || tt66 != tt66) ? tt66 : c10;
                        c11 = (tt66 < c11 || tt66 != tt66) ? tt66 : c11;
                    }
                    t2[i - first] = c10;
                    t3[i - first] = c11;
                }
                for (int64_t i = first_1; i < attention_index_min(first_1 + 8, first + strip); i++) {
                    const double tt67 = t2[i - first];
                    const double tt68 = t3[i - first];
                    const double tt69 = tt63 ? tt68 : tt67;
                    const double tt70 = (fabs(tt69) < INFINITY) ? tt69 : 0.0;
                    t4[i - first] = tt70;
                    const double tt71 = ((tt63 ? tt68 : tt67) == tt64) ? INFINITY : 0.0;
                    t6[i - first] = tt71;
                    double c12 = 0.0;
                    double c13 = 0.0;
                    attention_index_SUM(c12, c13)
                    for (int64_t j = 0; j < m; j++) {
                        const double tt72 = (t1[(i - first)*m + j] - tt70) / tt62;
                        t5[(i - first)*m + j] = tt72;
                        const double tt73 = exp((tt72 == tt71) ? 0.0 : (tt72 - tt71));
                        t7[j] = tt73;
                        c12 += (tt72 == tt71) ? 0.0 : tt73;
                        c13 += (tt72 == tt71) ? 1.0 : 0;
                    }
                    t8[i - first] = c12;
                    t9[i - first_1] = c13;
                    const double tt74 = t9[i - first_1];
                    const double tt75 = ((tt71 == INFINITY) && (1.0 < tt74)) ? NAN : tt74;
                    t10[i - first] = tt75;
                    const double tt76 = t8[i - first];
                    t11[i - first] = tt76 + (tt75 - 1.0);
                    const double tt77 = tt76 + tt75;
                    for (int64_t j = 0; j < m; j++) {
                        t14[(i - first)*m + j] = t7[j] / tt77;
                    }
                }
            }
            for (int64_t i = first; i < first + strip; i++) {
                const double tt78 = t6[i - first];
                t13[i - first] = (tt78 == INFINITY) ? tt78 : (log1p(t11[i - first]) + tt78);
            }
            if (32 >= e*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < e; column++) {
                        double c14 = 0.0;
                        for (int64_t term = 0; term < m; term++) {
                            c14 += t14[m*row + term] * V[column + e*term];
                        }
                        t15[column + e*row] = c14;
                    }
                }
            }
            if (e*m*strip >= 33) {
                attention_index_contract(&t14[0], &V[0], &t15[0], &t25[0], strip, e, m, m, 1, e, 1, e, 1, 0, 1,
                    0);
            }
            for (int64_t i = first; i < first + strip; i++) {
                attention_index_SUM(c7)
                for (int64_t j = 0; j < e; j++) {
                    const double tt79 = R[i*e + j];
                    const double tt80 = t15[(i - first)*e + j];
                    const double tt81 = tt80 - tt79;
                    c7 += tt81 * tt81;
                    t16[(i - first)*e + j] = 2.0 * (tt80 - tt79);
                }
                t18[i - first] = fabs(tt63 ? t3[i - first] : t2[i - first]);
            }
            if (32 >= e*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < m; column++) {
                        double c15 = 0.0;
                        for (int64_t term = 0; term < e; term++) {
                            c15 += t16[e*row + term] * V[column*e + term];
                        }
                        t17[column + m*row] = c15;
                    }
                }
            }
            if (e*m*strip >= 33) {
                attention_index_contract(&t16[0], &V[0], &t17[0], &t25[0], strip, m, e, e, 1, 1, e, m, 1, 0, 1,
                    0);
            }
            attention_index_contract(&t14[0], &t16[0], &grad_V[0], &t25[0], m, e, strip, 1, m, e, 1, e, 1,
                first, 1, 0);
            for (int64_t i = first; i < first + strip; i++) {
                double c16 = 0.0;
                const double tt82 = t10[i - first];
                const double tt83 = t6[i - first];
                const int tt84 = t8[i - first] < 3.0 * tt82;
                if (tt84) {
                    attention_index_SUM(c16)
                    for (int64_t j = 0; j < m; j++) {
                        c16 += (t5[(i - first)*m + j] == tt83) ? t17[(i - first)*m + j] : 0.0;
                    }
                }
                t19[i - first] = c16;
                const double tt85 = t19[i - first] / tt82;
                const double tt86 = (fabs(3.602879701896397e+16 * tt85) < INFINITY) ? tt85 : 0.0;
                double c17 = 0.0;
                attention_index_SUM(c17)
                for (int64_t j = 0; j < m; j++) {
                    c17 += (t17[(i - first)*m + j] - tt86) * t14[(i - first)*m + j];
                }
                t21[i - first] = c17;
                double c18 = 0.0;
                const double tt87 = t4[i - first];
                const double tt88 = t21[i - first];
                const int tt89 = t18[i - first] < INFINITY;
                const double tt90 = t13[i - first];
                const int tt91 = !(tt90 == -INFINITY);
                attention_index_SUM(c18)
                for (int64_t j = 0; j < m; j++) {
                    const double tt92 = t1[(i - first)*m + j] - tt87;
                    const double tt93 = t17[(i - first)*m + j];
                    const double tt94 = t14[(i - first)*m + j];
                    c18 += (tt93 - tt86 - tt88) * ((tt89 ? ((fabs(tt92) == INFINITY) ? 0.0 : tt92) : tt92) * tt94);
                    t24[(i - first)*m + j] = tt91 ? ((tt93 - tt86 - tt88) * tt94 / tt62) : 0;
                }
                t22[0] = c18;
                if (!(tt90 == -INFINITY)) {
                    c8 += tt61 * t22[0] / tt65;
                }
            }
            attention_index_contract(&t24[0], &Q[first*d], &grad_K[0], &t25[0], m, d, strip, 1, m, d, 1, d, 1,
                first, 1, 0);
            if (32 >= d*m*strip) {
                /* product of few terms */
                for (int64_t row = 0; row < strip; row++) {
                    for (int64_t column = 0; column < d; column++) {
                        double c19 = 0.0;
                        for (int64_t term = 0; term < m; term++) {
                            c19 += t24[m*row + term] * K[column + d*term];
                        }
                        grad_Q[first*d + column + d*row] = c19;
                    }
                }
            }
            if (d*m*strip >= 33) {
                attention_index_contract(&t24[0], &K[0], &grad_Q[first*d], &t25[0], strip, d, m, m, 1, d, 1, d, 1,
                    0, 1, 0);
            }
        }
        value[0] = c7;
        t23[0] = c8;
        grad_tau[0] = -t23[0];
    }
}

int64_t attention_index_work_size(int64_t n, int64_t d, int64_t m, int64_t e)
{
    (void)d;
    return attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))*attention_index_extent(e)) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))*attention_index_extent(e)) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*attention_index_min(72, n))) + 8 + attention_index_slice(attention_index_extent(attention_index_min(1, -m + 8)*m)*attention_index_extent(attention_index_min(72, n))) + attention_index_slice(attention_index_extent(9600*attention_index_min(1, -m + 8))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(m)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(m)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(m*attention_index_min(1, m - 7))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(8*attention_index_min(1, m - 7))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(m)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(e)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(e)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(m)) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))) + 8 + 8 + attention_index_slice(attention_index_extent(attention_index_min(1, m - 7)*attention_index_min(72, n))*attention_index_extent(m)) + attention_index_slice(attention_index_extent(9600*attention_index_min(1, m - 7)));
}

int64_t attention_index_argument_count(void)
{
    return 10;
}

const char *attention_index_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "Q";
    case 1: return "K";
    case 2: return "V";
    case 3: return "R";
    case 4: return "tau";
    case 5: return "value";
    case 6: return "grad_Q";
    case 7: return "grad_K";
    case 8: return "grad_V";
    case 9: return "grad_tau";
    default: return "";
    }
}

int64_t attention_index_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 2;
    case 2: return 2;
    case 3: return 2;
    case 4: return 0;
    case 5: return 0;
    case 6: return 2;
    case 7: return 2;
    case 8: return 2;
    case 9: return 0;
    default: return -1;
    }
}

int64_t attention_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t m, int64_t e)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = m; break;
    case 65: extent = d; break;
    case 128: extent = m; break;
    case 129: extent = e; break;
    case 192: extent = n; break;
    case 193: extent = e; break;
    case 384: extent = n; break;
    case 385: extent = d; break;
    case 448: extent = m; break;
    case 449: extent = d; break;
    case 512: extent = m; break;
    case 513: extent = e; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
