/*
 * value, grad
 *
 * size    B
 * size    C
 * size    T
 * size    O
 * size    K
 * input   x (B, C, T) double
 * input   w (O, C, K) double
 * output  value () double
 * output  grad_x (B, C, T) double
 * output  grad_w (O, C, K) double
 * work    t1_1 (few*rows_1, T - K + 1, O) double
 * work    t4_1 (O*few, B, T - K + 1) double
 * work    t5_1 (B*few, O, K + T - 1) double
 * work    t6_1 (9600*few,) double
 * work    t1 (B*many, rows, T - K + 1) double
 * work    t2 (B*many, rows, T - K + 1) double
 * work    t3 (B*many, rows, T - K + 1) double
 * work    t4 (O*many, B, T - K + 1) double
 * work    t5 (B*many, O, K + T - 1) double
 * work    t6 (9600*many,) double
 *
 * expression: Sum(tanh(Sum(w[o, c, k]*x[b, c, k + t], (c, 0, C - 1), (k, 0, K - 1)))**2, (b, 0, B - 1), (o, 0, O - 1), (t, 0, -K + T))
 * differentiated by: x, w
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_x (B, C, T), row-major; grad_w (O, C, K), row-major
 * operations: 25024 as derived, 82432 after optimisation, every size 8
 */

#include "convolution.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define convolution_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define convolution_SUM(...) convolution_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define convolution_SUM(...)
#endif

static int64_t convolution_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t convolution_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t convolution_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t convolution_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define convolution_BYTES 64
#elif defined(__AVX__)
#define convolution_BYTES 32
#else
#define convolution_BYTES 16
#endif
#if defined(__GNUC__)
typedef double convolution_vector __attribute__((vector_size(convolution_BYTES), aligned(8), may_alias));
#define convolution_LANES (convolution_BYTES / 8)
#define convolution_ALWAYS static inline __attribute__((always_inline))
#else
typedef double convolution_vector;
#define convolution_LANES 1
#define convolution_ALWAYS static
#endif

/* Rows and columns of a block that is summed up in registers. */
#if convolution_BYTES == 64
#define convolution_ROWS 8
#else
#define convolution_ROWS 4
#endif
#define convolution_VECTORS 3
#if defined(__clang__)
#define convolution_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define convolution_UNROLL _Pragma("GCC unroll 8")
#else
#define convolution_UNROLL
#endif

/* One copy of it serves all callers: clones double the compiler's time, and are no faster. */
#if defined(__GNUC__) && !defined(__clang__)
#define convolution_ONCE __attribute__((noinline, noclone))
#else
#define convolution_ONCE
#endif

typedef struct {
    const double *a, *b;
    double *c;
    int64_t a_row, a_depth, b_depth, c_row, depth;
    int keep;
    double sign;
} convolution_operands;

/* c = sign*(a b), added to c where keep: so many rows, and so many vectors of columns. */
convolution_ALWAYS void convolution_block(const convolution_operands s, const int rows, const int vectors)
{
    convolution_vector sum[convolution_ROWS][convolution_VECTORS];
    convolution_UNROLL
    for (int i = 0; i < rows; i++) {
        convolution_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = (convolution_vector){0};
        }
    }
    for (int64_t p = 0; p < s.depth; p++) {
        const double *const row = s.b + p*s.b_depth;
        convolution_vector right[convolution_VECTORS];
        convolution_UNROLL
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const convolution_vector *)(row + j*convolution_LANES);
        }
        convolution_UNROLL
        for (int i = 0; i < rows; i++) {
            const double left = s.a[i*s.a_row + p*s.a_depth];
            convolution_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    convolution_UNROLL
    for (int i = 0; i < rows; i++) {
        convolution_UNROLL
        for (int j = 0; j < vectors; j++) {
            convolution_vector *const place = (convolution_vector *)(s.c + i*s.c_row + j*convolution_LANES);
            convolution_vector result = s.sign * sum[i][j];
            if (s.keep) {
                result += *place;
            }
            *place = result;
        }
    }
}

