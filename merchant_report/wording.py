"""Figures, days and changes in English.

Sentences take exact values and decide here how they read: money with the decimals of its currency, large amounts in
millions, one payment but two payments, and no percentages where they would mislead.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "UNKNOWN",
    "Money",
    "after_before",
    "ago",
    "be",
    "change",
    "count",
    "day",
    "largest",
    "month",
    "number",
    "of_account",
    "percent",
    "plain",
    "series",
    "short",
    "span",
    "spelled",
    "than_before",
    "was",
]

UNKNOWN = "unknown"
"""What the marts have for a currency that nobody has told."""
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_SCALES = (
    (Decimal(10) ** 15, "quadrillion"),
    (Decimal(10) ** 12, "trillion"),
    (Decimal(10) ** 9, "billion"),
    (Decimal(10) ** 6, "million"),
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SAME = Decimal("0.005")
_TWICE = 2
_TENTH = Decimal("0.1")
_COUNTED = 20
_DAY_HOURS = 48


class Money:
    """Amounts in their currency.

    Args:
        digits: Decimals of each currency.
    """

    def __init__(self, digits: Mapping[str, int]) -> None:
        self._digits = digits

    def figure(self, amount: Decimal, currency: str) -> str:
        """With all decimals that the currency has, but without its name: ``1,234.50``."""
        return number(amount, self._digits.get(currency, 2))

    def size(self, amount: Decimal, currency: str) -> str:
        """The same, in millions and more where it is that much: ``1.23 million``."""
        return _scaled(amount) or self.figure(amount, currency)

    def short(self, amount: Decimal, currency: str) -> str:
        """With its currency, in millions and more: ``EUR 1,234.50``, ``JPY 1,235``, ``EUR 1.23 million``."""
        figure = self.size(amount, currency)
        if currency == UNKNOWN:
            return f"{figure} in an unknown currency"
        sign = "\N{MINUS SIGN}" if figure.startswith("\N{MINUS SIGN}") else ""
        return f"{sign}{currency}\N{NO-BREAK SPACE}{figure.removeprefix(sign)}"


def number(value: Decimal | float, digits: int = 0) -> str:
    """A number with groups of thousands, rounded half up, and a real minus sign."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    return f"{rounded or abs(rounded):,f}".replace("-", "\N{MINUS SIGN}")


def short(value: Decimal | float) -> str:
    """A number without a currency, in millions and more where it is that much."""
    exact = Decimal(str(value))
    return _scaled(exact) or number(exact, 0 if exact == exact.to_integral_value() else 2)


def _scaled(value: Decimal) -> str:
    """A number in millions and more; empty below a million."""
    for scale, word in _SCALES:
        if abs(value) >= scale:
            return f"{number(value / scale, 2)} {word}"
    return ""


def spelled(many: int) -> str:
    """A number of things, in words below ten."""
    return _SMALL[many] if 0 <= many < len(_SMALL) else number(many)


def count(many: int, one: str, several: str = "") -> str:
    """A number and its things: ``no payments``, ``one payment``, ``1,234 payments``."""
    return f"{spelled(many)} {one if many == 1 else several or f'{one}s'}"


def be(many: int) -> str:
    """``is`` or ``are``."""
    return "is" if many == 1 else "are"


def was(many: int) -> str:
    """``was`` or ``were``."""
    return "was" if many == 1 else "were"


def percent(share: Decimal | float) -> str:
    """A share of one in per cent: ``12%``; one decimal where it is below one per cent."""
    hundredfold = Decimal(str(share)) * 100
    digits = 1 if hundredfold and abs(hundredfold) < 1 else 0
    return f"{number(hundredfold, digits)}%"


