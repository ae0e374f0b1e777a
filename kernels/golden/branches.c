/*
 * value, grad
 *
 * input   x () double
 * input   y () double
 * output  value () double
 * output  grad (2,) double
 *
 * expression: Piecewise((Piecewise((sqrt(y), y > 1/2), (y**3, True))*log(x), (x > 0) & ((x > 1) | (y > 0))), (x*y**2 + y*Heaviside(y), True)) + exp(x)
 * differentiated by: x, y
 * stability rewrites: on
 * kinks: first (ties of Max and Min go to the first argument, and Abs has slope 0 at 0)
 * value: value (), row-major
 * grad: grad (2,), row-major
 * operations: 22 as derived, 23 after optimisation
 */

#include "branches.h"
#include <math.h>
#include <stdint.h>

void branches(const double *restrict x, const double *restrict y, double *restrict value,
    double *restrict grad)
{
    const double t1 = x[0];
    const double t2 = exp(t1);
    const double t3 = y[0];
    const int t4 = t3 == 0.0;
    const int t5 = 0.0 < t3;
    const double t6 = t5 ? 1.0 : ((t3 < 0.0) ? 0.0 : (t4 ? 0.5 : NAN));
    const double t7 = t3 * t3;
    const int t8 = (1.0 < t1) || t5;
    const int t9 = 0.0 < t1;
    const int t10 = t8 && t9;
    const int t11 = 0.5 < t3;
    const double t12 = sqrt(t3);
    const double t13 = t11 ? t12 : (t3 * t7);
    const double t14 = log(t1);
    const int t15 = t1 == 0.0;
    const int t16 = t15 && (t13 == 0.0);
    value[0] = (t10 ? (t16 ? 0.0 : (t13 * t14)) : (t1 * t7 + t6 * t3)) + t2;
    const int t17 = !t10;
    const int t18 = !t11;
    const double t19 = 0.5 / t12;
    const double t20 = ((t11 && t10) ? (((t19 == 0.0) && t15) ? 0.0 : (t19 * t14)) : 0) + ((t18 && t10) ? ((t15 && (t7 == 0.0)) ? 0.0 : (t7 * t14)) : 0);
    const int t21 = (t18 && t8) && t9;
    const double t22 = (t17 || t21) ? (t3 * ((t17 ? t1 : 0) + (t21 ? ((t15 && t4) ? 0.0 : (t3 * t14)) : 0))) : 0;
    grad[0] = (t17 ? t7 : 0) + (t10 ? (t16 ? 0.0 : (t13 / t1)) : 0) + t2;
    grad[1] = t20 + t22 + t22 + (t17 ? t6 : 0);
}

int64_t branches_work_size(void)
{
    return 0;
}

int64_t branches_argument_count(void)
{
    return 4;
}

const char *branches_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "y";
    case 2: return "value";
    case 3: return "grad";
    default: return "";
    }
}

int64_t branches_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 0;
    case 1: return 0;
    case 2: return 0;
    case 3: return 1;
    default: return -1;
    }
}

int64_t branches_argument_extent(int64_t argument, int64_t axis)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 192: extent = 2; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
