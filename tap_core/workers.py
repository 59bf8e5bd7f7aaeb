"""Threads for what blocks: a login, a live connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from queue import SimpleQueue
from typing import Any

__all__ = ["Task", "Workers"]

Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Workers:
    """Threads: at most ``count`` for all streams of a tap.

    The threads are daemons: a run that ends does not wait for a response that is no longer needed.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._threads = 0

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run a call in a free thread."""
        future: Future[Any] = Future()
        self._tasks.put((future, call, args))
        if self._threads < self.count:
            self._threads += 1
            threading.Thread(target=self._work, name=f"reader-{self._threads}", daemon=True).start()
        return future

    def wait(self, futures: Sequence[Future[Any]], seconds: float) -> Future[Any] | None:
        """Wait until one of these is done, and return it; None once this much real time has passed."""
        done, _ = wait(futures, timeout=seconds, return_when=FIRST_COMPLETED)
        return next(iter(done), None)

    def _work(self) -> None:
        while True:
            future, call, args = self._tasks.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call(*args)
            except BaseException as error:  # noqa: BLE001  whoever waits for the result raises it
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, call, args
