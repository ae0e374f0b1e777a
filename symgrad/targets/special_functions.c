/*
 * Special functions in C99, for what libm lacks. targets/special_c.py copies the ones a file calls, with the
 * name of the emitted function in place of PREFIX. Sources stand above each function; constants are from
 * tools/special_coefficients.py. No globals, no allocation; a nan argument gives nan.
 */

/* for x >= 0: DLMF 5.5.2, 5.11.2; a polynomial divided by its root on [1, 2] */
static double PREFIX_digamma(double x)
{
    static const double near[] = {
        -0.00017312261802727394, 0.00025968482126430747, -0.00015148586836773365, 0.0002272331660987376,
        -0.0004821990530566789, 0.0007233266279287554, -0.0010376374098418604, 0.0015566317474486838,
        -0.002345267632540769, 0.003519006401502276, -0.005279964873257405, 0.007926944646403797,
        -0.011908218001568644, 0.0179072524394512, -0.02697579675613825, 0.04076083381242074,
        -0.061922133273064534, 0.09498872445494122, -0.14840492305390884, 0.2405424842407742,
        -0.4236274212814605, 0.951055876031833};
    double value = 0.0;
    if (!(x > 0.0)) return x == 0.0 ? -1.0 / x : NAN;
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

/* Hastings' approximation of the normal quantile (DLMF 7.17, Abramowitz and Stegun 26.2.23), then Halley twice */
static double PREFIX_erfc_tail(double p)
{
    const double t = sqrt(1.3862943611198906 - 2.0 * log(p));
    const double above = 2.515517 + t * (0.802853 + t * 0.010328);
    const double below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    double y = 0.7071067811865476 * (t - above / below);
    for (int k = 0; k < 2; k++) {
        const double step = (erfc(y) - p) / (1.1283791670955126 * exp(-y * y));
        y += step / (1.0 - y * step);
    }
    return y;
}

/* below 1/2 its Taylor series, then Halley twice on erf; beyond through the complement, 1 - x being exact */
static double PREFIX_erfinv(double x)
{
    const double size = fabs(x);
    if (!(size < 1.0)) return size == 1.0 ? x * INFINITY : NAN;
    if (size > 0.5) return x > 0.0 ? PREFIX_erfc_tail(1.0 - x) : -PREFIX_erfc_tail(1.0 + x);
    if (size < 1e-9) return 0.8862269254527580 * x;
    const double z = x * x;
    double y = 0.8862269254527580 * x * (1.0 + z * (0.2617993877991494 + z * 0.1439317308492135));
    for (int k = 0; k < 2; k++) {
        const double step = (erf(y) - x) / (1.1283791670955126 * exp(-y * y));
        y -= step / (1.0 + y * step);
    }
    return y;
}

static double PREFIX_erfcinv(double q)
{
    if (!(q > 0.0 && q < 2.0)) return q == 0.0 ? INFINITY : q == 2.0 ? -INFINITY : NAN;
    if (fabs(q - 1.0) < 0.5) return PREFIX_erfinv(1.0 - q);
    return q < 1.0 ? PREFIX_erfc_tail(q) : -PREFIX_erfc_tail(2.0 - q);
}

/* the correction of Stirling's formula, DLMF 5.11.1: log(gamma(z)) - (z - 1/2) log z + z - log(2 pi)/2, z >= 10 */
static double PREFIX_stirling(double z)
{
    const double w = 1.0 / (z * z);
    return (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188
        - w * (691.0 / 360360 - w * (1.0 / 156 - w * (3617.0 / 122400)))))))) / z;
}

/* log|beta(a, b)|: DLMF 5.12.1; for large arguments by Stirling's formula, whose large parts cancel exactly */
static double PREFIX_betaln(double a, double b)
{
    if (a > b) {
        const double swapped = a;
        a = b;
        b = swapped;
    }
    if (a == 0.0) return b == b ? INFINITY : NAN;
    if (!(b >= 10.0) || a <= 0.0) return lgamma(a) + lgamma(b) - lgamma(a + b);
    const double corrections = PREFIX_stirling(b) - PREFIX_stirling(a + b);
    const double decay = (b - 0.5) * log1p(a / b);
    if (a < 10.0) return lgamma(a) + (corrections + a - a * log(a + b) - decay);
    return 0.9189385332046727 - 0.5 * log(a + b) + (a - 0.5) * log(a / (a + b)) - decay
        + PREFIX_stirling(a) + corrections;
}

/* DLMF 5.12.1 */
static double PREFIX_beta(double a, double b)
{
    if ((a == 0.0 && b >= 0.0) || (b == 0.0 && a >= 0.0)) return INFINITY;
    const double most = a > b ? a : b;
    const double least = a > b ? b : a;
    if (a + b < 170.0 && most < 170.0) return tgamma(most) / tgamma(a + b) * tgamma(least);
    return exp(PREFIX_betaln(a, b));
}

/* DLMF 1.2.6; for small whole k a product, as exact as its factors */
static double PREFIX_binomial(double n, double k)
{
    if (k == floor(k) && k >= 0.0 && k <= 30.0) {
        double value = 1.0;
        for (double i = 1.0; i <= k; i += 1.0) value = value * (n - k + i) / i;
        return value;
    }
    if (n == floor(n) && n - k == floor(n - k) && n - k >= 0.0 && n - k <= 30.0) {
        double value = 1.0;
        for (double i = 1.0; i <= n - k; i += 1.0) value = value * (k + i) / i;
        return value;
    }
    return 1.0 / ((n + 1.0) * PREFIX_beta(n - k + 1.0, k + 1.0));
}

