/*
 * value, grad
 *
 * size    n
 * input   x (n,) double
 * output  value () double
 * output  grad (n,) double
 *
 * expression: Sum((1 - x[i])**2 + 100*(x[i + 1] - x[i]**2)**2, (i, 0, n - 2))
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n,), row-major
 * operations: 134 as derived, 134 after optimisation, every size 8
 */

#include "rosenbrock.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define rosenbrock_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define rosenbrock_SUM(...) rosenbrock_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define rosenbrock_SUM(...)
#endif

static int64_t rosenbrock_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t rosenbrock_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void rosenbrock(const double *restrict x, double *restrict value, double *restrict grad,
    int64_t n)
{
    double c1 = 0.0;
    rosenbrock_SUM(c1)
    for (int64_t i = 0; i < n - 1; i++) {
        const double t1 = x[i];
        const double t2 = 1.0 - t1;
        const double t3 = x[i + 1] - t1 * t1;
        c1 += 100.0 * (t3 * t3) + t2 * t2;
    }
    value[0] = c1;
    for (int64_t i = 0; i < rosenbrock_min(n, 1); i++) {
        double c2 = 0.0;
        if (n >= i + 2) {
            const double t4 = x[i];
            c2 = -400.0 * ((x[i + 1] - t4 * t4) * t4) + -2.0 * (1.0 - t4);
        }
        double c3 = 0.0;
        if (i >= 1) {
            const double t5 = x[i - 1];
            c3 = 200.0 * (x[i] - t5 * t5);
        }
        grad[i] = c3 + c2;
    }
    for (int64_t i = 1; i < n - 1; i++) {
        const double t6 = x[i];
        const double t7 = x[i - 1];
        grad[i] = 200.0 * (x[i] - t7 * t7) + (-400.0 * ((x[i + 1] - t6 * t6) * t6) + -2.0 * (1.0 - t6));
    }
    for (int64_t i = rosenbrock_max(1, n - 1); i < n; i++) {
        double c4 = 0.0;
        if (n >= i + 2) {
            const double t8 = x[i];
            c4 = -400.0 * ((x[i + 1] - t8 * t8) * t8) + -2.0 * (1.0 - t8);
        }
        double c5 = 0.0;
        if (i >= 1) {
            const double t9 = x[i - 1];
            c5 = 200.0 * (x[i] - t9 * t9);
        }
        grad[i] = c5 + c4;
    }
}

int64_t rosenbrock_work_size(int64_t n)
{
    (void)n;
    return 0;
}

int64_t rosenbrock_argument_count(void)
{
    return 3;
}

const char *rosenbrock_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "value";
    case 2: return "grad";
    default: return "";
    }
}

int64_t rosenbrock_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 1;
    case 1: return 0;
    case 2: return 1;
    default: return -1;
    }
}

int64_t rosenbrock_argument_extent(int64_t argument, int64_t axis, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 128: extent = n; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
