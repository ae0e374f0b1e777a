/*
 * value, grad
 *
 * size    n
 * size    d
 * size    m
 * size    e
 * input   Q (n, d) double
 * input   K (m, d) double
 * input   V (m, e) double
 * input   R (n, e) double
 * input   tau () double
 * output  value () double
 * output  grad_Q (n, d) double
 * output  grad_K (m, d) double
 * output  grad_V (m, e) double
 * output  grad_tau () double
 * work    t1 (m, n) double
 * work    t2 (m, n) double
 * work    t3 (m, n) double
 * work    t4 (e, n) double
 * work    t5 (n,) double
 * work    t6 (n,) double
 * work    t7 (n,) double
 * work    t8 () double
 * work    t9 (e, n) double
 * work    t10 (m, n) double
 * work    t11 () double
 * work    t12 (m, n) double
 *
 * expression: Sum((-R[i, a] + Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau))*V[j, a], (j, 0, m - 1))/Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau)), (j, 0, m - 1)))**2, (i, 0, n - 1), (a,...
 * differentiated by: Q, K, V, tau
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_Q (n, d), row-major; grad_K (m, d), row-major; grad_V (m, e), row-major; grad_tau (), row-major
 * operations: 7714 as derived, 7586 after optimisation, every size 8
 */

#include "attention_index.h"
#include <math.h>
#include <stdint.h>

/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */
#ifdef SYMGRAD_SIMD
#define attention_index_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define attention_index_SUM(...) attention_index_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define attention_index_SUM(...)
#endif

