"""A lake of Parquet files beside the DuckDB file, with the same guarantees as tables.

Rows live in ``<lake>/<schema>/<stream>/[partition_date=YYYY-MM-DD/]<file>.parquet``, compressed with zstd. The DuckDB
file remains the place of truth: state, counts, the list of files, and per stream with a key an index of keys and
hashes that tells new, changed and unchanged rows apart. A file is written into ``<lake>/_staging``, its name is
committed together with the state, and only then is it moved to its place, whole. A run that was killed between commit
and move is finished by the next one.

A changed row is a new version: `SEQUENCE` grows, and the version with the highest one counts. A row that is gone gets a
version with nothing but its key and `DELETED_AT`. The view ``<schema>.<stream>`` shows the latest versions.

All files of a stream have the same types, so that engines can read them together: where a column becomes wider, the
files that have it are written anew under their old names. Types are those that Spark and Trino know: no TIME, no
integers beyond 64 bits, no JSON. Partitioned streams have all their files in partitions, because these engines do not
look for files beside them.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.tables import (
    CATALOG,
    DELETED_AT,
    PARTITION,
    SEQUENCE,
    VERSION,
    WINDOW,
    Column,
    Table,
    comma,
    literal,
    qualified,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

__all__ = ["Lake", "index_schema", "row_hash"]

_STAGING = "_staging"
_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
_FILES = """
CREATE TABLE IF NOT EXISTS main._singer_files (
    sequence BIGINT NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, version BIGINT,
    staged VARCHAR NOT NULL, path VARCHAR NOT NULL, is_gone BOOLEAN NOT NULL);
"""


def index_schema(schema: str) -> str:
    """Where the index tables of a lake are: tables of the streams' types that hold keys alone."""
    return f"_lake_{schema}"


