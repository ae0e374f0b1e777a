"""Optimizers as small frozen classes with a pure step; `base` says what one is, `run.loop` drives it."""

from symgrad.run.optim.base import Evaluation, Method, Oracle
from symgrad.run.optim.exact_step import ExactStep
from symgrad.run.optim.first_order import Adam, AdamW, GradientDescent, Momentum, Nesterov, RMSProp
from symgrad.run.optim.lbfgs import LBFGS
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
}
"""The names `sg.minimize(method=...)` takes for the methods with their default options."""

__all__ = [
    "LBFGS",
    "METHODS",
    "Adam",
    "AdamW",
    "Evaluation",
    "ExactStep",
    "GradientDescent",
    "Method",
    "Momentum",
    "Nesterov",
    "Newton",
    "Oracle",
    "RMSProp",
]
