/*
 * value, grad
 *
 * size    n
 * input   v (n,) double
 * output  value () double
 * output  grad_v (n,) double
 * work    t1 (n,) double
 * work    t2 (n,) double
 *
 * expression: Sum(Abs(v[i] - v[j])**3, (j, 0, i - 1), (i, 0, n - 1))
 * differentiated by: v
 * stability rewrites: on
 * kinks: first (ties of Max and Min go to the first argument, and Abs has slope 0 at 0)
 * value: value (), row-major
 * grad: grad_v (n,), row-major
 * operations: 519 as derived, 463 after optimisation, every size 8
 */

#include "energy.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define energy_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define energy_SUM(...) energy_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define energy_SUM(...)
#endif

static int64_t energy_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t energy_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t energy_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t energy_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void energy(const double *restrict v, double *restrict value, double *restrict grad_v,
    double *restrict work, int64_t n)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + energy_slice(energy_extent(n));
    double c1 = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double tt1 = v[i];
        energy_SUM(c1)
        for (int64_t j = 0; j < energy_min(n - 1, i); j++) {
            const double tt2 = fabs(tt1 - v[j]);
            c1 += tt2 * tt2 * tt2;
        }
    }
    value[0] = c1;
    for (int64_t i = 0; i < n; i++) {
        double c2 = 0.0;
        const double tt3 = v[i];
        energy_SUM(c2)
        for (int64_t j = 0; j < energy_min(n - 1, i); j++) {
            const double tt4 = tt3 - v[j];
            const double tt5 = fabs(tt4);
            const double tt6 = tt5 * tt5;
            c2 += (2.0 * tt6 + tt6) * ((0.0 < tt4) ? 1.0 : ((tt4 < 0.0) ? (-1.0) : tt4));
        }
        t1[i] = c2;
    }
    for (int64_t i = 0; i < n; i++) {
        double c3 = 0.0;
        const double tt7 = v[i];
        energy_SUM(c3)
        for (int64_t j = energy_max(0, i + 1); j < n; j++) {
            const double tt8 = v[j] - tt7;
            const double tt9 = fabs(tt8);
            const double tt10 = tt9 * tt9;
            c3 += ((0.0 < tt8) ? 1.0 : ((tt8 < 0.0) ? (-1.0) : tt8)) * (2.0 * tt10 + tt10);
        }
        t2[i] = c3;
    }
    for (int64_t i = 0; i < n; i++) {
        grad_v[i] = ((n >= i + 2) ? (-t2[i]) : 0) + t1[i];
    }
}

int64_t energy_work_size(int64_t n)
{
    return energy_slice(energy_extent(n)) + energy_slice(energy_extent(n));
}

int64_t energy_argument_count(void)
{
    return 3;
}

const char *energy_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "v";
    case 1: return "value";
    case 2: return "grad_v";
    default: return "";
    }
}

int64_t energy_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 1;
    case 1: return 0;
    case 2: return 1;
    default: return -1;
    }
}

int64_t energy_argument_extent(int64_t argument, int64_t axis, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 128: extent = n; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
