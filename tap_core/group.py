"""Streams that are read together: one that calls the API, and those that are made from its responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_core.streams.embedded import EmbeddedStream, EnvelopeStream
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import msgspec

    from tap_core.output.emit import Emitter
    from tap_core.reading.fetch import Arrival, Slice
    from tap_core.records.field import Context
    from tap_core.streams.base import CoreStream

__all__ = ["PIECE", "Group"]

PIECE: Final = 200
"""Rows that are written at a time; some APIs send thousands in one response."""


class Group:
    """Writes what arrives at the reading stream as records of all streams of the group.

    Args:
        reader: The stream that calls the API; it need not be selected itself.
        members: The selected streams.
        emitters: Their emitters, by name.
    """

    def __init__(self, reader: CoreStream, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]) -> None:
        self._reader = reader
        self._members = members
        self._emitters = emitters
        self._name = reader.name
        self._own = emitters.get(self._name)
        self._beside = [member for member in members if isinstance(member, EnvelopeStream)]
        self._inside = [
            member
            for member in members
            if isinstance(member, EmbeddedStream) and not isinstance(member, EnvelopeStream)
        ]
        self._slice: Slice | None = None
        self._contexts: dict[str, Context] = {}
        self._shaping: dict[str, Context] = {}

    def write(self, arrival: Arrival) -> None:
        """Write the records of an arrival, which has just been read.

        Raises:
            TapError: A record cannot be emitted.
        """
        if not arrival.rows and (arrival.meta is None or not self._beside):
            return
        extracted = text_of(self._reader.session.clock.now())
        if arrival.slice is not self._slice:
            self._enter(arrival.slice)
        pieces = _pieces(arrival.rows)
        if self._own is not None:
            context = self._contexts[self._name]
            for rows in pieces:
                self._own.rows(rows, context, extracted)
        for member in self._beside:
            self._emitters[member.name].rows(member.beside(arrival), self._contexts[member.name], extracted)
        for child in self._inside:
            for rows in pieces:
                inside = child.rows_in(rows, self._shaping[child.name])
                self._emitters[child.name].rows(inside, self._contexts[child.name], extracted)

    def _enter(self, part: Slice) -> None:
        self._slice = part
        self._shaping = {child.name: self._reader.record_context(part) for child in self._inside}
        self._contexts = {member.name: member.record_context(part) for member in self._members}
        for member in self._members:
            self._emitters[member.name].key_filter = member.key_filter_for(part)


def _pieces(rows: Sequence[msgspec.Raw]) -> list[Sequence[msgspec.Raw]]:
    """A page, cut where it is so long that what becomes of it would not fit into the processor's cache."""
    if len(rows) <= PIECE:
        return [rows]
    return [rows[start : start + PIECE] for start in range(0, len(rows), PIECE)]
