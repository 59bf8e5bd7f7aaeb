"""What Peek knows: products, departures, bookings, each as it stands at some moment.

Amounts are minor units, moments are Unix seconds, days are dates in the product's own time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from merchant_sandbox.money import Money

__all__ = ["Booking", "CalendarDay", "Departure", "Product", "Unit", "UnitItem"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind of ticket."""

    id: str
    name: str
    reference: str | None
    type: str
    ages: tuple[int, int]
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
    instant: bool
    starts: tuple[str, ...]
    minutes: int
    units: tuple[Unit, ...]
    booked_units: tuple[Unit, ...]
    prices: tuple[Money, ...]
    booked_price: Money
    extra_capability: str | None
    form: int


@dataclass(frozen=True, slots=True)
class Departure:
    """A departure, or a day of a product with opening hours; ``vacancies`` is None where they are not counted."""

    id: str
    start: str
    end: str
    begins: int
    cutoff: int
    all_day: bool
    hours: tuple[tuple[str, str], ...]
    capacity: int | None
    vacancies: int | None


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """What the calendar says about a day; ``vacancies`` is None on a closed day."""

    day: date
    hours: tuple[tuple[str, str], ...]
    capacity: int | None
    vacancies: int | None


@dataclass(frozen=True, slots=True)
class UnitItem:
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
    items: tuple[UnitItem, ...]
    form: int
