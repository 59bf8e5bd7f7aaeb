"""What the warehouse remembers about a stream's table from one run to the next.

DuckDB's own catalog knows the columns and their types. The table's comment holds the key that its rows are merged on,
and ``main._singer_schema_history`` has a row for every change of a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_duckhouse.warehouse.tables import CATALOG, literal

if TYPE_CHECKING:
    import duckdb

    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["Metadata"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_schema_history (
    load_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, column_name VARCHAR NOT NULL,
    old_type VARCHAR, new_type VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL);
"""
_KEY = "key: "
"""Prefix of a table's comment that lists the properties of its key."""

_LONG_NAMES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """Reads and writes what is remembered; `evolve` decides what follows from it.

    Args:
        con: The connection whose transaction the changes belong to.
        schema: The database schema in which users find the streams.
        load_id: The run.
    """

    con: duckdb.DuckDBPyConnection
    schema: str
    load_id: str

    def create(self) -> None:
        """Create the loader's own table if it does not exist."""
        self.con.execute(_CREATE)

    def columns(self, table: Table) -> dict[str, str]:
        """Names and types of a table's columns, in order; empty if there is no such table."""
        rows = self.con.execute(
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = '{CATALOG}' "
            "AND schema_name = ? AND lower(table_name) = lower(?) ORDER BY column_index",
            [table.schema, table.stream],
        ).fetchall()
        return {name: _LONG_NAMES.get(kind, kind) for name, kind in rows}

    def relation(self, stream: str) -> str | None:
        """What users find under a stream's name: ``BASE TABLE``, ``VIEW``, or nothing yet."""
        row = self.con.execute(
            "SELECT table_type FROM information_schema.tables "
            f"WHERE table_catalog = '{CATALOG}' AND table_schema = ? AND lower(table_name) = lower(?)",
            [self.schema, stream],
        ).fetchone()
        return row[0] if row else None

    def keep_key(self, table: Table, key: str) -> str:
        """Remember the key of a table, unless one is already remembered.

        Returns:
            The key that is remembered. If a user has replaced the comment, that stays, and `key` is returned.
        """
        row = self.con.execute(
            f"SELECT comment FROM duckdb_tables() WHERE database_name = '{CATALOG}' "
            "AND schema_name = ? AND lower(table_name) = lower(?)",
            [table.schema, table.stream],
        ).fetchone()
        comment: str | None = row[0] if row else None
        if comment is None:
            self.con.execute(f"COMMENT ON TABLE {table.qualified} IS {literal(_KEY + key)}")
        return comment.removeprefix(_KEY) if comment and comment.startswith(_KEY) else key

    def record_change(self, table: Table, column: Column, old: str | None) -> None:
        """Remember that a column is new, or that its type used to be `old`."""
        self.con.execute(
            "INSERT INTO main._singer_schema_history VALUES (?, ?, ?, ?, ?, ?, now())",
            [self.load_id, self.schema, table.stream, column.name, old, column.sql],
        )
