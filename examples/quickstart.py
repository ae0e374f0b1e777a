"""A value, its gradient and its Hessian, and one step downhill.

f(x, y) = (x - 2)^2 + (y + 1)^2 has its minimum at (2, -1). At the origin the gradient is (-4, 2), and one
step of gradient descent with rate 0.1 leads to (0.4, -0.2).
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import symgrad as sg


def main() -> dict[str, np.ndarray]:
    x, y = sp.symbols("x y")
    P = sg.program((x - 2) ** 2 + (y + 1) ** 2, args=(x, y), wrt=(x, y))
    print("gradient, symbolic:", list(P.grad))

    kernel = sg.compile(P, outputs=("value", "grad", "hess"))
    value, gradient, hessian = kernel(0.0, 0.0)
    print("at the origin: value", value, "gradient", gradient, "Hessian", hessian.tolist())

    step = sg.minimize(P, params={x: 0.0, y: 0.0}, method=sg.optim.GradientDescent(0.1), max_steps=1)
    point = np.array([step.x[x], step.x[y]])
    print("after one step of 0.1:", point)

    best = sg.minimize(P, params={x: 0.0, y: 0.0})
    minimum = np.array([best.x[x], best.x[y]])
    print("minimum:", minimum)
    return {"gradient": gradient, "hessian": hessian, "point": point, "minimum": minimum}


if __name__ == "__main__":
    main()
