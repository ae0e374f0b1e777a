/*
 * value, grad
 *
 * A       in    double   shape (n, n)
 * value   out   double   one number
 * grad    out   double   shape (n, n)
 * status  out   double   one number
 * work    work  double   log_determinant_work_size(n) elements, contents lost
 * n       size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * status: 0, or the number of the first call that failed, whose results are then nan:
 *   1: the matrix 'A' is singular
 * expression: log(Determinant(A))
 * differentiated by: A
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n, n), row-major
 * operations: 1365 as derived, 1407 after optimisation, every size 8
 */

#ifndef LOG_DETERMINANT_H
#define LOG_DETERMINANT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void log_determinant(const double *A, double *value, double *grad, double *status, double *work,
    int64_t n);

/* How many elements `work` needs. */
int64_t log_determinant_work_size(int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t log_determinant_argument_count(void);
const char *log_determinant_argument_name(int64_t argument);
int64_t log_determinant_argument_rank(int64_t argument);
int64_t log_determinant_argument_extent(int64_t argument, int64_t axis, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
