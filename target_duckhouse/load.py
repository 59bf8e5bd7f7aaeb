"""The run: messages in, rows and state committed, STATE out.

The main thread reads, checks and spools; the worker has DuckDB to itself. A STATE is written to the output only after
the commit that holds all rows before it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from target_duckhouse.commits import Commits
from target_duckhouse.errors import MessageError, TargetError
from target_duckhouse.input import batch
from target_duckhouse.input.exact_lines import State
from target_duckhouse.input.json_texts import SpoolLines
from target_duckhouse.input.messages import (
    NOTHING,
    UNREADABLE,
    SingerMessage,
    by_head,
    calls_told,
    failed_told,
    read_messages,
    stream_of,
)
from target_duckhouse.intake import IncomingStream, Intake
from target_duckhouse.names import fold
from target_duckhouse.warehouse import evolve
from target_duckhouse.warehouse.database import SYSTEM_TABLES, Warehouse
from target_duckhouse.warehouse.steps import Steps
from target_duckhouse.warehouse.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Load"]

logger = logging.getLogger("target-duckhouse")

_PROGRESS_S = 10.0
_RAREST_S = 300.0


class Load:
    """One run over one input.

    Args:
        warehouse: Where rows go. From now on only the worker may touch it.
        folder: Where spool files are kept.
        output: Where the values of committed STATE messages go, one per line, as a runner expects them.
    """

    def __init__(self, warehouse: Warehouse, folder: Path, output: BinaryIO) -> None:
        self._settings = warehouse.settings
        self._worker = Worker()
        self._warehouse = warehouse
        self._steps = Steps(warehouse)
        self._commits = Commits(warehouse, self._steps, self._worker, output)
        self._intake = Intake(warehouse, self._steps, self._worker, self._commits, folder)
        self._hot: IncomingStream | None = None
        self._batch_files: set[tuple[int, ...]] = set()
        self._last_progress, self._progress_s = time.monotonic(), _PROGRESS_S

    def run(self, blocks: Iterable[bytes]) -> None:
        """Load everything.

        Raises:
            LoadError: The input or the warehouse is at fault. What was committed stays, everything else is undone.
        """
        try:
            if self._settings.resume_state:
                self._commits.hand_back()
            line = 1
            for block in blocks:
                if block:
                    whole = block if block.endswith(b"\n") else block + b"\n"
                    count = whole.count(b"\n")
                    self._read(whole, line, count)
                    line += count
                else:
                    self._commit_if_due()
                self._show_progress()
            self._end()
            self._worker.finish()
        except TargetError:
            raise
        except BaseException:  # nothing more is to be loaded
            self._worker.close(at_once=True)
            raise
        finally:
            self._worker.close()

    def _end(self) -> None:
        """Commit what is left, except rows that no STATE covers and that the tap will send again."""
        if self._settings.resume_state and self._commits.has_seen_state and not self._commits.may_commit:
            logger.warning("the input ended before a STATE covered its last rows; the next run will load them")
            self._commits.roll_back()
        else:
            self._intake.commit()
        self._warehouse.named.tell({name: stream.table for name, stream in self._intake.streams.items()})

    def _read(self, block: bytes, first_line: int, count: int) -> None:
        if not (self._hot and self._read_records(self._hot, block, count)) and not self._read_streams(block):
            self._read_anything(block, first_line)

    def _read_records(self, stream: IncomingStream, block: bytes, count: int) -> bool:
        """Take a block if it holds only STATE messages, and records of one stream that need little attention."""
        parts = stream.lines.read(block, count)
        for part in parts or ():
            if isinstance(part, State):
                self._state(*part)
            else:
                self._intake.write(stream, part)
        return parts is not None

    def _read_streams(self, block: bytes) -> bool:
        """Take a block if it holds only records of several streams, all of which need little attention."""
        groups = by_head(block.split(b"\n")[:-1])
        names = [stream_of(head) for head in groups]
        if len(names) == 1 or len(set(names)) < len(names):  # records of one stream would change places
            return False
        taken: list[tuple[IncomingStream, SpoolLines]] = []
        for name, lines in zip(names, groups.values(), strict=True):
            stream = self._intake.streams.get(name)
            parts = stream.lines.read(b"\n".join(lines) + b"\n", len(lines)) if stream else None
            if stream is None or parts is None:
                return False
            taken += [(stream, part) for part in parts if isinstance(part, SpoolLines)]
        for stream, part in taken:
            self._intake.write(stream, part)
        self._hot = None
        return True

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
                    if message.value is NOTHING:
                        raise MessageError(f"line {number}: STATE without a value")
                    self._state(message.value, lines[place])
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

    def _find(self, message: SingerMessage, number: int) -> IncomingStream:
        try:
            return self._intake.streams[message.stream]
        except KeyError:
            name = message.stream or "without a name"
            raise MessageError(
                f"line {number}: {message.type} of stream {name} before its SCHEMA; the tap must send SCHEMA first"
            ) from None

    def _record(self, message: SingerMessage, line: bytes, number: int) -> None:
        stream = self._find(message, number)
        if message.version != stream.version:
            self._intake.expect_version(stream, message.version)
        stream.pending.append((message, line, number))

    def _schema(self, message: SingerMessage, number: int) -> None:
        name = message.stream
        if not name:
            raise MessageError(f"line {number}: SCHEMA without a stream")
        keys = message.key_properties or []
        identity = bytes(message.schema) + repr(keys).encode()
        known = self._intake.streams.get(name)
        if known and known.schema == identity:
            return
        try:
            schema = msgspec.json.decode(message.schema) if bytes(message.schema) else None
        except UNREADABLE as error:
            raise MessageError(f"line {number}: SCHEMA of stream {name} cannot be read: {error}") from None
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise MessageError(f"line {number}: SCHEMA of stream {name} does not hold a JSON schema with `properties`")
        columns = evolve.declared_columns(schema, keys)
        if missing := set(keys) - {column.property for column in columns}:
            raise MessageError(f"line {number}: stream {name}: key property `{min(missing)}` is not in the schema")
        if not known:
            self._check_name(name, number)
        self._intake.declare(name, identity, columns, evolve.described(schema))

    def _check_name(self, name: str, number: int) -> None:
        if fold(name) in SYSTEM_TABLES and fold(self._settings.schema) == "main":
            raise MessageError(
                f"line {number}: stream {name} has the same name as one of the loader's own tables in schema main"
            )
        for other in self._intake.streams:
            if fold(other) == fold(name):
                raise MessageError(f"line {number}: streams {other} and {name} would share one table")

    def _activate(self, message: SingerMessage, number: int) -> None:
        stream = self._find(message, number)
        if message.version is None:
            raise MessageError(f"line {number}: ACTIVATE_VERSION of stream {message.stream} without a version")
        self._intake.activate(stream, message.version)

    def _batch(self, message: SingerMessage, number: int) -> None:
        stream = self._find(message, number)
        self._intake.spool_pending()
        if message.version != stream.version:
            self._intake.expect_version(stream, message.version)
        stream.brought.add(message.version)
        for file in batch.files_of(message, number, self._batch_files):
            if file.is_parquet:
                self._intake.settle(stream)
                if text := self._intake.load_parquet(stream, file, message.time_extracted):
                    self._jsonl(stream, message, msgspec.structs.replace(file, path=text), file.path)
                    text.unlink()
            elif not self._intake.write_bare(stream, file, message.time_extracted):
                self._jsonl(stream, message, file, file.path)
            self._commits.consume(file)

    def _jsonl(self, stream: IncomingStream, message: SingerMessage, file: batch.BatchFile, source: Path) -> None:
        """Load the records of a file as those of RECORD messages."""
        line = 1
        self._intake.source = f"batch file {source}: "
        for block in batch.record_lines(file, message, self._settings.max_line):
            count = block.count(b"\n")
            try:
                if not self._read_records(stream, block, count):
                    self._read_anything(block, line)
            except MessageError as error:
                raise MessageError(f"{self._intake.source}{error}") from None
            line += count
        self._intake.source = ""

    def _state(self, value: msgspec.Raw, line: bytes) -> None:
        try:
            line.decode()
        except UnicodeDecodeError:
            raise MessageError("a STATE message is not UTF-8; nothing is loaded beyond the last commit") from None
        if not self._intake.streams:
            self._worker.ask(lambda: self._steps.look(lambda: self._warehouse.admission.begin(bytes(value))))
        if calls := calls_told(line):
            self._warehouse.loads.calls = calls
        self._warehouse.loads.failed |= failed_told(line)
        self._commits.cover(value, len(line))
        self._commit_if_due()

    def _commit_if_due(self) -> None:
        """Commit, but not before the first stream is let in: a run that is refused leaves no state behind."""
        if self._intake.streams and self._commits.may_commit and self._commits.is_due:
            self._intake.commit()

    def _show_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_progress >= self._progress_s:
            self._last_progress = now
            self._progress_s = min(2 * self._progress_s, _RAREST_S)
            logger.info("%s records read", f"{self._commits.total:,}")
