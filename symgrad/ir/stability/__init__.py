"""Stability rewrites: equal in exact arithmetic, more accurate (or finite) in floating point.

They fire while the expression is built, so before differentiation: the derivative of an unstable
form is unstable and no longer recognisable. `Graph(stabilise=False)` turns them off.

Each rule carries an `Audit`: how it is written, what is computed instead, when, its source, and points
where tools/stability_table.py measures what it gains; STABILITY.md, next to this folder, is the table.

    logarithms.py    log-sum-exp, softplus, log1p, log(1 - exp(x)), log(cosh(x)), log of a power
    determinants.py  log-determinant
    exponentials.py  exp(x) - 1, products of exponentials
    anchors.py       exponents with a common factor: log-sum-exp and softmax over a temperature
    hyperbolic.py    exp(x) + exp(-x), logarithms of cosh and logistic functions
    hyperbolic_identities.py  cosh(x) - sinh(x), coth(x) - 1, sinh(x)/(1 + cosh(x))
    logistics.py     logistic functions: quotients and products, what is left of 1
    shares.py        softmax and its complements
    margins.py       differences of two shares of one softmax
    array_shares.py  scores at fixed places of an array, and what the others are
    error_functions.py  1 - erf(x), the logarithm of erfc
    completed_squares.py  exponents that complete the square of an argument of erfc
    inverse_error.py  erfinv(1 - x)
    far_factors.py   quotients of gamma functions and powers that leave the range
    differences.py   1 - cos(x), differences of roots, hypot
    distances.py     differences of two lengths, of distances from two points
    covariances.py   variances and covariances over an axis
    centring.py      sums over an axis with a centring matrix
    half_centred.py  sums over an axis with one factor that is centred
    weighted_means.py  means over an axis, as both find them
    near_one.py      logarithms of polynomials next to 1, of 1 - exp(-x**2), of (1 + x)/(1 - x)
    norms.py         roots of sums of squares
    products.py      logarithms of products and quotients, x*log(y)
    quotients.py     sin(x)/x and its like
    common_divisors.py  x/(x + c), and other quotients beside their own terms
    ratios.py        forms in x and y over x**2 + y**2
    repeated_divisors.py  x*(1/h/h) for a length h of which x is a side
    complements.py   p*(1 - p), what is left of a whole beside a share of it
    moments.py       variances and entropies under a softmax
    guarded.py       sin(x)/x with its value at 0 filled in
    radial.py        even functions of a root: cos(|v|), sin(|v|)/|v|
    powers.py        x**y - 1, also over y and x - 1
    products_less_one.py  (1 + x)*(1 + y) - 1, a*exp(x) - a
    sides.py         a root less one of its sides
    conjugates.py    a polynomial less a root that it is nearly equal to
    squares.py       differences of squares
    squares_at_zero.py  roots and logarithms of what vanishes like a square
    quadratic_forms.py  variances, covariances and squares written out in numbers
    reduced_quotients.py  quotients of polynomials in lowest terms
    perfect_squares.py   a**2 - 2*a*b + b**2 in a sum, over and times something
    weighted_variances.py  variances under weights that are symbols
    means.py         differences of arithmetic, geometric, harmonic and quadratic means
    whole_sums.py    what is looked for in a sum as a whole
    steps.py         differences of one function at two arguments, divided ones
    sum_steps.py     the same in sums of several terms
    second_steps.py  second differences, and those over h**2
    power_steps.py   the same of powers
    gamma_steps.py   the same of loggamma and digamma
    bessel_ratios.py  logarithms, quotients and scaled products of modified Bessel functions far out
    flat.py          functions of a root that are flat where it is 0
    log_softmaxes.py  log-sum-exp and softplus less one of their scores
    beside_totals.py  which terms beside a logarithm are a score of it
    log_slopes.py    log(f)/(f - 1) for products and sums f
    angles.py        angles of points, and functions of their multiples and halves
    arcs.py          inverse cosines next to 1, angles between vectors
    divergences.py   x*log(x/y) - x + y and its like next to x = y
    singularities.py formulas of one value that are regular where it is 0
    singularities_far.py  the same of 1/x where x is large
    sums_of_one_value.py  the same in sums with other terms
    sums_of_differences.py  squared distances written out, over axes
    sums_of_multiples.py  the same of multiples by factors of the value
    small_exponentials.py  log(softplus(x)), hazards, where exp(x) is small
    polynomials_of_logistics.py  1 - p**3, log(1 - p**2) and their like for a logistic function p
    bernstein.py     the coefficients of such polynomials
    sums_of_shares.py  log(p1 + p2/2) for shares of one softmax
    powers_of_shares.py  powers of softmaxes, 1 less those of all shares
    log_sums.py      the logarithm of a sum of exponentials by its scores
    log_mixtures.py  log(1 - p1*p2), log(g + (1 - g)*p): of several logistic functions, and other weights
    weighted_exponentials.py  logarithms of mixtures and of means of exponentials
    two_states.py    entropies and cross-entropies by softplus and log(cosh(x))
    widths.py        1 + (x/k)**2, in losses with a width
"""

