/*
 * value, grad
 *
 * size    n
 * size    d
 * input   W (n, d) double
 * output  value () double
 * output  grad (n, d) double
 * work    t1 (d, d) double
 * work    t2 (d,) double
 * work    t3 (d, d) double
 * work    t4 (rows, d) double
 * work    t5 (9600,) double
 *
 * expression: Trace((-I + W.T*W)**2)
 * differentiated by: W
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, d), row-major
 * operations: 4424 as derived, 2440 after optimisation, every size 8
 */

#include "orthogonality_matrix.h"
#include <math.h>
#include <stdint.h>

static int64_t orthogonality_matrix_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t orthogonality_matrix_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t orthogonality_matrix_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t orthogonality_matrix_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define orthogonality_matrix_BYTES 64
#elif defined(__AVX__)
#define orthogonality_matrix_BYTES 32
#else
#define orthogonality_matrix_BYTES 16
#endif
#if defined(__GNUC__)
typedef double orthogonality_matrix_vector __attribute__((vector_size(orthogonality_matrix_BYTES), aligned(8), may_alias));
#define orthogonality_matrix_LANES (orthogonality_matrix_BYTES / 8)
#define orthogonality_matrix_ALWAYS static inline __attribute__((always_inline))
#else
typedef double orthogonality_matrix_vector;
#define orthogonality_matrix_LANES 1
#define orthogonality_matrix_ALWAYS static
#endif

/* Rows and columns of a block that is summed up in registers. */
#if orthogonality_matrix_BYTES == 64
#define orthogonality_matrix_ROWS 8
#else
#define orthogonality_matrix_ROWS 4
#endif
#define orthogonality_matrix_VECTORS 3
#if defined(__clang__)
#define orthogonality_matrix_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define orthogonality_matrix_UNROLL _Pragma("GCC unroll 8")
#else
#define orthogonality_matrix_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define orthogonality_matrix_ONCE __attribute__((noinline, noclone))
#else
#define orthogonality_matrix_ONCE
#endif

typedef struct {
    const double *a, *b;
    double *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    double sign;
} orthogonality_matrix_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
orthogonality_matrix_ALWAYS void orthogonality_matrix_block(const orthogonality_matrix_operands s, const int rows, const int vectors)
{
    orthogonality_matrix_vector sum[orthogonality_matrix_ROWS][orthogonality_matrix_VECTORS];
    orthogonality_matrix_UNROLL
    for (int i = 0; i < rows; i++) {
        orthogonality_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (orthogonality_matrix_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const double *const row = s.b + p*s.b_depth;
        orthogonality_matrix_vector right[orthogonality_matrix_VECTORS];
        orthogonality_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const orthogonality_matrix_vector *)(row + j*orthogonality_matrix_LANES);
        }
        orthogonality_matrix_UNROLL
        for (int i = 0; i < rows; i++) {
            const double left = s.a[i*s.a_row + p*s.a_depth];
            orthogonality_matrix_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    orthogonality_matrix_UNROLL
    for (int i = 0; i < rows; i++) {
        orthogonality_matrix_UNROLL
        for (int j = 0; j < vectors; j++) {
            orthogonality_matrix_vector *const place = (orthogonality_matrix_vector *)(s.c + i*s.c_row + j*orthogonality_matrix_LANES);
            orthogonality_matrix_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define orthogonality_matrix_CASE(rows, vectors) \
    case 4*rows + vectors: orthogonality_matrix_block(s, rows, vectors); break;
#define orthogonality_matrix_CASES(rows) \
    orthogonality_matrix_CASE(rows, 1) orthogonality_matrix_CASE(rows, 2) orthogonality_matrix_CASE(rows, 3)

static orthogonality_matrix_ONCE void orthogonality_matrix_tile(
    const double *a, int64_t a_row, int64_t a_depth, const double *b, int64_t b_depth, double *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = orthogonality_matrix_VECTORS * orthogonality_matrix_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + orthogonality_matrix_LANES - 1) / orthogonality_matrix_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const orthogonality_matrix_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (double)sign,
            };
            taken = rows - i >= orthogonality_matrix_ROWS ? orthogonality_matrix_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if orthogonality_matrix_ROWS == 8
            orthogonality_matrix_CASES(8)
#endif
            orthogonality_matrix_CASES(4)
            orthogonality_matrix_CASES(2)
            orthogonality_matrix_CASES(1)
            default: break;
            }
        }
    }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && orthogonality_matrix_BYTES >= 32
