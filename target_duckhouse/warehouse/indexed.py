"""Rows in files, with an index of their keys in the DuckDB file: what all forms of a lake have in common.

The DuckDB file remains the source of truth: it has the state, the counts and, for each stream with a key, an index of
keys and hashes that tells new, changed and unchanged rows apart. What changes is written to files that wait in the
lake's staging folder until the commit that lists them. The view ``<schema>.<stream>`` shows the rows as they are now.

Only types that Spark and Trino know are used in files: no TIME, no integers beyond 64 bits, no JSON.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.comments import comments_of
from target_duckhouse.warehouse.connection import make_durable
from target_duckhouse.warehouse.folder import LONGEST, folder_name
from target_duckhouse.warehouse.storage import Storage
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    CATALOG,
    DELETED_AT,
    EXTRACTED_AT,
    HASH,
    METADATA,
    PARTITION,
    ROW,
    VERSION,
    WINDOW,
    Column,
    Table,
    comma,
    exact_path,
    literal,
    qualified,
    quote,
)

if TYPE_CHECKING:
    import duckdb

    from target_duckhouse.warehouse.folder import LakeFolder
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment

__all__ = ["IndexedStorage", "columns_of", "in_file", "markable", "partition_of", "stored", "unmarkable", "visible"]


class IndexedStorage(Storage):
    """Rows in files, with an index table and a view per stream in the DuckDB file.

    Args:
        con: The connection whose transaction all changes belong to.
        lake: The folder of the lake, for the database schema of the views.
        moment: The time that rows get which change.
        metadata: Knows the tables that exist.
        partition_by: A date or date-time property. Streams that have it are partitioned by it, others by
            ``_window_start``.
    """

    remembers = True
    relation = "VIEW"
    same_window = "="
    """NULL equals nothing here: the index lacks the partition of rows that were loaded before the schema named it."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: LakeFolder,
        moment: Moment,
        metadata: Metadata,
        partition_by: str | None = None,
    ) -> None:
        super().__init__(con, f"_lake_{lake.schema}", moment)
        self._lake = lake
        self._metadata = metadata
        self._partition_by = partition_by
        self._to_show: dict[str, Table] = {}

    @override
    def open(self) -> None:
        self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(self.schema)}")
        self._open()
        self._lake.claim()
        self._keep_root()
        self.settle()
        self._lake.clear()

    @override
    def accept(self, table: Table) -> None:
        if (length := len(folder_name(table.stream).encode())) > LONGEST:
            raise LoadError(
                f"stream {table.stream}: the name of its folder in the lake would have {length} bytes, more than "
                f"{LONGEST}; have the tap give the stream a shorter name, or load it into a schema without `lake_path`"
            )

    @override
    def own_columns(self, *, may_go: bool) -> list[tuple[str, str]]:
        return [(HASH, "VARCHAR")]

    @override
    def show(self, table: Table) -> None:
        self._to_show[table.stream] = table

    @override
    def comment(self, table: Table, text: str) -> None:
        super().comment(table, text)
        self.show(table)

    @override
    def differs(self, table: Table) -> str:
        return f"(t.{HASH} IS DISTINCT FROM {_row_hash(table, 's')})"

    @override
    def insert(self, table: Table, query: str, version: int | None) -> int:
        if table.replaces_windows and not table.keys:
            raise LoadError(
                f"stream {table.stream} has no key, without which a lake cannot replace its windows; set "
                "`replace_windows` to false to append rows that are read again"
            )
        date = self._partition_column(table)
        values = [f"{stored(quote(column.name), column.sql)} AS {quote(column.name)}" for column in table.columns]
        if table.versioned:
            values.append(quote(VERSION))
        if EXTRACTED_AT in table.stamps:
            values.append(EXTRACTED_AT)
        if BATCHED_AT in table.stamps:
            values.append(f"{self.moment.sql} AS {BATCHED_AT}")
        if date:
            values.append(f"{partition_of(quote(date.name))} AS {PARTITION}")
        self._write(table, f"SELECT {', '.join(values)} FROM ({query})", version)
        if table.keys:
            kept = [
                *dict.fromkeys((*table.keys, *table.window, *table.scoped)),
                *([VERSION] if table.versioned else []),
            ]
            return self._count(
                f"INSERT INTO {table.qualified} ({comma(kept)}, {HASH}) "
                f"SELECT {comma(kept)}, {_row_hash(table, 's')} FROM ({query}) s"
            )
        return self._count(f"SELECT count(*) FROM ({query})")

    @override
    def keep_unchanged(self, table: Table) -> None:
        told = [*dict.fromkeys((*table.window, *table.scoped))]
        if not told:
            return
        self.con.execute(
            f"UPDATE {table.qualified} AS t SET {', '.join(f'{quote(c)} = s.{quote(c)}' for c in told)} "
            f"FROM _change c, _stage s WHERE t.rowid = c.old AND NOT c.differs AND s.{ROW} = c.new "
            f"AND ({' OR '.join(f't.{quote(c)} IS DISTINCT FROM s.{quote(c)}' for c in told)})"
        )

    @override
    def settle(self) -> None:
        self._lake.check()
        self._settle()
        for table in self._to_show.values():
            self._show(table)
        self._to_show.clear()
        make_durable(self.con)

    @override
    def close(self) -> None:
        self._to_show.clear()
        self._lake.release()

    @abstractmethod
    def streams(self) -> list[str]:
        """The streams that have files, in order."""

    @abstractmethod
    def count_files(self, stream: str) -> int:
        """How many files a stream has."""

    @abstractmethod
    def compact(self, stream: str, memory: int) -> None:
        """Merge the small files of a stream, within what memory may be used in bytes."""

    @abstractmethod
    def _open(self) -> None:
        """Open the lake, and check that what the DuckDB file knows of it is there."""

    @abstractmethod
    def _write(self, table: Table, query: str, version: int | None) -> None:
        """Stage the rows of a query that yields them as they are to be in files."""

    @abstractmethod
    def _settle(self) -> None:
        """Do in the lake what was committed, as often as it is asked for."""

    @abstractmethod
    def _show(self, table: Table) -> None:
        """Make the view of a stream show its rows as they are now."""

    @property
    def _root(self) -> str:
        """The macro that returns the lake's folder."""
        return f"{qualified(self.schema, 'root')}()"

    def _keep_root(self) -> None:
        """Have the views find the lake where it is; a variable tells them of another place."""
        wanted = f"COALESCE(getvariable('lake_path'), {exact_path(self._lake.place.address)})"
        row = self.con.execute(
            "SELECT macro_definition FROM duckdb_functions() "
            "WHERE (database_name, schema_name, function_name) = (?, ?, 'root')",
            [CATALOG, self.schema],
        ).fetchone()
        if row is None or row[0] != wanted:
            self.con.execute(f"CREATE OR REPLACE MACRO {self._root} AS {wanted}")

    def _known(self, stream: str) -> Table | None:
        """The table of a stream as it is remembered."""
        return self._metadata.table(self.schema, stream)

    def _keys_of(self, table: Table) -> str:
        """A SELECT list for the keys of rows of the index, as they are in files."""
        return ", ".join(
            f"{stored(quote(column.name), column.sql)} AS {quote(column.name)}"
            for column in table.columns
            if column.key
        )

    def _create_view(self, table: Table, query: str | None) -> None:
        """Create or replace the view of a stream.

        Args:
            table: The stream's table.
            query: Yields its rows; None if it has none.
        """
        view = qualified(self._lake.schema, table.stream)
        if query is None:
            columns = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in visible(table))
            query = f"SELECT {columns or 'NULL'} WHERE false"
        self.con.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        row = self.con.execute(
            "SELECT comment FROM duckdb_tables() WHERE (database_name, schema_name, table_name) = (?, ?, ?)",
            [CATALOG, table.schema, table.stream],
        ).fetchone()
        for statement in comments_of(view, table, row[0] if row else None):
            self.con.execute(statement)

    def _partition_column(self, table: Table) -> Column | None:
        for name in (self._partition_by, WINDOW):
            for column in table.arriving:
                if column.property == name and column.sql in {"DATE", "TIMESTAMPTZ"}:
                    return column
        return None


