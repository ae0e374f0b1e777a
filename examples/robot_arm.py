"""A six-joint robot arm finds the joint angles that bring its hand to a given pose.

The pose is a product of six transforms, one per joint (Denavit and Hartenberg 1955), with the lengths of a
UR5. Its twelve entries and their 12 by 6 Jacobian are one kernel; damped Gauss-Newton steps (Levenberg and
Marquardt) do the rest.
"""

from __future__ import annotations

from functools import reduce
from operator import mul

import numpy as np
import sympy as sp

import symgrad as sg

# Twist (in right angles), length and offset (in metres) of each joint.
UR5 = (
    (1, 0.0, 0.089159),
    (0, -0.425, 0.0),
    (0, -0.39225, 0.0),
    (1, 0.0, 0.10915),
    (-1, 0.0, 0.09465),
    (0, 0.0, 0.0823),
)
ANGLES = sp.symbols("q1:7")


def joint(angle: sp.Expr, right_angles: int, length: float, offset: float) -> sp.Matrix:
    """The transform from one joint to the next."""
    ct, st = sp.cos(angle), sp.sin(angle)
    ca, sa = sp.cos(right_angles * sp.pi / 2), sp.sin(right_angles * sp.pi / 2)
    return sp.Matrix(
        [
            [ct, -st * ca, st * sa, length * ct],
            [st, ct * ca, -ct * sa, length * st],
            [0, sa, ca, offset],
            [0, 0, 0, 1],
        ]
    )


def pose_kernel() -> sg.Kernel:
    """Angles to the hand's rotation and position as (value, jac), with shapes (12, 1) and (12, 1, 6)."""
    transform = reduce(mul, (joint(angle, *row) for angle, row in zip(ANGLES, UR5, strict=True)))
    pose = sp.Matrix(list(transform[:3, :]))
    return sg.compile(pose, args=ANGLES, wrt=ANGLES, outputs=("value", "jac"))


def main(steps: int = 100) -> float:
    """Find the angles for a pose that the arm can reach, and return the largest error left."""
    kernel = pose_kernel()
    goal, _ = kernel(0.4, -1.1, 1.3, -0.8, 0.9, 0.2)
    angles = np.array([0.0, -0.8, 0.8, -0.4, 0.4, 0.0])
    pose, jacobian = kernel(*angles)
    damping = 1e-2
    taken = 0
    while taken < steps and abs(pose - goal).max() >= 1e-12:
        J, error = jacobian.reshape(12, 6), (pose - goal).reshape(12)
        change = np.linalg.solve(J.T @ J + damping * np.eye(6), -J.T @ error)
        new_pose, new_jacobian = kernel(*(angles + change))
        if np.linalg.norm(new_pose - goal) < np.linalg.norm(error):
            angles, pose, jacobian, damping = angles + change, new_pose, new_jacobian, damping / 5
        else:
            damping *= 4
        taken += 1
    error_left = float(abs(pose - goal).max())
    print(f"{taken} steps, angles {np.round(angles, 6)}, largest error {error_left:.1e}")
    return error_left


if __name__ == "__main__":
    main()
