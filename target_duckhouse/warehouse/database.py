"""The DuckDB file: opening it, the one transaction at a time, and the loader's own tables.

Three tables in schema ``main`` belong to the loader:

* ``_singer_state``: the last committed state of each pipeline,
* ``_singer_loads``: what each run did to each stream,
* ``_singer_schema_history``: every change of a table's columns.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from target_duckhouse.errors import LoadError, LockedError
from target_duckhouse.warehouse.lake import Lake, index_schema
from target_duckhouse.warehouse.tables import CATALOG, literal, quote
from target_duckhouse.warehouse.worker import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_duckhouse.settings import Settings

__all__ = ["SYSTEM_TABLES", "Counts", "Warehouse", "connect"]

SYSTEM_TABLES = frozenset({"_singer_state", "_singer_loads", "_singer_schema_history", "_singer_files"})
"""Names in schema ``main`` that no stream may have."""

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_state (
    state_id VARCHAR PRIMARY KEY, state JSON NOT NULL, committed_at TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_loads (
    load_id VARCHAR NOT NULL, state_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL,
    inserted BIGINT NOT NULL, updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, deleted BIGINT NOT NULL,
    rejected BIGINT NOT NULL, seconds DOUBLE NOT NULL, started_at TIMESTAMPTZ NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_schema_history (
    load_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, column_name VARCHAR NOT NULL,
    old_type VARCHAR, new_type VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL);
"""

_LOCKED = "IO Error: Could not set lock on file"
_HOLDER = re.compile(r"PID (\d+)")
_RETRY_S = 0.2
_PYTHON_MB = 96


