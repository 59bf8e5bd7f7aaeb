"""Peek's records as they must be in the warehouse, as far as a tap with its default windows can find them.

They are made from the model: the parents' keys are added, times are UTC text, secrets are masked. A property that a
record lacks is absent. The caller adds the name of the connection.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import iso
from merchant_sandbox.timeline import story_time
from merchant_sandbox.tours import supplier
from merchant_sandbox.vendor import Told
from merchant_sandbox.vendors.peek.model import PeekModel
from merchant_sandbox.vendors.peek.shapes import MASK, PeekShapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendors.peek.records import Booking, Product

__all__ = ["STREAMS", "PeekTruth", "told"]

_DAYS_BACK, _DAYS_AHEAD = 1, 90
_BOOKING_DAYS = 365


class PeekTruth:
    """The rows of every stream.

    Args:
        model: The data of one operator.
        shapes: How records look in the warehouse, and the vendor's switches.
        now: The world's time, in Unix seconds.
    """

    def __init__(self, model: PeekModel, shapes: PeekShapes, now: float) -> None:
        self.model, self.shapes, self.switches = model, shapes, shapes.switches
        self.today = datetime.fromtimestamp(now, UTC).date()

    def products(self) -> Iterator[dict[str, Any]]:
        """All products."""
        for product in self.model.products:
            needed: list[str] = []
            if self.switches["product_capabilities"] and product.extra_capability:
                needed = [product.extra_capability]
                if product.index == 3 and self.switches["content"]:
                    needed.append("octo/content")
            yield self.shapes.product(product) | {"_unsupported_required_capabilities": sorted(needed)}

    def options(self) -> Iterator[dict[str, Any]]:
        """The option of each product."""
        for product in self.model.products:
            yield {"productId": product.id, **self.shapes.option(product)}

    def units(self) -> Iterator[dict[str, Any]]:
        """The units of each product."""
        for product in self.model.products:
            for unit in product.units:
                yield {
                    "productId": product.id,
                    "optionId": self.shapes.option_id(product),
                    **self.shapes.unit(unit),
                }

    def product_capabilities(self) -> Iterator[dict[str, Any]]:
        """What each product needs of its reseller."""
        if self.switches["product_capabilities"]:
            for product in self.model.products:
                for capability in self.shapes.capabilities(product):
                    yield {"productId": product.id, **capability}

    def _bookable(self) -> Sequence[Product]:
        """The products whose availability can be read."""
        count = len(self.model.products)
        return self.model.products[self.switches["refused_products"] : count - self.switches["gone_products"]]

    def availability_calendar(self) -> Iterator[dict[str, Any]]:
        """The days of each product."""
        for product in self._bookable():
            for offset in range(-_DAYS_BACK, _DAYS_AHEAD + 1):
                day = self.model.calendar_day(product, self.today + timedelta(days=offset))
                if day.capacity is not None or self.switches["closed_days"]:
                    yield {
                        "productId": product.id,
                        "optionId": self.shapes.option_id(product),
                        **self.shapes.calendar_day(product, day, currency=self.switches["currency"]),
                    }

    def availability(self) -> Iterator[dict[str, Any]]:
        """The departures of each product."""
        for product in self._bookable():
            for offset in range(-_DAYS_BACK, _DAYS_AHEAD + 1):
                day = self.today + timedelta(days=offset)
                for departure in self.model.departures(product, day, removals=self.switches["removals"]):
                    yield {
                        "productId": product.id,
                        "optionId": self.shapes.option_id(product),
                        **self.shapes.departure(product, departure, currency=self.switches["currency"]),
                        "_utc_start": iso(departure.begins),
                    }

    def _found(self) -> Iterator[Booking]:
        first, last = (self.today + timedelta(days=days) for days in (-_BOOKING_DAYS, _BOOKING_DAYS))
        found: list[int] = []
        if self.switches["booking_filter"] != "references" or self.switches["bookings_unfiltered"] == "all":
            found += self.model.bookings_between(first, last, created=self.switches["local_date_means"] == "created")
        found += [self.model.by_uuid[uuid] for uuid in self.switches["uuids"] if uuid in self.model.by_uuid]
        for reference in self.switches["references"]:
            found += self.model.find_bookings(reseller_reference=reference, supplier_reference=None)
        for index in dict.fromkeys(found):
            removals, holds = self.switches["removals"], self.switches["list_holds"]
            if booking := self.model.listed(index, holds=holds, removals=removals):
                yield booking

    def _moved(self, booking: Booking) -> str | None:
        """The latest moment in the record."""
        moments = [booking.confirmed, booking.cancelled]
        if self.switches["booking_dates"]:
            moments += [booking.created, self.shapes.updated(booking)]
        known = [moment for moment in moments if moment is not None]
        return self.shapes.time(max(known)) if known else None

    def _ours(self, booking: Booking) -> dict[str, Any]:
        """The columns that the tap makes."""
        day = None if booking.departure is None else booking.departure.start[:10]
        return {"_updated_at": self._moved(booking), "_travel_date": day}

    def bookings(self) -> Iterator[dict[str, Any]]:
        """The bookings that travel in the window, and those of the references."""
        for booking in self._found():
            yield self.shapes.booking(booking) | self._ours(booking)

    def booking_unit_items(self) -> Iterator[dict[str, Any]]:
        """The items of these bookings."""
        for booking in self._found():
            for item in self.shapes.booking(booking)["unitItems"]:
                yield {"bookingUuid": booking.uuid, **self._ours(booking), **item}

    def booking_updates(self) -> Iterator[dict[str, Any]]:
        """What webhooks were told of the last day, each once."""
        for each in told(self.model, PeekShapes(self.switches), ""):
            delivery = _masked(each.body)
            yield {"bookingUuid": delivery["booking"]["uuid"], "_outcome": "confirmed", "delivery": delivery}

    def webhooks(self) -> Iterator[dict[str, Any]]:
        """All endpoints."""
        if self.switches["webhooks"] == "yes":
            yield from map(self.shapes.webhook, self.model.webhooks)

    def supplier(self) -> Iterator[dict[str, Any]]:
        """The operator."""
        yield supplier(self.model.operator, described=self.switches["content"])

    def capabilities(self) -> Iterator[dict[str, Any]]:
        """The capabilities of the connection."""
        yield from self.shapes.connection_capabilities()


def told(model: PeekModel, shapes: PeekShapes, account: str) -> Iterator[Told]:
    """What a webhook is told of the last day: bookings as they were when they were made, confirmed or cancelled.

    What an operator revises is told at the end of the day. That a hold has expired is not told.

    Args:
        model: The data of one operator.
        shapes: How records look.
        account: The operator's name.
    """
    if not model.ticks:
        return
    begun, ended = story_time(model.ticks - 1), story_time(model.ticks)
    before, moments = PeekModel(*model.made_of, model.ticks - 1, model.operator), list[tuple[int, int]]()
    for index in range(model.booking_count):
        booking = model.booking(index)
        known = {booking.created, booking.confirmed, booking.cancelled}
        moments += [(moment, index) for moment in known if moment is not None and begun < moment <= ended]
        if booking.updated == ended and booking.created < ended:
            moments.append((ended, index))
    hook = shapes.webhook(model.webhooks[0])
    for moment, index in sorted(set(moments)):
        booking = (model if moment == ended else _at(before, moment)).booking(index)
        yield Told(moment, account, {"webhook": hook, "booking": shapes.booking(booking)})


def _at(model: PeekModel, moment: int) -> PeekModel:
    """A model when its story has come to a moment of the next day."""
    then = copy.copy(model)
    then.now = moment
    return then


def _masked(value: Any) -> Any:
    """A delivery without what admits the bearer of a ticket."""
    if isinstance(value, list):
        return [_masked(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: MASK if name == "deliveryValue" and member is not None else _masked(member)
        for name, member in value.items()
    }


STREAMS: Mapping[str, Callable[[PeekTruth], Iterator[dict[str, Any]]]] = {
    "products": PeekTruth.products,
    "options": PeekTruth.options,
    "units": PeekTruth.units,
    "product_capabilities": PeekTruth.product_capabilities,
    "availability_calendar": PeekTruth.availability_calendar,
    "availability": PeekTruth.availability,
    "availability_snapshots": PeekTruth.availability,
    "bookings": PeekTruth.bookings,
    "booking_unit_items": PeekTruth.booking_unit_items,
    "booking_updates": PeekTruth.booking_updates,
    "webhooks": PeekTruth.webhooks,
    "supplier": PeekTruth.supplier,
    "capabilities": PeekTruth.capabilities,
}
