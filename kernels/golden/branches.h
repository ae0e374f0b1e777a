/*
 * value, grad
 *
 * x      in   double  one number
 * y      in   double  one number
 * value  out  double  one number
 * grad   out  double  shape (2,)
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Piecewise((Piecewise((sqrt(y), y > 1/2), (y**3, True))*log(x), (x > 0) & ((x > 1) | (y > 0))), (x*y**2 + y*Heaviside(y), True)) + exp(x)
 * differentiated by: x, y
 * stability rewrites: on
 * kinks: first (ties of Max and Min go to the first argument, and Abs has slope 0 at 0)
 * value: value (), row-major
 * grad: grad (2,), row-major
 * operations: 22 as derived, 23 after optimisation
 */

#ifndef BRANCHES_H
#define BRANCHES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void branches(const double *x, const double *y, double *value, double *grad);

/* How many elements `work` needs. */
int64_t branches_work_size(void);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t branches_argument_count(void);
const char *branches_argument_name(int64_t argument);
int64_t branches_argument_rank(int64_t argument);
int64_t branches_argument_extent(int64_t argument, int64_t axis);

#ifdef __cplusplus
}
#endif

#endif
