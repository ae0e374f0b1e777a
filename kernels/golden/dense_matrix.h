/*
 * value, grad
 *
 * X        in    double   shape (n, d)
 * Y        in    double   shape (n, c)
 * W1       in    double   shape (d, h)
 * b1       in    double   shape (1, h)
 * W2       in    double   shape (h, c)
 * b2       in    double   shape (1, c)
 * value    out   double   one number
 * grad_W1  out   double   shape (d, h)
 * grad_b1  out   double   shape (1, h)
 * grad_W2  out   double   shape (h, c)
 * grad_b2  out   double   shape (1, c)
 * work     work  double   dense_matrix_work_size(n, d, c, h) elements, contents lost
 * n        size  int64_t
 * d        size  int64_t
 * c        size  int64_t
 * h        size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: (Trace(1*Lambda(_d, log(_d)).(Lambda(_d, exp(_d)).(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)*1)) - Trace(Y.T*(Lambda(_d, tanh(_d)).(X*W1 + 1*b1)*W2 + 1*b2)))/n
 * differentiated by: W1, b1, W2, b2
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_W1 (d, h), row-major; grad_b1 (1, h), row-major; grad_W2 (h, c), row-major; grad_b2 (1, c), row-major
 * operations: 6692 as derived, 6947 after optimisation, every size 8
 */

#ifndef DENSE_MATRIX_H
#define DENSE_MATRIX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void dense_matrix(const double *X, const double *Y, const double *W1, const double *b1,
    const double *W2, const double *b2, double *value, double *grad_W1, double *grad_b1,
    double *grad_W2, double *grad_b2, double *work, int64_t n, int64_t d, int64_t c, int64_t h);

/* How many elements `work` needs. */
int64_t dense_matrix_work_size(int64_t n, int64_t d, int64_t c, int64_t h);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t dense_matrix_argument_count(void);
const char *dense_matrix_argument_name(int64_t argument);
int64_t dense_matrix_argument_rank(int64_t argument);
int64_t dense_matrix_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d,
    int64_t c, int64_t h);

#ifdef __cplusplus
}
#endif

#endif
