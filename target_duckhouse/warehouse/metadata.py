"""What the warehouse remembers about a stream's table from one run to the next.

DuckDB's own catalog knows the columns and their types, and how a table's name is written. The table's comment holds the
key that its rows are merged on, ``main._singer_columns`` the column of every property, and
``main._singer_schema_history`` a row for every change of a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from target_duckhouse.warehouse.tables import CATALOG, fold, folded, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["REJECTED", "REJECTED_SUFFIX", "Metadata", "Present"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_schema_history (
    load_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, column_name VARCHAR NOT NULL,
    old_type VARCHAR, new_type VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_columns (
    schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, property VARCHAR NOT NULL, column_name VARCHAR NOT NULL);
"""
REJECTED = {"load_id": "VARCHAR", "rejected_at": "TIMESTAMPTZ", "reason": "VARCHAR", "record": "VARCHAR"}
"""The columns of a table with records that were rejected."""

REJECTED_SUFFIX = "__rejected"
"""What its name has in addition to that of the stream, and a number if the name is a stream's."""

_KEY = "key: "
"""Prefix of a table's comment that lists the properties of its key."""

_NAMED = f"database_name = '{CATALOG}' AND schema_name = ? AND {folded('table_name')} = ?"
_LONG_NAMES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


class Present(NamedTuple):
    """A column that a table has.

    Args:
        sql: Its type.
        initial: What it holds in new rows if no value is given, as SQL.
    """

    sql: str
    initial: str


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
        """Create the loader's own tables if they do not exist."""
        self.con.execute(_CREATE)

    def spelling(self, schema: str, stream: str) -> str:
        """The name of a stream's table as it was written when it was created, or the stream's name if there is none."""
        row = self.con.execute(
            f"SELECT table_name FROM duckdb_tables() WHERE {_NAMED}", [schema, fold(stream)]
        ).fetchone()
        return row[0] if row else stream

    def columns(self, table: Table) -> dict[str, Present]:
        """A table's columns by name, in order; empty if there is no such table."""
        rows = self.con.execute(
            f"SELECT column_name, data_type, coalesce(column_default, 'NULL') FROM duckdb_columns() WHERE {_NAMED} "
            "ORDER BY column_index",
            [table.schema, fold(table.stream)],
        ).fetchall()
        return {name: Present(_LONG_NAMES.get(kind, kind), initial) for name, kind, initial in rows}

    def properties(self, table: Table, present: Mapping[str, Present]) -> dict[str, str]:
        """The names of the columns that a table's properties have had so far, by property.

        Args:
            table: The table. If somebody has dropped it, what was remembered is forgotten.
            present: Its columns.
        """
        named = [self.schema, table.stream]
        if not present:
            self.con.execute("DELETE FROM main._singer_columns WHERE schema = ? AND stream = ?", named)
        spelling = {fold(name): name for name in present}
        rows = self.con.execute(
            "SELECT property, column_name FROM main._singer_columns WHERE schema = ? AND stream = ?", named
        ).fetchall()
        return {name: spelling.get(fold(column), column) for name, column in rows}

    def keep_properties(self, table: Table, columns: Iterable[Column]) -> None:
        """Remember the columns of some more properties of a table."""
        if rows := [(self.schema, table.stream, column.property, column.name) for column in columns]:
            values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
            self.con.execute(f"INSERT INTO main._singer_columns VALUES {values}")

    def relation(self, stream: str) -> str | None:
        """What users find under a stream's name: ``BASE TABLE``, ``VIEW``, or nothing yet."""
        row = self.con.execute(
            "SELECT table_type FROM information_schema.tables "
            f"WHERE table_catalog = '{CATALOG}' AND table_schema = ? AND {folded('table_name')} = ?",
            [self.schema, fold(stream)],
        ).fetchone()
        return row[0] if row else None

    def holds_rejected(self, name: str) -> bool:
        """Whether a table holds records that the loader rejected, rather than those of a stream."""
        columns = self.con.execute(
            f"SELECT list(column_name ORDER BY column_index)[:{len(REJECTED)}] FROM duckdb_columns() WHERE {_NAMED}",
            [self.schema, fold(name)],
        ).fetchone()
        return columns == (list(REJECTED),) and not self._is_stream(name)

    def _is_stream(self, name: str) -> bool:
        found = self.con.execute(
            f"SELECT 1 FROM duckdb_tables() WHERE {_NAMED} AND starts_with(comment, ?) UNION ALL "
            f"SELECT 1 FROM main._singer_columns WHERE schema = ? AND {folded('stream')} = ?",
            [self.schema, fold(name), _KEY, self.schema, fold(name)],
        ).fetchone()
        return found is not None

    def rejected_table(self, stream: str) -> str:
        """The name of the table for a stream's rejected records. It gets a number if a stream has that name itself."""
        name = stream + REJECTED_SUFFIX
        for number in count(2):
            if self.holds_rejected(name) or not (self._is_stream(name) or self.relation(name)):
                break
            name = f"{stream}{REJECTED_SUFFIX}_{number}"
        return name

    def keep_key(self, table: Table, key: str) -> str:
        """Remember the key of a table, unless one is already remembered.

        Returns:
            The key that is remembered. If a user has replaced the comment, that stays, and `key` is returned.
        """
        row = self.con.execute(
            f"SELECT comment FROM duckdb_tables() WHERE {_NAMED}", [table.schema, fold(table.stream)]
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