/* gamma(x + k)/gamma(x), DLMF 5.2.5; for small whole k a product */
static double PREFIX_rising(double x, double k)
{
    if (k == floor(k) && k >= 0.0 && k <= 30.0) {
        double value = 1.0;
        for (double i = 0.0; i < k; i += 1.0) value *= x + i;
        return value;
    }
    if (x == 0.0 && k > 0.0) return 0.0;
    if (x < 170.0 && x + k < 170.0) return tgamma(x + k) / tgamma(x);
    return exp(lgamma(x + k) - lgamma(x));
}

/* log(1 + x) - x without cancellation: log1p(x) = 2 atanh(r) with r = x/(2 + x), and 2r - x = -x r */
static double PREFIX_log1p_minus(double x)
{
    if (!(fabs(x) < 0.4)) return log1p(x) - x;
    const double r = x / (2.0 + x);
    const double w = r * r;
    double sum = 0.0;
    for (int k = 27; k >= 3; k -= 2) sum = sum * w + 1.0 / k;
    return r * (2.0 * w * sum - x);
}

/* x**s exp(-x)/gamma(s + 1); for large s after Loader 2000, Fast and accurate computation of binomial probabilities */
static double PREFIX_gamma_term(double s, double x)
{
    if (s < 100.0 && x < 600.0) return pow(x, s) * exp(-x) / tgamma(s + 1.0);
    if (s < 10.0) return exp(s * log(x) - x - lgamma(s + 1.0));
    return exp(s * PREFIX_log1p_minus((x - s) / s) - PREFIX_stirling(s)) / sqrt(6.283185307179586 * s);
}

/* the lower function as a series, DLMF 8.7.1: gamma_term * sum of x**n/((s + 1)...(s + n)) */
static double PREFIX_gammainc_series(double s, double x)
{
    double term = 1.0, sum = 1.0;
    for (double n = s + 1.0; term > 1e-17 * sum; n += 1.0) {
        term *= x / n;
        sum += term;
    }
    return PREFIX_gamma_term(s, x) * sum;
}

/* the upper function as a continued fraction, DLMF 8.9.2, by Lentz's method (Thompson and Barnett 1986) */
static double PREFIX_gammaincc_fraction(double s, double x)
{
    double b = x + 1.0 - s, c = 1e300, d = 1.0 / b, h = d, change = 2.0;
    for (double i = 1.0; fabs(change - 1.0) > 1e-16; i += 1.0) {
        const double a = -i * (i - s);
        b += 2.0;
        d = 1.0 / (a * d + b);
        c = b + a / c;
        change = c * d;
        h *= change;
    }
    return PREFIX_gamma_term(s, x) * s * h;
}

/* 1 minus the lower function for s < 1 and x < 1.5, where that difference cancels (DLMF 8.7.3) */
static double PREFIX_gammaincc_small(double s, double x)
{
    double term = 1.0, sum = 0.0;
    for (double n = 1.0; n < 40.0; n += 1.0) {
        term *= -x / n;
        sum += term / (s + n);
    }
    const double logarithm = s * log(x) - lgamma(1.0 + s);
    return -expm1(logarithm) - exp(logarithm) * s * sum;
}

static double PREFIX_gammainc(double s, double x)
{
    if (!(s >= 0.0 && x >= 0.0)) return NAN;
    if (s == 0.0) return x > 0.0 ? 1.0 : NAN;
    if (x == 0.0 || isinf(s)) return isinf(s) && isinf(x) ? NAN : 0.0;
    if (isinf(x)) return 1.0;
    return x < s + 1.0 ? PREFIX_gammainc_series(s, x) : 1.0 - PREFIX_gammaincc_fraction(s, x);
}

static double PREFIX_gammaincc(double s, double x)
{
    if (!(s >= 0.0 && x >= 0.0)) return NAN;
    if (s == 0.0) return x > 0.0 ? 0.0 : NAN;
    if (x == 0.0 || isinf(s)) return isinf(s) && isinf(x) ? NAN : 1.0;
    if (isinf(x)) return 0.0;
    if (s < 1.0 && x < 1.5) return PREFIX_gammaincc_small(s, x);
    return x < s + 1.0 ? 1.0 - PREFIX_gammainc_series(s, x) : PREFIX_gammaincc_fraction(s, x);
}

/* the continued fraction DLMF 8.17.22, by Lentz's method, times x**a (1 - x)**b/(a beta(a, b)) */
static double PREFIX_betainc_fraction(double a, double b, double x)
{
    const double left = pow(x, a), right = pow(1.0 - x, b);
    double front = left * right / PREFIX_beta(a, b);
    if (!(left > 1e-150 && right > 1e-150 && a + b < 170.0))
        front = exp(a * log(x) + b * log1p(-x) - PREFIX_betaln(a, b));
    double c = 1.0, d = 1.0 / (1.0 - (a + b) * x / (a + 1.0)), h = d, change = 2.0;
    for (double m = 1.0; fabs(change - 1.0) > 1e-16; m += 1.0) {
        if (m > 1e5) return NAN; /* parameters beyond 1e9 */
        const double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / (1.0 + even * d);
        c = 1.0 + even / c;
        h *= c * d;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / (1.0 + odd * d);
        c = 1.0 + odd / c;
        change = c * d;
        h *= change;
    }
    return front * h / a;
}

static double PREFIX_betainc(double a, double b, double x)
{
    if (a == 0.0 && b > 0.0 && x >= 0.0 && x <= 1.0) return x > 0.0 ? 1.0 : 0.0;
    if (b == 0.0 && a > 0.0 && x >= 0.0 && x <= 1.0) return x < 1.0 ? 0.0 : 1.0;
    if (!(a > 0.0 && b > 0.0 && x >= 0.0 && x <= 1.0) || isinf(a) || isinf(b)) return NAN;
    if (x == 0.0 || x == 1.0) return x;
    if (x * (a + b + 2.0) < a + 1.0) return PREFIX_betainc_fraction(a, b, x);
    return 1.0 - PREFIX_betainc_fraction(b, a, 1.0 - x);
}

