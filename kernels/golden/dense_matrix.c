/*
 * value, grad
 *
 * size    n
 * size    d
 * size    c
 * size    h
 * input   X (n, d) double
 * input   Y (n, c) double
 * input   W1 (d, h) double
 * input   b1 (1, h) double
 * input   W2 (h, c) double
 * input   b2 (1, c) double
 * output  value () double
 * output  grad_W1 (d, h) double
 * output  grad_b1 (1, h) double
 * output  grad_W2 (h, c) double
 * output  grad_b2 (1, c) double
 * work    t1 (n, h) double
 * work    t2 (h, n) double
 * work    t3 (c, n) double
 * work    t4 (n, c) double
 * work    t5 (n,) double
 * work    t6 (n,) double
 * work    t7 (n,) double
 * work    t8 (n,) double
 * work    t9 (n,) double
 * work    t10 (n,) double
 * work    t11 () double
 * work    t12 () double
 * work    t13 (c,) double
 * work    t14 (c, n) double
 * work    t15 (c,) double
 * work    t16 (c, n) double
 * work    t17 (h, n) double
 * work    t18 (n, h) double
 * work    t19 (h,) double
 * work    t20 (h, n) double
 *
 * expression: (Trace(1*Lambda(_d, log(_d)).(Lambda(_d, exp(_d)).(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)*1)) - Trace(Y.T*(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)))/n
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (1, h), row-major; grad_W2 (h, c), row-major; grad_b2 (1, c), row-major
 * operations: 6692 as derived, 6794 after optimisation, every size 8
 */

#include "dense_matrix.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define dense_matrix_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define dense_matrix_SUM(...) dense_matrix_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define dense_matrix_SUM(...)
#endif

