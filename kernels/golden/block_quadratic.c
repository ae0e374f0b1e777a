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
    double *const restrict t2 = work + block_quadratic_slice(block_quadratic_extent(m + n));
    double *const restrict t3 = work + block_quadratic_slice(block_quadratic_extent(m + n)) + block_quadratic_slice(block_quadratic_extent(m + n));
    double *const restrict t4 = work + block_quadratic_slice(block_quadratic_extent(m + n)) + block_quadratic_slice(block_quadratic_extent(m + n)) + block_quadratic_slice(block_quadratic_extent(m));
    for (int64_t i = 0; i < m + n; i++) {
        t1[i] = 0.0;
    }
    for (int64_t i = 0; i < m + n; i++) {
        const int tt1 = n >= i + 1;
        double c1 = 0.0;
        if (tt1) {
            c1 = x[i*1];
        }
        const int tt2 = i >= n;
        double c2 = 0.0;
        if (tt2) {
            c2 = y[(i - n)*1];
        }
        const double tt3 = c2 + c1;
        for (int64_t j = 0; j < m + n; j++) {
            const int tt4 = n >= j + 1;
            double c3 = 0.0;
            if (tt1 && tt4) {
                c3 = A[j*n + i];
            }
            double c4 = 0.0;
            if (tt2 && tt4) {
                c4 = B[j*m + i - n];
            }
            const int tt5 = j >= n;
            double c5 = 0.0;
            const double tt6 = c4 + c3;
            if (tt5 && tt1) {
                c5 = B[i*m + j - n];
            }
            double c6 = 0.0;
            const double tt7 = tt6 + c5;
            if (tt2 && tt5) {
                c6 = C[(j - n)*m + i - n];
            }
            t1[j] += (c6 + tt7) * tt3;
        }
    }
    double c7 = 0.0;
    for (int64_t i = 0; i < m; i++) {
        t3[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        t4[i] = 0.0;
    }
    for (int64_t i = 0; i < m + n; i++) {
        double c8 = 0.0;
        if (n >= i + 1) {
            c8 = x[i*1];
        }
        double c9 = 0.0;
        if (i >= n) {
            c9 = y[(i - n)*1];
        }
        c7 += (c9 + c8) * t1[i];
        double c10 = 0.0;
        if (n >= i + 1) {
            c10 = x[i*1];
        }
        double c11 = 0.0;
        if (i >= n) {
            c11 = y[(i - n)*1];
        }
        const double tt8 = c11 + c10;
        t2[i] = tt8;
        const int tt9 = n >= i + 1;
        const int tt10 = i >= n;
        for (int64_t j = 0; j < m; j++) {
            const int tt11 = j >= 0;
            double c12 = 0.0;
            if (tt10 && tt11) {
                c12 = C[(i - n)*m + j];
            }
            const int tt12 = 0 >= j + 1;
            double c13 = 0.0;
            if (tt9 && tt12) {
                c13 = A[i*n + j + n];
            }
            double c14 = 0.0;
            if (tt9 && tt11) {
                c14 = B[i*m + j];
            }
            double c15 = 0.0;
            const double tt13 = c14 + c13;
            if (tt10 && tt12) {
                c15 = B[(j + n)*m + i - n];
            }
            t3[j] += tt8 * (tt11 ? (c15 + tt13 + c12) : 0.0);
        }
        const int tt14 = n >= i + 1;
        const int tt15 = i >= n;
        for (int64_t j = 0; j < n; j++) {
            const int tt16 = j >= n;
            double c16 = 0.0;
            if (tt15 && tt16) {
                c16 = C[(i - n)*m + j - n];
            }
            double c17 = 0.0;
            if (tt16 && tt14) {
                c17 = B[i*m + j - n];
            }
            const int tt17 = n >= j + 1;
            double c18 = 0.0;
            if (tt14 && tt17) {
                c18 = A[i*n + j];
            }
            double c19 = 0.0;
            const double tt18 = c18 + c17;
            if (tt15 && tt17) {
                c19 = B[j*m + i - n];
            }
            t4[j] += tt8 * (tt17 ? (c19 + tt18 + c16) : 0.0);
        }
    }
    value[0] = c7;
    for (int64_t i = 0; i < n; i++) {
        const int tt19 = n >= i + 1;
        const double tt20 = t2[i];
        double c20 = 0.0;
        if (i >= n) {
            c20 = y[(i - n)*1];
        }
        const double tt21 = c20 + (tt19 ? x[i*1] : 0);
        for (int64_t j = 0; j < m; j++) {
            double c21 = 0.0;
            if (0 >= j + 1) {
                c21 = x[(j + n)*1];
            }
            const int tt22 = j >= 0;
            const double tt23 = (tt22 && tt19) ? (tt21 * t2[j + n] + tt20 * (tt22 ? ((tt22 ? y[j*1] : 0) + c21) : 0.0)) : 0;
            grad_B[i*m + j] = tt23;
        }
        grad_x[i*1] = (n >= i + 1) ? (t4[i] + t1[i]) : 0;
    }
    for (int64_t i = 0; i < m; i++) {
        grad_y[i*1] = (i >= 0) ? (t1[i + n] + t3[i]) : 0;
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
