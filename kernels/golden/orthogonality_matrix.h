/*
 * value, grad
 *
 * W      in    double   shape (n, d)
 * value  out   double   one number
 * grad   out   double   shape (n, d)
 * work   work  double   orthogonality_matrix_work_size(n, d) elements, contents lost
 * n      size  int64_t
 * d      size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Trace((-I + W.T*W)**2)
 * differentiated by: W
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, d), row-major
 * operations: 4424 as derived, 2440 after optimisation, every size 8
 */

#ifndef ORTHOGONALITY_MATRIX_H
#define ORTHOGONALITY_MATRIX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void orthogonality_matrix(const double *W, double *value, double *grad, double *work, int64_t n,
    int64_t d);

/* How many elements `work` needs. */
int64_t orthogonality_matrix_work_size(int64_t n, int64_t d);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t orthogonality_matrix_argument_count(void);
const char *orthogonality_matrix_argument_name(int64_t argument);
int64_t orthogonality_matrix_argument_rank(int64_t argument);
int64_t orthogonality_matrix_argument_extent(int64_t argument, int64_t axis, int64_t n,
    int64_t d);

#ifdef __cplusplus
}
#endif

#endif
