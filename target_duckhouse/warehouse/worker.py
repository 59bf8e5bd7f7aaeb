"""The one thread that has DuckDB to itself, and runs one step after another."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.connection import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["Worker"]

_T = TypeVar("_T")
_WAITING = 2
"""Steps that may be waiting for DuckDB before reading has to wait, too."""


class Worker:
    """Runs steps one after another. Once a step has failed, no other runs, so that nothing half-loaded is committed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckdb")
        self._steps: deque[Future[Any]] = deque()
        self._broken = False

    def submit(self, step: Callable[[], object]) -> None:
        """Queue a step; wait while too many are queued.

        Raises:
            LoadError: An earlier step failed.
        """
        self._steps.append(self._pool.submit(self._do, step))
        self._wait(_WAITING)

    def ask(self, step: Callable[[], _T]) -> _T:
        """Run a step after all earlier ones, and wait for its result."""
        self._wait(0)
        return _result(self._pool.submit(self._do, step))

    def finish(self) -> None:
        """Wait until all steps are done."""
        self._wait(0)

    def close(self, *, at_once: bool = False) -> None:
        """End the thread.

        Args:
            at_once: Skip the steps that have not begun.
        """
        self._broken = self._broken or at_once
        self._pool.shutdown(wait=True)

    def _do(self, step: Callable[[], _T]) -> _T:
        if self._broken:
            raise LoadError("stopped after an error")
        try:
            return step()
        except BaseException:
            self._broken = True
            raise

    def _wait(self, allowed: int) -> None:
        while self._steps and (len(self._steps) > allowed or self._steps[0].done()):
            _result(self._steps.popleft())


def _result(step: Future[_T]) -> _T:
    try:
        return step.result()
    except duckdb.Error as error:
        raise LoadError(explain(error)) from error
    except BrokenPipeError:
        raise LoadError(
            "nobody is reading the STATE messages any more; all rows before the last one are loaded"
        ) from None
    except OSError as error:
        raise LoadError(f"{error.filename or 'output'}: {error.strerror}") from None
