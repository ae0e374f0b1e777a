"""What the tests need of the machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


def pytest_configure() -> None:
    """Where the machine has no C compiler, use the one that `pip install ".[test]"` brings (Zig's clang).

    Worker processes of xdist inherit the variable. A compiler chosen by the user stays.
    """
    if "CC" not in os.environ and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc"
