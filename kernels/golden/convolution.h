/*
 * value, grad
 *
 * x       in    double   shape (B, C, T)
 * w       in    double   shape (O, C, K)
 * value   out   double   one number
 * grad_x  out   double   shape (B, C, T)
 * grad_w  out   double   shape (O, C, K)
 * work    work  double   convolution_work_size(B, C, T, O, K) elements, contents lost
 * B       size  int64_t
 * C       size  int64_t
 * T       size  int64_t
 * O       size  int64_t
 * K       size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum(tanh(Sum(w[o, c, k]*x[b, c, k + t], (c, 0, C - 1), (k, 0, K - 1)))**2, (b, 0, B - 1), (o, 0, O - 1), (t, 0, -K + T))
 * differentiated by: x, w
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_x (B, C, T), row-major; grad_w (O, C, K), row-major
 * operations: 25024 as derived, 82432 after optimisation, every size 8
 */

#ifndef CONVOLUTION_H
#define CONVOLUTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void convolution(const double *x, const double *w, double *value, double *grad_x, double *grad_w,
    double *work, int64_t B, int64_t C, int64_t T, int64_t O, int64_t K);

/* How many elements `work` needs. */
int64_t convolution_work_size(int64_t B, int64_t C, int64_t T, int64_t O, int64_t K);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t convolution_argument_count(void);
const char *convolution_argument_name(int64_t argument);
int64_t convolution_argument_rank(int64_t argument);
int64_t convolution_argument_extent(int64_t argument, int64_t axis, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K);

#ifdef __cplusplus
}
#endif

#endif
