/*
 * value, grad
 *
 * size    n
 * size    d
 * size    c
 * size    h
 * input   X (n, d) double
 * input   Y (n, c) double
 * input   W1 (d, h) double
 * input   b1 (1, h) double
 * input   W2 (h, c) double
 * input   b2 (1, c) double
 * output  value () double
 * output  grad_W1 (d, h) double
 * output  grad_b1 (1, h) double
 * output  grad_W2 (h, c) double
 * output  grad_b2 (1, c) double
 * work    t1 (rows, h) double
 * work    t2 (rows, h) double
 * work    t3 (rows, c) double
 * work    t4 (8, c) double
 * work    t5 (8,) double
 * work    t6 (rows,) double
 * work    t7 (c,) double
 * work    t8 (8,) double
 * work    t9 (8,) double
 * work    t11 (rows,) double
 * work    t13 (rows,) double
 * work    t14 () double
 * work    t15 () double
 * work    t16 (c,) double
 * work    t17 (rows, c) double
 * work    t18 (c,) double
 * work    t19 (rows, c) double
 * work    t20 (rows, h) double
 * work    t21 (rows, h) double
 * work    t22 (h,) double
 * work    t23 (rows, h) double
 * work    t24 (9600,) double
 *
 * expression: (Trace(1*Lambda(_d, log(_d)).(Lambda(_d, exp(_d)).(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)*1)) - Trace(Y.T*(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)))/n
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (1, h), row-major; grad_W2 (h, c), row-major; grad_b2 (1, c), row-major
 * operations: 6692 as derived, 6947 after optimisation, every size 8
 */

#include "dense_matrix.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define dense_matrix_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define dense_matrix_SUM(...) dense_matrix_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define dense_matrix_SUM(...)
#endif

/* The turns of a loop touch different elements of all arrays. */
#if defined(__clang__)
#define dense_matrix_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define dense_matrix_INDEPENDENT _Pragma("GCC ivdep")
#else
#define dense_matrix_INDEPENDENT
#endif

static int64_t dense_matrix_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t dense_matrix_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t dense_matrix_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t dense_matrix_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define dense_matrix_BYTES 64
#elif defined(__AVX__)
#define dense_matrix_BYTES 32
#else
#define dense_matrix_BYTES 16
#endif
#if defined(__GNUC__)
typedef double dense_matrix_vector __attribute__((vector_size(dense_matrix_BYTES), aligned(8), may_alias));
#define dense_matrix_LANES (dense_matrix_BYTES / 8)
#define dense_matrix_ALWAYS static inline __attribute__((always_inline))
#else
typedef double dense_matrix_vector;
#define dense_matrix_LANES 1
#define dense_matrix_ALWAYS static
#endif

/* Rows and columns of a block that is summed up in registers. */
#if dense_matrix_BYTES == 64
#define dense_matrix_ROWS 8
#else
#define dense_matrix_ROWS 4
#endif
#define dense_matrix_VECTORS 3
#if defined(__clang__)
#define dense_matrix_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define dense_matrix_UNROLL _Pragma("GCC unroll 8")
#else
#define dense_matrix_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define dense_matrix_ONCE __attribute__((noinline, noclone))
#else
#define dense_matrix_ONCE
#endif

typedef struct {
    const double *a, *b;
    double *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    double sign;
} dense_matrix_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
dense_matrix_ALWAYS void dense_matrix_block(const dense_matrix_operands s, const int rows, const int vectors)
{
    dense_matrix_vector sum[dense_matrix_ROWS][dense_matrix_VECTORS];
    dense_matrix_UNROLL
    for (int i = 0; i < rows; i++) {
        dense_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (dense_matrix_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const double *const row = s.b + p*s.b_depth;
        dense_matrix_vector right[dense_matrix_VECTORS];
        dense_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const dense_matrix_vector *)(row + j*dense_matrix_LANES);
        }
        dense_matrix_UNROLL
        for (int i = 0; i < rows; i++) {
            const double left = s.a[i*s.a_row + p*s.a_depth];
            dense_matrix_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    dense_matrix_UNROLL
    for (int i = 0; i < rows; i++) {
        dense_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            dense_matrix_vector *const place = (dense_matrix_vector *)(s.c + i*s.c_row + j*dense_matrix_LANES);
            dense_matrix_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define dense_matrix_CASE(rows, vectors) \
    case 4*rows + vectors: dense_matrix_block(s, rows, vectors); break;
#define dense_matrix_CASES(rows) \
    dense_matrix_CASE(rows, 1) dense_matrix_CASE(rows, 2) dense_matrix_CASE(rows, 3)

static dense_matrix_ONCE void dense_matrix_tile(
    const double *a, int64_t a_row, int64_t a_depth, const double *b, int64_t b_depth, double *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = dense_matrix_VECTORS * dense_matrix_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + dense_matrix_LANES - 1) / dense_matrix_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const dense_matrix_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (double)sign,
            };
            taken = rows - i >= dense_matrix_ROWS ? dense_matrix_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if dense_matrix_ROWS == 8
            dense_matrix_CASES(8)
#endif
            dense_matrix_CASES(4)
            dense_matrix_CASES(2)
            dense_matrix_CASES(1)
            default: break;
            }
        }
    }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && dense_matrix_BYTES >= 32