/* DLMF 7.6.1 times i; for large x the asymptotic series of Dawson's integral (7.12.1), x*x in two parts */
static double PREFIX_erfi(double x)
{
    const double z = x * x, rest = fma(x, x, -z);
    double term = 1.0, sum = 1.0;
    if (fabs(x) > 27.0) return x * INFINITY;
    if (z > 40.0) {
        for (double n = 0.5; n < z && term > 1e-17; n += 1.0) {
            term *= n / z;
            sum += term;
        }
        const double root = exp(0.5 * z);
        return root * (root * (1.0 + rest) * sum / (1.7724538509055159 * x));
    }
    for (double n = 1.0; term > 1e-17 * sum; n += 1.0) {
        term *= z / n;
        sum += term / (2.0 * n + 1.0);
    }
    return 1.1283791670955126 * x * sum;
}

/* E_n(x): DLMF 8.19.8 for x <= 1, the continued fraction 8.19.17 by Lentz's method beyond */
static double PREFIX_expint(double n, double x)
{
    if (!(x >= 0.0 && n >= 0.0)) return n > 0.0 && x < 0.0 ? INFINITY : NAN;
    if (n == 0.0) return exp(-x) / x;
    if (x == 0.0) return n > 1.0 ? 1.0 / (n - 1.0) : INFINITY;
    if (isinf(x)) return 0.0;
    if (x > 1.0) {
        double b = x + n, c = 1e300, d = 1.0 / b, h = d, change = 2.0;
        for (double i = 1.0; fabs(change - 1.0) > 1e-16 && i < 1e5; i += 1.0) {
            const double a = -i * (n - 1.0 + i);
            b += 2.0;
            d = 1.0 / (a * d + b);
            c = b + a / c;
            change = c * d;
            h *= change;
        }
        return h * exp(-x);
    }
    double harmonic = -0.5772156649015329;
    for (double i = 1.0; i < n && n < 60.0; i += 1.0) harmonic += 1.0 / i;
    double term = 1.0, sum = n == 1.0 ? harmonic - log(x) : 1.0 / (n - 1.0);
    for (double i = 1.0; i < 25.0 + n && fabs(term) > 1e-30; i += 1.0) {
        term *= -x / i;
        sum += i == n - 1.0 ? term * (harmonic - log(x)) : -term / (i - n + 1.0);
    }
    return sum;
}

/* DLMF 6.6.1 and the asymptotic series 6.12.2; E1 for negative x */
static double PREFIX_Ei(double x)
{
    if (x < 0.0) return -PREFIX_expint(1.0, -x);
    if (!(x > 0.0)) return x == 0.0 ? -INFINITY : NAN;
    if (x > 720.0) return INFINITY;
    double term = 1.0, sum = 0.0;
    if (x < 40.0) {
        for (double n = 1.0; n < 200.0 && term > 1e-20 * sum; n += 1.0) {
            term *= x / n;
            sum += term / n;
        }
        return 0.5772156649015329 + log(x) + sum;
    }
    for (double n = 1.0; n < x && term > 1e-18; n += 1.0) {
        sum += term;
        term *= n / x;
    }
    const double root = exp(0.5 * x);
    return root * (root / x * sum);
}

/* 1/gamma(1 + m) = g2 - m g1 and 1/gamma(1 - m) = g2 + m g1 for |m| <= 1/2, DLMF 5.7.1 */
static void PREFIX_temme_gamma(double m, double *g1, double *g2)
{
    static const double odd[] = {
        0.5772156649015329, -0.04200263503409524, -0.04219773455554433, 0.0072189432466631,
        -0.00021524167411495098, -2.013485478078824e-05, 1.133027231981696e-06, 6.116095104481416e-09,
        -1.18127457048702e-09, 7.782263439905071e-12, 5.100370287454476e-13, -5.348122539423018e-15,
        -1.1812593016974588e-16};
    static const double even[] = {
        1.0, -0.6558780715202539, 0.16653861138229148, -0.009621971527876973, -0.0011651675918590652,
        0.0001280502823881162, -1.2504934821426706e-06, -2.056338416977607e-07, 5.002007644469223e-09,
        1.0434267116911005e-10, -3.696805618642206e-12, -2.0583260535665066e-14, 1.2267786282382608e-15};
    const double z = m * m;
    double first = 0.0, second = 0.0;
    for (int k = 12; k >= 0; k--) {
        first = first * z + odd[k];
        second = second * z + even[k];
    }
    *g1 = -first;
    *g2 = second;
}

/* K_m and K_{m+1} for |m| <= 1/2 and x < 2: Temme 1975, J. Comput. Phys. 19, 324 */
static void PREFIX_temme_k(double m, double x, double *k0, double *k1)
{
    const double pi = 3.141592653589793, angle = pi * m, logarithm = 0.6931471805599453 - log(x), e = m * logarithm;
    const double over_sine = fabs(angle) < 1e-10 ? 1.0 : angle / sin(angle);
    const double over_sinh = fabs(e) < 1e-10 ? 1.0 : sinh(e) / e;
    double g1, g2;
    PREFIX_temme_gamma(m, &g1, &g2);
    double f = over_sine * (g1 * cosh(e) + g2 * over_sinh * logarithm);
    double p = 0.5 * exp(e) / (g2 - m * g1), q = 0.5 * exp(-e) / (g2 + m * g1);
    double c = 1.0, sum = f, other = p;
    for (double k = 1.0; c > 1e-20; k += 1.0) {
        f = (k * f + p + q) / (k * k - m * m);
        c *= 0.25 * x * x / k;
        p /= k - m;
        q /= k + m;
        sum += c * f;
        other += c * (p - k * f);
    }
    *k0 = sum;
    *k1 = other * 2.0 / x;
}

