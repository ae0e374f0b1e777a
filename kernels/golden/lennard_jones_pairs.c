/*
 * value, grad
 *
 * size    n
 * input   x (n, 3) double
 * output  value () double
 * output  grad (n, 3) double
 * work    t1_1 (few*n - few,) double
 * work    t2_1 (few*n, n - 1) double
 * work    t3_1 (few*n, 3) double
 * work    t4_1 (3*few,) double
 * work    t1 (many*n - many,) double
 * work    t2 (many*n, n - 1) double
 * work    t3 (3*many, n) double
 * work    t4 (many*n,) double
 *
 * expression: Sum(-4/Sum((x[i, k] - x[j, k])**2, (k, 0, 2))**3 + 4/Sum((x[i, k] - x[j, k])**2, (k, 0, 2))**6, (j, 0, i - 1), (i, 0, n - 1))
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, 3), row-major
 * operations: 1693 as derived, 1693 after optimisation, every size 8
 */

#include "lennard_jones_pairs.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define lennard_jones_pairs_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define lennard_jones_pairs_SUM(...) lennard_jones_pairs_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define lennard_jones_pairs_SUM(...)
#endif

static int64_t lennard_jones_pairs_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t lennard_jones_pairs_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t lennard_jones_pairs_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t lennard_jones_pairs_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void lennard_jones_pairs(const double *restrict x, double *restrict value, double *restrict grad,
    double *restrict work, int64_t n)
{
    const int64_t few = lennard_jones_pairs_min(1, -n + 8);
    const int64_t many = lennard_jones_pairs_min(1, n - 7);
    double *const restrict t1_1 = work;
    const int64_t at1 = lennard_jones_pairs_slice(lennard_jones_pairs_extent(few*n - few));
    double *const restrict t2_1 = work + at1;
    const int64_t at2 = at1 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(few*n)*lennard_jones_pairs_extent(n - 1));
    double *const restrict t3_1 = work + at2;
    const int64_t at3 = at2 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(few*n)*3);
    double *const restrict t4_1 = work + at3;
    const int64_t at4 = at3 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(3*few));
    double *const restrict t1 = work + at4;
    const int64_t at5 = at4 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(many*n - many));
    double *const restrict t2 = work + at5;
    const int64_t at6 = at5 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(many*n)*lennard_jones_pairs_extent(n - 1));
    double *const restrict t3 = work + at6;
    const int64_t at7 = at6 + lennard_jones_pairs_slice(lennard_jones_pairs_extent(3*many)*lennard_jones_pairs_extent(n));
    double *const restrict t4 = work + at7;
    if (7 >= n) {
        double c1 = 0.0;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n - 1; j++) {
                double c2 = 0.0;
                lennard_jones_pairs_SUM(c2)
                for (int64_t k = 0; k < 3; k++) {
                    const double tt1 = x[i*3 + k] - x[j*3 + k];
                    c2 += tt1 * tt1;
                }
                t1_1[j] = c2;
                const double tt2 = t1_1[j];
                const double tt3 = tt2 * tt2;
                const double tt4 = tt2 * tt3;
                const double tt5 = tt3 * tt3;
                const double tt6 = tt5 * tt3;
                const double tt7 = 4.0 / tt6 / tt6;
                const double tt8 = tt3 * (tt7 * tt3);
                const double tt9 = -4.0 / tt4 / tt4;
                const double tt10 = (tt2 * tt9 + (tt8 + (tt8 + tt5 * tt7))) * tt2;
                t2_1[i*(n - 1) + j] = (i >= j + 1) ? (-(tt10 + tt3 * tt9 + tt10)) : 0;
            }
            lennard_jones_pairs_SUM(c1)
            for (int64_t j = 0; j < lennard_jones_pairs_min(n - 1, i); j++) {
                const double tt11 = t1_1[j];
                const double tt12 = tt11 * tt11;
                c1 += 4.0 / (tt12 * tt12 * tt12) + -4.0 / (tt11 * tt12);
            }
            for (int64_t j = 0; j < 3; j++) {
                double c3 = 0.0;
                const double tt13 = x[i*3 + j];
                lennard_jones_pairs_SUM(c3)
                for (int64_t k = 0; k < lennard_jones_pairs_min(n - 1, i); k++) {
                    c3 += (tt13 - x[k*3 + j]) * t2_1[i*(n - 1) + k];
                }
                t3_1[i*3 + j] = c3;
            }
        }
        value[0] = c1;
        for (int64_t i = 0; i < n; i++) {
            const int tt14 = n >= i + 2;
            for (int64_t j = 0; j < 3; j++) {
                double c4 = 0.0;
                const double tt15 = x[i*3 + j];
                lennard_jones_pairs_SUM(c4)
                for (int64_t k = lennard_jones_pairs_max(0, i + 1); k < n; k++) {
                    c4 += t2_1[k*(n - 1) + i] * (x[k*3 + j] - tt15);
                }
                t4_1[j] = c4;
                grad[i*3 + j] = 2.0 * t3_1[i*3 + j] + (tt14 ? (-2.0 * t4_1[j]) : 0);
            }
        }
    }
    if (n >= 8) {
        double c5 = 0.0;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n - 1; j++) {
                double c6 = 0.0;
                lennard_jones_pairs_SUM(c6)
                for (int64_t k = 0; k < 3; k++) {
                    const double tt16 = x[i*3 + k] - x[j*3 + k];
                    c6 += tt16 * tt16;
                }
                t1[j] = c6;
                const double tt17 = t1[j];
                const double tt18 = tt17 * tt17;
                const double tt19 = tt17 * tt18;
                const double tt20 = tt18 * tt18;
                const double tt21 = tt20 * tt18;
                const double tt22 = 4.0 / tt21 / tt21;
                const double tt23 = tt18 * (tt22 * tt18);
                const double tt24 = -4.0 / tt19 / tt19;
                const double tt25 = (tt17 * tt24 + (tt23 + (tt23 + tt20 * tt22))) * tt17;
                t2[i*(n - 1) + j] = (i >= j + 1) ? (-(tt25 + tt18 * tt24 + tt25)) : 0;
            }
            lennard_jones_pairs_SUM(c5)
            for (int64_t j = 0; j < lennard_jones_pairs_min(n - 1, i); j++) {
                const double tt26 = t1[j];
                const double tt27 = tt26 * tt26;
                c5 += 4.0 / (tt27 * tt27 * tt27) + -4.0 / (tt26 * tt27);
            }
        }
        value[0] = c5;
        for (int64_t i = 0; i < 3; i++) {
            for (int64_t j = 0; j < n; j++) {
                double c7 = 0.0;
                const double tt28 = x[j*3 + i];
                lennard_jones_pairs_SUM(c7)
                for (int64_t k = 0; k < lennard_jones_pairs_min(n - 1, j); k++) {
                    c7 += (tt28 - x[k*3 + i]) * t2[j*(n - 1) + k];
                }
                t3[i*n + j] = c7;
            }
        }
        for (int64_t i = 0; i < 3; i++) {
            for (int64_t j = 0; j < n; j++) {
                t4[j] = 0.0;
            }
            for (int64_t j = 0; j < n; j++) {
                const double tt29 = x[j*3 + i];
                for (int64_t k = 0; k < lennard_jones_pairs_min(n, j); k++) {
                    t4[k] += t2[j*(n - 1) + k] * (tt29 - x[k*3 + i]);
                }
            }
            for (int64_t j = 0; j < n; j++) {
                grad[j*3 + i] = 2.0 * t3[i*n + j] + ((n >= j + 2) ? (-2.0 * t4[j]) : 0);
            }
        }
    }
}

int64_t lennard_jones_pairs_work_size(int64_t n)
{
    return lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, -n + 8)*n - lennard_jones_pairs_min(1, -n + 8))) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, -n + 8)*n)*lennard_jones_pairs_extent(n - 1)) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, -n + 8)*n)*3) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(3*lennard_jones_pairs_min(1, -n + 8))) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, n - 7)*n - lennard_jones_pairs_min(1, n - 7))) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, n - 7)*n)*lennard_jones_pairs_extent(n - 1)) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(3*lennard_jones_pairs_min(1, n - 7))*lennard_jones_pairs_extent(n)) + lennard_jones_pairs_slice(lennard_jones_pairs_extent(lennard_jones_pairs_min(1, n - 7)*n));
}

int64_t lennard_jones_pairs_argument_count(void)
{
    return 3;
}

const char *lennard_jones_pairs_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "value";
    case 2: return "grad";
    default: return "";
    }
}

int64_t lennard_jones_pairs_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 0;
    case 2: return 2;
    default: return -1;
    }
}

int64_t lennard_jones_pairs_argument_extent(int64_t argument, int64_t axis, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = 3; break;
    case 128: extent = n; break;
    case 129: extent = 3; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