#define dense_matrix_SHUFFLES
#if dense_matrix_BYTES == 64
dense_matrix_ALWAYS void dense_matrix_exchange(dense_matrix_vector *r)
{
    dense_matrix_vector a, b;
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
#if dense_matrix_BYTES == 32
dense_matrix_ALWAYS void dense_matrix_exchange(dense_matrix_vector *r)
{
    dense_matrix_vector a, b;
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
static void dense_matrix_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef dense_matrix_SHUFFLES
    whole_rows = rows - rows % dense_matrix_LANES;
    whole_columns = columns - columns % dense_matrix_LANES;
    for (int64_t j = 0; j < whole_columns; j += dense_matrix_LANES) {
        for (int64_t p = 0; p < whole_rows; p += dense_matrix_LANES) {
            dense_matrix_vector r[dense_matrix_LANES];
            for (int k = 0; k < dense_matrix_LANES; k++) {
                r[k] = *(const dense_matrix_vector *)(source + (j + k)*source_row + p);
            }
            dense_matrix_exchange(r);
            for (int k = 0; k < dense_matrix_LANES; k++) {
                *(dense_matrix_vector *)(to + (p + k)*to_row + j) = r[k];
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

static void dense_matrix_contract(const double *restrict a, const double *restrict b,
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
            dense_matrix_tile(&a[0], a_row, a_depth, &b[0], b_depth, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
        if (!t3) {
            dense_matrix_transpose(&b[0], b_column, &scratch[0], 24, depth, columns);
            dense_matrix_tile(&a[0], a_row, a_depth, &scratch[0], 24, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
    }
    if (!t2) {
        const int t4 = ((7 >= columns) && (rows >= columns + 1)) && (lower == 0);
        if (t4) {
            dense_matrix_contract(&b[0], &a[0], &c[0], &scratch[0], columns, rows, depth, b_column, b_depth,
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
                    const int64_t n0 = dense_matrix_min(192, depth - i1);
                    for (int64_t i2 = 0; i2 < columns; i2 += 24) {
                        const int64_t n1 = dense_matrix_min(24, columns - i2);
                        const int t5 = 704*n1 + n1*n1*n1 == 48*n1*n1 + 3072;
                        const int t6 = !((b_column == 1) && t5);
                        if (t6) {
                            const int t7 = b_depth == 1;
                            if (t7) {
                                dense_matrix_transpose(&b[b_column*i2 + i1], b_column, &scratch[0], 24, n0, n1);
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
                            for (int64_t i3 = dense_matrix_max(i0, i2*lower); i3 < dense_matrix_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n2 = dense_matrix_min(8, rows - i3);
                                if (t8) {
                                    dense_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
                                        &c[c_column*i2 + c_row*i3], c_row, n2, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    dense_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
                                        &scratch[4608], 24, n2, n1, n0, 0 != 0, (int)sign);
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
                            for (int64_t i3 = dense_matrix_max(i0, i2*lower); i3 < dense_matrix_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n3 = dense_matrix_min(8, rows - i3);
                                if (t8) {
                                    dense_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &c[c_column*i2 + c_row*i3], c_row, n3, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    dense_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24, &scratch[4608], 24,
                                        n3, n1, n0, 0 != 0, (int)sign);
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

void dense_matrix(const double *restrict X, const double *restrict Y, const double *restrict W1,
    const double *restrict b1, const double *restrict W2, const double *restrict b2,
    double *restrict value, double *restrict grad_W1, double *restrict grad_b1,
    double *restrict grad_W2, double *restrict grad_b2, double *restrict work, int64_t n,
    int64_t d, int64_t c, int64_t h)
{
    const int64_t rows = dense_matrix_min(72, n);
    double *const restrict t1 = work;
    const int64_t at1 = dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(h));
    double *const restrict t2 = work + at1;
    const int64_t at2 = at1 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(h));
    double *const restrict t3 = work + at2;
    const int64_t at3 = at2 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(c));
    double *const restrict t4 = work + at3;
    const int64_t at4 = at3 + dense_matrix_extent(c)*8;
    double *const restrict t5 = work + at4;
    double *const restrict t6 = work + at4 + 8;
    const int64_t at5 = at4 + 8 + dense_matrix_slice(dense_matrix_extent(rows));
    double *const restrict t7 = work + at5;
    const int64_t at6 = at5 + dense_matrix_slice(dense_matrix_extent(c));
    double *const restrict t8 = work + at6;
    double *const restrict t9 = work + at6 + 8;
    double *const restrict t11 = work + at6 + 8 + 8;
    const int64_t at7 = at6 + 8 + 8 + dense_matrix_slice(dense_matrix_extent(rows));
    double *const restrict t13 = work + at7;
    const int64_t at8 = at7 + dense_matrix_slice(dense_matrix_extent(rows));
    double *const restrict t14 = work + at8;
    double *const restrict t15 = work + at8 + 8;
    double *const restrict t16 = work + at8 + 8 + 8;
    const int64_t at9 = at8 + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c));
    double *const restrict t17 = work + at9;
    const int64_t at10 = at9 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(c));
    double *const restrict t18 = work + at10;
    const int64_t at11 = at10 + dense_matrix_slice(dense_matrix_extent(c));
    double *const restrict t19 = work + at11;
    const int64_t at12 = at11 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(c));
    double *const restrict t20 = work + at12;
    const int64_t at13 = at12 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(h));
    double *const restrict t21 = work + at13;
    const int64_t at14 = at13 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(h));
    double *const restrict t22 = work + at14;
    const int64_t at15 = at14 + dense_matrix_slice(dense_matrix_extent(h));
    double *const restrict t23 = work + at15;
    const int64_t at16 = at15 + dense_matrix_slice(dense_matrix_extent(rows)*dense_matrix_extent(h));
    double *const restrict t24 = work + at16;
    double c1 = 0.0;
    double c2 = 0.0;
    const double tt1 = (double)n;
    for (int64_t i = 0; i < c; i++) {
        t16[i] = 0.0;
        t18[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i += 4) {
        const int tt2 = n >= i + 4;
        if (tt2) {
            const int64_t i_1 = i;
            const int64_t i_2 = i + 1;
            const int64_t i_3 = i + 2;
            const int64_t i_4 = i + 3;
            for (int64_t j = 0; j < c; j++) {
                t16[j] = t16[j] + Y[i_1*c + j] + Y[i_2*c + j] + Y[i_3*c + j] + Y[i_4*c + j];
            }
        }
        if (!tt2) {
            for (int64_t i_5 = i; i_5 < n; i_5++) {
                for (int64_t j = 0; j < c; j++) {
                    t16[j] += Y[i_5*c + j];
                }
            }
        }
    }
    const double tt3 = 1.0 / tt1;
    for (int64_t i = 0; i < h; i++) {
        t22[i] = 0.0;
    }
    const int64_t none = dense_matrix_min(0, n - 25);
    /* strip by strip: what is in between stays in the cache */
    for (int64_t first = 0; first < n - none - 24; first += 48) {
        const int64_t over = dense_matrix_min(0, first - n + 72);
        const int64_t more = dense_matrix_min(1, -over);
        const int64_t strip = first*more + 48*more + n - first - more*n;
        if (32 >= d*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < h; column++) {
                    double c3 = 0.0;
                    for (int64_t term = 0; term < d; term++) {
                        c3 += X[first*d + d*row + term] * W1[column + h*term];
                    }
                    t1[column + h*row] = c3;
                }
            }
        }
        if (d*h*strip >= 33) {
            dense_matrix_contract(&X[first*d], &W1[0], &t1[0], &t24[0], strip, h, d, d, 1, h, 1, h, 1, 0, 1,
                0);
        }
        for (int64_t i = first; i < first + strip; i++) {
            for (int64_t j = 0; j < h; j++) {
                t2[(i - first)*h + j] = tanh(b1[j] + t1[(i - first)*h + j]);
            }
        }
        if (32 >= c*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < c; column++) {
                    double c4 = 0.0;
                    for (int64_t term = 0; term < h; term++) {
                        c4 += t2[h*row + term] * W2[c*term + column];
                    }
                    t3[c*row + column] = c4;
                }
            }
        }
        if (c*h*strip >= 33) {
            dense_matrix_contract(&t2[0], &W2[0], &t3[0], &t24[0], strip, c, h, h, 1, c, 1, c, 1, 0, 1, 0);
        }
        /* some rows at a time: what is searched is still in the cache when it is used */
        for (int64_t first_1 = first; first_1 < first + strip; first_1 += 8) {
            for (int64_t i = first_1; i < dense_matrix_min(first_1 + 8, first + strip); i++) {
                for (int64_t j = 0; j < c; j++) {
                    t4[(i - first_1)*c + j] = t3[(i - first)*c + j] + b2[j];
                }
                double c5 = -INFINITY;
                for (int64_t j = 0; j < c; j++) {
                    const double tt4 = t4[(i - first_1)*c + j];
                    c5 = (tt4 > c5 || tt4 != tt4) ? tt4 : c5;
                }
                t5[i - first_1] = c5;
            }
            for (int64_t i = first_1; i < dense_matrix_min(first_1 + 8, first + strip); i++) {
                const double tt5 = t5[i - first_1];
                const double tt6 = (-INFINITY < tt5) ? tt5 : 0.0;
                t6[i - first] = tt6;
                double c6 = 0.0;
                double c7 = 0.0;
                dense_matrix_SUM(c6, c7, c2)
                for (int64_t j = 0; j < c; j++) {
                    const double tt7 = t4[(i - first_1)*c + j];
                    const double tt8 = exp((tt7 == tt6) ? 0.0 : (tt7 - tt6));
                    t7[j] = tt8;
                    c6 += (tt7 == tt6) ? 0.0 : tt8;
                    c7 += (tt7 == tt6) ? 1.0 : 0;
                    c2 += Y[i*c + j] * (t3[(i - first)*c + j] + b2[j]);
                }
                t8[i - first_1] = c6;
                t9[i - first_1] = c7;
                const double tt9 = t9[i - first_1];
                const double tt10 = ((1.0 < tt9) && (tt6 == INFINITY)) ? NAN : tt9;
                const double tt11 = t8[i - first_1];
                t11[i - first] = tt11 + (tt10 - 1.0);
                const double tt12 = tt10 + tt11;
                for (int64_t j = 0; j < c; j++) {
                    t17[(i - first)*c + j] = t7[j] / tt12;
                }
            }
        }
        dense_matrix_SUM(c1)
        for (int64_t i = first; i < first + strip; i++) {
            const double tt13 = t6[i - first];
            const double tt14 = (tt13 == INFINITY) ? tt13 : (tt13 + log1p(t11[i - first]));
            t13[i - first] = tt14;
            c1 += tt14;
        }
        for (int64_t i = first; i < first + strip; i++) {
            const double tt15 = t13[i - first];
            const int tt16 = tt15 == -INFINITY;
            const double tt17 = t6[i - first];
            const double tt18 = t11[i - first];
            const int tt19 = tt15 == -INFINITY;
            const int tt20 = tt18 < 1.0;
            const double tt21 = -(tt18 / (tt18 + 1.0));
            dense_matrix_INDEPENDENT
            for (int64_t j = 0; j < c; j++) {
                const double tt22 = t17[(i - first)*c + j];
                t18[j] += tt16 ? 0.0 : tt22;
                const double tt23 = Y[i*c + j] / tt1;
                const double tt24 = -tt23;
                const double tt25 = tt3 - tt23;
                const int tt26 = ((t3[(i - first)*c + j] + b2[j] == tt17) && tt20) && (fabs(tt25) < fabs(tt24));
                t19[(i - first)*c + j] = (tt26 ? tt25 : tt24) + (tt26 ? tt21 : (tt19 ? 0.0 : tt22)) / tt1;
            }
            for (int64_t j = 0; j < h; j++) {
                t21[(i - first)*h + j] = 1.0 / cosh(b1[j] + t1[(i - first)*h + j]);
            }
        }
        dense_matrix_contract(&t2[0], &t19[0], &grad_W2[0], &t24[0], h, c, strip, 1, h, c, 1, c, 1, first,
            1, 0);
        if (32 >= c*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < h; column++) {
                    double c8 = 0.0;
                    for (int64_t term = 0; term < c; term++) {
                        c8 += t19[c*row + term] * W2[c*column + term];
                    }
                    t20[column + h*row] = c8;
                }
            }
        }
        if (c*h*strip >= 33) {
            dense_matrix_contract(&t19[0], &W2[0], &t20[0], &t24[0], strip, h, c, c, 1, 1, c, h, 1, 0, 1, 0);
        }
        for (int64_t i = first; i < first + strip; i += 4) {
            const int tt27 = first + strip >= i + 4;
            if (tt27) {
                const int64_t i_6 = i;
                const int64_t i_7 = i + 1;
                const int64_t i_8 = i + 2;
                const int64_t i_9 = i + 3;
                dense_matrix_INDEPENDENT
                for (int64_t j = 0; j < h; j++) {
                    const double tt28 = t20[(i_6 - first)*h + j];
                    const double tt29 = t21[(i_6 - first)*h + j];
                    const double tt30 = t22[j] + tt29 * tt29 * tt28;
                    t23[(i_6 - first)*h + j] = tt29 * tt29 * tt28;
                    const double tt31 = t20[(i_7 - first)*h + j];
                    const double tt32 = t21[(i_7 - first)*h + j];
                    t23[(i_7 - first)*h + j] = tt32 * tt32 * tt31;
                    const double tt33 = t20[(i_8 - first)*h + j];
                    const double tt34 = t21[(i_8 - first)*h + j];
                    t23[(i_8 - first)*h + j] = tt34 * tt34 * tt33;
                    const double tt35 = t20[(i_9 - first)*h + j];
                    const double tt36 = t21[(i_9 - first)*h + j];
                    t23[(i_9 - first)*h + j] = tt36 * tt36 * tt35;
                    t22[j] = tt30 + tt32 * tt32 * tt31 + tt34 * tt34 * tt33 + tt36 * tt36 * tt35;
                }
            }
            if (!tt27) {
                for (int64_t i_10 = i; i_10 < first + strip; i_10++) {
                    dense_matrix_INDEPENDENT
                    for (int64_t j = 0; j < h; j++) {
                        const double tt37 = t20[(i_10 - first)*h + j];
                        const double tt38 = t21[(i_10 - first)*h + j];
                        t22[j] += tt38 * tt38 * tt37;
                        t23[(i_10 - first)*h + j] = tt38 * tt38 * tt37;
                    }
                }
            }
        }
        dense_matrix_contract(&X[first*d], &t23[0], &grad_W1[0], &t24[0], d, h, strip, 1, d, h, 1, h, 1,
            first, 1, 0);
    }
    t14[0] = c1;
    t15[0] = c2;
    value[0] = (t14[0] - t15[0]) / tt1;
    for (int64_t j = 0; j < h; j++) {
        grad_b1[j] = t22[j];
    }
    for (int64_t j = 0; j < c; j++) {
        grad_b2[j] = t18[j] / tt1 - t16[j] / tt1;
    }
}

int64_t dense_matrix_work_size(int64_t n, int64_t d, int64_t c, int64_t h)
{
    (void)d;
    return dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(c)) + dense_matrix_extent(c)*8 + 8 + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))) + dense_matrix_slice(dense_matrix_extent(c)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(dense_matrix_min(72, n))*dense_matrix_extent(h)) + 9600;
}

