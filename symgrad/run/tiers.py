"""Compiling kernels well in the background, while their quick form is already in use.

One thread at a time works through a queue. It holds kernels weakly: one that nobody uses any more is not
compiled. It ends when the queue is empty, and with the process after the module it is at.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgrad.run.kernel import Improve, Kernel


class _Job:
    """A kernel, and what makes its better form."""

    def __init__(self, kernel: Kernel, improve: Improve) -> None:
        self.kernel, self.improve = weakref.ref(kernel), improve

    def is_wanted(self) -> bool:
        return self.kernel() is not None and not _stopping.is_set()

    def run(self) -> None:
        better = self.improve(self.is_wanted) if self.is_wanted() else None
        kernel = self.kernel()
        if better is not None and kernel is not None:
            kernel._exchange(better)


_stopping = threading.Event()
_guard = threading.Lock()
_queue: deque[_Job] = deque()
_thread: threading.Thread | None = None


def improve_later(kernel: Kernel, improve: Improve) -> None:
    """Put a kernel in the queue."""
    global _thread
    with _guard:
        _queue.append(_Job(kernel, improve))
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="symgrad-tiers", daemon=True)
            _thread.start()


def wait() -> None:
    """Return when no kernel is in the queue any more."""
    with _guard:
        thread = _thread
    if thread is not None:
        thread.join()


def _work() -> None:
    global _thread
    while True:
        with _guard:
            if not _queue or _stopping.is_set():
                _thread = None
                return
            job = _queue.popleft()
        job.run()
        del job  # it would keep machine code alive


def _stop() -> None:
    """LLVM must not be at work while the process takes it down."""
    _stopping.set()
    wait()


def _begin_again() -> None:
    """A process that was forked has the queue, but not the thread."""
    global _guard, _thread
    _guard, _thread = threading.Lock(), None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