/* the same for x >= 2, without exp(-x): the trapezoidal rule on DLMF 10.32.9 converges exponentially */
static void PREFIX_large_k(double m, double x, double *k0, double *k1)
{
    const double width = 0.6 / sqrt(x), h = width < 0.2 ? width : 0.2;
    double first = 0.5, second = 0.5;
    for (double k = 1.0, term = 1.0; term > 1e-19; k += 1.0) {
        const double t = k * h, s = sinh(0.5 * t);
        term = exp(-2.0 * x * s * s);
        first += term * cosh(m * t);
        second += term * cosh((m + 1.0) * t);
    }
    *k0 = h * first;
    *k1 = h * second;
}

/* K_v(x) without 2**scale and, for x >= 2, without exp(-x): upwards from orders below 3/2, DLMF 10.29.1 */
static double PREFIX_upwards_k(double order, double x, double *scale)
{
    const double steps = floor(order + 0.5), m = order - steps;
    double low, high;
    if (x < 2.0) PREFIX_temme_k(m, x, &low, &high);
    else PREFIX_large_k(m, x, &low, &high);
    *scale = 0.0;
    for (double k = 1.0; k <= steps; k += 1.0) {
        const double above = low + (m + k) * 2.0 / x * high;
        low = high;
        high = above;
        if (high > 1e270 && x >= 2.0) {
            low = ldexp(low, -900);
            high = ldexp(high, -900);
            *scale += 900.0;
        }
    }
    return low;
}

/* modified Bessel function of the second kind */
static double PREFIX_besselk(double v, double x)
{
    if (!(x >= 0.0) || v != v) return NAN;
    if (x == 0.0) return INFINITY;
    const double order = fabs(v);
    if (order > 1e5) return x < order ? INFINITY : NAN;
    if (x > 1e9) return order < 1e3 ? 0.0 : NAN;
    double scale;
    const double low = PREFIX_upwards_k(order, x, &scale), root = exp(-0.5 * x);
    if (x < 2.0) return low;
    const int half = (int)(0.5 * scale);
    if (x < 1400.0) return ldexp(ldexp(low * root, half) * root, half); /* each step in range if the result is */
    return exp(scale * 0.6931471805599453 - x + log(low));
}

/* exp(x) times it */
static double PREFIX_besselk_scaled(double v, double x)
{
    if (!(x >= 0.0) || v != v) return NAN;
    if (x == 0.0) return INFINITY;
    const double order = fabs(v);
    if (order > 1e5) return NAN;
    double scale;
    const double low = PREFIX_upwards_k(order, x, &scale);
    return x < 2.0 ? low * exp(x) : ldexp(low, scale < 2e4 ? (int)scale : 20000);
}

/* gamma(v + 1) for v >= 0, without rounding v + 1 where that matters */
static double PREFIX_factorial(double v)
{
    return v < 1.0 ? tgamma(v + 1.0) : v * tgamma(v);
}

/* exp(-less) times I_v(x), v >= 0 and x > 0: DLMF 10.25.2, and 10.40.1 for large x */
static double PREFIX_plain_i(double v, double x, double less)
{
    double term = 1.0, sum = 1.0;
    if (x > 30.0 && x > v * v) {
        for (double k = 1.0; k < 2.0 * x && fabs(term) > 1e-18; k += 1.0) {
            term *= ((2.0 * k - 1.0) * (2.0 * k - 1.0) - 4.0 * v * v) / (8.0 * k * x);
            sum += term;
        }
        const double root = exp(0.5 * (x - less));
        return root * (root / sqrt(6.283185307179586 * x) * sum);
    }
    const double z = 0.25 * x * x;
    double scale = 0.0; /* of powers of 2**900 */
    for (double k = 1.0; term > 1e-18 * sum; k += 1.0) {
        term *= z / (k * (v + k));
        sum += term;
        if (sum > 1e270) {
            term = ldexp(term, -900);
            sum = ldexp(sum, -900);
            scale += 900.0;
        }
    }
    const double power = x < 1e-300 ? pow(x, v) * pow(0.5, v) : pow(0.5 * x, v); /* x/2 may be rounded */
    if (v < 150.0 && power > 1e-290 && power < 1e290 && scale == 0.0 && less == 0.0) return power / PREFIX_factorial(v) * sum;
    return exp(v * log(0.5 * x) - lgamma(v + 1.0) + log(sum) + scale * 0.6931471805599453 - less);
}

static double PREFIX_besseli(double v, double x)
{
    const double pi = 3.141592653589793;
    const int whole = v == floor(v);
    if (v != v || x != x || (x < 0.0 && !whole)) return NAN;
    const double size = fabs(x), order = fabs(v);
    if (size == 0.0) return order == 0.0 ? 1.0 : v > 0.0 || whole ? 0.0 : INFINITY;
    if (size > 1e5) return x < 0.0 && fmod(order, 2.0) == 1.0 ? -INFINITY : INFINITY;
    double value = PREFIX_plain_i(order, size, 0.0);
    if (v < 0.0 && !whole) {
        value += 2.0 / pi * sin(pi * fmod(order, 2.0)) * PREFIX_besselk(order, size);
    }
    return x < 0.0 && fmod(order, 2.0) == 1.0 ? -value : value;
}

/* exp(-x) times it for x >= 25, where functions of orders of either sign are equal to the last place */
static double PREFIX_besseli_scaled(double v, double x)
{
    if (!(x >= 25.0) || v != v) return NAN;
    return isinf(x) ? 0.0 : PREFIX_plain_i(fabs(v), x, x);
}

