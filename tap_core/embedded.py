"""Streams without a request of their own: their rows come in the answers to another stream's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_core.conform import CANONICAL
from tap_core.emit import decode_row
from tap_core.errors import ApiError
from tap_core.stream import CoreStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import msgspec

    from tap_core.fetch import Arrival
    from tap_core.fields import Scope

__all__ = ["EmbeddedStream", "EnvelopeStream"]


class EmbeddedStream(CoreStream):
    """A stream whose rows stand inside the records of another one; it makes no request of its own.

    Attributes:
        embedded_in: The stream that holds the rows.
        rows_at: The column of that stream with the rows.
        from_parent: Columns that come from the parent's record: own name -> the parent's.
        numbered: The column that gets the row's position, from 1, or None.
    """

    embedded_in: ClassVar[type[CoreStream]]
    rows_at: ClassVar[str]
    from_parent: ClassVar[Mapping[str, str]]
    numbered: ClassVar[str | None] = None

    dialect = CANONICAL

    @property
    def parent(self) -> CoreStream:
        """The stream that holds the rows."""
        return self.tap.stream(self.embedded_in)

    @override
    def probe(self) -> bool:
        return self.parent.probe()

    def extract(self, parent: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The rows inside a parent's record."""
        inherited = {name: parent.get(source) for name, source in self.from_parent.items()}
        for position, row in enumerate(parent.get(self.rows_at) or (), start=1):
            if row is None:
                continue
            if not isinstance(row, dict):
                raise ApiError(f"{self.name}: a row inside {self.parent.name} is not a JSON object")
            numbered = {self.numbered: position} if self.numbered else {}
            yield {**row, **inherited, **numbered}

    def rows_in(self, record: Mapping[str, Any], scope: Scope) -> Iterator[dict[str, Any]]:
        """The rows inside a record of the stream that is read, however deep they stand."""
        parent = self.parent
        if isinstance(parent, EmbeddedStream):
            for row in parent.rows_in(record, scope):
                yield from self.extract(parent.conformer.shape(row, scope))
        else:
            yield from self.extract(record)

    @override
    def shaped_rows(self) -> Iterator[tuple[dict[str, Any], Scope]]:
        for parent, scope in self.parent.shaped_rows():
            for row in self.extract(parent):
                yield self.conformer.shape(row, scope), scope


class EnvelopeStream(EmbeddedStream):
    """A stream whose rows stand beside the rows of another one, in the envelope of its answers.

    The other stream's `CoreStream.page` hands them over as ``Page.meta``.
    """

    def beside(self, arrival: Arrival) -> Sequence[msgspec.Raw]:
        """The rows in the envelope of an answer."""
        raise NotImplementedError

    @override
    def shaped_rows(self) -> Iterator[tuple[dict[str, Any], Scope]]:
        for arrival in self.parent.arrivals():
            scope = self.scope(arrival.slice)
            for row in self.beside(arrival):
                yield self.conformer.shape(decode_row(row), scope), scope
