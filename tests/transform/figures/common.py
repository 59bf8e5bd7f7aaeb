"""The truth of a world, and the arithmetic that all figures share."""

from __future__ import annotations

import csv
from collections import defaultdict
from copy import copy
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from merchant_sandbox.client import World

Row = dict[str, Any]
USED = (
    ("peakium", "customers"),
    ("peakium", "events"),
    ("peakium", "invoices"),
    ("peakium", "subscriptions"),
    ("premiumpay", "sales"),
    ("peek", "availability"),
    ("peek", "bookings"),
    ("peek", "products"),
    ("pegke", "customers"),
    ("pegke", "store_history"),
    ("peerassist", "customers"),
    ("peerassist", "fwos"),
)
SEEDS = Path(__file__).parents[3] / "transform/seeds"
ZERO = Decimal(0)
MONTH_DAYS = Decimal("30.4375")


class Truth:
    """What an account of each vendor had when it was read, and what of it had been read before.

    Args:
        world: The world of the accounts.
        as_of: The moment, in UTC and without a zone.
        before: The truth at which the vendors were read before.
    """

    def __init__(self, world: World, as_of: datetime, before: Truth | None = None) -> None:
        self.read_at, self.before = as_of, before
        self.as_of = as_of
        self._streams = {(vendor, stream): world.truth(vendor, stream) for vendor, stream in USED}
        self._accounts = "{vendor}"

    def seen(self, as_of: datetime, accounts: str) -> Truth:
        """The same, looked at later, of accounts that are called otherwise.

        Args:
            as_of: The moment.
            accounts: Name of an account, with ``{vendor}`` in it.
        """
        later = copy(self)
        later.as_of, later._accounts = as_of, accounts
        return later

    def account(self, vendor: str) -> str:
        """Name of the vendor's account: its schema."""
        return self._accounts.format(vendor=vendor)

    def rows(self, vendor: str, stream: str) -> list[Row]:
        """The records of a stream: those that are there now."""
        return self._streams[vendor, stream]

    def read(self, vendor: str, stream: str, *keys: str) -> list[Row]:
        """All records that were ever read, as they were last; the vendor lists only those around today."""
        earlier = self.before.read(vendor, stream, *keys) if self.before else []
        return list({tuple(row[key] for key in keys): row for row in (*earlier, *self.rows(vendor, stream))}.values())

    @cached_property
    def products(self) -> dict[str, Row]:
        """Peek's products by their ids."""
        return {row["id"]: row for row in self.rows("peek", "products")}


def of(vendor: str, figures: Callable[[Truth], list[Row]]) -> Callable[[Sequence[Truth]], list[Row]]:
    """Figures of one vendor's accounts, from what makes those of one account; rows may name another vendor."""
    return lambda truths: [
        {"account": truth.account(row.get("vendor", vendor)), **row} for truth in truths for row in figures(truth)
    ]


def seed(name: str) -> list[dict[str, str]]:
    """The rows of a seed."""
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_DIGITS = {row["currency"]: int(row["minor_digits"]) for row in seed("currencies")}
_ALIASES = {row["written"]: row["currency"] for row in seed("currency_aliases")}


def code(written: str | None) -> str:
    """A currency as ISO has it."""
    return _ALIASES.get(written or "", (written or "").strip().upper() or "unknown")


def money(minor: int, currency: str, digits: int | None = None) -> Decimal:
    """An amount in minor units, in the currency's own unit."""
    return Decimal(minor).scaleb(-(_DIGITS.get(currency, 2) if digits is None else digits))


def moment(text: str | None) -> datetime | None:
    """A time in UTC, without a zone."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def rounded(value: Decimal, places: int) -> Decimal:
    """Rounded half away from zero."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def hours(span: timedelta) -> int:
    """Whole hours."""
    return span // timedelta(hours=1)


def first_of_month(day: date) -> date:
    """The first day of the month; of a moment, too."""
    return date(day.year, day.month, 1)


def next_month(month: date) -> date:
    """The first day of the next month."""
    return first_of_month(month + timedelta(days=31))


def months(first: date, last: date) -> Iterator[date]:
    """First days of months."""
    while first <= last:
        yield first
        first = next_month(first)


def midnight(day: date) -> datetime:
    """When a day begins in UTC."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - all times here are in UTC, without a zone


def grouped(rows: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    """Values by their keys."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for key, value in rows:
        groups[key].append(value)
    return groups
