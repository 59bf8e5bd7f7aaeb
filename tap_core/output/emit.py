"""The path of one stream's records, from the rows of a page to RECORD lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import singer_sdk.singerlib as singer
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from tap_core import codec
from tap_core.errors import ConfigError, RecordError
from tap_core.records.columns import Surprise
from tap_core.records.schema import marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_core.codec import Json
    from tap_core.output.messages import MessageWriter
    from tap_core.output.meters import StreamMeter
    from tap_core.records.fast_path import FastPath
    from tap_core.records.field import Context
    from tap_core.records.replication_filter import ReplicationKeyFilter
    from tap_core.records.slow_path import SlowPath

__all__ = ["Emitter"]


class Emitter:
    """Writes the records of one stream.

    Pages take the fast path; a record that does not fit it takes the slow path on its own. Where stream maps or
    flattening are configured, each record goes through the SDK's mapping.

    Args:
        stream: The stream's name.
        stream_maps: What the SDK makes of each record; for a stream without maps, one that changes nothing.
        declared: The stream's schema, with its marks (``x-pii`` and others).
        replication_key: The stream's replication key, if it has one.
        slow_path: Handles a single record.
        fast_path: Handles a page, or None where that is not possible.
        key_filter: When records happened, or None for a stream without a bookmark.
        version: The table version of a snapshot that is to replace older ones, or None.
        writer: Where the messages go.
        meter: Counts the records.
        refuse: Takes note of a record that cannot be emitted; the others go on. It may raise, to end the stream.

    Attributes:
        newest: The latest replication key that was written.
    """

    def __init__(
        self,
        stream: str,
        *,
        stream_maps: Sequence[StreamMap],
        declared: Mapping[str, Any],
        replication_key: str | None,
        slow_path: SlowPath,
        fast_path: FastPath | None,
        key_filter: ReplicationKeyFilter | None,
        version: int | None,
        writer: MessageWriter,
        meter: StreamMeter,
        refuse: Callable[[RecordError], None],
    ) -> None:
        self._stream = stream
        self._stream_maps = stream_maps
        self._declared = declared
        self._replication_key = replication_key
        self._slow_path = slow_path
        self._fast_path = fast_path
        self.key_filter = key_filter
        self._version = version
        self._writer = writer
        self._meter = meter
        self._refuse = refuse
        self._mapped = not all(
            type(step) is SameRecordTransform and not step.flattening_enabled and step.stream_alias == stream
            for step in stream_maps
        )
        self.newest: str | None = None

    def schema(self) -> None:
        """Write the SCHEMA message, with the selected columns only."""
        keys = [self._replication_key] if self._replication_key else None
        for step in self._stream_maps:
            if not isinstance(step, RemoveRecordTransform):
                schema = marked(step.transformed_schema, self._declared)
                self._writer.write_message(
                    singer.SchemaMessage(step.stream_alias, schema, step.transformed_key_properties, keys)
                )

    def activate(self) -> None:
        """Write the ACTIVATE_VERSION message: the snapshot is complete, rows of older versions are gone."""
        if self._version is not None:
            for step in self._stream_maps:
                if not isinstance(step, RemoveRecordTransform):
                    self._writer.write_message(singer.ActivateVersionMessage(step.stream_alias, self._version))

    def rows(self, rows: Sequence[Json], context: Context, extracted: str) -> None:
        """Write records as the API sent them.

        Raises:
            RecordError: A record cannot be emitted, and the stream does not go on without it.
            DriftError: A record does not match the schema, and the policy is to fail.
        """
        if not rows:
            return
        if self._fast_path is None or self._mapped:
            self._records(rows, context, extracted)
            return
        self._write(*self._lines(rows, context), extracted)

    def _lines(self, rows: Sequence[Json], context: Context) -> tuple[bytes, int]:
        """The lines of the records that are wanted, and their number; each half of a page with a surprise is tried."""
        try:
            return self._fast_lines(rows, context)
        except Surprise:
            if len(rows) == 1:
                return self._slow_line(rows[0], context)
        half = len(rows) // 2
        (lines, number), (more, others) = self._lines(rows[:half], context), self._lines(rows[half:], context)
        return lines + more, number + others

    def _fast_lines(self, rows: Sequence[Json], context: Context) -> tuple[bytes, int]:
        """The records of a page that are wanted, each on a line of its own, and their number."""
        assert self._fast_path is not None
        records, wanted = self._fast_path.read(rows, context), self.key_filter
        if wanted is not None:
            if wanted.since is not None or wanted.until is not None:
                records = wanted.only(records, self._fast_path.values(records, wanted.name))
            self._note(self._fast_path.newest(records, wanted.name))
        return codec.encode_lines(records), len(records)

    def _slow_line(self, row: Json, context: Context) -> tuple[bytes, int]:
        record = self._wanted(row, context)
        return (b"", 0) if record is None else (codec.encode(record) + b"\n", 1)

    def _records(self, rows: Iterable[Json], context: Context, extracted: str) -> None:
        """Write records one by one: through stream maps, or because their stream has no typed path."""
        wanted = (record for row in rows if (record := self._wanted(row, context)) is not None)
        if not self._mapped:
            lines = [codec.encode(record) + b"\n" for record in wanted]
            self._write(b"".join(lines), len(lines), extracted)
            return
        for record in wanted:
            for step in self._stream_maps:
                mapped = self._map(step, record)
                if mapped is not None:
                    message = singer.RecordMessage(step.stream_alias, mapped, version=self._version)
                    self._writer.write_line({**message.to_dict(), "time_extracted": extracted})
            self._meter.records += 1

    def _map(self, step: StreamMap, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """A record as a stream map makes it; None if it is filtered out."""
        try:
            mapped: dict[str, Any] | None = step.transform(dict(record))
        except Exception as error:  # noqa: BLE001  whatever a user's expression may raise
            cause = error.__cause__ or error
            missing = getattr(cause, "name", None)
            reason = (
                f"a record has no {missing!r}; record.get({missing!r}) allows that" if missing else type(cause).__name__
            )
            raise ConfigError(f"{self._stream}: an expression in setting 'stream_maps' fails: {reason}") from None
        return mapped

    def _wanted(self, row: Json, context: Context) -> dict[str, Any] | None:
        """The record as it is emitted; None if it is older than the bookmark, or cannot be emitted."""
        try:
            record = self._slow_path.conform(self._slow_path.parse(row), context)
        except RecordError as error:
            self._refuse(error)
            return None
        if self.key_filter is not None:
            value = record.get(self.key_filter.name)
            if not self.key_filter.wants(value):
                return None
            self._note(value)
        return record

    def _note(self, value: str | None) -> None:
        if value and (self.newest is None or value > self.newest):
            self.newest = value

    def _write(self, lines: bytes, number: int, extracted: str) -> None:
        self._writer.write_records(self._stream, lines, rows=number, version=self._version, extracted=extracted)
        self._meter.records += number
