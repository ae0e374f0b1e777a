/*
 * value, grad
 *
 * size    n
 * size    d
 * size    h
 * size    c
 * input   X (n, d) double
 * input   label (n,) int64_t
 * input   W1 (d, h) double
 * input   b1 (h,) double
 * input   W2 (h, c) double
 * input   b2 (c,) double
 * output  value () double
 * output  grad_W1 (d, h) double
 * output  grad_b1 (h,) double
 * output  grad_W2 (h, c) double
 * output  grad_b2 (c,) double
 * work    t1 (rows, h) double
 * work    t2 (rows, h) double
 * work    t3 (rows, h) double
 * work    t4 (rows, c) double
 * work    t5 (8, c) double
 * work    t6 (8,) double
 * work    t7 (rows,) double
 * work    t8 (c,) double
 * work    t9 (8,) double
 * work    t10 (8,) double
 * work    t12 (rows,) double
 * work    t14 (rows,) double
 * work    t15 (rows,) double
 * work    t16 () double
 * work    t17 (c, h) double
 * work    t18 (h,) double
 * work    t19 (rows, c) double
 * work    t20 (c,) double
 * work    t21 (rows, c) double
 * work    t22 (c, h) double
 * work    t23 (rows, h) double
 * work    t24 (h,) double
 * work    t25 (rows, h) double
 * work    t26 (9600,) double
 *
 * expression: Sum(log(Sum(exp(b2[j] + Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[k, j], (k, 0, h - 1))), (j, 0, c - 1))) - b2[label[i]] - Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[...
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (h,), row-major; grad_W2 (h, c), row-major; grad_b2 (c,), row-major
 * operations: 7171 as derived, 7091 after optimisation, every size 8
 */

#include "dense_index.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define dense_index_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define dense_index_SUM(...) dense_index_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define dense_index_SUM(...)
#endif

/* The turns of a loop touch different elements of all arrays. */
#if defined(__clang__)
#define dense_index_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define dense_index_INDEPENDENT _Pragma("GCC ivdep")
#else
#define dense_index_INDEPENDENT
#endif

static int64_t dense_index_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t dense_index_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t dense_index_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t dense_index_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define dense_index_BYTES 64
#elif defined(__AVX__)
#define dense_index_BYTES 32
#else
#define dense_index_BYTES 16
#endif
#if defined(__GNUC__)
typedef double dense_index_vector __attribute__((vector_size(dense_index_BYTES), aligned(8), may_alias));
#define dense_index_LANES (dense_index_BYTES / 8)
#define dense_index_ALWAYS static inline __attribute__((always_inline))
#else
typedef double dense_index_vector;
#define dense_index_LANES 1
#define dense_index_ALWAYS static
#endif

/* Rows and columns of a block that is summed up in registers. */
#if dense_index_BYTES == 64
#define dense_index_ROWS 8
#else
#define dense_index_ROWS 4
#endif
#define dense_index_VECTORS 3
#if defined(__clang__)
#define dense_index_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define dense_index_UNROLL _Pragma("GCC unroll 8")
#else
#define dense_index_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define dense_index_ONCE __attribute__((noinline, noclone))
#else
#define dense_index_ONCE
#endif

typedef struct {
    const double *a, *b;
    double *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    double sign;
} dense_index_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
dense_index_ALWAYS void dense_index_block(const dense_index_operands s, const int rows, const int vectors)
{
    dense_index_vector sum[dense_index_ROWS][dense_index_VECTORS];
    dense_index_UNROLL
    for (int i = 0; i < rows; i++) {
        dense_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (dense_index_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const double *const row = s.b + p*s.b_depth;
        dense_index_vector right[dense_index_VECTORS];
        dense_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const dense_index_vector *)(row + j*dense_index_LANES);
        }
        dense_index_UNROLL
        for (int i = 0; i < rows; i++) {
            const double left = s.a[i*s.a_row + p*s.a_depth];
            dense_index_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    dense_index_UNROLL
    for (int i = 0; i < rows; i++) {
        dense_index_UNROLL
        for (int j = 0; j < vectors; j++) {
            dense_index_vector *const place = (dense_index_vector *)(s.c + i*s.c_row + j*dense_index_LANES);
            dense_index_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define dense_index_CASE(rows, vectors) \
    case 4*rows + vectors: dense_index_block(s, rows, vectors); break;
#define dense_index_CASES(rows) \
    dense_index_CASE(rows, 1) dense_index_CASE(rows, 2) dense_index_CASE(rows, 3)

static dense_index_ONCE void dense_index_tile(
    const double *a, int64_t a_row, int64_t a_depth, const double *b, int64_t b_depth, double *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = dense_index_VECTORS * dense_index_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + dense_index_LANES - 1) / dense_index_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const dense_index_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (double)sign,
            };
            taken = rows - i >= dense_index_ROWS ? dense_index_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if dense_index_ROWS == 8
            dense_index_CASES(8)
#endif
            dense_index_CASES(4)
            dense_index_CASES(2)
            dense_index_CASES(1)
            default: break;
            }
        }
    }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && dense_index_BYTES >= 32
