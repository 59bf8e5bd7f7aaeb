"""Who has booked: by day of travel, by reference, and one by one."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from tap_core import codec
from tap_core.errors import MissingCallError
from tap_core.http.steps import Blocking
from tap_core.reading.fetch import Slice
from tap_core.reading.repeats import without_repeats
from tap_core.reading.windows import DateWindow
from tap_core.records.fields import Latest, Nested
from tap_core.records.masks import Masked, MaskedUrl
from tap_core.streams.base import CoreStream
from tap_core.streams.delivered import ConfirmedStream, DeliveredStream
from tap_core.streams.embedded import EmbeddedStream
from tap_peek.client import RefusedError
from tap_peek.fields import LocalDay
from tap_peek.streams.base import CONNECTION, NOTHING, SCHEMAS, one
from tap_peek.streams.days import ByDay

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.http.message import Request
    from tap_core.reading.fetch import Arrival
    from tap_core.reading.pages import Page
    from tap_core.records.field import Field
    from tap_core.session.session import Session
    from tap_peek.settings import PeekSettings

__all__ = ["BookingUnitItems", "BookingUpdates", "Bookings", "ByTravel"]

_LISTS = {
    "uuid": "booking_uuids",
    "reseller_reference": "reseller_references",
    "supplier_reference": "supplier_references",
}
"""What names single bookings, and the settings that list them."""

_MOST_NAMED = 2_000
"""How many bookings the state names at most: about 200 KB."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch


class ByTravel(CoreStream):
    """A stream whose bookmark means nothing once it is set to read other bookings.

    State keeps a digest of connections, days and references: where it differs, the bookmark filters nothing.
    """

    scoped_by: ClassVar[Sequence[str]] = ("_connection", "_travel_date")
    snapshot = False

    settings: PeekSettings

    @override
    def bookmark(self) -> str | None:
        remembered = self.session.bookmarks.entry(self.name).get("subjects")
        return super().bookmark() if remembered == self.settings.bookings_digest else None

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        if self.incremental:
            self.remembered["subjects"] = self.settings.bookings_digest


_NOT_OFFERED = frozenset({"BAD_REQUEST", "UNPROCESSABLE_ENTITY"})
"""What the standard has servers answer where a filter is not theirs; any other refusal is an error."""


_SECRETS: tuple[Field, ...] = (
    Nested("voucher", (Nested("deliveryOptions", (Masked("deliveryValue", text=True),)),)),
    Nested("unitItems", (Nested("ticket", (Nested("deliveryOptions", (Masked("deliveryValue", text=True),)),)),)),
    Nested("giftPayment", (Masked("giftCode", text=True),)),
    Masked("gift.voucher"),
    Masked("gift.giftPayment"),
)
"""What in a booking admits its bearer."""


