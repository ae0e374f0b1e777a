"""Methods that follow one gradient per step; they suit mini-batches.

In the formulas x are the parameters, g the gradient, t = 1, 2, ... the step, and products are elementwise.
`lr` may be a schedule, called with 0, 1, ... (see `base.Rate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symgrad.run.flat import Vector
from symgrad.run.optim.base import Rate, check_between, check_rate, rate_at


@dataclass(frozen=True, slots=True)
class StepCount:
    """The number of steps taken."""

    step: int


@dataclass(frozen=True, slots=True)
class Velocity:
    """The number of steps taken and the running sum of gradients, shape (size,)."""

    step: int
    velocity: Vector


@dataclass(frozen=True, slots=True)
class SecondMoment:
    """The number of steps taken and the running mean of squared gradients, shape (size,)."""

    step: int
    second: Vector


@dataclass(frozen=True, slots=True)
class Moments:
    """The number of steps taken and the running means of gradients and of their squares, shape (size,)."""

    step: int
    first: Vector
    second: Vector


@dataclass(frozen=True)
class GradientDescent:
    """x <- x - lr g. Source: Cauchy, Comptes rendus 25 (1847) 536."""

    lr: Rate = 0.01
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)

    def init(self, params: Vector) -> StepCount:
        return StepCount(0)

    def update(
        self, state: StepCount, value: float, grad: Vector, params: Vector
    ) -> tuple[Vector, StepCount]:
        return _moved(params, rate_at(self.lr, state.step), grad), StepCount(state.step + 1)


@dataclass(frozen=True)
class Momentum:
    """v <- momentum v + g;  x <- x - lr v.

    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964) 1, the heavy ball, lr outside the running sum.
    """

    lr: Rate = 0.01
    momentum: float = 0.9
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("momentum", self.momentum, 0.0, 1.0)

    def init(self, params: Vector) -> Velocity:
        return Velocity(0, np.zeros_like(params))

    def update(self, state: Velocity, value: float, grad: Vector, params: Vector) -> tuple[Vector, Velocity]:
        velocity = self.momentum * state.velocity
        velocity += grad
        return _moved(params, rate_at(self.lr, state.step), velocity), Velocity(state.step + 1, velocity)


@dataclass(frozen=True)
class Nesterov:
    """v <- momentum v + g;  x <- x - lr (g + momentum v).

    Sources: Nesterov, Soviet Math. Doklady 27 (1983) 372; in this form, where the gradient is taken at the
    parameters themselves, Sutskever, Martens, Dahl and Hinton, ICML 2013, section 2.
    """

    lr: Rate = 0.01
    momentum: float = 0.9
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("momentum", self.momentum, 0.0, 1.0)

    def init(self, params: Vector) -> Velocity:
        return Velocity(0, np.zeros_like(params))

    def update(self, state: Velocity, value: float, grad: Vector, params: Vector) -> tuple[Vector, Velocity]:
        velocity = self.momentum * state.velocity
        velocity += grad
        ahead = self.momentum * velocity
        ahead += grad
        return _moved(params, rate_at(self.lr, state.step), ahead), Velocity(state.step + 1, velocity)


@dataclass(frozen=True)
class RMSProp:
    """s <- decay s + (1 - decay) g^2;  x <- x - lr g / (sqrt(s) + epsilon).

    Source: Tieleman and Hinton, Coursera "Neural Networks for Machine Learning", lecture 6.5 (2012).
    """

    lr: Rate = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("decay", self.decay, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)

    def init(self, params: Vector) -> SecondMoment:
        return SecondMoment(0, np.zeros_like(params))

    def update(
        self, state: SecondMoment, value: float, grad: Vector, params: Vector
    ) -> tuple[Vector, SecondMoment]:
        second = _running_mean_of_squares(state.second, grad, self.decay)
        step = _over_root(grad, second, self.epsilon)
        return _moved(params, rate_at(self.lr, state.step), step), SecondMoment(state.step + 1, second)


@dataclass(frozen=True)
class Adam:
    """m <- b1 m + (1 - b1) g;  s <- b2 s + (1 - b2) g^2;
    x <- x - lr (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon).

    Source: Kingma and Ba, ICLR 2015 (arXiv:1412.6980), algorithm 1.
    """

    lr: Rate = 0.001
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("b1", self.b1, 0.0, 1.0)
        check_between("b2", self.b2, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)

    def init(self, params: Vector) -> Moments:
        return Moments(0, np.zeros_like(params), np.zeros_like(params))

    def update(self, state: Moments, value: float, grad: Vector, params: Vector) -> tuple[Vector, Moments]:
        moments = _next_moments(state, grad, self.b1, self.b2)
        step = _adam_step(moments, self.b1, self.b2, self.epsilon)
        return _moved(params, rate_at(self.lr, state.step), step), moments


@dataclass(frozen=True)
class AdamW:
    """Adam, and apart from its moments x also shrinks: x <- x - lr (Adam's step + weight_decay x).

    Source: Loshchilov and Hutter, ICLR 2019 (arXiv:1711.05101), algorithm 2, with the schedule in `lr`.
    """

    lr: Rate = 0.001
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_between("b1", self.b1, 0.0, 1.0)
        check_between("b2", self.b2, 0.0, 1.0)
        check_between("epsilon", self.epsilon, 0.0, 1.0)
        check_between("weight_decay", self.weight_decay, 0.0, float("inf"))

    def init(self, params: Vector) -> Moments:
        return Moments(0, np.zeros_like(params), np.zeros_like(params))

    def update(self, state: Moments, value: float, grad: Vector, params: Vector) -> tuple[Vector, Moments]:
        moments = _next_moments(state, grad, self.b1, self.b2)
        step = _adam_step(moments, self.b1, self.b2, self.epsilon)
        step += self.weight_decay * params
        return _moved(params, rate_at(self.lr, state.step), step), moments


def _moved(params: Vector, rate: float, direction: Vector) -> Vector:
    """params - rate * direction with one allocation."""
    result = direction * -rate
    result += params
    return result


def _running_mean_of_squares(mean: Vector, grad: Vector, decay: float) -> Vector:
    squares = grad * grad
    squares *= 1.0 - decay
    squares += decay * mean
    return squares


def _over_root(step: Vector, second: Vector, epsilon: float) -> Vector:
    """step / (sqrt(second) + epsilon), and 0 where the divisor is 0: no gradient yet, and no epsilon."""
    root = np.sqrt(second)
    root += epsilon
    if epsilon > 0.0:
        return np.divide(step, root, out=root)
    return np.divide(step, root, out=np.zeros_like(step), where=root != 0.0)


def _next_moments(state: Moments, grad: Vector, b1: float, b2: float) -> Moments:
    first = grad * (1.0 - b1)
    first += b1 * state.first
    return Moments(state.step + 1, first, _running_mean_of_squares(state.second, grad, b2))


def _adam_step(moments: Moments, b1: float, b2: float, epsilon: float) -> Vector:
    first = moments.first / (1.0 - b1**moments.step)
    second = moments.second / (1.0 - b2**moments.step)
    return _over_root(first, second, epsilon)
