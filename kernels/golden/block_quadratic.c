/*
 * value, grad
 *
 * size    n
 * size    m
 * input   A (n, n) double
 * input   B (n, m) double
 * input   C (m, m) double
 * input   x (n, 1) double
 * input   y (m, 1) double
 * output  value () double
 * output  grad_B (n, m) double
 * output  grad_x (n, 1) double
 * output  grad_y (m, 1) double
 * work    t1 (m + n,) double
 * work    t2 (m + n,) double
 * work    t3 (m,) double
 * work    t4 (n,) double
 *
 * expression: Trace(Matrix([[x.T, y.T]])*Matrix([<U+000A>[  A, B],<U+000A>[B.T, C]])*Matrix([<U+000A>[x],<U+000A>[y]]))
 * differentiated by: B, x, y
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_B (n, m), row-major; grad_x (n, 1), row-major; grad_y (m, 1), row-major
 * operations: 2848 as derived, 2848 after optimisation, every size 8
 */

#include "block_quadratic.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define block_quadratic_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define block_quadratic_SUM(...) block_quadratic_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define block_quadratic_SUM(...)
#endif

static int64_t block_quadratic_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t block_quadratic_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void block_quadratic(const double *restrict A, const double *restrict B, const double *restrict C,
    const double *restrict x, const double *restrict y, double *restrict value,
    double *restrict grad_B, double *restrict grad_x, double *restrict grad_y,
    double *restrict work, int64_t n, int64_t m)
{
    double *const restrict t1 = work;
    const int64_t at1 = block_quadratic_slice(block_quadratic_extent(m + n));
    double *const restrict t2 = work + at1;
    const int64_t at2 = at1 + block_quadratic_slice(block_quadratic_extent(m + n));
    double *const restrict t3 = work + at2;
    const int64_t at3 = at2 + block_quadratic_slice(block_quadratic_extent(m));
    double *const restrict t4 = work + at3;
    double c1 = 0.0;
    for (int64_t i = 0; i < m; i++) {
        t3[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        t4[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        double c2 = 0.0;
        block_quadratic_SUM(c2)
        for (int64_t j = 0; j < n; j++) {
            c2 += A[i*n + j] * x[j*1];
        }
        block_quadratic_SUM(c2)
        for (int64_t j = n; j < m + n; j++) {
            c2 += B[i*m + j - n] * y[(j - n)*1];
        }
        t1[i] = c2;
        c1 += x[i*1] * t1[i];
        const double tt1 = x[i*1];
        t2[i] = tt1;
        for (int64_t j = 0; j < m; j++) {
            t3[j] += tt1 * B[i*m + j];
        }
        for (int64_t j = 0; j < n; j++) {
            t4[j] += tt1 * A[i*n + j];
        }
    }
    for (int64_t i = n; i < m + n; i++) {
        double c3 = 0.0;
        block_quadratic_SUM(c3)
        for (int64_t j = 0; j < n; j++) {
            c3 += B[j*m + i - n] * x[j*1];
        }
        block_quadratic_SUM(c3)
        for (int64_t j = n; j < m + n; j++) {
            c3 += C[(i - n)*m + j - n] * y[(j - n)*1];
        }
        t1[i] = c3;
        c1 += y[(i - n)*1] * t1[i];
        const double tt2 = y[(i - n)*1];
        t2[i] = tt2;
        for (int64_t j = 0; j < m; j++) {
            t3[j] += tt2 * C[(i - n)*m + j];
        }
        for (int64_t j = 0; j < n; j++) {
            t4[j] += tt2 * B[j*m + i - n];
        }
    }
    value[0] = c1;
    for (int64_t i = 0; i < n; i++) {
        const double tt3 = x[i*1];
        const double tt4 = t2[i];
        for (int64_t j = 0; j < m; j++) {
            grad_B[i*m + j] = tt3 * t2[j + n] + tt4 * y[j*1];
        }
        grad_x[i*1] = t4[i] + t1[i];
    }
    for (int64_t i = 0; i < m; i++) {
        grad_y[i*1] = t1[i + n] + t3[i];
    }
}

int64_t block_quadratic_work_size(int64_t n, int64_t m)
{
    return block_quadratic_slice(block_quadratic_extent(m + n)) + block_quadratic_slice(block_quadratic_extent(m + n)) + block_quadratic_slice(block_quadratic_extent(m)) + block_quadratic_slice(block_quadratic_extent(n));
}

int64_t block_quadratic_argument_count(void)
{
    return 9;
}

const char *block_quadratic_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "A";
    case 1: return "B";
    case 2: return "C";
    case 3: return "x";
    case 4: return "y";
    case 5: return "value";
    case 6: return "grad_B";
    case 7: return "grad_x";
    case 8: return "grad_y";
    default: return "";
    }
}

int64_t block_quadratic_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 2;
    case 2: return 2;
    case 3: return 2;
    case 4: return 2;
    case 5: return 0;
    case 6: return 2;
    case 7: return 2;
    case 8: return 2;
    default: return -1;
    }
}

int64_t block_quadratic_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t m)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = n; break;
    case 64: extent = n; break;
    case 65: extent = m; break;
    case 128: extent = m; break;
    case 129: extent = m; break;
    case 192: extent = n; break;
    case 193: extent = 1; break;
    case 256: extent = m; break;
    case 257: extent = 1; break;
    case 384: extent = n; break;
    case 385: extent = m; break;
    case 448: extent = n; break;
    case 449: extent = 1; break;
    case 512: extent = m; break;
    case 513: extent = 1; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
