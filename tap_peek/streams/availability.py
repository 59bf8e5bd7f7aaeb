"""When what is sold can be booked: by window of days, option by option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from typing_extensions import override

from tap_core.errors import ApiError, ForbiddenError
from tap_core.reading.fetch import Slice
from tap_core.records.fields import FromContext
from tap_core.streams.embedded import EmbeddedStream
from tap_core.timestamps import text_of, zone
from tap_peek.client import GoneError
from tap_peek.fields import ZONE, UtcStart
from tap_peek.streams.base import NOTHING, SCHEMAS
from tap_peek.streams.days import ByDay, stretches
from tap_peek.streams.products import Products

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from singer_sdk import Tap

    from tap_core.reading.pages import Page
    from tap_core.records.field import Context, Field
    from tap_core.session.session import Session
    from tap_peek.streams.products import Bookable

__all__ = ["Availability", "AvailabilityCalendar", "AvailabilitySnapshots", "PerOption"]

_OPTION: Final = ("_connection", "productId", "optionId")

_SHOWN: Final = 10
"""How many products a warning names."""


class PerOption(ByDay):
    """A read that needs POST: a window of days of one option."""

    http_method = "POST"
    days_of = "availability"
    reads_ahead = False  # the products come first: what was lost of them is lost here, too
    advice = "; exclude_products leaves a product out for good"
    fields: ClassVar[Sequence[Field]] = (FromContext(_OPTION),)

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._gone: set[tuple[str, str]] = set()
        self._forbidden: set[tuple[str, str]] = set()
        self._asked_in: dict[tuple[str, str], str] = {}
        self._zones: dict[tuple[str, str], tzinfo | None] = {}
        self._listed: set[tuple[str, str]] = set()

    @override
    def slices(self) -> Iterable[Slice]:
        products = self.session.stream(Products)
        bookable = list(products.bookable())
        self._listed = {(each.connection, each.product) for each in bookable} | products.without_option
        found = self._wanted(bookable)
        self.losses.inherit(products.losses)
        self._choose_currencies(found)
        self._zones = {(each.connection, each.product): _zone(each) for each in found}
        self.meter.expected = len(found) * len(list(self.windows))
        for window in self.windows:
            for each in found:
                option = {"_connection": each.connection, "productId": each.product, "optionId": each.option}
                yield Slice(option, window)

    def _wanted(self, found: Sequence[Bookable]) -> list[Bookable]:
        """What the settings do not exclude."""
        excluded = frozenset(self.config["exclude_products"])
        named = {each: {each.product, f"{each.connection}/{each.product}"} & excluded for each in found}
        for product in sorted(excluded.difference(*named.values())):
            self.session.warn_once(f"setting 'exclude_products' names {product}, which is not a product")
        wanted = [each for each in found if not named[each]]
        for each in wanted:
            if each.option is None:
                part = f"an option of product {each.product} of connection {each.connection}"
                self.losses.lose(part, ApiError("it has no id"))
                self.unread[each.connection, each.product] += 1
        wanted = [each for each in wanted if each.option is not None]
        if left_out := {(each.connection, each.product) for each in found if named[each]}:
            self.meter.count("excluded", len(left_out))
        return wanted

    def _choose_currencies(self, found: Sequence[Bookable]) -> None:
        """Find out which products can be asked for prices in the currency that the settings name."""
        if not (currency := self.config.get("availability_currency")):
            return
        offering = [each for each in found if currency in each.currencies]
        self._asked_in = {(each.connection, each.product): currency for each in offering}
        others = sorted({each.product for each in found if currency not in each.currencies})
        if others:
            more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
            self.session.warn_once(
                f"{len(others)} products do not offer {currency}, so that their prices of availability come in their "
                f"own currency: {', '.join(others[:_SHOWN])}{more}"
            )

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        currency = self._asked_in.get(self.subject(part))
        return {
            "productId": part.partition["productId"],
            "optionId": part.partition["optionId"],
            "localDateStart": part.window.first,
            "localDateEnd": part.window.last,
            **({"currency": currency} if currency else {}),
        }

    @override
    def subject(self, part: Slice) -> tuple[str, str]:
        return part.partition["_connection"], part.partition["productId"]

    @override
    def record_context(self, part: Slice) -> Context:
        return {**part.partition, ZONE: self._zones.get(self.subject(part))}

    @override
    def read_whole(self, connection: str) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
        """Everything but the products that were not read, if it is known which ones there are."""
        products = self.session.stream(Products)
        if products.refused or not products.has_read(connection):
            return
        listed = {product: self.has_read(of, product) for of, product in self._listed if of == connection}
        for edges in stretches(listed):
            first, behind = ({"productId": edge} if edge is not None else {} for edge in edges)
            yield first, behind

    @override
    def part_name(self, part: Slice) -> str:
        place = part.partition
        return f"product {place['productId']}, option {place['optionId']} of {super().part_name(part)}"

    @override
    async def ask(self, part: Slice, token: Any) -> Page:
        product = self.subject(part)
        if product in self._gone | self._forbidden:
            return NOTHING
        try:
            return await super().ask(part, token)
        except ForbiddenError:
            await self.session.stream(Products).check_key(product[0])
            self._forbidden.add(product)
            raise
        except GoneError as error:
            if product not in self._gone:
                self._gone.add(product)
                self.meter.count("products gone")
            self.session.warn_once(f"{error}; product {product[1]} of connection {product[0]} is skipped")
            return NOTHING


class AvailabilityCalendar(PerOption):
    """One row per day, closed days included (documented): an indication, from a cache."""

    name = "availability_calendar"
    primary_keys = (*_OPTION, "localDate")
    window_setting = "calendar_window_days"
    day, spans = "localDate", ("localDate", "localDate")
    scoped_by = ("_connection", "productId", "localDate")
    if_refused = "; if the range is too long for this server, lower calendar_window_days"


class Availability(PerOption):
    """Departures with their vacancies and prices. Ids are unique only within an option."""

    name = "availability"
    primary_keys = (*_OPTION, "id")
    window_setting = "availability_window_days"
    day, spans = "localDateTimeStart", ("localDateTimeStart", "localDateTimeEnd")
    scoped_by = ("_connection", "productId", "localDateTimeStart")
    if_refused = "; if the range is too long for this server, lower availability_window_days"
    fields: ClassVar[Sequence[Field]] = (*PerOption.fields, UtcStart("_utc_start", of="localDateTimeStart"))

    @override
    def slices(self) -> Iterable[Slice]:
        yield from super().slices()
        if zoneless := sum(zone is None for zone in self._zones.values()):
            self.meter.count("without a zone", zoneless)


class AvailabilitySnapshots(EmbeddedStream):
    """The same departures, kept as they were at each run."""

    name = "availability_snapshots"
    schemas = SCHEMAS
    embedded_in = Availability
    primary_keys = (*_OPTION, "id", "_read_at")
    snapshot = False
    selected_by_default = False
    fields: ClassVar[Sequence[Field]] = (FromContext(("_read_at",)),)

    @override
    def record_context(self, part: Slice) -> Context:
        return {**super().record_context(part), "_read_at": text_of(self.session.started)}


def _zone(each: Bookable) -> tzinfo | None:
    """A product's time zone, if it has one that is known: departures of others get no `_utc_start`."""
    try:
        return zone(each.zone or "")
    except ValueError:
        return None