/*
 * J_v(x) and Y_v(x) for v >= 0 and x > 0: Hankel's expansion (DLMF 10.17.3) for large x, else Steed's method
 * (Barnett 1981, Comput. Phys. Commun. 21, 297) with Temme's series for x < 2 (Temme 1976, J. Comput. Phys. 21, 343).
 */
static void PREFIX_hankel(double v, double x, double *j, double *y)
{
    const double pi = 3.141592653589793, mu = 4.0 * v * v;
    double term = 1.0, even = 1.0, odd = 0.0;
    for (int k = 1; k < 60 && fabs(term) > 1e-18; k++) {
        const double next = term * (mu - (2.0 * k - 1.0) * (2.0 * k - 1.0)) / (8.0 * k * x);
        if (fabs(next) > fabs(term) && k > v) break;
        term = next;
        const double part = k % 4 < 2 ? term : -term;
        if (k % 2) odd += part;
        else even += k % 4 == 2 ? -term : term;
    }
    const double turn = fmod(0.5 * v + 0.25, 2.0) * pi, c = cos(x), s = sin(x), a = cos(turn), b = sin(turn);
    const double cosine = c * a + s * b, sine = s * a - c * b, size = sqrt(2.0 / (pi * x));
    *j = size * (cosine * even - sine * odd);
    *y = size * (sine * even + cosine * odd);
}

/* Y_m and Y_{m+1} for |m| <= 1/2 and x < 2 */
static void PREFIX_temme(double m, double x, double *y, double *next)
{
    const double pi = 3.141592653589793, angle = pi * m, logarithm = 0.6931471805599453 - log(x), e = m * logarithm;
    const double over_sine = fabs(angle) < 1e-10 ? 1.0 : angle / sin(angle);
    const double over_sinh = fabs(e) < 1e-10 ? 1.0 : sinh(e) / e;
    double g1, g2;
    PREFIX_temme_gamma(m, &g1, &g2);
    double f = 2.0 / pi * over_sine * (g1 * cosh(e) + g2 * over_sinh * logarithm);
    double p = exp(e) / (pi * (g2 - m * g1)), q = exp(-e) / (pi * (g2 + m * g1));
    const double half = 0.5 * angle, ratio = fabs(half) < 1e-10 ? 1.0 : sin(half) / half;
    const double r = pi * half * ratio * ratio;
    double c = 1.0, sum = f + r * q, other = p;
    for (double k = 1.0; k < 60.0; k += 1.0) {
        f = (k * f + p + q) / (k * k - m * m);
        c *= -0.25 * x * x / k;
        p /= k - m;
        q /= k + m;
        const double change = c * (f + r * q);
        sum += change;
        other += c * p - k * change;
        if (fabs(change) < 1e-18 * (1.0 + fabs(sum))) break;
    }
    *y = -sum;
    *next = -other * 2.0 / x;
}

/* p + iq with J' + iY' = (p + iq)(J + iY) for x >= 2, by Lentz's method in complex numbers */
static void PREFIX_steed(double m, double x, double *p, double *q)
{
    double a = 0.25 - m * m, re = -0.5 / x, im = 1.0;
    double br = 2.0 * x, bi = 2.0, factor = a / x / (re * re + im * im);
    double cr = br + im * factor, ci = bi + re * factor, size = br * br + bi * bi;
    double dr = br / size, di = -bi / size, lr = cr * dr - ci * di, li = cr * di + ci * dr;
    double kept = re * lr - im * li;
    im = re * li + im * lr;
    re = kept;
    for (double k = 2.0; k < 1e5; k += 1.0) {
        a += 2.0 * (k - 1.0);
        bi += 2.0;
        dr = a * dr + br;
        di = a * di + bi;
        factor = a / (cr * cr + ci * ci);
        cr = br + cr * factor;
        ci = bi - ci * factor;
        size = dr * dr + di * di;
        dr /= size;
        di /= -size;
        lr = cr * dr - ci * di;
        li = cr * di + ci * dr;
        kept = re * lr - im * li;
        im = re * li + im * lr;
        re = kept;
        if (fabs(lr - 1.0) + fabs(li) < 1e-16) break;
    }
    *p = re;
    *q = im;
}

/* for v < x > 25: Hankel's expansion for a lower order, and upwards from there (DLMF 10.6.1) */
static void PREFIX_upwards(double v, double x, double *j, double *y)
{
    const double most = sqrt(3.0 * x), steps = v > most ? ceil(v - most) : 0.0;
    double next_j, next_y, m = v - steps;
    PREFIX_hankel(m, x, j, y);
    if (steps == 0.0) return;
    PREFIX_hankel(m + 1.0, x, &next_j, &next_y);
    for (double k = 1.0; k < steps; k += 1.0) {
        const double factor = 2.0 * (m + k) / x, above_j = factor * next_j - *j, above_y = factor * next_y - *y;
        *j = next_j;
        *y = next_y;
        next_j = above_j;
        next_y = above_y;
    }
    *j = next_j;
    *y = next_y;
}

