/*
 * value, grad
 *
 * size    n
 * size    d
 * input   W (n, d) double
 * output  value () double
 * output  grad (n, d) double
 * work    t1 (d, d) double
 * work    t2 (d, d) double
 * work    t3 (d, d) double
 * work    t4 (n, d) double
 * work    t5 (n, d) double
 *
 * expression: Trace((-I + W.T*W)**2)
 * differentiated by: W
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, d), row-major
 * operations: 4424 as derived, 4424 after optimisation, every size 8
 */

#include "orthogonality_matrix.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define orthogonality_matrix_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define orthogonality_matrix_SUM(...) orthogonality_matrix_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define orthogonality_matrix_SUM(...)
#endif

static int64_t orthogonality_matrix_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t orthogonality_matrix_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t orthogonality_matrix_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void orthogonality_matrix(const double *restrict W, double *restrict value, double *restrict grad,
    double *restrict work, int64_t n, int64_t d)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d));
    double *const restrict t3 = work + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d));
    double *const restrict t4 = work + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d));
    double *const restrict t5 = work + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(n)*orthogonality_matrix_extent(d));
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            t1[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double tt1 = W[j*d + i];
            for (int64_t k = 0; k < orthogonality_matrix_min(d, i + 1); k++) {
                t1[i*d + k] += W[j*d + k] * tt1;
            }
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t k = 0; k < i; k++) {
            t1[k*d + i] = t1[i*d + k];
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            t2[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            const double tt2 = ((i == j) ? (-1.0) : 0) + t1[i*d + j];
            for (int64_t k = 0; k < d; k++) {
                t2[i*d + k] += (((k == j) ? (-1.0) : 0) + t1[j*d + k]) * tt2;
            }
        }
    }
    double c1 = 0.0;
    orthogonality_matrix_SUM(c1)
    for (int64_t i = 0; i < d; i++) {
        c1 += t2[i*d + i];
    }
    value[0] = c1;
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            t3[i*d + j] = 2.0 * (((i == j) ? (-1.0) : 0) + t1[i*d + j]);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            t4[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            const double tt3 = W[i*d + j];
            for (int64_t k = 0; k < d; k++) {
                t4[i*d + k] += tt3 * t3[j*d + k];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            double c2 = 0.0;
            orthogonality_matrix_SUM(c2)
            for (int64_t k = 0; k < d; k++) {
                c2 += W[i*d + k] * t3[j*d + k];
            }
            t5[i*d + j] = c2;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            grad[i*d + j] = t4[i*d + j] + t5[i*d + j];
        }
    }
}

int64_t orthogonality_matrix_work_size(int64_t n, int64_t d)
{
    return orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(d)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(n)*orthogonality_matrix_extent(d)) + orthogonality_matrix_slice(orthogonality_matrix_extent(n)*orthogonality_matrix_extent(d));
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
