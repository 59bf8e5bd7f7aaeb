"""The records of each stream on their way to DuckDB: checked, spooled and handed over."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from target_duckhouse.errors import RecordError
from target_duckhouse.input.batch import whole_lines
from target_duckhouse.input.exact_lines import ExactLines, Undeclared
from target_duckhouse.input.exact_values import BadRecord, Wider
from target_duckhouse.input.json_texts import SpoolLines
from target_duckhouse.input.messages import windows_read
from target_duckhouse.input.parquet import ParquetFile
from target_duckhouse.input.spool import LinkedFile, Spool, SpoolFile, rejected_query, spool_query
from target_duckhouse.warehouse import evolve, merge
from target_duckhouse.warehouse.bookmarks import scopes_read
from target_duckhouse.warehouse.loads import Counts
from target_duckhouse.warehouse.scopes import clear_scopes
from target_duckhouse.warehouse.steps import Step
from target_duckhouse.warehouse.types import join
from target_duckhouse.warehouse.windows import clear_windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_duckhouse.commits import Commits
    from target_duckhouse.input.batch import BatchFile
    from target_duckhouse.input.messages import SingerMessage
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.steps import Steps
    from target_duckhouse.warehouse.tables import Column, Table
    from target_duckhouse.warehouse.worker import Worker

__all__ = ["IncomingStream", "Intake"]

logger = logging.getLogger("target-duckhouse")

_T = TypeVar("_T")


@dataclass(slots=True)
class IncomingStream:
    """A stream between its SCHEMA message and its table."""

    name: str
    schema: bytes
    table: Table
    lines: ExactLines
    version: int | None = None
    spools: list[Spool] = field(default_factory=list)
    """What DuckDB is to load next, in order."""
    rejected: Spool | None = None
    brought: set[int | None] = field(default_factory=set)
    """The versions of this run's rows that have not been activated; None for rows without one."""
    replaces: bool = False
    """Whether the run may replace or remove rows."""
    has_rejected: bool = False
    """Whether a record was rejected since the last version was activated."""
    pending: list[tuple[SingerMessage, bytes, int]] = field(default_factory=list)
    """Messages, their lines, and the numbers of these."""