#define dense_index_SHUFFLES
#if dense_index_BYTES == 64
dense_index_ALWAYS void dense_index_exchange(dense_index_vector *r)
{
    dense_index_vector a, b;
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
#if dense_index_BYTES == 32
dense_index_ALWAYS void dense_index_exchange(dense_index_vector *r)
{
    dense_index_vector a, b;
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
static void dense_index_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef dense_index_SHUFFLES
    whole_rows = rows - rows % dense_index_LANES;
    whole_columns = columns - columns % dense_index_LANES;
    for (int64_t j = 0; j < whole_columns; j += dense_index_LANES) {
        for (int64_t p = 0; p < whole_rows; p += dense_index_LANES) {
            dense_index_vector r[dense_index_LANES];
            for (int k = 0; k < dense_index_LANES; k++) {
                r[k] = *(const dense_index_vector *)(source + (j + k)*source_row + p);
            }
            dense_index_exchange(r);
            for (int k = 0; k < dense_index_LANES; k++) {
                *(dense_index_vector *)(to + (p + k)*to_row + j) = r[k];
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

static void dense_index_contract(const double *restrict a, const double *restrict b,
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
            dense_index_tile(&a[0], a_row, a_depth, &b[0], b_depth, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
        if (!t3) {
            dense_index_transpose(&b[0], b_column, &scratch[0], 24, depth, columns);
            dense_index_tile(&a[0], a_row, a_depth, &scratch[0], 24, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
    }
    if (!t2) {
        const int t4 = ((7 >= columns) && (rows >= columns + 1)) && (lower == 0);
        if (t4) {
            dense_index_contract(&b[0], &a[0], &c[0], &scratch[0], columns, rows, depth, b_column, b_depth,
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
                    const int64_t n0 = dense_index_min(192, depth - i1);
                    for (int64_t i2 = 0; i2 < columns; i2 += 24) {
                        const int64_t n1 = dense_index_min(24, columns - i2);
                        const int t5 = 704*n1 + n1*n1*n1 == 48*n1*n1 + 3072;
                        const int t6 = !((b_column == 1) && t5);
                        if (t6) {
                            const int t7 = b_depth == 1;
                            if (t7) {
                                dense_index_transpose(&b[b_column*i2 + i1], b_column, &scratch[0], 24, n0, n1);
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
                            for (int64_t i3 = dense_index_max(i0, i2*lower); i3 < dense_index_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n2 = dense_index_min(8, rows - i3);
                                if (t8) {
                                    dense_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
                                        &c[c_column*i2 + c_row*i3], c_row, n2, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    dense_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
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
                            for (int64_t i3 = dense_index_max(i0, i2*lower); i3 < dense_index_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n3 = dense_index_min(8, rows - i3);
                                if (t8) {
                                    dense_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &c[c_column*i2 + c_row*i3], c_row, n3, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    dense_index_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24, &scratch[4608], 24,
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

void dense_index(const double *restrict X, const int64_t *restrict label,
    const double *restrict W1, const double *restrict b1, const double *restrict W2,
    const double *restrict b2, double *restrict value, double *restrict grad_W1,
    double *restrict grad_b1, double *restrict grad_W2, double *restrict grad_b2,
    double *restrict work, int64_t n, int64_t d, int64_t h, int64_t c)
{
    const int64_t rows = dense_index_min(72, n);
    double *const restrict t1 = work;
    const int64_t at1 = dense_index_slice(dense_index_extent(rows)*dense_index_extent(h));
    double *const restrict t2 = work + at1;
    const int64_t at2 = at1 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(h));
    double *const restrict t3 = work + at2;
    const int64_t at3 = at2 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(h));
    double *const restrict t4 = work + at3;
    const int64_t at4 = at3 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(c));
    double *const restrict t5 = work + at4;
    const int64_t at5 = at4 + dense_index_extent(c)*8;
    double *const restrict t6 = work + at5;
    double *const restrict t7 = work + at5 + 8;
    const int64_t at6 = at5 + 8 + dense_index_slice(dense_index_extent(rows));
    double *const restrict t8 = work + at6;
    const int64_t at7 = at6 + dense_index_slice(dense_index_extent(c));
    double *const restrict t9 = work + at7;
    double *const restrict t10 = work + at7 + 8;
    double *const restrict t12 = work + at7 + 8 + 8;
    const int64_t at8 = at7 + 8 + 8 + dense_index_slice(dense_index_extent(rows));
    double *const restrict t14 = work + at8;
    const int64_t at9 = at8 + dense_index_slice(dense_index_extent(rows));
    double *const restrict t15 = work + at9;
    const int64_t at10 = at9 + dense_index_slice(dense_index_extent(rows));
    double *const restrict t16 = work + at10;
    double *const restrict t17 = work + at10 + 8;
    const int64_t at11 = at10 + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h));
    double *const restrict t18 = work + at11;
    const int64_t at12 = at11 + dense_index_slice(dense_index_extent(h));
    double *const restrict t19 = work + at12;
    const int64_t at13 = at12 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(c));
    double *const restrict t20 = work + at13;
    const int64_t at14 = at13 + dense_index_slice(dense_index_extent(c));
    double *const restrict t21 = work + at14;
    const int64_t at15 = at14 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(c));
    double *const restrict t22 = work + at15;
    const int64_t at16 = at15 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h));
    double *const restrict t23 = work + at16;
    const int64_t at17 = at16 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(h));
    double *const restrict t24 = work + at17;
    const int64_t at18 = at17 + dense_index_slice(dense_index_extent(h));
    double *const restrict t25 = work + at18;
    const int64_t at19 = at18 + dense_index_slice(dense_index_extent(rows)*dense_index_extent(h));
    double *const restrict t26 = work + at19;
    double c1 = 0.0;
    const double tt1 = (double)n;
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < h; j++) {
            t17[i*h + j] = 0.0;
        }
        t20[i] = 0.0;
    }
    for (int64_t i = 0; i < h; i++) {
        t18[i] = 0.0;
        t24[i] = 0.0;
    }
    const double tt2 = -(1.0 / tt1);
    const int64_t none = dense_index_min(0, n - 25);
    /* strip by strip: what is in between stays in the cache */
    for (int64_t first = 0; first < n - none - 24; first += 48) {
        const int64_t over = dense_index_min(0, first - n + 72);
        const int64_t more = dense_index_min(1, -over);
        const int64_t strip = first*more + 48*more + n - first - more*n;
        if (32 >= d*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < h; column++) {
                    double c2 = 0.0;
                    for (int64_t term = 0; term < d; term++) {
                        c2 += X[first*d + d*row + term] * W1[column + h*term];
                    }
                    t1[column + h*row] = c2;
                }
            }
        }
        if (d*h*strip >= 33) {
            dense_index_contract(&X[first*d], &W1[0], &t1[0], &t26[0], strip, h, d, d, 1, h, 1, h, 1, 0, 1,
                0);
        }
        for (int64_t i = first; i < first + strip; i++) {
            dense_index_INDEPENDENT
            for (int64_t j = 0; j < h; j++) {
                const double tt3 = t1[(i - first)*h + j];
                const double tt4 = b1[j];
                t2[(i - first)*h + j] = tanh(tt4 + tt3);
                t3[(i - first)*h + j] = 1.0 / cosh(tt4 + tt3);
            }
        }
        if (32 >= c*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < c; column++) {
                    double c3 = 0.0;
                    for (int64_t term = 0; term < h; term++) {
                        c3 += t2[h*row + term] * W2[c*term + column];
                    }
                    t4[c*row + column] = c3;
                }
            }
        }
        if (c*h*strip >= 33) {
            dense_index_contract(&t2[0], &W2[0], &t4[0], &t26[0], strip, c, h, h, 1, c, 1, c, 1, 0, 1, 0);
        }
        /* some rows at a time: what is searched is still in the cache when it is used */
        for (int64_t first_1 = first; first_1 < first + strip; first_1 += 8) {
            for (int64_t i = first_1; i < dense_index_min(first_1 + 8, first + strip); i++) {
                for (int64_t j = 0; j < c; j++) {
                    t5[(i - first_1)*c + j] = b2[j] + t4[(i - first)*c + j];
                }
                double c4 = -INFINITY;
                for (int64_t j = 0; j < c; j++) {
                    const double tt5 = t5[(i - first_1)*c + j];
                    c4 = (tt5 > c4 || tt5 != tt5) ? tt5 : c4;
                }
                t6[i - first_1] = c4;
            }
            for (int64_t i = first_1; i < dense_index_min(first_1 + 8, first + strip); i++) {
                const double tt6 = t6[i - first_1];
                const double tt7 = (-INFINITY < tt6) ? tt6 : 0.0;
                t7[i - first] = tt7;
                double c5 = 0.0;
                double c6 = 0.0;
                dense_index_SUM(c5, c6)
                for (int64_t j = 0; j < c; j++) {
                    const double tt8 = t5[(i - first_1)*c + j];
                    const double tt9 = exp((tt8 == tt7) ? 0.0 : (tt8 - tt7));
                    t8[j] = tt9;
                    c5 += (tt8 == tt7) ? 0.0 : tt9;
                    c6 += (tt8 == tt7) ? 1.0 : 0;
                }
                t9[i - first_1] = c5;
                t10[i - first_1] = c6;
                const double tt10 = t10[i - first_1];
                const double tt11 = ((tt7 == INFINITY) && (1.0 < tt10)) ? NAN : tt10;
                const double tt12 = t9[i - first_1];
                t12[i - first] = tt11 - 1.0 + tt12;
                double c7 = 0.0;
                const int64_t g1 = label[i];
                dense_index_SUM(c7)
                for (int64_t j = 0; j < h; j++) {
                    const double tt13 = t2[(i - first)*h + j];
                    const double tt14 = W2[j*c + g1];
                    c7 += tt14 * tt13;
                    t17[g1*h + j] += -(tt13 / tt1);
                    const double tt15 = t3[(i - first)*h + j];
                    t18[j] += tt14 * (tt15 * tt15);
                }
                t15[i - first] = c7;
                const double tt16 = tt11 + tt12;
                for (int64_t j = 0; j < c; j++) {
                    t19[(i - first)*c + j] = t8[j] / tt16;
                }
            }
        }
        dense_index_SUM(c1)
        for (int64_t i = first; i < first + strip; i++) {
            const double tt17 = log1p(t12[i - first]);
            const double tt18 = t7[i - first];
            t14[i - first] = (tt18 == INFINITY) ? tt18 : (tt18 + tt17);
            const int64_t g2 = label[i];
            c1 += tt17 - (t15[i - first] - tt18) - b2[g2];
        }
        for (int64_t i = first; i < first + strip; i += 4) {
            const int tt19 = first + strip >= i + 4;
            if (tt19) {
                const int64_t i_1 = i;
                const double tt20 = t14[i_1 - first];
                const int tt21 = tt20 == -INFINITY;
                const int tt22 = tt20 == -INFINITY;
                const int64_t i_2 = i + 1;
                const double tt23 = t14[i_2 - first];
                const int tt24 = tt23 == -INFINITY;
                const int tt25 = tt23 == -INFINITY;
                const int64_t i_3 = i + 2;
                const double tt26 = t14[i_3 - first];
                const int tt27 = tt26 == -INFINITY;
                const int tt28 = tt26 == -INFINITY;
                const int64_t i_4 = i + 3;
                const double tt29 = t14[i_4 - first];
                const int tt30 = tt29 == -INFINITY;
                const int tt31 = tt29 == -INFINITY;
                dense_index_INDEPENDENT
                for (int64_t j = 0; j < c; j++) {
                    const double tt32 = t19[(i_1 - first)*c + j];
                    const double tt33 = t20[j] + (tt21 ? 0.0 : tt32);
                    t21[(i_1 - first)*c + j] = (tt22 ? 0.0 : tt32) / tt1;
                    const double tt34 = t19[(i_2 - first)*c + j];
                    t21[(i_2 - first)*c + j] = (tt25 ? 0.0 : tt34) / tt1;
                    const double tt35 = t19[(i_3 - first)*c + j];
                    t21[(i_3 - first)*c + j] = (tt28 ? 0.0 : tt35) / tt1;
                    const double tt36 = t19[(i_4 - first)*c + j];
                    t21[(i_4 - first)*c + j] = (tt31 ? 0.0 : tt36) / tt1;
                    t20[j] = tt33 + (tt24 ? 0.0 : tt34) + (tt27 ? 0.0 : tt35) + (tt30 ? 0.0 : tt36);
                }
            }
            if (!tt19) {
                for (int64_t i_5 = i; i_5 < first + strip; i_5++) {
                    const double tt37 = t14[i_5 - first];
                    const int tt38 = tt37 == -INFINITY;
                    const int tt39 = tt37 == -INFINITY;
                    for (int64_t j = 0; j < c; j++) {
                        const double tt40 = t19[(i_5 - first)*c + j];
                        t20[j] += tt38 ? 0.0 : tt40;
                        t21[(i_5 - first)*c + j] = (tt39 ? 0.0 : tt40) / tt1;
                    }
                }
            }
        }
        dense_index_contract(&t21[0], &t2[0], &t22[0], &t26[0], c, h, strip, 1, c, h, 1, h, 1, first, 1,
            0);
        if (32 >= c*h*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < h; column++) {
                    double c8 = 0.0;
                    for (int64_t term = 0; term < c; term++) {
                        c8 += t21[c*row + term] * W2[c*column + term];
                    }
                    t23[column + h*row] = c8;
                }
            }
        }
        if (c*h*strip >= 33) {
            dense_index_contract(&t21[0], &W2[0], &t23[0], &t26[0], strip, h, c, c, 1, 1, c, h, 1, 0, 1, 0);
        }
        for (int64_t i = first; i < first + strip; i++) {
            const int64_t g5 = label[i];
            dense_index_INDEPENDENT
            for (int64_t j = 0; j < h; j++) {
                const double tt41 = t3[(i - first)*h + j];
                const double tt42 = t23[(i - first)*h + j];
                t24[j] += tt41 * tt41 * tt42;
                const double tt43 = tt41 * tt41;
                t25[(i - first)*h + j] = tt43 * tt42 - tt43 * (W2[j*c + g5] / tt1);
            }
        }
        dense_index_contract(&X[first*d], &t25[0], &grad_W1[0], &t26[0], d, h, strip, 1, d, h, 1, h, 1,
            first, 1, 0);
    }
    t16[0] = c1;
    value[0] = t16[0] / tt1;
    for (int64_t i = 0; i < h; i++) {
        grad_b1[i] = t24[i] - t18[i] / tt1;
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < h; j++) {
            grad_W2[j*c + i] = t17[i*h + j] + t22[i*h + j];
        }
        grad_b2[i] = t20[i] / tt1;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g6 = label[i];
        grad_b2[g6] += tt2;
    }
}

