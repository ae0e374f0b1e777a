"""Passes over definitions: the same values, fewer operations."""
