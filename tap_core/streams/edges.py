"""Rows on the edge of two windows, whatever the API means by the edges of a span."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.records.field import Field
from tap_core.streams.declared import WINDOW_KEY
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from tap_core.reading.windows import Window
    from tap_core.records.field import Access, Context, Rows, Transform
    from tap_core.records.policy import Policy

__all__ = ["EDGE", "REPEATED", "SECOND", "WINDOW_END", "Edge", "EdgeRows"]

SECOND: Final = timedelta(seconds=1)
"""How much neighbouring windows overlap, beyond their edge."""

WINDOW_END: Final = "_window_end"
"""The column with the end of a row's window."""

EDGE: Final = "\0edge"
"""Where the context of a slice holds its `Edge`."""

REPEATED: Final = "~"
"""Replaces a window's start: later than every time, where the replication-key filter leaves a row out."""


@dataclass(frozen=True)
class EdgeRows(Field):
    """Rows that neighbouring windows both contain, because their spans overlap by the edge and a second.

    A row of that second belongs to the later window, whichever has it; the later window leaves out what the earlier
    one has brought. Rows are identified by their keys, so none is left out that was not written. Where the earlier
    window is not read, a row of the second before the edge is left to the run that reads it.

    Args:
        time: The column with the row's own time, in the engine's form.
        keys: The key properties.
    """

    time: str
    keys: Sequence[str]

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read_times, reads = access.column(self.time), [access.column(key) for key in self.keys]
        write_start, write_end = access.setter(WINDOW_KEY), access.setter(WINDOW_END)

        def apply(rows: Rows, context: Context) -> None:
            edge: Edge = context[EDGE]
            before, start, brought = edge.before, edge.start, edge.brought
            after, until, end = edge.following.start_text, edge.until, edge.following.end_text
            times = read_times(rows)
            if not brought and _all_between(start, times, after):
                return
            keys = zip(*(read(rows) for read in reads), strict=True)
            for row, key, time in zip(rows, keys, times, strict=True):
                if key in brought or (time is not None and before <= time < start):
                    write_start(row, REPEATED)
                elif time is not None and after <= time <= until:
                    write_start(row, after)
                    write_end(row, end)
                    edge.bring(key)

        return apply


def _all_between(start: str, times: Sequence[str | None], end: str) -> bool:
    """Whether all rows that have a time have one in a window, and not at its edges."""
    known = [time for time in times if time is not None]
    return not known or (start <= min(known) and max(known) < end)


@dataclass(frozen=True)
class Edge:
    """The edges of a window, for one partition.

    Args:
        before: From when on rows belong to the previous window, and are left to it; all as texts.
        start: The start of the window.
        following: The window after the later edge.
        brought: Keys of rows that the previous window has already brought.
        bring: Remembers a key for the following window.
    """

    before: str
    start: str
    following: Window
    brought: AbstractSet[Any]
    bring: Callable[[Any], None]

    @property
    def until(self) -> str:
        """The end of the second after the later edge."""
        return text_of(self.following.start + SECOND)
