"""premiumpay's data: what was sold through which gateway and channel, and who joined.

The moments of all sales are kept in order; everything else about a sale follows from its recipe, a number. Two sales
with the same recipe are equal except for their id. Times are Unix seconds, amounts are cents.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from merchant_sandbox.clock import DAY, HOUR, unix
from merchant_sandbox.dice import Dice
from merchant_sandbox.timeline import FIRST_DAY, LAST_DAY, story_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merchant_sandbox.vendor import Size

__all__ = ["Channel", "Link", "PremiumpayGateway", "PremiumpayModel", "Result", "Sale", "Service"]

_SALES = {"demo": 1_200, "small": 1_200, "medium": 100_000, "large": 1_000_000}
_PER_TICK = {"demo": 6, "small": 6, "medium": 60, "large": 600}
_CHANNELS = {"demo": 4, "small": 4, "medium": 12, "large": 40}

_QUIET_FROM = unix("2025-08-01T00:00:00+00:00")
_QUIET = 31 * DAY
"""August 2025 has no sales."""

_FOLD, _REFUNDED, _SPECIAL, _TICKED = 1_000_000_007, 2_000_000_000, 3_000_000_000, 4_000_000_000
"""Where the recipes begin of sales that the story needs at certain moments."""

_SPECIAL_MOMENTS = (
    "2025-03-29T23:59:59+00:00",
    "2025-03-30T00:59:59+00:00",  # the last second before Madrid's clocks go forward
    "2025-03-30T01:00:00+00:00",
    "2025-05-31T23:59:59+00:00",
    "2025-06-01T00:00:00+00:00",
    "2025-10-25T23:59:59+00:00",
    "2025-10-26T00:00:00+00:00",
    "2025-10-26T22:59:59+00:00",  # the last second of Madrid's day of 25 hours
    "2025-10-26T23:00:00+00:00",
)
_FOLDED_MOMENTS = ("2025-10-26T00:30:00+00:00", "2025-10-26T01:30:00+00:00")
"""Equal sales in the hour that Madrid's clocks show twice."""

_LATE_BY = 2 * DAY
_REFUNDS_PLANNED = 10


@dataclass(frozen=True, slots=True)
class Service:
    """Something sold through a gateway."""

    id: int
    name: str | None