class Bookings(ByTravel, ByDay, ConfirmedStream):
    """This reseller's bookings: by windows of travel dates, by reference, and those whose uuids settings name.

    No field reliably shows that a record changed: ``_updated_at`` is the latest time in it, and every record in the
    windows is emitted. Today's OCTO standard has no filter by date: a server without one is asked for the others only.
    """

    name = "bookings"
    primary_keys = ("_connection", "uuid")
    replication_key = "_updated_at"
    days_of, window_setting = "bookings", "bookings_window_days"
    day = "_travel_date"
    spans = ("availability.localDateTimeStart", "availability.localDateTimeEnd")
    if_refused = "; if this server names its filters differently, set parameters"
    fields: ClassVar[Sequence[Field]] = (
        CONNECTION,
        *_SECRETS,
        Latest("_updated_at", of=("utcCreatedAt", "utcUpdatedAt", "utcConfirmedAt", "cancellation.utcCancelledAt")),
        LocalDay("_travel_date", of="availability.localDateTimeStart"),
    )

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._dated: bool | None = None
        self._deciding = threading.Lock()
        self._strange: dict[str, set[str]] = {}
        self._placed: set[str] = set()
        self.named: dict[tuple[str, str], None] = {}
        """Connection and uuid of the bookings that settings or deliveries name, and that came."""

    @override
    def slices(self) -> Iterable[Slice]:
        for kind, setting in _LISTS.items():
            for value in dict.fromkeys(self.config[setting]):
                for name in self.settings.keys:
                    yield Slice({"_connection": name, kind: value})
        for window in self.windows:
            for name in self.settings.keys:
                yield Slice({"_connection": name}, window)

    @override
    def expected_calls(self) -> int | None:
        return sum(1 for _ in self.slices())

    @override
    def subject(self, part: Slice) -> tuple[str, ...]:
        return (*super().subject(part), *(["by reference"] if part.window is None else []))

    @override
    def is_whole(self, part: Slice, page: Page) -> bool:
        whole, connection = super().is_whole(part, page), part.partition["_connection"]
        if part.window is None:
            self.named |= {(connection, uuid): None for uuid in self.row_keys(page.rows) if isinstance(uuid, str)}
        elif whole and page.rows:
            self._placed.add(connection)
        return whole

    @override
    def read_whole(self, connection: str) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
        """All bookings that travel in these days, if at least one shows that the filter means days of travel."""
        if connection in self._placed and self.has_read(connection):
            yield {}, {}

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        names = self.settings.parameters
        asked = {names[name]: value for name, value in part.partition.items() if name in names}
        if part.window is not None:
            asked |= {names["travel_from"]: part.window.first, names["travel_to"]: part.window.last}
        return {**super().params(part, token), **asked}

    @override
    def request(self, part: Slice, token: Any) -> Request:
        request = super().request(part, token)
        if (uuid := part.partition.get("uuid")) is None:
            return request
        path, mark, query = request.url.partition("?")
        return replace(request, url=f"{path}/{quote(uuid, safe='')}{mark}{query}")

    @override
    async def ask(self, part: Slice, token: Any) -> Page:
        if part.window is not None:
            return await self._in_window(part, token)
        if "uuid" in part.partition:
            return await self._by_uuid(part, token)
        page = await super().ask(part, token)
        (reference,) = (value for name, value in part.partition.items() if name in _LISTS)
        if page.rows or not _UUID(reference):
            return page
        return await self._by_uuid(Slice({"_connection": part.partition["_connection"], "uuid": reference}), token)

    async def _in_window(self, part: Slice, token: Any) -> Page:
        if self._dated is False:
            return NOTHING
        try:
            page = await super().ask(part, token)
        except RefusedError as error:
            if await Blocking(partial(self._filters_dates, part, token, error)):
                raise
            return NOTHING
        self._dated = True
        return page

    def _filters_dates(self, part: Slice, token: Any, refusal: RefusedError) -> bool:
        """Whether the server filters by days of travel at all, or only refuses this window.

        Where no window was accepted before, it is asked for today alone, once.
        """
        with self._deciding:
            if self._dated is None:
                today = self.session.started.date()
                try:
                    asked = replace(part, window=DateWindow(today, today))
                    self.session.wait_for(super().ask(asked, token))
                except RefusedError as again:
                    if again.code not in _NOT_OFFERED:
                        raise
                    self._say_undated(refusal)
                else:
                    self._dated = True
        return self._dated is not False

    def _say_undated(self, refusal: RefusedError) -> None:
        self._dated = self.complete = False
        if self.settings.names_travel_dates:
            self.losses.lose("the days of travel", refusal)
            return
        self.meter.count("travel dates not offered")
        self.session.warn_once(
            f"{str(refusal).removesuffix(self.if_refused)}: the server does not filter by days of travel, which is not "
            "in today's OCTO standard; only the bookings that reseller_references, supplier_references and "
            "booking_uuids name are read. If it has such a filter under other names, set parameters.travel_from and "
            "parameters.travel_to"
        )

    async def _by_uuid(self, part: Slice, token: Any) -> Page:
        """A single booking; nothing where this connection does not know it, which is noted."""
        if (page := await self._named(part, token)) is NOTHING:
            self._note_unknown(part.partition["_connection"], part.partition["uuid"])
        return page

    async def _named(self, part: Slice, token: Any) -> Page:
        """A single booking; nothing where this connection does not know it."""
        what = f"{self.name}: GET {self.path}/{{uuid}}"
        try:
            return await self.client(part).fetch(self.request(part, token), parse=one, meter=self.meter, what=what)
        except MissingCallError:
            return NOTHING
        except RefusedError as error:
            if error.code != "INVALID_BOOKING_UUID":
                raise
            return NOTHING

    @override
    async def confirm(self, account: str, identity: str) -> msgspec.Raw | None:
        page = await self._named(Slice({"_connection": account, "uuid": identity}), None)
        return page.rows[0] if page.rows else None

    @override
    def confirmed(self, account: str, identities: Iterable[str]) -> None:
        self.named |= {(account, uuid): None for uuid in identities}

    def _note_unknown(self, connection: str, uuid: str) -> None:
        """Say that no connection knows a booking that the settings name."""
        strangers = self._strange.setdefault(uuid, set())
        strangers.add(connection)
        if strangers == set(self.settings.keys) and uuid in self.config["booking_uuids"]:
            self.meter.count("unknown bookings")
            self.session.warn_once(f"{self.name}: the API does not know {self._place('uuid', uuid)}")

    def _place(self, kind: str, value: str) -> str:
        """Where the settings name a booking; not by what, because a reference may name a guest."""
        setting = _LISTS[kind]
        return f"{setting}[{self.config[setting].index(value)}]"

    @override
    def part_name(self, part: Slice) -> str:
        name = super().part_name(part)
        if part.window is not None:
            return f"days of travel {part.window} of {name}"
        (place,) = (self._place(kind, value) for kind, value in part.partition.items() if kind in _LISTS)
        return f"{place} of {name}"

    @override
    def describe(self, part: Slice) -> str:
        """What a slice is about; no reference, because it may name a guest."""
        return f"{part.partition['_connection']} {part.window or 'by reference'}"

    @override
    def arrivals(self) -> Iterator[Arrival]:
        polled = without_repeats(
            super().arrivals(), partition=lambda part: part.partition["_connection"], row_keys=self.row_keys
        )
        return self.with_deliveries(polled)

    @override
    def row_keys(self, rows: Sequence[msgspec.Raw]) -> Sequence[Hashable]:
        if self.fast_path is not None and (found := self.fast_path.sent(rows, "uuid")) is not None:
            return found
        try:
            return [row.uuid for row in _identities(b"[" + b",".join(rows) + b"]")]
        except codec.NOT_JSON:
            return list(map(self.row_key, rows))

    @override
    def row_key(self, row: msgspec.Raw) -> Any:
        try:
            return _identity(row).uuid
        except codec.NOT_JSON:
            return bytes(row)  # emitting the row says what is wrong with it