@dataclass(slots=True)
class Counts:
    """What a run did to one stream, in rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.deleted += other.deleted
        self.rejected += other.rejected
        self.seconds += other.seconds


@dataclass(slots=True)
class Warehouse:
    """A connection to the DuckDB file and the transaction that is under way.

    Args:
        con: The open connection.
        schema: The database schema of the streams' tables.
        state_id: The key of this pipeline's state.
        memory: What DuckDB may use, in bytes.
        counts: What this run has done so far, per stream.
        lake: Where the rows live, if not in tables.
        windows: The columns that tell the windows of this run's rows, per stream; empty where not all rows have them.
        stream: The stream that is being loaded, or was the last to be.
    """

    con: duckdb.DuckDBPyConnection
    schema: str
    state_id: str
    memory: int
    load_id: str = field(default_factory=lambda: os.urandom(16).hex())
    counts: dict[str, Counts] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    lake: Lake | None = None
    windows: dict[str, str] = field(default_factory=dict)
    stream: str = ""
    _committed: dict[str, Counts] = field(default_factory=dict)
    _open: bool = False

    @classmethod
    def open(cls, settings: Settings) -> Warehouse:
        """Open the file for writing, and create what the loader needs in it.

        Raises:
            LockedError: Another process held the file all the time.
            LoadError: The file cannot be opened.
        """
        # The rest is for Python, and for the texts of the rows that DuckDB has in hand, which it does not count.
        memory = (settings.memory_limit_mb - _PYTHON_MB) * 7 // 10
        con = connect(settings.path, lock_timeout_s=settings.lock_timeout_s, memory_mb=memory)
        con.execute("SET threads = 1")  # the other core reads and checks
        con.execute(_CREATE)
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(settings.schema)}")
        warehouse = cls(con, _spelling(con, settings.schema), settings.state_name, memory * 1_000_000)
        if settings.lake_path:
            root = Path(settings.lake_path).absolute()
            warehouse.lake = Lake(con, root, warehouse.schema, warehouse.load_id, settings.lake_partition_by)
            warehouse.lake.open()
        return warehouse

    @property
    def table_schema(self) -> str:
        """The database schema of the tables that the streams are merged into."""
        return index_schema(self.schema) if self.lake else self.schema

    def last_state(self) -> bytes | None:
        """The state that an earlier run committed, as JSON text."""
        row = self.con.execute("SELECT state FROM main._singer_state WHERE state_id = ?", [self.state_id]).fetchone()
        return row[0].encode() if row else None

    def begin(self) -> None:
        """Open a transaction, unless one is open."""
        if not self._open:
            self.con.execute("BEGIN")
            self._open = True

    def commit(self, state: bytes | None) -> None:
        """Commit all rows together with the state that covers them.

        Args:
            state: The value of the newest STATE message as JSON text, None where none has come yet.
        """
        self.begin()
        if state is not None:
            self.con.execute(
                "INSERT OR REPLACE INTO main._singer_state VALUES (?, ?, now())", [self.state_id, state.decode()]
            )
        self._write_counts()
        self.con.execute("COMMIT")
        self._open = False
        self._make_durable()
        if self.lake:
            self.lake.settle()
            self._make_durable()
        self._committed = {stream: replace(counts) for stream, counts in self.counts.items()}

    def _make_durable(self) -> None:
        """Write what was committed to the file. A log would hold it too, but takes twice the rows' size in memory."""
        self.con.execute(f"CHECKPOINT {CATALOG}")

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._open:
            self.con.execute("ROLLBACK")
            self._open = False
        self.counts = self._committed

    def _write_counts(self) -> None:
        self.con.execute("DELETE FROM main._singer_loads WHERE load_id = ?", [self.load_id])
        for stream, counts in self.counts.items():
            self.con.execute(
                "INSERT INTO main._singer_loads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, to_timestamp(?), now())",
                [
                    self.load_id,
                    self.state_id,
                    self.schema,
                    stream,
                    counts.inserted,
                    counts.updated,
                    counts.unchanged,
                    counts.deleted,
                    counts.rejected,
                    round(counts.seconds, 3),
                    self.started_at,
                ],
            )

    def timed(self, stream: str, work: Callable[[], Counts]) -> None:
        """Run one step of loading a stream within the transaction and count what it did."""
        self.begin()
        self.stream = stream
        start = time.monotonic()
        try:
            counts = work()
        except duckdb.Error as error:
            raise LoadError(f"stream {stream}: {explain(error)}") from error
        counts.seconds = time.monotonic() - start
        self.counts.setdefault(stream, Counts()).add(counts)

    def one(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """The first row of a query that has one."""
        row = self.con.execute(sql, parameters).fetchone()
        assert row is not None
        return row

    def close(self) -> None:
        """Close the file. What was not committed is gone."""
        self.con.close()


def _spelling(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    """The name of a schema as it was created: DuckDB does not tell case apart."""
    row = con.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND lower(schema_name) = lower(?)",
        [CATALOG, schema],
    ).fetchone()
    return row[0] if row else schema


def connect(
    path: str, *, lock_timeout_s: float, read_only: bool = False, memory_mb: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting for another process to let go of it.

    Args:
        path: The file.
        lock_timeout_s: How long to wait, in seconds.
        read_only: Whether it is only to be read.
        memory_mb: What DuckDB may use, in MB; by default most of the machine's.

    Raises:
        LockedError: Another process held the file all the time.
        LoadError: The file cannot be opened.
    """
    con = duckdb.connect()
    if memory_mb is not None:
        con.execute(f"SET memory_limit = '{memory_mb}MB'")
    con.execute(f"SET temp_directory = {literal(path + '.tmp')}")
    con.execute("SET TimeZone = 'UTC'")
    mode = "READ_ONLY" if read_only else "RECOVERY_MODE no_wal_writes"
    attach = f"ATTACH {literal(str(Path(path).absolute()))} AS {CATALOG} ({mode})"
    deadline = time.monotonic() + lock_timeout_s
    while True:
        try:
            con.execute(attach)
        except duckdb.Error as error:
            if not str(error).startswith(_LOCKED):
                raise LoadError(f"setting `path`: {path} cannot be opened: {_first_line(error)}") from None
            if time.monotonic() >= deadline:
                holder = _HOLDER.search(str(error))
                who = f"process {holder[1]}" if holder else "another process"
                raise LockedError(
                    f"{path} is locked by {who}; waited {lock_timeout_s:g} s (setting `lock_timeout_s`)"
                ) from None
            time.sleep(min(_RETRY_S, max(deadline - time.monotonic(), 0.01)))
        else:
            con.execute(f"USE {CATALOG}")
            return con


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
