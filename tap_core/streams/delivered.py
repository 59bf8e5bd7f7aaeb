"""What webhooks have brought, and what becomes of it.

A delivery is a hint, not a fact: anybody who knows the address may post, and vendors deliver late, twice and out of
order. So the delivery itself goes into a stream of its own, and the object that it names is asked of the API. Only that
goes into the stream of these objects; a forged or late delivery changes nothing there.

    bookings            ConfirmedStream: reads lists, and one by one the objects that deliveries name
    booking_updates     DeliveredStream: a row for each delivery
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError
from tap_core.reading.fetch import Arrival, Reading, Slice
from tap_core.reading.pages import Page, SinglePage
from tap_core.reading.sources import named_in, open_sources, open_spools, places, places_of
from tap_core.reading.spool import MOST_AT_ONCE
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.streams.base import CoreStream
from tap_core.streams.embedded import EmbeddedStream, EnvelopeStream
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.reading.pages import Pager
    from tap_core.reading.sources import Source
    from tap_core.reading.spool import Delivery, Spool
    from tap_core.records.policy import Policy
    from tap_core.session.session import Session

__all__ = ["ConfirmedStream", "DeliveredStream"]

_LOOK_EVERY_S: Final = 0.25
"""Real seconds between two looks at the spools while nothing comes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_EXPECTED: Final = 100_000
"""Names that are looked for in lists; what further deliveries name is asked for one by one."""

CONFIRMED, GONE, UNCONFIRMED, UNREADABLE = "confirmed", "gone", "unconfirmed", "unreadable"


class ConfirmedStream(CoreStream):
    """A stream of objects that deliveries name, besides what its own lists bring."""

    async def confirm(self, account: str, identity: str) -> msgspec.Raw | None:
        """An object as the API has it now; None if it has no such object.

        Args:
            account: Whose object it is.
            identity: Its identity: letters, digits, ``_`` and ``-``.

        Raises:
            ApiError: The API does not say.
        """
        raise NotImplementedError

    def confirmed(self, account: str, identities: Iterable[str]) -> None:
        """Note the objects that have come this way; nothing by default."""

    @property
    def is_polled(self) -> bool:
        """Whether its lists are read: it is selected, or something that is made from its records."""
        return any(
            stream.selected
            for stream in self.session.streams
            if stream is self or (isinstance(stream, EmbeddedStream) and self._makes(stream))
        )

    def _makes(self, stream: EmbeddedStream) -> bool:
        return not isinstance(stream, DeliveredStream) and isinstance(self, stream.embedded_in)

    @property
    def _deliveries(self) -> DeliveredStream | None:
        """What is delivered about its objects, if that is read."""
        for stream in self.session.streams:
            if isinstance(stream, DeliveredStream) and isinstance(self, stream.embedded_in) and stream.is_open:
                return stream
        return None

    @property
    @override
    def endless(self) -> bool:
        return any(
            isinstance(stream, DeliveredStream) and isinstance(self, stream.embedded_in) and stream.endless
            for stream in self.session.streams
        )

    @override
    def begun(self) -> Reading | None:
        return super().begun() if self.is_polled else None

    def with_deliveries(self, polled: Iterable[Arrival]) -> Iterator[Arrival]:
        """What the lists bring, and then what deliveries name, which is newer.

        Args:
            polled: What the lists bring.

        Raises:
            ApiError: The API does not give it.
        """
        deliveries = self._deliveries
        if self.is_polled:
            yield from polled if deliveries is None else deliveries.listed(self, polled)
        if deliveries is not None:
            yield from deliveries.delivered(self)


