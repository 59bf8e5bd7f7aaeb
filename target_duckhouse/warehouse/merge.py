"""Rows into a table: appended where the stream has no key, merged on the key in bounded batches where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.input.parquet import rejected_query
from target_duckhouse.input.spool import VECTOR
from target_duckhouse.warehouse.database import Counts, Warehouse
from target_duckhouse.warehouse.lake import row_hash
from target_duckhouse.warehouse.tables import DELETED_AT, HASH, ROW, VERSION, Table, comma, literal, qualified, quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_duckhouse.input.messages import WindowsRead
    from target_duckhouse.input.spool import Spool

__all__ = ["activate", "clear_windows", "load", "reject"]

_BATCH = 100_000
"""Rows that are merged at a time, at most. A merge of millions at once does not fit into bounded memory."""


def load(warehouse: Warehouse, table: Table, query: str, size: int, version: int | None = None) -> Counts:
    """Load the rows of a query within the open transaction.

    Args:
        warehouse: Where to.
        table: The table.
        query: Yields the table's columns in order, and the version's where the table has one.
        size: About how large the rows are together, in bytes.
        version: The version of all the rows.
    """
    con = warehouse.con
    if not table.replaces_windows:
        warehouse.windows[table.stream] = ""
    if not table.keys and not table.replaces_windows:
        return Counts(inserted=_append(warehouse, table, query, version))
    con.execute(f"CREATE OR REPLACE TEMP TABLE _stage AS SELECT *, row_number() OVER () AS {ROW} FROM ({query})")
    counts = _replace_windows(warehouse, table) if table.replaces_windows else Counts()
    if table.keys:
        (rows,) = warehouse.one("SELECT count(*) FROM _stage")
        batch = min(_BATCH, max(VECTOR, rows * warehouse.memory // 2 // max(size, 1)))
        for start in range(0, rows, batch):
            counts.add(_upsert(warehouse, table, range(start, start + batch), version))
    else:
        counts.inserted = _append(warehouse, table, f"SELECT {comma(_columns(table))} FROM _stage", version)
    con.execute("DROP TABLE _stage")
    return counts


def _append(warehouse: Warehouse, table: Table, query: str, version: int | None) -> int:
    if warehouse.lake is None:
        (rows,) = warehouse.one(f"INSERT INTO {table.qualified} ({comma(_columns(table))}) {query}")
    else:
        if table.replaces_windows:
            raise LoadError(f"stream {table.stream} has no key, which `replace_windows` needs in a lake")
        (rows,) = warehouse.one(f"SELECT count(*) FROM ({query})")
        warehouse.lake.write(table, query, version)
    return int(rows)


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns] + ([VERSION] if table.versioned else [])


def _upsert(warehouse: Warehouse, table: Table, places: range, version: int | None) -> Counts:
    """Merge a slice of ``_stage``: the last row of each key counts, and a row that is there already stays untouched."""
    con = warehouse.con
    slice_ = f"SELECT * FROM _stage WHERE {ROW} > {places.start} AND {ROW} <= {places.stop}"
    keys = comma(table.keys)
    rows, distinct = warehouse.one(f"SELECT count(*), count(DISTINCT ({keys})) FROM ({slice_})")
    last = "" if rows == distinct else f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {ROW} DESC) = 1"
    on = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in table.keys)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE _change AS "
        f"SELECT s.{ROW} AS new, t.rowid AS old, {_differs(warehouse, table)} AS differs "
        f"FROM ({slice_}{last}) s LEFT JOIN {table.qualified} t ON {on}"
    )
    inserted, updated = warehouse.one(
        "SELECT count(*) FILTER (old IS NULL), count(*) FILTER (old IS NOT NULL AND differs) FROM _change"
    )
    if updated:
        con.execute(f"DELETE FROM {table.qualified} WHERE rowid IN (SELECT old FROM _change WHERE differs)")
    if inserted or updated:
        _insert_changes(warehouse, table, version)
    if table.versioned and distinct > inserted + updated:
        con.execute(
            f"UPDATE {table.qualified} SET {quote(VERSION)} = {'NULL' if version is None else version} "
            "WHERE rowid IN (SELECT old FROM _change WHERE NOT differs)"
        )
    if warehouse.lake and table.window and distinct > inserted + updated:
        con.execute(
            f"UPDATE {table.qualified} AS t SET {', '.join(f'{quote(c)} = s.{quote(c)}' for c in table.window)} "
            f"FROM _change c, _stage s WHERE t.rowid = c.old AND NOT c.differs AND s.{ROW} = c.new "
            f"AND ({' OR '.join(f't.{quote(c)} IS DISTINCT FROM s.{quote(c)}' for c in table.window)})"
        )
    con.execute("DROP TABLE _change")
    return Counts(inserted=inserted, updated=updated, unchanged=distinct - inserted - updated)


def _differs(warehouse: Warehouse, table: Table) -> str:
    """A condition for a row ``s`` that is not as the table's row ``t`` of the same key."""
    if warehouse.lake:
        return f"(t.{HASH} IS DISTINCT FROM {row_hash(table, 's')})"
    others = [column.name for column in table.columns if not column.key]
    comparisons = [f"t.{quote(name)} IS DISTINCT FROM s.{quote(name)}" for name in others]
    if table.marks_deleted:
        comparisons.append(f"t.{quote(DELETED_AT)} IS NOT NULL")
    return f"({' OR '.join(comparisons) or 'false'})"


