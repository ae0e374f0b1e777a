/*
 * value, grad
 *
 * Q         in    double   shape (n, d)
 * K         in    double   shape (m, d)
 * V         in    double   shape (m, e)
 * R         in    double   shape (n, e)
 * tau       in    double   one number
 * value     out   double   one number
 * grad_Q    out   double   shape (n, d)
 * grad_K    out   double   shape (m, d)
 * grad_V    out   double   shape (m, e)
 * grad_tau  out   double   one number
 * work      work  double   attention_index_work_size(n, d, m, e) elements, contents lost
 * n         size  int64_t
 * d         size  int64_t
 * m         size  int64_t
 * e         size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum((-R[i, a] + Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau))*V[j, a], (j, 0, m - 1))/Sum(exp(Sum(K[j, k]*Q[i, k], (k, 0, d - 1))/(sqrt(d)*tau)), (j, 0, m - 1)))**2, (i, 0, n - 1), (a,...
 * differentiated by: Q, K, V, tau
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_Q (n, d), row-major; grad_K (m, d), row-major; grad_V (m, e), row-major; grad_tau (), row-major
 * operations: 7855 as derived, 7848 after optimisation, every size 8
 */

#ifndef ATTENTION_INDEX_H
#define ATTENTION_INDEX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void attention_index(const double *Q, const double *K, const double *V, const double *R,
    const double *tau, double *value, double *grad_Q, double *grad_K, double *grad_V,
    double *grad_tau, double *work, int64_t n, int64_t d, int64_t m, int64_t e);

/* How many elements `work` needs. */
int64_t attention_index_work_size(int64_t n, int64_t d, int64_t m, int64_t e);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t attention_index_argument_count(void);
const char *attention_index_argument_name(int64_t argument);
int64_t attention_index_argument_rank(int64_t argument);
int64_t attention_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t m, int64_t e);

#ifdef __cplusplus
}
#endif

#endif