static void PREFIX_jy(double v, double x, double *j, double *y)
{
    if (x > 25.0 && x > v) {
        PREFIX_upwards(v, x, j, y);
        return;
    }
    if (v > 1e4 && x < 0.5 * v) { /* both are out of range */
        *j = 0.0;
        *y = -INFINITY;
        return;
    }
    if (v > 1e5) {
        *j = *y = NAN;
        return;
    }
    const double steps = x < 2.0 ? floor(v + 0.5) : v > x - 1.5 ? floor(v - x + 1.5) : 0.0;
    const double m = v - steps, inverse = 1.0 / x, wronskian = 0.6366197723675814 * inverse;
    double b = 2.0 * v * inverse, h = v * inverse > 1e-300 ? v * inverse : 1e-300, c = h, d = 0.0, sign = 1.0;
    for (double k = 0.0; k < 1e6; k += 1.0) {
        b += 2.0 * inverse;
        d = b - d;
        c = b - 1.0 / c;
        if (d == 0.0) d = 1e-300;
        if (c == 0.0) c = 1e-300;
        d = 1.0 / d;
        if (d < 0.0) sign = -sign;
        h *= c * d;
        if (fabs(c * d - 1.0) < 1e-16) break;
    }
    if (!(fabs(c * d - 1.0) < 1e-15)) h = NAN; /* no convergence */
    double low = sign * 1e-250, slope = h * low, scale = low, factor = v * inverse;
    for (double k = 0.0; k < steps; k += 1.0) {
        const double above = factor * low + slope;
        factor -= inverse;
        slope = factor * above - low;
        low = above;
        if (fabs(low) > 1e200) {
            low *= 1e-300;
            slope *= 1e-300;
            scale *= 1e-300;
        }
    }
    if (low == 0.0) low = 1e-300;
    const double f = slope / low;
    double value, first, second;
    if (x < 2.0) {
        PREFIX_temme(m, x, &first, &second);
        value = wronskian / (m * inverse * first - second - f * first);
    } else {
        double p, q;
        PREFIX_steed(m, x, &p, &q);
        const double ratio = (p - f) / q;
        value = sqrt(wronskian / ((p - f) * ratio + q));
        if (low < 0.0) value = -value;
        first = value * ratio;
        second = m * inverse * first - (first * p + q * value);
    }
    *j = scale * (value / low);
    for (double k = 1.0; k <= steps; k += 1.0) {
        const double above = (m + k) * 2.0 * inverse * second - first;
        first = second;
        second = above;
    }
    *y = first;
}

static double PREFIX_besselj(double v, double x)
{
    const double pi = 3.141592653589793, order = fabs(v), size = fabs(x);
    const int whole = v == floor(v);
    const int flips = fmod(order, 2.0) == 1.0;
    double j, y;
    if (v != v || x != x || (x < 0.0 && !whole)) return NAN;
    if (isinf(x)) return 0.0;
    if (size == 0.0) return order == 0.0 ? 1.0 : v > 0.0 || whole ? 0.0 : INFINITY;
    if (0.25 * size * size < order + 1.0 && order < 150.0 && (v >= 0.0 || whole)) {
        double term = 1.0, sum = 1.0;
        for (double k = 1.0; fabs(term) > 1e-18 * fabs(sum); k += 1.0) {
            term *= -0.25 * size * size / (k * (order + k));
            sum += term;
        }
        j = pow(0.5 * size, order) / PREFIX_factorial(order) * sum;
    } else {
        PREFIX_jy(order, size, &j, &y);
    }
    if (v < 0.0 && !whole) {
        const double angle = pi * fmod(order, 2.0);
        return (fmod(order, 1.0) == 0.5 ? 0.0 : cos(angle) * j) - sin(angle) * y;
    }
    return (flips && v < 0.0) != (flips && x < 0.0) ? -j : j;
}

static double PREFIX_bessely(double v, double x)
{
    const double pi = 3.141592653589793, order = fabs(v);
    double j, y;
    if (!(x >= 0.0) || v != v) return NAN;
    if (isinf(x)) return 0.0;
    if (x == 0.0) return -INFINITY;
    if (x < 1e-290 && v >= 0.0) /* DLMF 10.7.4, 10.7.1 */
        return v > 0.0 ? -tgamma(v) / pi * pow(0.5 * x, -v) : 2.0 / pi * (log(x) - 0.11593151565841245);
    PREFIX_jy(order, x, &j, &y);
    if (v >= 0.0) return y;
    if (v == floor(v)) return fmod(order, 2.0) == 1.0 ? -y : y;
    const double angle = pi * fmod(order, 2.0);
    return sin(angle) * j + (fmod(order, 1.0) == 0.5 ? 0.0 : cos(angle) * y);
}

/* Ai, Bi and their derivatives through Bessel functions of order 1/3 and 2/3: DLMF 9.6.2 to 9.6.9 */
static double PREFIX_airyai(double x)
{
    const double size = fabs(x), z = 2.0 / 3.0 * size * sqrt(size);
    double j, y;
    if (size < 1e-20) return 0.3550280538878172;
    if (x > 0.0) return isinf(x) ? 0.0 : 0.3183098861837907 * sqrt(size / 3.0) * PREFIX_besselk(1.0 / 3.0, z);
    if (!(z < 1e300)) return x < 0.0 ? 0.0 : NAN;
    PREFIX_jy(1.0 / 3.0, z, &j, &y);
    return 0.5 * sqrt(size) * (j - y / 1.7320508075688772);
}

static double PREFIX_airybi(double x)
{
    const double size = fabs(x), z = 2.0 / 3.0 * size * sqrt(size);
    double j, y;
    if (size < 1e-20) return 0.6149266274460007;
    if (x > 0.0) {
        if (z > 800.0) return INFINITY;
        const double both = 2.0 * PREFIX_plain_i(1.0 / 3.0, z, 0.0);
        return sqrt(size / 3.0) * (both + 0.5513288954217921 * PREFIX_besselk(1.0 / 3.0, z));
    }
    if (!(z < 1e300)) return x < 0.0 ? 0.0 : NAN;
    PREFIX_jy(1.0 / 3.0, z, &j, &y);
    return -0.5 * sqrt(size) * (j / 1.7320508075688772 + y);
}

static double PREFIX_airyaiprime(double x)
{
    const double size = fabs(x), z = 2.0 / 3.0 * size * sqrt(size);
    double j, y;
    if (size < 1e-20) return -0.2588194037928068;
    if (x > 0.0) return isinf(x) ? 0.0 : -0.3183098861837907 * size / 1.7320508075688772
        * PREFIX_besselk(2.0 / 3.0, z);
    if (!(z < 1e300)) return NAN;
    PREFIX_jy(2.0 / 3.0, z, &j, &y);
    return 0.5 * size * (j + y / 1.7320508075688772);
}

