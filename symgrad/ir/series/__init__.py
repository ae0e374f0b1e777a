"""Removable singularities: where a formula cannot be computed, and the series that is computed there."""

from symgrad.ir.series import gamma, removable  # noqa: F401  they enter their rows
