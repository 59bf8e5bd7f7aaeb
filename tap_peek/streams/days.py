"""Streams that are read by windows of days, and which of their rows are gone from the days that were read whole.

What lies outside the days that a run reads, because the rolling range has left it behind, was not read and is not gone.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.reading.windows import DateWindow, date_windows
from tap_core.records.slow_path import DictAccess
from tap_peek.fields import day_of
from tap_peek.streams.base import PeekStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_core.reading.fetch import Slice
    from tap_core.reading.pages import Page

__all__ = ["ByDay", "stretches"]


class ByDay(PeekStream):
    """A stream that is read by windows of days around today.

    Attributes:
        days_of: What the settings call the days: ``<days_of>_days_back`` and ``<days_of>_days_ahead``.
        window_setting: The setting that says how many days one call asks for.
        day: The column with the first of a row's days: a date, or a text that begins with one.
        spans: Where the API sends the first and the last of them; it may leave out the last.
    """

    snapshot = False
    has_parts = True

    days_of: ClassVar[str]
    window_setting: ClassVar[str]
    day: ClassVar[str]
    spans: ClassVar[tuple[str, str]]

    @property
    def span(self) -> DateWindow:
        """The days around today (UTC) that the settings name."""
        today = self.session.started.date()
        back, ahead = (timedelta(days=self.config[f"{self.days_of}_days_{side}"]) for side in ("back", "ahead"))
        return DateWindow(today - back, today + ahead)

    @property
    def windows(self) -> Iterator[DateWindow]:
        """These days in windows, each for one call."""
        return date_windows(self.span.first, self.span.last, self.config[self.window_setting])

    @override
    def is_whole(self, part: Slice, page: Page) -> bool:
        if not super().is_whole(part, page):
            return False
        if part.window is None or self._lie_in(part.window, page.rows):
            return True
        self.session.warn_once(
            f"{self.name}: the server sends rows of other days than it is asked for: what is read in this way keeps "
            "rows that are gone"
        )
        return False

    def _lie_in(self, window: DateWindow, rows: Sequence[msgspec.Raw]) -> bool:
        """Whether all rows lie in a window, at least in part: then the server means the same days by it."""
        try:
            begins, ends = (self._sent(rows, path) for path in self.spans)
        except (*codec.NOT_JSON, RecursionError):
            return False
        if not (set(map(type, begins)) <= {str} and set(map(type, ends)) <= {str, type(None)}):
            return False
        since, until = window.first.isoformat(), window.last.isoformat()
        pairs = zip(begins, ends, strict=True)
        spans = {(begin[:10], (end or "")[:10]) for begin, end in pairs}  # many rows, few days
        days = [(day_of(begin), day_of(end) or day_of(begin)) for begin, end in spans]
        return all(first and last and first <= until and last >= since for first, last in days)

    def _sent(self, rows: Sequence[msgspec.Raw], path: str) -> list[Any]:
        """A column as the API has sent it; null for what is absent.

        Raises:
            msgspec.DecodeError: A row is not what it should be.
        """
        if self.fast_path is not None and (found := self.fast_path.sent(rows, path)) is not None:
            return found
        read = DictAccess().getter(path)
        return list(map(read, _objects(b"[" + b",".join(rows) + b"]")))

    @override
    def scopes(self, *, complete: bool) -> Sequence[Mapping[str, Any]]:
        if self.refused or not self.complete:
            return []
        start, end = ({self.day: day.isoformat()} for day in (self.span.first, self.span.last + timedelta(days=1)))
        return [
            {"equal": {"_connection": connection}, "start": {**start, **first}, "end": {**end, **behind}}
            for connection in self.settings.keys
            for first, behind in self.read_whole(connection)
        ]

    def read_whole(self, connection: str) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
        """What was read of a connection on all days: columns with the first values of it, and the first behind it."""
        raise NotImplementedError


_objects = msgspec.json.Decoder(list[dict[str, Any]]).decode


def stretches(names: Mapping[str, bool]) -> Iterator[tuple[str | None, str | None]]:
    """The parts of the alphabet in which no name was left out.

    One for each name would be thousands in the state; and names that are no longer listed are gone as well.

    Args:
        names: All names, and whether each was read whole.

    Yields:
        The first name of each part and the first one behind it; None where it has no end.
    """
    runs = [(whole, list(run)) for whole, run in groupby(sorted(names), key=names.__getitem__)] or [(True, [""])]
    for number, (whole, run) in enumerate(runs, start=1):
        if whole:
            yield run[0] if number > 1 else None, runs[number][1][0] if number < len(runs) else None
