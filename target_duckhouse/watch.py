"""The bound on the memory of the whole process.

DuckDB keeps to a limit of its own, but does not count the texts of the 2,048 rows that it has in hand of a table, nor
what Python holds. So the process looks at itself, and where it is about to need more than the user allows it says so
and ends at once. For the warehouse that is like a power cut: what was committed stays, all else is undone.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_duckhouse.warehouse import Warehouse

__all__ = ["memory_bound"]

logger = logging.getLogger("target-duckhouse")

_PAGES = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_S = 0.005
_MARGIN_MB = 8
"""What may come between two looks, beside what came between the last two."""


@contextmanager
def memory_bound(limit_mb: int, warehouse: Warehouse, folder: Path) -> Iterator[None]:
    """While this is open, end the process with one line, and exit code 5, before it needs more than so many MB.

    Only Linux tells a process what it needs; elsewhere nothing is watched.

    Args:
        limit_mb: The limit, in MB.
        warehouse: What is loaded into; it tells the stream for the message.
        folder: A folder to remove at such an end.
    """
    if not _PAGES.exists():
        yield
        return
    most = (limit_mb - _MARGIN_MB) * 1024 * 1024 // _PAGE
    done = threading.Event()

    def watch() -> None:
        before = most
        with _PAGES.open("rb", buffering=0) as pages:
            while not done.wait(_EVERY_S):
                pages.seek(0)
                now = int(pages.read().split()[1])
                if now + max(now - before, 0) > most:
                    _end(limit_mb, warehouse, folder)
                before = now

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _end(limit_mb: int, warehouse: Warehouse, folder: Path) -> None:
    where = f"stream {warehouse.stream}: " if warehouse.stream else ""
    logger.error(
        "%sthe load needs more memory than the setting `memory_limit_mb` allows (%d MB); raise it: large records take "
        "up to five times the size of 2,048 of them",
        where,
        limit_mb,
    )
    shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.flush()
    os._exit(LoadError.exit_code)
