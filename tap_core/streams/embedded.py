"""Streams without requests of their own: their rows come in the responses to another stream's requests."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import RecordError
from tap_core.records.columns import Surprise
from tap_core.records.dialect import CANONICAL
from tap_core.records.schema import EXTRA
from tap_core.records.slow_path import LEFT
from tap_core.streams.base import CoreStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_core.codec import Json
    from tap_core.reading.fetch import Arrival
    from tap_core.records.fast_path import FastPath
    from tap_core.records.field import Context

__all__ = ["EmbeddedStream", "EnvelopeStream"]


class EmbeddedStream(CoreStream):
    """A stream whose rows are inside the records of another one; it makes no requests of its own.

    Attributes:
        embedded_in: The stream that holds the rows.
        rows_at: The column of that stream with the rows; empty where its records are the rows.
        from_parent: Columns that come from the parent's record: own name -> the parent's.
        numbered: The column that gets the row's position, from 1, or None.

    If none of the parent's records has the member with the rows, the API does not send them, and none of them is gone.
    """

    embedded_in: ClassVar[type[CoreStream]]
    rows_at: ClassVar[str] = ""
    from_parent: ClassVar[Mapping[str, str]] = {}
    numbered: ClassVar[str | None] = None

    dialect = CANONICAL
    _met = False

    @property
    def parent(self) -> CoreStream:
        """The stream that holds the rows."""
        return self.session.stream(self.embedded_in)

    @property
    @override
    def reader(self) -> CoreStream:
        return self.parent.reader

    @override
    def narrowed_to(self) -> Any:
        return self.parent.narrowed_to()

    @property
    @override
    def tells_gone(self) -> bool:
        return super().tells_gone and self.parent.tells_gone

    @cached_property
    def _parents_path(self) -> FastPath | None:
        """The fast path of the parent's records as far as their rows need it, if they can take it."""
        parent = self.parent
        every = parent.root.properties or {}
        return parent.fast_path_to({self.rows_at, *self.from_parent.values()} if self.rows_at else every.keys())

    @override
    def refuse(self, error: RecordError) -> None:
        self.parent.refuse(error)

    @override
    def probe(self) -> bool:
        return self.parent.probe()

    def rows_in(self, records: Sequence[Json], context: Context) -> Sequence[Json]:
        """The rows inside records of the stream that is read, however deep they are.

        Args:
            records: The JSON of each record.
            context: What the records themselves do not say.

        Raises:
            DriftError: A parent does not match its schema, and the policy is to fail.
        """
        parent = self.parent
        if isinstance(parent, EmbeddedStream):
            records = parent.rows_in(records, context)
        if (fast_path := self._parents_path) is not None:
            with suppress(Surprise):
                return self._cut(fast_path, records, context)
        return [row for record in records for row in self._rows_in_one(record, context)]

    def _rows_in_one(self, record: Json, context: Context) -> Sequence[bytes]:
        """The rows inside one record of the parent."""
        if (fast_path := self._parents_path) is not None:
            with suppress(Surprise):
                return self._cut(fast_path, [record], context)
        try:
            parent = self.parent.slow_path.shape(self.parent.slow_path.parse(record), context)
        except RecordError as error:
            self.parent.pass_over(error)
            return ()
        return [codec.encode(row) for row in self.extract(parent)]

    def _cut(self, fast_path: FastPath, records: Sequence[Json], context: Context) -> list[bytes]:
        """The rows inside records of the parent, at the speed of msgspec.

        Raises:
            Surprise: A record does not fit the parent's types, or its rows are not objects.
        """
        parents = fast_path.shape(records, context)
        if not self.rows_at:
            return fast_path.lines(parents)
        found = fast_path.values(parents, self.rows_at)
        self._look_at(found)
        lists = [_listed(rows) for rows in found]
        lines = fast_path.lines([row for rows in lists for row in rows])
        ours = (*([self.numbered] if self.numbered else []), *self.from_parent)
        text = b"\n".join(lines)
        if any(b'"%b":' % name.encode() in text for name in ours):
            raise Surprise  # a row may say something else under a name of ours
        values = [fast_path.values(parents, source) for source in self.from_parent.values()]
        inherited = [dict(zip(self.from_parent, each, strict=True)) for each in zip(*values, strict=True)]
        shared = fast_path.lines(inherited or [{}] * len(parents))
        number = (self.numbered or "").encode()
        cut: list[bytes] = []
        following = iter(lines)
        for rows, more in zip(lists, shared, strict=True):
            end = b"," + more[1:] if len(more) > len(b"{}") else b"}"
            for position, line in enumerate(islice(following, len(rows)), start=1):
                place = b',"%b":%d' % (number, position) if number else b""
                if (begin := line[:-1].rstrip()).startswith(b"{"):
                    cut.append(begin + place + end if begin != b"{" else begin + (place + end).removeprefix(b","))
                elif line != b"null":
                    raise Surprise
        return cut

    def _look_at(self, lists: Sequence[Any]) -> None:
        """See whether records of the parent have the member with the rows."""
        if lists and not self._met:
            self._met = self.complete = any(rows is not None for rows in lists)

    def _numbered(self, position: int) -> dict[str, Any]:
        return {self.numbered: position} if self.numbered else {}

    def extract(self, parent: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The rows inside a parent's record. What the parent's schema had no room for is back in the row."""
        if not self.rows_at:
            yield dict(parent)
            return
        inherited = {name: parent.get(source) for name, source in self.from_parent.items()}
        surprises: Mapping[str, Any] = parent.get(EXTRA) or {}
        self._look_at([parent.get(self.rows_at)])
        for position, row in enumerate(parent.get(self.rows_at) or (), start=1):
            if row is None:
                continue
            if not isinstance(row, dict):
                self.refuse(RecordError(f"{self.name}: a row inside {self.parent.name} is not a JSON object"))
                continue
            place = f"{self.rows_at}[{position - 1}]."
            again = {path.removeprefix(place): value for path, value in surprises.items() if path.startswith(place)}
            ours = self._numbered(position) | inherited
            clashing = [[name, row[name]] for name in ours if row.get(name) not in (None, ours[name])]
            yield {**row, **again, **ours, **({LEFT: clashing} if clashing else {})}

    @override
    def shaped_rows(self) -> Iterator[tuple[dict[str, Any], Context]]:
        for parent, context in self.parent.shaped_rows():
            for row in self.extract(parent):
                yield self.slow_path.shape(row, context), context


class EnvelopeStream(EmbeddedStream):
    """A stream whose rows are next to the rows of another one, in the envelope of its responses.

    The other stream's `CoreStream.page` hands them over as ``Page.meta``.
    """

    def beside(self, arrival: Arrival) -> Sequence[msgspec.Raw]:
        """The rows in the envelope of a response."""
        raise NotImplementedError

    @override
    def shaped_rows(self) -> Iterator[tuple[dict[str, Any], Context]]:
        for arrival in self.parent.arrivals():
            context = self.record_context(arrival.slice)
            for row in self.beside(arrival):
                yield self.slow_path.shape(self.slow_path.parse(row), context), context


def _listed(rows: Any) -> Sequence[Any]:
    """The rows of a column, which may be undecoded JSON where the schema does not say what they hold."""
    if isinstance(rows, msgspec.Raw):
        try:
            return codec.rows(rows)
        except msgspec.DecodeError:
            raise Surprise from None
    return rows or ()
