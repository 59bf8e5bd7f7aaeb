"""Date windows that are read again: those of their rows that did not come are removed or marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.warehouse.arrivals import stayed_away
from target_duckhouse.warehouse.loads import Counts
from target_duckhouse.warehouse.tables import comma, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.tables import Table

__all__ = ["clear_windows", "forget_windows", "replace_windows"]


def forget_windows(warehouse: Warehouse, table: Table) -> None:
    """Replace no more windows of a stream in this run, because it is no longer known which ones have arrived."""
    warehouse.windows[table.stream] = ""


def replace_windows(warehouse: Warehouse, table: Table) -> Counts:
    """Note which windows, and which of their rows, have arrived in ``_stage``.

    What has not arrived is removed or marked with the STATE that says which windows are complete (`clear_windows`):
    until then, the rest of a window may follow. Without keys no row can be told from another, so the old rows of a
    window go at once; if it arrives in two parts within one run, the second adds to the first. Rows without a window
    replace nothing, and nothing replaces them.
    """
    con, columns = warehouse.con, comma(table.window)
    if (seen := _seen(warehouse, table)) is None:
        return Counts()
    con.execute(
        f"CREATE TEMP TABLE _window AS SELECT {columns} FROM _stage WHERE {quote(table.window[0])} IS NOT NULL "
        f"EXCEPT FROM {seen}"
    )
    (fresh,) = warehouse.one(f"INSERT INTO {seen} FROM _window")
    counts = Counts()
    if fresh and not table.keys:
        counts.deleted = warehouse.storage.remove(table, _is_in(warehouse, table.window, "_window"))
    con.execute("DROP TABLE _window")
    return counts


def clear_windows(warehouse: Warehouse, table: Table, told: tuple[datetime, datetime] | None) -> Counts:
    """Remove or mark the rows of complete windows that have not arrived again in this run.

    Where the schema marks windows, those that have arrived are complete up to the last one that is told. Of those
    between the first and the last, all are, whether rows arrived or not; if windows are read separately for partitions,
    only partitions for which the run brought any rows are considered. Where windows are neither marked nor told, those
    that have arrived count as complete. If records were rejected, nothing is removed: they may have belonged to any.

    Args:
        warehouse: Where the rows are.
        table: The table.
        told: The first and the last window that was read; all between the two were read as well.
    """
    window, *partitions = table.window
    is_time = table.column(window).sql in {"DATE", "TIMESTAMPTZ"}
    if warehouse.loads.rejected(table.stream) or (table.marks_windows and not (told and is_time)):
        return Counts()
    if (seen := _seen(warehouse, table)) is None:
        return Counts()
    arrived = _is_in(warehouse, table.window, seen)
    gone = arrived if table.keys else "false"
    if told and is_time:
        first, last = (
            f"CAST({literal(time.isoformat())} AS TIMESTAMPTZ) {order} t.{quote(window)}"
            for time, order in zip(told, ("<=", ">="), strict=True)
        )
        between = " AND ".join(
            [first, f"NOT {arrived}", *([_is_in(warehouse, partitions, seen)] if partitions else [])]
        )
        gone = f"{last} AND ({gone} OR ({between}))"
    if table.keys:
        if (missed := stayed_away(warehouse, table)) is None:
            return Counts()
        gone = f"{gone} AND {missed}"
    return Counts(deleted=warehouse.storage.remove(table, gone)) if gone != "false" else Counts()


def _seen(warehouse: Warehouse, table: Table) -> str | None:
    """The temporary table of the windows that this run has brought rows for.

    None once the columns that identify a window have changed during the run: it is then unknown which windows have
    arrived, and none is replaced until the next run.
    """
    name = f"temp.main.{quote(f'_seen_{table.stream}')}"
    columns = ", ".join(f"{quote(column)} {table.column(column).sql}" for column in table.window)
    if warehouse.windows.setdefault(table.stream, columns) != columns:
        forget_windows(warehouse, table)
        return None
    warehouse.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})")
    return name


def _is_in(warehouse: Warehouse, columns: Iterable[str], windows: str) -> str:
    """A condition for a row ``t`` that belongs to one of the windows, or to one of their partitions."""
    same = " AND ".join(f"t.{quote(column)} {warehouse.storage.same_window} w.{quote(column)}" for column in columns)
    return f"EXISTS (SELECT 1 FROM {windows} w WHERE {same})"
