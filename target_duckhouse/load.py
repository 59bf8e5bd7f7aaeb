"""The run: messages in, rows and state committed, STATE out.

The main thread reads, checks and spools; one worker thread has DuckDB to itself. What must happen in order is
submitted in order. A STATE is written to the output only after the commit that holds all rows before it.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import duckdb
import msgspec
from msgspec import Raw

from target_duckhouse import evolve, merge
from target_duckhouse.conform import Conformer, Misfit, Undeclared, Wider
from target_duckhouse.errors import LoadError, MessageError, RecordError, TargetError
from target_duckhouse.messages import Message, read_messages
from target_duckhouse.spool import Spool
from target_duckhouse.warehouse import Counts, Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from target_duckhouse.settings import Settings
    from target_duckhouse.tables import Column, Table

__all__ = ["Load"]

_T = TypeVar("_T")

_WAITING = 2
"""Steps that may wait for DuckDB before reading waits too."""


@dataclass(slots=True)
class _Stream:
    """A stream between its SCHEMA message and its table."""

    schema: bytes
    table: Table
    conformer: Conformer
    spool: Spool | None = None
    pending: list[Raw] = field(default_factory=list)
    version: int | None = None


class Load:
    """One run over one input.

    Args:
        settings: What the user has set.
        warehouse: Where to. From now on the worker thread alone may touch it.
        folder: A place for spool files.
        output: Where committed STATE messages go.
    """

    def __init__(self, settings: Settings, warehouse: Warehouse, folder: Path, output: BinaryIO) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._folder = folder
        self._output = output
        self._streams: dict[str, _Stream] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckdb")
        self._steps: deque[Future[Any]] = deque()
        self._spools = 0
        self._rows = self._bytes = 0
        self._state: tuple[bytes, bytes] | None = None
        self._confirmed = True
        self._broken = False
        self._last_commit = time.monotonic()

    def run(self, blocks: Iterable[bytes]) -> None:
        """Load everything.

        Raises:
            LoadError: The input or the warehouse is at fault. What was committed stays, all else is undone.
        """
        number = 1
        try:
            for block in blocks:
                if block:
                    self._read(block, number)
                    number += block.count(b"\n")
                elif self._confirmed and self._is_due():
                    self._commit()
            self._spool_all()
            self._commit()
            self._drain(0)
        except TargetError:
            raise
        except BaseException:  # a signal: DuckDB must not go on for minutes
            self._broken = True
            self._warehouse.con.interrupt()
            raise
        finally:
            self._worker.shutdown(wait=True)

    def _read(self, block: bytes, first_line: int) -> None:
        lines: list[bytes] | None = None
        for message, number in read_messages(block, first_line):
            match message.type:
                case "RECORD":
                    self._record(message, number)
                case "STATE":
                    lines = lines or block.split(b"\n")
                    self._keep_state(message, lines[number - first_line])
                case "SCHEMA":
                    self._schema(message, number)
                case "ACTIVATE_VERSION":
                    self._activate(message, number)
                case _:
                    raise MessageError(f"line {number}: unknown message type {message.type[:40]!r}")
        self._spool_all()

    def _stream(self, message: Message, number: int) -> _Stream:
        try:
            return self._streams[message.stream]
        except KeyError:
            name = message.stream or "without a name"
            raise MessageError(
                f"line {number}: {message.type} of stream {name} before its SCHEMA; the tap must send SCHEMA first"
            ) from None

    def _record(self, message: Message, number: int) -> None:
        stream = self._streams.get(message.stream) or self._stream(message, number)
        if message.version != stream.version:
            self._spool_stream(stream)
            self._hand_over(stream)
            stream.version = message.version
            if message.version is not None and not stream.table.versioned:
                self._replan(stream, stream.table.columns, versioned=True)
        stream.pending.append(message.record)

    def _schema(self, message: Message, number: int) -> None:
        if not message.stream:
            raise MessageError(f"line {number}: SCHEMA without a stream")
        known = self._streams.get(message.stream)
        keys = message.key_properties or []
        identity = bytes(message.schema) + repr(keys).encode()
        if known and known.schema == identity:
            return
        schema = msgspec.json.decode(message.schema) if bytes(message.schema) else None
        if not isinstance(schema, dict):
            raise MessageError(f"line {number}: SCHEMA of stream {message.stream} holds no JSON schema object")
        columns = evolve.declared_columns(schema, keys)
        if missing := set(keys) - {column.property for column in columns}:
            raise MessageError(
                f"line {number}: stream {message.stream}: key property `{min(missing)}` is not in the schema"
            )
        if known:
            self._spool_stream(known)
            self._hand_over(known)
            known.schema = identity
            self._replan(known, columns, versioned=known.table.versioned)
            return
        table = self._ask(lambda: evolve.prepare(self._warehouse, message.stream, columns))
        self._streams[message.stream] = _Stream(identity, table, Conformer(table.columns))
        self._submit(message.stream, Counts)

    def _activate(self, message: Message, number: int) -> None:
        stream = self._stream(message, number)
        if message.version is None:
            raise MessageError(f"line {number}: ACTIVATE_VERSION of stream {message.stream} without a version")
        self._spool_stream(stream)
        self._hand_over(stream)
        if not stream.table.versioned:
            self._replan(stream, stream.table.columns, versioned=True)
        table, version, hard = stream.table, message.version, self._settings.hard_delete
        self._submit(table.stream, lambda: merge.activate(self._warehouse, table, version, hard_delete=hard))

    def _keep_state(self, message: Message, line: bytes) -> None:
        self._spool_all()
        self._state = (bytes(message.value) or b"null", line)
        self._confirmed = True
        if self._is_due():
            self._commit()

    def _is_due(self) -> bool:
        return (
            self._rows >= self._settings.batch_rows
            or self._bytes >= self._settings.batch_bytes
            or time.monotonic() - self._last_commit >= self._settings.flush_interval_s
        )

    def _spool_all(self) -> None:
        for stream in self._streams.values():
            if stream.pending:
                self._spool_stream(stream)

    def _spool_stream(self, stream: _Stream) -> None:
        """Write the records that wait in memory to the stream's spool file."""
        while stream.pending:
            records = stream.pending
            try:
                lines, plain = stream.conformer.conform(records)
            except (Misfit, Wider, Undeclared):
                self._spool_singly(stream)
                continue
            stream.pending = []
            self._write(stream, lines, len(records), plain=plain)

    def _spool_singly(self, stream: _Stream) -> None:
        """The same for records of which one needs attention: those before it are written, then it is attended to."""
        done: list[bytes] = []
        plain = True
        for index, record in enumerate(stream.pending):
            try:
                line, as_it_came = stream.conformer.one(record)
            except Misfit as misfit:
                raise RecordError(f"stream {stream.table.stream}: {misfit}") from None
            except (Wider, Undeclared) as change:
                self._write(stream, b"".join(done), index, plain=plain)
                stream.pending = stream.pending[index:]
                self._change(stream, change)
                return
            done.append(line)
            plain = plain and as_it_came
        self._write(stream, b"".join(done), len(done), plain=plain)
        stream.pending = []

    def _change(self, stream: _Stream, change: Wider | Undeclared) -> None:
        self._hand_over(stream)
        table = stream.table
        if isinstance(change, Wider):
            new = self._ask(lambda: evolve.widen(self._warehouse, table, change.column, change.sql))
        else:
            new = self._ask(lambda: evolve.add_columns(self._warehouse, table, change.names))
        stream.table, stream.conformer = new, Conformer(new.columns)

    def _replan(self, stream: _Stream, columns: tuple[Column, ...], *, versioned: bool) -> None:
        name = stream.table.stream
        marks = not self._settings.hard_delete
        stream.table = self._ask(
            lambda: evolve.prepare(self._warehouse, name, columns, versioned=versioned, marks_deleted=marks)
        )
        stream.conformer = Conformer(stream.table.columns)

    def _write(self, stream: _Stream, lines: bytes, rows: int, *, plain: bool) -> None:
        if not rows:
            return
        if stream.spool is None:
            self._spools += 1
            stream.spool = Spool(self._folder / f"{self._spools}.jsonl", stream.version)
        try:
            stream.spool.write(lines, rows, plain=plain)
        except OSError as error:
            raise LoadError(f"spool file in {self._folder}: {error.strerror}") from None
        self._rows += rows
        self._bytes += len(lines)
        if not stream.table.keys and not stream.table.versioned:
            self._confirmed = False
        if stream.spool.rows >= self._settings.batch_rows or stream.spool.size >= self._settings.batch_bytes:
            self._hand_over(stream)
            if self._confirmed:  # a merge may be done twice, so it need not wait for its STATE
                self._commit()

    def _hand_over(self, stream: _Stream) -> None:
        """Let DuckDB load the stream's spool file."""
        if stream.spool is None:
            return
        table, spool = stream.table, stream.spool
        stream.spool = None

        def work() -> Counts:
            try:
                return merge.load(self._warehouse, table, spool)
            finally:
                spool.remove()

        self._submit(table.stream, work)

    def _commit(self) -> None:
        for stream in self._streams.values():
            self._hand_over(stream)
        state, self._state = self._state, None

        def work() -> None:
            self._warehouse.commit(state[0] if state else None)
            if state:
                self._output.write(state[1] + b"\n")
                self._output.flush()

        self._push(work)
        self._rows = self._bytes = 0
        self._last_commit = time.monotonic()

    def _submit(self, stream: str, work: Callable[[], Counts]) -> None:
        self._push(lambda: self._warehouse.timed(stream, work))

    def _push(self, work: Callable[[], None]) -> None:
        self._steps.append(self._worker.submit(self._guarded, work))
        self._drain(_WAITING)

    def _ask(self, work: Callable[[], _T]) -> _T:
        self._drain(0)
        return _result(self._worker.submit(self._guarded, work))

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Do one step, unless one before it failed: what follows a failure must not be committed."""
        if self._broken:
            raise LoadError("stopped after an error")
        try:
            return work()
        except BaseException:
            self._broken = True
            raise

    def _drain(self, allowed: int) -> None:
        """Wait until no more than so many steps are under way; the first one that failed ends the run."""
        while self._steps and (len(self._steps) > allowed or self._steps[0].done()):
            _result(self._steps.popleft())


def _result(step: Future[_T]) -> _T:
    try:
        return step.result()
    except duckdb.Error as error:
        raise LoadError(f"DuckDB: {str(error).splitlines()[0]}") from error
    except BrokenPipeError:
        raise LoadError("nobody reads the STATE messages any more; all rows before the last one are loaded") from None
