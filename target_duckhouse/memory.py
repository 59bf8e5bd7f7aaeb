"""The bound on the memory of the whole process.

DuckDB keeps to a limit of its own, but that does not count the texts of the 2,048 rows of a table that it works on, nor
what Python holds. So the process watches itself. When it is about to need more than the user allows, it says so and
ends at once. To the warehouse that is like a power cut: what was committed stays, everything else is undone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from target_duckhouse.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryBound"]

logger = logging.getLogger("target-duckhouse")

_PAGES = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_S = 0.005
"""How long to wait between two looks, at least."""
_FASTEST = 8 * 1024**3
"""Bytes that two threads may add in a second, at most: as long as there is room, looks are as rare as that allows."""
_MARGIN_MB = 8
"""What may be added between two looks, beyond what was added at that rate before."""


class MemoryBound:
    """While it is open, ends the process with one line and exit code 5 before it needs more memory than the limit.

    Only Linux tells a process how much it uses; elsewhere nothing is watched.

    Args:
        limit_mb: The limit, in MB.
    """

    def __init__(self, limit_mb: int) -> None:
        self.stream: Callable[[], str] = str
        """Returns the stream that is being loaded, for the message."""
        self.burden: Callable[[], str] = str
        """Returns what needs the memory and what helps, for the message."""
        self.folder: Path | None = None
        """A folder to remove before the process ends that way, and the one around it if that is empty then."""
        self._limit_mb = limit_mb
        self._end_of_run = threading.Lock()
        self._end_of_run.acquire()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        if _PAGES.exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_of_run.release()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        before = most = (self._limit_mb - _MARGIN_MB) * 1024 * 1024
        wait = _EVERY_S
        with _PAGES.open("rb", buffering=0) as pages:
            # A lock costs a tenth of what an event does, hundreds of times a second.
            while not self._end_of_run.acquire(timeout=wait):
                now = int(os.pread(pages.fileno(), 100, 0).split()[1]) * _PAGE
                growth = max(now - before, 0) * _EVERY_S / wait
                if now + growth > most:
                    self._end()
                before, wait = now, max((most - now) / _FASTEST, _EVERY_S)

    def _end(self) -> NoReturn:
        stream = self.stream()
        logger.error(
            "%sthe load needs more memory than the setting `memory_limit_mb` allows (%d MB): %s",
            f"stream {stream}: " if stream else "",
            self._limit_mb,
            self.burden() or "raise it",
        )
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # something else is in it
                self.folder.parent.rmdir()
        os._exit(LoadError.exit_code)
