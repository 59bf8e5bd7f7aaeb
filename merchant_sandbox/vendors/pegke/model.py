"""Pegke's data: customers, what they earned and redeemed, offers, and what goes over the realtime feed.

Everything is a function of (seed, size, ticks). Times are Unix seconds.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from merchant_sandbox.clock import DAY
from merchant_sandbox.dice import Dice
from merchant_sandbox.timeline import FIRST_DAY, LAST_DAY, Timeline, story_time

if TYPE_CHECKING:
    from merchant_sandbox.vendor import Size

__all__ = ["KINDS", "OFFERS", "STATUS", "Activity", "Entry", "Offer", "PegkeCustomer", "PegkeModel"]

_CUSTOMERS = {"demo": 60, "small": 60, "medium": 5_000, "large": 6_000}
_ENTRIES_EACH = {"demo": 40, "small": 40, "medium": 20, "large": 160}
OFFERS = 43
KINDS = ("earn", "earn", "redeem", "check_in", "price_range_check_in")
STATUS = {
    "API": "Operational",
    "Merchant Dashboard": "Operational",
    "Developer Sandbox": "Degraded",
    "Homepage": "Operational",
    "Documentation": "Up to Date",
}
_NAMES = ("Asha", "Farhan O'Neil", "José", "दीपा", "Nguyễn Văn", "李 雷", "", 'Ravi "RK"')
_OPTIONS = ("discount", "own_product", "gift_voucher", "mobile_recharge", None)
_TEXTS = (
    "<p>Ten percent off &amp; more</p>",
    "<b>Free</b> coffee\r\nafter five",
    None,
    "चाय और समोसा ☕",
    "",
    "C:\\offers\\new",
)


@dataclass(frozen=True, slots=True)
class PegkeCustomer:
    """A customer of the merchant; the phone is ten digits, ``shown`` how the API writes it."""

    index: int
    cid: str
    phone: str
    shown: str
    name: str | None
    email: str | None
    points: int | float
    created: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of points, or a visit."""

    index: int
    customer: int
    kind: str
    points: int | float
    offer: int | None
    store: str
    created: int


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer or redeemable item; without an end it stays."""

    index: int
    name: str
    option: str | None
    points: int | float
    image: str | None
    text: str | None
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happens in a store and goes over the feed once."""

    index: int
    customer: int
    kind: str
    points: int | float | None
    store: str
    created: int


def _points(dice: int) -> int | float:
    """Points, sometimes with a fraction."""
    whole = dice % 400
    return whole + (0.25, 0.5)[dice >> 12 & 1] if dice >> 9 & 7 == 0 else whole


