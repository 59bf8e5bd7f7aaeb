"""One spool file into one table: appended where the stream has no key, merged on the key where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.conform import OVERRIDES, is_hard
from target_duckhouse.tables import DELETED_AT, VERSION, Table, comma, literal, quote
from target_duckhouse.warehouse import Counts, Warehouse

if TYPE_CHECKING:
    from target_duckhouse.spool import Spool

__all__ = ["activate", "load"]

_LEAST_OBJECT = 16 * 1024 * 1024


def load(warehouse: Warehouse, table: Table, spool: Spool) -> Counts:
    """Load a spool file within the open transaction."""
    return _upsert(warehouse, table, spool) if table.keys else _append(warehouse, table, spool)


def _source(table: Table, spool: Spool) -> str:
    """A query for the rows of a spool file, in the order of the table's columns."""
    fields: list[str] = []
    values: list[str] = []
    for column in table.columns:
        name = quote(column.name)
        overridden = column.name in spool.overridden
        # A value that is overridden may be one that the type cannot hold.
        as_text = overridden and is_hard(column) and column.sql != "JSON"
        fields.append(f"{name} {'VARCHAR' if as_text else column.sql}")
        value = f"CAST(record.{name} AS {column.sql})" if as_text else f"record.{name}"
        if overridden:
            value = f"coalesce(CAST({OVERRIDES}.{name} AS {column.sql}), {value})"
        values.append(f"{value} AS {name}")
    if table.versioned:
        values.append(f"{'NULL' if spool.version is None else spool.version}::BIGINT AS {quote(VERSION)}")
    columns = {"record": f"STRUCT({', '.join(fields)})" if fields else "JSON"}
    if spool.overridden:
        columns[OVERRIDES] = f"STRUCT({', '.join(quote(name) + ' VARCHAR' for name in sorted(spool.overridden))})"
    spec = ", ".join(f"{name}: {literal(kind)}" for name, kind in columns.items())
    largest = max(_LEAST_OBJECT, spool.longest + 1)
    return (
        f"SELECT {', '.join(values)} FROM read_json({literal(str(spool.path))}, format = 'newline_delimited', "  # noqa: S608
        f"maximum_object_size = {largest}, columns = {{{spec}}})"
    )


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns] + ([VERSION] if table.versioned else [])


def _append(warehouse: Warehouse, table: Table, spool: Spool) -> Counts:
    names = comma(_columns(table))
    warehouse.con.execute(f"INSERT INTO {table.qualified} ({names}) {_source(table, spool)}")
    return Counts(inserted=spool.rows)


def _upsert(warehouse: Warehouse, table: Table, spool: Spool) -> Counts:
    con = warehouse.con
    con.execute(f"CREATE OR REPLACE TEMP TABLE _stage AS {_source(table, spool)}")
    keys = comma(table.keys)
    rows, distinct = warehouse.one(f"SELECT count(*), count(DISTINCT ({keys})) FROM _stage")  # noqa: S608
    last = "" if rows == distinct else f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY rowid DESC) = 1"
    on = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in table.keys)
    others = [column.name for column in table.columns if not column.key]
    comparisons = [f"t.{quote(name)} IS DISTINCT FROM s.{quote(name)}" for name in others]
    if table.marks_deleted:
        comparisons.append(f"t.{quote(DELETED_AT)} IS NOT NULL")
    differs = " OR ".join(comparisons) or "false"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE _change AS SELECT s.*, t.rowid AS _row, ({differs}) AS _differs "  # noqa: S608
        f"FROM (SELECT * FROM _stage{last}) s LEFT JOIN {table.qualified} t ON {on}"
    )
    inserted, updated = warehouse.one(
        "SELECT count(*) FILTER (_row IS NULL), count(*) FILTER (_row IS NOT NULL AND _differs) FROM _change"
    )
    if updated:
        con.execute(
            f"DELETE FROM {table.qualified} "  # noqa: S608
            "WHERE rowid IN (SELECT _row FROM _change WHERE _differs AND _row IS NOT NULL)"
        )
    if inserted or updated:
        names = comma(_columns(table))
        con.execute(
            f"INSERT INTO {table.qualified} ({names}) SELECT {names} FROM _change WHERE _row IS NULL OR _differs"  # noqa: S608
        )
    if table.versioned and distinct > inserted + updated:
        version = "NULL" if spool.version is None else spool.version
        con.execute(
            f"UPDATE {table.qualified} SET {quote(VERSION)} = {version} "  # noqa: S608
            "WHERE rowid IN (SELECT _row FROM _change WHERE _row IS NOT NULL AND NOT _differs)"
        )
    con.execute("DROP TABLE _stage; DROP TABLE _change")
    return Counts(inserted=inserted, updated=updated, unchanged=distinct - inserted - updated)


def activate(warehouse: Warehouse, table: Table, version: int, *, hard_delete: bool) -> Counts:
    """Remove the rows of all versions but one, or mark them as deleted."""
    con = warehouse.con
    old = f"{quote(VERSION)} IS DISTINCT FROM {version}"
    if hard_delete:
        (deleted,) = warehouse.one(f"SELECT count(*) FROM {table.qualified} WHERE {old}")  # noqa: S608
        con.execute(f"DELETE FROM {table.qualified} WHERE {old}")  # noqa: S608
        return Counts(deleted=deleted)
    old += f" AND {quote(DELETED_AT)} IS NULL"
    (deleted,) = warehouse.one(f"SELECT count(*) FROM {table.qualified} WHERE {old}")  # noqa: S608
    con.execute(f"UPDATE {table.qualified} SET {quote(DELETED_AT)} = now() WHERE {old}")  # noqa: S608
    return Counts(deleted=deleted)