#define convolution_CASE(rows, vectors) \
    case 4*rows + vectors: convolution_block(s, rows, vectors); break;
#define convolution_CASES(rows) \
    convolution_CASE(rows, 1) convolution_CASE(rows, 2) convolution_CASE(rows, 3)

static convolution_ONCE void convolution_tile(
    const double *a, int64_t a_row, int64_t a_depth, const double *b, int64_t b_depth, double *c, int64_t c_row,
    int64_t rows, int64_t columns, int64_t depth, int keep, int sign)
{
    const int64_t wide = convolution_VECTORS * convolution_LANES;
    for (int64_t j = 0; j < columns; j += wide) {
        const int64_t left = columns - j < wide ? columns - j : wide;
        const int64_t vectors = (left + convolution_LANES - 1) / convolution_LANES;
        int64_t taken = 0;
        for (int64_t i = 0; i < rows; i += taken) {
            const convolution_operands s = {
                a + i*a_row, b + j, c + i*c_row + j, a_row, a_depth, b_depth, c_row, depth, keep, (double)sign,
            };
            taken = rows - i >= convolution_ROWS ? convolution_ROWS : rows - i >= 4 ? 4 : rows - i >= 2 ? 2 : 1;
            switch (4*taken + vectors) {
#if convolution_ROWS == 8
            convolution_CASES(8)
#endif
            convolution_CASES(4)
            convolution_CASES(2)
            convolution_CASES(1)
            default: break;
            }
        }
    }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && convolution_BYTES >= 32
#define convolution_SHUFFLES
#if convolution_BYTES == 64
convolution_ALWAYS void convolution_exchange(convolution_vector *r)
{
    convolution_vector a, b;
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
#if convolution_BYTES == 32
convolution_ALWAYS void convolution_exchange(convolution_vector *r)
{
    convolution_vector a, b;
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
static void convolution_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef convolution_SHUFFLES
    whole_rows = rows - rows % convolution_LANES;
    whole_columns = columns - columns % convolution_LANES;
    for (int64_t j = 0; j < whole_columns; j += convolution_LANES) {
        for (int64_t p = 0; p < whole_rows; p += convolution_LANES) {
            convolution_vector r[convolution_LANES];
            for (int k = 0; k < convolution_LANES; k++) {
                r[k] = *(const convolution_vector *)(source + (j + k)*source_row + p);
            }
            convolution_exchange(r);
            for (int k = 0; k < convolution_LANES; k++) {
                *(convolution_vector *)(to + (p + k)*to_row + j) = r[k];
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

static void convolution_contract(const double *restrict a, const double *restrict b,
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
            convolution_tile(&a[0], a_row, a_depth, &b[0], b_depth, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
        if (!t3) {
            convolution_transpose(&b[0], b_column, &scratch[0], 24, depth, columns);
            convolution_tile(&a[0], a_row, a_depth, &scratch[0], 24, &c[0], c_row, rows, columns, depth,
                keep != 0, (int)sign);
        }
    }
    if (!t2) {
        const int t4 = ((7 >= columns) && (rows >= columns + 1)) && (lower == 0);
        if (t4) {
            convolution_contract(&b[0], &a[0], &c[0], &scratch[0], columns, rows, depth, b_column, b_depth,
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
                    const int64_t n0 = convolution_min(192, depth - i1);
                    for (int64_t i2 = 0; i2 < columns; i2 += 24) {
                        const int64_t n1 = convolution_min(24, columns - i2);
                        const int t5 = 704*n1 + n1*n1*n1 == 48*n1*n1 + 3072;
                        const int t6 = !((b_column == 1) && t5);
                        if (t6) {
                            const int t7 = b_depth == 1;
                            if (t7) {
                                convolution_transpose(&b[b_column*i2 + i1], b_column, &scratch[0], 24, n0, n1);
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
                            for (int64_t i3 = convolution_max(i0, i2*lower); i3 < convolution_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n2 = convolution_min(8, rows - i3);
                                if (t8) {
                                    convolution_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
                                        &c[c_column*i2 + c_row*i3], c_row, n2, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    convolution_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &b[b_column*i2 + b_depth*i1], b_depth,
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
                            for (int64_t i3 = convolution_max(i0, i2*lower); i3 < convolution_min(i0 + 256, rows); i3 += 8) {
                                const int64_t n3 = convolution_min(8, rows - i3);
                                if (t8) {
                                    convolution_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24,
                                        &c[c_column*i2 + c_row*i3], c_row, n3, n1, n0, i1 + keep != 0, (int)sign);
                                }
                                if (!t8) {
                                    convolution_tile(&a[a_depth*i1 + a_row*i3], a_row, a_depth, &scratch[0], 24, &scratch[4608], 24,
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

void convolution(const double *restrict x, const double *restrict w, double *restrict value,
    double *restrict grad_x, double *restrict grad_w, double *restrict work, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K)
{
    const int64_t rows_1 = convolution_min(72, B);
    const int64_t few = convolution_min(1, -T + 8);
    const int64_t rows = convolution_min(72, O);
    const int64_t many = convolution_min(1, T - 7);
    double *const restrict t1_1 = work;
    const int64_t at1 = convolution_slice(convolution_extent(few*rows_1)*convolution_extent(T - K + 1)*convolution_extent(O));
    double *const restrict t4_1 = work + at1;
    const int64_t at2 = at1 + convolution_slice(convolution_extent(O*few)*convolution_extent(B)*convolution_extent(T - K + 1));
    double *const restrict t5_1 = work + at2;
    const int64_t at3 = at2 + convolution_slice(convolution_extent(B*few)*convolution_extent(O)*convolution_extent(K + T - 1));
    double *const restrict t6_1 = work + at3;
    const int64_t at4 = at3 + convolution_slice(convolution_extent(9600*few));
    double *const restrict t1 = work + at4;
    const int64_t at5 = at4 + convolution_slice(convolution_extent(B*many)*convolution_extent(rows)*convolution_extent(T - K + 1));
    double *const restrict t2 = work + at5;
    const int64_t at6 = at5 + convolution_slice(convolution_extent(B*many)*convolution_extent(rows)*convolution_extent(T - K + 1));
    double *const restrict t3 = work + at6;
    const int64_t at7 = at6 + convolution_slice(convolution_extent(B*many)*convolution_extent(rows)*convolution_extent(T - K + 1));
    double *const restrict t4 = work + at7;
    const int64_t at8 = at7 + convolution_slice(convolution_extent(O*many)*convolution_extent(B)*convolution_extent(T - K + 1));
    double *const restrict t5 = work + at8;
    const int64_t at9 = at8 + convolution_slice(convolution_extent(B*many)*convolution_extent(O)*convolution_extent(K + T - 1));
    double *const restrict t6 = work + at9;
    if (7 >= T) {
        double c1 = 0.0;
        for (int64_t i = 0; i < B; i++) {
            for (int64_t j = 0; j < C; j++) {
                for (int64_t k = 0; k < T; k++) {
                    grad_x[(i*C + j)*T + k] = 0.0;
                }
            }
        }
        for (int64_t i = 0; i < O; i++) {
            for (int64_t j = 0; j < C; j++) {
                for (int64_t k = 0; k < K; k++) {
                    grad_w[(i*C + j)*K + k] = 0.0;
                }
            }
        }
        const int64_t none = convolution_min(0, B - 25);
        /* strip by strip: what is in between stays in the cache */
        for (int64_t first = 0; first < B - none - 24; first += 48) {
            const int64_t over = convolution_min(0, first - B + 72);
            const int64_t more = convolution_min(1, -over);
            const int64_t strip = B + first*more + 48*more - B*more - first;
            for (int64_t i = first; i < first + strip; i++) {
                for (int64_t j = 0; j < T - K + 1; j++) {
                    for (int64_t k = 0; k < O; k++) {
                        t1_1[((i - first)*(T - K + 1) + j)*O + k] = 0.0;
                    }
                }
            }
            for (int64_t i = 0; i < T - K + 1; i++) {
                for (int64_t j = 0; j < K; j++) {
                    if (32 >= C*O*strip) {
                        /* product of few terms */
                        for (int64_t row = 0; row < strip; row++) {
                            for (int64_t column = 0; column < O; column++) {
                                double c2 = 0.0;
                                for (int64_t term = 0; term < C; term++) {
                                    c2 += x[first*C*T + C*T*row + T*term + i + j] * w[C*K*column + K*term + j];
                                }
                                t1_1[i*O + O*T*row + O*row + column - K*O*row] += c2;
                            }
                        }
                    }
                    if (C*O*strip >= 33) {
                        convolution_contract(&x[first*C*T + i + j], &w[j], &t1_1[i*O], &t6_1[0], strip, O, C, C*T, T, K,
                            C*K, O + O*T - K*O, 1, 1, 1, 0);
                    }
                }
            }
            for (int64_t i = first; i < first + strip; i++) {
                for (int64_t j = 0; j < T - K + 1; j++) {
                    convolution_SUM(c1)
                    for (int64_t k = 0; k < O; k++) {
                        const double tt1 = t1_1[((i - first)*(T - K + 1) + j)*O + k];
                        const double tt2 = tanh(tt1);
                        const double tt3 = 1.0 / cosh(tt1);
                        c1 += tt2 * tt2;
                        t4_1[(k*B + i)*(T - K + 1) + j] = 2.0 * (tt2 * (tt3 * tt3));
                    }
                }
                for (int64_t j = 0; j < O; j++) {
                    for (int64_t k = 0; k < K + T - 1; k++) {
                        double c3 = 0.0;
                        if ((k + 1 >= K) && (T >= k + 1)) {
                            c3 = t4_1[(j*B + i)*(T - K + 1) + k - K + 1];
                        }
                        t5_1[(i*O + j)*(K + T - 1) + k] = c3;
                    }
                }
            }
        }
        value[0] = c1;
        for (int64_t i = 0; i < T; i++) {
            for (int64_t j = 0; j < O; j++) {
                if (32 >= B*C*K) {
                    /* product of few terms */
                    for (int64_t row = 0; row < C; row++) {
                        for (int64_t column = 0; column < B; column++) {
                            double c4 = 0.0;
                            for (int64_t term = 0; term < K; term++) {
                                const double tt4 = w[j*C*K + K*row + term] * t5_1[j*(K + T - 1) + K + K*O*column + O*T*column + i - O*column - term - 1];
                                c4 += tt4;
                            }
                            grad_x[C*T*column + T*row + i] += c4;
                        }
                    }
                }
                if (B*C*K >= 33) {
                    convolution_contract(&w[j*C*K], &t5_1[j*(K + T - 1) + K + i - 1], &grad_x[i], &t6_1[0], C, B, K, K,
                        1, -1, K*O + O*T - O, T, C*T, 1, 1, 0);
                }
            }
        }
        for (int64_t i = 0; i < C; i++) {
            for (int64_t j = 0; j < T - K + 1; j++) {
                if (32 >= B*K*O) {
                    /* product of few terms */
                    for (int64_t row = 0; row < O; row++) {
                        for (int64_t column = 0; column < K; column++) {
                            double c5 = 0.0;
                            for (int64_t term = 0; term < B; term++) {
                                const double tt5 = t4_1[B*T*row + B*row + T*term + j + term - B*K*row - K*term] * x[i*T + C*T*term + column + j];
                                c5 += tt5;
                            }
                            grad_w[i*K + C*K*row + column] += c5;
                        }
                    }
                }
                if (B*K*O >= 33) {
                    convolution_contract(&t4_1[j], &x[i*T + j], &grad_w[i*K], &t6_1[0], O, K, B, B + B*T - B*K,
                        T - K + 1, C*T, 1, C*K, 1, 1, 1, 0);
                }
            }
        }
    }
    if (T >= 8) {
        double c6 = 0.0;
        for (int64_t i = 0; i < B; i++) {
            for (int64_t j = 0; j < C; j++) {
                for (int64_t k = 0; k < T; k++) {
                    grad_x[(i*C + j)*T + k] = 0.0;
                }
            }
        }
        for (int64_t i = 0; i < O; i++) {
            for (int64_t j = 0; j < C; j++) {
                for (int64_t k = 0; k < K; k++) {
                    grad_w[(i*C + j)*K + k] = 0.0;
                }
            }
        }
        const int64_t none = convolution_min(0, O - 25);
        /* strip by strip: what is in between stays in the cache */
        for (int64_t first = 0; first < O - none - 24; first += 48) {
            const int64_t over = convolution_min(0, first - O + 72);
            const int64_t more = convolution_min(1, -over);
            const int64_t strip = O + first*more + 48*more - O*more - first;
            for (int64_t i = 0; i < B; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    for (int64_t k = 0; k < T - K + 1; k++) {
                        t1[(i*rows + j - first)*(T - K + 1) + k] = 0.0;
                    }
                }
            }
            for (int64_t i = 0; i < B; i++) {
                for (int64_t j = 0; j < K; j++) {
                    if (C*K*strip + 32 >= C*T*strip + C*strip) {
                        /* product of few terms */
                        for (int64_t row = 0; row < strip; row++) {
                            for (int64_t column = 0; column < T - K + 1; column++) {
                                double c7 = 0.0;
                                for (int64_t term = 0; term < C; term++) {
                                    c7 += w[first*C*K + C*K*row + K*term + j] * x[i*C*T + T*term + column + j];
                                }
                                t1[i*rows*(T - K + 1) + T*row + column + row - K*row] += c7;
                            }
                        }
                    }
                    if (C*T*strip + C*strip >= C*K*strip + 33) {
                        convolution_contract(&w[first*C*K + j], &x[i*C*T + j], &t1[i*rows*(T - K + 1)], &t6[0], strip,
                            T - K + 1, C, C*K, K, T, 1, T - K + 1, 1, 1, 1, 0);
                    }
                }
            }
            for (int64_t i = 0; i < B; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    convolution_SUM(c6)
                    for (int64_t k = 0; k < T - K + 1; k++) {
                        const double tt6 = t1[(i*rows + j - first)*(T - K + 1) + k];
                        const double tt7 = tanh(tt6);
                        t2[(i*rows + j - first)*(T - K + 1) + k] = tt7;
                        t3[(i*rows + j - first)*(T - K + 1) + k] = 1.0 / cosh(tt6);
                        c6 += tt7 * tt7;
                    }
                }
            }
            for (int64_t i = first; i < first + strip; i++) {
                for (int64_t j = 0; j < B; j++) {
                    for (int64_t k = 0; k < T - K + 1; k++) {
                        const double tt8 = t3[(j*rows + i - first)*(T - K + 1) + k];
                        t4[(i*B + j)*(T - K + 1) + k] = 2.0 * (tt8 * tt8 * t2[(j*rows + i - first)*(T - K + 1) + k]);
                    }
                }
            }
            for (int64_t i = 0; i < B; i++) {
                for (int64_t j = first; j < first + strip; j++) {
                    for (int64_t k = 0; k < K + T - 1; k++) {
                        double c8 = 0.0;
                        if ((k + 1 >= K) && (T >= k + 1)) {
                            c8 = t4[(j*B + i)*(T - K + 1) + k - K + 1];
                        }
                        t5[(i*O + j)*(K + T - 1) + k] = c8;
                    }
                }
            }
        }
        value[0] = c6;
        for (int64_t i = 0; i < B; i++) {
            for (int64_t j = 0; j < O; j++) {
                if (32 >= C*K*T) {
                    /* product of few terms */
                    for (int64_t row = 0; row < C; row++) {
                        for (int64_t column = 0; column < T; column++) {
                            double c9 = 0.0;
                            for (int64_t term = 0; term < K; term++) {
                                c9 += w[j*C*K + K*row + term] * t5[(i*O + j)*(K + T - 1) + K + column - term - 1];
                            }
                            grad_x[i*C*T + T*row + column] += c9;
                        }
                    }
                }
                if (C*K*T >= 33) {
                    convolution_contract(&w[j*C*K], &t5[(i*O + j)*(K + T - 1) + K - 1], &grad_x[i*C*T], &t6[0], C, T,
                        K, K, 1, -1, 1, T, 1, 1, 1, 0);
                }
            }
        }
        for (int64_t i = 0; i < C; i++) {
            for (int64_t j = 0; j < B; j++) {
                if (K*K*O + 32 >= K*O + K*O*T) {
                    /* product of few terms */
                    for (int64_t row = 0; row < O; row++) {
                        for (int64_t column = 0; column < K; column++) {
                            double c10 = 0.0;
                            for (int64_t term = 0; term < T - K + 1; term++) {
                                c10 += t4[j*(T - K + 1) + B*T*row + B*row + term - B*K*row] * x[(j*C + i)*T + column + term];
                            }
                            grad_w[i*K + C*K*row + column] += c10;
                        }
                    }
                }
                if (K*O + K*O*T >= K*K*O + 33) {
                    convolution_contract(&t4[j*(T - K + 1)], &x[(j*C + i)*T], &grad_w[i*K], &t6[0], O, K, T - K + 1,
                        B + B*T - B*K, 1, 1, 1, C*K, 1, 1, 1, 0);
                }
            }
        }
    }
}

int64_t convolution_work_size(int64_t B, int64_t C, int64_t T, int64_t O, int64_t K)
{
    (void)C;
    return convolution_slice(convolution_extent(convolution_min(1, -T + 8)*convolution_min(72, B))*convolution_extent(T - K + 1)*convolution_extent(O)) + convolution_slice(convolution_extent(O*convolution_min(1, -T + 8))*convolution_extent(B)*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B*convolution_min(1, -T + 8))*convolution_extent(O)*convolution_extent(K + T - 1)) + convolution_slice(convolution_extent(9600*convolution_min(1, -T + 8))) + convolution_slice(convolution_extent(B*convolution_min(1, T - 7))*convolution_extent(convolution_min(72, O))*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B*convolution_min(1, T - 7))*convolution_extent(convolution_min(72, O))*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B*convolution_min(1, T - 7))*convolution_extent(convolution_min(72, O))*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(O*convolution_min(1, T - 7))*convolution_extent(B)*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B*convolution_min(1, T - 7))*convolution_extent(O)*convolution_extent(K + T - 1)) + convolution_slice(convolution_extent(9600*convolution_min(1, T - 7)));
}

int64_t convolution_argument_count(void)
{
    return 5;
}

const char *convolution_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "w";
    case 2: return "value";
    case 3: return "grad_x";
    case 4: return "grad_w";
    default: return "";
    }
}

int64_t convolution_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 3;
    case 1: return 3;
    case 2: return 0;
    case 3: return 3;
    case 4: return 3;
    default: return -1;
    }
}

int64_t convolution_argument_extent(int64_t argument, int64_t axis, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = B; break;
    case 1: extent = C; break;
    case 2: extent = T; break;
    case 64: extent = O; break;
    case 65: extent = C; break;
    case 66: extent = K; break;
    case 192: extent = B; break;
    case 193: extent = C; break;
    case 194: extent = T; break;
    case 256: extent = O; break;
    case 257: extent = C; break;
    case 258: extent = K; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