static int64_t dense_matrix_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t dense_matrix_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void dense_matrix(const double *restrict X, const double *restrict Y, const double *restrict W1,
    const double *restrict b1, const double *restrict W2, const double *restrict b2,
    double *restrict value, double *restrict grad_W1, double *restrict grad_b1,
    double *restrict grad_W2, double *restrict grad_b2, double *restrict work, int64_t n,
    int64_t d, int64_t c, int64_t h)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h));
    double *const restrict t3 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n));
    double *const restrict t4 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n));
    double *const restrict t5 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c));
    double *const restrict t6 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t7 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t8 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t9 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t10 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t11 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n));
    double *const restrict t12 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8;
    double *const restrict t13 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8;
    double *const restrict t14 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c));
    double *const restrict t15 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n));
    double *const restrict t16 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c));
    double *const restrict t17 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n));
    double *const restrict t18 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n));
    double *const restrict t19 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h));
    double *const restrict t20 = work + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < h; j++) {
            t1[i*h + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            const double tt1 = X[i*d + j];
            for (int64_t k = 0; k < h; k++) {
                t1[i*h + k] += tt1 * W1[j*h + k];
            }
        }
    }
    for (int64_t i = 0; i < h; i++) {
        const double tt2 = b1[i];
        for (int64_t j = 0; j < n; j++) {
            t2[i*n + j] = tanh(tt2 + t1[j*h + i]);
        }
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < n; j++) {
            t3[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < h; j++) {
            const double tt3 = W2[j*c + i];
            for (int64_t k = 0; k < n; k++) {
                t3[i*n + k] += tt3 * t2[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < c; i++) {
        const double tt4 = b2[i];
        for (int64_t j = 0; j < n; j++) {
            t4[j*c + i] = tt4 + t3[i*n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        double c1 = -INFINITY;
        for (int64_t j = 0; j < c; j++) {
            const double tt5 = t4[i*c + j];
            c1 = (tt5 > c1 || tt5 != tt5) ? tt5 : c1;
        }
        t5[i] = c1;
    }
    for (int64_t i = 0; i < n; i++) {
        const double tt6 = t5[i];
        t6[i] = (fabs(tt6) < INFINITY) ? tt6 : 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        double c2 = 0.0;
        const double tt7 = t6[i];
        dense_matrix_SUM(c2)
        for (int64_t j = 0; j < c; j++) {
            const double tt8 = t4[i*c + j];
            c2 += (tt8 == tt7) ? 0.0 : exp(tt8 - tt7);
        }
        t7[i] = c2;
    }
    for (int64_t i = 0; i < n; i++) {
        double c3 = 0.0;
        const double tt9 = t6[i];
        for (int64_t j = 0; j < c; j++) {
            const int tt10 = t4[i*c + j] == tt9;
            if (tt10) {
                c3 += 1.0;
            }
        }
        t8[i] = c3;
    }
    for (int64_t i = 0; i < n; i++) {
        t9[i] = log1p(t8[i] - 1.0 + t7[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        t10[i] = t6[i] + t9[i];
    }
    double c4 = 0.0;
    dense_matrix_SUM(c4)
    for (int64_t i = 0; i < n; i++) {
        c4 += t10[i];
    }
    t11[0] = c4;
    double c5 = 0.0;
    for (int64_t i = 0; i < c; i++) {
        const double tt11 = b2[i];
        dense_matrix_SUM(c5)
        for (int64_t j = 0; j < n; j++) {
            c5 += Y[j*c + i] * (tt11 + t3[i*n + j]);
        }
    }
    t12[0] = c5;
    const double tt12 = (double)n;
    value[0] = (t11[0] - t12[0]) / tt12;
    for (int64_t i = 0; i < c; i++) {
        t13[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < c; j++) {
            t13[j] += Y[i*c + j];
        }
    }
    for (int64_t i = 0; i < c; i++) {
        const double tt13 = b2[i];
        for (int64_t j = 0; j < n; j++) {
            t14[i*n + j] = exp(tt13 + t3[i*n + j] - t6[j] - t9[j]);
        }
    }
    for (int64_t i = 0; i < c; i++) {
        double c6 = 0.0;
        dense_matrix_SUM(c6)
        for (int64_t j = 0; j < n; j++) {
            c6 += (t10[j] == -INFINITY) ? 0.0 : t14[i*n + j];
        }
        t15[i] = c6;
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < n; j++) {
            t16[i*n + j] = ((t10[j] == -INFINITY) ? 0.0 : t14[i*n + j]) / tt12 - Y[j*c + i] / tt12;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < c; j++) {
            double c7 = 0.0;
            dense_matrix_SUM(c7)
            for (int64_t k = 0; k < n; k++) {
                c7 += t2[i*n + k] * t16[j*n + k];
            }
            grad_W2[i*c + j] = c7;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            t17[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < c; j++) {
            const double tt14 = W2[i*c + j];
            for (int64_t k = 0; k < n; k++) {
                t17[i*n + k] += tt14 * t16[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < h; j++) {
            t18[i*h + j] = 1.0 / cosh(b1[j] + t1[i*h + j]);
        }
    }
    for (int64_t i = 0; i < h; i++) {
        double c8 = 0.0;
        dense_matrix_SUM(c8)
        for (int64_t j = 0; j < n; j++) {
            const double tt15 = t18[j*h + i];
            c8 += t17[i*n + j] * (tt15 * tt15);
        }
        t19[i] = c8;
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double tt16 = t18[j*h + i];
            t20[i*n + j] = t17[i*n + j] * (tt16 * tt16);
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < h; j++) {
            double c9 = 0.0;
            dense_matrix_SUM(c9)
            for (int64_t k = 0; k < n; k++) {
                c9 += X[k*d + i] * t20[j*n + k];
            }
            grad_W1[i*h + j] = c9;
        }
    }
    for (int64_t i = 0; i < 1; i++) {
        for (int64_t j = 0; j < h; j++) {
            grad_b1[i*h + j] = t19[j];
        }
    }
    for (int64_t i = 0; i < 1; i++) {
        for (int64_t j = 0; j < c; j++) {
            grad_b2[i*c + j] = t15[j] / tt12 - t13[j] / tt12;
        }
    }
}

int64_t dense_matrix_work_size(int64_t n, int64_t d, int64_t c, int64_t h)
{
    (void)d;
    return dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)) + 8 + 8 + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(c)) + dense_matrix_slice(dense_matrix_extent(c)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n)) + dense_matrix_slice(dense_matrix_extent(n)*dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)) + dense_matrix_slice(dense_matrix_extent(h)*dense_matrix_extent(n));
}

int64_t dense_matrix_argument_count(void)
{
    return 11;
}

const char *dense_matrix_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "X";
    case 1: return "Y";
    case 2: return "W1";
    case 3: return "b1";
    case 4: return "W2";
    case 5: return "b2";
    case 6: return "value";
    case 7: return "grad_W1";
    case 8: return "grad_b1";
    case 9: return "grad_W2";
    case 10: return "grad_b2";
    default: return "";
    }
}

int64_t dense_matrix_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 2;
    case 2: return 2;
    case 3: return 2;
    case 4: return 2;
    case 5: return 2;
    case 6: return 0;
    case 7: return 2;
    case 8: return 2;
    case 9: return 2;
    case 10: return 2;
    default: return -1;
    }
}

int64_t dense_matrix_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t c, int64_t h)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 65: extent = c; break;
    case 128: extent = d; break;
    case 129: extent = h; break;
    case 192: extent = 1; break;
    case 193: extent = h; break;
    case 256: extent = h; break;
    case 257: extent = c; break;
    case 320: extent = 1; break;
    case 321: extent = c; break;
    case 448: extent = d; break;
    case 449: extent = h; break;
    case 512: extent = 1; break;
    case 513: extent = h; break;
    case 576: extent = h; break;
    case 577: extent = c; break;
    case 640: extent = 1; break;
    case 641: extent = c; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
