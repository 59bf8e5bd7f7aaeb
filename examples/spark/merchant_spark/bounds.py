"""What Spark's filters say about a stream's replication key.

Spark looks at every filter again, so it is enough to leave out no row that it would keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
        match wanted:
            case EqualTo(_, datetime() as value) | EqualNullSafe(_, datetime() as value):
                return self.starting(value).ending(value + _MOMENT)
            case GreaterThan(_, datetime() as value) | GreaterThanOrEqual(_, datetime() as value):
                return self.starting(value)
            case LessThan(_, datetime() as value):
                return self.ending(value)
            case LessThanOrEqual(_, datetime() as value):
                return self.ending(value + _MOMENT)
            case In(_, values) if values and all(isinstance(value, datetime) for value in values):
                return self.starting(min(values)).ending(max(values) + _MOMENT)
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