static int64_t attention_index_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t attention_index_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void attention_index(const double *restrict Q, const double *restrict K, const double *restrict V,
    const double *restrict R, const double *restrict tau, double *restrict value,
    double *restrict grad_Q, double *restrict grad_K, double *restrict grad_V,
    double *restrict grad_tau, double *restrict work, int64_t n, int64_t d, int64_t m, int64_t e)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n));
    double *const restrict t3 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n));
    double *const restrict t4 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n));
    double *const restrict t5 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n));
    double *const restrict t6 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n));
    double *const restrict t7 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n));
    double *const restrict t8 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n));
    double *const restrict t9 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + 8;
    double *const restrict t10 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + 8 + attention_index_slice(attention_index_extent(e)*attention_index_extent(n));
    double *const restrict t11 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + 8 + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n));
    double *const restrict t12 = work + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + 8 + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + 8;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double c1 = 0.0;
            attention_index_SUM(c1)
            for (int64_t k = 0; k < d; k++) {
                c1 += K[i*d + k] * Q[j*d + k];
            }
            t1[i*n + j] = c1;
        }
    }
    const double tt1 = tau[0];
    const double tt2 = sqrt((double)d);
    const double tt3 = tt1 * tt2;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            t2[i*n + j] = exp(t1[i*n + j] / tt3);
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            t3[i*n + j] = t2[i*n + j];
        }
    }
    for (int64_t i = 0; i < e; i++) {
        for (int64_t j = 0; j < n; j++) {
            t4[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < e; i++) {
        for (int64_t j = 0; j < m; j++) {
            const double tt4 = V[j*e + i];
            for (int64_t k = 0; k < n; k++) {
                t4[i*n + k] += tt4 * t3[j*n + k];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        t5[i] = 0.0;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            t5[j] += t2[i*n + j];
        }
    }
    double c2 = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double tt5 = t5[i];
        attention_index_SUM(c2)
        for (int64_t j = 0; j < e; j++) {
            const double tt6 = t4[j*n + i] / tt5 - R[i*e + j];
            c2 += tt6 * tt6;
        }
    }
    value[0] = c2;
    for (int64_t i = 0; i < n; i++) {
        double c3 = 0.0;
        const double tt7 = t5[i];
        attention_index_SUM(c3)
        for (int64_t j = 0; j < e; j++) {
            const double tt8 = t4[j*n + i];
            c3 += (tt8 / tt7 - R[i*e + j]) * tt8;
        }
        t6[i] = c3;
    }
    for (int64_t i = 0; i < n; i++) {
        const double tt9 = t5[i];
        t7[i] = t6[i] * (-2.0 / (tt9 * tt9));
    }
    double c4 = 0.0;
    for (int64_t i = 0; i < m; i++) {
        attention_index_SUM(c4)
        for (int64_t j = 0; j < n; j++) {
            c4 += t7[j] * t2[i*n + j] * t1[i*n + j];
        }
    }
    t8[0] = c4;
    for (int64_t i = 0; i < e; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double tt10 = t5[j];
            t9[i*n + j] = 2.0 * ((t4[i*n + j] / tt10 - R[j*e + i]) / tt10);
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            t10[i*n + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < e; j++) {
            const double tt11 = V[i*e + j];
            for (int64_t k = 0; k < n; k++) {
                t10[i*n + k] += tt11 * t9[j*n + k];
            }
        }
    }
    double c5 = 0.0;
    for (int64_t i = 0; i < m; i++) {
        attention_index_SUM(c5)
        for (int64_t j = 0; j < n; j++) {
            c5 += t1[i*n + j] * (t10[i*n + j] * t2[i*n + j]);
        }
    }
    t11[0] = c5;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double tt12 = t2[i*n + j];
            t12[i*n + j] = t10[i*n + j] * tt12 / tt3 + t7[j] * tt12 / tt3;
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < d; j++) {
            grad_K[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double tt13 = t12[i*n + j];
            for (int64_t k = 0; k < d; k++) {
                grad_K[i*d + k] += tt13 * Q[j*d + k];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            grad_Q[i*d + j] = 0.0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < m; j++) {
            const double tt14 = t12[j*n + i];
            for (int64_t k = 0; k < d; k++) {
                grad_Q[i*d + k] += tt14 * K[j*d + k];
            }
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < e; j++) {
            double c6 = 0.0;
            attention_index_SUM(c6)
            for (int64_t k = 0; k < n; k++) {
                c6 += t9[j*n + k] * t3[i*n + k];
            }
            grad_V[i*e + j] = c6;
        }
    }
    const double tt15 = tt2 / (tt2 * tt2 * (tt1 * tt1));
    grad_tau[0] = -(tt15 * t11[0] + tt15 * t8[0]);
}

int64_t attention_index_work_size(int64_t n, int64_t d, int64_t m, int64_t e)
{
    (void)d;
    return attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + attention_index_slice(attention_index_extent(n)) + 8 + attention_index_slice(attention_index_extent(e)*attention_index_extent(n)) + attention_index_slice(attention_index_extent(m)*attention_index_extent(n)) + 8 + attention_index_slice(attention_index_extent(m)*attention_index_extent(n));
}

int64_t attention_index_argument_count(void)
{
    return 10;
}

const char *attention_index_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "Q";
    case 1: return "K";
    case 2: return "V";
    case 3: return "R";
    case 4: return "tau";
    case 5: return "value";
    case 6: return "grad_Q";
    case 7: return "grad_K";
    case 8: return "grad_V";
    case 9: return "grad_tau";
    default: return "";
    }
}

int64_t attention_index_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 2;
    case 1: return 2;
    case 2: return 2;
    case 3: return 2;
    case 4: return 0;
    case 5: return 0;
    case 6: return 2;
    case 7: return 2;
    case 8: return 2;
    case 9: return 0;
    default: return -1;
    }
}

int64_t attention_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t m, int64_t e)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 1: extent = d; break;
    case 64: extent = m; break;
    case 65: extent = d; break;
    case 128: extent = m; break;
    case 129: extent = e; break;
    case 192: extent = n; break;
    case 193: extent = e; break;
    case 384: extent = n; break;
    case 385: extent = d; break;
    case 448: extent = m; break;
    case 449: extent = d; break;
    case 512: extent = m; break;
    case 513: extent = e; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
