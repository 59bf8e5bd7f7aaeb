"""A lake of Parquet files beside the DuckDB file, with the same guarantees as tables.

Rows live in ``<lake>/<schema>/<stream>/[partition_date=YYYY-MM-DD/]<file>.parquet``, compressed with zstd. The DuckDB
file remains the place of truth: state, counts, the list of files, and per stream with a key an index of keys and
hashes that tells new, changed and unchanged rows apart. A file is written into ``<lake>/_staging``, its name is
committed together with the state, and only then is it moved to its place, whole. A run that was killed between commit
and move is finished by the next one.

A changed row is a new version: `SEQUENCE` grows, and the version with the highest one counts. A row that is gone gets a
version with nothing but its key and `DELETED_AT`. The view ``<schema>.<stream>`` shows the latest versions.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.tables import DELETED_AT, VERSION, WINDOW, Column, Table, comma, literal, quote
from target_duckhouse.types import decimal_size

if TYPE_CHECKING:
    import duckdb

__all__ = ["HASH", "SEQUENCE", "Lake", "index_schema", "row_hash"]

SEQUENCE = "_singer_sequence"
"""Column that orders the versions of a row."""

HASH = "_singer_hash"
"""Column of the index that tells whether a row has changed."""

PARTITION = "partition_date"
_STAGING = "_staging"
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

    def open(self) -> None:
        """Create what is missing, and finish what a killed run left behind.

        Raises:
            LoadError: The folder cannot be written.
        """
        self.con.execute(_FILES)
        self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(index_schema(self.schema))}")
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
        values = [f"{_stored(column)} AS {quote(column.name)}" for column in table.columns]
        if table.versioned:
            values.append(quote(VERSION))
        if column:
            values.append(f"CAST({quote(column.name)} AS DATE) AS {PARTITION}")
        self._copy(table, f"SELECT {', '.join(values)} FROM ({query})", version, partitioned=column is not None)

    def bury(self, table: Table, condition: str) -> None:
        """Write a last version, without values, for rows of the index that are about to be deleted."""
        if table.keys:
            gone = f"FROM {table.qualified} AS t WHERE {condition}"
            query = f"SELECT {comma(table.keys)}, now() AS {quote(DELETED_AT)} {gone}"
            if self.con.execute(f"{query} LIMIT 1").fetchone():
                self._copy(table, query, None, partitioned=False)

    def drop_other_versions(self, table: Table, version: int) -> None:
        """Remove the files of older snapshots of a stream without a key."""
        self.con.execute(
            "UPDATE main._singer_files SET is_gone = true "
            "WHERE schema = ? AND stream = ? AND version IS DISTINCT FROM ?",
            [self.schema, table.stream, version],
        )
        self._touched[table.stream] = table

    def settle(self) -> None:
        """After the commit: move files to their places, remove those that are gone, show the latest in views."""
        self._move()
        for table in self._touched.values():
            self._show(table)
        self._touched.clear()

    def _copy(self, table: Table, query: str, version: int | None, *, partitioned: bool) -> None:
        row = self.con.execute("SELECT coalesce(max(sequence), 0) + 1 FROM main._singer_files").fetchone()
        sequence = row[0] if row else 1
        staged = self.root / _STAGING / f"{self.load_id}-{sequence}"
        staged.mkdir(parents=True)
        options = "FORMAT parquet, COMPRESSION zstd"
        name = f"{sequence:012d}-{self.load_id}"
        if partitioned:
            target, options = staged, f"{options}, PARTITION_BY ({PARTITION}), FILENAME_PATTERN '{name}-{{i}}'"
        else:
            target = staged / f"{name}.parquet"
        query = f"SELECT *, {sequence}::BIGINT AS {SEQUENCE} FROM ({query})"
        self.con.execute(f"COPY ({query}) TO {literal(str(target))} ({options})")
        home = self._folder(table.stream)
        for file in staged.rglob("*.parquet"):
            with file.open("rb") as content:
                os.fsync(content.fileno())
            self.con.execute(
                "INSERT INTO main._singer_files VALUES (?, ?, ?, ?, ?, ?, false)",
                [sequence, self.schema, table.stream, version, str(file), str(home / file.relative_to(staged))],
            )
        self._touched[table.stream] = table

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
        view = f"{quote(self.schema)}.{quote(table.stream)}"
        files = self._folder(table.stream)
        if not any(files.rglob("*.parquet")):
            self.con.execute(f"DROP VIEW IF EXISTS {view}")
            return
        source = f"read_parquet({literal(str(files / '**' / '*.parquet'))}, union_by_name = true)"
        present = {row[0] for row in self.con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
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
        return self.root / self.schema / stream.replace("/", "_")

    def _partition_column(self, table: Table) -> Column | None:
        for name in (self.partition_by, WINDOW):
            for column in table.columns:
                if column.property == name and column.sql in {"DATE", "TIMESTAMPTZ"}:
                    return column
        return None


def row_hash(table: Table, prefix: str) -> str:
    """An expression for the hash of all values of a row but its key."""
    parts = []
    for column in table.columns:
        value = f"{prefix}.{quote(column.name)}"
        # JSON holds no number of more than a double's digits safely.
        is_wide = column.sql == "HUGEINT" or decimal_size(column.sql) is not None
        parts.append(f"{literal(column.name)}: {f'CAST({value} AS VARCHAR)' if is_wide else value}")
    return f"md5(CAST(to_json({{{', '.join(parts)}}}) AS VARCHAR))"


def _stored(column: Column) -> str:
    """How a column is written to Parquet, which has no integers beyond 64 bits and no JSON."""
    name = quote(column.name)
    if column.sql == "HUGEINT":
        return f"CAST({name} AS DECIMAL(38,0))"
    return f"CAST({name} AS VARCHAR)" if column.sql == "JSON" else name
