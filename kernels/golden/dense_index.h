/*
 * value, grad
 *
 * X        in    double   shape (n, d)
 * label    in    int64_t  shape (n,)
 * W1       in    double   shape (d, h)
 * b1       in    double   shape (h,)
 * W2       in    double   shape (h, c)
 * b2       in    double   shape (c,)
 * value    out   double   one number
 * grad_W1  out   double   shape (d, h)
 * grad_b1  out   double   shape (h,)
 * grad_W2  out   double   shape (h, c)
 * grad_b2  out   double   shape (c,)
 * work     work  double   dense_index_work_size(n, d, h, c) elements, contents lost
 * n        size  int64_t
 * d        size  int64_t
 * h        size  int64_t
 * c        size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum(log(Sum(exp(b2[j] + Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[k, j], (k, 0, h - 1))), (j, 0, c - 1))) - b2[label[i]] - Sum(tanh(b1[k] + Sum(W1[t, k]*X[i, t], (t, 0, d - 1)))*W2[...
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (h,), row-major; grad_W2 (h, c), row-major; grad_b2 (c,), row-major
 * operations: 7171 as derived, 7091 after optimisation, every size 8
 */

#ifndef DENSE_INDEX_H
#define DENSE_INDEX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void dense_index(const double *X, const int64_t *label, const double *W1, const double *b1,
    const double *W2, const double *b2, double *value, double *grad_W1, double *grad_b1,
    double *grad_W2, double *grad_b2, double *work, int64_t n, int64_t d, int64_t h, int64_t c);

/* How many elements `work` needs. */
int64_t dense_index_work_size(int64_t n, int64_t d, int64_t h, int64_t c);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t dense_index_argument_count(void);
const char *dense_index_argument_name(int64_t argument);
int64_t dense_index_argument_rank(int64_t argument);
int64_t dense_index_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t h, int64_t c);

#ifdef __cplusplus
}
#endif

#endif
