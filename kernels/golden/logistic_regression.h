/*
 * value, grad
 *
 * X        in    double   shape (n, d)
 * y        in    double   shape (n,)
 * w        in    double   shape (d,)
 * b        in    double   one number
 * penalty  in    double   one number
 * value    out   double   one number
 * grad_w   out   double   shape (d,)
 * grad_b   out   double   one number
 * work     work  double   logistic_regression_work_size(n, d) elements, contents lost
 * n        size  int64_t
 * d        size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: penalty*Sum(w[j]**2, (j, 0, d - 1))/2 + Sum(log(1 + exp(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i])), (i, 0, n - 1))/n
 * differentiated by: w, b
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_w (d,), row-major; grad_b (), row-major
 * operations: 383 as derived, 422 after optimisation, every size 8
 */

#ifndef LOGISTIC_REGRESSION_H
#define LOGISTIC_REGRESSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void logistic_regression(const double *X, const double *y, const double *w, const double *b,
    const double *penalty, double *value, double *grad_w, double *grad_b, double *work, int64_t n,
    int64_t d);

/* How many elements `work` needs. */
int64_t logistic_regression_work_size(int64_t n, int64_t d);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t logistic_regression_argument_count(void);
const char *logistic_regression_argument_name(int64_t argument);
int64_t logistic_regression_argument_rank(int64_t argument);
int64_t logistic_regression_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t d);

#ifdef __cplusplus
}
#endif

#endif
