"""Lists whose pages have numbers, but neither a length that can be chosen nor a marked last page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_core.reading.pages import Pager, PageResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.reading.pages import Page, Row

__all__ = ["BurstPager", "UnsizedPager"]


@dataclass(slots=True)
class UnsizedPager(Pager):
    """Pages by number, from a server that fixes their length: until an empty page or a repeated one.

        GET /history?page=0     [{"id": 1}, {"id": 2}]
        GET /history?page=1     [{"id": 3}]
        GET /history?page=2     []

        UnsizedPager(first=0)

    A page that repeats an earlier one does not end the list by itself: servers that count from one give their first
    page for 0 and for 1, and rows that arrive meanwhile can push a whole page onto the next number. Two repeated pages
    in a row end it. An empty page 0 does not end it either: the server may count from one.

    Args:
        first: Number of the first page.
        same: Called at the end of a list whose pages were all the same: it has one page, or the number is ignored.

    Attributes:
        number: Number of the page to request next.
    """

    first: int = 0
    same: Callable[[], None] = lambda: None
    done: bool = False
    number: int = field(init=False)
    _waiting: bool = False
    _seen: set[int] = field(default_factory=set)
    _repeats: int = 0

    def __post_init__(self) -> None:
        self.number = self.first

    @override
    def next(self) -> int | None:
        if self._waiting:
            return None
        self._waiting = True
        return self.number

    @override
    def take(self, token: int, page: Page) -> PageResult:
        self._waiting = False
        self.number = token + 1
        if not page.rows:
            self.done = token > 0 or self.first > 0
            return PageResult()
        mark = _mark(page)
        if mark in self._seen:
            self._repeats += 1
            self.done = self._repeats > 1
            if self.done and len(self._seen) == 1:
                self.same()
            return PageResult()
        self._seen.add(mark)
        self._repeats = 0
        return PageResult(page.rows)

    def brings_nothing(self, page: Page) -> bool:
        """Whether a page is empty or repeats one that was taken."""
        return not page.rows or _mark(page) in self._seen


@dataclass(slots=True)
class BurstPager(Pager):
    """Pages of an `UnsizedPager`, many at a time, without losing a row that moves during the reading.

        GET /history?page=1 … 32    a burst, in parallel
        GET /history?page=0         the page before it, once more: the same as before, so the burst counts

        BurstPager(UnsizedPager(first=0))

    Of two pages in flight at once, the later one may be served first. A row that arrives in between, at the head of
    the list, pushes another one from the earlier page onto the later one, which has been served without it. So a burst
    of pages is held back until the page before it has been read again. If that page is unchanged, nothing has moved;
    if not, the burst is read again.

    Args:
        pages: Looks at the pages in order.
    """

    pages: UnsizedPager
    done: bool = False
    _before: tuple[int, int] | None = None
    _held: list[Page] = field(default_factory=list)
    _asked: int = 0
    _ending: bool = False
    _checking: bool = False
    _calm: int = 0
    _moved: int = 0

    LENGTH: ClassVar[int] = 32
    """Pages in a burst."""

    PATIENCE: ClassVar[int] = 3
    """By how many wasted bursts may outnumber the others before pages are read one by one."""

    @override
    def next(self) -> int | None:
        if self._before is None:
            return self.pages.next()
        if self._asked < self.LENGTH and not self._ending:
            self._asked += 1
            return self.pages.number + self._asked - 1
        if self._checking or len(self._held) < self._asked:
            return None
        self._checking = True
        return self._before[0]

    @override
    def take(self, token: int, page: Page) -> PageResult:
        if self._before is None:
            taken = self.pages.take(token, page)
            self.done = self.pages.done
            if taken.rows and self._moved - self._calm < self.PATIENCE:
                self._before = token, _mark(page)
            return taken
        if self._checking:
            return self._check(is_same=self._before[1] == _mark(page))
        repeats = bool(self._held) and _mark(self._held[-1]) == _mark(page)
        self._ending = self._ending or repeats or self.pages.brings_nothing(page)
        self._held.append(page)
        return PageResult()

    def _check(self, *, is_same: bool) -> PageResult:
        """Take the pages of a burst if nothing has moved, else forget them."""
        held, self._held, self._asked = self._held, [], 0
        self._ending = self._checking = False
        if not is_same:
            self._moved += 1
            self._before = None
            return PageResult()
        self._calm += 1
        rows: list[Row] = []
        for page in held:
            rows += self.pages.take(self.pages.number, page).rows
            if self.pages.done:
                break
        self.done = self.pages.done
        return PageResult(rows)


def _mark(page: Page) -> int:
    """A number that distinguishes pages."""
    text = getattr(page.rows, "text", None)  # of rows that are decoded already, and need not be cut apart
    return hash(tuple(map(bytes, page.rows)) if text is None else bytes(text))
