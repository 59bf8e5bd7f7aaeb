"""What Peek's model knows: products, departures, bookings, as they stand at some moment.

Amounts are minor units, moments are Unix seconds, days are dates in the product's own time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Booking", "CalendarDay", "Departure", "Item", "Money", "Product", "Unit", "Webhook"]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; ``tax`` and ``net`` are None where the API leaves them out."""

    original: int
    retail: int
    net: int | None
    currency: str
    tax: int | None

    def times(self, quantity: int) -> Money:
        """So many of it."""
        net = None if self.net is None else self.net * quantity
        tax = None if self.tax is None else self.tax * quantity
        return Money(self.original * quantity, self.retail * quantity, net, self.currency, tax)


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind of ticket."""

    id: str
    name: str
    reference: str | None
    type: str
    ages: tuple[int | None, int | None]
    most: int | None
    prices: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Something that can be booked."""

    index: int
    id: str
    name: str
    zone: str
    currencies: tuple[str, ...]
    opening_hours: bool
    per_booking: bool
    open_dated: bool
    freesale: bool
    starts: tuple[str, ...]
    minutes: int
    units: tuple[Unit, ...]
    prices: tuple[Money, ...]
    booked_price: Money
    extra_capability: str | None
    form: int


@dataclass(frozen=True, slots=True)
class Departure:
    """A departure, or a day of a product with opening hours; ``vacancies`` is None where nobody counts."""

    id: str
    iso_id: str
    start: str
    end: str
    cutoff: int
    days: tuple[date, ...]
    all_day: bool
    hours: tuple[tuple[str, str], ...]
    capacity: int | None
    vacancies: int | None


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """What the calendar tells about a day; ``vacancies`` is None on a closed day."""

    day: date
    hours: tuple[tuple[str, str], ...]
    capacity: int | None
    vacancies: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One ticket of a booking."""

    uuid: str
    unit: Unit
    code: str


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as it stands now."""

    index: int
    uuid: str
    product: Product
    departure: Departure | None
    status: str
    created: int
    updated: int
    expires: int | None
    confirmed: int | None
    cancelled: int | None
    redeemed: int | None
    reseller_reference: str | None
    supplier_reference: str
    person: str
    notes: str | None
    price: Money
    items: tuple[Item, ...]
    form: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint of the reseller."""

    id: str
    url: str
