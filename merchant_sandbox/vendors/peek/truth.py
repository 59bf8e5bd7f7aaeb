"""Peek's records as they must stand in the warehouse, as far as a tap with its default windows can find them.

They are made from the model: the parents' keys and the connection are added, times are UTC text, secrets are masked. A
property that a record lacks is absent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from merchant_sandbox.vendors.peek.model import Model
    from merchant_sandbox.vendors.peek.records import Booking
    from merchant_sandbox.vendors.peek.shapes import Shapes

__all__ = ["CAPABILITIES", "STREAMS", "Truth", "supplier"]

STREAMS = (
    "products",
    "options",
    "units",
    "product_capabilities",
    "availability_calendar",
    "availability",
    "availability_snapshots",
    "bookings",
    "booking_unit_items",
    "webhooks",
    "supplier",
    "capabilities",
)
CAPABILITIES: tuple[dict[str, Any], ...] = (
    {"id": "octo/pricing", "revision": 1, "required": True, "dependencies": []},
    {"id": "octo/webhooks", "revision": 1, "required": False, "dependencies": [], "docs": None},
)
_DAYS_BACK, _DAYS_AHEAD = 1, 90
_BOOKING_DAYS = 365
_SUPPORTED = {"octo/pricing", "octo/webhooks"}


def supplier(operator: int) -> dict[str, Any]:
    """The operator behind a key."""
    return {
        "id": f"supplier-{operator}",
        "name": "Søn & Co",
        "endpoint": "https://octo.example.com/v1",
        "contact": {"website": None, "email": "desk@example.com", "telephone": None, "address": "1 Pier, Harbour"},
    }


class Truth:
    """The rows of every stream.

    Args:
        models: The operators by the name of their connection.
        shapes: How records look in the warehouse.
        now: The world's time, in Unix seconds.
        references: Reseller references that the tap was told to ask for.
        holds: Whether the list of bookings holds those that were never confirmed.
        by_creation: Whether the list of bookings goes by the day of creation.
        gone: Number of products, from the end, that refuse to tell their availability.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        shapes: Shapes,
        *,
        now: float,
        references: Collection[str],
        holds: bool,
        by_creation: bool,
        gone: int,
    ) -> None:
        self.models = models
        self.shapes = shapes
        self.today = datetime.fromtimestamp(now, UTC).date()
        self.references = references
        self.holds = holds
        self.by_creation = by_creation
        self.gone = gone

    def rows(self, stream: str) -> Iterator[dict[str, Any]]:
        """The rows of a stream, in the order served, one connection after the other."""
        for name, model in self.models.items():
            for row in getattr(self, f"_{stream}")(model):
                yield {"_connection": name, **row}

    def _products(self, model: Model) -> Iterator[dict[str, Any]]:
        for product in model.products:
            row = self.shapes.product(product)
            needed = {capability["id"] for capability in row.get("capabilities", ()) if capability["required"]}
            yield row | {"_unsupported_required_capabilities": sorted(needed - _SUPPORTED)}

    def _options(self, model: Model) -> Iterator[dict[str, Any]]:
        for product in model.products:
            yield {"productId": product.id, **self.shapes.option(product)}

    def _units(self, model: Model) -> Iterator[dict[str, Any]]:
        for product in model.products:
            for unit in product.units:
                yield {
                    "productId": product.id,
                    "optionId": self.shapes.option_id(product),
                    **self.shapes.unit(unit),
                }

    def _product_capabilities(self, model: Model) -> Iterator[dict[str, Any]]:
        if self.shapes.form.product_capabilities:
            for product in model.products:
                for capability in self.shapes.capabilities(product):
                    yield {"productId": product.id, **capability}

    def _availability_calendar(self, model: Model) -> Iterator[dict[str, Any]]:
        for product in model.products[: len(model.products) - self.gone]:
            for offset in range(-_DAYS_BACK, _DAYS_AHEAD + 1):
                day = model.calendar_day(product, self.today + timedelta(days=offset))
                if day.capacity is not None or self.shapes.form.closed_days:
                    yield {
                        "productId": product.id,
                        "optionId": self.shapes.option_id(product),
                        **self.shapes.calendar_day(product, day),
                    }

    def _availability(self, model: Model) -> Iterator[dict[str, Any]]:
        for product in model.products[: len(model.products) - self.gone]:
            for offset in range(-_DAYS_BACK, _DAYS_AHEAD + 1):
                for departure in model.departures(product, self.today + timedelta(days=offset)):
                    yield {
                        "productId": product.id,
                        "optionId": self.shapes.option_id(product),
                        **self.shapes.departure(product, departure),
                    }

    _availability_snapshots = _availability

    def _found(self, model: Model) -> Iterator[Booking]:
        first, last = (self.today + timedelta(days=days) for days in (-_BOOKING_DAYS, _BOOKING_DAYS))
        found = model.bookings_between(first, last, created=self.by_creation)
        for reference in self.references:
            found += model.find_bookings(reseller_reference=reference, supplier_reference=None)
        for index in dict.fromkeys(found):
            booking = model.booking(index)
            if self.holds or booking.confirmed is not None:
                yield booking

    def _moved(self, booking: Booking) -> str | None:
        """The latest moment that the record tells."""
        moments = [booking.confirmed, booking.cancelled]
        if self.shapes.form.booking_dates:
            moments += [booking.created, None if booking.form & 1 else booking.updated]
        known = [moment for moment in moments if moment is not None]
        return self.shapes.time(max(known)) if known else None

    def _bookings(self, model: Model) -> Iterator[dict[str, Any]]:
        for booking in self._found(model):
            yield self.shapes.booking(booking) | {"_updated_at": self._moved(booking)}

    def _booking_unit_items(self, model: Model) -> Iterator[dict[str, Any]]:
        for booking in self._found(model):
            for item in self.shapes.booking(booking)["unitItems"]:
                yield {"bookingUuid": booking.uuid, "_updated_at": self._moved(booking), **item}

    def _webhooks(self, model: Model) -> Iterator[dict[str, Any]]:
        yield from map(self.shapes.webhook, model.webhooks)

    def _supplier(self, model: Model) -> Iterator[dict[str, Any]]:
        yield supplier(model.operator)

    def _capabilities(self, _model: Model) -> Iterator[dict[str, Any]]:
        yield from CAPABILITIES
