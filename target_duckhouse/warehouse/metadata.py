"""What the warehouse remembers about a stream's table from one run to the next.

DuckDB's own catalog knows the columns and their types, and how a table's name is written. ``main._singer_columns`` has
the column of every property, whether it belongs to the key that rows are merged on, whether it holds personal data, and
what it means. ``main._singer_schema_history`` has a row for every change of a column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, NamedTuple

from target_duckhouse.names import fold, folded
from target_duckhouse.warehouse.tables import CATALOG, HASH, METADATA, VERSION, Column, Table, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import duckdb

__all__ = ["HISTORY_SUFFIX", "REJECTED", "REJECTED_SUFFIX", "Known", "Metadata", "Present"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_schema_history (
    load_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, column_name VARCHAR NOT NULL,
    old_type VARCHAR, new_type VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_columns (
    schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, property VARCHAR NOT NULL, column_name VARCHAR NOT NULL);
ALTER TABLE main._singer_columns ADD COLUMN IF NOT EXISTS is_key BOOLEAN;
ALTER TABLE main._singer_columns ADD COLUMN IF NOT EXISTS is_personal BOOLEAN;
ALTER TABLE main._singer_columns ADD COLUMN IF NOT EXISTS description VARCHAR;
"""
REJECTED = {"load_id": "VARCHAR", "rejected_at": "TIMESTAMPTZ", "reason": "VARCHAR", "record": "VARCHAR"}
"""The columns of a table with records that were rejected."""

REJECTED_SUFFIX = "__rejected"
"""What its name has in addition to that of the stream, and a number if the name is a stream's."""

HISTORY_SUFFIX = "__history"
"""What the name of a stream's history has in addition to its own."""

_KEY = re.compile(r"(?:\A|\n)key: (.*)$")
"""How the loader's comments on tables end."""

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


class Known(NamedTuple):
    """What is remembered of a property.

    Args:
        column: The name of its column.
        key: Whether it belongs to the key; None in warehouses of older versions.
        pii: Whether it holds personal data.
        description: What it means.
    """

    column: str
    key: bool | None
    pii: bool
    description: str


