"""The way of one stream's records, from the rows of a page to RECORD lines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import singer_sdk.singerlib as singer
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from tap_core.errors import ApiError, ConfigError
from tap_core.messages import as_json
from tap_core.schema import marked
from tap_core.typed import Surprise, TypedPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_core.conform import Conformer
    from tap_core.fields import Scope
    from tap_core.messages import MessageWriter
    from tap_core.progress import StreamMeter
    from tap_core.stream import CoreStream

__all__ = ["Emitter", "Marker", "decode_row"]

Row = bytes | msgspec.Raw

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_row(row: Row) -> Any:
    """A record as plain Python; numbers with a fraction as exact decimals."""
    return _decode(row)


@dataclass(frozen=True, slots=True)
class Marker:
    """How a stream's records are placed in time.

    Args:
        name: The replication key.
        since: Records before are left out; None leaves nothing out.
        until: Records from then on are left out; None leaves nothing out.
    """

    name: str
    since: str | None = None
    until: str | None = None

    def wants(self, value: str | None) -> bool:
        """Whether a record is emitted. One without a value always is."""
        if value is None:
            return True
        return (self.since is None or value >= self.since) and (self.until is None or value < self.until)


class Emitter:
    """Writes the records of one stream.

    Pages take the typed path; a record that does not fit it takes the long way by itself. Where stream maps or
    flattening are configured, each record goes through the SDK's mapping.

    Args:
        stream: The stream.
        conformer: The long way.
        typed: The short way, or None where there is none.
        marker: How records are placed in time, or None for a stream without bookmark.
        writer: Where the messages go.
        meter: Counts the records.
    """

    def __init__(
        self,
        stream: CoreStream,
        *,
        conformer: Conformer,
        typed: TypedPath | None,
        marker: Marker | None,
        writer: MessageWriter,
        meter: StreamMeter,
    ) -> None:
        self.stream = stream
        self._conformer = conformer
        self._typed = typed
        self.marker = marker
        self._writer = writer
        self.meter = meter
        self._mapped = not all(
            type(step) is SameRecordTransform and not step.flattening_enabled and step.stream_alias == stream.name
            for step in stream.stream_maps
        )
        self.version: int | None = None
        self.newest: str | None = None

    def schema(self) -> None:
        """Write the SCHEMA message, with the selected columns only."""
        keys = [self.stream.replication_key] if self.stream.replication_key else None
        for step in self.stream.stream_maps:
            if not isinstance(step, RemoveRecordTransform):
                schema = marked(step.transformed_schema, self.stream.schema)
                self._writer.write_message(
                    singer.SchemaMessage(step.stream_alias, schema, step.transformed_key_properties, keys)
                )

    def activate(self) -> None:
        """Write the ACTIVATE_VERSION message: the snapshot is complete, rows of older versions are gone."""
        if self.version is not None:
            for step in self.stream.stream_maps:
                if not isinstance(step, RemoveRecordTransform):
                    self._writer.write_message(singer.ActivateVersionMessage(step.stream_alias, self.version))

    def rows(self, rows: Sequence[Row], scope: Scope, extracted: str) -> None:
        """Write records as the API sent them.

        Raises:
            ApiError: A record cannot be emitted at all.
            DriftError: A record is not as the schema says, and the policy is to fail.
        """
        if not rows:
            return
        if self._typed is None or self._mapped:
            self._records(map(self._parsed, rows), scope, extracted)
            return
        try:
            lines = self._typed_lines(rows, scope)
        except Surprise:
            lines = [line for row in rows for line in self._line(row, scope)]
        self._write(lines, extracted)

    def _parsed(self, row: Row) -> Any:
        try:
            return _decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError(f"{self.stream.name}: a record is not valid JSON") from None

    def _typed_lines(self, rows: Sequence[Row], scope: Scope) -> list[bytes]:
        assert self._typed is not None
        records = self._typed.read(rows, scope)
        if self.marker is not None:
            values = self._typed.values(records, self.marker.name)
            if self.marker.since is not None or self.marker.until is not None:
                wanted = [self.marker.wants(value) for value in values]
                records = [record for record, keep in zip(records, wanted, strict=True) if keep]
                values = [value for value, keep in zip(values, wanted, strict=True) if keep]
            self._note(values)
        return self._typed.lines(records)

    def _line(self, row: Row, scope: Scope) -> list[bytes]:
        """One record of a page that has a surprise in it."""
        try:
            return self._typed_lines([row], scope)
        except Surprise:
            record = self._wanted(self._parsed(row), scope)
            return [] if record is None else [as_json(record)]

    def _records(self, rows: Iterable[Mapping[str, Any]], scope: Scope, extracted: str) -> None:
        """Write records one by one: through stream maps, or because their stream has no typed path."""
        wanted = (record for row in rows if (record := self._wanted(row, scope)) is not None)
        if not self._mapped:
            self._write([as_json(record) for record in wanted], extracted)
            return
        for record in wanted:
            for step in self.stream.stream_maps:
                mapped = self._map(step, record)
                if mapped is not None:
                    message = singer.RecordMessage(step.stream_alias, mapped, version=self.version)
                    self._writer.write_line({**message.to_dict(), "time_extracted": extracted})
            self.meter.records += 1

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
            raise ConfigError(f"{self.stream.name}: an expression in setting 'stream_maps' fails: {reason}") from None
        return mapped

    def _wanted(self, row: Mapping[str, Any], scope: Scope) -> dict[str, Any] | None:
        record = self._conformer.conform(row, scope)
        if self.marker is not None:
            value = record.get(self.marker.name)
            if not self.marker.wants(value):
                return None
            self._note([value])
        return record

    def _note(self, values: Iterable[str | None]) -> None:
        found = [value for value in values if value is not None]
        if found:
            newest = max(found)
            self.newest = newest if self.newest is None else max(self.newest, newest)

    def _write(self, lines: Sequence[bytes], extracted: str) -> None:
        self._writer.write_records(self.stream.name, lines, version=self.version, extracted=extracted)
        self.meter.records += len(lines)
