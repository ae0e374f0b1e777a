/*
 * value, grad
 *
 * size    m
 * size    d
 * size    n
 * input   E (m, d) double
 * input   token (n,) int64_t
 * input   u (d,) double
 * output  value () double
 * output  grad_E (m, d) double
 * output  grad_u (d,) double
 * work    t1 (n,) double
 * work    t4 (n,) double
 *
 * expression: Sum(tanh(Sum(E[token[t], k]*u[k], (k, 0, d - 1)))**2, (t, 0, n - 1))
 * differentiated by: E, u
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_E (m, d), row-major; grad_u (d,), row-major
 * operations: 440 as derived, 448 after optimisation, every size 8
 */

#include "embedding.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define embedding_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define embedding_SUM(...) embedding_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define embedding_SUM(...)
#endif

/* The turns of a loop touch different elements of all arrays. */
#if defined(__clang__)
#define embedding_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define embedding_INDEPENDENT _Pragma("GCC ivdep")
#else
#define embedding_INDEPENDENT
#endif

static int64_t embedding_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t embedding_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void embedding(const double *restrict E, const int64_t *restrict token, const double *restrict u,
    double *restrict value, double *restrict grad_E, double *restrict grad_u,
    double *restrict work, int64_t m, int64_t d, int64_t n)
{
    double *const restrict t1 = work;
    const int64_t at1 = embedding_slice(embedding_extent(n));
    double *const restrict t4 = work + at1;
    for (int64_t i = 0; i < n; i++) {
        double c1 = 0.0;
        const int64_t g1 = token[i];
        embedding_SUM(c1)
        for (int64_t j = 0; j < d; j++) {
            c1 += u[j] * E[g1*d + j];
        }
        t1[i] = c1;
    }
    double c2 = 0.0;
    embedding_SUM(c2)
    for (int64_t i = 0; i < n; i++) {
        const double tt1 = t1[i];
        const double tt2 = tanh(tt1);
        const double tt3 = 1.0 / cosh(tt1);
        c2 += tt2 * tt2;
        t4[i] = 2.0 * (tt2 * (tt3 * tt3));
    }
    value[0] = c2;
    for (int64_t i = 0; i < d; i++) {
        grad_u[i] = 0.0;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < d; j++) {
            grad_E[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g2 = token[i];
        const double tt4 = t4[i];
        embedding_INDEPENDENT
        for (int64_t j = 0; j < d; j++) {
            grad_u[j] += E[g2*d + j] * tt4;
            grad_E[g2*d + j] += u[j] * tt4;
        }
    }
}

int64_t embedding_work_size(int64_t m, int64_t d, int64_t n)
{
    (void)m;
    (void)d;
    return embedding_slice(embedding_extent(n)) + embedding_slice(embedding_extent(n));
}

int64_t embedding_argument_count(void)
{
    return 6;
}

const char *embedding_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "E";
    case 1: return "token";
    case 2: return "u";
    case 3: return "value";
    case 4: return "grad_E";
    case 5: return "grad_u";
    default: return "";
    }
}

int64_t embedding_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 1;
    case 2: return 1;
    case 3: return 0;
    case 4: return 2;
    case 5: return 1;
    default: return -1;
    }
}

int64_t embedding_argument_extent(int64_t argument, int64_t axis, int64_t m, int64_t d, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = m; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 128: extent = d; break;
    case 256: extent = m; break;
    case 257: extent = d; break;
    case 320: extent = d; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