class PegkeModel:
    """The data of one (seed, size, ticks).

    Args:
        seed: Changes every value.
        size: Number of records, see `_CUSTOMERS`.
        ticks: Days of changes on top of the base data; each adds a few customers, and entries of old and new ones.
    """

    def __init__(self, seed: int, size: Size, ticks: int) -> None:
        self.seed, self.size, self.ticks = seed, size, ticks
        self.last_mod = story_time(ticks) - 3_661
        self._base = _CUSTOMERS[size]
        self._more = max(1, self._base // 50)
        entries = self._base * _ENTRIES_EACH[size]
        self._billing_run = range(entries // 3, entries // 3 + 50)
        self._timeline = Timeline(entries, max(10, entries // 100), Dice(seed, "entry time"), self._billing_run)
        self.customers = self._base + ticks * self._more
        self.entries = self._timeline.count(ticks)
        self._customer_dice = Dice(seed, "pegke customer")
        self._entry_dice = Dice(seed, "pegke entry")
        self._offer_dice = Dice(seed, "pegke offer")
        self._activity_dice = Dice(seed, "pegke activity")

    def customer(self, index: int) -> PegkeCustomer:
        """A customer; one in thirteen has no e-mail."""
        dice = self._customer_dice(index)
        phone = f"{9_800_000_000 + index * 10_007 % 100_000_000 + self.seed % 7 * 100_000_000 % 100_000_000:010d}"
        late = max(0, index - self._base) // self._more
        return PegkeCustomer(
            index=index,
            cid=str(1_787 + index * 3),
            phone=phone,
            shown=f"+91{phone}" if dice & 3 == 0 else phone,
            name=_NAMES[dice >> 4 & 7] or None,
            email=None if index % 13 == 4 else f"Customer{index}+x@example.com",
            points=_points(dice >> 8),
            created=FIRST_DAY - dice % (300 * DAY) if index < self._base else LAST_DAY + late * DAY,
        )

    def identifier(self, index: int) -> str:
        """The customer in the list that the tap is configured with: a phone, written in one of the usual ways."""
        phone = self.customer(index).phone
        return (phone, phone, f"+91{phone}", f"+91 {phone[:5]}-{phone[5:]}", f"0{phone}")[index % 5]

    @cached_property
    def identifiers(self) -> list[str]:
        """All customers, as the tap is configured with them."""
        return [self.identifier(index) for index in range(self.customers)]

    @cached_property
    def _by_phone(self) -> dict[str, int]:
        return {self.customer(index).phone: index for index in range(self.customers)}

    def find(self, kind: str, value: str) -> int | None:
        """The index of a customer by ``mob`` (ten digits, or +91 and ten digits), ``cid`` or ``email``."""
        if kind == "mob":
            return self._by_phone.get(value.removeprefix("+91"))
        digits = value if kind == "cid" else value.lower().removeprefix("customer").partition("+")[0]
        if not digits.isdecimal():
            return None
        index, rest = divmod(int(digits) - 1_787, 3) if kind == "cid" else (int(digits), 0)
        if rest or not 0 <= index < self.customers:
            return None
        email = self.customer(index).email
        return index if kind == "cid" or (email is not None and email.lower() == value.lower()) else None

    def entry_customer(self, index: int) -> int:
        """Whose entry it is; one customer in seventeen has never done anything, some have done a lot."""
        dice = self._entry_dice(index)
        known = self._base
        if index >= self._timeline.base:
            known += ((index - self._timeline.base) // self._timeline.per_tick + 1) * self._more
        if index in self._billing_run:
            return index % 3
        customer = (dice >> 3) % known if dice & 7 else (dice >> 3) % max(1, known // 8)
        return customer if customer % 17 != 5 else customer - 1

    def entry(self, index: int) -> Entry:
        """An entry; index 0 is the oldest."""
        dice = self._entry_dice(index)
        kind = KINDS[(dice >> 20) % len(KINDS)]
        points = _points(dice >> 24)
        bulk = index in self._billing_run
        return Entry(
            index=index,
            customer=self.entry_customer(index),
            kind="earn" if bulk else kind,
            points=5 if bulk else -points if kind == "redeem" else points if kind == "earn" else 0,
            offer=(dice >> 40) % OFFERS if kind == "redeem" and not bulk else None,
            store="900" if bulk else str(900 + (dice >> 50) % 12),
            created=self._timeline.created(index),
        )

    @cached_property
    def _entries_of(self) -> list[array[int]]:
        found: list[array[int]] = [array("L") for _ in range(self.customers)]
        for index in range(self.entries):
            found[self.entry_customer(index)].append(index)
        return found

    def entries_of(self, customer: int) -> array[int]:
        """The indexes of a customer's entries, oldest first."""
        return self._entries_of[customer]

    def offer(self, index: int) -> Offer:
        """An offer."""
        dice = self._offer_dice(index)
        start = FIRST_DAY + index * DAY if dice & 7 else None
        return Offer(
            index=index,
            name=f"Offer {index} “{_NAMES[dice >> 3 & 7]}”",
            option=_OPTIONS[(dice >> 6) % 5],
            points=0 if dice >> 9 & 3 == 0 else _points(dice >> 11),
            image=f"https://img.example.com/offer-{index}.png" if dice >> 30 & 3 else None,
            text=_TEXTS[(dice >> 32) % 6],
            start=start,
            end=start + 90 * DAY if start is not None and dice >> 36 & 1 else None,
        )

    def activity(self, number: int) -> Activity:
        """The activity with that number on today's feed: one every three seconds, and different ones every day."""
        index = self.ticks * (DAY // 3) + number
        dice = self._activity_dice(index)
        kind = KINDS[dice % len(KINDS)]
        return Activity(
            index=index,
            customer=(dice >> 4) % self.customers,
            kind=kind,
            points=_points(dice >> 24) if kind in {"earn", "redeem"} else None,
            store=str(900 + (dice >> 50) % 12),
            created=LAST_DAY + 3 * index,
        )
