"""Methods that follow one gradient per step; they suit mini-batches.

In the formulas x are the parameters, g the gradient, t = 1, 2, ... the step, and products are elementwise.
`lr` may be a schedule, called with 0, 1, ... (see `base.Rate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

from symgrad.ir.algebra import T, ratio, root
from symgrad.run.optim.base import Rate, check_between, check_rate, rate_at
from symgrad.run.optim.elementwise import Elementwise

Numbers = tuple[T | float, ...]
Next = tuple[T, tuple[T, ...]]


@dataclass(frozen=True)
class GradientDescent(Elementwise):
    """x <- x - lr g. Source: Cauchy, Comptes rendus 25 (1847) 536."""

    lr: Rate = 0.01

    def __post_init__(self) -> None:
        check_rate(self.lr)

    def numbers(self, step: int) -> tuple[float, ...]:
        return (rate_at(self.lr, step),)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        (rate,) = numbers
        return x - g * rate, ()


@dataclass(frozen=True)
class Momentum(Elementwise):
    """v <- momentum v + g;  x <- x - lr v.

    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964) 1, the heavy ball, lr outside the running sum.
    """

    lr: Rate = 0.01
    momentum: float = 0.9
    kept: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("momentum", self.momentum, 0.0, 1.0)

    def numbers(self, step: int) -> tuple[float, ...]:
        return (rate_at(self.lr, step),)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        (rate,), (v,) = numbers, kept
        v = v * self.momentum + g
        return x - v * rate, (v,)


@dataclass(frozen=True)
class Nesterov(Elementwise):
    """v <- momentum v + g;  x <- x - lr (g + momentum v).

    Sources: Nesterov, Soviet Math. Doklady 27 (1983) 372; in this form, where the gradient is taken at the
    parameters themselves, Sutskever, Martens, Dahl and Hinton, ICML 2013, section 2.
    """

    lr: Rate = 0.01
    momentum: float = 0.9
    kept: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("momentum", self.momentum, 0.0, 1.0)

    def numbers(self, step: int) -> tuple[float, ...]:
        return (rate_at(self.lr, step),)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        (rate,), (v,) = numbers, kept
        v = v * self.momentum + g
        return x - (v * self.momentum + g) * rate, (v,)


@dataclass(frozen=True)
class RMSProp(Elementwise):
    """s <- decay s + (1 - decay) g^2;  x <- x - lr g / (sqrt(s) + epsilon).

    Source: Tieleman and Hinton, Coursera "Neural Networks for Machine Learning", lecture 6.5 (2012).
    """

    lr: Rate = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8
    kept: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("decay", self.decay, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)

    def numbers(self, step: int) -> tuple[float, ...]:
        return (rate_at(self.lr, step),)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        (rate,), (s,) = numbers, kept
        s = _mean(s, g * g, self.decay)
        return x - _over_root(g, s, self.epsilon, self.epsilon > 0.0) * rate, (s,)


@dataclass(frozen=True)
class Adam(Elementwise):
    """m <- b1 m + (1 - b1) g;  s <- b2 s + (1 - b2) g^2;
    x <- x - lr (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon).

    Source: Kingma and Ba, ICLR 2015 (arXiv:1412.6980), algorithm 1.
    """

    lr: Rate = 0.001
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    kept: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("b1", self.b1, 0.0, 1.0)
        check_between("b2", self.b2, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)

    def numbers(self, step: int) -> tuple[float, ...]:
        return rate_at(self.lr, step), *_corrections(self.b1, self.b2, self.epsilon, step + 1)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        rate, scale, epsilon = numbers
        m, s = _moments(kept, g, self.b1, self.b2)
        return x - _over_root(m * scale, s, epsilon, self.epsilon > 0.0) * rate, (m, s)


@dataclass(frozen=True)
class AdamW(Elementwise):
    """Adam, and apart from its moments x also shrinks: x <- x - lr (Adam's step + weight_decay x).

    Source: Loshchilov and Hutter, ICLR 2019 (arXiv:1711.05101), algorithm 2, with the schedule in `lr`.
    """

    lr: Rate = 0.001
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    kept: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("b1", self.b1, 0.0, 1.0)
        check_between("b2", self.b2, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)
        check_between("weight_decay", self.weight_decay, 0.0, float("inf"))

    def numbers(self, step: int) -> tuple[float, ...]:
        return rate_at(self.lr, step), *_corrections(self.b1, self.b2, self.epsilon, step + 1)

    def rule(self, x: T, g: T, kept: tuple[T, ...], numbers: Numbers[T]) -> Next[T]:
        rate, scale, epsilon = numbers
        m, s = _moments(kept, g, self.b1, self.b2)
        step = _over_root(m * scale, s, epsilon, self.epsilon > 0.0)
        return x - (step + x * self.weight_decay) * rate, (m, s)


def _mean(mean: T, value: T, decay: float) -> T:
    """The next value of a running mean."""
    return mean * decay + value * (1.0 - decay)


def _moments(kept: tuple[T, ...], g: T, b1: float, b2: float) -> tuple[T, T]:
    m, s = kept
    return _mean(m, g, b1), _mean(s, g * g, b2)


def _corrections(b1: float, b2: float, epsilon: float, t: int) -> tuple[float, float]:
    """What multiplies m, and what is added to sqrt(s), so that no entry is divided by 1 - b1^t or 1 - b2^t.

    Source: Kingma and Ba, ICLR 2015 (arXiv:1412.6980), the end of section 2.
    """
    root_of_second = sqrt(1.0 - b2**t)
    return root_of_second / (1.0 - b1**t), epsilon * root_of_second


def _over_root(step: T, second: T, epsilon: T | float, is_positive: bool) -> T:
    """step / (sqrt(second) + epsilon), and 0 where the divisor is 0: no gradient yet, and no epsilon."""
    divisor = root(second) + epsilon
    return step / divisor if is_positive else ratio(step, divisor)
