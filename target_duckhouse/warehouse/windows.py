"""Date windows that are read again: their old rows are replaced, and those of windows that are empty now removed."""

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
    """Replace no more windows of a stream in this run, because it is no longer known which ones have arrived."""
    warehouse.windows[table.stream] = ""


def replace_windows(warehouse: Warehouse, table: Table) -> Counts:
    """Remove the old rows of every window that has rows in ``_stage``, unless they have arrived again.

    If a window arrives in two parts within one run, the first part replaces it and the second adds to it. Rows without
    a window replace nothing, and nothing replaces them.
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
    """Remove the rows of windows that this run has read without finding any row in them.

    If windows are read separately for partitions, only partitions for which the run brought any rows are considered. If
    records were rejected, nothing is removed: they may have belonged to any window.

    Args:
        warehouse: Where the rows are.
        table: The table.
        first: The first window that was read.
        last: The last window that was read; all windows between the two were read as well.
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