@dataclass(slots=True)
class Lake:
    """The Parquet files of one database schema.

    Args:
        con: The connection whose transaction the files belong to.
        root: Folder of the lake.
        schema: The database schema, which is a folder too.
        load_id: The run; part of every file's name.
        partition_by: A date or date-time property by which streams that have it are partitioned, beside
            ``_window_start``.
    """

    con: duckdb.DuckDBPyConnection
    root: Path
    schema: str
    load_id: str
    partition_by: str | None = None
    _touched: dict[str, Table] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _present: dict[str, set[str]] = field(default_factory=dict)
    _shown: dict[str, object] = field(default_factory=dict)

    def open(self) -> None:
        """Create what is missing, and finish what a killed run left behind.

        Raises:
            LoadError: The folder cannot be written.
        """
        self.con.execute(_FILES)
        self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(index_schema(self.schema))}")
        try:
            (self.root / _STAGING).mkdir(parents=True, exist_ok=True)
            self._move()
            for folder in (self.root / _STAGING).iterdir():
                shutil.rmtree(folder)
        except OSError as error:
            raise LoadError(f"setting `lake_path`: {error.filename}: {error.strerror}") from None

    def write(self, table: Table, query: str, version: int | None) -> None:
        """Write the rows of a query, which has the table's columns, as new versions."""
        column = self._partition_column(table)
        values = [f"{_stored(quote(column.name), column.sql)} AS {quote(column.name)}" for column in table.columns]
        if table.versioned:
            values.append(quote(VERSION))
        if column:
            values.append(f"CAST({quote(column.name)} AS DATE) AS {PARTITION}")
        self._copy(table, f"SELECT {', '.join(values)} FROM ({query})", version, partitioned=column is not None)

    def bury(self, table: Table, condition: str) -> None:
        """Write a last version, without values, for rows of the index that are about to be deleted."""
        if table.keys:
            gone = f"FROM {table.qualified} AS t WHERE {condition}"
            keys = ", ".join(
                f"{_stored(quote(column.name), column.sql)} AS {quote(column.name)}"
                for column in table.columns
                if column.key
            )
            partitioned = self._partition_column(table) is not None
            date = f", NULL::DATE AS {PARTITION}" if partitioned else ""
            query = f"SELECT {keys}, now() AS {quote(DELETED_AT)}{date} {gone}"
            if self.con.execute(f"{query} LIMIT 1").fetchone():
                self._copy(table, query, None, partitioned=partitioned)

    def drop_other_versions(self, table: Table, version: int) -> None:
        """Remove the files of older snapshots of a stream without a key."""
        self.con.execute(
            "UPDATE main._singer_files SET is_gone = true "
            "WHERE schema = ? AND stream = ? AND version IS DISTINCT FROM ?",
            [self.schema, table.stream, version],
        )
        self.touch(table)

    def touch(self, table: Table) -> None:
        """Have the stream's view made anew after the next commit."""
        self._touched[table.stream] = table

    def sources(self, table: Table, name: str) -> Iterator[tuple[str, str]]:
        """All files of a stream that have a column: a query's source for each, and the path where it is in the end."""
        for staged, path in self.con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self.schema, table.stream],
        ).fetchall():
            source = f"read_parquet({literal(staged or path)}, hive_partitioning = false)"
            if name in self._columns(source):
                yield source, path

    def rewrite(self, table: Table, name: str, value: str, sql: str) -> None:
        """Give a column another type in all files.

        Args:
            table: The stream's table.
            name: The column.
            value: An expression for its value in the new type.
            sql: The new type.
        """
        for source, path in self.sources(table, name):
            target = self._new_folder() / Path(path).name
            query = f"SELECT * REPLACE ({_stored(value, sql)} AS {quote(name)}) FROM {source}"
            self.con.execute(f"COPY ({query}) TO {literal(str(target))} ({_OPTIONS})")
            _sync(target)
            self.con.execute("UPDATE main._singer_files SET staged = ? WHERE path = ?", [str(target), path])

    def _columns(self, source: str) -> set[str]:
        return {row[0] for row in self.con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}

    def settle(self) -> None:
        """After the commit: move files to their places, remove those that are gone, show the latest in views."""
        self._move()
        for table in self._touched.values():
            self._show(table)
        self._touched.clear()

    def _copy(self, table: Table, query: str, version: int | None, *, partitioned: bool) -> None:
        row = self.con.execute("SELECT coalesce(max(sequence), 0) + 1 FROM main._singer_files").fetchone()
        sequence = row[0] if row else 1
        if self.con.execute(
            "SELECT 1 FROM main._singer_files "
            "WHERE schema = ? AND stream = ? AND NOT is_gone AND contains(path, ?) <> ? LIMIT 1",
            [self.schema, table.stream, f"/{PARTITION}=", partitioned],
        ).fetchone():
            raise LoadError(
                f"stream {table.stream}: its files in the lake are{' not' if partitioned else ''} partitioned by date; "
                "set `lake_partition_by` as it was, or load into another schema"
            )
        staged = self._new_folder()
        options = _OPTIONS
        name = f"{sequence:012d}-{self.load_id}"
        if partitioned:
            target, options = staged, f"{options}, PARTITION_BY ({PARTITION}), FILENAME_PATTERN '{name}-{{i}}'"
        else:
            target = staged / f"{name}.parquet"
        query = f"SELECT *, {sequence}::BIGINT AS {SEQUENCE} FROM ({query})"
        self.con.execute(f"COPY ({query}) TO {literal(str(target))} ({options})")
        if table.stream in self._present:
            self._present[table.stream] |= self._columns(f"({query})")
        home = self._folder(table.stream)
        for file in staged.rglob("*.parquet"):
            _sync(file)
            self.con.execute(
                "INSERT INTO main._singer_files VALUES (?, ?, ?, ?, ?, ?, false)",
                [sequence, self.schema, table.stream, version, str(file), str(home / file.relative_to(staged))],
            )
        self.touch(table)

    def _new_folder(self) -> Path:
        folder = self.root / _STAGING / f"{self.load_id}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def _move(self) -> None:
        """Bring the files to where the committed list wants them."""
        for staged, path in self.con.execute(
            "SELECT staged, path FROM main._singer_files WHERE NOT is_gone AND staged <> ''"
        ).fetchall():
            if Path(staged).exists():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(staged).replace(path)
        self.con.execute("UPDATE main._singer_files SET staged = '' WHERE NOT is_gone AND staged <> ''")
        for (path,) in self.con.execute("SELECT path FROM main._singer_files WHERE is_gone").fetchall():
            Path(path).unlink(missing_ok=True)
        self.con.execute("DELETE FROM main._singer_files WHERE is_gone")

    def _show(self, table: Table) -> None:
        view = qualified(self.schema, table.stream)
        files = self._folder(table.stream)
        if not any(files.rglob("*.parquet")):
            self._shown.pop(table.stream, None)
            columns = ", ".join(f"NULL::{column.sql} AS {quote(column.name)}" for column in table.columns)
            self.con.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {columns or 'NULL'} WHERE false")
            return
        pattern = re.sub(r"([*?\[])", r"[\1]", str(files)) + "/**/*.parquet"
        source = f"read_parquet({literal(pattern)}, union_by_name = true)"
        if (present := self._present.get(table.stream)) is None:  # a look into every file
            present = self._present[table.stream] = self._columns(source)
        if self._shown.get(table.stream) == (shape := (table.columns, frozenset(present))):
            return
        self._shown[table.stream] = shape
        columns = ", ".join(
            f"CAST({quote(c.name) if c.name in present else 'NULL'} AS {c.sql}) AS {quote(c.name)}"
            for c in table.columns
        )
        query = f"SELECT {columns or SEQUENCE} FROM {source}"
        if table.keys:
            latest = f"QUALIFY row_number() OVER (PARTITION BY {comma(table.keys)} ORDER BY {SEQUENCE} DESC) = 1"
            query = f"SELECT {columns} FROM (SELECT * FROM {source} {latest})"
            if DELETED_AT in present:
                query += f" WHERE {quote(DELETED_AT)} IS NULL"
        self.con.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")

    def _folder(self, stream: str) -> Path:
        return self.root / _folder_name(self.schema) / _folder_name(stream)

    def _partition_column(self, table: Table) -> Column | None:
        for name in (self.partition_by, WINDOW):
            for column in table.columns:
                if column.property == name and column.sql in {"DATE", "TIMESTAMPTZ"}:
                    return column
        return None


def row_hash(table: Table, prefix: str) -> str:
    """An expression for the hash of all values of a row.

    What is null counts for nothing: a row stays the same when its table gets more columns.
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


def _folder_name(name: str) -> str:
    """A name as a folder's: engines pass over those that begin with ``.`` or ``_``, and read patterns in others."""
    return re.sub(r"^[._]|[^\w.-]", lambda odd: "".join(f"%{byte:02X}" for byte in odd[0].encode()), name)


def _sync(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