static double PREFIX_airybiprime(double x)
{
    const double size = fabs(x), z = 2.0 / 3.0 * size * sqrt(size);
    double j, y;
    if (size < 1e-20) return 0.4482883573538264;
    if (x > 0.0) {
        if (z > 800.0) return INFINITY;
        const double both = 2.0 * PREFIX_plain_i(2.0 / 3.0, z, 0.0);
        return size / 1.7320508075688772 * (both + 0.5513288954217921 * PREFIX_besselk(2.0 / 3.0, z));
    }
    if (!(z < 1e300)) return NAN;
    PREFIX_jy(2.0 / 3.0, z, &j, &y);
    return 0.5 * size * (j / 1.7320508075688772 - y);
}

/* sine and cosine integral: DLMF 6.6.5 and 6.6.6; E_1(ix) by its continued fraction (6.9.1) for x > 2 */
static void PREFIX_sici(double x, double *si, double *ci)
{
    if (x > 1e8) {
        *si = 1.5707963267948966 - cos(x) / x;
        *ci = sin(x) / x;
        return;
    }
    if (x <= 2.0) {
        double term = x, sine = x, cosine = 0.0;
        for (double k = 2.0; fabs(term) > 1e-20 * sine && k < 60.0; k += 1.0) {
            term *= x / k;
            const double part = fmod(k, 4.0) < 2.0 ? term / k : -term / k;
            if (fmod(k, 2.0) == 0.0) cosine += part;
            else sine += part;
        }
        *si = sine;
        *ci = 0.5772156649015329 + log(x) + cosine;
        return;
    }
    double br = 1.0, cr = 1e300, ci_ = 0.0, size = 1.0 + x * x;
    double dr = 1.0 / size, di = -x / size, hr = dr, hi = di;
    for (double k = 1.0; k < 1e4; k += 1.0) {
        const double a = -k * k;
        br += 2.0;
        const double er = a * dr + br, ei = a * di + x;
        size = er * er + ei * ei;
        dr = er / size;
        di = -ei / size;
        size = cr * cr + ci_ * ci_;
        const double fr = size < 1e300 ? a * cr / size : 0.0, fi = size < 1e300 ? -a * ci_ / size : 0.0;
        cr = br + fr;
        ci_ = x + fi;
        const double lr = cr * dr - ci_ * di, li = cr * di + ci_ * dr, kept = hr * lr - hi * li;
        hi = hr * li + hi * lr;
        hr = kept;
        if (fabs(lr - 1.0) + fabs(li) < 1e-16) break;
    }
    const double c = cos(x), s = sin(x);
    *ci = -(hr * c + hi * s);
    *si = 1.5707963267948966 + (hi * c - hr * s);
}

static double PREFIX_Si(double x)
{
    double si, ci;
    if (isinf(x)) return x > 0.0 ? 1.5707963267948966 : -1.5707963267948966;
    if (x == 0.0 || x != x) return x;
    PREFIX_sici(fabs(x), &si, &ci);
    return x < 0.0 ? -si : si;
}

/* for x < 0 its real part */
static double PREFIX_Ci(double x)
{
    double si, ci;
    if (x == 0.0) return -INFINITY;
    if (isinf(x)) return x > 0.0 ? 0.0 : NAN;
    if (x != x) return x;
    PREFIX_sici(fabs(x), &si, &ci);
    return ci;
}

/* DLMF 6.6.5 with hyperbolic functions; beyond 1 from Ei and E_1 */
static double PREFIX_Shi(double x)
{
    const double size = fabs(x);
    if (!(size > 1.0)) {
        double term = x, sum = x;
        for (double k = 3.0; k < 26.0; k += 2.0) {
            term *= x * x / (k * (k - 1.0));
            sum += term / k;
        }
        return sum;
    }
    const double value = 0.5 * PREFIX_Ei(size) + 0.5 * PREFIX_expint(1.0, size);
    return x < 0.0 ? -value : value;
}

/* DLMF 6.6.6 with hyperbolic functions; for x < 0 the real part */
static double PREFIX_Chi(double x)
{
    const double size = fabs(x);
    if (size > 1.0) return 0.5 * PREFIX_Ei(size) - 0.5 * PREFIX_expint(1.0, size);
    double term = 1.0, sum = 0.0;
    for (double k = 2.0; k < 26.0; k += 2.0) {
        term *= x * x / (k * (k - 1.0));
        sum += term / k;
    }
    return 0.5772156649015329 + log(size) + sum;
}

