/*
 * value, grad
 *
 * x      in    double   shape (n, 3)
 * value  out   double   one number
 * grad   out   double   shape (n, 3)
 * work   work  double   lennard_jones_pairs_work_size(n) elements, contents lost
 * n      size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum(-4/Sum((x[i, k] - x[j, k])**2, (k, 0, 2))**3 + 4/Sum((x[i, k] - x[j, k])**2, (k, 0, 2))**6, (j, 0, i - 1), (i, 0, n - 1))
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, 3), row-major
 * operations: 1693 as derived, 1693 after optimisation, every size 8
 */

#ifndef LENNARD_JONES_PAIRS_H
#define LENNARD_JONES_PAIRS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void lennard_jones_pairs(const double *x, double *value, double *grad, double *work, int64_t n);

/* How many elements `work` needs. */
int64_t lennard_jones_pairs_work_size(int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t lennard_jones_pairs_argument_count(void);
const char *lennard_jones_pairs_argument_name(int64_t argument);
int64_t lennard_jones_pairs_argument_rank(int64_t argument);
int64_t lennard_jones_pairs_argument_extent(int64_t argument, int64_t axis, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
