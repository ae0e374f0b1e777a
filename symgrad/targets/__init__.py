"""Targets: a `Routine` of the loop language in, text and loaded machine code out."""
