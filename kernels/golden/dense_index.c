/*
 * value, grad
 *
 * size    n
 * size    d
 * size    h
 * size    c
 * input   X (n, d) double
 * input   label (n,) int64_t
 * input   W1 (d, h) double
 * input   b1 (h,) double
 * input   W2 (h, c) double
 * input   b2 (c,) double
 * output  value () double
 * output  grad_W1 (d, h) double
 * output  grad_b1 (h,) double
 * output  grad_W2 (h, c) double
 * output  grad_b2 (c,) double
 * work    t1 (n, h) double
 * work    t2 (h, n) double
 * work    t3 (h, n) double
 * work    t4 (c, n) double
 * work    t5 (n, c) double
 * work    t6 (n,) double
 * work    t7 (n,) double
 * work    t8 (n,) double
 * work    t9 (n,) double
 * work    t10 (n,) double
 * work    t11 (n,) double
 * work    t12 (n,) double
 * work    t13 () double
 * work    t14 (c, h) double
 * work    t15 (n, h) double
 * work    t16 (h,) double
 * work    t17 (c, n) double
 * work    t18 (c,) double
 * work    t19 (c, n) double
 * work    t20 (h, c) double
 * work    t21 (h, n) double
 * work    t22 (h,) double
 * work    t23 (h, n) double
 *
 * expression: Sum(log(Sum(exp(b2[j] + Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[k, j], (k, 0, h - 1))), (j, 0, c - 1))) - b2[label[i]] - Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[...
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (h,), row-major; grad_W2 (h, c), row-major; grad_b2 (c,), row-major
 * operations: 7171 as derived, 7219 after optimisation, every size 8
 */

#include "dense_index.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define dense_index_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define dense_index_SUM(...) dense_index_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define dense_index_SUM(...)
#endif

