"""One spool file into one table: appended where the stream has no key, merged on the key where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.conform import TEXT_SUFFIX
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
    spec = {column.name: column.sql for column in table.columns}
    values = {column.name: quote(column.name) for column in table.columns}
    if not spool.plain:
        for column in table.columns:
            if column.sql == "JSON":
                spec[column.name + TEXT_SUFFIX] = "VARCHAR"
                text = quote(column.name + TEXT_SUFFIX)
                values[column.name] = f"coalesce(CAST({text} AS JSON), {quote(column.name)})"
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in spec.items())
    select = ", ".join(f"{value} AS {quote(name)}" for name, value in values.items())
    if table.versioned:
        select += f", {'NULL' if spool.version is None else spool.version}::BIGINT AS {quote(VERSION)}"
    largest = max(_LEAST_OBJECT, spool.longest + 1)
    return (
        f"SELECT {select} FROM read_json({literal(str(spool.path))}, format = 'newline_delimited', "  # noqa: S608
        f"maximum_object_size = {largest}, columns = {{{columns}}})"
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