class _Identity(msgspec.Struct):
    uuid: str


_identity = msgspec.json.Decoder(_Identity).decode
_identities = msgspec.json.Decoder(list[_Identity]).decode


class BookingUpdates(DeliveredStream):
    """What the webhook ``booking_update`` has brought: ``{"webhook": {…}, "booking": {…}}``, as Peek's page shows."""

    name = "booking_updates"
    schemas = SCHEMAS
    embedded_in = Bookings
    account_column, identity_column, identity_at = "_connection", "bookingUuid", ("booking", "uuid")
    fields: ClassVar[Sequence[Field]] = (
        CONNECTION,
        Nested("delivery", (Nested("webhook", (MaskedUrl("url"), Masked("headers"))), Nested("booking", _SECRETS))),
    )


class BookingUnitItems(ByTravel, EmbeddedStream):
    """Tickets of the bookings."""

    name = "booking_unit_items"
    schemas = SCHEMAS
    embedded_in = Bookings
    rows_at = "unitItems"
    from_parent: ClassVar[Mapping[str, str]] = {
        "_connection": "_connection",
        "bookingUuid": "uuid",
        "_updated_at": "_updated_at",
        "_travel_date": "_travel_date",
    }
    primary_keys = ("_connection", "bookingUuid", "uuid")
    replication_key = "_updated_at"
    scoped_by = (*ByTravel.scoped_by, "bookingUuid")

    @property
    @override
    def tells_gone(self) -> bool:
        return self.sends_what_it_reads  # whatever is emitted of the bookings

    @override
    def scopes(self, *, complete: bool) -> Sequence[Mapping[str, Any]]:
        """The days of travel that were read, and each booking that settings name, unless they would fill the state."""
        bookings = self.session.stream(Bookings)
        if not self.complete:
            return []
        if bookings.refused or len(bookings.named) > _MOST_NAMED:
            return bookings.scopes(complete=complete)
        named = [{"equal": {"_connection": name, "bookingUuid": uuid}} for name, uuid in bookings.named]
        return [*bookings.scopes(complete=complete), *named]
