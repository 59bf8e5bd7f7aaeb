"""Lists whose pages have numbers, for APIs that do not say how they count.

Two calls find out three things: whether the first page is number 0 or 1, how long a page really is, and whether the
number is used at all. The first call names no page, which is the first page everywhere. The second one asks for page 2
of half the length. What it calls itself gives the answer, or which rows of the first page it shows:

    first page              1 2 3 4 5 6 7 8
    page 2, pages from 1            5 6 7 8
    page 2, pages from 0                    9 10 11 12
    page 2, number ignored  1 2 3 4
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from typing_extensions import override

from tap_core.errors import PaginationError
from tap_core.reading.identities import Identities
from tap_core.reading.pages import Pager, PageResult, only

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tap_core.reading.pages import Page, Row, Token

__all__ = ["PATIENCE", "REPEATED", "NumberedPager", "PageFacts", "PageRequest"]

PATIENCE: Final = 10
"""Pages in a row that may show nothing new."""

REPEATED: Final = 3
"""Pages in a row without a new row that end a list of unknown length."""


class PageRequest(NamedTuple):
    """What to request.

    Attributes:
        number: The page's number; None names no page, which means the first one.
        size: Rows per page.
    """

    number: int | None
    size: int


class PageFacts(msgspec.Struct, frozen=True):
    """What a response says about itself and its list; None where it says nothing.

    Args:
        number: The page's number, as the server counts.
        pages: Pages in total, of the requested size.
        rows: Rows in total.
        last: Whether this is the last page.
    """

    number: int | None = None
    pages: int | None = None
    rows: int | None = None
    last: bool | None = None

    @property
    def tells_end(self) -> bool:
        """Whether this shows the end of the list."""
        return self.pages is not None or self.rows is not None or self.last is not None


class _Seen(msgspec.Struct, frozen=True):
    """A page with the identities of its rows."""

    rows: Sequence[Row]
    ids: Sequence[Hashable]
    facts: PageFacts


class NumberedPager(Pager):
    """Pages by number, over data that may move during the reading.

    Rows that were seen before are dropped. A deleted row moves those after it to the page before, which has already
    been read. So the whole list is read once more, for what is new, if fewer rows came than it says it has, if that
    number fell meanwhile, and always if it has pages but gives no number. What is still missing is in `missing`.

    A response's `Page.meta` may be `PageFacts`. A list that says nothing ends with an empty page. Where the number of
    pages is unknown, as many are requested ahead as have arrived: a short list takes few calls, a long one soon keeps
    all workers busy.

    Args:
        size: Rows to ask for.
        row_keys: The identity of each row, such as its key.
        first: Number of the first page, or None to find out.
        hint: What to do if the page number is ignored, for the error message.
    """

    tells_length = True

    def __init__(
        self,
        *,
        size: int,
        row_keys: Callable[[Sequence[Row]], Sequence[Hashable]],
        first: int | None = None,
        hint: str = "",
    ) -> None:
        self.size = size
        self._row_keys = row_keys
        self._first = first
        self._hint = hint
        self._known = Identities()
        self._earlier: int | None = None
        self._certain = first == 1
        self._compared = False
        self._reach = 1
        self._begin()

    def _begin(self) -> None:
        """Start reading the list."""
        # The first reading defines what is known; its own set would hold every identity twice.
        self._met = self._known if self._earlier is None else Identities()
        self._shown = 0
        self._total: int | None = None
        self._shrank = False
        self._pages: int | None = None
        self._opening = _Seen((), (), PageFacts())
        self._idle = 0
        self._ahead: int | None = None
        self._planned = deque([PageRequest(self._first, self.size)])
        self._look = self._open

    @override
    def next(self) -> PageRequest | None:
        if self._planned:
            return self._planned.popleft()
        number = self._ahead
        if number is None or number - (self._first or 0) > (self._reach if self._pages is None else self._pages - 1):
            return None
        self._ahead = number + 1
        return PageRequest(number, self.size)

    @override
    def take(self, token: Token, page: Page) -> PageResult:
        facts = page.meta if isinstance(page.meta, PageFacts) else PageFacts()
        if facts.rows is not None:
            self._shrank = self._shrank or facts.rows < (self._total or 0)
            self._total = max(self._total or 0, facts.rows)
        return self._look(token, _Seen(page.rows, self._row_keys(page.rows), facts))

    @override
    def length(self, first: Page) -> int | None:
        facts = first.meta if isinstance(first.meta, PageFacts) else PageFacts()
        shown = min(self.size, len(first.rows))
        if not shown or facts.last:
            return 1
        pages = -(-facts.rows // shown) if facts.pages is None and facts.rows is not None else facts.pages
        if pages is None:
            return None
        return pages if pages <= 1 or self._first is not None else pages + 1  # page 2 of half the length

    # The three kinds of looks

    def _open(self, token: PageRequest, page: _Seen) -> PageResult:
        """The first page."""
        self._opening = page
        self._learn_pages(page, 0)
        new = self._news(page)
        if not page.ids or self._ends(page, 0):
            return self._finish(new, whole=True)
        if token.number is not None:
            return self._follow_from(token.number, new)
        self._look = self._compare
        self._planned.append(PageRequest(2, max(1, len(page.ids) // 2)))
        return PageResult(new)

    def _compare(self, token: PageRequest, page: _Seen) -> PageResult:
        """Page 2 of half the length; only its place matters, because its rows come again."""
        half, self._compared = token.size, True
        here, there = self._opening.facts.number, page.facts.number
        if here is not None and there is not None and here < there:
            return self._follow_from(int(there - here == 1))
        place = self._place(page)
        if place is None:
            return self._follow_from(0)
        return self._ignored() if place < half / 2 else self._follow_from(int(place < half * 1.5))

    def _follow(self, token: PageRequest, page: _Seen) -> PageResult:
        """One page after the other."""
        assert token.number is not None
        assert self._first is not None
        if not self._certain and page.ids:
            # Counting from 0 is an assumption until page 1 begins differently from the first page.
            self._certain = True
            place = self._place(page)
            if place is not None and place < len(page.ids) / 2:
                self._first = 1
        elif page.ids and token.number == self._first + 1 and page.ids == self._opening.ids:
            return self._finish() if self._compared and not page.facts.tells_end else self._ignored()
        before, position = len(self._met), token.number - self._first
        self._learn_pages(page, position)
        new = self._news(page)
        self._idle = 0 if len(self._met) > before else self._idle + 1
        if self._ends(page, position) or self._stalls(page):
            self._reach = max(1, position)
            return self._finish(new)
        if self._earlier is None or position >= self._reach:
            self._reach = max(self._reach, 2 * position + 1)
        return PageResult(new)

    # What follows from a page

    def _follow_from(self, first: int, new: Sequence[Row] = ()) -> PageResult:
        """Continue after the first page, now that its number is known or assumed."""
        self._first, self._certain = first, self._certain or first == 1
        self._ahead = first + 1
        self._look = self._follow
        return PageResult(new)

    def _place(self, page: _Seen) -> int | None:
        """The position in the first page at which another page begins; None if they share no row."""
        places = {identity: place for place, identity in enumerate(self._opening.ids)}
        return next((places[row] - at for at, row in enumerate(page.ids) if row in places), None)

    def _news(self, page: _Seen) -> Sequence[Row]:
        """The rows of a page that were not seen before."""
        are_new = self._known.add(page.ids)
        if self._met is not self._known:
            self._met.add(page.ids)
        self._shown += len(page.ids)
        if all(are_new):
            return page.rows
        return only(page.rows, are_new)

    def _learn_pages(self, page: _Seen, position: int) -> None:
        # A first page with more rows than requested may be longer than those requested by number.
        facts, length = page.facts, min(self.size, len(self._opening.ids))
        if facts.pages is not None:
            self._pages = facts.pages
        elif facts.rows is not None and length:
            self._pages = -(-facts.rows // length)
        if facts.last is False and self._pages is not None and self._pages <= position + 1:
            self._pages = None  # the list is longer than it says

    def _ends(self, page: _Seen, position: int) -> bool:
        """Whether a page is the last one: because it says so or, if it says nothing, because it is empty."""
        if page.facts.last is not None:
            return page.facts.last
        if self._total is not None and len(self._met) >= self._total:
            return True
        if self._pages is not None:
            return position + 1 >= self._pages
        return not page.ids

    def _stalls(self, page: _Seen) -> bool:
        """Whether nothing new has come for a while. That ends a list that says nothing, and is an error in others."""
        if not page.facts.tells_end:
            if self._idle >= REPEATED and not self._compared and self._place(page) is not None:
                self._ignored()
            return self._idle >= REPEATED
        if self._idle > max(PATIENCE, self._pages or 0):
            raise PaginationError(
                f"{self._idle} pages in a row show nothing new, and the list does not end{self._way_out}"
            )
        return False

    def _ignored(self) -> PageResult:
        """All pages are the same. That is fine if the list has no more rows."""
        shown = len(self._met)
        if self._total is not None and shown >= self._total:
            return self._finish()
        of = "" if self._total is None else f" of {self._total}"
        raise PaginationError(
            f"the API sends the same {shown}{of} rows for every page; the rows after them cannot be read{self._way_out}"
        )

    @property
    def _way_out(self) -> str:
        return f"; {self._hint}" if self._hint else ""

    def _finish(self, new: Sequence[Row] = (), *, whole: bool = False) -> PageResult:
        """The end of the list, or of its first reading. A list that came ``whole``, in one response, cannot move."""
        total = self._total or 0
        untold = self._total is None and not whole
        if self._earlier is None and (untold or self._shrank or len(self._met) < total):
            self._earlier = len(self._met)
            self._begin()
            return PageResult(new, restart=True)
        # Rows that the list itself has twice have not moved: then nothing has changed in between.
        steady = len(self._met) == len(self._known) == self._earlier and self._shown >= total
        self.missing = 0 if steady else max(0, total - len(self._met))
        self.done = True
        return PageResult(new)
