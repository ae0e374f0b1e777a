/*
 * value, grad
 *
 * size    n
 * input   A (n, n) double
 * output  value () double
 * output  grad (n, n) double
 * output  status () double
 * work    t1 (n + 1, n) double
 * work    t2 () double
 * work    t3 () double
 * work    t4 (n,) double
 * work    t5 (n, n) double
 * work    columns (16, 64) double
 *
 * status: 0, or the number of the first call that failed, whose results are then nan:
 *   1: the matrix 'A' is singular
 * expression: log(Determinant(A))
 * differentiated by: A
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, n), row-major
 * operations: 1365 as derived, 1407 after optimisation, every size 8
 */

#include "log_determinant.h"
#include <math.h>
#include <stdint.h>

/* The turns of a loop touch different elements of all arrays. */
#if defined(__clang__)
#define log_determinant_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define log_determinant_INDEPENDENT _Pragma("GCC ivdep")
#else
#define log_determinant_INDEPENDENT
#endif

static int64_t log_determinant_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t log_determinant_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t log_determinant_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

/* A vector of numbers in a register. */
#if defined(__AVX512F__)
#define log_determinant_BYTES 64
#elif defined(__AVX__)
#define log_determinant_BYTES 32
#else
#define log_determinant_BYTES 16
#endif
#if defined(__GNUC__)
typedef double log_determinant_vector __attribute__((vector_size(log_determinant_BYTES), aligned(8), may_alias));
#define log_determinant_LANES (log_determinant_BYTES / 8)
#define log_determinant_ALWAYS static inline __attribute__((always_inline))
#else
typedef double log_determinant_vector;
#define log_determinant_LANES 1
#define log_determinant_ALWAYS static
#endif

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && log_determinant_BYTES >= 32
#define log_determinant_SHUFFLES
#if log_determinant_BYTES == 64
log_determinant_ALWAYS void log_determinant_exchange(log_determinant_vector *r)
{
    log_determinant_vector a, b;
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
#if log_determinant_BYTES == 32
log_determinant_ALWAYS void log_determinant_exchange(log_determinant_vector *r)
{
    log_determinant_vector a, b;
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
static void log_determinant_transpose(
    const double *source, int64_t source_row, double *to, int64_t to_row, int64_t rows, int64_t columns)
{
    int64_t whole_rows = 0, whole_columns = 0;
#ifdef log_determinant_SHUFFLES
    whole_rows = rows - rows % log_determinant_LANES;
    whole_columns = columns - columns % log_determinant_LANES;
    for (int64_t j = 0; j < whole_columns; j += log_determinant_LANES) {
        for (int64_t p = 0; p < whole_rows; p += log_determinant_LANES) {
            log_determinant_vector r[log_determinant_LANES];
            for (int k = 0; k < log_determinant_LANES; k++) {
                r[k] = *(const log_determinant_vector *)(source + (j + k)*source_row + p);
            }
            log_determinant_exchange(r);
            for (int k = 0; k < log_determinant_LANES; k++) {
                *(log_determinant_vector *)(to + (p + k)*to_row + j) = r[k];
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

void log_determinant(const double *restrict A, double *restrict value, double *restrict grad,
    double *restrict status, double *restrict work, int64_t n)
{
    double *const restrict t1 = work;
    const int64_t at1 = log_determinant_slice(log_determinant_extent(n + 1)*log_determinant_extent(n));
    double *const restrict t2 = work + at1;
    double *const restrict t3 = work + at1 + 8;
    double *const restrict t4 = work + at1 + 8 + 8;
    const int64_t at2 = at1 + 8 + 8 + log_determinant_slice(log_determinant_extent(n));
    double *const restrict t5 = work + at2;
    const int64_t at3 = at2 + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n));
    double *const restrict columns = work + at3;
    status[0] = 0.0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            t1[i*n + j] = A[i*n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        double c1 = fabs(t1[i*n + i]);
        double c2 = (double)i;
        for (int64_t j = i + 1; j < n; j++) {
            const double tt1 = fabs(t1[j*n + i]);
            const int tt2 = c1 < tt1;
            if (tt2) {
                c1 = tt1;
                c2 = (double)j;
            }
        }
        const int64_t g1 = (int64_t)c2;
        t1[n*n + i] = (double)g1;
        if ((double)g1 != (double)i) {
            log_determinant_INDEPENDENT
            for (int64_t j = 0; j < n; j++) {
                const double tt3 = t1[i*n + j];
                t1[i*n + j] = t1[g1*n + j];
                t1[g1*n + j] = tt3;
            }
        }
        const double tt4 = t1[i*n + i];
        if (tt4 != 0.0) {
            for (int64_t j = i + 1; j < n; j++) {
                const double tt5 = t1[j*n + i] / tt4;
                t1[j*n + i] = tt5;
                log_determinant_INDEPENDENT
                for (int64_t k = i + 1; k < n; k++) {
                    t1[j*n + k] = t1[j*n + k] - tt5 * t1[i*n + k];
                }
            }
        }
    }
    double c3 = 1.0;
    double c4 = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double tt6 = t1[i*n + i];
        const double tt7 = ((0.0 < tt6) ? 1.0 : ((tt6 < 0.0) ? (-1.0) : tt6)) * ((t1[n*n + i] == (double)i) ? 1.0 : (-1.0));
        c3 *= tt7;
        c4 += log(fabs(tt6));
    }
    t2[0] = c3;
    t3[0] = c4;
    value[0] = t3[0] + log(t2[0]);
    int c5 = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            t4[j] = 0.0;
        }
        t4[i] += 1.0;
        for (int64_t j = 0; j < n; j++) {
            t5[i*n + j] = t4[j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const double tt8 = t1[n*n + i];
        const int64_t g2 = (int64_t)tt8;
        if ((double)g2 != (double)i) {
            log_determinant_INDEPENDENT
            for (int64_t j = 0; j < n; j++) {
                const double tt9 = t5[i*n + j];
                t5[i*n + j] = t5[g2*n + j];
                t5[g2*n + j] = tt9;
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            const double tt10 = t1[i*n + j];
            log_determinant_INDEPENDENT
            for (int64_t k = 0; k < n; k++) {
                t5[i*n + k] = t5[i*n + k] - tt10 * t5[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const double tt11 = t1[(n - i - 1)*n + n - i - 1];
        if (tt11 == 0.0) {
            c5 = 1;
        }
        for (int64_t j = n - i; j < n; j++) {
            const double tt12 = t1[(n - i - 1)*n + j];
            log_determinant_INDEPENDENT
            for (int64_t k = 0; k < n; k++) {
                t5[(n - i - 1)*n + k] = t5[(n - i - 1)*n + k] - tt12 * t5[j*n + k];
            }
        }
        for (int64_t j = 0; j < n; j++) {
            t5[(n - i - 1)*n + j] = t5[(n - i - 1)*n + j] / tt11;
        }
    }
    if (c5) {
        const int tt13 = status[0] == 0.0;
        if (tt13) {
            status[0] = 1.0;
        }
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                t5[i*n + j] = NAN;
            }
        }
    }
    /* block by block: what is read down columns lies in rows */
    for (int64_t strip = 0; strip < n; strip += 64) {
        for (int64_t block = 0; block < n; block += 16) {
            const int64_t turns = log_determinant_min(16, n - block);
            const int64_t width = log_determinant_min(64, n - strip);
            log_determinant_transpose(&t5[strip*n + block], n, &columns[0], 64, turns, width);
            for (int64_t i = block; i < log_determinant_min(block + 16, n); i++) {
                for (int64_t j = strip; j < log_determinant_min(strip + 64, n); j++) {
                    grad[i*n + j] = columns[(i - block)*64 + j - strip];
                }
            }
        }
    }
}

int64_t log_determinant_work_size(int64_t n)
{
    return log_determinant_slice(log_determinant_extent(n + 1)*log_determinant_extent(n)) + 8 + 8 + log_determinant_slice(log_determinant_extent(n)) + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n)) + 1024;
}

int64_t log_determinant_argument_count(void)
{
    return 4;
}

const char *log_determinant_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "A";
    case 1: return "value";
    case 2: return "grad";
    case 3: return "status";
    default: return "";
    }
}

int64_t log_determinant_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 0;
    case 2: return 2;
    case 3: return 0;
    default: return -1;
    }
}

int64_t log_determinant_argument_extent(int64_t argument, int64_t axis, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = n; break;
    case 128: extent = n; break;
    case 129: extent = n; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
