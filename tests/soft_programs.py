"""Programs made of softmaxes: formulas over arrays, the same written out, and an independent reference.

Each formula is one function of numbers: of symbols it is the expression written out, and of `Dual` numbers
of mpmath it is the reference (second-order forward mode, with digits enough for everything it cancels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from duals import Dual
from kept_digits import half_a_place, off

DIGITS = 700
Inputs = Mapping[str, Any]


def exp(x: Any) -> Any:
    if isinstance(x, Dual):
        e = mpmath.exp(x.value)
        return x.chain(e, e, e)
    return sp.exp(x)


def log(x: Any) -> Any:
    if isinstance(x, Dual):
        return x.chain(mpmath.log(x.value), 1 / x.value, -1 / x.value**2)
    return sp.log(x)


# ---- formulas of numbers ---------------------------------------------------------------------------


def total(v: Sequence[Any]) -> Any:
    return log(sum(exp(x) for x in v))


def beside_zero(v: Sequence[Any]) -> Any:
    return 1 + sum(map(exp, v))


def soft(v: Sequence[Any]) -> list[Any]:
    whole = sum(exp(x) for x in v)
    return [exp(x) / whole for x in v]


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(s: Any, v: Sequence[Any]) -> list[Any]:
    return [s * x for x in v]


def cooled(v: Sequence[Any], t: Any) -> list[Any]:
    return [-x / t for x in v]


def variance(v: Sequence[Any], w: Sequence[Any]) -> Any:
    p = soft(v)
    mean = dot(p, w)
    return dot(p, [(x - mean) ** 2 for x in w])


def heat(v: Sequence[Any], t: Any) -> Any:
    p = soft(cooled(v, t))
    return (dot(p, [x**2 for x in v]) - dot(p, v) ** 2) / t**2


def divergence(v: Sequence[Any], u: Sequence[Any]) -> Any:
    return dot(soft(v), [log(p) - log(q) for p, q in zip(soft(v), soft(u), strict=True)])


def entropy(v: Sequence[Any]) -> Any:
    return -dot(soft(v), [log(p) for p in soft(v)])


def mixture(v: Sequence[Any], u: Sequence[Any], w: Sequence[Any]) -> Any:
    """Points w, means v and log-variances u of components with equal weights."""
    return sum(total([-((x - m) ** 2) * exp(-a) / 2 - a / 2 for m, a in zip(v, u, strict=True)]) for x in w)


def regression(u: Sequence[Any], w: Sequence[Any], s: Any, t: Any) -> Any:
    return sum(log(1 + exp(-b * (s + t * a))) for a, b in zip(u, w, strict=True))


# ---- formulas over arrays --------------------------------------------------------------------------

n = sp.Symbol("n", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v, u, w = (sp.IndexedBase(name, shape=(n,)) for name in "vuw")
t, s = sp.Symbol("t", positive=True), sp.Symbol("s", positive=True)
SYMBOLS = {"v": v, "u": u, "w": w, "t": t, "s": s}
TENTH = sp.Rational(1, 10)


def over(body: Any, axis: Any = i) -> Any:
    return sp.Sum(body, (axis, 0, n - 1))


def share(x: Any = v) -> Any:
    return sp.exp(x[i]) / over(sp.exp(x[j]), j)


def mean(body: Any, power: Any) -> Any:
    return over(body * power) / over(power)


POWER = sp.exp(v[i])
COLD = sp.exp(-v[i] / t)
LSE = sp.log(over(POWER))
ENTROPY = -over(share() * sp.log(share()))
ENERGY = mean(v[i], COLD)


@dataclass(frozen=True)
class Program:
    """A formula over arrays (of any length) and of numbers; `inputs` are differentiated, `data` are not."""

    arrays: Any
    numbers: Callable[..., Any]
    inputs: tuple[str, ...] = ("v",)
    data: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.inputs, *self.data)


PROGRAMS: dict[str, Program] = {
    "log-sum-exp": Program(LSE, total),
    "softmax": Program(sp.exp(v[0]) / over(POWER), lambda v: soft(v)[0]),
    "softmax, its last": Program(sp.exp(v[n - 1]) / over(POWER), lambda v: soft(v)[-1]),
    "log-softmax": Program(v[1] - LSE, lambda v: v[1] - total(v)),
    "mean of scores": Program(mean(v[i], POWER), lambda v: dot(v, soft(v))),
    "mean of values": Program(mean(w[i], POWER), lambda v, w: dot(w, soft(v)), ("v", "w")),
    "mean of data": Program(mean(w[i], POWER), lambda v, w: dot(w, soft(v)), data=("w",)),
    "variance": Program(mean((w[i] - mean(w[i], POWER).subs(i, j)) ** 2, POWER), variance, data=("w",)),
    "variance by squares": Program(
        over(w[i] ** 2 * share()) - over(w[i] * share()) ** 2, variance, data=("w",)
    ),
    "entropy": Program(ENTROPY, entropy),
    "entropy by the mean": Program(LSE - over(v[i] * share()), entropy),
    "perplexity": Program(sp.exp(ENTROPY), lambda v: exp(entropy(v))),
    "divergence": Program(over(share() * (sp.log(share()) - sp.log(share(u)))), divergence, ("v", "u")),
    "divergence from data": Program(
        over(share() * (sp.log(share()) - sp.log(share(u)))), divergence, ("u",), ("v",)
    ),
    "soft cross-entropy": Program(
        -over(w[i] * sp.log(share())), lambda v, w: -dot(w, [x - total(v) for x in v]), data=("w",)
    ),
    "cross-entropy": Program(LSE - v[0], lambda v: total(v) - v[0]),
    "label smoothing": Program(
        LSE - (1 - TENTH) * v[0] - TENTH * over(v[i]) / n,
        lambda v: total(v) - (1 - TENTH) * v[0] - sum(v) * (TENTH / len(v)),
    ),
    "focal loss": Program(
        -((1 - sp.exp(v[0]) / over(POWER)) ** 2) * (v[0] - LSE),
        lambda v: -((1 - soft(v)[0]) ** 2) * (v[0] - total(v)),
    ),
    "attention": Program(
        mean(w[i], sp.exp(t * v[i])), lambda v, w, t: dot(w, soft(times(t, v))), ("v", "w", "t")
    ),
    "softmax at a temperature": Program(
        sp.exp(v[0] / t) / over(sp.exp(v[i] / t)), lambda v, t: soft([x / t for x in v])[0], ("v", "t")
    ),
    "free energy": Program(-t * sp.log(over(COLD)), lambda v, t: -t * total(cooled(v, t)), ("v", "t")),
    "energy": Program(ENERGY, lambda v, t: dot(v, soft(cooled(v, t))), ("v", "t")),
    "heat capacity": Program((mean(v[i] ** 2, COLD) - ENERGY**2) / t**2, heat, ("v", "t")),
    "mixture": Program(
        over(sp.log(over(sp.exp(-((w[i] - v[j]) ** 2) * sp.exp(-u[j]) / 2 - u[j] / 2), j))),
        mixture, ("v", "u"), ("w",),
    ),
    "logistic regression": Program(
        over(sp.log(1 + sp.exp(-w[i] * (s + t * u[i])))), regression, ("s", "t"), ("u", "w")
    ),
    "softplus": Program(over(sp.log(1 + POWER)), lambda v: sum(log(1 + exp(x)) for x in v)),
    "difference of log-sum-exps": Program(
        LSE - sp.log(over(sp.exp(u[i]))), lambda v, u: total(v) - total(u), ("v", "u")
    ),
    "soft minimum": Program(mean(v[i], sp.exp(-v[i])), lambda v: dot(v, soft(times(-1, v)))),
    "smooth maximum": Program(mean(v[i], sp.exp(10 * v[i])), lambda v: dot(v, soft(times(10, v)))),
    "collision": Program(-sp.log(over(share() ** 2)), lambda v: -log(sum(p**2 for p in soft(v)))),
    "margin": Program((sp.exp(v[0]) - sp.exp(v[1])) / over(POWER), lambda v: soft(v)[0] - soft(v)[1]),
    "product of shares": Program(
        sp.exp(v[0]) * sp.exp(v[1]) / over(POWER) ** 2, lambda v: soft(v)[0] * soft(v)[1]
    ),
    "log-sum-exp beside 0": Program(sp.log(1 + over(POWER)), lambda v: log(beside_zero(v))),
    "softmax beside 0": Program(sp.exp(v[0]) / (1 + over(POWER)), lambda v: exp(v[0]) / beside_zero(v)),
    "log-softmax beside 0": Program(v[1] - sp.log(1 + over(POWER)), lambda v: v[1] - log(beside_zero(v))),
    "margin beside 0": Program(
        (sp.exp(v[0]) - sp.exp(v[1])) / (1 + over(POWER)),
        lambda v: (exp(v[0]) - exp(v[1])) / beside_zero(v),
    ),
    "share of 0": Program(1 / (1 + over(POWER)), lambda v: 1 / beside_zero(v)),
    "share of an array": Program(
        over(POWER) / (sp.exp(s) + over(POWER)), lambda v, s: sum(map(exp, v)) / (exp(s) + sum(map(exp, v))),
        ("v", "s"),
    ),
    "cross-entropy beside scores": Program(
        sp.log(sp.exp(s) + sp.exp(t) + over(POWER)) - v[0],
        lambda v, s, t: log(exp(s) + exp(t) + sum(map(exp, v))) - v[0], ("v", "s", "t"),
    ),
    "hinge": Program(
        sp.log(1 + over(sp.exp(1 + v[i] - v[0]))), lambda v: log(1 + sum(exp(1 + x - v[0]) for x in v))
    ),
}  # fmt: skip

# ---- points ----------------------------------------------------------------------------------------

TAIL = (0.25, -2.0, 3.5, -0.75, 1.5, -4.0, 2.25)
SCORES: dict[str, Callable[[int], list[float]]] = {
    "30": lambda k: [30.0, 0.0, 1.0, *TAIL][:k],
    "40": lambda k: [40.0, 0.0, 1.0, *TAIL][:k],
    "40, last": lambda k: [40.0, 0.0, 1.0, *TAIL][:k][::-1],
    "100": lambda k: [0.0, 100.0, 1.0, *TAIL][:k],
    "700": lambda k: [0.5, 1.0, 700.0, *TAIL][:k],
    "offset, near": lambda k: [1000 + x / 8 for x in (2.0, 0.0, -4.0, *TAIL)][:k],
    "offset, far": lambda k: [1003.0, 1000.0, 700.0, *(1000 + x for x in TAIL)][:k],
    "offset below": lambda k: [-1000.25, -1000.0, -1703.5, *(-1000 + x for x in TAIL)][:k],
    "ties": lambda k: [2.0] * k,
    "ties on top": lambda k: [50.0, 50.0, 0.0, *TAIL][:k],
    "plain": lambda k: [0.5, -0.25, 0.125, *TAIL][:k],
    "ladder": lambda k: [20.0 * x for x in range(k)][::-1],
    "all far": lambda k: [-20.0, 37.0, 18.0, -55.0, 3.0, -1.0, 10.0, 22.0, 30.0, -9.0][:k],
}
VALUES = (1.5, -0.5, 3.0, 0.25, -2.0, 1.0, 0.75, -1.25, 2.0, 0.125)
OTHERS = (0.5, -1.0, 2.0, -0.25, 30.0, 1.5, 0.0, -3.0, 0.75, 4.0)


def points(program: Program, size: int) -> dict[str, dict[str, Any]]:
    """Named inputs; "u" of a regression are its data, which are what is large there."""
    made = {}
    names = program.names
    for name, of in SCORES.items():
        scores = np.array(of(size))
        known = {"v": scores, "u": np.array(OTHERS[:size]), "w": np.array(VALUES[:size]), "t": 1.0, "s": 0.25}
        if "s" in names:
            known["u"] = scores
        made[name] = {k: known[k] for k in names}
        if program.inputs == ("v", "u") and not program.data:
            made[name + ", both"] = {**made[name], "u": scores[::-1].copy()}
        if "t" in names and "s" not in names:
            made[name + ", t = 0.1"] = {**made[name], "t": 0.1}
            if name.startswith("offset") or name == "plain":
                made[name + ", t = 0.004"] = {**made[name], "t": 0.004}
    return made


# ---- the reference ---------------------------------------------------------------------------------


def exact(program: Program, point: Inputs) -> list[Any]:
    """Value, gradient and Hessian by rows over the flat inputs."""
    count = sum(np.size(point[k]) for k in program.inputs)
    zeros = np.full((count, count), mpmath.mpf(0), dtype=object)
    place, given = 0, {}
    for name in program.names:
        flat = []
        for x in np.atleast_1d(np.array(point[name], dtype=object)):
            unit = zeros[0].copy()
            if name in program.inputs:
                unit[place] = mpmath.mpf(1)
                place += 1
            flat.append(Dual(mpmath.mpf(x), unit, zeros))
        given[name] = flat if np.ndim(point[name]) else flat[0]
    found = program.numbers(**given)
    return [found.value, *found.grad, *found.hess.ravel()]


def changes(program: Program, point: Inputs, wanted: Sequence[Any]) -> list[Any]:
    """By how much half a last place of each of the inputs changes the entries, all together."""
    change = [mpmath.mpf(0)] * len(wanted)
    for name in program.names:
        for k, x in enumerate(np.atleast_1d(point[name])):
            flat = [mpmath.mpf(float(y)) for y in np.atleast_1d(point[name])]
            flat[k] += half_a_place(x)
            beside = exact(program, {**point, name: flat if np.ndim(point[name]) else flat[0]})
            change = [c + abs(a - b) for c, a, b in zip(change, wanted, beside, strict=True)]
    return change


def lost(program: Program, point: Inputs, found: Sequence[float], wanted: Sequence[Any]) -> list[Any]:
    """(place, found, exact) of the entries that are wrong."""
    return off(found, wanted, partial(changes, program, point, wanted))
