/*
 * value, grad
 *
 * x      in    double   shape (n,)
 * value  out   double   one number
 * grad   out   double   shape (n,)
 * n      size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum((1 - x[i])**2 + 100*(x[i + 1] - x[i]**2)**2, (i, 0, n - 2))
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n,), row-major
 * operations: 134 as derived, 134 after optimisation, every size 8
 */

#ifndef ROSENBROCK_H
#define ROSENBROCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void rosenbrock(const double *x, double *value, double *grad, int64_t n);

/* How many elements `work` needs. */
int64_t rosenbrock_work_size(int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t rosenbrock_argument_count(void);
const char *rosenbrock_argument_name(int64_t argument);
int64_t rosenbrock_argument_rank(int64_t argument);
int64_t rosenbrock_argument_extent(int64_t argument, int64_t axis, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
