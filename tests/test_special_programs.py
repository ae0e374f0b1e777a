"""Programs with special functions: likelihoods over data; printed, read, exported, verified, stored."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS
from scipy import special, stats

import symgrad as sg
from symgrad.frontend.parse import parse_expression
from symgrad.ir.special import SPECIAL
from symgrad.targets.c_build import find_compiler
from symgrad.targets.special_c import definitions, own_function_of

x, a, b, mu = sp.symbols("x a b mu", real=True)
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
X = sp.IndexedBase("X", shape=(n,))
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")


def over_data(term: sp.Expr) -> sp.Expr:
    return sp.Sum(term, (i, 0, n - 1))


def gamma_slopes(v: np.ndarray, p: float, q: float) -> tuple[float, float]:
    return np.log(v / q).sum() - len(v) * special.psi(p), (v / q**2 - p / q).sum()


def beta_slopes(v: np.ndarray, p: float, q: float) -> tuple[float, float]:
    both = special.psi(p + q)
    return (np.log(v) + both - special.psi(p)).sum(), (np.log1p(-v) + both - special.psi(q)).sum()


def student_slopes(v: np.ndarray, p: float, q: float) -> tuple[float, float]:
    """By degrees of freedom p and scale q."""
    z = v / q
    by_p = special.psi((p + 1) / 2) / 2 - special.psi(p / 2) / 2 - 1 / (2 * p)
    return (by_p - np.log1p(z**2 / p) / 2 + (p + 1) / 2 * z**2 / (p**2 + p * z**2)).sum(), (
        -1 / q + (p + 1) * z**2 / (q * (p + z**2))
    ).sum()


def von_mises_slopes(v: np.ndarray, p: float, q: float) -> tuple[float, float]:
    """By concentration p and mean q."""
    ratio = special.ive(1, p) / special.ive(0, p)
    return (np.cos(v - q) - ratio).sum(), (p * np.sin(v - q)).sum()


LIKELIHOODS: dict[str, tuple[sp.Expr, Callable[..., Any], Callable[..., Any]]] = {
    "gamma": (
        (a - 1) * sp.log(X[i]) - X[i] / b - sp.loggamma(a) - a * sp.log(b),
        lambda v, p, q: stats.gamma.logpdf(v, p, scale=q), gamma_slopes,
    ),
    "beta": (
        (a - 1) * sp.log(X[i]) + (b - 1) * sp.log(1 - X[i]) - sp.log(sp.beta(a, b)),
        stats.beta.logpdf, beta_slopes,
    ),
    "Student's t": (
        sp.loggamma((a + 1) / 2) - sp.loggamma(a / 2) - sp.log(sp.pi * a) / 2 - sp.log(b)
        - (a + 1) / 2 * sp.log(1 + (X[i] / b) ** 2 / a),
        lambda v, p, q: stats.t.logpdf(v, p, scale=q), student_slopes,
    ),
    "von Mises": (
        a * sp.cos(X[i] - b) - sp.log(2 * sp.pi * sp.besseli(0, a)),
        lambda v, p, q: stats.vonmises.logpdf(v, p, loc=q), von_mises_slopes,
    ),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", *TARGETS])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_gradient_of_a_likelihood_over_data_is_the_one_from_statistics(name: str, backend: str) -> None:
    term, density, slopes = LIKELIHOODS[name]
    data = np.random.default_rng(4).beta(2.0, 3.0, 25)
    kernel = sg.compile(
        over_data(term), args=(a, b, X), wrt=(a, b), outputs=("value", "grad"), backend=backend
    )
    value, grad = kernel(1.75, 0.6, data)
    assert value == pytest.approx(density(data, 1.75, 0.6).sum(), rel=1e-12)
    np.testing.assert_allclose(grad, slopes(data, 1.75, 0.6), rtol=1e-11)


def test_verify_agrees_and_says_why_the_complex_step_is_left_out() -> None:
    term, _, _ = LIKELIHOODS["von Mises"]
    kernel = sg.compile(over_data(term), args=(a, b, X), wrt=(a, b), outputs=("value", "grad", "hess"))
    report = sg.verify(kernel, at={a: 1.75, b: 0.6, X: np.linspace(0.1, 2.0, 5)})
    assert report.ok
    notes = {row.note for row in report.rows if row.method == "complex step"}
    functions = ("besseli, besseli_far", "besseli, besseli_far, besseli_far_1")
    assert notes == {f"{names}: known for real arguments only" for names in functions}


def test_verify_takes_the_complex_step_through_the_gamma_family() -> None:
    term, _, _ = LIKELIHOODS["Student's t"]
    kernel = sg.compile(over_data(term), args=(a, b, X), wrt=(a, b), outputs=("value", "grad"))
    report = sg.verify(kernel, at={a: 1.75, b: 0.6, X: np.linspace(0.1, 2.0, 5)})
    assert report.ok
    assert {row.result for row in report.rows if row.method == "complex step"} == {"ok"}


PRINTED = [
    (sp.gamma(x), sp.gamma(x) * sp.polygamma(0, x)),
    (sp.polygamma(2, x), sp.polygamma(3, x)),
    (sp.besselj(0, x), -sp.besselj(1, x)),
    (sp.besselk(2, x), -sp.besselk(1, x) / 2 - sp.besselk(3, x) / 2),
    (sp.lowergamma(3 * b, x).subs(b, sp.Rational(3, 4)), x ** sp.Rational(5, 4) * sp.exp(-x)),
    (sp.airyai(x), sp.airyaiprime(x)),
    (sp.Si(x), sp.sinc(x)),
    (sp.LambertW(x), sp.exp(-sp.LambertW(x)) / (1 + sp.LambertW(x))),
    (sp.erfinv(x), sp.sqrt(sp.pi) / 2 * sp.exp(sp.erfinv(x) ** 2)),
    (sp.zeta(3, x), -3 * sp.zeta(4, x)),
    (sp.elliptic_e(x), (sp.elliptic_e(x) - sp.elliptic_k(x)) / (2 * x)),
    (sp.betainc_regularized(2, 3, 0, x), 12 * x * (1 - x) ** 2),
]


@pytest.mark.parametrize(("expression", "slope"), PRINTED, ids=lambda e: str(e)[:20])
def test_derivatives_print_in_the_functions_of_sympy(expression: sp.Expr, slope: sp.Expr) -> None:
    printed = sg.program(expression, args=(x,), wrt=x).grad
    assert sp.simplify(sp.expand_func(printed - slope)) == 0 or printed.equals(slope)


def test_a_printed_derivative_compiles_to_the_same_numbers() -> None:
    for expression, _ in PRINTED:
        program = sg.program(expression, args=(x,), wrt=x)
        wanted = sg.compile(program, outputs="grad")(0.375)
        found = sg.compile(sg.program(program.grad, args=(x,)))(0.375)
        np.testing.assert_allclose(np.ravel(found), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("besselj(0, x) + bessely(1, x)*besseli(2, x) - besselk(1/2, x)",
         sp.besselj(0, x) + sp.bessely(1, x) * sp.besseli(2, x) - sp.besselk(sp.Rational(1, 2), x)),
        ("lowergamma(a, x)/gamma(a)", sp.lowergamma(a, x) / sp.gamma(a)),
        ("betainc_regularized(a, b, 0, x)*beta(a, b)", sp.betainc_regularized(a, b, 0, x) * sp.beta(a, b)),
        ("trigamma(x) + zeta(3, x) + binomial(a, b)", sp.trigamma(x) + sp.zeta(3, x) + sp.binomial(a, b)),
        ("airyai(x)*airybiprime(x)", sp.airyai(x) * sp.airybiprime(x)),
        ("LambertW(x) + Si(x) - E1(x) + fresnelc(x)",
         sp.LambertW(x) + sp.Si(x) - sp.E1(x) + sp.fresnelc(x)),
        ("elliptic_k(x) + elliptic_e(a, x)", sp.elliptic_k(x) + sp.elliptic_e(a, x)),
    ],
)  # fmt: skip
def test_the_parser_knows_the_names(text: str, wanted: sp.Expr) -> None:
    declared = {str(s): s for s in (a, b, x)}
    assert parse_expression(text, declared) == wanted


def test_a_kernel_with_calls_of_scipy_survives_pickling_and_its_source_holds_no_address() -> None:
    kernel = sg.compile(sp.besselj(0, x) * sp.airyai(x), args=(x,), outputs=("value",))
    copy = pickle.loads(pickle.dumps(kernel))
    assert copy(1.5) == kernel(1.5) == pytest.approx(special.jv(0, 1.5) * special.airy(1.5)[0], rel=1e-15)
    assert "call double @scipy.special.cython_special.j0(double %x1, i32 0)" in kernel.source


@pytest.mark.parametrize("shape", [2.0e6, 1.0e8, 1.0e12])
def test_incomplete_gamma_functions_of_large_shape_keep_both_tails_in_c(shape: float) -> None:
    """Near the mean the law is normal to 1/sqrt(shape); SciPy's sums stop early in the lower tail."""
    s = sp.Symbol("s", positive=True)
    both = [f(s, x) / sp.gamma(s) for f in (sp.lowergamma, sp.uppergamma)]
    kernel = sg.compile(sp.ImmutableMatrix(both), args=(s, x), backend="c")
    for deviation in (-6.0, -1.0, 0.0, 0.5, 6.0):
        lower, upper = np.ravel(kernel(shape, shape + deviation * np.sqrt(shape)))
        assert lower == pytest.approx(stats.norm.cdf(deviation), rel=100 / np.sqrt(shape))
        assert upper == pytest.approx(stats.norm.sf(deviation), rel=100 / np.sqrt(shape))
        if deviation > -2:
            assert upper == pytest.approx(
                special.gammaincc(shape, shape + deviation * np.sqrt(shape)), rel=1e-12
            )


def test_exported_digamma_compiles_with_every_warning_an_error(tmp_path: Path) -> None:
    expression = sp.digamma(x) * sp.erfinv(a) + sp.lowergamma(sp.Float(2.5), x) + sp.besselj(1, x)
    program = sg.program(expression, args=(x, a), wrt=(x, a))
    sg.export_c(program, "special", directory=tmp_path, outputs=("value", "grad"))
    compiler, _ = find_compiler()
    command = [*compiler, *WARNINGS, "-c", str(tmp_path / "special.c"), "-o", str(tmp_path / "special.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_special_function_has_a_c_function_and_all_compile_with_every_warning_an_error(
    tmp_path: Path,
) -> None:
    own = {own_function_of(row.name) for row in SPECIAL.values()} - {""}
    for row in SPECIAL.values():
        assert row.c or row.expand, row.name
    blocks = "\n\n".join("\n".join(lines) for lines in definitions(own, "p"))
    source = tmp_path / "all.c"
    source.write_text(f"#include <math.h>\n{blocks}\n")
    compiler, _ = find_compiler()
    command = [*compiler, *WARNINGS, "-Wno-unused-function", "-c", str(source), "-o", str(tmp_path / "all.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
