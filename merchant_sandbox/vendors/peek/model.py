"""Peek's data: what an operator sells, when it leaves, and who has booked.

Every record is a function of its index and of the moment that the story has reached. Amounts are minor units, moments
are Unix seconds, days are dates in the product's own time zone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from merchant_sandbox.clock import DAY, HOUR
from merchant_sandbox.days import DayIndex
from merchant_sandbox.dice import Dice, Ids
from merchant_sandbox.events import Webhook
from merchant_sandbox.money import Money, total
from merchant_sandbox.timeline import FIRST_DAY, LAST_DAY, Timeline, is_removed, story_time
from merchant_sandbox.tours import MINUTES, NAMES, PEOPLE, PLACES, STARTS, UNITS
from merchant_sandbox.vendors.peek.records import Booking, CalendarDay, Departure, Product, Unit, UnitItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merchant_sandbox.vendor import Size

__all__ = ["PeekModel"]

_SIZES = {"demo": (12, 600), "small": (12, 600), "medium": (60, 30_000), "large": (200, 300_000)}
"""Products and bookings before the first tick."""

_REVISED, _CLOSED = 50, 8
"""One booking in this many is revised with each tick; one day in this many has no departures."""


class PeekModel:
    """One operator's data for one (seed, size, ticks).

    Two operators sell products with the same ids: ids are unique only within a key.

    Args:
        seed: Changes every value.
        size: Number of records, see `_SIZES`.
        ticks: Days of changes on top of the base data.
        operator: Number of the operator, from 0.
    """

    def __init__(self, seed: int, size: Size, ticks: int, operator: int = 0) -> None:
        self.made_of, (products, bookings) = (seed, size), _SIZES[size]
        self._odd_product = None if size == "demo" else 8
        seed = seed * 2 + operator
        self.operator, self.ticks, self.now = operator, ticks, story_time(ticks)
        self.product_count, self._base_products = products + ticks // 3, products
        self._timeline = Timeline(
            bookings, max(8, bookings // 60), Dice(seed, "booking time"), range(bookings // 2, bookings // 2 + 30)
        )
        self.booking_count = self._timeline.count(ticks)
        self._product_ids = Ids("av_", 1, 5)
        self._references = Ids("", seed, 6)
        self._product_dice, self._unit_dice, self._day_dice = (Dice(seed, name) for name in ("product", "unit", "day"))
        self._booking_dice, self._item_dice = Dice(seed, "booking"), Dice(seed, "item")

    @cached_property
    def products(self) -> list[Product]:
        """All products; every third tick brings one more."""
        return [self._product(index) for index in range(self.product_count)]

    def find_product(self, text: str) -> Product | None:
        """The product with an id."""
        index = self._product_ids.decode(text)
        return self.products[index] if index is not None and 0 <= index < self.product_count else None

    def _product(self, index: int) -> Product:
        dice = self._product_dice(index)
        zone, currencies = PLACES[index % len(PLACES)]
        distinct = tuple(dict.fromkeys(currencies))
        per_booking = index % 3 == 2
        return Product(
            index=index,
            id=self._product_ids.encode(index),
            name=NAMES[index % len(NAMES)] + (f" v{self.ticks}" if index % 5 == 4 else ""),
            zone=zone,
            currencies=currencies,
            opening_hours=index % 4 == 3,
            per_booking=per_booking,
            open_dated=index % 6 == 5,
            freesale=bool(dice & 1),
            instant=index % 2 == 0,
            starts=STARTS[index % len(STARTS)],
            minutes=MINUTES[(dice >> 4) % len(MINUTES)],
            units=self._units(index, distinct, per_booking=per_booking),
            booked_units=self._units(index, distinct, per_booking=per_booking, now=False),
            prices=self._prices(dice >> 8, index, distinct) if per_booking else (),
            booked_price=self._prices(dice >> 8, index, distinct, now=False)[0],
            extra_capability={3: "octo/questions", 7: "octo/pricing2"}.get(index),
            form=dice >> 40 & 255,
        )

    def _units(
        self, product: int, currencies: tuple[str, ...], *, per_booking: bool, now: bool = True
    ) -> tuple[Unit, ...]:
        """The units that are sold now, or those that bookings are of, with their prices."""
        count = 1 + product % 3
        if now and product % 5 == 1:
            count += self.ticks >= 2
        if now and product % 5 == 2 and self.ticks:
            count = 1
        units = []
        for number in range(count):
            key = product * 8 + number
            dice = self._unit_dice(key)
            name, kind, ages = UNITS[number % len(UNITS)]
            units.append(
                Unit(
                    id=self._unit_dice.uuid(key),
                    name=name,
                    reference=None if dice & 1 else f"u{number}",
                    type=kind,
                    ages=ages,
                    most=None if dice & 2 else 10,
                    prices=() if per_booking else self._prices(dice >> 8, product, currencies, now=now),
                )
            )
        return tuple(units)

    def _prices(self, dice: int, product: int, currencies: tuple[str, ...], *, now: bool = True) -> tuple[Money, ...]:
        risen = 10 * self.ticks if now and product % 4 == 0 else 0
        amount = 9_007_199_254_740_993 if product == self._odd_product else 500 + dice % 9000
        return tuple(
            Money(
                original=amount + number * 37 + risen + (250 if dice & 1 << 20 else 0),
                retail=amount + number * 37 + risen,
                net=None if dice & 1 << 21 else (amount + number * 37 + risen) * 4 // 5,
                currency=currency,
                tax=(amount + number * 37) // 10 if dice & 1 << 22 else None,
            )
            for number, currency in enumerate(currencies)
        )

    def _booked(self, dice: int) -> tuple[int, int]:
        """Capacity and vacancies; half of all departures sell a little more with each tick."""
        capacity = 4 + (dice >> 8) % 30
        booked = (dice >> 16) % (capacity + 1) + (self.ticks if dice >> 30 & 1 else 0)
        return capacity, max(0, capacity - booked)

    def calendar_day(self, product: Product, day: date) -> CalendarDay:
        """What the calendar says about a day."""
        dice = self._day_dice(product.index << 24 | day.toordinal())
        if dice % _CLOSED == 0:
            return CalendarDay(day, (), None, None)
        capacity, vacancies = self._booked(dice)
        return CalendarDay(day, (("09:00", "12:00"), ("15:00", "18:00"))[: 1 + (dice & 1)], capacity, vacancies)

    def departures(self, product: Product, day: date, *, removals: bool = False) -> Iterator[Departure]:
        """What leaves on a day, less what was removed since if there are removals."""
        if self._day_dice(product.index << 24 | day.toordinal()) % _CLOSED:
            for number in range(1 if product.opening_hours else len(product.starts)):
                if not (removals and is_removed(product.index + day.toordinal() * 3 + number, self.ticks)):
                    yield self.departure(product, day, number)

    def departure(self, product: Product, day: date, number: int) -> Departure:
        """One departure of a day."""
        key = (product.index << 24 | day.toordinal()) << 3 | number | 1 << 60
        dice, zone = self._day_dice(key), ZoneInfo(product.zone)
        begins = time() if product.opening_hours else time.fromisoformat(product.starts[number])
        minutes = 1440 if product.opening_hours else product.minutes
        start = datetime.combine(day, begins, zone)
        if product.opening_hours:
            end = datetime.combine(day + timedelta(days=1), time(), zone)
        else:
            end = (start.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(zone)
        capacity, vacancies = self._booked(dice)
        counted = not (product.freesale and dice >> 32 & 7 == 0)
        return Departure(
            id=f"{start:%Y%m%d%H%M%S}_{minutes}_{self._day_dice.uuid(key)}",
            start=start.isoformat(),
            end=end.isoformat(),
            begins=int(start.timestamp()),
            cutoff=int(start.timestamp()) - HOUR,
            all_day=product.opening_hours,
            hours=(("09:00", "18:00"),) if product.opening_hours else (),
            capacity=capacity if counted else None,
            vacancies=vacancies if counted else None,
        )

    def _travel(self, index: int) -> tuple[Product, date, int] | None:
        """Product, day and number of the departure of a booking; None for an open-dated one."""
        dice = self._booking_dice(index)
        product = self.products[dice % self._base_products]
        if product.open_dated and dice >> 8 & 1:
            return None
        day = self._created_on(index) + timedelta(days=(dice >> 10) % 120)
        return product, day, 0 if product.opening_hours else (dice >> 20) % len(product.starts)

    def booking(self, index: int) -> Booking:
        """A booking as it stands now."""
        dice, travel, created = self._booking_dice(index), self._travel(index), self._timeline.created(index)
        product = self.products[dice % self._base_products]
        departure = self.departure(*travel) if travel else None
        status, expires, confirmed, cancelled = self._fate(dice >> 24, created)
        revised, seats = index % _REVISED == 7, 1 + (dice >> 54) % 3
        moments = [created, confirmed or 0, cancelled or 0, self.now if revised else 0]
        begins = departure.begins if departure else self.now
        items = tuple(self._item(index, number, product) for number in range(seats))
        return Booking(
            index=index,
            uuid=self._booking_dice.uuid(index),
            product=product,
            departure=departure,
            status=status,
            created=created,
            updated=max(moments),
            expires=expires,
            confirmed=confirmed,
            cancelled=cancelled,
            redeemed=begins if dice >> 50 & 3 == 0 and confirmed and not cancelled and begins < self.now else None,
            reseller_reference=self._reseller_reference(index, open_dated=departure is None),
            supplier_reference=self._references.encode(index),
            person=PEOPLE[dice >> 40 & 3] if dice >> 40 & 7 < len(PEOPLE) else "Jane Doe",
            notes=f"Vegan 🌱, revision {self.ticks}" if revised else (None, "call first\nplease")[dice >> 44 & 1],
            price=product.booked_price if product.per_booking else total([item.unit.prices[0] for item in items]),
            items=items,
            form=dice >> 48 & 255,
        )

    def listed(self, index: int, *, holds: bool, removals: bool) -> Booking | None:
        """A booking as lists show it, if they do; with removals, some lose their last ticket."""
        booking, ticks = self.booking(index), self.ticks if removals else 0
        if (booking.confirmed is None and not holds) or is_removed(index, ticks):
            return None
        return replace(booking, items=booking.items[:-1]) if is_removed(index // 2, ticks) else booking

    def _fate(self, dice: int, created: int) -> tuple[str, int | None, int | None, int | None]:
        """Status, and the moments of expiry, confirmation and cancellation as far as they have come."""
        hold = 20 * DAY if dice & 1 else HOUR // 2
        confirmed = created + 5 + (dice >> 4) % min(hold, 3 * DAY) if dice >> 1 & 7 else None
        cancelled = confirmed + HOUR + (dice >> 8) % (60 * DAY) if confirmed and dice >> 28 & 3 == 0 else None
        if cancelled and cancelled <= self.now:
            return "CANCELLED", None, confirmed, cancelled
        if confirmed and confirmed <= self.now:
            return "CONFIRMED", None, confirmed, None
        return ("ON_HOLD" if created + hold > self.now else "EXPIRED"), created + hold, None, None

    def _item(self, booking: int, number: int, product: Product) -> UnitItem:
        key = booking * 4 + number
        dice = self._item_dice(key)
        unit = product.booked_units[dice % len(product.booked_units)]
        return UnitItem(self._item_dice.uuid(key), unit, f"TICKET-{dice:016X}")

    def _reseller_reference(self, index: int, *, open_dated: bool) -> str | None:
        if open_dated or index % 3:
            return f"Ærø & Søn #{index}/ü+1" if index % 7 == 1 else f"RS-{index}"
        return None

    def find_bookings(self, *, reseller_reference: str | None, supplier_reference: str | None) -> list[int]:
        """The bookings with a reference."""
        if supplier_reference is not None:
            index = self._references.decode(supplier_reference)
            return [index] if index is not None and 0 <= index < self.booking_count else []
        digits = (reseller_reference or "").removesuffix("/ü+1").rpartition("-")[2].rpartition("#")[2]
        index = int(digits) if digits.isdecimal() else -1
        found = 0 <= index < self.booking_count and self.booking(index).reseller_reference == reseller_reference
        return [index] if found else []

    def bookings_between(self, first: date, last: date, *, created: bool = False) -> list[int]:
        """The bookings that travel, or were created, between two days; both days are included."""
        return (self._by_creation if created else self._by_travel).between(first, last)

    @cached_property
    def _by_travel(self) -> DayIndex:
        travels = ((self._travel(index), index) for index in range(self.booking_count))
        return DayIndex((day, index) for travel, index in travels if travel for day in self._days(*travel))

    def _days(self, product: Product, day: date, number: int) -> tuple[int, ...]:
        """A departure that ends after midnight is found under both of its days."""
        if product.opening_hours or product.starts[number] < "12:00":
            return (day.toordinal(),)
        ends = date.fromisoformat(self.departure(product, day, number).end[:10])
        return (day.toordinal(),) if ends == day else (day.toordinal(), ends.toordinal())

    @cached_property
    def _by_creation(self) -> DayIndex:
        return DayIndex((self._created_on(index).toordinal(), index) for index in range(self.booking_count))

    def _created_on(self, index: int) -> date:
        return datetime.fromtimestamp(self._timeline.created(index), UTC).date()

    @cached_property
    def by_uuid(self) -> dict[str, int]:
        """Index of each booking."""
        return {self._booking_dice.uuid(index): index for index in range(self.booking_count)}

    @property
    def webhooks(self) -> list[Webhook]:
        """The current endpoints: the second is deleted with the first tick, others are added."""
        made = (
            Webhook(0, "https://example.com/webhooks/booking_update", FIRST_DAY, None),
            Webhook(1, "https://example.org/gone", FIRST_DAY, LAST_DAY + DAY),
            Webhook(2, "https://user:pa55w0rd@example.com/h/ü?x=1", FIRST_DAY, None),
            *(
                Webhook(2 + tick, f"https://example.net/hook/{tick}", LAST_DAY + tick * DAY, None)
                for tick in range(2, self.ticks + 1, 2)
            ),
        )
        return [webhook for webhook in made if webhook.there(self.now)]