class DeliveredStream(EnvelopeStream):
    """A row for each delivery, with what became of it.

    Its place in the spool is in the state; the replication key is the time of receipt. The rows are read with the
    stream of the objects that they name.

    Attributes:
        account_column: The column with the account, if the vendor's other streams have one.
        identity_column: The column with the identity of the object that is named.
        identity_at: Where a body has it, member by member.
    """

    account_column: ClassVar[str] = ""
    identity_column: ClassVar[str]
    identity_at: ClassVar[Sequence[str]]

    primary_keys = ("_spool", "_position")
    replication_key = "_received_at"
    snapshot = False
    selected_by_default = False

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.selected_by_default = bool(self.config["webhooks_spools"])
        self._sources: list[Source] = []
        self._listed: set[tuple[str, str]] = set()
        self._newest: str | None = None

    # What is read, and how far

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts whose deliveries are read, as the receiver's settings name them."""
        return list(self.session.clients)

    @override
    def unavailable(self) -> str | None:
        return None if self.config["webhooks_spools"] else "because webhooks_spools names no spool"

    @property
    @override
    def endless(self) -> bool:
        return bool(self.config["webhooks_follow"] and self.selected and not self.unavailable())

    @property
    def is_open(self) -> bool:
        """Whether the spools are open in this run."""
        return bool(self._sources)

    @override
    def enter(self) -> None:
        """Open the spools and tell them what is committed.

        Raises:
            ConfigError: A spool cannot be used, or another run reads it.
        """
        known = places_of(self.session.bookmarks.entry(self.name).get(_POSITIONS) if self.incremental else None)

        def warn(said: str) -> None:
            self.logger.warning("%s: %s", self.name, said)

        self._sources = open_sources(self._spools(), self.accounts, known, warn)

    def _spools(self) -> list[Spool]:
        vendor, reader = self.tap_name.removeprefix("tap-"), str(self.config.get("webhooks_reader") or self.tap_name)
        return open_spools(self.config["webhooks_spools"], vendor=vendor, reader=reader)

    def _note(self, source: Source, position: int) -> None:
        source.position = position
        self.remembered[_POSITIONS] = places(self._sources)

    # What comes

    def listed(self, reader: ConfirmedStream, polled: Iterable[Arrival]) -> Iterator[Arrival]:
        """What lists bring. What deliveries that were there before name, and a list has, need not be asked for again.

        Where a bookmark leaves out older rows, what is named comes a second time, so that it is not left out.

        Args:
            reader: The stream whose lists are read.
            polled: What they bring.
        """
        expected, bounds = self._expected() if self.config["confirm"] else set(), reader.key_filter()
        filtered = bounds is not None and (bounds.since, bounds.until) != (None, None)
        for arrival in polled:
            yield arrival
            if not (expected and arrival.rows):
                continue
            account = arrival.slice.partition.get(self.account_column, self.accounts[0])
            keys = reader.row_keys(arrival.rows)
            rows = {(account, str(key)): row for key, row in zip(keys, arrival.rows, strict=True)}
            if found := rows.keys() & expected:
                self._listed |= found
                if filtered:
                    yield Arrival(self._part(account), [row for key, row in rows.items() if key in found])

    def _expected(self) -> set[tuple[str, str]]:
        """Account and identity of what the deliveries name that are there; not of all, where there are very many."""
        expected: set[tuple[str, str]] = set()
        for source in self._sources:
            position = source.position
            while len(expected) < _MOST_EXPECTED and (batch := source.spool.after(source.account, position)):
                names = [
                    named_in(delivery.body, self.identity_at) for delivery in batch if delivery.position <= source.there
                ]
                expected |= {(source.account, name) for name in names if name}
                position = batch[-1].position
        return expected

    def _part(self, account: str) -> Slice:
        return Slice({self.account_column: account} if self.account_column else {}, named=True)

    def delivered(self, reader: ConfirmedStream) -> Iterator[Arrival]:
        """What the spools hold; with ``webhooks_follow``, also what they are going to hold, until a signal comes.

        Args:
            reader: Asks the API for what is named.

        Raises:
            ApiError: A spool cannot be read, or the API does not say what has become of an object.
        """
        confirm = bool(self.config["confirm"] and reader.is_polled)
        if not confirm:
            because = f"{reader.name} is not selected" if self.config["confirm"] else "confirm is false"
            self.session.warn_once(
                f"{self.name}: {because}: deliveries are kept as they came, and nothing is asked of the API"
            )
        seen: list[int] | None = None
        while True:
            versions = [source.spool.version() for source in self._sources]
            if versions != seen:
                for source in self._sources:
                    yield from self._of_one_of_several(source, reader, confirm=confirm)
            if not self.endless:
                return
            seen = versions
            yield Arrival(self._part(self._sources[0].account), live=True)
            self.session.clock.sleep(_LOOK_EVERY_S * self.session.clock.rate)

    def _of_one_of_several(self, source: Source, reader: ConfirmedStream, *, confirm: bool) -> Iterator[Arrival]:
        """The deliveries of one source; what is wrong with one account does not stop the others."""
        if source.lost:
            return
        try:
            yield from self._of(source, reader if confirm else None)
        except (ApiError, AuthError) as error:
            if len(self._sources) == 1:
                raise
            source.lost = True
            reader.losses.lose(f"what deliveries for {source.account} in {source.spool.place} name", error)

    def _of(self, source: Source, reader: ConfirmedStream | None) -> Iterator[Arrival]:
        """The deliveries of one source that are there now, in batches.

        The place in the state moves once a batch has been written: whoever takes the next one has written this one.
        """
        part = self._part(source.account)
        while batch := source.spool.after(source.account, source.position):
            named = [named_in(delivery.body, self.identity_at) for delivery in batch]
            found = self._found(reader, source, batch, named) if reader else None
            told = [self._row(*each, source, found) for each in zip(batch, named, strict=True)]
            objects = [row for row in (found or {}).values() if row]
            yield Arrival(part, objects, meta=told, live=self.endless)
            self._note(source, batch[-1].position)
            if len(batch) < MOST_AT_ONCE:
                return

    def _found(
        self, reader: ConfirmedStream, source: Source, batch: Sequence[Delivery], named: Sequence[str | None]
    ) -> dict[str, msgspec.Raw | None]:
        """What the API has under the names of a batch; an empty text for what one of its lists has brought."""
        asked, listed = [], {}
        for delivery, name in zip(batch, named, strict=True):
            if name and delivery.position <= source.there and (source.account, name) in self._listed:
                listed[name] = msgspec.Raw()
            elif name:
                asked.append(name)
        return {**listed, **self._ask(reader, source.account, asked)}

    def _ask(self, reader: ConfirmedStream, account: str, names: Sequence[str]) -> dict[str, msgspec.Raw | None]:
        """What the API has under these names, each asked for once."""

        async def load(part: Slice, _token: Any) -> Page:
            row = await reader.confirm(account, part.partition["named"])
            return Page(()) if row is None else Page((row,))

        def pager(_: Slice) -> Pager:
            return SinglePage()

        parts = (Slice({"named": name}) for name in dict.fromkeys(names))
        reading = Reading(parts, pager=pager, load=load, workers=self.session.loop)
        found: dict[str, msgspec.Raw | None] = {}
        for arrival in reading.arrivals(self.session.signals.check):
            if not arrival.done:
                found[arrival.slice.partition["named"]] = arrival.rows[0] if arrival.rows else None
        reader.confirmed(account, [name for name, row in found.items() if row is not None])
        return found

    def _row(
        self, delivery: Delivery, named: str | None, source: Source, found: Mapping[str, msgspec.Raw | None] | None
    ) -> msgspec.Raw:
        row: dict[str, Any] = {
            "_spool": source.spool.id,
            "_position": delivery.position,
            "_received_at": text_of(_EPOCH + timedelta(microseconds=delivery.received_at)),
            self.identity_column: named,
        }
        try:
            body = codec.one_line(delivery.body)
            codec.members(body)
            row["delivery"] = msgspec.Raw(body)
        except (*codec.NOT_JSON, RecursionError):
            row["_unreadable"] = delivery.body.decode("utf-8", "replace")
        row["_outcome"] = UNREADABLE if named is None else UNCONFIRMED
        if named is not None and found is not None:
            row["_outcome"] = GONE if found.get(named) is None else CONFIRMED
        if row["_outcome"] in {GONE, UNREADABLE}:
            self.meter.count(row["_outcome"])
        return msgspec.Raw(codec.encode(row))

    @override
    def beside(self, arrival: Arrival) -> Sequence[msgspec.Raw]:
        return arrival.meta if arrival.slice.named and arrival.meta else ()

    # What an embedded stream has of its parent, and this one does not

    @override
    def narrowed_to(self) -> Any:
        return None

    @property
    @override
    def tells_gone(self) -> bool:
        return False

    @property
    @override
    def policy(self) -> Policy:
        """That of the settings; but what anybody may post fails no run."""
        asked = super().policy
        return replace(asked, unknown_fields="keep") if asked.unknown_fields == "fail" else asked

    @override
    def surprised(self, message: str) -> None:
        """Say nothing of names that anybody may have made up, as many as he likes."""

    @override
    def key_filter_for(self, _part: Slice) -> ReplicationKeyFilter | None:
        """Every delivery is emitted: its place in the spool says what was read before."""
        return ReplicationKeyFilter("_received_at") if self.incremental else None

    @override
    def bookmark(self) -> str | None:
        """For people: what is read next, the places in the spools say. So it may be later than the run's start."""
        value = self.session.bookmarks.entry(self.name).get("replication_key_value") if self.incremental else None
        return value if isinstance(value, str) else None

    @override
    def close(self, newest: str | None) -> None:
        """Say when the newest delivery was received. A run may go on for weeks, and what came is never half read."""
        if self.incremental and newest is not None and newest != self._newest:
            self._newest = newest
            until = min(newest, text_of(self.session.clock.now()))
            self.remembered.update(replication_key=self.replication_key, replication_key_value=until)

    @override
    def probe(self) -> bool:
        """Open the spools and look for a delivery.

        Raises:
            ConfigError: A spool cannot be used.
        """
        spools = self._spools()
        try:
            return any(spool.after(account, 0) for spool in spools for account in self.accounts)
        finally:
            for spool in spools:
                spool.close()


_POSITIONS: Final = "_positions"
