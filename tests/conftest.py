"""What the tests need of the machine, a cache of their own, and the option that rewrites golden texts."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Nothing that was compiled before this run is used in it; its worker processes share a cache.

    Where the machine has no C compiler, use the one that `pip install ".[test]"` brings (Zig's clang).

    Worker processes of xdist inherit the variable. A compiler chosen by the user stays.
    """
    if "CC" not in os.environ and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc"
    if not hasattr(config, "workerinput"):
        cache = tempfile.TemporaryDirectory(prefix="symgrad-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(cache.cleanup)
        os.environ["SYMGRAD_CACHE_DIR"] = cache.name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the golden texts in kernels/golden; read the diff"
    )
