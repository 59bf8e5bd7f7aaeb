"""Airbyte messages to standard output, made from what the engine writes for Singer."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.airbyte.state import NO_CURSOR, state_of
from tap_core.clock import Clock, real_seconds
from tap_core.errors import (
    AuthError,
    ConfigError,
    ForbiddenError,
    MissingCallError,
    StoppedError,
    TapError,
    TransientError,
)
from tap_core.output.messages import MessageWriter
from tap_core.timestamps import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_core.airbyte.catalog import Wanted

__all__ = ["HEARTBEAT_S", "AirbyteWriter", "Log"]

HEARTBEAT_S: Final = 60.0
"""Seconds without a RECORD or STATE after which a STATE is repeated: the platform counts only these two as signs of
life, and ends a sync that gives none for some hours (https://docs.airbyte.com, Heartbeats)."""

_LEVELS: Final = {"CRITICAL": "FATAL", "WARNING": "WARN"}
_USERS: Final = (ConfigError, AuthError, ForbiddenError, MissingCallError)
"""What goes away when somebody changes a setting or a permission."""


class Log(logging.Handler):
    """Keeps what any thread logs until the main thread writes it, because lines of two threads could mix."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[tuple[str, str]] = deque()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((_LEVELS.get(record.levelname, record.levelname), self.format(record)))

    def clean(self, text: str) -> str:
        """A text without the secrets that this handler's filters know."""
        record = logging.makeLogRecord({"msg": text})
        self.filter(record)
        return record.getMessage()


@dataclass(slots=True)
class _Stream:
    """What was written of a stream."""

    wanted: Wanted
    bookmark: bytes
    status: str = ""
    records: int = 0
    states: int = 0
    expected: int = 0


class AirbyteWriter(MessageWriter):
    """Writes what a run of a tap writes, as messages of the Airbyte protocol.

    Args:
        log: What is logged; it goes out with the messages.
        descriptor: Where messages go; standard output by default.
        heartbeat_s: Seconds until a STATE is repeated.

    Attributes:
        log: What is logged.
        failure: The first thing that a stream has failed with, even if the tap's run has not.
    """

    def __init__(self, log: Log, descriptor: int | None = None, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        super().__init__(descriptor)
        self.failure: TapError | None = None
        self.log = log
        self._heartbeat_s = heartbeat_s
        self._beat = real_seconds()
        self._streams: dict[str, _Stream] = {}
        self._told: set[str] = set()

    def expect(self, wanted: Iterable[Wanted], bookmarks: Mapping[str, Mapping[str, Any]]) -> None:
        """Take note of what is going to be read.

        Args:
            wanted: The streams; nothing is written of others.
            bookmarks: Where the tap's streams begin, by their names.
        """
        self._streams = {each.name: _Stream(each, codec.encode(bookmarks.get(each.source, {}))) for each in wanted}

    def tell(self, message: Mapping[str, Any]) -> None:
        """Write one message, after all that was logged before it.

        Raises:
            OutputError: Standard output is closed, or the disk is full.
        """
        self.tell_log()
        self._add(codec.encode(message) + b"\n")

    def tell_log(self) -> None:
        """Write what was logged."""
        while self.log.lines:
            level, text = self.log.lines.popleft()
            self._add(codec.encode({"type": "LOG", "log": {"level": level, "message": text}}) + b"\n")

    # What a run writes

    @override
    def write_line(self, message: dict[str, Any]) -> None:
        stream = self._streams.get(message.get("stream", ""))
        if message["type"] == "STATE":
            for each in self._streams.values():
                self._state(each, codec.encode(message["value"].get("bookmarks", {}).get(each.wanted.source, {})))
            self.flush()
        elif stream is None:
            return
        elif message["type"] == "SCHEMA" and not stream.status:
            self._status(stream, "STARTED")
        elif message["type"] == "RECORD":
            line = codec.encode(message["record"]) + b"\n"
            self.write_records(stream.wanted.name, line, rows=1, version=None, extracted=message["time_extracted"])

    @override
    def write_records(self, stream: str, records: bytes, *, rows: int, version: int | None, extracted: str) -> None:
        if rows and (found := self._streams.get(stream)) is not None:
            if found.status != "RUNNING":
                self._status(found, "RUNNING")
            found.records += rows
            self._beat = real_seconds()
            super().write_records(stream, records, rows=rows, version=version, extracted=extracted)
            self.tell_log()

    @override
    def frame(self, stream: str, *, version: int | None, extracted: str) -> tuple[bytes, bytes]:
        head = b'{"type":"RECORD","record":{"stream":' + codec.encode(stream) + b',"data":'
        return head, b',"emitted_at":%d}}\n' % int(parse(extracted).timestamp() * 1000)

    @override
    def expected(self, stream: str, rows: int) -> None:
        for each in self._streams.values():
            if each.wanted.source == stream and each.expected != rows:
                each.expected = rows
                self._trace("ESTIMATE", estimate={"name": each.wanted.name, "type": "STREAM", "row_estimate": rows})

    @override
    def idle(self) -> None:
        if real_seconds() - self._beat >= self._heartbeat_s:
            for stream in self._streams.values():
                if stream.status in {"STARTED", "RUNNING"}:
                    self._tell_state(stream)
            self._beat = real_seconds()
        if self.log.lines or self._pieces:
            self.tell_log()
            self.flush()

    @override
    def ended(self, stream: str, failure: TapError | None, *, whole: bool) -> None:
        for each in self._streams.values():
            if each.wanted.source == stream and each.status not in {"COMPLETE", "INCOMPLETE"}:
                self._end(each, failure or (None if whole else self._kept(each)))
        self.flush()

    def _kept(self, stream: _Stream) -> TapError | None:
        """Why a sync fails that would put less than everything in place of what the destination has."""
        if not stream.wanted.replaces:
            return None
        return TransientError(
            f"{stream.wanted.name}: not everything was read, as a line above says, and must not take the place of what"
            " the destination has"
        )

    def finish(self, failure: TapError | None) -> None:
        """Write the end of all streams that the run did not come to, and why, if nobody was told yet."""
        for stream in self._streams.values():
            if stream.status not in {"COMPLETE", "INCOMPLETE"}:
                self._end(stream, failure or TapError(f"{stream.wanted.name}: it was not read"))
        if failure is not None and not self._told:
            self.tell_error(failure)
        self.tell_log()
        self.flush()

    def _end(self, stream: _Stream, failure: TapError | None) -> None:
        if not stream.status:
            self._status(stream, "STARTED")
        told = stream.states and not stream.records
        if not told if stream.wanted.incremental else failure is None:
            self._tell_state(stream)
        if failure is not None:
            self.failure = self.failure or failure
            self.tell_error(failure, stream.wanted.name)
        self._status(stream, "COMPLETE" if failure is None else "INCOMPLETE")

    def _state(self, stream: _Stream, bookmark: bytes) -> None:
        """Write the state of a stream that is read or was, if it covers or says anything new."""
        if stream.wanted.incremental and stream.status and (stream.records or bookmark != stream.bookmark):
            stream.bookmark = bookmark
            self._tell_state(stream)

    def _tell_state(self, stream: _Stream) -> None:
        bookmark = msgspec.Raw(stream.bookmark) if stream.wanted.incremental else NO_CURSOR
        self.tell(state_of(stream.wanted.name, bookmark, stream.records))
        stream.records, stream.states = 0, stream.states + 1
        self._beat = real_seconds()

    def _status(self, stream: _Stream, status: str) -> None:
        stream.status = status
        descriptor = {"name": stream.wanted.name}
        self._trace("STREAM_STATUS", stream_status={"stream_descriptor": descriptor, "status": status})

    def tell_error(self, failure: TapError, stream: str | None = None) -> None:
        """Write what went wrong.

        Args:
            failure: What it was.
            stream: The stream that it is about; None for the whole sync.
        """
        text = self.log.clean(str(failure))
        self._told.add(text)
        error: dict[str, Any] = {
            "message": text,
            "internal_message": f"{type(failure).__name__}, exit code {failure.exit_code}",
            "failure_type": _failure_type(failure),
        }
        if stream is not None:
            error["stream_descriptor"] = {"name": stream}
        self._trace("ERROR", error=error)

    def _trace(self, kind: str, **content: Any) -> None:
        self.tell({"type": "TRACE", "trace": {"type": kind, "emitted_at": int(Clock().time() * 1000), **content}})


def _failure_type(failure: TapError) -> str:
    if isinstance(failure, _USERS):
        return "config_error"
    return "transient_error" if isinstance(failure, TransientError | StoppedError) else "system_error"
