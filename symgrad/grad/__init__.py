"""Derivatives of definitions: reverse, forward, and the outputs made of them."""
