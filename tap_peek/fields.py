"""Columns that no other vendor needs: the capabilities that a reseller lacks, and when a departure really leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.codec import plain
from tap_core.records.field import Access, Field
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.records.field import Context, Rows, Transform
    from tap_core.records.policy import Policy

__all__ = ["SUPPORTED", "ZONE", "LocalDay", "UnsupportedCapabilities", "UtcStart", "day_of"]

SUPPORTED: Final = "\0capabilities"
"""Where the context of a slice has the capabilities that the tap is set to declare."""

ZONE: Final = "\0zone"
"""Where the context of a slice has its product's time zone, None where it has none that is known."""


@dataclass(frozen=True)
class UnsupportedCapabilities(Field):
    """The capabilities that a product requires and the reseller does not declare: it cannot sell the product.

    A capability brings those that it depends on, and these bring theirs, whether they are required themselves or not.

    Args:
        name: The column.
        of: The column with the product's capabilities.
    """

    name: str
    of: str = "capabilities"

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return {self.of: {"x-like": self.of}}

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read, write = access.getter(self.of), access.setter(self.name)

        def apply(rows: Rows, context: Context) -> None:
            supported = context[SUPPORTED]
            for row in rows:
                listed = [each for each in map(plain, read(row) or ()) if isinstance(each, dict)]
                write(row, sorted(_needed(listed) - supported))

        return apply


def _needed(capabilities: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of required capabilities, and of all that they depend on."""
    below = {str(each.get("id")): each.get("dependencies") for each in capabilities}
    found: set[str] = set()
    left = [str(each.get("id")) for each in capabilities if each.get("required")]
    while left:
        if (capability := left.pop()) not in found:
            found.add(capability)
            dependencies = below.get(capability)
            left += map(str, dependencies if isinstance(dependencies, list) else ())
    return found


@dataclass(frozen=True)
class UtcStart(Field):
    """When a departure leaves: its local time as it is written, in the time zone of its product.

    The offset that the API writes behind the local time is not reliable (one of Peek's own examples has that of winter
    in July). It only tells the two hours apart that have the same local time when clocks go back.

    Args:
        name: The column.
        of: The column with the local time.
    """

    name: str
    of: str

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read, write = access.getter(self.of), access.replacer(self.name)

        def apply(rows: Rows, context: Context) -> None:
            zone = context.get(ZONE)
            if zone is None:
                return
            for row in rows:
                if isinstance(local := read(row), str) and (moment := _utc(local, zone)):
                    write(row, moment)

        return apply


def _utc(local: str, zone: tzinfo) -> str | None:
    """A local time in UTC; None if it is not a time."""
    try:
        stated = datetime.fromisoformat(local)
        first, second = (stated.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        twice = (first.utcoffset() or _NONE) > (second.utcoffset() or _NONE)
        return text_of(second if twice and second.utcoffset() == stated.utcoffset() else first)
    except (ValueError, OverflowError):
        return None


_NONE: Final = timedelta()


@dataclass(frozen=True)
class LocalDay(Field):
    """The day of a local time, as it is written.

    Args:
        name: The column.
        of: The dotted path of the local time.
    """

    name: str
    of: str

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read, replace = access.column(self.of), access.column_replacer(self.name)

        def apply(rows: Rows, _context: Context) -> None:
            days = [day_of(local) if isinstance(local, str) else None for local in read(rows)]
            if None in days:
                rows = [row for row, day in zip(rows, days, strict=True) if day]
            replace(rows, list(filter(None, days)))

        return apply


def day_of(local: str) -> str | None:
    """The day that a local time begins with, as an ISO date; None if it does not begin with one."""
    return _date(local[:10])


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch


@lru_cache(maxsize=4096)
def _date(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat() if _DATE(text) else None
    except ValueError:
        return None
