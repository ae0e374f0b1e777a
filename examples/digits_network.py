"""A network with one hidden layer of tanh units reads handwritten digits, trained by Adam on mini-batches.

The loss is a SymPy expression with symbolic sizes: batches, training set and test set use it alike. The last
360 of the 1,797 images (UCI optical recognition of handwritten digits) are held back for the test.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import symgrad as sg
from symgrad.data import digits

HIDDEN, CLASSES, HELD_BACK = 32, 10, 360


def main(epochs: int = 40) -> tuple[float, float]:
    """Train, print, and return the accuracies on the images trained on and on those held back."""
    n, d, h, c = sp.symbols("n d h c", integer=True, positive=True)
    X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, c)
    W1, b1 = sp.MatrixSymbol("W1", d, h), sp.MatrixSymbol("b1", 1, h)
    W2, b2 = sp.MatrixSymbol("W2", h, c), sp.MatrixSymbol("b2", 1, c)
    scores = sg.nn.linear(sg.nn.tanh(sg.nn.linear(X, W1, b1)), W2, b2)
    loss = sg.losses.softmax_cross_entropy(scores, Y)

    images, labels = digits()
    images, one_hot = images / 16, np.eye(CLASSES)[labels]
    random = np.random.default_rng(0)
    result = sg.minimize(
        loss,
        params={
            W1: random.normal(0, 1 / np.sqrt(images.shape[1]), (images.shape[1], HIDDEN)),
            b1: np.zeros((1, HIDDEN)),
            W2: random.normal(0, 1 / np.sqrt(HIDDEN), (HIDDEN, CLASSES)),
            b2: np.zeros((1, CLASSES)),
        },
        data={X: images[:-HELD_BACK], Y: one_hot[:-HELD_BACK]},
        method=sg.optim.Adam(3e-3),
        batch_size=64,
        epochs=epochs,
    )

    predict = sg.compile(scores, args=(X, W1, b1, W2, b2), outputs="value")
    chosen = predict(images, *(result.x[symbol] for symbol in (W1, b1, W2, b2))).argmax(axis=1)
    right = chosen == labels
    trained, tested = float(right[:-HELD_BACK].mean()), float(right[-HELD_BACK:].mean())
    print(f"{result.nit} steps, loss {result.fun:.4f}")
    print(f"accuracy {trained:.4f} on the images trained on, {tested:.4f} on {HELD_BACK} others")
    return trained, tested


if __name__ == "__main__":
    main()
