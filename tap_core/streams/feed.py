"""Reading a feed as a Singer stream: for a time, record by record.

A feed has no pages, no past and no end; `tap_core.http.websocket` keeps the connection up.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlencode

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.clock import real_seconds
from tap_core.http.websocket import FeedConnection, Lost, Message
from tap_core.reading.fetch import Arrival, Slice
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.streams.base import CoreStream
from tap_core.timestamps import parse, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_core.http.client import ApiClient

__all__ = ["REMEMBERED", "FeedStream"]

REMEMBERED: Final = 10_000
"""How many messages back a duplicate is recognised."""


class FeedStream(CoreStream):
    """A stream of what arrives over a WebSocket: one JSON object per message.

    It ends after ``seconds`` or ``messages``. Records go out as they arrive, and a STATE follows soon. Duplicates are
    dropped by their id; a message that is not a JSON object is counted and dropped, because there is nothing to load.

    Attributes:
        identity: The member of a message that identifies duplicates; messages without it are all different.
    """

    identity: ClassVar[str] = "id"
    reads_ahead = False
    snapshot = False

    @property
    @override
    def bounded(self) -> bool:
        return False  # what arrives is of today

    @property
    def feed_url(self) -> str:
        """Where to connect."""
        query = urlencode(self.params(Slice(), None))
        return "ws" + self.url(self.path).removeprefix("http") + (f"?{query}" if query else "")

    @property
    def seconds(self) -> float:
        """How long to read, in seconds of real time; 0 means no limit."""
        raise NotImplementedError

    @property
    @override
    def lasts_s(self) -> float:
        return self.seconds or math.inf

    @property
    def messages(self) -> int:
        """How many records to read; 0 means no limit."""
        raise NotImplementedError

    @cached_property
    def _seen(self) -> dict[str, None]:
        return {}

    @override
    def key_filter(self) -> ReplicationKeyFilter | None:
        """Everything is emitted: what arrives over a feed arrives only once."""
        return ReplicationKeyFilter(self.replication_key) if self.incremental and self.replication_key else None

    @cached_property
    def connection(self) -> FeedConnection:
        """The connection of this run."""
        client: ApiClient = self.client(Slice())
        return FeedConnection(
            self.feed_url,
            auth=client.auth,
            clock=self.session.clock,
            retry=self.session.network.retry,
            workers=self.session.workers,
            timeout_s=float(self.config["connect_timeout_s"]),
            user_agent=self.session.user_agent,
            meter=self.meter,
            what=f"{self.name}: {self.path}",
            since=self._seen_before(),
        )

    @override
    def arrivals(self) -> Iterator[Arrival]:
        part, end, left = Slice(last=True), real_seconds() + (self.seconds or float("inf")), self.messages
        batches = self.connection.batches(self._lost)
        try:
            for batch in batches:
                rows = self.new_rows(batch)
                rows = rows[:left] if self.messages else rows
                left -= len(rows)
                yield Arrival(part, rows, live=True)
                if (self.messages and left <= 0) or real_seconds() >= end or self.session.signals.came:
                    break
        finally:
            batches.close()
        yield Arrival(part, done=True, live=True)

    def new_rows(self, batch: Sequence[Message]) -> list[msgspec.Raw]:
        """The messages of a batch that are records and were not seen before."""
        rows = []
        for message in batch:
            try:
                body = codec.one_line(message.encode() if isinstance(message, str) else message)
                found = codec.members(body)
            except (*codec.NOT_JSON, RecursionError):
                self.meter.count("malformed messages")
                self.session.warn_once(
                    f"{self.name}: a message is not a JSON object; such messages are counted and dropped"
                )
                continue
            mark = bytes(found.get(self.identity, _NULL))
            if mark != _NULL and not self._first(mark):
                self.meter.count("doubles")
                continue
            rows.append(msgspec.Raw(body))
        return rows

    def _first(self, mark: bytes) -> bool:
        key = mark.decode()
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _lost(self, gap: Lost) -> None:
        self.meter.count("gaps")
        self.session.logger.warning(
            "%s: %s; the feed has no replay, so what happened meanwhile is lost", self.name, gap
        )

    def _seen_before(self) -> datetime | None:
        """Until when an earlier run read."""
        last = self.remembered.get(_READ_UNTIL)
        try:
            return parse(last) if isinstance(last, str) else None
        except ValueError:
            return None

    @override
    def probe(self) -> bool:
        """Connect, without waiting for a message."""
        batches = self.connection.batches(lambda _: None)
        try:
            return bool(next(batch for batch in batches if self.connection.is_up))
        finally:
            batches.close()

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        if (until := self.connection.seen_until) is not None:
            self.remembered[_READ_UNTIL] = text_of(until)


_READ_UNTIL: Final = "read_until"
_NULL: Final = b"null"
