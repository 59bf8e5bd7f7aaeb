"""What a run is going to do in the DuckDB file, and when it opens the file for it.

Rows wait in spool files, and steps wait here, until a commit is due. Then the file is opened, everything is done in one
transaction, and the file is let go of, so that others can load into it, or read it, in the meantime.

What has to be known earlier, such as the columns that a stream's table will have, is tried out in a transaction that is
undone. It is done again with the commit. Should another process have changed the table by then, the rows are fitted to
what it has become.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from target_duckhouse.warehouse import evolve
from target_duckhouse.warehouse.connection import PAUSE_S
from target_duckhouse.warehouse.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.loads import Counts
    from target_duckhouse.warehouse.tables import Table

__all__ = ["Step", "Steps"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done for a stream.

    Args:
        stream: The stream's name, as the tap writes it.
        table: Its table as it was when the step was planned.
        replaces: Whether the run may replace or remove rows of it.
        work: Does it, given the table as it is now and the query fitted to that; returns what it did.
        query: Yields the rows that are to be loaded, for the table as it was; empty if there are none.
    """

    stream: str
    table: Table
    replaces: bool
    work: Callable[[Table, str], Counts]
    query: str = ""


class Steps:
    """The steps of a run that wait for its next commit.

    Args:
        warehouse: Where they are done.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._waiting: list[Step] = []
        self._current: dict[str, tuple[Table, Table]] = {}
        """For each stream, its table: as it was planned, and as it is."""
        self._let_in: set[tuple[str, bool]] = set()
        self._free_since = -PAUSE_S

    def plan(self, step: Step) -> None:
        """Have a step done with the next commit; at once if the file is held until then anyway."""
        self._waiting.append(step)
        if self._warehouse.is_entered:
            self._work_off()

    def look(self, work: Callable[[], _T]) -> _T:
        """Find something out in the file. Unless it is held, what that changes is undone."""
        warehouse = self._warehouse
        if warehouse.is_entered:
            return work()
        warehouse.enter(is_trying=True)
        try:
            return work()
        finally:
            warehouse.leave()

    def hold(self) -> None:
        """Open the file, do what waits, and keep the file until the next commit."""
        warehouse = self._warehouse
        if not warehouse.is_entered:
            time.sleep(max(self._free_since + PAUSE_S - time.monotonic(), 0))
            if not warehouse.enter():
                self._current.clear()
                self._let_in.clear()
        self._work_off()

    def commit(self, state: bytes | None) -> None:
        """Do what waits, commit it together with the state that covers it, and let go of the file.

        Args:
            state: The value of the newest STATE message as JSON text; None if there is no new one.

        Raises:
            LoadError: Something of it could not be done; then nothing of it is.
        """
        if state is None and not self._waiting and not self._warehouse.is_entered:
            return
        self.hold()
        self._warehouse.commit(state)
        self._leave()

    def drop(self) -> None:
        """Undo what was done since the last commit, and forget what waits."""
        self._waiting.clear()
        if self._warehouse.is_entered:
            self._leave()

    def _leave(self) -> None:
        self._warehouse.leave()
        self._free_since = time.monotonic()

    def _work_off(self) -> None:
        """Do what waits, after all its streams have been let in."""
        steps, self._waiting = self._waiting, []
        warehouse = self._warehouse
        warehouse.begin()
        for stream, replaces in sorted({(step.stream, step.replaces) for step in steps} - self._let_in):
            evolve.check_relation(warehouse, stream)
            warehouse.admission.admit(stream, replaces=replaces)
            self._let_in.add((stream, replaces))
        for step in steps:
            warehouse.timed(step.table.stream, partial(self._do, step))

    def _do(self, step: Step) -> Counts:
        planned, now = self._current.get(step.stream, (None, step.table))
        if planned != step.table:
            wanted = tuple(replace(column, declared=column.sql) for column in step.table.arriving)
            now = evolve.prepare(self._warehouse, step.stream, wanted, versioned=step.table.versioned)
            declared = {column.property: column.declared for column in step.table.arriving}
            columns = (replace(c, declared=declared.get(c.property, c.declared)) for c in now.columns)
            now = replace(now, columns=tuple(columns))
        now, query = fit(self._warehouse, step.table, now, step.query)
        self._current[step.stream] = step.table, now
        return step.work(now, query)
