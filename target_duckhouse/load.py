"""The run: messages in, rows and state committed, STATE out.

The main thread reads, checks and spools; the worker has DuckDB to itself. A STATE is written to the output only after
the commit that holds all rows before it.

When is a commit allowed? Where the newest STATE covers every row, always. Rows merged on a key may also be committed
ahead of their STATE, since they may be merged again; rows that are only appended may not, nor the rows of windows that
replace others.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from target_duckhouse.errors import MessageError, TargetError
from target_duckhouse.input import batch
from target_duckhouse.input.exact_lines import Conformer, State, Undeclared
from target_duckhouse.input.messages import Message, read_messages, windows_read
from target_duckhouse.input.parquet import parquet_columns, parquet_query, parquet_size
from target_duckhouse.intake import Intake, Stream
from target_duckhouse.warehouse import evolve, merge
from target_duckhouse.warehouse.database import SYSTEM_TABLES, Counts, Warehouse
from target_duckhouse.warehouse.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from target_duckhouse.settings import Settings

__all__ = ["Load"]

logger = logging.getLogger("target-duckhouse")

_PROGRESS_S = 10.0


class Load:
    """One run over one input.

    Args:
        settings: What the user has set.
        warehouse: Where to. From now on the worker alone may touch it.
        folder: A place for spool files.
        output: Where the values of committed STATE messages go, one a line, as a runner expects them.
    """

    def __init__(self, settings: Settings, warehouse: Warehouse, folder: Path, output: BinaryIO) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._output = output
        self._worker = Worker()
        self._intake = Intake(settings, warehouse, self._worker, folder, self._commit)
        self._hot: Stream | None = None
        self._consumed: list[Path] = []
        self._has_seen_state = False
        self._state: bytes | None = None
        self._last_commit = self._last_progress = time.monotonic()

    def run(self, blocks: Iterable[bytes]) -> None:
        """Load everything.

        Raises:
            LoadError: The input or the warehouse is at fault. What was committed stays, all else is undone.
        """
        try:
            if self._settings.resume_state:
                self._worker.ask(self._hand_back)
            line = 1
            for block in blocks:
                if block:
                    self._read(block if block.endswith(b"\n") else block + b"\n", line)
                    line += block.count(b"\n")
                elif self._intake.confirmed and self._is_due():
                    self._commit()
                self._show_progress()
            self._end()
            self._worker.finish()
        except TargetError:
            raise
        except BaseException:  # a signal: DuckDB must not go on for minutes
            self._worker.close(at_once=True)
            raise
        finally:
            self._worker.close()

    def _hand_back(self) -> None:
        if (state := self._warehouse.last_state()) is not None:
            self._output.write(state + b"\n")
            self._output.flush()

    def _end(self) -> None:
        """Commit what is left, but for rows that the tap never confirmed and will send again."""
        if self._settings.resume_state and self._has_seen_state and not self._intake.confirmed:
            logger.warning("the input ended before a STATE covered its last rows; the next run loads them")
            self._worker.submit(self._warehouse.rollback)
        else:
            self._commit()

    def _read(self, block: bytes, first_line: int) -> None:
        if self._hot is None or not self._read_records(self._hot, block):
            self._read_anything(block, first_line)

    def _read_records(self, stream: Stream, block: bytes) -> bool:
        """Take a block that holds one stream's records and STATE messages alone, none of which needs attention."""
        messages = stream.conformer.check(block)
        if messages is None:
            return self._mend_records(stream, block)
        if State not in set(map(type, messages)):
            self._intake.write(stream, block, len(messages))
            return True
        lines = block.split(b"\n")[:-1]
        if len(lines) != len(messages):
            return False
        start = 0
        for place, message in enumerate(messages):
            if type(message) is State:
                self._intake.write_lines(stream, lines[start:place])
                self._keep_state(bytes(message.value))
                start = place + 1
        self._intake.write_lines(stream, lines[start:])
        return True

    def _mend_records(self, stream: Stream, block: bytes) -> bool:
        mended = stream.conformer.mend(block.split(b"\n")[:-1])
        if mended:
            self._intake.write_lines(stream, *mended)
        return mended is not None

    def _read_anything(self, block: bytes, first_line: int) -> None:
        lines = block.split(b"\n")
        seen: set[str] = set()
        for message, place in read_messages(lines, first_line):
            number = first_line + place
            match message.type:
                case "RECORD":
                    seen.add(message.stream)
                    self._record(message, lines[place], number)
                case "STATE":
                    self._intake.spool_pending()
                    if not bytes(message.value):
                        raise MessageError(f"line {number}: STATE without a value")
                    self._keep_state(bytes(message.value))
                case "SCHEMA":
                    self._schema(message, number)
                case "ACTIVATE_VERSION":
                    self._activate(message, number)
                case "BATCH":
                    self._batch(message, number)
                case _:
                    raise MessageError(f"line {number}: unknown message type {message.type[:40]!r}")
        self._intake.spool_pending()
        self._hot = self._intake.streams[seen.pop()] if len(seen) == 1 else None

    def _find(self, message: Message, number: int) -> Stream:
        try:
            return self._intake.streams[message.stream]
        except KeyError:
            name = message.stream or "without a name"
            raise MessageError(
                f"line {number}: {message.type} of stream {name} before its SCHEMA; the tap must send SCHEMA first"
            ) from None

    def _record(self, message: Message, line: bytes, number: int) -> None:
        stream = self._find(message, number)
        if message.version != stream.version:
            self._intake.settle(stream)
            stream.version = message.version
            self._intake.plan(
                stream, stream.table.columns, versioned=stream.table.versioned or message.version is not None
            )
        stream.pending.append((message, line))

    def _schema(self, message: Message, number: int) -> None:
        name = message.stream
        if not name:
            raise MessageError(f"line {number}: SCHEMA without a stream")
        keys = message.key_properties or []
        identity = bytes(message.schema) + repr(keys).encode()
        known = self._intake.streams.get(name)
        if known and known.schema == identity:
            return
        schema = msgspec.json.decode(message.schema) if bytes(message.schema) else None
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise MessageError(f"line {number}: SCHEMA of stream {name} holds no JSON schema with `properties`")
        columns = evolve.declared_columns(schema, keys)
        if missing := set(keys) - {column.property for column in columns}:
            raise MessageError(f"line {number}: stream {name}: key property `{min(missing)}` is not in the schema")
        if known:
            self._intake.settle(known)
            known.schema = identity
            self._intake.plan(known, columns, versioned=known.table.versioned)
        else:
            self._check_name(name, number)
            table = self._worker.ask(lambda: evolve.prepare(self._warehouse, self._settings, name, columns))
            self._intake.streams[name] = Stream(identity, table, Conformer(name, table.columns, None))
            self._intake.step(name, Counts)

    def _check_name(self, name: str, number: int) -> None:
        if name.casefold() in SYSTEM_TABLES and self._settings.schema.casefold() == "main":
            raise MessageError(f"line {number}: stream {name} has the name of a table of the loader in schema main")
        for other in self._intake.streams:
            if other.casefold() == name.casefold():
                raise MessageError(f"line {number}: streams {other} and {name} would share one table")

    def _activate(self, message: Message, number: int) -> None:
        stream = self._find(message, number)
        if message.version is None:
            raise MessageError(f"line {number}: ACTIVATE_VERSION of stream {message.stream} without a version")
        self._intake.settle(stream)
        if stream.has_batches:
            logger.warning(
                "stream %s: ACTIVATE_VERSION is left out, because BATCH rows have no version", message.stream
            )
            return
        if not stream.table.versioned:
            self._intake.plan(stream, stream.table.columns, versioned=True)
        table, version, hard = stream.table, message.version, self._settings.hard_delete
        self._intake.step(table.stream, lambda: merge.activate(self._warehouse, table, version, hard_delete=hard))

    def _batch(self, message: Message, number: int) -> None:
        stream = self._find(message, number)
        self._intake.settle(stream)
        stream.has_batches = True
        for file in batch.files_of(message, number):
            if file.is_parquet:
                self._parquet(stream, file.path)
            else:
                self._jsonl(stream, file)
            self._consumed.append(file.path)

    def _jsonl(self, stream: Stream, file: batch.BatchFile) -> None:
        line = 1
        for block in batch.record_lines(file, stream.table.stream, self._settings.max_line):
            try:
                if stream.version is not None or not self._read_records(stream, block):
                    self._read_anything(block, line)
            except MessageError as error:
                raise MessageError(f"batch file {file.path}: {error}") from None
            line += block.count(b"\n")

    def _parquet(self, stream: Stream, path: Path) -> None:
        known = {column.property for column in stream.table.columns}
        present = self._worker.ask(lambda: parquet_columns(self._warehouse.con, str(path)))
        if undeclared := [name for name in present if name not in known]:
            self._intake.change(stream, Undeclared(undeclared))
        table, version = stream.table, stream.version

        def load() -> Counts:
            query = parquet_query(self._warehouse.con, table, str(path), version)
            size = parquet_size(self._warehouse.con, str(path))
            return merge.load(self._warehouse, table, query, size, version)

        self._intake.step(table.stream, load)
        self._intake.confirmed = self._intake.confirmed and table.may_repeat

    def _keep_state(self, value: bytes) -> None:
        self._state = value
        self._intake.confirmed = self._has_seen_state = True
        if self._is_due():
            self._commit()

    def _is_due(self) -> bool:
        return self._intake.is_full or time.monotonic() - self._last_commit >= self._settings.flush_interval_s

    def _commit(self) -> None:
        self._intake.hand_over_all()
        state, self._state = self._state, None
        if self._settings.replace_windows and state is not None:
            self._clear_windows(state)
        consumed, self._consumed = self._consumed, []

        def commit() -> None:
            self._warehouse.commit(state)
            for path in consumed:
                path.unlink(missing_ok=True)
            if state is not None:
                self._output.write(state + b"\n")
                self._output.flush()

        self._worker.submit(commit)
        self._last_commit = time.monotonic()

    def _clear_windows(self, state: bytes) -> None:
        """Remove the old rows of windows that were read again and are empty now."""
        for name, windows in windows_read(state).items():
            stream = self._intake.streams.get(name)
            if stream and stream.table.replaces_windows:
                table = stream.table
                self._intake.step(name, partial(merge.clear_windows, self._warehouse, table, windows))

    def _show_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_S:
            self._last_progress = now
            logger.info("%s records read", f"{self._intake.total:,}")
