"""When the records of a model are created.

The story of a model runs from `FIRST_DAY` to `LAST_DAY`; each tick adds a day. What a record looks like follows from
the moment that the story has reached: an invoice is paid if its day of payment has come. So a tick adds, changes and
deletes records, and the data stay a pure function of (seed, size, ticks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from merchant_sandbox.clock import DAY, unix

if TYPE_CHECKING:
    from merchant_sandbox.dice import Dice

__all__ = ["FIRST_DAY", "LAST_DAY", "Timeline", "is_removed", "story_time"]

FIRST_DAY = unix("2025-02-01T00:00:00+00:00")
LAST_DAY = unix("2026-02-01T00:00:00+00:00")
_PERIOD = LAST_DAY - FIRST_DAY


def story_time(ticks: int) -> int:
    """The moment that the story has reached after this many ticks, in Unix seconds."""
    return LAST_DAY + ticks * DAY


def is_removed(number: int, ticks: int) -> bool:
    """Whether a record is gone, where one in forty is with each of the first five ticks."""
    return number % 40 < min(ticks, 5)


@dataclass(slots=True)
class Timeline:
    """Creation times of one kind of record: index 0 is the oldest, a later index is never earlier.

    Args:
        base: Number of records before the first tick.
        per_tick: Number of records that each tick adds.
        dice: Chance for the second within a record's slot.
        same: Indexes of records that were all created in the same second (a bulk import, a billing run).
    """

    base: int
    per_tick: int
    dice: Dice
    same: range = range(0)

    def count(self, ticks: int) -> int:
        """Number of records after this many ticks."""
        return self.base + ticks * self.per_tick

    def created(self, index: int) -> int:
        """Unix seconds."""
        if index in self.same:
            index = self.same.start
        if index < self.base:
            start, width = FIRST_DAY + index * _PERIOD // self.base, _PERIOD // self.base
        else:
            extra, width = index - self.base, DAY // self.per_tick
            start = LAST_DAY + extra // self.per_tick * DAY + extra % self.per_tick * DAY // self.per_tick
        return start + (self.dice(index) % width if index and width > 1 else 0)

    def count_at(self, moment: int) -> int:
        """A number n, at least 1, such that all records below n were created before this moment."""
        if moment < LAST_DAY:
            return max(1, (moment - FIRST_DAY) * self.base // _PERIOD)
        return max(1, self.base + (moment - LAST_DAY) * self.per_tick // DAY)
