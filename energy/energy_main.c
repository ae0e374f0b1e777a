/* Calls energy once on small arrays and prints what comes out. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "energy.h"

static int64_t energy_elements(int64_t argument, int64_t n0)
{
    int64_t count = 1;
    for (int64_t axis = 0; axis < energy_argument_rank(argument); axis++) {
        count *= energy_argument_extent(argument, axis, n0);
    }
    return count;
}

static double *energy_numbers(int64_t count, int64_t seed)
{
    double *values = malloc(((size_t)count + 1) * sizeof *values);
    for (int64_t i = 0; values && i < count; i++) {
        values[i] = (double)((7 * i + 3 * seed) % 11 + 1) / 12;
    }
    return values;
}

static void energy_print(int64_t argument, const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        printf("%s[%" PRId64 "] = %.17g\n",
            energy_argument_name(argument), i, (double)values[i]);
    }
}

int main(void)
{
    const int64_t n0 = 3;
    double *a0 = energy_numbers(energy_elements(0, n0), 0);
    double *a1 = energy_numbers(energy_elements(1, n0), 1);
    double *a2 = energy_numbers(energy_elements(2, n0), 2);
    double *a3 = energy_numbers(energy_work_size(n0), 3);
    if (!a0 || !a1 || !a2 || !a3) {
        return 1;
    }
    energy(a0, a1, a2, a3, n0);
    energy_print(1, a1, energy_elements(1, n0));
    energy_print(2, a2, energy_elements(2, n0));
    free(a0);
    free(a1);
    free(a2);
    free(a3);
    return 0;
}
