"""Lists that are read by offset, for APIs that give no total.

Neighbouring pages overlap by one row, so that what moves between two calls is noticed:

    rows of the list        a b c d e f g h
    offset 0, count 4       a b c d
    offset 3, count 4             d e f g       begins with d: nothing has moved
    offset 6, count 4                   g h     a short page: the end, or the server's own cap
    offset 7, count 4                     h     only the row that is already known …
    offset 8, count 4                           … and an empty page after it: the end

If b is deleted after the first call, every row moves up by one, and e would be missed without the overlap:

    offset 3, count 4             e f g h       does not begin with d: step back to meet a known row
    offset 0, count 4       a c d e             a, c and d are known, e is new; go on from here

If x is inserted at the head, known rows come again and are dropped:

    offset 3, count 4             c d e f       c and d are known; e and f are new
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_core.errors import PaginationError
from tap_core.reading.pages import Pager, PageResult, only

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tap_core.reading.pages import Page, Row

__all__ = ["OffsetPager"]


@dataclass(slots=True)
class OffsetPager(Pager):
    """Pages by offset without a total, over data that may move during the reading.

        GET /invoices?count=4&offset=3      {"data": [{"id": "d"}, {"id": "e"}, …]}

        OffsetPager(size=4, row_keys=stream.row_keys)

    Neighbouring pages share one row. Where the shared row is missing, rows were deleted meanwhile and others moved
    up unseen: then the pager steps back until it meets rows that it knows. Rows that were inserted push known
    rows onto the next page, where they are recognised.

    A short page may be the server's cap, so the list ends only where a page has only the shared row and an empty one
    follows. Where all pages have a single row, as in a list of one row, none can share it: there, what follows a row
    counts only if the row is found in its place again afterwards.

    Once the length of a page is known, later pages are requested ahead of time.

    Args:
        size: Rows to ask for.
        row_keys: What distinguishes rows, such as the key of each.
    """

    size: int
    row_keys: Callable[[Sequence[Row]], Sequence[Hashable]]
    done: bool = False
    _planned: deque[int] = field(default_factory=lambda: deque([0]))  # offsets to request first
    _ahead: int | None = None  # the offset to request ahead of time, once the length of a page is known
    _length: int = 0  # rows in a full page, as the server sends them
    _end: int = 0  # the offset after the last known row
    _known: Sequence[Row] = ()  # the page that ends there
    _last: Hashable = None  # the identity of its last row
    _cut: bool = False  # that page was short
    _closing: bool = False  # the empty page after the last row has been requested
    _single: bool = True  # no page has had more than one row
    _held: Sequence[Row] | None = None  # what followed the last row, until that is found in its place again
    _detours: int = 0  # steps back, and pages with nothing new

    DETOURS: ClassVar[int] = 10

    @override
    def next(self) -> int | None:
        if self._planned:
            return self._planned.popleft()
        offset = self._ahead
        if offset is not None:
            self._ahead = offset + self._length - 1
        return offset

    @override
    def take(self, token: int, page: Page) -> PageResult:
        rows = page.rows
        self._single = self._single and len(rows) < 2  # noqa: PLR2004
        held, self._held = self._held, None
        if not self._known:
            return self._begin(rows)
        if token > self._end:
            return self._go(self._end - 1, self._end)
        if token == self._end:
            self._closing = False
            return self._close(rows)
        if not rows:
            return self._step_back(token)
        if self.row_keys(rows[:1])[0] == self._last:
            alone = held is not None and len(rows) == 1
            return self._follow(held or ()) if alone else self._accept(token, rows, rows[1:])
        return self._join(token, rows)

    def _begin(self, rows: Sequence[Row]) -> PageResult:
        if not rows:
            self.done = True
            return PageResult()
        self._length = self.size
        return self._accept(0, rows, rows)

    def _accept(self, offset: int, rows: Sequence[Row], new: Sequence[Row]) -> PageResult:
        """Take a page that continues what is known, and decide where to go on."""
        self._end, self._known = offset + len(rows), rows
        self._last = self.row_keys(rows[-1:])[0]
        if len(rows) > 1 and (len(rows) >= self._length or (self._cut and new)):
            self._cut = False
            if len(rows) == self._length and self._ahead is not None:
                return PageResult(new)
            self._length, self._ahead = len(rows), self._end - 1
            self._planned.clear()
            return PageResult(new, restart=True)
        self._cut = True
        if self._single:
            return self._go(self._end, new=new)
        if len(rows) > 1 or new:
            return self._go(self._end - 1, self._end, new=new)
        return PageResult() if self._closing else self._go(self._end)

    def _close(self, rows: Sequence[Row]) -> PageResult:
        """The response from right after the last row: empty at the end of the list."""
        if self._single:
            self._held = rows
            return self._go(self._end - 1)
        return self._follow(rows)

    def _follow(self, rows: Sequence[Row]) -> PageResult:
        """What follows the last known row."""
        if not rows:
            self.done = True
            return PageResult()
        return self._join(self._end, rows)

    def _join(self, offset: int, rows: Sequence[Row]) -> PageResult:
        """A page that does not begin with the last known row: rows were inserted or deleted before it."""
        known = set(self.row_keys(self._known))
        new = only(rows, [identity not in known for identity in self.row_keys(rows)])
        if len(new) == len(rows) and 0 < offset < self._end:
            return self._step_back(offset)
        if not new:
            self._patience()
        return self._accept(offset, rows, new)

    def _step_back(self, offset: int) -> PageResult:
        if offset <= self._length:
            self._patience()
        if offset == 0:
            self.done = True
            return PageResult()
        return self._go(max(0, offset - (1 if self._single else max(1, self._length - 1))))

    def _patience(self) -> None:
        self._detours += 1
        if self._detours > self.DETOURS:
            raise PaginationError(
                "the server sends the same rows for every offset, or rows move faster than they can be read;"
                " try another page_size or a quieter hour"
            )

    def _go(self, *offsets: int, new: Sequence[Row] = ()) -> PageResult:
        self._planned, self._ahead, self._closing = deque(offsets), None, offsets[-1] == self._end
        return PageResult(new, restart=True)
