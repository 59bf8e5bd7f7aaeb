"""The warehouse of a run: its one transaction at a time, its state, and what it did to each stream.

Some tables in schema ``main`` belong to the loader:

* ``_singer_state`` and ``_singer_owners``: the last committed state of each pipeline, and its tables (`pipelines`),
* ``_singer_loads``: what each run did to each stream,
* ``_singer_schema_history``: every change of a table's columns (`metadata`),
* ``_singer_histories``: up to when the history of each stream is complete (`history`),
* ``_singer_columns``: which column each property has (`metadata`),
* ``_singer_lakes``: where lakes are (`folder`), ``_singer_files``: the files of one (`files`), ``_singer_changes`` and
  ``_singer_deltas``: what Delta tables are yet to get, and have got (`delta_changes`).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb

from target_duckhouse.errors import LoadError, SettingsError
from target_duckhouse.names import fold, folded
from target_duckhouse.warehouse.admission import Admission
from target_duckhouse.warehouse.connection import connect, explain, make_durable, release_cache
from target_duckhouse.warehouse.history import History
from target_duckhouse.warehouse.lakes import lake_storage
from target_duckhouse.warehouse.metadata import Metadata
from target_duckhouse.warehouse.moment import Moment
from target_duckhouse.warehouse.pipelines import Pipelines
from target_duckhouse.warehouse.storage import TableStorage
from target_duckhouse.warehouse.tables import CATALOG, Table, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.storage import Storage

__all__ = ["SYSTEM_TABLES", "Counts", "Warehouse"]

SYSTEM_TABLES = frozenset(
    {
        "_singer_state",
        "_singer_owners",
        "_singer_loads",
        "_singer_schema_history",
        "_singer_columns",
        "_singer_histories",
        "_singer_files",
        "_singer_lakes",
        "_singer_changes",
        "_singer_deltas",
    }
)
"""Names in schema ``main`` that streams may not have."""

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_loads (
    load_id VARCHAR NOT NULL, state_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL,
    inserted BIGINT NOT NULL, updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, deleted BIGINT NOT NULL,
    rejected BIGINT NOT NULL, seconds DOUBLE NOT NULL, started_at TIMESTAMPTZ NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL);
"""

