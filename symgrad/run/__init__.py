"""Kernels and what calls them: signatures, optimizer loops, verification."""