def than_before(now: Decimal, before: Decimal, shown: str) -> str:
    """How an amount compares with the one of the week before, as the end of a sentence, with its comma.

    Args:
        now: The amount.
        before: The one before.
        shown: The one before, as a person reads it.
    """
    if not before:
        return ", after nothing the week before" if now else ""
    if not now:
        return f", after {shown} the week before"
    if now < 0 or before < 0:
        return f", compared with {shown} the week before"
    ratio = now / before
    if abs(ratio - 1) < _SAME:
        return ", about the same as the week before"
    if ratio >= _TWICE or ratio <= _TENTH:
        return f", {'up' if ratio > 1 else 'down'} from {shown} the week before"
    return f", {percent(abs(ratio - 1))} {'more' if ratio > 1 else 'less'} than the week before ({shown})"


def after_before(now: int, before: int) -> str:
    """The same for things that are counted: ``, after seven the week before``."""
    if not before:
        return ", after none the week before" if now else ""
    if now == before:
        return ", as many as the week before"
    if min(now, before) < _COUNTED:
        return f", after {spelled(before)} the week before"
    ratio = Decimal(now) / before
    if ratio >= _TWICE or ratio <= _TENTH:
        return f", {'up' if ratio > 1 else 'down'} from {number(before)} the week before"
    if abs(ratio - 1) < _SAME:
        return ", about as many as the week before"
    return f", {percent(abs(ratio - 1))} {'more' if ratio > 1 else 'fewer'} than the week before ({number(before)})"


def change(now: Decimal | int, before: Decimal | int, shown: str) -> str:
    """The same, short, for a tile: ``+12% on the week before``."""
    if not before:
        return "nothing the week before" if now else ""
    if now == before:
        return "as in the week before"
    ratio = Decimal(now) / Decimal(before)
    if before < 0 or ratio >= _TWICE or ratio <= _TENTH or abs(ratio - 1) < _SAME or abs(Decimal(before)) < _COUNTED:
        return f"{shown} the week before"
    sign = "+" if ratio > 1 else "\N{MINUS SIGN}"
    return f"{sign}{percent(abs(ratio - 1))} on the week before"


def series(parts: Iterable[str]) -> str:
    """Several things in a row: ``a, b and c``."""
    shown = list(parts)
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def plain(text: str | None, unnamed: str) -> str:
    """A name from the data on one line, with a stand-in where there is none."""
    return " ".join((text or "").split()) or unnamed


def largest(totals: Mapping[str, int], most: int) -> dict[str, str]:
    """What stands for each name where only the largest have a place of their own, the largest first, then by name.

    For the rest it is one that no name from the data is: `plain` leaves no such space in any.

    Args:
        totals: How large each is.
        most: How many have a place of their own.
    """
    names = sorted(totals, key=lambda name: (-totals[name], name))
    return {name: name if place < most else "all\N{NO-BREAK SPACE}others" for place, name in enumerate(names)}


def of_account(name: str, account: str | None) -> str:
    """A name with the account that it is of, where there are several."""
    return f"{name} ({account})" if account else name


def day(when: date, *, year: bool = False) -> str:
    """``31 January``, with the year if that is asked for."""
    return f"{when.day} {_MONTHS[when.month - 1]}" + (f" {when.year}" if year else "")


def month(when: date, *, abbreviated: bool = False) -> str:
    """``January 2026``, or ``Jan 2026``."""
    name = _MONTHS[when.month - 1]
    return f"{name[:3] if abbreviated else name} {when.year}"


def span(first: date, after: date) -> str:
    """Days up to one that no longer counts, such as the 25th to the 31st of January."""
    last = after - timedelta(days=1)
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}\N{EN DASH}{day(last)}"
    return f"{day(first, year=first.year != last.year)} \N{EN DASH} {day(last, year=first.year != last.year)}"


def ago(hours: Decimal | float) -> str:
    """A time in the past: ``less than an hour ago``, ``one hour ago``, ``three days ago``."""
    whole = int(hours)
    if whole < 1:
        return "less than an hour ago"
    return f"{count(whole, 'hour') if whole < _DAY_HOURS else count(whole // 24, 'day')} ago"
