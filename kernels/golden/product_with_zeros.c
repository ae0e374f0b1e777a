/*
 * value, grad
 *
 * size    n
 * input   x (n,) double
 * output  value () double
 * output  grad (n,) double
 * work    t1 () double
 * work    t2 () double
 * work    t4 (n,) double
 *
 * expression: Product(x[i], (i, 0, n - 1)) + Sum(x[i]**2, (i, 0, n - 1))/2
 * differentiated by: x
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (n,), row-major
 * operations: 58 as derived, 58 after optimisation, every size 8
 */

#include "product_with_zeros.h"
#include <math.h>
#include <stdint.h>

static int64_t product_with_zeros_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

static int64_t product_with_zeros_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

void product_with_zeros(const double *restrict x, double *restrict value, double *restrict grad,
    double *restrict work, int64_t n)
{
    double *const restrict t1 = work;
    double *const restrict t2 = work + 8;
    double *const restrict t4 = work + 16;
    double c1 = 1.0;
    double c2 = 0.0;
    double c3 = 1.0;
    double c4 = 1.0;
    for (int64_t i = 0; i < n; i++) {
        const double tt1 = x[i];
        c1 *= tt1;
        c2 += tt1 * tt1;
        grad[i] = c3;
        c3 *= tt1;
        t4[n - i - 1] = c4;
        c4 *= x[n - i - 1];
    }
    t1[0] = c1;
    t2[0] = c2;
    value[0] = t1[0] + 0.5 * t2[0];
    for (int64_t i = 0; i < n; i++) {
        grad[i] = x[i] + grad[i] * t4[i];
    }
}

int64_t product_with_zeros_work_size(int64_t n)
{
    return 16 + product_with_zeros_slice(product_with_zeros_extent(n));
}

int64_t product_with_zeros_argument_count(void)
{
    return 3;
}

const char *product_with_zeros_argument_name(int64_t argument)
{
    switch (argument) {
    case 0: return "x";
    case 1: return "value";
    case 2: return "grad";
    default: return "";
    }
}

int64_t product_with_zeros_argument_rank(int64_t argument)
{
    switch (argument) {
    case 0: return 1;
    case 1: return 0;
    case 2: return 1;
    default: return -1;
    }
}

int64_t product_with_zeros_argument_extent(int64_t argument, int64_t axis, int64_t n)
{
    int64_t extent = 1;
    switch (argument * 64 + axis) {
    case 0: extent = n; break;
    case 128: extent = n; break;
    default: break;
    }
    return extent > 0 ? extent : 0;
}
