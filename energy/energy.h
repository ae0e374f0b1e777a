/*
 * value, grad
 *
 * v       in    double   shape (n,)
 * value   out   double   one number
 * grad_v  out   double   shape (n,)
 * work    work  double   energy_work_size(n) elements, contents lost
 * n       size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum(Abs(v[i] - v[j])**3, (j, 0, i - 1), (i, 0, n - 1))
 * differentiated by: v
 * stability rewrites: on
 * kinks: first (ties of Max and Min go to the first argument, and Abs has slope 0 at 0)
 * value: value (), row-major
 * grad: grad_v (n,), row-major
 * operations: 519 as derived, 463 after optimisation, every size 8
 */

#ifndef ENERGY_H
#define ENERGY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void energy(const double *v, double *value, double *grad_v, double *work, int64_t n);

/* How many elements `work` needs. */
int64_t energy_work_size(int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t energy_argument_count(void);
const char *energy_argument_name(int64_t argument);
int64_t energy_argument_rank(int64_t argument);
int64_t energy_argument_extent(int64_t argument, int64_t axis, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
