/*
 * value, grad
 *
 * size    n
 * size    d
 * input   X (n, d) double
 * input   y (n,) double
 * input   w (d,) double
 * input   b () double
 * input   penalty () double
 * output  value () double
 * output  grad_w (d,) double
 * output  grad_b () double
 * work    t1 () double
 * work    t2 (n,) double
 * work    t3 () double
 * work    t5 () double
 * work    t6 (n,) double
 *
 * expression: penalty*Sum(w[j]**2, (j, 0, d - 1))/2 + Sum(log(1 + exp(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i])), (i, 0, n - 1))/n
 * differentiated by: w, b
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_w (d,), row-major; grad_b (), row-major
 * operations: 383 as derived, 422 after optimisation, every size 8
 */

#include "logistic_regression.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define logistic_regression_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define logistic_regression_SUM(...) logistic_regression_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define logistic_regression_SUM(...)
#endif

static int64_t logistic_regression_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t logistic_regression_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void logistic_regression(const double *restrict X, const double *restrict y,
    const double *restrict w, const double *restrict b, const double *restrict penalty,
    double *restrict value, double *restrict grad_w, double *restrict grad_b,
    double *restrict work, int64_t n, int64_t d)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + 8;
    const int64_t at1 = 8 + logistic_regression_slice(logistic_regression_extent(n));
    double *const restrict t3 = work + at1;
    double *const restrict t5 = work + at1 + 8;
    double *const restrict t6 = work + at1 + 8 + 8;
    double c1 = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double c2 = 0.0;
        logistic_regression_SUM(c2)
        for (int64_t j = 0; j < d; j++) {
            c2 += w[j] * X[i*d + j];
        }
        t2[i] = c2;
    }
    double c3 = 0.0;
    const double tt1 = b[0];
    const double tt2 = (double)n;
    const double tt3 = penalty[0];
    double c4 = 0.0;
    logistic_regression_SUM(c3, c4)
    for (int64_t i = 0; i < n; i++) {
        const double tt4 = t2[i];
        const double tt5 = y[i];
        const double tt6 = -(tt5 * (tt1 + tt4));
        c3 += (((0.0 <= tt6) || (tt6 != tt6)) ? tt6 : 0.0) + log1p(exp(-fabs(tt6)));
        const double tt7 = -(tt5 * (tt1 + tt4));
        const double tt8 = exp(-fabs(tt7));
        const double tt9 = ((0.0 <= tt7) ? 1.0 : tt8) / (1.0 + tt8);
        c4 += tt5 * tt9;
        t6[i] = -(tt5 * (tt9 / tt2));
    }
    t3[0] = c3;
    const double tt10 = t3[0] / tt2;
    t5[0] = c4;
    for (int64_t i = 0; i < d; i++) {
        grad_w[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i += 4) {
        const int tt11 = n >= i + 4;
        if (tt11) {
            const int64_t i_1 = i;
            const double tt12 = t6[i_1];
            const int64_t i_2 = i + 1;
            const double tt13 = t6[i_2];
            const int64_t i_3 = i + 2;
            const double tt14 = t6[i_3];
            const int64_t i_4 = i + 3;
            const double tt15 = t6[i_4];
            for (int64_t j = 0; j < d; j++) {
                const double tt16 = grad_w[j] + tt12 * X[i_1*d + j] + tt13 * X[i_2*d + j] + tt14 * X[i_3*d + j] + tt15 * X[i_4*d + j];
                grad_w[j] = tt16;
            }
        }
        if (!tt11) {
            for (int64_t i_5 = i; i_5 < n; i_5++) {
                const double tt17 = t6[i_5];
                for (int64_t j = 0; j < d; j++) {
                    grad_w[j] += tt17 * X[i_5*d + j];
                }
            }
        }
    }
    logistic_regression_SUM(c1)
    for (int64_t i = 0; i < d; i++) {
        const double tt18 = w[i];
        c1 += tt18 * tt18;
        grad_w[i] = grad_w[i] + tt3 * tt18;
    }
    t1[0] = c1;
    value[0] = 0.5 * (t1[0] * tt3) + tt10;
    grad_b[0] = -(t5[0] / tt2);
}

int64_t logistic_regression_work_size(int64_t n, int64_t d)
{
    (void)d;
    return 8 + logistic_regression_slice(logistic_regression_extent(n)) + 8 + 8 + logistic_regression_slice(logistic_regression_extent(n));
}

int64_t logistic_regression_argument_count(void)
{
    return 8;
}

const char *logistic_regression_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "X";
    case 1: return "y";
    case 2: return "w";
    case 3: return "b";
    case 4: return "penalty";
    case 5: return "value";
    case 6: return "grad_w";
    case 7: return "grad_b";
    default: return "";
    }
}

int64_t logistic_regression_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 1;
    case 2: return 1;
    case 3: return 0;
    case 4: return 0;
    case 5: return 0;
    case 6: return 1;
    case 7: return 0;
    default: return -1;
    }
}

int64_t logistic_regression_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 128: extent = d; break;
    case 384: extent = d; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
