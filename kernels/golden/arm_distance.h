/*
 * value, grad
 *
 * q1     in   double  one number
 * q2     in   double  one number
 * q3     in   double  one number
 * q4     in   double  one number
 * q5     in   double  one number
 * q6     in   double  one number
 * g1     in   double  one number
 * g2     in   double  one number
 * g3     in   double  one number
 * g4     in   double  one number
 * g5     in   double  one number
 * g6     in   double  one number
 * g7     in   double  one number
 * g8     in   double  one number
 * g9     in   double  one number
 * g10    in   double  one number
 * g11    in   double  one number
 * g12    in   double  one number
 * value  out  double  one number
 * grad   out  double  shape (6,)
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * expression: Add of more than 300 sub-expressions
 * differentiated by: q1, q2, q3, q4, q5, q6
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (6,), row-major
 * operations: 572 as derived, 572 after optimisation
 */

#ifndef ARM_DISTANCE_H
#define ARM_DISTANCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void arm_distance(const double *q1, const double *q2, const double *q3, const double *q4,
    const double *q5, const double *q6, const double *g1, const double *g2, const double *g3,
    const double *g4, const double *g5, const double *g6, const double *g7, const double *g8,
    const double *g9, const double *g10, const double *g11, const double *g12, double *value,
    double *grad);

/* How many elements `work` needs. */
int64_t arm_distance_work_size(void);

/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */
int64_t arm_distance_argument_count(void);
const char *arm_distance_argument_name(int64_t argument);
int64_t arm_distance_argument_rank(int64_t argument);
int64_t arm_distance_argument_extent(int64_t argument, int64_t axis);

#ifdef __cplusplus
}
#endif

#endif
