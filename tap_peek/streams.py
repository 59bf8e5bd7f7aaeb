"""The streams of Peek.

Only bookings can be filtered, by travel date, and no field reliably shows that a record changed. Why each stream is
read the way it is, is explained in ``docs/tap-peek.md``.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, MissingCallError
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.reading.repeats import without_repeats
from tap_core.reading.windows import DateWindow, date_windows
from tap_core.records.fields import FromContext, Latest, Nested
from tap_core.records.masks import Masked, MaskedUrl
from tap_core.streams.base import CoreStream
from tap_core.streams.embedded import EmbeddedStream
from tap_core.timestamps import text_of
from tap_peek.client import DIALECT, GoneError, RefusedError
from tap_peek.fields import SUPPORTED, UnsupportedCapabilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.http.client import ApiClient
    from tap_core.reading.fetch import Arrival
    from tap_core.records.field import Context, Field
    from tap_core.session.session import Session
    from tap_peek.settings import PeekSettings

__all__ = [
    "CONNECTION",
    "STREAMS",
    "Availability",
    "AvailabilityCalendar",
    "AvailabilitySnapshots",
    "BookingUnitItems",
    "Bookings",
    "ByTravel",
    "Capabilities",
    "OfTheStandard",
    "Options",
    "PeekStream",
    "PerOption",
    "ProductCapabilities",
    "Products",
    "Supplier",
    "Units",
    "Webhooks",
]

CONNECTION = FromContext(("_connection",))


class PeekStream(CoreStream):
    """A call of the API, made once for each connection. Responses are bare lists and contain everything.

    Attributes:
        if_refused: What to do where the API does not accept the call.
        if_missing: What to do where the API does not have the call.
    """

    schemas = SchemaDirectory(files("tap_peek") / "schemas")
    dialect = DIALECT
    primary_keys: Sequence[str] = ("_connection", "id")
    fields: ClassVar[Sequence[Field]] = (CONNECTION,)
    if_refused: ClassVar[str] = ""
    if_missing: ClassVar[str] = ", or set endpoints.{name} if this server has another path"

    settings: PeekSettings

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.path = self.settings.endpoints.get(self.name, "")

    @property
    @override
    def http_headers(self) -> Mapping[str, str]:
        sent = {} if self.settings.in_parameter else {"Octo-Capabilities": ", ".join(self.settings.capability_ids)}
        return {**super().http_headers, **sent}

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        if not self.settings.in_parameter:
            return {}
        return {self.settings.parameters["capabilities"]: ",".join(self.settings.capability_ids)}

    @override
    def slices(self) -> Iterable[Slice]:
        for name in self.settings.keys:
            yield Slice({"_connection": name})

    @override
    def client(self, part: Slice) -> ApiClient:
        return self.session.clients[part.partition["_connection"]]

    @override
    def load(self, part: Slice, token: Any) -> Page:
        try:
            return super().load(part, token)
        except RefusedError as error:
            raise RefusedError(f"{error}{self.if_refused}") from None
        except MissingCallError as error:
            raise MissingCallError(f"{error}{self.if_missing.format(name=self.name)}") from None

    def days(self, subject: str, window_setting: str) -> Iterator[DateWindow]:
        """The windows of days around today (UTC) that the settings name."""
        today = self.session.started.date()
        first = today - timedelta(days=self.config[f"{subject}_days_back"])
        last = today + timedelta(days=self.config[f"{subject}_days_ahead"])
        return date_windows(first, last, self.config[window_setting])


class Products(PeekStream):
    """What the operator sells through a key. Read once per run, for all streams that are made from it."""

    name = "products"
    use_cache = True
    fields: ClassVar[Sequence[Field]] = (CONNECTION, UnsupportedCapabilities("_unsupported_required_capabilities"))

    @override
    def record_context(self, part: Slice) -> Context:
        return {**part.partition, SUPPORTED: frozenset(self.settings.capability_ids)}

    def options_of(self) -> Iterator[dict[str, str]]:
        """Connection, product and option of everything that can be booked.

        Raises:
            ApiError: An option has no id.
        """
        for product, context in self.shaped_rows():
            connection = context["_connection"]
            options = product.get("options") or ()
            if not options:
                self.session.warn_once(
                    f"{self.name}: product {product['id']} of connection {connection} has no option: its availability "
                    "cannot be asked for"
                )
            for option in options:
                if not isinstance(option, dict) or not option.get("id"):
                    raise ApiError(f"{self.name}: product {product['id']} has an option without an id")
                yield {"_connection": connection, "productId": product["id"], "optionId": option["id"]}


class Options(EmbeddedStream):
    """Options of the products; exactly one each for now (documented)."""

    name = "options"
    schemas = PeekStream.schemas
    embedded_in = Products
    rows_at = "options"
    from_parent: ClassVar[Mapping[str, str]] = {"_connection": "_connection", "productId": "id"}
    primary_keys = ("_connection", "productId", "id")


class Units(EmbeddedStream):
    """Kinds of tickets of the options."""

    name = "units"
    schemas = PeekStream.schemas
    embedded_in = Options
    rows_at = "units"
    from_parent: ClassVar[Mapping[str, str]] = {
        "_connection": "_connection",
        "productId": "productId",
        "optionId": "id",
    }
    primary_keys = ("_connection", "productId", "optionId", "id")


class ProductCapabilities(EmbeddedStream):
    """What a product needs of its reseller."""

    name = "product_capabilities"
    schemas = PeekStream.schemas
    embedded_in = Products
    rows_at = "capabilities"
    from_parent: ClassVar[Mapping[str, str]] = {"_connection": "_connection", "productId": "id"}
    primary_keys = ("_connection", "productId", "id")


class PerOption(PeekStream):
    """A read that needs POST: a window of days of one option.

    Attributes:
        window_setting: The setting that says how many days.
    """

    window_setting: ClassVar[str]

    http_method = "POST"
    snapshot = False
    fields: ClassVar[Sequence[Field]] = (FromContext(("_connection", "productId", "optionId", "_read_at")),)

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._gone: set[tuple[str, str]] = set()

    @override
    def slices(self) -> Iterable[Slice]:
        options = list(self.session.stream(Products).options_of())
        for window in self.days("availability", self.window_setting):
            for option in options:
                yield Slice(option, window)

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        return {
            "productId": part.partition["productId"],
            "optionId": part.partition["optionId"],
            "localDateStart": part.window.first,
            "localDateEnd": part.window.last,
        }

    @override
    def record_context(self, part: Slice) -> Context:
        return {**part.partition, "_read_at": text_of(self.session.started)}

    @override
    def load(self, part: Slice, token: Any) -> Page:
        product = part.partition["_connection"], part.partition["productId"]
        if product in self._gone:
            return Page(())
        try:
            return super().load(part, token)
        except GoneError as error:
            if product not in self._gone:
                self._gone.add(product)
                self.meter.count("products gone")
            self.session.warn_once(f"{error}; product {product[1]} of connection {product[0]} is skipped")
            return Page(())


class AvailabilityCalendar(PerOption):
    """One row per day, closed days included (documented): an indication, from a cache."""

    name = "availability_calendar"
    primary_keys = ("_connection", "productId", "optionId", "localDate")
    window_setting = "calendar_window_days"
    if_refused = "; if the range is too long for this server, lower calendar_window_days"


class Availability(PerOption):
    """Departures with their vacancies and prices. Ids are unique only within an option."""

    name = "availability"
    primary_keys = ("_connection", "productId", "optionId", "id")
    window_setting = "availability_window_days"
    if_refused = "; if the range is too long for this server, lower availability_window_days"


class AvailabilitySnapshots(EmbeddedStream):
    """The same departures, kept as they were at each run."""

    name = "availability_snapshots"
    schemas = PeekStream.schemas
    embedded_in = Availability
    primary_keys = ("_connection", "productId", "optionId", "id", "_read_at")
    snapshot = False
    selected_by_default = False


class ByTravel(CoreStream):
    """A stream whose bookmark means nothing once it is set to read other bookings.

    State keeps a digest of connections, days and references: where it differs, the bookmark filters nothing.
    """

    settings: PeekSettings

    @override
    def bookmark(self) -> str | None:
        remembered = self.session.bookmarks.entry(self.name).get("subjects")
        return super().bookmark() if remembered == self.settings.bookings_digest else None

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        self.remembered["subjects"] = self.settings.bookings_digest


class Bookings(ByTravel, PeekStream):
    """This reseller's bookings: by windows of travel dates, and by the references that settings name.

    No field reliably shows that a record changed: ``_updated_at`` is the latest time in it, and every record in the
    windows is emitted.
    """

    name = "bookings"
    primary_keys = ("_connection", "uuid")
    replication_key = "_updated_at"
    if_refused = "; if this server names its filters differently, set parameters"
    fields: ClassVar[Sequence[Field]] = (
        CONNECTION,
        Nested("voucher", (Nested("deliveryOptions", (Masked("deliveryValue"),)),)),
        Nested("unitItems", (Nested("ticket", (Nested("deliveryOptions", (Masked("deliveryValue"),)),)),)),
        Latest("_updated_at", of=("utcCreatedAt", "utcUpdatedAt", "utcConfirmedAt", "cancellation.utcCancelledAt")),
    )

    @override
    def slices(self) -> Iterable[Slice]:
        for setting in ("reseller_reference", "supplier_reference"):
            for value in dict.fromkeys(self.config[f"{setting}s"]):
                for name in self.settings.keys:
                    yield Slice({"_connection": name, setting: value})
        for window in self.days("bookings", "bookings_window_days"):
            for name in self.settings.keys:
                yield Slice({"_connection": name}, window)

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        names = self.settings.parameters
        asked = {names[name]: value for name, value in part.partition.items() if name in names}
        if part.window is not None:
            asked |= {names["travel_from"]: part.window.first, names["travel_to"]: part.window.last}
        return {**super().params(part, token), **asked}

    @override
    def describe(self, part: Slice) -> str:
        """What a slice is about; no reference, because it may name a guest."""
        return f"{part.partition['_connection']} {part.window or 'by reference'}"

    @override
    def arrivals(self) -> Iterator[Arrival]:
        return without_repeats(
            super().arrivals(), partition=lambda part: part.partition["_connection"], row_key=self.row_key
        )

    @override
    def row_key(self, row: msgspec.Raw) -> Any:
        try:
            return _identity(row).uuid
        except codec.NOT_JSON:
            return bytes(row)  # emitting the row says what is wrong with it


class _Identity(msgspec.Struct):
    uuid: str


_identity = msgspec.json.Decoder(_Identity).decode


class BookingUnitItems(ByTravel, EmbeddedStream):
    """Tickets of the bookings."""

    name = "booking_unit_items"
    schemas = PeekStream.schemas
    embedded_in = Bookings
    rows_at = "unitItems"
    from_parent: ClassVar[Mapping[str, str]] = {
        "_connection": "_connection",
        "bookingUuid": "uuid",
        "_updated_at": "_updated_at",
    }
    primary_keys = ("_connection", "bookingUuid", "uuid")
    replication_key = "_updated_at"


class Webhooks(PeekStream):
    """Callbacks registered with a key."""

    name = "webhooks"
    fields: ClassVar[Sequence[Field]] = (CONNECTION, MaskedUrl("url"), Masked("headers"))


class OfTheStandard(PeekStream):
    """A call of the standard that Peek does not list: some servers have it."""

    selected_by_default = False
    if_refused = (
        "; this call is only in the standard, and this server may not have it: take the stream out of enable_streams"
    )
    if_missing = if_refused


class Supplier(OfTheStandard):
    """The operator behind a key."""

    name = "supplier"

    @override
    def page(self, body: bytes) -> Page:
        codec.members(body)
        return Page([msgspec.Raw(body)])


class Capabilities(OfTheStandard):
    """Capabilities of a connection."""

    name = "capabilities"


STREAMS: Final[Sequence[type[CoreStream]]] = (
    Products,
    Options,
    Units,
    ProductCapabilities,
    AvailabilityCalendar,
    Availability,
    AvailabilitySnapshots,
    Bookings,
    BookingUnitItems,
    Webhooks,
    Supplier,
    Capabilities,
)
