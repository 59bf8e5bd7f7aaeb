"""The warehouse of a run: the DuckDB file while it is open, its transaction, and what the run did to each stream.

The file is open from time to time only (`steps`), and others may change it in between. So what is known of it is read
again each time. What has to live longer is in temporary tables, which belong to the connection, and in this module.

Some tables in schema ``main`` belong to the loader:

* ``_singer_state`` and ``_singer_owners``: the last committed state of each pipeline, and its tables (`pipelines`),
* ``_singer_loads``: what each run did to each stream (`loads`),
* ``_singer_schema_history``: every change of a table's columns (`metadata`),
* ``_singer_histories``: up to when the history of each stream is complete (`history`),
* ``_singer_columns``: which column each property has (`metadata`),
* ``_singer_lakes``: where lakes are (`folder`), ``_singer_files``: the files of one (`files`), ``_singer_changes`` and
  ``_singer_deltas``: what Delta tables are yet to get, and have got (`delta_changes`).
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from target_duckhouse.errors import LoadError, SettingsError
from target_duckhouse.names import fold, folded
from target_duckhouse.telemetry import Observer
from target_duckhouse.warehouse.admission import Admission
from target_duckhouse.warehouse.connection import attach, create, detach, explain, make_durable, without_file
from target_duckhouse.warehouse.folder import LONGEST, folder_name
from target_duckhouse.warehouse.history import History
from target_duckhouse.warehouse.lakes import lake_storage
from target_duckhouse.warehouse.loads import Loads
from target_duckhouse.warehouse.metadata import Metadata
from target_duckhouse.warehouse.moment import Moment
from target_duckhouse.warehouse.named import Named
from target_duckhouse.warehouse.pipelines import Pipelines
from target_duckhouse.warehouse.places import place_at
from target_duckhouse.warehouse.storage import TableStorage
from target_duckhouse.warehouse.tables import CATALOG, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.loads import Counts
    from target_duckhouse.warehouse.storage import Storage

__all__ = ["SYSTEM_TABLES", "Warehouse"]

logger = logging.getLogger("target-duckhouse")

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

_MANY_COLUMNS = 500
"""Columns from which on it is their number that needs the memory."""
_LARGE_STATE = 8 * 1024 * 1024


@dataclass(slots=True)
class Warehouse:
    """The DuckDB file of a run, and the transaction that is open in it.

    Args:
        con: The connection that the file is attached to while it is open.
        settings: What the user has set.
        schema: The database schema in which users find the streams.
        state_id: The key of this pipeline's state.
        loads: What this run does to each stream.
        memory: What DuckDB may use, in bytes.
        metadata: What is remembered about the streams' tables.
        admission: What this run may load, and what is stored of its state.
        moment: The time of what is committed next.
        history: What the rows of some streams were before.
        storage: Where the rows are kept.
        named: What the settings name, as far as the warehouse knows it.
        tell_once: Warns of something, unless it has warned of it in this run.
        observer: Who is told of each step.
        windows: The columns that identify the windows of this run's rows, per stream; empty if some rows lack them.
        arrivals: The columns of the keys of this run's rows, per stream whose scopes are told; empty if they changed.
        stream: The stream that is being loaded, or was loaded last.
        widths: How many columns the streams' tables have.
        state_size: The length in bytes of a STATE that is on its way, or 0.
        is_entered: Whether the file is open.
        is_trying: Whether what is done now is going to be undone, and done again before the rows are loaded.
    """

    con: duckdb.DuckDBPyConnection
    settings: Settings
    schema: str
    state_id: str
    loads: Loads
    memory: int
    metadata: Metadata
    admission: Admission
    moment: Moment
    history: History
    storage: Storage
    named: Named
    tell_once: Callable[..., None]
    observer: Observer = field(default_factory=Observer)
    windows: dict[str, str] = field(default_factory=dict)
    arrivals: dict[str, str] = field(default_factory=dict)
    stream: str = ""
    widths: dict[str, int] = field(default_factory=dict)
    state_size: int = 0
    is_trying: bool = False
    is_entered: bool = False
    _outlook: tuple[Any, ...] = ()
    _open: bool = False

    @classmethod
    def open(cls, settings: Settings, load_id: str, folder: Path) -> Warehouse:
        """Open the file for the first time, create what the loader needs in it, and let go of it.

        Args:
            settings: What the user has set.
            load_id: The run.
            folder: The run's own folder, for what does not fit into memory.

        Raises:
            LockedError: Another process held the file the whole time.
            LoadError: The file cannot be opened.
            SettingsError: Delta tables are asked for, and no lake; or the lake cannot have a folder for the schema.
        """
        if settings.table_format == "delta" and not settings.lake_path:
            raise SettingsError("setting `table_format`: Delta tables are in a lake; set `lake_path` to its folder")
        if settings.lake_path and len(folder_name(settings.schema).encode()) > LONGEST:
            raise SettingsError(
                f"setting `schema`: the name of its folder in the lake would have more than {LONGEST} bytes; shorten it"
            )
        con = without_file(str(folder / "duckdb"))
        con.execute(f"SET memory_limit = '{settings.duckdb_memory_mb}MB'")
        con.execute("SET threads = 1")  # the other core is busy reading and checking
        con.execute(_give_back_from("16MB"))
        create(con, settings.path, folder)
        attach(con, settings.path, lock_timeout_s=settings.lock_timeout_s)
        Loads.create(con)
        pipelines = Pipelines(con)
        pipelines.create()
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{quote(settings.schema)}")
        schema = _spelling(con, settings.schema)
        metadata = Metadata(con, schema, load_id)
        metadata.create()
        moment = Moment(con)
        history = History(con, metadata, moment, settings)
        history.create()
        told: set[str] = set()

        def tell_once(message: str, *values: object) -> None:
            if (text := message % values) not in told:
                told.add(text)
                logger.warning("%s", text)

        storage: Storage
        if settings.lake_path:
            place = place_at(con, settings.lake_address)
            storage = lake_storage(con, settings, place, metadata, moment, warn=tell_once)
        else:
            storage = TableStorage(con, schema, moment, history, hard_delete=settings.hard_delete)
        state_id = pipelines.id_of(settings.state_id, schema)

        def exists(stream: str) -> bool:
            return metadata.has_table(storage.schema, stream)

        admission = Admission(pipelines, state_id, schema, settings, exists)
        memory = settings.duckdb_memory_mb * 1_000_000
        own = (metadata, admission, moment, history, storage, Named(con, settings), tell_once)
        loads = Loads(con, load_id, state_id, schema)
        warehouse = cls(con, settings, schema, state_id, loads, memory, *own)
        warehouse._begin_visit()
        warehouse.leave()
        return warehouse

    def enter(self, *, is_trying: bool = False) -> bool:
        """Open the file again, and make sure that it is the one in which this run has committed.

        Args:
            is_trying: Whether what is done until it is let go of is going to be undone.

        Returns:
            Whether this run knows that nobody has changed anything since then that it must know.

        Raises:
            LockedError: Another process held the file the whole time.
            LoadError: The file cannot be opened, or is another one, or the pipeline was renamed.
        """
        attach(self.con, self.settings.path, lock_timeout_s=self.settings.lock_timeout_s)
        self.loads.check(self.settings.path)
        self.is_trying, is_unchanged = is_trying, False
        if self.storage.remembers or not is_trying:  # a trial uses nothing else that was found before
            is_unchanged = self._outlook == self._look_around()
            if not is_unchanged:
                self.history.forget()
                self.storage.forget()
        self._begin_visit()
        return is_unchanged

    def _begin_visit(self) -> None:
        """Finish what a run that was killed has left in a lake, and read the stored state."""
        self.is_entered = True
        try:
            self.storage.open()
            self.admission.recall()
        except duckdb.Error as error:
            raise LoadError(explain(error)) from error

    def _look_around(self) -> tuple[Any, ...]:
        """Something that is another once a process has loaded into the file, or changed a column or a view."""
        return self.one(
            "SELECT (SELECT max(epoch_us(committed_at)) FROM main._singer_loads), (SELECT bit_xor(hash("
            "schema_name, table_name, column_name, column_index, data_type, column_default, comment)) "
            f"FROM duckdb_columns() WHERE database_name = '{CATALOG}'), (SELECT bit_xor(hash("
            f"schema_name, view_name, sql)) FROM duckdb_views() WHERE database_name = '{CATALOG}')"
        )

    def leave(self) -> None:
        """Undo what is not committed, and let go of the file."""
        self.rollback()
        self.storage.close()
        self.is_entered = self.is_trying = False
        detach(self.con)

    @contextmanager
    def reading_many(self) -> Iterator[None]:
        """Have DuckDB keep the memory that it frees: it would give all of it back with each file that it begins."""
        self.con.execute(_give_back_from("512MB"))
        yield
        self.con.execute(_give_back_from("16MB"))

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
        start = time.monotonic()
        try:
            self._commit(state)
        except duckdb.Error as error:
            raise LoadError(explain(error, self.burden)) from error
        self.observer.committed(time.monotonic() - start)

    def _commit(self, state: bytes | None) -> None:
        self.begin()
        if state is not None:
            self.admission.store(state)
        self.history.record()
        self.loads.write(self.moment.sql)
        self.con.execute("COMMIT")
        self._end()
        make_durable(self.con)
        self.storage.settle()
        self.admission.committed()
        self._outlook = self._look_around()
        self.loads.commit()

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._open:
            self.con.execute("ROLLBACK")
            self._end()
        self.loads.undo()

    def _end(self) -> None:
        self.moment.end()
        self._open = False

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
        self.loads.add(stream, counts)
        self.observer.loaded(stream, asdict(counts))
        if counts.inserted or counts.updated or counts.deleted:
            self.history.note(stream)

    def one(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """The first row of a query that always has one."""
        row = self.con.execute(sql, parameters).fetchone()
        assert row is not None
        return row

    def close(self) -> None:
        """Close the connection, and the file if it is open. What was not committed is lost."""
        self.storage.close()
        self.con.close()


def _spelling(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    """The name of a schema as it was created: DuckDB ignores case."""
    row = con.execute(
        f"SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND {folded('schema_name')} = ?",
        [CATALOG, fold(schema)],
    ).fetchone()
    return row[0] if row else schema


def _give_back_from(size: str) -> str:
    """A statement that has DuckDB give the system back what is free whenever it needs this much at once, or more.

    It should not hold in one commit what the one before it needed.
    """
    return f"SET allocator_bulk_deallocation_flush_threshold = '{size}'"
