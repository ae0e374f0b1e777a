"""A progress bar on the terminal for work that turns out to be long."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""Seconds of silence before a bar appears."""
INTERVAL = 0.1
"""Seconds between two updates."""


class ProgressBar:
    """Shows step, value and gradient norm; a context manager that leaves the last state printed.

    `wanted` True shows the bar at once, False never, None after a second if stderr is a terminal. `total` is
    the number of steps if known.
    """

    def __init__(self, wanted: bool | None, total: int | None) -> None:
        self._is_silent = wanted is False or (wanted is None and not sys.stderr.isatty())
        self._next = time.monotonic() + (0.0 if wanted else PATIENCE)
        self._total = total
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._latest = (0, 0, 0.0, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()

    def show(self, step: int, epoch: int, value: float, grad_norm: float) -> None:
        """Called once per step; costs a look at the clock unless it is time to draw."""
        if self._is_silent:
            return
        self._latest = step, epoch, value, grad_norm
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            if self._bar is None:
                self._start()
            self._draw()

    def _draw(self) -> None:
        if self._bar is not None and self._task is not None:
            step, epoch, value, grad_norm = self._latest
            text = f"epoch {epoch}  value {value:.6g}  gradient {grad_norm:.2g}"
            self._bar.update(self._task, completed=step, text=text)

    def _start(self) -> None:
        from rich.console import Console  # rich is slow to import, and most runs are short
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("minimize", total=self._total, text="")
        self._bar.start()
