"""Streams that are read window by window: a fixed grid in time, partitions inside, one bookmark for all of them.

The bookmark is the start of the last window that was read. A run begins at the window that contains the bookmark less
the lookback and reads whole windows, the running one last; so rows keep the window that they were first read in. Rows
need no time for this: an empty window moves the bookmark like any other.

Next to the bookmark, the state keeps the grid that the rows were read with, and the partitions: one that was not there
before is read from ``start_date``. It also says which windows this run has read completely, so that a target can
distinguish a window that became empty from one that was not read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import timedelta
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.codec import canonical
from tap_core.config.checks import instant
from tap_core.errors import ConfigError, StateError
from tap_core.reading.fetch import Slice
from tap_core.reading.windows import Grid, SteppedGrid, Window
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.session.bookmarks import SAFETY_LAG, WINDOWS_READ
from tap_core.streams.base import CoreStream
from tap_core.streams.declared import WINDOW_KEY
from tap_core.streams.edges import EDGE, SECOND, WINDOW_END, Edge
from tap_core.timestamps import parse, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_core.records.field import Context

__all__ = ["GRID", "PARTITIONS", "WindowedStream"]

GRID: Final = "_grid"
PARTITIONS: Final = "_partitions"


class WindowedStream(CoreStream):
    """A stream whose rows are requested by a span of time.

    The settings ``window_hours``, ``backfill_window_days``, ``lookback_days``, ``start_date`` and ``end_date`` say
    which windows there are.
    """

    replication_key = WINDOW_KEY
    snapshot = False

    def subjects(self) -> Sequence[Mapping[str, Any]]:
        """The partitions to request in each window, by column name; the whole window at once by default."""
        return ({},)

    # Which windows there are

    @cached_property
    def horizon(self) -> datetime:
        """Up to where the API is asked: what happens during the run is left to the next one."""
        return self.session.started - SAFETY_LAG

    @cached_property
    def until(self) -> datetime:
        """Where the windows end: those that begin before are read whole, because a target replaces whole windows."""
        end = instant("end_date", self.config.get("end_date"))
        return self.horizon if end is None else min(self.horizon, end)

    @cached_property
    def since(self) -> datetime:
        """Where the data begin.

        Raises:
            ConfigError: There is no ``start_date``.
        """
        start = instant("start_date", self.config.get("start_date"))
        if start is None:
            raise ConfigError("setting 'start_date' is missing; without it there is no first window")
        return start

    @cached_property
    def grid(self) -> SteppedGrid:
        """The windows: those of the state if it has any, so that they never move.

        Raises:
            StateError: The state's windows have different lengths from the settings, or make no sense.
        """
        small = Grid(timedelta(hours=self.config["window_hours"]))
        large = Grid(timedelta(days=self.config["backfill_window_days"]))
        kept = self._kept(GRID)
        if kept is None:
            lookback = timedelta(days=self.config.get("lookback_days") or 0)
            begun = self.bookmark()
            return SteppedGrid.first_run(large, small, lookback, parse(begun) if begun else self.session.started)
        try:
            boundary, lengths = parse(kept["boundary"]), (kept["backfill_window_days"], kept["window_hours"])
            grid = SteppedGrid(Grid(timedelta(days=lengths[0])), Grid(timedelta(hours=lengths[1])), boundary)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise StateError(f"the state's {GRID} of stream {self.name!r} makes no sense; drop its bookmark") from None
        if (grid.large, grid.small) != (large, small):
            raise StateError(
                f"{self.name}: the state was made with backfill_window_days = {lengths[0]} and window_hours = "
                f"{lengths[1]}, which are part of the keys: set them back, or drop the stream's bookmark and its rows"
            )
        return grid

    @cached_property
    def first(self) -> datetime:
        """The start of the first window."""
        return self.grid.floor(self.since)

    @cached_property
    def regular(self) -> datetime:
        """The start of the first window that this run reads for partitions that were read before."""
        start = self.start()
        return self.grid.floor(max(parse(start), self.since)) if start else self.first

    def overlapping(self, window: Window) -> Window:
        """What to request, where rows have a time, so that `EdgeRows` gets each row whatever the API's edges mean.

        Each window reaches a second beyond its end; the first one read, which has none before it, begins a second
        early.
        """
        cut = window.until(self.horizon.replace(microsecond=0))
        start = cut.start - SECOND if cut.start in {self.first, self.regular} else cut.start
        return Window(start, cut.end + SECOND if cut.end < self.horizon else cut.end)

    @override
    def slices(self) -> Iterator[Slice]:
        subjects = self.subjects()
        known = self._known()
        new = [] if known is None else [part for part in subjects if _number(part) not in known]
        self._catching_up = bool(new)
        regular = self.regular
        for window in self.grid.cells(self.since if new else regular, self.until):
            asked = subjects if window.start >= regular else new
            for place, partition in enumerate(asked, start=1):
                yield Slice(partition, window, last=place == len(asked))
            if not asked:
                yield Slice(window=window, last=True, empty=True)

    def calls(self) -> int:
        """How many windows of partitions the run has to request."""
        return sum(not part.empty for part in self.slices())

    @override
    def expected_calls(self) -> int | None:
        return self.calls() if self.pager(Slice()).calls else None

    @override
    def probe(self) -> bool:
        part = next((part for part in self.slices() if not part.empty), None)
        return part is not None and bool(self.session.wait_for(self.load(part, 0)).rows)

    # What the state keeps

    _catching_up = False

    @override
    def checkpoint(self, part: Slice) -> bool:
        moved = super().checkpoint(part)
        self.remembered[GRID] = {
            "window_hours": self.config["window_hours"],
            "backfill_window_days": self.config["backfill_window_days"],
            "boundary": text_of(self.grid.boundary),
        }
        window = part.window
        if self.sends_what_it_reads and self.complete and window is not None and self.regular <= window.start:
            self.remembered[WINDOWS_READ] = {"first": text_of(self.regular), "last": window.start_text}
        if moved and not self._catching_up:
            self._keep_partitions()
        return moved

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        bookmark = self.bookmark()
        if bookmark is not None and not (self._catching_up and parse(bookmark) >= self.until):
            self._keep_partitions()  # else new ones still have to be read from end_date to the bookmark

    def _keep_partitions(self) -> None:
        self.remembered[PARTITIONS] = _pack(map(_number, self.subjects()))

    def _kept(self, name: str) -> Any:
        return self.session.bookmarks.entry(self.name).get(name)

    def _known(self) -> set[int] | None:
        """The partitions that the bookmark covers; None if the state does not say, or there is no bookmark."""
        kept = self._kept(PARTITIONS)
        if kept is None or self.bookmark() is None:
            return None
        try:
            return set(accumulate(int(step, 16) for step in kept.split()))
        except (AttributeError, ValueError):
            raise StateError(
                f"the state's {PARTITIONS} of stream {self.name!r} makes no sense; drop its bookmark"
            ) from None

    # What the rows carry

    @cached_property
    def _brought(self) -> defaultdict[tuple[int, datetime], set[Any]]:
        """Keys of rows after the end of a window that were read with it, by partition and that end."""
        return defaultdict(set)

    @override
    def record_context(self, part: Slice) -> Context:
        window, number = part.window, _number(part.partition)
        edge = Edge(
            before=text_of(window.start - SECOND if window.start == self.regular > self.first else window.start),
            start=window.start_text,
            following=next(self.grid.cells(window.end, window.end + SECOND)),
            brought=self._brought.get((number, window.start), frozenset()),
            bring=lambda key: self._brought[number, window.end].add(key),  # noqa: PLW0108  a set only where needed
        )
        return {**part.partition, WINDOW_KEY: window.start_text, WINDOW_END: window.end_text, EDGE: edge}

    @override
    def key_filter(self) -> ReplicationKeyFilter:
        """Rows of a window that the run doesn't read are left to the run that does."""
        return ReplicationKeyFilter(WINDOW_KEY, until=text_of(self.until))


def _number(partition: Mapping[str, Any]) -> int:
    """A partition as a number: its one integer, else 40 bits of a hash, which is short and distinct enough."""
    values = list(partition.values())
    if len(values) == 1 and type(values[0]) is int and values[0] >= 0:
        return values[0]
    return int.from_bytes(hashlib.blake2b(canonical(values), digest_size=5).digest(), "big")


def _pack(numbers: Iterable[int]) -> str:
    """Numbers in order, each as its distance from the one before, hexadecimal.

    Two thousand ids take a few kilobytes; two thousand hashes take sixteen.
    """
    return " ".join(f"{after - before:x}" for before, after in pairwise([0, *sorted(set(numbers))]))
