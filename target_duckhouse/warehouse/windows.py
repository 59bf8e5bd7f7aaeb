"""Windows of dates that are read again: their rows are replaced, and those that became empty lose theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.warehouse.database import Counts, Warehouse
from target_duckhouse.warehouse.tables import comma, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from target_duckhouse.warehouse.tables import Table

__all__ = ["clear_windows", "forget_windows", "replace_windows"]


def forget_windows(warehouse: Warehouse, table: Table) -> None:
    """Replace no window of a stream in this run any more, because rows come of which the window is not known."""
    warehouse.windows[table.stream] = ""


def replace_windows(warehouse: Warehouse, table: Table) -> Counts:
    """Remove the rows of every window of which ``_stage`` has rows, unless they came again.

    A window that comes in two parts within one run is replaced by the first part and added to by the second. Rows
    without a window replace none and are replaced by none.
    """
    con, columns = warehouse.con, comma(table.window)
    if (seen := _seen(warehouse, table)) is None:
        return Counts()
    con.execute(
        f"CREATE TEMP TABLE _window AS SELECT {columns} FROM _stage WHERE {quote(table.window[0])} IS NOT NULL "
        f"EXCEPT FROM {seen}"
    )
    (fresh,) = warehouse.one(f"INSERT INTO {seen} FROM _window")
    gone = _is_in(warehouse, table.window, "_window")
    if table.keys:
        same = " AND ".join(f"s.{quote(key)} = t.{quote(key)}" for key in table.keys)
        gone += f" AND NOT EXISTS (SELECT 1 FROM _stage s WHERE {same})"
    counts = Counts(deleted=warehouse.storage.delete(table, gone)) if fresh else Counts()
    con.execute("DROP TABLE _window")
    return counts


def clear_windows(warehouse: Warehouse, table: Table, first: datetime, last: datetime) -> Counts:
    """Remove the rows of windows that this run has read and of which it brought no row.

    Where windows are read separately for partitions, only those of partitions count of which it brought rows at all.
    None does where records were rejected: they may have been of any window.

    Args:
        warehouse: Where the rows are.
        table: The table.
        first: The first window that was read.
        last: The last window that was read. All between the two were read as well.
    """
    if warehouse.counts.get(table.stream, Counts()).rejected:
        return Counts()
    window, *partitions = table.window
    seen = _seen(warehouse, table)
    if seen is None or table.column(window).sql not in {"DATE", "TIMESTAMPTZ"}:
        return Counts()
    times = " AND ".join(
        f"CAST({literal(time.isoformat())} AS TIMESTAMPTZ) {order} t.{quote(window)}"
        for time, order in ((first, "<="), (last, ">="))
    )
    gone = f"{times} AND NOT {_is_in(warehouse, table.window, seen)}"
    if partitions:
        gone += f" AND {_is_in(warehouse, partitions, seen)}"
    return Counts(deleted=warehouse.storage.delete(table, gone))


def _seen(warehouse: Warehouse, table: Table) -> str | None:
    """The table of the windows of which this run has brought rows.

    None from the moment on in which the columns that tell a window change in mid-run: then it cannot be told any more
    which windows have come, and none is replaced until the next run.
    """
    name = f"temp.main.{quote(f'_seen_{table.stream}')}"
    columns = ", ".join(f"{quote(column)} {table.column(column).sql}" for column in table.window)
    if warehouse.windows.setdefault(table.stream, columns) != columns:
        forget_windows(warehouse, table)
        return None
    warehouse.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})")
    return name


def _is_in(warehouse: Warehouse, columns: Iterable[str], windows: str) -> str:
    """A condition for a row ``t`` that is in windows, or in their partitions."""
    same = " AND ".join(f"t.{quote(column)} {warehouse.storage.same_window} w.{quote(column)}" for column in columns)
    return f"EXISTS (SELECT 1 FROM {windows} w WHERE {same})"