/* DLMF 7.6.4 and 7.6.6; for x > 3/2 from the continued fraction of erfc, 7.9.4 */
static void PREFIX_fresnel(double x, double *s, double *c)
{
    const double pi = 3.141592653589793, z = x * x, rest = fma(x, x, -z);
    if (x < 1.5) {
        double term = x, sine = 0.0, cosine = x;
        for (double k = 1.0; k < 40.0; k += 1.0) {
            term *= 0.5 * pi * z / k;
            const double part = fmod(k, 4.0) < 2.0 ? term / (2.0 * k + 1.0) : -term / (2.0 * k + 1.0);
            if (fmod(k, 2.0) == 1.0) sine += part;
            else cosine += part;
        }
        *s = sine;
        *c = cosine;
        return;
    }
    double br = 1.0, cr = 1e300, ci = 0.0, n = -1.0;
    const double bi = -pi * z;
    double size = 1.0 + bi * bi, dr = 1.0 / size, di = -bi / size, hr = dr, hi = di;
    for (int k = 0; k < 10000; k++) {
        n += 2.0;
        const double a = -n * (n + 1.0);
        br += 4.0;
        const double er = a * dr + br, ei = a * di + bi;
        size = er * er + ei * ei;
        dr = er / size;
        di = -ei / size;
        size = cr * cr + ci * ci;
        const double fr = size < 1e300 ? a * cr / size : 0.0, fi = size < 1e300 ? -a * ci / size : 0.0;
        cr = br + fr;
        ci = bi + fi;
        const double lr = cr * dr - ci * di, li = cr * di + ci * dr, kept = hr * lr - hi * li;
        hi = hr * li + hi * lr;
        hr = kept;
        if (fabs(lr - 1.0) + fabs(li) < 1e-16) break;
    }
    const double angle = 0.5 * pi * (fmod(z, 4.0) + rest), co = cos(angle), si = sin(angle);
    const double gr = x * (hr + hi), gi = x * (hi - hr); /* h times x - ix */
    const double ur = 1.0 - (co * gr - si * gi), ui = -(co * gi + si * gr);
    *c = 0.5 * (ur - ui);
    *s = 0.5 * (ur + ui);
}

static double PREFIX_fresnels(double x)
{
    double s, c;
    if (x != x) return x;
    if (fabs(x) > 1e8) return x > 0.0 ? 0.5 : -0.5;
    PREFIX_fresnel(fabs(x), &s, &c);
    return x < 0.0 ? -s : s;
}

static double PREFIX_fresnelc(double x)
{
    double s, c;
    if (x != x) return x;
    if (fabs(x) > 1e8) return x > 0.0 ? 0.5 : -0.5;
    PREFIX_fresnel(fabs(x), &s, &c);
    return x < 0.0 ? -c : c;
}

/* Carlson's R_F(x, y, 1) by duplication: DLMF 19.26.18, 19.36.1 */
static double PREFIX_rf(double x, double y)
{
    double z = 1.0;
    if (!(x >= 0.0 && y >= 0.0)) return NAN;
    if (x + y == 0.0) return INFINITY;
    for (int k = 0; k < 600; k++) {
        const double mean = (x + y + z) / 3.0, u = 1.0 - x / mean, v = 1.0 - y / mean, w = -u - v;
        if (fabs(u) < 1e-3 && fabs(v) < 1e-3 && fabs(w) < 1e-3) {
            const double e2 = u * v - w * w, e3 = u * v * w;
            return (1.0 - e2 / 10.0 + e3 / 14.0 + e2 * e2 / 24.0 - 3.0 * e2 * e3 / 44.0) / sqrt(mean);
        }
        const double step = sqrt(x) * sqrt(y) + sqrt(y) * sqrt(z) + sqrt(z) * sqrt(x);
        x = 0.25 * (x + step);
        y = 0.25 * (y + step);
        z = 0.25 * (z + step);
    }
    return NAN;
}

/* Carlson's R_D(x, y, 1) by duplication: DLMF 19.26.20, 19.36.2 */
static double PREFIX_elliprd(double x, double y)
{
    double z = 1.0, sum = 0.0, power = 1.0;
    if (!(x >= 0.0 && y >= 0.0)) return NAN;
    if (x + y == 0.0) return INFINITY;
    for (int k = 0; k < 600; k++) {
        const double mean = (x + y + 3.0 * z) / 5.0, u = 1.0 - x / mean, v = 1.0 - y / mean, w = -(u + v) / 3.0;
        if (fabs(u) < 5e-4 && fabs(v) < 5e-4 && fabs(w) < 5e-4) {
            const double uv = u * v, ww = w * w;
            const double e2 = uv - 6.0 * ww, e3 = (3.0 * uv - 8.0 * ww) * w, e4 = 3.0 * (uv - ww) * ww;
            const double e5 = uv * ww * w;
            const double series = 1.0 - 3.0 * e2 / 14.0 + e3 / 6.0 + 9.0 * e2 * e2 / 88.0 - 3.0 * e4 / 22.0
                - 9.0 * e2 * e3 / 52.0 + 3.0 * e5 / 26.0;
            return power * series / (mean * sqrt(mean)) + 3.0 * sum;
        }
        const double step = sqrt(x) * sqrt(y) + sqrt(y) * sqrt(z) + sqrt(z) * sqrt(x);
        sum += power / (sqrt(z) * (z + step));
        power *= 0.25;
        x = 0.25 * (x + step);
        y = 0.25 * (y + step);
        z = 0.25 * (z + step);
    }
    return NAN;
}

/* DLMF 19.25.5, and 2k complete ones for phi = k pi + r */
static double PREFIX_elliptic_f(double phi, double m)
{
    const double pi = 3.141592653589793, k = floor(phi / pi + 0.5), r = phi - k * pi, s = sin(r), c = cos(r);
    if (m > 1.0) return NAN;
    const double part = s * PREFIX_rf(c * c, 1.0 - m * s * s);
    return k == 0.0 ? part : part + 2.0 * k * PREFIX_rf(0.0, 1.0 - m);
}

/* DLMF 19.25.9 */
static double PREFIX_incomplete_e(double phi, double m)
{
    const double pi = 3.141592653589793, k = floor(phi / pi + 0.5), r = phi - k * pi, s = sin(r), c = cos(r);
    if (m > 1.0) return NAN;
    const double y = 1.0 - m * s * s;
    const double part = s * (PREFIX_rf(c * c, y) - m * s * s / 3.0 * PREFIX_elliprd(c * c, y));
    if (k == 0.0) return part;
    if (m == 1.0) return part + 2.0 * k;
    return part + 2.0 * k * (PREFIX_rf(0.0, 1.0 - m) - m / 3.0 * PREFIX_elliprd(0.0, 1.0 - m));
}
