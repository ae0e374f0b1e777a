"""Optimizers as small frozen classes with a pure step; `base` says what one is, `run.loop` drives it."""

from symgrad.run.optim.base import Evaluation, Linearisation, Method, Oracle
from symgrad.run.optim.elementwise import Elementwise
from symgrad.run.optim.exact_step import ExactStep
from symgrad.run.optim.first_order import Adam, AdamW, GradientDescent, Momentum, Nesterov, RMSProp
from symgrad.run.optim.lbfgs import LBFGS
from symgrad.run.optim.levenberg_marquardt import LevenbergMarquardt
from symgrad.run.optim.newton import Newton

METHODS: dict[str, type] = {
    "gd": GradientDescent,
    "exact-step": ExactStep,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "lbfgs": LBFGS,
    "newton": Newton,
    "lm": LevenbergMarquardt,
}
"""The names `sg.minimize(method=...)` takes for the methods with their default options."""

__all__ = [
    "LBFGS",
    "METHODS",
    "Adam",
    "AdamW",
    "Elementwise",
    "Evaluation",
    "ExactStep",
    "GradientDescent",
    "LevenbergMarquardt",
    "Linearisation",
    "Method",
    "Momentum",
    "Nesterov",
    "Newton",
    "Oracle",
    "RMSProp",
]
