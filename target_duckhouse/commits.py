"""What has arrived since the last commit, which STATE covers it, and whether the next commit is due.

When is a commit allowed? Always, if the newest STATE covers every row. Rows that are merged on a key may be committed
ahead of their STATE, because they can be merged again. Rows that are only appended must wait for it, and so must the
rows of windows that replace others.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from msgspec import Raw

    from target_duckhouse.input.batch import BatchFile
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.steps import Steps
    from target_duckhouse.warehouse.tables import Table
    from target_duckhouse.warehouse.worker import Worker

__all__ = ["Commits"]

logger = logging.getLogger("target-duckhouse")

_MOST_WAITING = 8
"""How many times what is enough for a commit may wait for a STATE in spool files, before the DuckDB file is held."""


class Commits:
    """Keeps account of what is not committed yet, and commits it.

    Args:
        warehouse: What is committed; only the worker touches it.
        steps: What is to be done there.
        worker: Runs everything that touches DuckDB.
        output: Where the values of committed STATE messages go, one per line, as a runner expects them.
    """

    def __init__(self, warehouse: Warehouse, steps: Steps, worker: Worker, output: BinaryIO) -> None:
        self.total = 0
        """Records that have arrived in the whole run."""
        self.state: bytes | None = None
        """The value of the newest STATE message that is not committed yet."""
        self.may_commit = True
        """Whether everything that has arrived may be committed now: nothing has to wait for its STATE."""
        self.has_seen_state = False
        settings = warehouse.settings
        self._most_bytes = min(settings.batch_bytes, warehouse.memory // 2)
        self._most_rows = settings.batch_rows
        self._interval = settings.flush_interval_s
        self._warehouse = warehouse
        self._steps = steps
        self._worker = worker
        self._output = output
        self._rows = self._size = 0
        self._consumed: list[BatchFile] = []
        self._last = time.monotonic()

    def add(self, table: Table, rows: int = 0, size: int = 0) -> None:
        """Count rows that have arrived for a table, and their size in bytes."""
        self.total += rows
        self._rows += rows
        self._size += size
        if not table.may_repeat:
            self.may_commit = False

    def consume(self, file: BatchFile) -> None:
        """Have a file removed by the next commit, as all its rows have arrived."""
        self._consumed.append(file)

    def cover(self, state: Raw, size: int) -> None:
        """Take a STATE, which covers everything that has arrived.

        Args:
            state: Its value.
            size: The length of the whole message.
        """
        self._warehouse.state_size = size  # in case there is not enough memory from here on
        self.state = bytes(state)
        self.may_commit = self.has_seen_state = True

    def is_enough(self, rows: int, size: int) -> bool:
        """Whether this many rows, or bytes of them, are enough to be loaded or committed at a time."""
        return rows >= self._most_rows or size >= self._most_bytes

    @property
    def is_full(self) -> bool:
        """Whether enough has arrived for a commit."""
        return self.is_enough(self._rows, self._size)

    @property
    def is_overfull(self) -> bool:
        """Whether so much waits for a STATE that it should no longer wait in spool files."""
        return self.is_enough(self._rows // _MOST_WAITING, self._size // _MOST_WAITING)

    @property
    def is_due(self) -> bool:
        """Whether enough has arrived for a commit, or the last one was long ago."""
        return self.is_full or time.monotonic() - self._last >= self._interval

    def commit(self) -> None:
        """Commit everything that was handed to DuckDB together with the newest STATE, and then print that STATE."""
        state, self.state = self.state, None
        consumed, self._consumed = self._consumed, []
        self._rows = self._size = 0

        def commit() -> None:
            self._steps.commit(state)
            if state is not None:
                self._print(state)
            for file in consumed:
                _remove(file)
            self._warehouse.state_size = len(self.state or b"")

        self._worker.submit(commit)
        self._last = time.monotonic()

    def roll_back(self) -> None:
        """Undo everything since the last commit."""
        self._worker.submit(self._steps.drop)

    def hand_back(self) -> None:
        """Print the state that an earlier run committed, if there is one."""
        state = self._worker.ask(lambda: self._steps.look(self._warehouse.last_state))
        if state is not None:
            self._worker.ask(lambda: self._print(state))

    def _print(self, state: bytes) -> None:
        self._output.write(state + b"\n")
        self._output.flush()


def _remove(file: BatchFile) -> None:
    try:
        removed = file.remove()
    except OSError as error:
        logger.warning("batch file %s is loaded, but cannot be removed: %s", file.path, error.strerror)
    else:
        if not removed:
            logger.warning("batch file %s has changed since it was read, and is not removed", file.path)
