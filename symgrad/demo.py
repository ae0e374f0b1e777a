"""`symgrad demo`: softmax regression on handwritten digits, from the formula to weights and a C kernel.

Every step is what a user would write; `run` reads as the list of them.
"""

from __future__ import annotations

import sys
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

import symgrad as sg
from symgrad.data import digits
from symgrad.errors import BadOption, quoted
from symgrad.records import dataclass

OPTIMUM = 0.2618645472
"""The least loss, to ten digits; SciPy's L-BFGS-B on the same loss written in NumPy finds the same."""
CLOSE = 1e-8
CLASSES = 10
CHECKED_IMAGES = 12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SoftmaxRegression:
    """The symbols of the model and its loss; sizes are symbols too."""

    X: sp.MatrixSymbol  # images, (n, d)
    Y: sp.MatrixSymbol  # true classes, one-hot, (n, c)
    W: sp.MatrixSymbol  # weights, (d, c)
    b: sp.MatrixSymbol  # offsets, (1, c)
    scores: sp.Expr
    loss: sp.Expr


def softmax_regression() -> SoftmaxRegression:
    """The mean over n images of (log-sum-exp of the scores - score of the true class) + 0.5e-3*||W||^2."""
    n, d, c = sp.symbols("n d c", integer=True, positive=True)
    X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, c)
    W, b = sp.MatrixSymbol("W", d, c), sp.MatrixSymbol("b", 1, c)
    Z = X * W + sp.OneMatrix(n, 1) * b
    normalisers = sp.Trace(sp.OneMatrix(1, n) * sg.nn.log_sum_exp(Z))
    penalty = sp.Rational(1, 2000) * sp.Trace(W.T * W)
    return SoftmaxRegression(X, Y, W, b, Z, (normalisers - sp.Trace(Y.T * Z)) / n + penalty)


def images_and_classes() -> tuple[Array, Array, NDArray[np.int64]]:
    """Images with pixels in 0..1, shape (1797, 64); classes one-hot, (1797, 10), and as numbers, (1797,)."""
    images, labels = digits()
    return images / 16, np.eye(CLASSES)[labels], labels


def run(directory: str | Path = "symgrad-demo", backend: str = "llvm", steps: int | None = None) -> bool:
    """Run the demonstration and print what it does; write the C files to `directory`.

    `backend` is the target that trains, `steps` the most steps L-BFGS may take. Returns whether everything
    is as it should be: derivatives verified, and the known optimum reached unless the steps ran out before.
    Raises BadOption if the directory cannot be made, MissingCompiler for the backend "c" without one.
    """
    folder = made(directory)
    steps_shown = Steps()
    model = softmax_regression()
    images, classes, labels = images_and_classes()
    steps_shown.done("data", f"{len(images)} images of handwritten digits, 8 by 8 pixels, {CLASSES} classes")

    P = sg.program(model.loss, args=(model.W, model.b, model.X, model.Y), wrt=(model.W, model.b))
    show_derivation(steps_shown, model, P)
    kernel = sg.compile(P, outputs=("value", "grad"), backend=backend)
    steps_shown.done("compile", f"loss and gradient in one kernel for the target {backend}")
    is_verified = verify(steps_shown, model, kernel, images, classes)
    result = train(steps_shown, model, P, images, classes, backend=backend, steps=steps)
    is_reached = show_result(steps_shown, result, accuracy(model, result.x, images, labels))
    export(steps_shown, P, folder)
    steps_shown.finish()
    return is_verified and is_reached


def made(directory: str | Path) -> Path:
    """The directory, made if it is not there: better to know before the work than after it."""
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOption(
            f"cannot write to {quoted(str(folder))}", because=str(error), try_="--directory DIRECTORY"
        ) from None
    return folder


def show_derivation(steps_shown: Steps, model: SoftmaxRegression, P: sg.Program) -> None:
    """Print the loss and its gradient in matrix notation."""
    by_weights, by_offsets = P.grad
    formulas = {
        "Z": in_one_line(model.scores),
        "loss": in_one_line(P.value, model.scores),
        "dloss/dW": in_one_line(by_weights, model.scores),
        "dloss/db": in_one_line(by_offsets, model.scores),
    }
    steps_shown.done("derive", "the gradient in matrix notation; the sizes n, d and c stay symbols")
    for name, formula in formulas.items():
        steps_shown.detail(f"{name:>8} = {formula}")


