/*
 * value, grad
 *
 * A       in    double   shape (n, n)
 * B       in    double   shape (n, m)
 * C       in    double   shape (m, m)
 * x       in    double   shape (n, 1)
 * y       in    double   shape (m, 1)
 * value   out   double   one number
 * grad_B  out   double   shape (n, m)
 * grad_x  out   double   shape (n, 1)
 * grad_y  out   double   shape (m, 1)
 * work    work  double   block_quadratic_work_size(n, m) elements, contents lost
 * n       size  int64_t
 * m       size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Trace(Matrix([[x.T, y.T]])*Matrix([<U+000A>[  A, B],<U+000A>[B.T, C]])*Matrix([<U+000A>[x],<U+000A>[y]]))
 * differentiated by: B, x, y
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_B (n, m), row-major; grad_x (n, 1), row-major; grad_y (m, 1), row-major
 * operations: 2848 as derived, 2848 after optimisation, every size 8
 */

#ifndef BLOCK_QUADRATIC_H
#define BLOCK_QUADRATIC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void block_quadratic(const double *A, const double *B, const double *C, const double *x,
    const double *y, double *value, double *grad_B, double *grad_x, double *grad_y, double *work,
    int64_t n, int64_t m);

/* How many elements `work` needs. */
int64_t block_quadratic_work_size(int64_t n, int64_t m);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t block_quadratic_argument_count(void);
const char *block_quadratic_argument_name(int64_t argument);
int64_t block_quadratic_argument_rank(int64_t argument);
int64_t block_quadratic_argument_extent(int64_t argument, int64_t axis, int64_t n, int64_t m);

#ifdef __cplusplus
}
#endif

#endif
