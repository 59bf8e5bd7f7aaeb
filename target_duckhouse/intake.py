"""The records of each stream on their way to DuckDB: checked, spooled, handed over."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from target_duckhouse.errors import RecordError
from target_duckhouse.input.exact_lines import Conformer, Undeclared
from target_duckhouse.input.exact_values import Misfit, Wider
from target_duckhouse.input.parquet import spool_query
from target_duckhouse.input.spool import Spool
from target_duckhouse.warehouse import evolve, merge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_duckhouse.input.messages import Message
    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.database import Counts, Warehouse
    from target_duckhouse.warehouse.tables import Column, Table
    from target_duckhouse.warehouse.worker import Worker

__all__ = ["Intake", "Stream"]

logger = logging.getLogger("target-duckhouse")


@dataclass(slots=True)
class Stream:
    """A stream between its SCHEMA message and its table."""

    schema: bytes
    table: Table
    conformer: Conformer
    version: int | None = None
    spool: Spool | None = None
    rejected: Spool | None = None
    has_batches: bool = False
    pending: list[tuple[Message, bytes]] = field(default_factory=list)


class Intake:
    """The streams of a run and their spool files.

    Args:
        settings: What the user has set.
        warehouse: Where to; only the worker touches it.
        worker: Does what is to be done in DuckDB.
        folder: A place for spool files.
        commit: Commits; called when a spool file is full and nothing stands against it.
    """

    def __init__(
        self, settings: Settings, warehouse: Warehouse, worker: Worker, folder: Path, commit: Callable[[], None]
    ) -> None:
        self.streams: dict[str, Stream] = {}
        self.total = self.rows = self.size = 0
        self.confirmed = True
        self._settings = settings
        self._most_bytes = min(settings.batch_bytes, warehouse.memory // 2)
        self._most_weight = warehouse.memory // 16
        self._warehouse = warehouse
        self._worker = worker
        self._folder = folder
        self._commit = commit
        self._spools = 0

    def spool_pending(self) -> None:
        """Write all records that wait in memory to spool files."""
        for stream in self.streams.values():
            if stream.pending:
                self._spool(stream)

    def _spool(self, stream: Stream) -> None:
        """Write the records that wait in memory to the stream's spool file."""
        lines = [line for _, line in stream.pending]
        if stream.conformer.check(b"\n".join(lines)) is not None:
            stream.pending = []
            self.write_lines(stream, lines)
            return
        done: list[bytes] = []
        overridden: frozenset[str] = frozenset()
        for message, line in stream.pending:
            while True:
                try:
                    spooled, texts = stream.conformer.conform(message, line)
                except Misfit as misfit:
                    self._reject(stream, message, misfit)
                    break
                except (Wider, Undeclared) as change:
                    self.write_lines(stream, done, overridden)
                    done, overridden = [], frozenset()
                    if isinstance(change, Undeclared):  # all that are in sight at once
                        change = Undeclared(stream.conformer.undeclared(message for message, _ in stream.pending))
                    self.change(stream, change)
                else:
                    done.append(spooled)
                    overridden |= texts
                    break
        stream.pending = []
        self.write_lines(stream, done, overridden)

    def _reject(self, stream: Stream, message: Message, misfit: Misfit) -> None:
        if self._settings.on_bad_record == "stop":
            raise RecordError(f"stream {stream.table.stream}: {misfit}")
        if stream.rejected is None:
            stream.rejected = self._new_spool(stream)
            logger.warning("stream %s: a record was rejected: %s", stream.table.stream, misfit)
        entry = {"reason": str(misfit), "record": bytes(message.record).decode(errors="backslashreplace")}
        stream.rejected.write(msgspec.json.encode(entry) + b"\n", 1)

    def _new_spool(self, stream: Stream) -> Spool:
        self._spools += 1
        return Spool(self._folder / f"{self._spools}.jsonl", stream.version)

    def change(self, stream: Stream, change: Wider | Undeclared) -> None:
        """Give a value that is allowed, but has no room in the table, its room."""
        self.hand_over(stream)
        table = stream.table
        if isinstance(change, Wider):
            stream.table = self._worker.ask(lambda: evolve.widen(self._warehouse, table, change.column, change.sql))
        else:
            stream.table = self._worker.ask(
                lambda: evolve.add_columns(self._warehouse, self._settings, table, change.names)
            )
        stream.conformer = Conformer(table.stream, stream.table.columns, stream.version)
        if self.confirmed:  # DuckDB keeps a table's old forms until then
            self._commit()

    def plan(self, stream: Stream, columns: tuple[Column, ...], *, versioned: bool) -> None:
        """Bring the stream's table into line with other columns, or with versions."""
        name = stream.table.stream
        stream.table = self._worker.ask(
            lambda: evolve.prepare(self._warehouse, self._settings, name, columns, versioned=versioned)
        )
        stream.conformer = Conformer(name, stream.table.columns, stream.version)

    def write_lines(self, stream: Stream, lines: list[bytes], overridden: frozenset[str] = frozenset()) -> None:
        """Write lines, which may be none, to the stream's spool file."""
        if lines:
            self.write(stream, b"\n".join(lines) + b"\n", len(lines), overridden)

    def write(self, stream: Stream, lines: bytes, rows: int, overridden: frozenset[str] = frozenset()) -> None:
        """Write whole lines to the stream's spool file; one that is full goes to DuckDB."""
        if stream.spool is None:
            stream.spool = self._new_spool(stream)
        spool = stream.spool
        spool.write(lines, rows, overridden)
        self.rows += rows
        self.total += rows
        self.size += len(lines)
        if not stream.table.may_repeat:
            self.confirmed = False
        is_full = self._is_enough(spool.rows, spool.size)
        is_heavy = spool.weight >= self._most_weight
        if is_heavy or (
            is_full and not stream.table.replaces_windows
        ):  # a window is replaced as a whole where it can be
            self.hand_over(stream)
            if self.confirmed and self.is_full:
                self._commit()

    @property
    def is_full(self) -> bool:
        """Whether so much has come that it should be committed."""
        return self._is_enough(self.rows, self.size)

    def _is_enough(self, rows: int, size: int) -> bool:
        return rows >= self._settings.batch_rows or size >= self._most_bytes

    def settle(self, stream: Stream) -> None:
        """Have everything loaded that came for a stream so far."""
        if stream.pending:
            self._spool(stream)
        self.hand_over(stream)

    def hand_over(self, stream: Stream) -> None:
        """Let DuckDB load what the stream has spooled."""
        table, spool, rejected = stream.table, stream.spool, stream.rejected
        stream.spool = stream.rejected = None

        def load(spool: Spool) -> Counts:
            counts = merge.load(self._warehouse, table, spool_query(table, spool), spool.size, spool.version)
            spool.remove()
            return counts

        def reject(spool: Spool) -> Counts:
            counts = merge.reject(self._warehouse, table, spool)
            spool.remove()
            return counts

        if spool:
            self.step(table.stream, partial(load, spool))
        if rejected:
            self.step(table.stream, partial(reject, rejected))

    def step(self, stream: str, work: Callable[[], Counts]) -> None:
        """Have DuckDB do something for a stream, and count it."""
        self._worker.submit(lambda: self._warehouse.timed(stream, work))

    def hand_over_all(self) -> None:
        """The same for all streams; the counts towards the next commit begin anew."""
        for stream in self.streams.values():
            self.hand_over(stream)
        self.rows = self.size = 0
