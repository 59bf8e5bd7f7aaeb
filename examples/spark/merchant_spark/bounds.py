"""What Spark's filters say about a stream's replication key.

Spark looks at every filter again, so it is enough to leave out no row that it would keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from functools import reduce

from pyspark.sql.datasource import (
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
)

__all__ = ["Bounds"]

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Bounds:
    """The span that the replication key of wanted rows lies in.

    Args:
        since: The first moment; None for no bound.
        until: The first moment that no longer belongs to it; None for no bound.
    """

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, filters: Iterable[Filter], key: str) -> Bounds:
        """The bounds that filters set, which are all to be met.

        Args:
            filters: Spark's filters; those that say nothing about the key are passed over.
            key: The replication key.
        """
        return reduce(Bounds._and, (each for each in filters if getattr(each, "attribute", None) == (key,)), cls())

    def _and(self, wanted: Filter) -> Bounds:
        values = wanted.value if isinstance(wanted, In) else (getattr(wanted, "value", None),)
        if not values or not all(map(_is_moment, values)):
            return self
        first, last = min(values), max(values)
        match wanted:
            case EqualTo() | EqualNullSafe() | In():
                return self.starting(first).ending(last + _MOMENT)
            case GreaterThan() | GreaterThanOrEqual():
                return self.starting(first)
            case LessThan():
                return self.ending(first)
            case LessThanOrEqual():
                return self.ending(last + _MOMENT)
        return self

    def starting(self, moment: datetime) -> Bounds:
        """These, and no row before a moment."""
        moment = moment.astimezone(UTC)
        return replace(self, since=moment if self.since is None else max(self.since, moment))

    def ending(self, moment: datetime) -> Bounds:
        """These, and no row from a moment on."""
        moment = moment.astimezone(UTC)
        return replace(self, until=moment if self.until is None else min(self.until, moment))

    def contain(self, moment: datetime) -> bool:
        """Whether a moment lies in the span."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


def _is_moment(value: object) -> bool:
    """Whether a value is a time with a zone, and far enough from the ends of the calendar to be moved a little."""
    return isinstance(value, datetime) and value.tzinfo is not None and MINYEAR < value.year < MAXYEAR
