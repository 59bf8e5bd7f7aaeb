"""Queries for rows on their way in: from a spool file, or from a Parquet file of a BATCH message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.errors import RecordError
from target_duckhouse.input.exact_lines import OVERRIDES, is_hard
from target_duckhouse.warehouse.tables import VERSION, Table, literal, quote
from target_duckhouse.warehouse.types import decimal_size

if TYPE_CHECKING:
    import duckdb

    from target_duckhouse.input.spool import Spool

__all__ = ["parquet_columns", "parquet_query", "parquet_size", "rejected_query", "spool_query"]

_LEAST_OBJECT = 512 * 1024
"""DuckDB reads with two buffers of this size; larger ones cost memory and time."""
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"}
)
_FRACTIONS = frozenset({"FLOAT", "DOUBLE"})
_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "DATE"})


def spool_query(table: Table, spool: Spool) -> str:
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
    columns = {"record": f"STRUCT({', '.join(fields)})" if fields else "JSON"}
    if spool.overridden:
        columns[OVERRIDES] = f"STRUCT({', '.join(quote(name) + ' VARCHAR' for name in sorted(spool.overridden))})"
    return f"SELECT {_with_version(values, table, spool.version)} FROM {_read_json(spool, columns)}"


def rejected_query(spool: Spool) -> str:
    """A query for reason and record of what was rejected."""
    return f"SELECT reason, record FROM {_read_json(spool, {'reason': 'VARCHAR', 'record': 'VARCHAR'})}"


def _read_json(spool: Spool, columns: dict[str, str]) -> str:
    spec = ", ".join(f"{name}: {literal(kind)}" for name, kind in columns.items())
    largest = max(_LEAST_OBJECT, spool.longest + 1)
    # DuckDB looks at a sample of the file even where it is told all columns.
    return (
        f"read_json({literal(str(spool.path))}, format = 'newline_delimited', sample_size = 1, "
        f"maximum_object_size = {largest}, columns = {{{spec}}})"
    )


def _with_version(values: list[str], table: Table, version: int | None) -> str:
    if table.versioned:
        values = [*values, f"{'NULL' if version is None else version}::BIGINT AS {quote(VERSION)}"]
    return ", ".join(values)


def parquet_columns(con: duckdb.DuckDBPyConnection, path: str) -> dict[str, str]:
    """Columns of a Parquet file and their types."""
    rows = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
    return {row[0]: row[1] for row in rows}


def parquet_size(con: duckdb.DuckDBPyConnection, path: str) -> int:
    """How large the rows of a Parquet file are together, in bytes and uncompressed."""
    row = con.execute(f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({literal(path)})").fetchone()
    return int(row[0] or 0) if row else 0


def parquet_query(con: duckdb.DuckDBPyConnection, table: Table, path: str, version: int | None) -> str:
    """A query for the rows of a Parquet file, in the order of the table's columns.

    Raises:
        RecordError: The file has a value that its column would round, or one of another kind.
    """
    present = parquet_columns(con, path)
    values: list[str] = []
    for column in table.columns:
        if (kind := present.get(column.property)) is None:
            values.append(f"NULL::{column.sql} AS {quote(column.name)}")
            continue
        source = quote(column.property)
        value = _cast(source, kind, column.sql)
        lossy = value is not None and not _keeps(kind, column.sql)
        if value is None or (lossy and _loses(con, path, source, value, kind)):
            raise RecordError(
                f"stream {table.stream}: property `{column.property}` must be {column.sql}: "
                f"its values in the Parquet file are {kind} and do not fit"
            )
        values.append(f"{value} AS {quote(column.name)}")
    return f"SELECT {_with_version(values, table, version)} FROM read_parquet({literal(path)})"


def _cast(source: str, kind: str, sql: str) -> str | None:
    """An expression for a value of a Parquet type in the column's type; None for a type of another kind."""
    if sql == "JSON":
        is_json_text = f"json_valid({source})" if kind == "VARCHAR" else "false"
        return f"CASE WHEN {is_json_text} THEN CAST({source} AS JSON) ELSE to_json({source}) END"
    numeric = kind in _INTEGERS or kind in _FRACTIONS or kind.startswith("DECIMAL")
    wants_number = sql in {"BIGINT", "HUGEINT", "DOUBLE"} or decimal_size(sql) is not None
    if kind == "VARCHAR" or sql == "VARCHAR" or (numeric and wants_number):
        return f"CAST({source} AS {sql})"
    same = kind == sql or (kind in _MOMENTS and sql in {"TIMESTAMPTZ", "DATE"})
    return f"CAST({source} AS {sql})" if same else None


def _keeps(kind: str, sql: str) -> bool:
    """Whether a cast keeps every value, or fails aloud."""
    return kind == sql or sql in {"VARCHAR", "JSON"} or (kind in _INTEGERS and sql in {"BIGINT", "HUGEINT"})


def _loses(con: duckdb.DuckDBPyConnection, path: str, source: str, value: str, kind: str) -> bool:
    back = f"CAST({value} AS {kind})"
    if kind == "VARCHAR":  # the text may be written in more than one way; what counts is the number
        back, source = f"CAST({value} AS DOUBLE)", f"TRY_CAST({source} AS DOUBLE)"
    lost = con.execute(
        f"SELECT 1 FROM read_parquet({literal(path)}) WHERE {back} IS DISTINCT FROM {source} LIMIT 1"
    ).fetchone()
    return lost is not None
