/*
 * value, grad
 *
 * x      in    double   shape (n,)
 * value  out   double   one number
 * grad   out   double   shape (n,)
 * work   work  double   product_with_zeros_work_size(n) elements, contents lost
 * n      size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Product(x[i], (i, 0, n - 1)) + Sum(x[i]**2, (i, 0, n - 1))/2
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n,), row-major
 * operations: 58 as derived, 58 after optimisation, every size 8
 */

#ifndef PRODUCT_WITH_ZEROS_H
#define PRODUCT_WITH_ZEROS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void product_with_zeros(const double *x, double *value, double *grad, double *work, int64_t n);

/* How many elements `work` needs. */
int64_t product_with_zeros_work_size(int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t product_with_zeros_argument_count(void);
const char *product_with_zeros_argument_name(int64_t argument);
int64_t product_with_zeros_argument_rank(int64_t argument);
int64_t product_with_zeros_argument_extent(int64_t argument, int64_t axis, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
