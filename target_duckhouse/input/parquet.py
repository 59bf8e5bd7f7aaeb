"""The Parquet files of BATCH messages: what they hold, and the query that brings their rows into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.errors import RecordError
from target_duckhouse.warehouse.tables import Table, literal, quote
from target_duckhouse.warehouse.types import decimal_size

if TYPE_CHECKING:
    import duckdb

__all__ = ["parquet_columns", "parquet_query", "parquet_size"]

_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"}
)
_FRACTIONS = frozenset({"FLOAT", "DOUBLE"})
_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "DATE"})


def parquet_columns(con: duckdb.DuckDBPyConnection, path: str) -> dict[str, str]:
    """Columns of a Parquet file and their types."""
    rows = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
    return {row[0]: row[1] for row in rows}


def parquet_size(con: duckdb.DuckDBPyConnection, path: str) -> int:
    """The uncompressed size of all rows of a Parquet file, in bytes."""
    row = con.execute(f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({literal(path)})").fetchone()
    return int(row[0] or 0) if row else 0


def parquet_query(con: duckdb.DuckDBPyConnection, table: Table, path: str, version: int | None) -> str:
    """A query for the rows of a Parquet file, in the order of the table's columns.

    Raises:
        RecordError: The file has a value that its column would round, or a column of an incompatible type.
    """
    present = parquet_columns(con, path)
    values: dict[str, str] = {}
    for column in table.arriving:
        if (kind := present.get(column.property)) is None:
            continue
        source = quote(column.property)
        value = _cast(source, kind, column.sql)
        lossy = value is not None and not _keeps(kind, column.sql)
        if value is None or (lossy and _loses(con, path, source, value, kind)):
            raise RecordError(
                f"stream {table.stream}: property `{column.property}` must be {column.sql}: "
                f"the Parquet file has {kind} values that do not fit"
            )
        values[column.name] = value
    return f"SELECT {table.select(values, version)} FROM read_parquet({literal(path)})"


def _cast(source: str, kind: str, sql: str) -> str | None:
    """An expression that converts a Parquet type to the column's type; None if they are incompatible."""
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
    """Whether a cast keeps every value or fails with an error."""
    return kind == sql or sql in {"VARCHAR", "JSON"} or (kind in _INTEGERS and sql in {"BIGINT", "HUGEINT"})


def _loses(con: duckdb.DuckDBPyConnection, path: str, source: str, value: str, kind: str) -> bool:
    back = f"CAST({value} AS {kind})"
    if kind == "VARCHAR":  # a number can be written in more than one way
        back, source = f"CAST({value} AS DOUBLE)", f"TRY_CAST({source} AS DOUBLE)"
    lost = con.execute(
        f"SELECT 1 FROM read_parquet({literal(path)}) WHERE {back} IS DISTINCT FROM {source} LIMIT 1"
    ).fetchone()
    return lost is not None