_MANY_COLUMNS = 500
"""Columns from which on it is their number that needs the memory."""
_LARGE_STATE = 8 * 1024 * 1024


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
    """The DuckDB file of a run, and the transaction that is open in it.

    Args:
        con: The open connection.
        schema: The database schema in which users find the streams.
        state_id: The key of this pipeline's state.
        load_id: The run.
        memory: What DuckDB may use, in bytes.
        storage: Where the rows are kept.
        metadata: What is remembered about the streams' tables.
        admission: What this run may load, and what is stored of its state.
        moment: The time of what is committed next.
        history: What the rows of some streams were before.
        may_change: Tells whether the table of a stream may get other columns than it has.
        counts: What this run has done so far, per stream.
        windows: The columns that identify the windows of this run's rows, per stream; empty if some rows lack them.
        arrivals: The columns of the keys of this run's rows, per stream whose scopes are told; empty if they changed.
        stream: The stream that is being loaded, or was loaded last.
        widths: How many columns the streams' tables have.
        state_size: The length in bytes of a STATE that is on its way, or 0.
    """

    con: duckdb.DuckDBPyConnection
    schema: str
    state_id: str
    load_id: str
    memory: int
    storage: Storage
    metadata: Metadata
    admission: Admission
    moment: Moment
    history: History
    may_change: Callable[[str], bool]
    counts: dict[str, Counts] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    windows: dict[str, str] = field(default_factory=dict)
    arrivals: dict[str, str] = field(default_factory=dict)
    stream: str = ""
    widths: dict[str, int] = field(default_factory=dict)
    state_size: int = 0
    _committed: dict[str, Counts] = field(default_factory=dict)
    _open: bool = False

    @classmethod
    def open(cls, settings: Settings) -> Warehouse:
        """Open the file for writing, and create what the loader needs in it.

        Raises:
            LockedError: Another process held the file the whole time.
            LoadError: The file cannot be opened.
            SettingsError: Delta tables are asked for, and no lake.
        """
        if settings.table_format == "delta" and not settings.lake_path:
            raise SettingsError("setting `table_format`: Delta tables are in a lake; set `lake_path` to its folder")
        memory = settings.duckdb_memory_mb
        con = connect(settings.path, lock_timeout_s=settings.lock_timeout_s, memory_mb=memory)
        con.execute("SET threads = 1")  # the other core is busy reading and checking
        con.execute(_CREATE)
        pipelines = Pipelines(con)
        pipelines.create()
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(settings.schema)}")
        schema, load_id = _spelling(con, settings.schema), os.urandom(16).hex()
        metadata = Metadata(con, schema, load_id)
        metadata.create()
        moment = Moment(con)
        history = History(con, metadata, moment, settings)
        history.create()
        storage: Storage
        if settings.lake_path:
            storage = lake_storage(con, settings, settings.lake_address, metadata, moment)
        else:
            storage = TableStorage(con, schema, moment, history, hard_delete=settings.hard_delete)
        try:
            storage.open()
        except duckdb.Error as error:
            raise LoadError(explain(error)) from error
        state_id = pipelines.id_of(settings.state_id, schema)

        def exists(stream: str) -> bool:
            return bool(metadata.columns(Table(stream, storage.schema, ())))

        admission = Admission(pipelines, state_id, schema, settings, exists)
        own = (storage, metadata, admission, moment, history, settings.allows_changes)
        return cls(con, schema, state_id, load_id, memory * 1_000_000, *own)

    def last_state(self) -> bytes | None:
        """The state that an earlier run committed, as JSON text."""
        state = Pipelines(self.con).state(self.state_id)
        return state.encode() if state is not None else None

    def begin(self) -> None:
        """Open a transaction, unless one is open."""
        if not self._open:
            self.con.execute("BEGIN")
            self._open = True

    @property
    def loading(self) -> str:
        """The stream that is being loaded; empty if what needs memory is not its rows."""
        return "" if self.state_size >= _LARGE_STATE else self.stream

    @property
    def burden(self) -> str:
        """What needs the memory if there is not enough of it, and what helps."""
        raised = "raise the setting `memory_limit_mb`"
        if self.state_size >= _LARGE_STATE:
            return f"a STATE of {self.state_size / 1e6:,.0f} MB does not fit; {raised}"
        if (columns := self.widths.get(self.stream, 0)) >= _MANY_COLUMNS:
            return f"its {columns:,} columns do not fit; {raised}, or select fewer properties"
        return f"{raised} or lower `batch_rows`; large records need up to five times the size of 2,048 of them"

    def commit(self, state: bytes | None) -> None:
        """Commit all rows together with the state that covers them.

        Args:
            state: The value of the newest STATE message as JSON text; None if there is no new one.

        Raises:
            LoadError: They could not be committed.
        """
        try:
            self._commit(state)
        except duckdb.Error as error:
            raise LoadError(explain(error, self.burden)) from error

    def _commit(self, state: bytes | None) -> None:
        self.begin()
        if state is not None:
            self.admission.store(state)
        self.history.record()
        self._write_counts(self.moment.sql)
        self.con.execute("COMMIT")
        self.moment.end()
        self._open = False
        make_durable(self.con)
        release_cache(self.con, self.memory)
        self.storage.settle()
        self._committed = {stream: replace(counts) for stream, counts in self.counts.items()}

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._open:
            self.con.execute("ROLLBACK")
            self.moment.end()
            self._open = False
        self.counts = self._committed

    def _write_counts(self, now: str) -> None:
        self.con.execute("DELETE FROM main._singer_loads WHERE load_id = ?", [self.load_id])
        for stream, counts in self.counts.items():
            self.con.execute(
                f"INSERT INTO main._singer_loads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, to_timestamp(?), {now})",
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
        """Run one step of loading a stream within the transaction, and count what it did."""
        self.begin()
        self.stream = stream
        start = time.monotonic()
        try:
            counts = work()
        except duckdb.Error as error:
            raise LoadError(f"stream {stream}: {explain(error, self.burden)}") from error
        counts.seconds = time.monotonic() - start
        self.counts.setdefault(stream, Counts()).add(counts)
        if counts.inserted or counts.updated or counts.deleted:
            self.history.note(stream)

    def one(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """The first row of a query that always has one."""
        row = self.con.execute(sql, parameters).fetchone()
        assert row is not None
        return row

    def close(self) -> None:
        """Close the file. What was not committed is lost."""
        self.storage.close()
        self.con.close()


def _spelling(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    """The name of a schema as it was created: DuckDB ignores case."""
    row = con.execute(
        f"SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND {folded('schema_name')} = ?",
        [CATALOG, fold(schema)],
    ).fetchone()
    return row[0] if row else schema
