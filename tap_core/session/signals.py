"""SIGTERM and SIGINT: a run that is asked to end does so cleanly, with whole lines and a valid state."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_core.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Signals"]


class Signals:
    """The signals that reach a run.

    A handler only notes its signal: the run calls `check` between two pages and now and then while it waits. A second
    signal ends the process at once. A thread sees to that: handlers run in the main thread, which may be stuck where
    nobody reads the output, and is not always told of a signal that follows close on another.

    Args:
        stop: Ends all waiting.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._number: int | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals while the block runs."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=_end_at_the_second, args=(reader,), name="signals", daemon=True).start()
        noted = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(noted)
            os.close(writer)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            self._stop()

    @property
    def came(self) -> bool:
        """Whether a signal has asked the run to end."""
        return self._number is not None

    def error(self) -> StoppedError | None:
        """What ends the run if a signal asked for it; its exit code is 128 plus the signal's number."""
        if self._number is None:
            return None
        error = StoppedError(f"stopped by {signal.Signals(self._number).name}; the state written so far is valid")
        error.exit_code = 128 + self._number
        return error

    def check(self) -> None:
        """End the run if a signal asked for it.

        Raises:
            StoppedError: It did.
        """
        if self._number is not None and (error := self.error()) is not None:
            raise error


def _end_at_the_second(reader: int) -> None:
    """Read the numbers of signals as they come, and end the process with the second; return if there are no more."""
    with open(reader, "rb", buffering=0) as numbers:
        numbers.read(1)
        if second := numbers.read(1):
            os._exit(128 + second[0])
