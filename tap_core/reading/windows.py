"""Windows of time on a fixed grid: always the same cells, whenever a run happens to start.

Rows are kept apart by the cell that they were read in, so cells must never slide. A grid has a length and begins at
1970-01-01T00:00:00Z; every moment is in exactly one cell. All functions here are pure: *now* is an argument.

A large backfill and small daily reads are two grids that meet at a boundary, which is on both and is kept in the
state: no moment is ever read in cells of both lengths.

Windows of calendar days are for APIs whose rows have keys of their own. They may slide, and are as few as possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EPOCH", "DateWindow", "Grid", "SteppedGrid", "Window", "date_windows"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """The time from ``start`` up to, but not including, ``end``; both in UTC."""

    start: datetime
    end: datetime

    @override
    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M}"

    @property
    def start_text(self) -> str:
        """The start as the engine writes times, such as ``2024-03-01T00:00:00.000000Z``."""
        return text_of(self.start)

    @property
    def end_text(self) -> str:
        """The end as the engine writes times."""
        return text_of(self.end)

    begins, ends = start_text, end_text

    def until(self, latest: datetime) -> Window:
        """The part of the window before a moment; empty, with start and end equal, if there is none."""
        return Window(self.start, max(self.start, min(self.end, latest)))


@dataclass(frozen=True, slots=True)
class Grid:
    """All time in cells of one length.

    Attributes:
        length: The length of a cell; a whole number of seconds.
    """

    length: timedelta

    def __post_init__(self) -> None:
        if self.length < timedelta(seconds=1) or self.length % timedelta(seconds=1):
            raise ValueError("a window must last a whole number of seconds")

    def floor(self, moment: datetime) -> datetime:
        """The start of the cell that a moment is in."""
        return moment.astimezone(UTC) - (moment - EPOCH) % self.length

    def cells(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Whole cells, in order, that cover the time from ``start`` up to, but not including, ``end``."""
        at = self.floor(start)
        while at < end and start < end:
            yield Window(at, at + self.length)
            at += self.length


@dataclass(frozen=True, slots=True)
class SteppedGrid:
    """Large cells before a boundary, small ones after it.

    Attributes:
        large: For the backfill; its length is a multiple of the small one's.
        small: For the daily reads.
        boundary: Where they meet; a cell starts there in both.
    """

    large: Grid
    small: Grid
    boundary: datetime

    def __post_init__(self) -> None:
        if self.large.length % self.small.length:
            raise ValueError("the length of a backfill window must be a multiple of the length of a daily window")
        if self.large.floor(self.boundary) != self.boundary:
            raise ValueError("the boundary between backfill and daily windows must lie on the backfill's grid")

    @classmethod
    def first_run(cls, large: Grid, small: Grid, lookback: timedelta, now: datetime) -> SteppedGrid:
        """Set the boundary far enough back for the lookback of the next runs to stay within small cells."""
        return cls(large, small, large.floor(now - lookback))

    def floor(self, moment: datetime) -> datetime:
        """The start of the cell that a moment is in."""
        return (self.large if moment < self.boundary else self.small).floor(moment)

    def cells(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Whole cells, in order, that cover the time from ``start`` up to, but not including, ``end``."""
        yield from self.large.cells(start, min(end, self.boundary))
        yield from self.small.cells(max(start, self.boundary), end)


@dataclass(frozen=True, order=True, slots=True)
class DateWindow:
    """Calendar days from ``first`` to ``last``, both included, in whatever zone the API uses."""

    first: date
    last: date

    @override
    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    @property
    def begins(self) -> str:
        """The first day."""
        return self.first.isoformat()

    @property
    def ends(self) -> str:
        """The last day."""
        return self.last.isoformat()


def date_windows(first: date, last: date, days: int) -> Iterator[DateWindow]:
    """Cut days, ``first`` and ``last`` included, into as few windows of at most ``days`` days as possible."""
    if days < 1:
        raise ValueError("a window must have at least one day")
    at = first
    while at <= last:
        end = min(last, at + timedelta(days=days - 1))
        yield DateWindow(at, end)
        at = end + timedelta(days=1)
