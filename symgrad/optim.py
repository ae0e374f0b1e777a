"""The optimizers `sg.minimize` takes as `method`: `sg.optim.Adam(1e-3)`, `sg.optim.LBFGS()`, ..."""

from symgrad.run.optim import (
    LBFGS,
    METHODS,
    Adam,
    AdamW,
    Evaluation,
    ExactStep,
    GradientDescent,
    LevenbergMarquardt,
    Linearisation,
    Method,
    Momentum,
    Nesterov,
    Newton,
    Oracle,
    RMSProp,
)

__all__ = [
    "LBFGS",
    "METHODS",
    "Adam",
    "AdamW",
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