def visible(table: Table) -> list[tuple[str, str]]:
    """The names and types of the columns that users see."""
    stamps = [(name, "TIMESTAMPTZ") for name in METADATA if name in table.stamps]
    return [(column.name, column.sql) for column in table.columns] + stamps


def markable(table: Table) -> frozenset[str]:
    """The columns that a mark may be written to: the loader's, and a property `DELETED_AT` that is a date-time."""
    own = {c.name for c in table.columns if c.name == DELETED_AT and c.sql == "TIMESTAMPTZ"}
    return table.stamps | own


def unmarkable(table: Table, way_out: str = "") -> LoadError:
    """Why rows that are gone stop a load: a property has the name of the mark, and cannot hold it."""
    return LoadError(
        f"stream {table.stream}: rows that are gone cannot be marked, because `{DELETED_AT}` is a property of its own, "
        f"and not a date-time; {way_out}have the tap leave the property out"
    )


def columns_of(con: duckdb.DuckDBPyConnection, source: str) -> set[str]:
    """The names of a source's columns."""
    return {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}


def in_file(sql: str) -> str:
    """The type that values of a type have in files, which other engines must be able to read."""
    return {"HUGEINT": "DECIMAL(38,0)", "JSON": "VARCHAR", "TIME": "VARCHAR"}.get(sql, sql)


def stored(value: str, sql: str) -> str:
    """How a value is written to a file."""
    return value if in_file(sql) == sql else f"CAST({value} AS {in_file(sql)})"


def partition_of(value: str) -> str:
    """The date by which a row is partitioned, as SQL; NULL outside the years 1 to 9999, which readers do not know.

    The year of a TIMESTAMPTZ is 1 before Christ, too, so it is the date that is compared.
    """
    date = f"CAST({value} AS DATE)"
    return f"CASE WHEN {date} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {date} END"


def _row_hash(table: Table, prefix: str) -> str:
    """An expression for a hash of all values in a row.

    NULLs do not count, so that a row stays the same when columns are added to its table.
    """
    parts = []
    for column in table.columns:
        name = literal(msgspec.json.encode(column.name).decode())
        parts.append(f"{name} || to_json(CAST({prefix}.{quote(column.name)} AS VARCHAR))")
    return f"md5(concat_ws(',', {', '.join(parts)}))" if parts else "''"