@dataclass(frozen=True, slots=True)
class PremiumpayGateway:
    """A gateway (*pasarela*) with its services."""

    id: int
    name: str
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale as it stands at some moment; ``position`` is its place in time."""

    position: int
    recipe: int
    time: int
    gateway: int
    service: int | None
    cents: int | None
    as_text: bool
    currency: str | None
    country: str | None
    payment_method: str
    refunded: bool


@dataclass(frozen=True, slots=True)
class Link:
    """An invitation link of a channel."""

    url: str | None
    name: str
    duration_hours: int
    requires_approval: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with its links."""

    id: int
    name: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Who joined and left on a day; ``day`` are the Unix seconds of its midnight in UTC."""

    day: int
    joined: int
    left: int


_GATEWAYS = (
    PremiumpayGateway(101, "Tienda", (Service(1, "Curso básico"), Service(2, "Señales VIP"))),
    PremiumpayGateway(102, "Bot “Ünïque” 🎉", (Service(3, None), Service(4, "A, b\n\tc"), Service(5, "Año"))),
    PremiumpayGateway(103, "Without services", ()),
    PremiumpayGateway(104, "Never used", (Service(9, "Soon"),)),
)
_COUNTRIES = ("ES", "ES", "ES", "MX", "FR", "AR", None)
_METHODS = ("stripe2", "bizum", "paypal")
_CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD", "€", None)
_CENTS = (990, 4_900, 1_250, 1, 0, 19_999, 5_000)
_ODD_CENTS = 9_007_199_254_740_993


class PremiumpayModel:
    """The data of one (seed, size, ticks).

    Args:
        seed: Changes every value.
        size: Number of records, see `_SALES`.
        ticks: Days of changes on top of the base data.
    """

    gateways = _GATEWAYS

    def __init__(self, seed: int, size: Size, ticks: int) -> None:
        self.story = story_time(ticks)
        self.channels = _CHANNELS[size]
        self._cents = (*_CENTS, _CENTS[1] if size == "demo" else _ODD_CENTS)
        self._dice = Dice(seed, "sale")
        self._refund = Dice(seed, "refund")
        self._channel = Dice(seed, "channel of a sale")
        self._result = Dice(seed, "result")
        moments = sorted(
            [*self._base(_SALES[size], Dice(seed, "moment")), *self._planned(), *self._ticked(_PER_TICK[size], ticks)]
        )
        self._times = array("q", (time for time, _ in moments))
        self._recipes = array("q", (recipe for _, recipe in moments))

    def _base(self, number: int, dice: Dice) -> Iterator[tuple[int, int]]:
        period = LAST_DAY - FIRST_DAY - _QUIET
        day = 0
        for recipe in range(number):
            time = FIRST_DAY + recipe * period // number + dice(recipe) % (period // number)
            if time >= _QUIET_FROM:
                time += _QUIET
            if time // DAY != day:
                day = time // DAY
                if day % 3 == 0:
                    time = day * DAY  # on the edge of a window
            yield time, recipe
            if dice(recipe) % 12 == 0:
                yield time, recipe

    def _planned(self) -> Iterator[tuple[int, int]]:
        for text in _FOLDED_MOMENTS:
            yield unix(text), _FOLD
        for number, text in enumerate(_SPECIAL_MOMENTS):
            yield unix(text), _SPECIAL + number
        for number in range(_REFUNDS_PLANNED):
            yield LAST_DAY - 10 * DAY + number * HOUR, _REFUNDED + number

    def _ticked(self, per_tick: int, ticks: int) -> Iterator[tuple[int, int]]:
        for number in range(ticks * per_tick):
            day, slot = divmod(number, per_tick)
            recipe = _TICKED + number * 25 + (7 if slot == 1 else slot % 7)
            yield LAST_DAY + day * DAY + slot * DAY // per_tick, recipe
            if slot == 2:
                yield LAST_DAY + day * DAY + slot * DAY // per_tick, recipe

    def sales(self, start: int | None = None, end: int | None = None) -> Iterator[Sale]:
        """The sales that can be seen by now and took place from ``start`` until before ``end``."""
        first = 0 if start is None else bisect_left(self._times, start)
        last = len(self._times) if end is None else bisect_left(self._times, end)
        for position in range(first, last):
            time, recipe = self._times[position], self._recipes[position]
            late = recipe % 25 == 7
            if time + (_LATE_BY if late else 0) <= self.story:
                yield self._sale(position, time, recipe)

    def _sale(self, position: int, time: int, recipe: int) -> Sale:
        bits = self._dice(recipe)
        gateway = _GATEWAYS[(0, 0, 1, 1, 1, 2)[bits % 6]]
        services = gateway.services
        cents = None if bits >> 8 & 63 == 0 else self._cents[bits >> 16 & 7] + (bits >> 20) % 90
        return Sale(
            position=position,
            recipe=recipe,
            time=time,
            gateway=gateway.id,
            service=services[(bits >> 24) % len(services)].id if services else None,
            cents=cents,
            as_text=bool(bits >> 32 & 1),
            currency=_CURRENCIES[(bits >> 34) % len(_CURRENCIES)],
            country=_COUNTRIES[(bits >> 40) % len(_COUNTRIES)],
            payment_method=_METHODS[(bits >> 48) % len(_METHODS)],
            refunded=self._refunded_at(time, recipe) <= self.story,
        )

    def _refunded_at(self, time: int, recipe: int) -> float:
        if _REFUNDED <= recipe < _SPECIAL:
            return LAST_DAY + (recipe - _REFUNDED) * DAY + DAY // 2
        bits = self._refund(recipe)
        return time + DAY + bits % (20 * DAY) if bits % 25 == 3 else float("inf")

    def channel(self, index: int) -> Channel:
        """The channel with that index, which may be any."""
        number = 5_000 + 7 * index
        links = tuple(
            Link(
                url=None if index % 4 == 3 and place == 2 else f"https://t.example.org/+{number}x{place}",
                name=f"promo-{place}",
                duration_hours=place * 24,
                requires_approval="yes" if place else "no",
            )
            for place in range(index % 4)
        )
        return Channel(number, f"Canal nº {index}", links)

    def find_channel(self, number: object, channels: int) -> Channel | None:
        """The channel with that id, where there are this many channels."""
        if not isinstance(number, int):
            return None
        index, rest = divmod(number - 5_000, 7)
        return self.channel(index) if rest == 0 and 0 <= index < channels else None

    def origin(self, sale: Sale, channels: int) -> tuple[Channel, Link | None] | None:
        """The channel and the link that a sale came through, if it came through one."""
        bits = self._channel(sale.recipe)
        if bits % 5 > 1:
            return None
        channel = self.channel((bits >> 8) % channels)
        place = (bits >> 40) % (len(channel.links) + 1)
        return channel, channel.links[place] if place < len(channel.links) else None

    def results(self, channel: Channel, place: int | None, start: int, end: int) -> Iterator[Result]:
        """Who joined and left through one link, or (None) without one, on the days from ``start`` up to ``end``.

        People who leave are counted two days later.
        """
        first = max(start, FIRST_DAY)
        for day in range(first - first % DAY, min(end, self.story - DAY + 1), DAY):
            if day < start or _QUIET_FROM <= day < _QUIET_FROM + _QUIET:
                continue
            bits = self._result((channel.id * 8 + (7 if place is None else place)) * 100_000 + day // DAY)
            joined, left = max(0, bits % 9 - 4), max(0, (bits >> 8) % 7 - 4)
            if day + DAY + _LATE_BY > self.story:
                left = 0
            if joined or left:
                yield Result(day, joined, left)