@dataclass(frozen=True)
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

    @cached_property
    def definition(self) -> Callable[[str, str], str]:
        """What defines a column of this name and this type in the file.

        JSON is long, and is seldom looked for: zstd compresses it in half the time that DuckDB's own choice takes, and
        better. Files that DuckDB before 1.2 is to read cannot have it.
        """
        (version,) = self.con.execute(
            f"SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = '{CATALOG}'"
        ).fetchone() or ("",)
        is_old = re.match(r"v(0|1\.[01])\.", version or "") is not None
        compression = {} if is_old else {"JSON": " USING COMPRESSION zstd"}
        return lambda name, sql: f"{quote(name)} {sql}{compression.get(sql, '')}"

    def has_table(self, schema: str, stream: str) -> bool:
        """Whether a stream has a table."""
        found = self.con.execute(f"SELECT 1 FROM duckdb_tables() WHERE {_NAMED}", [schema, fold(stream)]).fetchone()
        return found is not None

    def find(self, schema: str, stream: str) -> tuple[Table, dict[str, Present]]:
        """The table of a stream, as its name was written when it was created, and its columns by name, in order.

        If there is no table, it has no columns, and the stream's name. What a run knows of the table is not in it.

        Args:
            schema: The database schema of the table.
            stream: The stream.
        """
        row = self.con.execute(
            f"SELECT table_name FROM duckdb_tables() WHERE {_NAMED}", [schema, fold(stream)]
        ).fetchone()
        if row is None:
            return Table(stream, schema, ()), {}
        table = Table(row[0], schema, ())
        rows = self.con.execute(
            "SELECT name, type, coalesce(dflt_value, 'NULL') FROM pragma_table_info(?)", [table.qualified]
        ).fetchall()
        return table, {name: Present(_LONG_NAMES.get(kind, kind), initial) for name, kind, initial in rows}

    def comments(self, table: Table) -> dict[str, str | None]:
        """What is said in DuckDB of each column of a table, by name."""
        rows = self.con.execute(
            f"SELECT column_name, comment FROM duckdb_columns() WHERE {_NAMED}", [table.schema, fold(table.stream)]
        ).fetchall()
        return dict(rows)

    def properties(self, table: Table, present: Mapping[str, Present]) -> dict[str, Known]:
        """What is remembered of the properties that a table has had so far, by property.

        Args:
            table: The table. If somebody has dropped it, what was remembered no longer counts.
            present: Its columns.
        """
        if not present:
            return {}
        spelling = {fold(name): name for name in present}
        rows = self.con.execute(
            "SELECT property, column_name, is_key, coalesce(is_personal, false), coalesce(description, '') "
            "FROM main._singer_columns WHERE schema = ? AND stream = ?",
            [self.schema, table.stream],
        ).fetchall()
        return {name: Known(spelling.get(fold(column), column), *rest) for name, column, *rest in rows}

    def forget_properties(self, table: Table) -> None:
        """Forget the properties of a table that somebody has dropped."""
        self.con.execute(
            "DELETE FROM main._singer_columns WHERE schema = ? AND stream = ?", [self.schema, table.stream]
        )

    def keep_properties(self, table: Table, columns: Collection[Column], known: Collection[str]) -> None:
        """Remember some properties of a table in place of what was remembered of them.

        Args:
            table: The table.
            columns: The columns of the properties.
            known: The properties of which anything was remembered.
        """
        rows = [
            (self.schema, table.stream, column.property, column.name, column.key, column.pii, column.description)
            for column in columns
        ]
        if old := [column.property for column in columns if column.property in known]:
            self.con.execute(
                "DELETE FROM main._singer_columns WHERE schema = ? AND stream = ? AND list_contains(?, property)",
                [self.schema, table.stream, old],
            )
        if rows:
            values = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(rows))
            self.con.execute(f"INSERT INTO main._singer_columns VALUES {values}", [*chain(*rows)])

    def table(self, schema: str, stream: str) -> Table | None:
        """The table of a stream as it is remembered, without any of this run's; None if there is none.

        Args:
            schema: The database schema of the table.
            stream: The stream.
        """
        table, present = self.find(schema, stream)
        if not present:
            return None
        known = self.properties(table, present)
        keys = set((self.key(table, known) or "").split(", "))
        properties = {each.column: (name, each) for name, each in known.items()}
        stamps = {name for name in METADATA if name in present and name not in properties}
        columns = []
        for name, (sql, initial) in present.items():
            if name not in {VERSION, HASH, *stamps}:
                property_, each = properties.get(name, (name, Known(name, None, pii=False, description="")))
                key = property_ in keys if each.key is None else each.key
                column = Column(property_, name, sql, sql, key=key, pii=each.pii, description=each.description)
                columns.append(replace(column, arrives=False, initial=initial))
        return replace(table, columns=tuple(columns), versioned=VERSION in present, stamps=frozenset(stamps))

    def relation(self, stream: str) -> str | None:
        """What users find under a stream's name: ``BASE TABLE``, ``VIEW``, or nothing yet."""
        if self.has_table(self.schema, stream):
            return "BASE TABLE"
        view = self.con.execute(
            f"SELECT 1 FROM duckdb_views() WHERE database_name = '{CATALOG}' AND schema_name = ? "
            f"AND {folded('view_name')} = ?",
            [self.schema, fold(stream)],
        ).fetchone()
        return "VIEW" if view else None

    def holds_rejected(self, name: str) -> bool:
        """Whether a table holds records that the loader rejected, rather than those of a stream."""
        columns = self.con.execute(
            f"SELECT list(column_name ORDER BY column_index)[:{len(REJECTED)}] FROM duckdb_columns() WHERE {_NAMED}",
            [self.schema, fold(name)],
        ).fetchone()
        return columns == (list(REJECTED),) and not self._is_stream(name)

    def is_history(self, name: str) -> bool:
        """Whether a table is the history of a stream's rows."""
        if not fold(name).endswith(HISTORY_SUFFIX):
            return False
        found = self.con.execute(
            f"SELECT 1 FROM main._singer_histories WHERE schema = ? AND {folded('stream')} || '{HISTORY_SUFFIX}' = ?",
            [self.schema, fold(name)],
        ).fetchone()
        return found is not None and self.relation(name) is not None

    def _is_stream(self, name: str) -> bool:
        found = self.con.execute(
            f"SELECT 1 FROM duckdb_tables() WHERE {_NAMED} AND regexp_matches(comment, ?) UNION ALL "
            f"SELECT 1 FROM main._singer_columns WHERE schema = ? AND {folded('stream')} = ?",
            [self.schema, fold(name), _KEY.pattern, self.schema, fold(name)],
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

    def key(self, table: Table, known: Mapping[str, Known]) -> str | None:
        """The key that is remembered of a table, as a text; None if none is.

        Args:
            table: The table.
            known: What is remembered of its properties. Before it was there, the comment on the table held the key.
        """
        if any(each.key is not None for each in known.values()):
            return ", ".join(sorted(name for name, each in known.items() if each.key)) or "none"
        found = _KEY.search(self.comment(table) or "")
        return found[1] if found else None

    def comment(self, table: Table) -> str | None:
        """The comment on a table."""
        row = self.con.execute(
            f"SELECT comment FROM duckdb_tables() WHERE {_NAMED}", [table.schema, fold(table.stream)]
        ).fetchone()
        return row[0] if row else None

    def record_change(self, table: Table, column: Column, old: str | None) -> None:
        """Remember that a column is new, or that its type used to be `old`."""
        self.con.execute(
            "INSERT INTO main._singer_schema_history VALUES (?, ?, ?, ?, ?, ?, now())",
            [self.load_id, self.schema, table.stream, column.name, old, column.sql],
        )
