"""Peek's data: what an operator sells, when it leaves, and who has booked.

Every record is a function of its index and of the moment at which the story stands. Amounts are minor units, moments
are Unix seconds, days are dates in the product's own time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from merchant_sandbox.clock import DAY, HOUR
from merchant_sandbox.dice import Dice, Ids
from merchant_sandbox.timeline import Timeline, story_time
from merchant_sandbox.vendors.peek.records import Booking, CalendarDay, Departure, Item, Money, Product, Unit, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merchant_sandbox.vendor import Size

__all__ = ["PRECISION", "Model"]

_SIZES = {"small": (12, 600), "medium": (60, 30_000), "large": (200, 300_000)}
"""Products and bookings before the first tick."""

_PLACES = (
    ("America/Los_Angeles", ("USD", "USD", "EUR")),
    ("Asia/Kathmandu", ("USD",)),
    ("Europe/Copenhagen", ("DKK", "EUR")),
    ("Asia/Tokyo", ("JPY",)),
    ("Asia/Kuwait", ("KWD", "USD")),
    ("Pacific/Chatham", ("NZD",)),
)
PRECISION = {"JPY": 0, "CLP": 0, "KWD": 3}
_NAMES = (
    "Rent-a-Kayak",
    "Mount “Everest” flight",
    "Havnerundfart Ærø",
    "夜の東京散歩",
    "Dhow\ncruise",
    "Lagoon tour 🌊",
    "Zip line, C:\\jump",
)
_STARTS = (("09:00", "14:30"), ("23:30",), ("02:30", "10:00", "14:30"), ("12:00",))
_MINUTES = (60, 90, 720, 45)
_UNITS = (("1-Seater", "ADULT"), ("Child «6–12»", "CHILD"), ("Family", "FAMILY"), ("Senior", "SENIOR"))
_PEOPLE = ("Zoë Ångström", 'Bo "Bear" O\'Neil', "王 小明", "Line\nBreak", "Jane Doe")
_REVISED = 50
"""One booking in so many is revised with each tick."""


class Model:
    """One operator's data for one (seed, size, ticks).

    Two operators sell products with the same ids: ids are unique for one key only.

    Args:
        seed: Changes every value.
        size: Number of records, see `_SIZES`.
        ticks: Days told beyond the base data.
        operator: Number of the operator, from 0.
    """

    def __init__(self, seed: int, size: Size, ticks: int, operator: int = 0) -> None:
        products, bookings = _SIZES[size]
        seed = seed * 2 + operator
        self.operator, self.ticks, self.now = operator, ticks, story_time(ticks)
        self.product_count = products + ticks // 3
        self._base_products = products
        self._timeline = Timeline(
            bookings, max(8, bookings // 60), Dice(seed, "booking time"), range(bookings // 2, bookings // 2 + 30)
        )
        self.booking_count = self._timeline.count(ticks)
        self._product_ids = Ids("av_", 1, 5)
        self._references = Ids("", seed, 6)
        self._product_dice = Dice(seed, "product")
        self._unit_dice = Dice(seed, "unit")
        self._day_dice = Dice(seed, "day")
        self._booking_dice = Dice(seed, "booking")
        self._item_dice = Dice(seed, "item")

    @cached_property
    def products(self) -> list[Product]:
        """All products; every third tick brings one more."""
        return [self._product(index) for index in range(self.product_count)]

    def find_product(self, text: str) -> Product | None:
        """The product of an id."""
        index = self._product_ids.decode(text)
        return self.products[index] if index is not None and 0 <= index < self.product_count else None

    def _product(self, index: int) -> Product:
        dice = self._product_dice(index)
        zone, currencies = _PLACES[index % len(_PLACES)]
        distinct = tuple(dict.fromkeys(currencies))
        per_booking = index % 3 == 2
        return Product(
            index=index,
            id=self._product_ids.encode(index),
            name=_NAMES[index % len(_NAMES)] + (f" v{self.ticks}" if index % 5 == 4 else ""),
            zone=zone,
            currencies=currencies,
            opening_hours=index % 4 == 3,
            per_booking=per_booking,
            open_dated=index % 6 == 5,
            freesale=bool(dice & 1),
            starts=_STARTS[index % len(_STARTS)],
            minutes=_MINUTES[(dice >> 4) % len(_MINUTES)],
            units=self._units(index, distinct, per_booking=per_booking),
            prices=self._prices(dice >> 8, index, distinct) if per_booking else (),
            booked_price=self._prices(dice >> 8, index, distinct, risen=0)[0],
            extra_capability={3: "octo/questions", 7: "octo/pricing2"}.get(index),
            form=dice >> 40 & 255,
        )

    def _units(self, product: int, currencies: tuple[str, ...], *, per_booking: bool) -> tuple[Unit, ...]:
        count = 1 + product % 3
        if product % 5 == 1:
            count += self.ticks >= 2
        if product % 5 == 2 and self.ticks:
            count = 1
        units = []
        for number in range(count):
            key = product * 8 + number
            dice = self._unit_dice(key)
            name, kind = _UNITS[number % len(_UNITS)]
            units.append(
                Unit(
                    id=_uuid(self._unit_dice, key),
                    name=name,
                    reference=None if dice & 1 else f"u{number}",
                    type=kind,
                    ages=(18, 99) if kind == "ADULT" else (None, None),
                    most=None if dice & 2 else 10,
                    prices=() if per_booking else self._prices(dice >> 8, product, currencies),
                )
            )
        return tuple(units)

    def _prices(
        self, dice: int, product: int, currencies: tuple[str, ...], *, risen: int | None = None
    ) -> tuple[Money, ...]:
        if risen is None:
            risen = 10 * self.ticks if product % 4 == 0 else 0
        amount = 9_007_199_254_740_993 if product == 8 else 500 + dice % 9000
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
        """Capacity and vacancies; half of all places sell a little more with each tick."""
        capacity = 4 + (dice >> 8) % 30
        booked = (dice >> 16) % (capacity + 1) + (self.ticks if dice >> 30 & 1 else 0)
        return capacity, max(0, capacity - booked)

    def closed(self, product: Product, day: date) -> bool:
        """Whether nothing leaves on a day."""
        return self._day_dice(product.index << 24 | day.toordinal()) % 8 == 0

    def calendar_day(self, product: Product, day: date) -> CalendarDay:
        """What the calendar tells about a day."""
        if self.closed(product, day):
            return CalendarDay(day, (), None, None)
        dice = self._day_dice(product.index << 24 | day.toordinal())
        capacity, vacancies = self._booked(dice)
        return CalendarDay(day, (("09:00", "12:00"), ("15:00", "18:00"))[: 1 + (dice & 1)], capacity, vacancies)

    def departures(self, product: Product, day: date) -> Iterator[Departure]:
        """What leaves on a day."""
        if not self.closed(product, day):
            for number in range(1 if product.opening_hours else len(product.starts)):
                yield self.departure(product, day, number)

    def departure(self, product: Product, day: date, number: int) -> Departure:
        """One departure of a day."""
        key = (product.index << 24 | day.toordinal()) << 3 | number | 1 << 60
        dice, zone = self._day_dice(key), ZoneInfo(product.zone)
        if product.opening_hours:
            start = datetime.combine(day, time(), zone)
            end = datetime.combine(day + timedelta(days=1), time(), zone)
            minutes = 1440
        else:
            start = datetime.combine(day, time.fromisoformat(product.starts[number]), zone)
            minutes = product.minutes
            end = (start.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(zone)
        capacity, vacancies = self._booked(dice)
        counted = not (product.freesale and dice >> 32 & 7 == 0)
        return Departure(
            id=f"{start:%Y%m%d%H%M%S}_{minutes}_{_uuid(self._day_dice, key)}",
            iso_id=start.isoformat(),
            start=start.isoformat(),
            end=end.isoformat(),
            cutoff=int(start.timestamp()) - HOUR,
            days=(day,) if product.opening_hours or end.date() == day else (day, end.date()),
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
        created = datetime.fromtimestamp(self._timeline.created(index), UTC).date()
        day = created + timedelta(days=(dice >> 10) % 120)
        return product, day, 0 if product.opening_hours else (dice >> 20) % len(product.starts)

    def booking(self, index: int) -> Booking:
        """A booking as it stands now."""
        dice, travel, created = self._booking_dice(index), self._travel(index), self._timeline.created(index)
        product = self.products[dice % self._base_products]
        departure = self.departure(*travel) if travel else None
        status, expires, confirmed, cancelled = self._fate(dice >> 24, created)
        revised = index % _REVISED == 7
        moments = [created, confirmed or 0, cancelled or 0, self.now if revised else 0]
        begins = departure.cutoff + HOUR if departure else self.now
        return Booking(
            index=index,
            uuid=_uuid(self._booking_dice, index),
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
            person=_PEOPLE[dice >> 40 & 3] if dice >> 40 & 7 < len(_PEOPLE) else "Jane Doe",
            notes=f"Vegan 🌱, revision {self.ticks}" if revised else (None, "call first\nplease")[dice >> 44 & 1],
            price=product.booked_price.times(1 if product.per_booking else self._seats(dice)),
            items=tuple(self._item(index, number, product) for number in range(self._seats(dice))),
            form=dice >> 48 & 255,
        )

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

    def _seats(self, dice: int) -> int:
        return 1 + (dice >> 54) % 3

    def _item(self, booking: int, number: int, product: Product) -> Item:
        key = booking * 4 + number
        return Item(_uuid(self._item_dice, key), product.units[0], f"TICKET-{self._item_dice(key):016X}")

    def _reseller_reference(self, index: int, *, open_dated: bool) -> str | None:
        if open_dated or index % 3:
            return f"Ærø & Søn #{index}/ü+1" if index % 7 == 1 else f"RS-{index}"
        return None

    def find_bookings(self, *, reseller_reference: str | None, supplier_reference: str | None) -> list[int]:
        """The bookings of a reference."""
        if supplier_reference is not None:
            index = self._references.decode(supplier_reference)
            return [index] if index is not None and 0 <= index < self.booking_count else []
        digits = (reseller_reference or "").removesuffix("/ü+1").rpartition("-")[2].rpartition("#")[2]
        index = int(digits) if digits.isdecimal() else -1
        found = 0 <= index < self.booking_count and self.booking(index).reseller_reference == reseller_reference
        return [index] if found else []

    def bookings_between(self, first: date, last: date, *, created: bool = False) -> list[int]:
        """The bookings that travel between two days, both included; by day of creation if a server means that."""
        calendar = self._by_creation if created else self._by_travel
        days = range(first.toordinal(), last.toordinal() + 1)
        near = days if len(days) < len(calendar) else sorted(calendar.keys() & days)
        return sorted({index for day in near for index in calendar.get(day, ())})

    @cached_property
    def _by_travel(self) -> dict[int, list[int]]:
        calendar: dict[int, list[int]] = {}
        for index in range(self.booking_count):
            if (travel := self._travel(index)) is not None:
                for day in self._days(*travel):
                    calendar.setdefault(day, []).append(index)
        return calendar

    def _days(self, product: Product, day: date, number: int) -> tuple[int, ...]:
        """A departure that ends after midnight is found under both of its days."""
        if product.opening_hours or product.starts[number] < "12:00":
            return (day.toordinal(),)
        return tuple(found.toordinal() for found in self.departure(product, day, number).days)

    @cached_property
    def _by_creation(self) -> dict[int, list[int]]:
        calendar: dict[int, list[int]] = {}
        for index in range(self.booking_count):
            day = datetime.fromtimestamp(self._timeline.created(index), UTC).date()
            calendar.setdefault(day.toordinal(), []).append(index)
        return calendar

    @cached_property
    def by_uuid(self) -> dict[str, int]:
        """Index of each booking."""
        return {_uuid(self._booking_dice, index): index for index in range(self.booking_count)}

    @property
    def webhooks(self) -> list[Webhook]:
        """The endpoints there are: the second one goes with the first tick, others come."""
        urls = {
            0: "https://example.com/webhooks/booking_update",
            1: "https://example.org/gone",
            2: "https://user:pa55w0rd@example.com/h/ü?x=1",
            **{2 + tick: f"https://example.net/hook/{tick}" for tick in range(2, self.ticks + 1, 2)},
        }
        if self.ticks:
            del urls[1]
        return [Webhook(f"octohook_{123 + number}", url) for number, url in urls.items()]


def _uuid(dice: Dice, index: int) -> str:
    return str(UUID(int=dice(index << 1 | 1 << 61) << 64 | dice(index << 1 | 1 << 62), version=4))