def _insert_changes(warehouse: Warehouse, table: Table, version: int | None) -> None:
    changes = f"FROM _stage s WHERE {ROW} IN (SELECT new FROM _change WHERE old IS NULL OR differs)"
    names = _columns(table)
    if warehouse.lake:
        warehouse.lake.write(table, f"SELECT {comma(names)} {changes}", version)
        names = [*dict.fromkeys((*table.keys, *table.window)), *([VERSION] if table.versioned else [])]
        warehouse.con.execute(
            f"INSERT INTO {table.qualified} ({comma(names)}, {HASH}) "
            f"SELECT {comma(names)}, {row_hash(table, 's')} {changes}"
        )
    else:
        warehouse.con.execute(f"INSERT INTO {table.qualified} ({comma(names)}) SELECT {comma(names)} {changes}")


def _replace_windows(warehouse: Warehouse, table: Table) -> Counts:
    """Remove the rows of every window that was read again, unless they came again.

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
    counts = _delete(warehouse, table, gone) if fresh else Counts()
    con.execute("DROP TABLE _window")
    return counts


def clear_windows(warehouse: Warehouse, table: Table, windows: WindowsRead) -> Counts:
    """Remove the rows of windows that this run has read and of which it brought no row.

    Where windows are read apart for partitions, only those of partitions count of which it brought rows at all. None
    does where records were rejected: they may have been of any window.
    """
    if warehouse.counts.get(table.stream, Counts()).rejected:
        return Counts()
    window, *partitions = table.window
    seen = _seen(warehouse, table)
    if seen is None or table.column(window).sql not in {"DATE", "TIMESTAMPTZ"}:
        return Counts()
    times = " AND ".join(
        f"CAST({literal(time.isoformat())} AS TIMESTAMPTZ) {order} t.{quote(window)}"
        for time, order in ((windows.first, "<="), (windows.last, ">="))
    )
    gone = f"{times} AND NOT {_is_in(warehouse, table.window, seen)}"
    if partitions:
        gone += f" AND {_is_in(warehouse, partitions, seen)}"
    return _delete(warehouse, table, gone)


def _seen(warehouse: Warehouse, table: Table) -> str | None:
    """The table of the windows of which this run has brought rows.

    None from the moment on in which the columns that tell a window change in mid-run: then it cannot be told any more
    which windows have come, and none is replaced until the next run.
    """
    name = f"temp.main.{quote(f'_seen_{table.stream}')}"
    columns = ", ".join(f"{quote(column)} {table.column(column).sql}" for column in table.window)
    if warehouse.windows.setdefault(table.stream, columns) != columns:
        warehouse.windows[table.stream] = ""
        return None
    warehouse.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})")
    return name


def _is_in(warehouse: Warehouse, columns: Iterable[str], windows: str) -> str:
    """A condition for a row ``t`` that is in windows, or in their partitions.

    The index of a lake does not know the partition of a row that was loaded before the schema told it.
    """
    equal = "=" if warehouse.lake else "IS NOT DISTINCT FROM"
    same = " AND ".join(f"t.{quote(column)} {equal} w.{quote(column)}" for column in columns)
    return f"EXISTS (SELECT 1 FROM {windows} w WHERE {same})"


def _delete(warehouse: Warehouse, table: Table, condition: str) -> Counts:
    if warehouse.lake:
        warehouse.lake.bury(table, condition)
    (deleted,) = warehouse.one(f"DELETE FROM {table.qualified} AS t WHERE {condition}")
    return Counts(deleted=deleted)


def activate(warehouse: Warehouse, table: Table, version: int, *, hard_delete: bool) -> Counts:
    """Remove the rows of all versions but one, or mark them as deleted."""
    old = f"{quote(VERSION)} IS DISTINCT FROM {version}"
    if warehouse.lake:
        warehouse.lake.bury(table, old)
        if not table.keys:
            warehouse.lake.drop_other_versions(table, version)
    if hard_delete or warehouse.lake:
        (deleted,) = warehouse.one(f"DELETE FROM {table.qualified} WHERE {old}")
    else:
        marker = quote(DELETED_AT)
        (deleted,) = warehouse.one(f"UPDATE {table.qualified} SET {marker} = now() WHERE {old} AND {marker} IS NULL")
    return Counts(deleted=deleted)


def reject(warehouse: Warehouse, table: Table, spool: Spool) -> Counts:
    """Keep records that do not fit, with the reason, in a table beside the stream's."""
    name = qualified(warehouse.schema, f"{table.stream}__rejected")
    warehouse.con.execute(
        f"CREATE TABLE IF NOT EXISTS {name} (load_id VARCHAR, rejected_at TIMESTAMPTZ, reason VARCHAR, record VARCHAR)"
    )
    (rows,) = warehouse.one(
        f"INSERT INTO {name} SELECT ?, now(), * FROM ({rejected_query(spool)})", [warehouse.load_id]
    )
    return Counts(rejected=rows)
