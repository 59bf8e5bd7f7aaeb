"""Rows in Parquet files of a lake, with the same guarantees as tables.

Rows live in ``<lake>/<schema>/<stream>/[partition_date=YYYY-MM-DD/]<file>.parquet``, compressed with zstd. The DuckDB
file remains the source of truth: it has the state, the counts, the list of files and, for each stream with a key, an
index of keys and hashes that tells new, changed and unchanged rows apart.

A changed row is written as a new version with a higher `SEQUENCE`; the highest one counts. A row that is gone gets a
last version that has only its key and `DELETED_AT`. The view ``<schema>.<stream>`` shows the latest versions.

All files of a stream have the same types, so that engines can read them together: when a column becomes wider, the
files that have it are rewritten under their old names. Only types that Spark and Trino know are used: no TIME, no
integers beyond 64 bits, no JSON. If a stream is partitioned, all its files are in partitions, because these engines do
not look for files beside them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.comments import comments_of
from target_duckhouse.warehouse.connection import make_durable
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
    SEQUENCE,
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
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from target_duckhouse.warehouse.files import LakeFiles
    from target_duckhouse.warehouse.moment import Moment

__all__ = ["LakeStorage"]

logger = logging.getLogger("target-duckhouse")


class LakeStorage(Storage):
    """Rows in Parquet files, with an index table and a view per stream in the DuckDB file.

    Args:
        con: The connection whose transaction all changes belong to.
        files: The files of the lake.
        schema: The database schema of the views.
        moment: The time that rows get which change.
        partition_by: A date or date-time property. Streams that have it are partitioned by it, others by
            ``_window_start``.
    """

    relation = "VIEW"
    same_window = "="
    """NULL equals nothing here: the index lacks the partition of rows that were loaded before the schema named it."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, files: LakeFiles, schema: str, moment: Moment, partition_by: str | None
    ) -> None:
        super().__init__(con, f"_lake_{schema}", moment)
        self._views = schema
        self._macro = f"{qualified(self.schema, 'root')}()"
        self._files = files
        self._partition_by = partition_by
        self._to_show: dict[str, Table] = {}
        self._present: dict[str, set[str]] = {}
        self._shown: dict[str, object] = {}

    @override
    def open(self) -> None:
        self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(self.schema)}")
        if self._files.open():  # so that the views follow
            self.con.execute(f"CREATE OR REPLACE MACRO {self._macro} AS {exact_path(self._files.root)}")
            self._files.keep_root()

    @override
    def own_columns(self, *, may_go: bool) -> list[tuple[str, str]]:
        return [(HASH, "VARCHAR")]

    @override
    def show(self, table: Table) -> None:
        self._to_show[table.stream] = table

    @override
    def comment(self, table: Table, text: str) -> None:
        super().comment(table, text)
        self._shown.pop(table.stream, None)
        self.show(table)

    @override
    def retype(self, table: Table, column: Column, old: str) -> None:
        super().retype(table, column, old)
        name = quote(column.name)
        value = _stored(conversion(f"CAST({name} AS {old})", old, column.sql), column.sql)
        for source, path in self._files.present(table.stream, column.name):
            self._files.rewrite(path, f"SELECT * REPLACE ({value} AS {name}) FROM {source}")

    @override
    def sources(self, table: Table, name: str) -> Iterator[str]:
        return (source for source, _ in self._files.present(table.stream, name))

    @override
    def stored(self, table: Table, names: list[str]) -> str:
        if (source := self._files.source(table.stream)) is None:
            return f"(SELECT {comma(names)} FROM {table.qualified} WHERE false)"
        present = self._files.columns(source)
        columns = ", ".join(
            f"CAST({quote(c.name) if c.name in present else 'NULL'} AS {c.sql}) AS {quote(c.name)}"
            for c in table.columns
            if c.name in names
        )
        keys = comma(table.keys)
        return (
            f"(SELECT * EXCLUDE ({SEQUENCE}) FROM (SELECT {columns}, {SEQUENCE} FROM {source}) "
            f"WHERE ({keys}) IN (SELECT ({keys}) FROM _stage) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {SEQUENCE} DESC) = 1)"
        )

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
        values = [f"{_stored(quote(column.name), column.sql)} AS {quote(column.name)}" for column in table.columns]
        if table.versioned:
            values.append(quote(VERSION))
        if EXTRACTED_AT in table.stamps:
            values.append(EXTRACTED_AT)
        if BATCHED_AT in table.stamps:
            values.append(f"{self.moment.sql} AS {BATCHED_AT}")
        if date:
            values.append(f"CAST({quote(date.name)} AS DATE) AS {PARTITION}")
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
    def delete(self, table: Table, condition: str) -> int:
        if table.keys:
            self._bury(table, condition)
        return super().delete(table, condition)

    @override
    def activate(self, table: Table, version: int) -> int:
        if not table.keys:
            self._files.drop_other_versions(table.stream, version)
            self.show(table)
        return self.delete(table, f"{quote(VERSION)} IS DISTINCT FROM {version}")

    @override
    def settle(self) -> None:
        self._files.settle()
        for table in self._to_show.values():
            self._replace_view(table)
        self._to_show.clear()
        make_durable(self.con)

    def _bury(self, table: Table, condition: str) -> None:
        """Write a last version, without values, of rows that are about to be removed from the index."""
        keys = ", ".join(
            f"{_stored(quote(column.name), column.sql)} AS {quote(column.name)}"
            for column in table.columns
            if column.key
        )
        times = "".join(f", {self.moment.sql} AS {name}" for name in (DELETED_AT, *table.stamps & {BATCHED_AT}))
        date = f", NULL::DATE AS {PARTITION}" if self._partition_column(table) else ""
        query = f"SELECT {keys}{times}{date} FROM {table.qualified} AS t WHERE {condition}"
        if self.con.execute(f"{query} LIMIT 1").fetchone():
            self._write(table, query, None)

    def _write(self, table: Table, query: str, version: int | None) -> None:
        partitioned = self._partition_column(table) is not None
        written = self._files.write(table.stream, query, version, partitioned=partitioned)
        if table.stream in self._present:
            self._present[table.stream] |= self._files.columns(f"({written})")
        self.show(table)

    def _replace_view(self, table: Table) -> None:
        view = qualified(self._views, table.stream)
        if (files := self._files.pattern(table.stream)) is None:
            self._shown.pop(table.stream, None)
            columns = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in _visible(table))
            self._create_view(table, view, f"SELECT {columns or 'NULL'} WHERE false")
            return
        if (present := self._present.get(table.stream)) is None:
            present = self._present[table.stream] = self._look(table.stream)
        if self._shown.get(table.stream) == (shape := (table.columns, table.stamps, frozenset(present), files)):
            return
        self._shown[table.stream] = shape
        columns = ", ".join(
            f"CAST({quote(name) if name in present else 'NULL'} AS {kind}) AS {quote(name)}"
            for name, kind in _visible(table)
        )
        source = (
            f"read_parquet({quote(self.schema)}.root() || {literal('/' + files)}, "
            "union_by_name = true, hive_partitioning = false)"
        )
        query = f"SELECT {columns or SEQUENCE} FROM {source}"
        if table.keys:
            latest = f"QUALIFY row_number() OVER (PARTITION BY {comma(table.keys)} ORDER BY {SEQUENCE} DESC) = 1"
            query = f"SELECT {columns} FROM (SELECT * FROM {source} {latest})"
            if DELETED_AT in present:
                query += f" WHERE {quote(DELETED_AT)} IS NULL"
        self._create_view(table, view, query)

    def _create_view(self, table: Table, view: str, query: str) -> None:
        self.con.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        row = self.con.execute(
            "SELECT comment FROM duckdb_tables() WHERE (database_name, schema_name, table_name) = (?, ?, ?)",
            [CATALOG, table.schema, table.stream],
        ).fetchone()
        for statement in comments_of(view, table, row[0] if row else None):
            self.con.execute(statement)

    def _look(self, stream: str) -> set[str]:
        """The columns of a stream's files, which are all opened for this."""
        if strangers := self._files.strangers(stream):
            logger.warning(
                "stream %s: its folder %s holds %d files that this warehouse does not know; its view leaves them out, "
                "but engines that read the folder do not",
                stream,
                self._files.root / self._files.folder(stream),
                strangers,
            )
        source = self._files.source(stream)
        return self._files.columns(source) if source else set()

    def _partition_column(self, table: Table) -> Column | None:
        for name in (self._partition_by, WINDOW):
            for column in table.arriving:
                if column.property == name and column.sql in {"DATE", "TIMESTAMPTZ"}:
                    return column
        return None


def _visible(table: Table) -> list[tuple[str, str]]:
    """The names and types of the columns that users see."""
    stamps = [(name, "TIMESTAMPTZ") for name in METADATA if name in table.stamps]
    return [(column.name, column.sql) for column in table.columns] + stamps


def _row_hash(table: Table, prefix: str) -> str:
    """An expression for a hash of all values in a row.

    NULLs do not count, so that a row stays the same when columns are added to its table.
    """
    parts = []
    for column in table.columns:
        name = literal(msgspec.json.encode(column.name).decode())
        parts.append(f"{name} || to_json(CAST({prefix}.{quote(column.name)} AS VARCHAR))")
    return f"md5(concat_ws(',', {', '.join(parts)}))" if parts else "''"


def _stored(value: str, sql: str) -> str:
    """How a value is written to Parquet, which other engines must be able to read."""
    if sql == "HUGEINT":
        return f"CAST({value} AS DECIMAL(38,0))"
    return f"CAST({value} AS VARCHAR)" if sql in {"JSON", "TIME"} else value
