"""Sums taken apart: terms with the places where they live."""