def in_one_line(expr: Any, scores: Any = None) -> str:
    """The expression as text, with Z for the scores and `ones` for matrices of ones."""
    short = _with_plain_ones(expr)
    if scores is not None:
        plain, letter = _with_plain_ones(scores), sp.MatrixSymbol("Z", *scores.shape)
        short = short.xreplace({plain.func(*terms): letter for terms in permutations(plain.args)})
    return str(short)


def _with_plain_ones(expr: Any) -> Any:
    """Matrices of ones as symbols, whatever class printed expressions have for them."""
    return expr.xreplace({one: sp.MatrixSymbol("ones", *one.shape) for one in expr.atoms(sp.OneMatrix)})


def verify(
    steps_shown: Steps, model: SoftmaxRegression, kernel: sg.Kernel, images: Array, classes: Array
) -> bool:
    """Compare value and gradient with independent computations, on a few images at random weights."""
    random = np.random.default_rng(0)
    at = {
        model.W: random.normal(0, 0.1, (images.shape[1], CLASSES)),
        model.b: random.normal(0, 0.1, (1, CLASSES)),
        model.X: images[:CHECKED_IMAGES],
        model.Y: classes[:CHECKED_IMAGES],
    }
    report = sg.verify(kernel, at=at)
    verdict = "agree" if report.ok else "DIFFER"
    steps_shown.done("verify", f"value and gradient {verdict}, at random weights on {CHECKED_IMAGES} images")
    for line in str(report.table).splitlines():
        steps_shown.detail(line)
    return bool(report.ok)


def train(
    steps_shown: Steps,
    model: SoftmaxRegression,
    P: sg.Program,
    images: Array,
    classes: Array,
    *,
    backend: str,
    steps: int | None,
) -> Any:
    """Minimise the loss by L-BFGS from zero; the progress bar is for terminals."""
    start = {model.W: np.zeros((images.shape[1], CLASSES)), model.b: np.zeros((1, CLASSES))}
    result = sg.minimize(
        P,
        params=start,
        data={model.X: images, model.Y: classes},
        method=sg.optim.LBFGS(),
        max_steps=steps,
        backend=backend,
        progress=sys.stderr.isatty(),
    )
    steps_shown.done("train", f"{result.nit} steps of L-BFGS on the target {backend}")
    return result


def accuracy(
    model: SoftmaxRegression, params: dict[Any, Array], images: Array, labels: NDArray[np.int64]
) -> float:
    """The share of images whose largest score is that of the true class."""
    scores = images @ params[model.W] + params[model.b]
    return float(np.mean(scores.argmax(axis=1) == labels))


def show_result(steps_shown: Steps, result: Any, share: float) -> bool:
    """Print loss and accuracy; whether the known optimum was reached, or the steps ran out before."""
    off = result.fun - OPTIMUM
    steps_shown.detail(f"loss {result.fun:.10f}, the known optimum {OPTIMUM:.10f} and {off:+.1e}")
    steps_shown.detail(f"training accuracy {share:.5f}")
    steps_shown.detail(f"stopped because {result.message}")
    return abs(off) <= CLOSE or not result.success


def export(steps_shown: Steps, P: sg.Program, folder: Path) -> None:
    """Write the loss and its gradient as standalone C."""
    paths = sg.export_c(P, "softmax_regression", directory=folder, outputs=("value", "grad"))
    steps_shown.done("export", "loss and gradient as C99 that needs no library but libm")
    for path in paths:
        steps_shown.detail(f"{Path(path).stat().st_size:>7,} bytes  {path}")


class Steps:
    """What was done so far, one line each, with the seconds it took."""

    def __init__(self) -> None:
        from rich.console import Console  # slow to import, as the rest of what this command needs

        self._console = Console(highlight=False, soft_wrap=True, markup=False)
        self._start = self._last = time.perf_counter()

    def done(self, name: str, text: str) -> None:
        """Print a step that has just ended."""
        now = time.perf_counter()
        self._console.print(f"{name:<7}", style="bold", end="")
        self._console.print(f" {now - self._last:6.2f} s  {text}")
        self._last = time.perf_counter()

    def detail(self, text: str) -> None:
        """Print a line below the step."""
        self._console.print((" " * 18 + text).rstrip())

    def finish(self) -> None:
        """Print the time of all steps."""
        self._console.print(f"total   {time.perf_counter() - self._start:6.2f} s")
