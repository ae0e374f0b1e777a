/*
 * Special functions in C99, for what libm lacks. targets/special_c.py copies the ones a file calls, with the
 * name of the emitted function in place of PREFIX. Sources stand above each function; constants are from
 * tools/special_coefficients.py. No globals, no allocation; a nan argument gives nan.
 */

/* DLMF 5.5.2, 5.5.4, 5.11.2; a polynomial divided by its root on [1, 2] */
static double PREFIX_digamma(double x)
{
    static const double near[] = {
        -0.00017312261802727394, 0.00025968482126430747, -0.00015148586836773365, 0.0002272331660987376,
        -0.0004821990530566789, 0.0007233266279287554, -0.0010376374098418604, 0.0015566317474486838,
        -0.002345267632540769, 0.003519006401502276, -0.005279964873257405, 0.007926944646403797,
        -0.011908218001568644, 0.0179072524394512, -0.02697579675613825, 0.04076083381242074,
        -0.061922133273064534, 0.09498872445494122, -0.14840492305390884, 0.2405424842407742,
        -0.4236274212814605, 0.951055876031833};
    const double pi = 3.141592653589793;
    double value = 0.0;
    if (x == 0.0) return -1.0 / x;
    if (x < 0.0) {
        const double r = x - floor(x + 0.5);
        if (r == 0.0) return NAN;
        value = -pi * cos(pi * r) / sin(pi * r);
        x = 1.0 - x;
    }
    if (x >= 12.0) {
        const double z = 1.0 / (x * x);
        const double series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132
            - z * (691.0 / 32760 - z * (1.0 / 12)))))));
        return value + (log(x) - 0.5 / x - series);
    }
    if (x < 1.0) {
        value -= 1.0 / x;
        x += 1.0;
    }
    while (x > 2.0) {
        x -= 1.0;
        value += 1.0 / x;
    }
    double p = 0.0;
    for (int k = 0; k < 22; k++) p = p * (x - 1.5) + near[k];
    return value + ((x - 1.4616321449683622) - 9.549995429965697e-17) * p;
}
