"""Rows of the op table for composites whose digits a plain formula loses: norms, differences, quotients."""

from symgrad.ir.composites import (  # noqa: F401  they enter their rows
    difference_families,
    differences,
    distances,
    hypot,
    log_products,
    margins,
    norm,
    power_differences,
    powers_less_one,
    quadratic_roots,
    radial,
    right_triangles,
    sides,
    softmax,
    stable_ops,
)
