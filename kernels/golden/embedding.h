/*
 * value, grad
 *
 * E       in    double   shape (m, d)
 * token   in    int64_t  shape (n,)
 * u       in    double   shape (d,)
 * value   out   double   one number
 * grad_E  out   double   shape (m, d)
 * grad_u  out   double   shape (d,)
 * work    work  double   embedding_work_size(m, d, n) elements, contents lost
 * m       size  int64_t
 * d       size  int64_t
 * n       size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Sum(tanh(Sum(E[token[t], k]*u[k], (k, 0, d - 1)))**2, (t, 0, n - 1))
 * differentiated by: E, u
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_E (m, d), row-major; grad_u (d,), row-major
 * operations: 440 as derived, 448 after optimisation, every size 8
 */

#ifndef EMBEDDING_H
#define EMBEDDING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void embedding(const double *E, const int64_t *token, const double *u, double *value,
    double *grad_E, double *grad_u, double *work, int64_t m, int64_t d, int64_t n);

/* How many elements `work` needs. */
int64_t embedding_work_size(int64_t m, int64_t d, int64_t n);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t embedding_argument_count(void);
const char *embedding_argument_name(int64_t argument);
int64_t embedding_argument_rank(int64_t argument);
int64_t embedding_argument_extent(int64_t argument, int64_t axis, int64_t m, int64_t d,
    int64_t n);

#ifdef __cplusplus
}
#endif

#endif
