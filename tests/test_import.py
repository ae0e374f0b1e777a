"""What `import symgrad` does not pay for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import symgrad as sg


def test_importing_symgrad_leaves_what_only_some_programs_need() -> None:
    code = "import numpy, sympy, sys; import symgrad; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "symgrad.pipeline" in loaded
    assert not loaded & {"llvmlite", "scipy", "cffi", "rich", "jax"}
    assert not loaded & {"symgrad.run.minimize", "symgrad.run.optim", "symgrad.run.verify"}


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    code = "import symgrad as sg; print(*(n for n in dir(sg) if n in sg.__all__ and getattr(sg, n)))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == sorted(sg.__all__)
    assert sg.minimize is importlib.import_module("symgrad.run.minimize").minimize
    assert sg.optim is importlib.import_module("symgrad.optim")
    with pytest.raises(AttributeError, match="module 'symgrad' has no attribute 'minimise'"):
        sg.minimise  # noqa: B018  (asking for it is what raises)