int64_t dense_matrix_argument_count(void)
{
    return 11;
}

const char *dense_matrix_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "X";
    case 1: return "Y";
    case 2: return "W1";
    case 3: return "b1";
    case 4: return "W2";
    case 5: return "b2";
    case 6: return "value";
    case 7: return "grad_W1";
    case 8: return "grad_b1";
    case 9: return "grad_W2";
    case 10: return "grad_b2";
    default: return "";
    }
}

int64_t dense_matrix_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 2;
    case 2: return 2;
    case 3: return 2;
    case 4: return 2;
    case 5: return 2;
    case 6: return 0;
    case 7: return 2;
    case 8: return 2;
    case 9: return 2;
    case 10: return 2;
    default: return -1;
    }
}

int64_t dense_matrix_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t c, int64_t h)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 65: extent = c; break;
    case 128: extent = d; break;
    case 129: extent = h; break;
    case 192: extent = 1; break;
    case 193: extent = h; break;
    case 256: extent = h; break;
    case 257: extent = c; break;
    case 320: extent = 1; break;
    case 321: extent = c; break;
    case 448: extent = d; break;
    case 449: extent = h; break;
    case 512: extent = 1; break;
    case 513: extent = h; break;
    case 576: extent = h; break;
    case 577: extent = c; break;
    case 640: extent = 1; break;
    case 641: extent = c; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