static int64_t dense_index_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t dense_index_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void dense_index(const double *restrict X, const int64_t *restrict label,
    const double *restrict W1, const double *restrict b1, const double *restrict W2,
    const double *restrict b2, double *restrict value, double *restrict grad_W1,
    double *restrict grad_b1, double *restrict grad_W2, double *restrict grad_b2,
    double *restrict work, int64_t n, int64_t d, int64_t h, int64_t c)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h));
    double *const restrict t3 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n));
    double *const restrict t4 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n));
    double *const restrict t5 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n));
    double *const restrict t6 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c));
    double *const restrict t7 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t8 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t9 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t10 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t11 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t12 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t13 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n));
    double *const restrict t14 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8;
    double *const restrict t15 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h));
    double *const restrict t16 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h));
    double *const restrict t17 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h));
    double *const restrict t18 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n));
    double *const restrict t19 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c));
    double *const restrict t20 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n));
    double *const restrict t21 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(c));
    double *const restrict t22 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n));
    double *const restrict t23 = work + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h));
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
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            t3[i*n + j] = t2[i*n + j];
        }
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < n; j++) {
            t4[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < h; j++) {
            const double tt3 = W2[j*c + i];
            for (int64_t k = 0; k < n; k++) {
                t4[i*n + k] += tt3 * t3[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < c; i++) {
        const double tt4 = b2[i];
        for (int64_t j = 0; j < n; j++) {
            t5[j*c + i] = tt4 + t4[i*n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        double c1 = -INFINITY;
        for (int64_t j = 0; j < c; j++) {
            const double tt5 = t5[i*c + j];
            c1 = (tt5 > c1 || tt5 != tt5) ? tt5 : c1;
        }
        t6[i] = c1;
    }
    for (int64_t i = 0; i < n; i++) {
        const double tt6 = t6[i];
        t7[i] = (fabs(tt6) < INFINITY) ? tt6 : 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        double c2 = 0.0;
        const double tt7 = t7[i];
        dense_index_SUM(c2)
        for (int64_t j = 0; j < c; j++) {
            const double tt8 = t5[i*c + j];
            c2 += (tt8 == tt7) ? 0.0 : exp(tt8 - tt7);
        }
        t8[i] = c2;
    }
    for (int64_t i = 0; i < n; i++) {
        double c3 = 0.0;
        const double tt9 = t7[i];
        for (int64_t j = 0; j < c; j++) {
            const int tt10 = t5[i*c + j] == tt9;
            if (tt10) {
                c3 += 1.0;
            }
        }
        t9[i] = c3;
    }
    for (int64_t i = 0; i < n; i++) {
        t10[i] = log1p(t8[i] + (t9[i] - 1.0));
    }
    for (int64_t i = 0; i < n; i++) {
        t11[i] = t10[i] + t7[i];
    }
    for (int64_t i = 0; i < n; i++) {
        t12[i] = 0.0;
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            const int64_t g1 = label[j];
            t12[j] += t2[i*n + j] * W2[i*c + g1];
        }
    }
    double c4 = 0.0;
    dense_index_SUM(c4)
    for (int64_t i = 0; i < n; i++) {
        const int64_t g2 = label[i];
        c4 += t10[i] - (t12[i] - t7[i]) - b2[g2];
    }
    t13[0] = c4;
    const double tt11 = (double)n;
    value[0] = t13[0] / tt11;
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < h; j++) {
            t14[i*h + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g3 = label[i];
        const int tt12 = (g3 >= 0) && (c >= g3 + 1);
        for (int64_t j = 0; j < h; j++) {
            if (tt12) {
                t14[g3*h + j] += -(t2[j*n + i] / tt11);
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < h; j++) {
            t15[i*h + j] = 1.0 / cosh(b1[j] + t1[i*h + j]);
        }
    }
    for (int64_t i = 0; i < h; i++) {
        t16[i] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g4 = label[i];
        for (int64_t j = 0; j < h; j++) {
            const double tt13 = t15[i*h + j];
            t16[j] += W2[j*c + g4] * (tt13 * tt13);
        }
    }
    for (int64_t i = 0; i < c; i++) {
        const double tt14 = b2[i];
        for (int64_t j = 0; j < n; j++) {
            t17[i*n + j] = exp(tt14 + t4[i*n + j] - t7[j] - t10[j]);
        }
    }
    for (int64_t i = 0; i < c; i++) {
        double c5 = 0.0;
        dense_index_SUM(c5)
        for (int64_t j = 0; j < n; j++) {
            c5 += (t11[j] == -INFINITY) ? 0.0 : t17[i*n + j];
        }
        t18[i] = c5;
    }
    for (int64_t i = 0; i < c; i++) {
        for (int64_t j = 0; j < n; j++) {
            t19[i*n + j] = ((t11[j] == -INFINITY) ? 0.0 : t17[i*n + j]) / tt11;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < c; j++) {
            double c6 = 0.0;
            dense_index_SUM(c6)
            for (int64_t k = 0; k < n; k++) {
                c6 += t19[j*n + k] * t3[i*n + k];
            }
            t20[i*c + j] = c6;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            t21[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < c; j++) {
            const double tt15 = W2[i*c + j];
            for (int64_t k = 0; k < n; k++) {
                t21[i*n + k] += tt15 * t19[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < h; i++) {
        double c7 = 0.0;
        dense_index_SUM(c7)
        for (int64_t j = 0; j < n; j++) {
            const double tt16 = t15[j*h + i];
            c7 += t21[i*n + j] * (tt16 * tt16);
        }
        t22[i] = c7;
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < n; j++) {
            const int64_t g5 = label[j];
            const double tt17 = t15[j*h + i];
            const double tt18 = tt17 * tt17;
            t23[i*n + j] = t21[i*n + j] * tt18 - tt18 * (W2[i*c + g5] / tt11);
        }
    }
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < h; j++) {
            double c8 = 0.0;
            dense_index_SUM(c8)
            for (int64_t k = 0; k < n; k++) {
                c8 += t23[j*n + k] * X[k*d + i];
            }
            grad_W1[i*h + j] = c8;
        }
    }
    for (int64_t i = 0; i < h; i++) {
        grad_b1[i] = t22[i] - t16[i] / tt11;
    }
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < c; j++) {
            grad_W2[i*c + j] = t14[j*h + i] + t20[i*c + j];
        }
    }
    for (int64_t i = 0; i < c; i++) {
        grad_b2[i] = t18[i] / tt11;
    }
    const double tt19 = -(1.0 / tt11);
    for (int64_t i = 0; i < n; i++) {
        const int64_t g6 = label[i];
        if ((g6 >= 0) && (c >= g6 + 1)) {
            grad_b2[g6] += tt19;
        }
    }
}

int64_t dense_index_work_size(int64_t n, int64_t d, int64_t h, int64_t c)
{
    (void)d;
    return dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + dense_index_slice(dense_index_extent(n)) + 8 + dense_index_slice(dense_index_extent(c)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(n)*dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(c)) + dense_index_slice(dense_index_extent(c)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(c)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n)) + dense_index_slice(dense_index_extent(h)) + dense_index_slice(dense_index_extent(h)*dense_index_extent(n));
}

int64_t dense_index_argument_count(void)
{
    return 11;
}

const char *dense_index_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "X";
    case 1: return "label";
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

int64_t dense_index_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 1;
    case 2: return 2;
    case 3: return 1;
    case 4: return 2;
    case 5: return 1;
    case 6: return 0;
    case 7: return 2;
    case 8: return 1;
    case 9: return 2;
    case 10: return 1;
    default: return -1;
    }
}

int64_t dense_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t h, int64_t c)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = n; break;
    case 128: extent = d; break;
    case 129: extent = h; break;
    case 192: extent = h; break;
    case 256: extent = h; break;
    case 257: extent = c; break;
    case 320: extent = c; break;
    case 448: extent = d; break;
    case 449: extent = h; break;
    case 512: extent = h; break;
    case 576: extent = h; break;
    case 577: extent = c; break;
    case 640: extent = c; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