int64_t dense_index_work_size(int64_t n, int64_t d, int64_t h, int64_t c)
{
    (void)d;
    return dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(c)) + dense_index_extent(c)*8 + 8 + dense_index_slice(dense_index_extent(dense_index_min(72, n))) + dense_index_slice(dense_index_extent(c)) + 8 + 8 + dense_index_slice(dense_index_extent(dense_index_min(72, n))) + dense_index_slice(dense_index_extent(dense_index_min(72, n))) + dense_index_slice(dense_index_extent(dense_index_min(72, n))) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(dense_index_min(72, n))*dense_index_extent(h)) + 9600;
}

int64_t dense_index_argument_count(void)
{
    return 11;
}

const char *dense_index_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "X";
    case 1: return "label";
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

int64_t dense_index_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 1;
    case 2: return 2;
    case 3: return 1;
    case 4: return 2;
    case 5: return 1;
    case 6: return 0;
    case 7: return 2;
    case 8: return 1;
    case 9: return 2;
    case 10: return 1;
    default: return -1;
    }
}

int64_t dense_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t h, int64_t c)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 128: extent = d; break;
    case 129: extent = h; break;
    case 192: extent = h; break;
    case 256: extent = h; break;
    case 257: extent = c; break;
    case 320: extent = c; break;
    case 448: extent = d; break;
    case 449: extent = h; break;
    case 512: extent = h; break;
    case 576: extent = h; break;
    case 577: extent = c; break;
    case 640: extent = c; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