class Intake:
    """The streams of a run and their spool files.

    Args:
        warehouse: Where rows go; only the worker touches it.
        steps: What is to be done there.
        worker: Runs everything that touches DuckDB.
        commits: Keeps account of what has arrived, and commits it.
        folder: Where spool files are kept.
    """

    def __init__(self, warehouse: Warehouse, steps: Steps, worker: Worker, commits: Commits, folder: Path) -> None:
        self.streams: dict[str, IncomingStream] = {}
        self.source = ""
        """What the lines are counted in, for messages: a batch file, or nothing for standard input."""
        self._settings = warehouse.settings
        self._most_weight = warehouse.memory // 16
        self._warehouse = warehouse
        self._steps = steps
        self._worker = worker
        self._commits = commits
        self._folder = folder
        self._spools = 0
        self._cleared: set[tuple[str, str]] = set()

    def declare(self, name: str, schema: bytes, columns: tuple[Column, ...], description: str) -> None:
        """Start a stream, or give a known one the columns of another schema.

        Args:
            name: The stream.
            schema: The schema and key as they were sent, to recognise them when they are sent again.
            columns: The columns that the schema asks for.
            description: What the schema says of the stream.
        """
        if stream := self.streams.get(name):
            self.settle(stream)
            self._alter(stream, lambda now: evolve.prepare(self._warehouse, name, columns, versioned=now.versioned))
            stream.schema = schema
        else:
            replaces = any(c.key for c in columns) or evolve.replaces_windows(columns, self._settings)
            table = self._try(name, columns, replaces=replaces)
            stream = IncomingStream(name, schema, table, ExactLines(name, table.arriving, None), replaces=replaces)
            self.streams[name] = stream

        def describe(table: Table, _: str) -> Counts:
            evolve.describe(self._warehouse, table, description)
            return Counts()

        self._plan(stream, describe)

    def expect_version(self, stream: IncomingStream, version: int | None) -> None:
        """Have the next records belong to another version, or to none."""
        self.settle(stream)
        stream.version = version
        if version is not None:
            self._allow_versions(stream)
        stream.lines = ExactLines(stream.name, stream.table.arriving, version)

    def _allow_versions(self, stream: IncomingStream) -> None:
        """Have a stream's table tell the versions of rows, some of which may go."""
        if not (stream.table.versioned and stream.replaces):
            stream.table = self._try(stream.name, stream.table.arriving, replaces=True, versioned=True)
            stream.replaces = True

    def activate(self, stream: IncomingStream, version: int) -> None:
        """Remove the rows of all other versions, or mark them as deleted, unless others share the table.

        Nothing is removed if this run has brought rows that belong to none, or another version, or if it has rejected
        some: it is then unknown which rows are gone.
        """
        if self._settings.shared:
            logger.info("stream %s: ACTIVATE_VERSION is ignored, because the table is shared", stream.table.stream)
            return
        self.settle(stream)
        reasons = {
            "this run has brought rows without a version": None in stream.brought,
            "this run has brought rows of another version": bool(stream.brought - {version, None}),
            "a record was rejected": stream.has_rejected,
        }
        stream.brought.discard(version)
        stream.has_rejected = False
        for reason in (reason for reason, holds in reasons.items() if holds):
            logger.warning("stream %s: ACTIVATE_VERSION is ignored, and no rows are removed: %s", stream.name, reason)
            return
        self._allow_versions(stream)
        self._plan(stream, lambda table, _: Counts(deleted=self._warehouse.storage.activate(table, version)))

    def spool_pending(self) -> None:
        """Write all records that wait in memory to spool files."""
        for stream in self.streams.values():
            if stream.pending:
                self._spool(stream)

    def _spool(self, stream: IncomingStream) -> None:
        """Write the records of one stream that wait in memory to its spool file."""
        lines = b"\n".join(line for _, line, _ in stream.pending) + b"\n"
        if parts := stream.lines.read(lines, len(stream.pending)):
            stream.pending = []
            self.write(stream, SpoolLines.joined([part for part in parts if isinstance(part, SpoolLines)]))
            return
        done: list[SpoolLines] = []
        for message, line, number in stream.pending:
            while True:
                try:
                    done.append(stream.lines.conform(message, line))
                except BadRecord as error:
                    self._reject(stream, message, number, error)
                except (Wider, Undeclared) as change:
                    self._write_all(stream, done)
                    done = []
                    if isinstance(change, Undeclared):  # all that can be seen by now, in one go
                        change = Undeclared(stream.lines.undeclared(message for message, _, _ in stream.pending))
                    self._change(stream, change)
                    continue
                break
        stream.pending = []
        self._write_all(stream, done)

    def _reject(self, stream: IncomingStream, message: SingerMessage, number: int, error: BadRecord) -> None:
        source = f"{self.source}line {number}"
        stream.has_rejected = True
        if self._settings.on_bad_record == "stop":
            raise RecordError(f"{source}: stream {stream.name}: {error}")
        if stream.rejected is None:
            stream.rejected = self._new_spool(stream)
            logger.warning("%s: stream %s: a record was rejected: %s", source, stream.name, error)
        record = bytes(message.record).decode(errors="backslashreplace")
        entry = {"reason": str(error), "record": record, "source": source}
        stream.rejected.write(SpoolLines(msgspec.json.encode(entry) + b"\n", 1))

    def _new_spool(self, stream: IncomingStream) -> Spool:
        self._spools += 1
        return Spool(SpoolFile(self._folder / f"{self._spools}.jsonl"), stream.version)

    def _change(self, stream: IncomingStream, change: Wider | Undeclared) -> None:
        """Make room in the table for a value that is allowed but does not fit yet."""
        self._hand_over(stream)

        def alter(now: Table) -> Table:
            if isinstance(change, Wider):
                column = now.column_of(change.column.property)
                wider = change.sql if column.sql == change.column.sql else join(column.sql, change.sql)
                return evolve.widen(self._warehouse, now, column, wider)
            return evolve.add_columns(self._warehouse, now, change.names)

        self._alter(stream, alter)

    def _alter(self, stream: IncomingStream, alter: Callable[[Table], Table]) -> None:
        """Change a table after everything that was handed over before."""
        altered: list[Table] = []

        def work(now: Table, _: str) -> Counts:
            altered.append(alter(now))
            return Counts()

        self._plan(stream, work)
        self._worker.ask(self._steps.hold)
        stream.table = altered[0]
        stream.lines = ExactLines(stream.name, stream.table.arriving, stream.version)
        if self._commits.may_commit:  # until then DuckDB keeps the table as it was, too
            self.commit()

    def _write_all(self, stream: IncomingStream, parts: list[SpoolLines]) -> None:
        if parts:
            self.write(stream, SpoolLines.joined(parts))

    def write(self, stream: IncomingStream, part: SpoolLines) -> None:
        """Write records to the stream's spool file, and hand the file over once it is full."""
        if not stream.spools or stream.spools[-1].bare:
            stream.spools.append(self._new_spool(stream))
        stream.spools[-1].write(part)
        self._take(stream, part.rows, len(part.lines))

    def write_bare(self, stream: IncomingStream, file: BatchFile, extracted: str | None) -> bool:
        """Spool a file of records as it is, if none of them needs a closer look; returns whether that is so.

        Args:
            stream: Whose records they are.
            file: The file.
            extracted: When they were extracted, as a text, if that is known.

        Raises:
            MessageError: The file is damaged, or a line is too long.
        """
        spool = self._new_spool(stream)
        if not file.is_gzipped:
            file = file.linked(spool.records.path)
            spool.records = LinkedFile(file)
        spool.bare, spool.extracted = True, extracted
        for block in whole_lines(file, self._settings.max_line):
            if (part := stream.lines.read_bare(block)) is None:
                spool.remove()
                return False
            spool.write(part)
        if spool.rows:
            stream.spools.append(spool)
            self._take(stream, spool.rows, spool.size)
        return True

    def _take(self, stream: IncomingStream, rows: int, size: int) -> None:
        """Count what was spooled, and hand over what has become enough."""
        stream.brought.add(stream.version)
        self._commits.add(stream.table, rows, size)
        is_full = self._commits.is_enough(sum(s.rows for s in stream.spools), sum(s.size for s in stream.spools))
        is_heavy = stream.spools[-1].weight >= self._most_weight
        may_wait = stream.table.replaces_windows  # a window is replaced as a whole if possible
        if is_heavy or (is_full and not may_wait):
            self._hand_over(stream)
            if self._commits.may_commit and self._commits.is_full:
                self.commit()
            elif self._commits.is_overfull:
                self._worker.submit(self._steps.hold)

    def load_parquet(self, stream: IncomingStream, batch: BatchFile, extracted: str | None) -> Path | None:
        """Load the rows of a Parquet file, or write them to a JSONL file, which is returned, for a closer look.

        Args:
            stream: Whose rows they are.
            batch: The file.
            extracted: When they were extracted, as a text, if that is known.

        Raises:
            MessageError: The file cannot be read, or DuckDB would read other values than it has.
        """
        self._spools += 1
        link, text = self._folder / f"{self._spools}.parquet", self._folder / f"{self._spools}.jsonl"
        batch.linked(link)
        file = self._worker.ask(lambda: ParquetFile(self._warehouse.con, batch.path, link))
        self._worker.ask(lambda: file.verify(stream.name))
        if undeclared := self._worker.ask(lambda: file.undeclared(stream.table.arriving)):
            self._change(stream, Undeclared(undeclared))
        table, version = stream.table, stream.version
        query = self._worker.ask(lambda: file.query(table, version, extracted))
        if query is None:
            self._worker.ask(lambda: file.write_jsonl(text, table.arriving))
            return text
        self._plan(stream, lambda now, fit: merge.load(self._warehouse, now, fit, file.size, version), query)
        self._commits.add(table, file.rows, file.size)
        return None

    def settle(self, stream: IncomingStream) -> None:
        """Hand over everything that has arrived for a stream so far."""
        if stream.pending:
            self._spool(stream)
        self._hand_over(stream)

    def _hand_over(self, stream: IncomingStream) -> None:
        """Have DuckDB load what the stream has spooled."""
        table, spools, version, rejected = stream.table, stream.spools, stream.version, stream.rejected
        stream.spools, stream.rejected = [], None

        def load(now: Table, query: str) -> Counts:
            with self._warehouse.reading_many() if len(spools) > 1 else nullcontext():
                counts = merge.load(self._warehouse, now, query, sum(spool.size for spool in spools), version)
            for spool in spools:
                spool.records.verify()
                spool.remove()
            return counts

        def reject(now: Table, _: str) -> Counts:
            assert rejected is not None
            counts = merge.reject(self._warehouse, now.stream, rejected_query(rejected))
            rejected.remove()
            return counts

        if spools:
            self._plan(stream, load, " UNION ALL ".join(spool_query(table, spool) for spool in spools))
        if rejected:
            self._plan(stream, reject)

    def commit(self) -> None:
        """Commit everything that was spooled, without the rows of windows that have not arrived again."""
        for stream in self.streams.values():
            self._hand_over(stream)
        state = self._commits.state or b""
        self._clear_windows(state)
        self._clear_scopes(state)
        self._commits.commit()

    def _clear_windows(self, state: bytes) -> None:
        """Remove the rows of windows that are complete, and have not arrived again."""
        told = windows_read(state)
        for name, stream in self.streams.items():
            if stream.table.replaces_windows:
                read = told.get(name)
                edges = (read.first, read.last) if read else None
                self._plan(stream, partial(self._clear, clear_windows, edges))

    def _clear_scopes(self, state: bytes) -> None:
        """Remove or mark the rows that did not come though they would have, unless others share the table."""
        for name, scopes in scopes_read(state).items():
            stream = self.streams.get(name)
            if stream and stream.table.scoped and not self._settings.shared:
                new = [scope for scope in scopes if (name, repr(scope)) not in self._cleared]
                self._cleared |= {(name, repr(scope)) for scope in new}
                self._plan(stream, partial(self._clear, clear_scopes, new))

    def _clear(self, clear: Callable[[Warehouse, Table, _T], Counts], read: _T, now: Table, _: str) -> Counts:
        return clear(self._warehouse, now, read)

    def _try(self, name: str, columns: tuple[Column, ...], *, replaces: bool, versioned: bool = False) -> Table:
        """The table that a stream will have, or the reason why its rows may not be loaded into it."""
        warehouse = self._warehouse

        def prepare() -> Table:
            warehouse.begin()
            evolve.check_relation(warehouse, name)
            warehouse.admission.admit(name, replaces=replaces, is_trying=warehouse.is_trying)
            return evolve.prepare(warehouse, name, columns, versioned=versioned)

        return self._worker.ask(lambda: self._steps.look(prepare))

    def _plan(self, stream: IncomingStream, work: Callable[[Table, str], Counts], query: str = "") -> None:
        """Have the worker do something for a stream, after everything that was planned before."""
        step = Step(stream.name, stream.table, stream.replaces, work, query)
        self._worker.submit(lambda: self._steps.plan(step))