#define orthogonality_matrix_SHUFFLES
#if orthogonality_matrix_BYTES == 64
orthogonality_matrix_ALWAYS void orthogonality_matrix_exchange(orthogonality_matrix_vector *r)
{
    orthogonality_matrix_vector a, b;
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
#if orthogonality_matrix_BYTES == 32
orthogonality_matrix_ALWAYS void orthogonality_matrix_exchange(orthogonality_matrix_vector *r)
{
    orthogonality_matrix_vector a, b;
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
static void orthogonality_matrix_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef orthogonality_matrix_SHUFFLES
    whole_rows = rows - rows % orthogonality_matrix_LANES;
    whole_columns = columns - columns % orthogonality_matrix_LANES;
    for (int64_t j = 0; j < whole_columns; j += orthogonality_matrix_LANES) {
        for (int64_t p = 0; p < whole_rows; p += orthogonality_matrix_LANES) {
            orthogonality_matrix_vector r[orthogonality_matrix_LANES];
            for (int k = 0; k < orthogonality_matrix_LANES; k++) {
                r[k] = *(const orthogonality_matrix_vector *)(source + (j + k)*source_row + p);
            }
            orthogonality_matrix_exchange(r);
            for (int k = 0; k < orthogonality_matrix_LANES; k++) {
                *(orthogonality_matrix_vector *)(to + (p + k)*to_row + j) = r[k];
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

static void orthogonality_matrix_contract(const double *restrict a, const double *restrict b,
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
            orthogonality_matrix_tile(&a[0], a_row, a_depth, &b[0], b_depth, &c[0], c_row, rows, columns,
                depth, keep != 0, (int)sign);
        }
        if (!t3) {
            orthogonality_matrix_transpose(&b[0], b_column, &scratch[0], 24, depth, columns);
            orthogonality_matrix_tile(&a[0], a_row, a_depth, &scratch[0], 24, &c[0], c_row, rows, columns,
                depth, keep != 0, (int)sign);
        }
    }
    if (!t2) {
        const int t4 = ((7 >= columns) && (rows >= columns + 1)) && (lower == 0);
        if (t4) {
            orthogonality_matrix_contract(&b[0], &a[0], &c[0], &scratch[0], columns, rows, depth, b_column,
                b_depth, a_depth, a_row, c_column, c_row, keep, sign, lower);
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
                    const int64_t n0 = orthogonality_matrix_min(192, depth - i1);
                    for (int64_t i2 = 0; i2 < columns; i2 += 24) {
                        const int64_t n1 = orthogonality_matrix_min(24, columns - i2);
                        const int t5 = 704*n1 + n1*n1*n1 == 48*n1*n1 + 3072;
                        const int t6 = !((b_column == 1) && t5);
                        if (t6) {
                            const int t7 = b_depth == 1;
                            if (t7) {
                                orthogonality_matrix_transpose(&b[b_column*i2 + i1], b_column, &scratch[0], 24, n0, n1);
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
                            for (int64_t i3 = orthogonality_matrix_max(i0, i2*lower); i3 < orthogonality_matrix_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n2 = orthogonality_matrix_min(8, rows - i3);
                                if (t8) {
                                    orthogonality_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1],
                                        b_depth, &c[c_column*i2 + c_row*i3], c_row, n2, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    orthogonality_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1],
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
                            for (int64_t i3 = orthogonality_matrix_max(i0, i2*lower); i3 < orthogonality_matrix_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n3 = orthogonality_matrix_min(8, rows - i3);
                                if (t8) {
                                    orthogonality_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &c[c_column*i2 + c_row*i3], c_row, n3, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    orthogonality_matrix_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &scratch[4608], 24, n3, n1, n0, 0 != 0, (int)sign);
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

void orthogonality_matrix(const double *restrict W, double *restrict value, double *restrict grad,
    double *restrict work, int64_t n, int64_t d)
{
    const int64_t rows = orthogonality_matrix_min(72, n);
    double *const restrict t1 = work;
    const int64_t at1 = orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d));
    double *const restrict t2 = work + at1;
    const int64_t at2 = at1 + orthogonality_matrix_slice(orthogonality_matrix_extent(d));
    double *const restrict t3 = work + at2;
    const int64_t at3 = at2 + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d));
    double *const restrict t4 = work + at3;
    const int64_t at4 = at3 + orthogonality_matrix_slice(orthogonality_matrix_extent(rows)*orthogonality_matrix_extent(d));
    double *const restrict t5 = work + at4;
    if (32 >= d*d*n) {
        /* product of few terms */
        for (int64_t row = 0; row < d; row++) {
            for (int64_t column = 0; column < d; column++) {
                double c1 = 0.0;
                for (int64_t term = 0; term < n; term++) {
                    c1 += W[d*term + row] * W[column + d*term];
                }
                t1[column + d*row] = c1;
            }
        }
    }
    if (d*d*n >= 33) {
        orthogonality_matrix_contract(&W[0], &W[0], &t1[0], &t5[0], d, d, n, 1, d, d, 1, d, 1, 0, 1, 1);
    }
    for (int64_t i = 0; i < d; i++) {
        t2[i] = 0.0;
    }
    for (int64_t i = 0; i < d; i += 4) {
        const int tt1 = d >= i + 4;
        if (tt1) {
            const int64_t i_1 = i;
            const int64_t i_2 = i + 1;
            const int64_t i_3 = i + 2;
            const int64_t i_4 = i + 3;
            for (int64_t j = 0; j < d; j++) {
                const double tt2 = ((j == i_1) ? (-1.0) : 0) + t1[i_1*d + j];
                const double tt3 = ((j == i_2) ? (-1.0) : 0) + t1[i_2*d + j];
                const double tt4 = ((j == i_3) ? (-1.0) : 0) + t1[i_3*d + j];
                const double tt5 = ((j == i_4) ? (-1.0) : 0) + t1[i_4*d + j];
                t2[j] = t2[j] + tt2 * tt2 + tt3 * tt3 + tt4 * tt4 + tt5 * tt5;
            }
        }
        if (!tt1) {
            for (int64_t i_5 = i; i_5 < d; i_5++) {
                for (int64_t j = 0; j < d; j++) {
                    const double tt6 = ((j == i_5) ? (-1.0) : 0) + t1[i_5*d + j];
                    t2[j] += tt6 * tt6;
                }
            }
        }
    }
    double c2 = 0.0;
    for (int64_t i = 0; i < d; i++) {
        c2 += t2[i];
        for (int64_t j = 0; j < d; j++) {
            t3[i*d + j] = 2.0 * (((i == j) ? (-1.0) : 0) + t1[i*d + j]);
        }
    }
    value[0] = c2;
    const int64_t none = orthogonality_matrix_min(0, n - 25);
    /* strip by strip: what is in between stays in the cache */
    for (int64_t first = 0; first < n - none - 24; first += 48) {
        const int64_t over = orthogonality_matrix_min(0, first - n + 72);
        const int64_t more = orthogonality_matrix_min(1, -over);
        const int64_t strip = first*more + 48*more + n - first - more*n;
        if (32 >= d*d*strip) {
            /* product of few terms */
            for (int64_t row = 0; row < strip; row++) {
                for (int64_t column = 0; column < d; column++) {
                    double c3 = 0.0;
                    for (int64_t term = 0; term < d; term++) {
                        c3 += W[first*d + d*row + term] * t3[column + d*term];
                    }
                    t4[column + d*row] = c3;
                }
            }
        }
        if (d*d*strip >= 33) {
            orthogonality_matrix_contract(&W[first*d], &t3[0], &t4[0], &t5[0], strip, d, d, d, 1, d, 1, d, 1,
                0, 1, 0);
        }
        for (int64_t i = first; i < first + strip; i++) {
            for (int64_t j = 0; j < d; j++) {
                grad[i*d + j] = 2.0 * t4[(i - first)*d + j];
            }
        }
    }
}

int64_t orthogonality_matrix_work_size(int64_t n, int64_t d)
{
    return orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(orthogonality_matrix_min(72, n))*orthogonality_matrix_extent(d)) + 9600;
}

int64_t orthogonality_matrix_argument_count(void)
{
    return 3;
}

const char *orthogonality_matrix_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "W";
    case 1: return "value";
    case 2: return "grad";
    default: return "";
    }
}

int64_t orthogonality_matrix_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 0;
    case 2: return 2;
    default: return -1;
    }
}

int64_t orthogonality_matrix_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 128: extent = n; break;
    case 129: extent = d; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
