/*
 * value, grad
 *
 * size    B
 * size    C
 * size    T
 * size    O
 * size    K
 * input   x (B, C, T) double
 * input   w (O, C, K) double
 * output  value () double
 * output  grad_x (B, C, T) double
 * output  grad_w (O, C, K) double
 * work    t1 (B, O, T - K + 1) double
 * work    t2 (B, O, T - K + 1) double
 * work    t3 (B, O, T - K + 1) double
 *
 * expression: Sum(tanh(Sum(w[o, c, k]*x[b, c, k + t], (c, 0, C - 1), (k, 0, K - 1)))**2, (b, 0, B - 1), (o, 0, O - 1), (t, 0, -K + T))
 * differentiated by: x, w
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_x (B, C, T), row-major; grad_w (O, C, K), row-major
 * operations: 25024 as derived, 25088 after optimisation, every size 8
 */

#include "convolution.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define convolution_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define convolution_SUM(...) convolution_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define convolution_SUM(...)
#endif

static int64_t convolution_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t convolution_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t convolution_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t convolution_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void convolution(const double *restrict x, const double *restrict w, double *restrict value,
    double *restrict grad_x, double *restrict grad_w, double *restrict work, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1));
    double *const restrict t3 = work + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1));
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                double c1 = 0.0;
                for (int64_t l = 0; l < C; l++) {
                    convolution_SUM(c1)
                    for (int64_t p = 0; p < K; p++) {
                        c1 += x[(i*C + l)*T + k + p] * w[(j*C + l)*K + p];
                    }
                }
                t1[(i*O + j)*(T - K + 1) + k] = c1;
            }
        }
    }
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                t2[(i*O + j)*(T - K + 1) + k] = tanh(t1[(i*O + j)*(T - K + 1) + k]);
            }
        }
    }
    double c2 = 0.0;
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            convolution_SUM(c2)
            for (int64_t k = 0; k < T - K + 1; k++) {
                const double tt1 = t2[(i*O + j)*(T - K + 1) + k];
                c2 += tt1 * tt1;
            }
        }
    }
    value[0] = c2;
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                const double tt2 = cosh(t1[(i*O + j)*(T - K + 1) + k]);
                t3[(i*O + j)*(T - K + 1) + k] = 2.0 * (1.0 / tt2 / tt2 * t2[(i*O + j)*(T - K + 1) + k]);
            }
        }
    }
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < C; j++) {
            for (int64_t k = 0; k < T; k++) {
                grad_x[(i*C + j)*T + k] = 0.0;
            }
        }
    }
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < C; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                for (int64_t l = 0; l < O; l++) {
                    const double tt3 = t3[(i*O + l)*(T - K + 1) + k];
                    for (int64_t p = convolution_max(0, k); p < convolution_min(T, K + k); p++) {
                        grad_x[(i*C + j)*T + p] += w[(l*C + j)*K + p - k] * tt3;
                    }
                }
            }
        }
    }
    for (int64_t i = 0; i < O; i++) {
        for (int64_t j = 0; j < C; j++) {
            for (int64_t k = 0; k < K; k++) {
                double c3 = 0.0;
                for (int64_t l = 0; l < B; l++) {
                    convolution_SUM(c3)
                    for (int64_t p = 0; p < T - K + 1; p++) {
                        c3 += x[(l*C + j)*T + k + p] * t3[(l*O + i)*(T - K + 1) + p];
                    }
                }
                grad_w[(i*C + j)*K + k] = c3;
            }
        }
    }
}

int64_t convolution_work_size(int64_t B, int64_t C, int64_t T, int64_t O, int64_t K)
{
    (void)C;
    return convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1));
}

int64_t convolution_argument_count(void)
{
    return 5;
}

const char *convolution_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "w";
    case 2: return "value";
    case 3: return "grad_x";
    case 4: return "grad_w";
    default: return "";
    }
}

int64_t convolution_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 3;
    case 1: return 3;
    case 2: return 0;
    case 3: return 3;
    case 4: return 3;
    default: return -1;
    }
}

int64_t convolution_argument_extent(int64_t argument, int64_t axis, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = B; break;
    case 1: extent = C; break;
    case 2: extent = T; break;
    case 64: extent = O; break;
    case 65: extent = C; break;
    case 66: extent = K; break;
    case 192: extent = B; break;
    case 193: extent = C; break;
    case 194: extent = T; break;
    case 256: extent = O; break;
    case 257: extent = C; break;
    case 258: extent = K; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
