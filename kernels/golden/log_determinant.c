/*
 * value, grad
 *
 * size    n
 * input   A (n, n) double
 * output  value () double
 * output  grad (n, n) double
 * work    t1 () double
 * work    t2 (n, n) double
 * work    t3 (n, n) double
 * work    t4 (n, n) double
 *
 * expression: log(Determinant(A))
 * differentiated by: A
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, n), row-major
 * operations: 1432 as derived, 1431 after optimisation, every size 8
 */

#include "log_determinant.h"
#include <math.h>
#include <stdint.h>

static int64_t log_determinant_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t log_determinant_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void log_determinant(const double *restrict A, double *restrict value, double *restrict grad,
    double *restrict work, int64_t n)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + 8;
    double *const restrict t3 = work + 8 + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n));
    double *const restrict t4 = work + 8 + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n)) + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n));
    for (int64_t j = 0; j < n; j++) {
        for (int64_t k = 0; k < n; k++) {
            t3[j*n + k] = A[j*n + k];
        }
    }
    double c1 = 1.0;
    for (int64_t i = 0; i < n; i++) {
        double c2 = fabs(t3[i*n + i]);
        double c3 = (double)i;
        for (int64_t j = i + 1; j < n; j++) {
            const double tt1 = fabs(t3[j*n + i]);
            const double tt2 = (double)j;
            const int tt3 = c2 < tt1;
            if (tt3) {
                c2 = tt1;
                c3 = tt2;
            }
        }
        for (int64_t j = i + 1; j < n; j++) {
            const int tt4 = (double)j == c3;
            if (tt4) {
                for (int64_t k = 0; k < n; k++) {
                    const double tt5 = t3[i*n + k];
                    t3[i*n + k] = t3[j*n + k];
                    t3[j*n + k] = tt5;
                }
                c1 = -c1;
            }
        }
        const double tt6 = t3[i*n + i];
        c1 = c1 * tt6;
        for (int64_t j = i + 1; j < n; j++) {
            const double tt7 = t3[j*n + i] / tt6;
            for (int64_t k = i + 1; k < n; k++) {
                t3[j*n + k] = t3[j*n + k] - tt7 * t3[i*n + k];
            }
        }
    }
    t1[0] = c1;
    const double tt8 = t1[0];
    value[0] = log(tt8);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t k = 0; k < n; k++) {
            t4[j*n + k] = A[j*n + k];
        }
    }
    for (int64_t j = 0; j < n; j++) {
        for (int64_t k = 0; k < n; k++) {
            t2[j*n + k] = 0.0;
        }
        t2[j*n + j] = 1.0;
    }
    for (int64_t i = 0; i < n; i++) {
        double c4 = fabs(t4[i*n + i]);
        double c5 = (double)i;
        for (int64_t j = i + 1; j < n; j++) {
            const double tt9 = fabs(t4[j*n + i]);
            const double tt10 = (double)j;
            const int tt11 = c4 < tt9;
            if (tt11) {
                c4 = tt9;
                c5 = tt10;
            }
        }
        for (int64_t j = i + 1; j < n; j++) {
            const int tt12 = (double)j == c5;
            if (tt12) {
                for (int64_t k = 0; k < n; k++) {
                    const double tt13 = t4[i*n + k];
                    t4[i*n + k] = t4[j*n + k];
                    t4[j*n + k] = tt13;
                }
                for (int64_t k = 0; k < n; k++) {
                    const double tt14 = t2[i*n + k];
                    t2[i*n + k] = t2[j*n + k];
                    t2[j*n + k] = tt14;
                }
            }
        }
        const double tt15 = t4[i*n + i];
        for (int64_t k = 0; k < n; k++) {
            t4[i*n + k] = t4[i*n + k] / tt15;
        }
        for (int64_t k = 0; k < n; k++) {
            t2[i*n + k] = t2[i*n + k] / tt15;
        }
        for (int64_t j = 0; j < i; j++) {
            const double tt16 = t4[j*n + i];
            for (int64_t k = 0; k < n; k++) {
                t4[j*n + k] = t4[j*n + k] - tt16 * t4[i*n + k];
            }
            for (int64_t k = 0; k < n; k++) {
                t2[j*n + k] = t2[j*n + k] - tt16 * t2[i*n + k];
            }
        }
        for (int64_t j = i + 1; j < n; j++) {
            const double tt17 = t4[j*n + i];
            for (int64_t k = 0; k < n; k++) {
                t4[j*n + k] = t4[j*n + k] - tt17 * t4[i*n + k];
            }
            for (int64_t k = 0; k < n; k++) {
                t2[j*n + k] = t2[j*n + k] - tt17 * t2[i*n + k];
            }
        }
    }
    const double tt18 = tt8 / tt8;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            grad[i*n + j] = t2[j*n + i] * tt18;
        }
    }
}

int64_t log_determinant_work_size(int64_t n)
{
    return 8 + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n)) + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n)) + log_determinant_slice(log_determinant_extent(n)*log_determinant_extent(n));
}

int64_t log_determinant_argument_count(void)
{
    return 3;
}

const char *log_determinant_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "A";
    case 1: return "value";
    case 2: return "grad";
    default: return "";
    }
}

int64_t log_determinant_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 0;
    case 2: return 2;
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
