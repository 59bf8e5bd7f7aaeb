"""Getting rows into a table: appended if the stream has no key, merged on the key in bounded batches if it has one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from target_duckhouse.warehouse.arrivals import note_arrivals
from target_duckhouse.warehouse.connection import VECTOR
from target_duckhouse.warehouse.loads import Counts
from target_duckhouse.warehouse.metadata import REJECTED, REJECTED_SUFFIX
from target_duckhouse.warehouse.tables import ROW, VERSION, Table, comma, qualified, quote
from target_duckhouse.warehouse.windows import forget_windows, replace_windows

if TYPE_CHECKING:
    from target_duckhouse.warehouse.database import Warehouse

__all__ = ["load", "reject"]

logger = logging.getLogger("target-duckhouse")

_BATCH = 131_072
"""The most rows that are merged at a time: a few more than a full spool file holds by default. Millions at once would
not fit into bounded memory."""


def load(warehouse: Warehouse, table: Table, query: str, size: int, version: int | None = None) -> Counts:
    """Load the rows of a query within the open transaction.

    Args:
        warehouse: Where the table is.
        table: The table.
        query: Yields `Table.names`.
        size: The approximate size of all the rows, in bytes.
        version: The version of all the rows.
    """
    con = warehouse.con
    if not table.replaces_windows:
        forget_windows(warehouse, table)
        if not table.keys:
            return Counts(inserted=warehouse.storage.insert(table, query, version))
    con.execute(f"CREATE OR REPLACE TEMP TABLE _stage AS SELECT *, row_number() OVER () AS {ROW} FROM ({query})")
    note_arrivals(warehouse, table)
    if table.keys and table.kept:
        _keep(warehouse, table)
    counts = replace_windows(warehouse, table) if table.replaces_windows else Counts()
    if table.keys:
        (rows,) = warehouse.one("SELECT count(*) FROM _stage")
        batch = min(_BATCH, max(VECTOR, rows * warehouse.memory // 2 // max(size, 1)))
        for start in range(0, rows, batch):
            counts.add(_upsert(warehouse, table, range(start, start + batch), version))
    else:
        counts.inserted = warehouse.storage.insert(table, f"SELECT {comma(table.names)} FROM _stage", version)
    con.execute("DROP TABLE _stage")
    return counts


def _keep(warehouse: Warehouse, table: Table) -> None:
    """Give the rows of ``_stage`` what the rows that they replace hold in columns that the schema lacks."""
    kept = [quote(column.name) for column in table.kept]
    stored = warehouse.storage.stored(table, [*table.keys, *(column.name for column in table.kept)])
    same = " AND ".join(f"s.{quote(key)} = t.{quote(key)}" for key in table.keys)
    values = ", ".join(f"{name} = t.{name}" for name in kept)
    warehouse.con.execute(f"UPDATE _stage AS s SET {values} FROM {stored} t WHERE {same}")


def _upsert(warehouse: Warehouse, table: Table, places: range, version: int | None) -> Counts:
    """Merge a slice of ``_stage``: the last row of each key counts, and rows that have not changed stay untouched."""
    con, storage = warehouse.con, warehouse.storage
    slice_ = f"SELECT * FROM _stage WHERE {ROW} > {places.start} AND {ROW} <= {places.stop}"
    keys = comma(table.keys)
    rows, distinct = warehouse.one(f"SELECT count(*), count(DISTINCT ({keys})) FROM ({slice_})")
    last = "" if rows == distinct else f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {ROW} DESC) = 1"
    on = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in table.keys)
    if not con.execute(f"SELECT 1 FROM {table.qualified} t SEMI JOIN ({slice_}) s ON {on} LIMIT 1").fetchone():
        query = f"SELECT {comma(table.names)} FROM ({slice_}{last})"
        return Counts(inserted=storage.insert(table, query, version))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE _change AS "
        f"SELECT s.{ROW} AS new, t.rowid AS old, {storage.differs(table)} AS differs "
        f"FROM ({slice_}{last}) s LEFT JOIN {table.qualified} t ON {on}"
    )
    inserted, updated = warehouse.one(
        "SELECT count(*) FILTER (old IS NULL), count(*) FILTER (old IS NOT NULL AND differs) FROM _change"
    )
    unchanged = distinct - inserted - updated
    if updated:
        con.execute(f"DELETE FROM {table.qualified} WHERE rowid IN (SELECT old FROM _change WHERE differs)")
    if inserted or updated:
        changes = f"WHERE {ROW} IN (SELECT new FROM _change WHERE old IS NULL OR differs)"
        storage.insert(table, f"SELECT {comma(table.names)} FROM _stage {changes}", version)
    if table.versioned and unchanged > 0:
        con.execute(
            f"UPDATE {table.qualified} SET {quote(VERSION)} = {'NULL' if version is None else version} "
            "WHERE rowid IN (SELECT old FROM _change WHERE NOT differs)"
        )
    if unchanged > 0:
        storage.keep_unchanged(table)
    con.execute("DROP TABLE _change")
    return Counts(inserted=inserted, updated=updated, unchanged=unchanged)


def reject(warehouse: Warehouse, stream: str, query: str) -> Counts:
    """Store bad records in a table beside the stream's.

    Args:
        warehouse: Where the tables are.
        stream: The stream.
        query: Yields the reason for each record, its text, and where in the input it was.
    """
    table = warehouse.metadata.rejected_table(stream)
    if table != stream + REJECTED_SUFFIX:
        logger.warning("stream %s: its rejected records are in table %s; the usual name is a stream's", stream, table)
    name = qualified(warehouse.schema, table)
    columns = ", ".join(f"{column} {kind}" for column, kind in REJECTED.items())
    warehouse.con.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
    warehouse.con.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS source VARCHAR")  # older tables lack it
    (rows,) = warehouse.one(
        f"INSERT INTO {name} ({', '.join(REJECTED)}, source) SELECT ?, now(), * FROM ({query})",
        [warehouse.loads.load_id],
    )
    return Counts(rejected=rows)