from symgrad.ir import ops  # noqa: F401  the table first: the rules are about its rows
from symgrad.ir.stability import (
    anchors,
    angles,
    arcs,
    bessel_ratios,
    centring,
    common_divisors,
    complements,
    conjugates,
    covariances,
    determinants,
    differences,
    distances,
    divergences,
    error_functions,
    exponentials,
    far_factors,
    flat,
    gamma_steps,
    guarded,
    half_centred,
    hyperbolic,
    hyperbolic_identities,
    inverse_error,
    log_mixtures,
    log_slopes,
    log_softmaxes,
    logarithms,
    logistics,
    margins,
    means,
    moments,
    near_one,
    norms,
    perfect_squares,
    polynomials_of_logistics,
    power_steps,
    powers,
    powers_of_shares,
    products,
    products_less_one,
    quadratic_forms,
    quotients,
    radial,
    ratios,
    reduced_quotients,
    repeated_divisors,
    second_steps,
    shares,
    sides,
    singularities,
    singularities_far,
    small_exponentials,
    squares,
    squares_at_zero,
    steps,
    sum_steps,
    sums_of_differences,
    sums_of_multiples,
    sums_of_one_value,
    sums_of_shares,
    two_states,
    weighted_exponentials,
    weighted_means,
    weighted_variances,
    whole_sums,
    widths,
)
from symgrad.ir.stability.audit import AUDITS, Audit

__all__ = [
    "AUDITS",
    "Audit",
    "anchors",
    "angles",
    "arcs",
    "bessel_ratios",
    "centring",
    "common_divisors",
    "complements",
    "conjugates",
    "covariances",
    "determinants",
    "differences",
    "distances",
    "divergences",
    "error_functions",
    "exponentials",
    "far_factors",
    "flat",
    "gamma_steps",
    "guarded",
    "half_centred",
    "hyperbolic",
    "hyperbolic_identities",
    "inverse_error",
    "log_mixtures",
    "log_slopes",
    "log_softmaxes",
    "logarithms",
    "logistics",
    "margins",
    "means",
    "moments",
    "near_one",
    "norms",
    "perfect_squares",
    "polynomials_of_logistics",
    "power_steps",
    "powers",
    "powers_of_shares",
    "products",
    "products_less_one",
    "quadratic_forms",
    "quotients",
    "radial",
    "ratios",
    "reduced_quotients",
    "repeated_divisors",
    "second_steps",
    "shares",
    "sides",
    "singularities",
    "singularities_far",
    "small_exponentials",
    "squares",
    "squares_at_zero",
    "steps",
    "sum_steps",
    "sums_of_differences",
    "sums_of_multiples",
    "sums_of_one_value",
    "sums_of_shares",
    "two_states",
    "weighted_exponentials",
    "weighted_means",
    "weighted_variances",
    "whole_sums",
    "widths",
]
