"""Finding records by day without looking at all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

__all__ = ["DayIndex"]


class DayIndex:
    """The indexes of records by day; a record may have several days.

    Args:
        entries: Pairs of a day, as an ordinal, and the index of a record.
    """

    def __init__(self, entries: Iterable[tuple[int, int]]) -> None:
        self._days: dict[int, list[int]] = {}
        for day, index in entries:
            self._days.setdefault(day, []).append(index)

    def between(self, first: date, last: date) -> list[int]:
        """The indexes of the records between two days, both included, in order."""
        wanted = range(first.toordinal(), last.toordinal() + 1)
        near = wanted if len(wanted) < len(self._days) else self._days.keys() & wanted
        return sorted({index for day in near for index in self._days.get(day, ())})
