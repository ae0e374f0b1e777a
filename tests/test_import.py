"""What `import symgrad` does not pay for."""

from __future__ import annotations

import subprocess
import sys


def test_importing_symgrad_leaves_what_only_some_programs_need() -> None:
    code = "import numpy, sympy, sys; import symgrad; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "symgrad.pipeline" in loaded
    assert not loaded & {"llvmlite", "scipy", "cffi", "rich", "jax"}
