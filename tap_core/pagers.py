"""Which pages of a list to ask for, and when all of it has been seen.

A pager belongs to one slice. `Pager.next` names the next page worth asking for now, which may be one that nobody knows
to exist yet; `Pager.take` looks at the pages in the order in which they were asked for, and may say that what is on
its way is of no use any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core.errors import PaginationError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ["BurstPager", "OffsetPager", "Page", "Pager", "SinglePage", "Taken", "UnsizedPager"]

Row = msgspec.Raw
Token = Any


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the API.

    Args:
        rows: The JSON of each record.
        meta: What else the answer said, as the vendor's client read it.
    """

    rows: Sequence[Row]
    meta: Any = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a pager makes of a page.

    Args:
        rows: The records that were not seen before.
        restart: Pages that are on their way are of no use; ask `Pager.next` again.
    """

    rows: Sequence[Row] = ()
    restart: bool = False


class Pager(ABC):
    """Names pages and looks at them, for one slice.

    Attributes:
        done: The last page was looked at.
        missing: Rows by which the list is short of what it says it has.
    """

    done: bool = False
    missing: int = 0

    @abstractmethod
    def next(self) -> Token | None:
        """The next page to ask for, or None while that depends on pages which are on their way."""

    @abstractmethod
    def take(self, token: Token, page: Page) -> Taken:
        """Look at a page; sets ``done`` when it was the last.

        Raises:
            PaginationError: Paging makes no progress.
        """


class SinglePage(Pager):
    """A list that comes in one answer.

    Args:
        token: What names the page.
    """

    def __init__(self, token: Token = 0) -> None:
        self._token = token
        self._asked = False

    @override
    def next(self) -> Token | None:
        if self._asked:
            return None
        self._asked = True
        return self._token

    @override
    def take(self, token: Token, page: Page) -> Taken:
        self.done = True
        return Taken(page.rows)


@dataclass(slots=True)
class UnsizedPager(Pager):
    """Pages by number, of a server that lets nobody choose their length: until an empty page or a repeated one.

    A page that repeats an earlier one does not end the list by itself: servers that count from one give their first
    page for 0 and for 1, and rows that arrive meanwhile can push a whole page onto the next number. Two repeated pages
    in a row end it. Nor does an empty page end it if it is page 0: the server may count from one.

    Args:
        first: Number of the first page.
        same: Called at the end of a list all of whose pages were the same: it has one page, or the number is ignored.

    Attributes:
        number: Number of the page to ask for next.
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
    def take(self, token: int, page: Page) -> Taken:
        self._waiting = False
        self.number = token + 1
        if not page.rows:
            self.done = token > 0 or self.first > 0
            return Taken()
        mark = _mark(page)
        if mark in self._seen:
            self._repeats += 1
            self.done = self._repeats > 1
            if self.done and len(self._seen) == 1:
                self.same()
            return Taken()
        self._seen.add(mark)
        self._repeats = 0
        return Taken(page.rows)

    def brings_nothing(self, page: Page) -> bool:
        """Whether a page is empty or repeats one that was taken."""
        return not page.rows or _mark(page) in self._seen


@dataclass(slots=True)
class BurstPager(Pager):
    """Pages of an `UnsizedPager`, many at a time, without losing a row that moves meanwhile.

    Of two pages on their way at once the later one may be served first. A row that arrives in between, at the head of
    the list, pushes another one from the earlier page onto the later one, which has been served without it. So a burst
    of pages is held back until the page before it has been read again. If that is still the same, nothing has moved;
    if not, the burst is read anew.

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
    """By how many the bursts that were in vain may outnumber the others, before pages are read one by one."""

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
    def take(self, token: int, page: Page) -> Taken:
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
        return Taken()

    def _check(self, *, is_same: bool) -> Taken:
        """Take the pages of a burst if nothing has moved, else forget them."""
        held, self._held, self._asked = self._held, [], 0
        self._ending = self._checking = False
        if not is_same:
            self._moved += 1
            self._before = None
            return Taken()
        self._calm += 1
        rows: list[Row] = []
        for page in held:
            rows += self.pages.take(self.pages.number, page).rows
            if self.pages.done:
                break
        self.done = self.pages.done
        return Taken(rows)


def _mark(page: Page) -> int:
    """A number that tells pages apart."""
    return hash(tuple(bytes(row) for row in page.rows))


@dataclass(slots=True)
class OffsetPager(Pager):
    """Pages by offset without a total, over data that may move meanwhile.

    Neighbouring pages share one row. Where the shared row is missing, rows were deleted in the meantime and others
    moved up unseen: then the pager steps back until it meets rows that it knows. Rows that were inserted push known
    rows onto the next page, where they are recognised.

    A short page may be the server's cap, so the list ends only where a page shows nothing but the shared row and an
    empty one follows it. Where all pages have a single row, as those of a list of one row do, none can share it: there
    what follows a row counts only if the row is found in its place once more afterwards.

    Once the length of a page is known, later pages are asked for ahead of time.

    Args:
        size: Rows to ask for.
        identify: A row's identity, such as its key.
    """

    size: int
    identify: Callable[[Row], Hashable]
    done: bool = False
    _planned: deque[int] = field(default_factory=lambda: deque([0]))
    _ahead: int | None = None
    _length: int = 0
    _end: int = 0
    _known: Sequence[Row] = ()
    _cut: bool = False
    _closing: bool = False
    _single: bool = True  # no page has had more than one row
    _held: Sequence[Row] | None = None  # what stood behind the last row, until that is found in its place again
    _detours: int = 0

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
    def take(self, token: int, page: Page) -> Taken:
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
        if self.identify(rows[0]) == self.identify(self._known[-1]):
            alone = held is not None and len(rows) == 1
            return self._follow(held or ()) if alone else self._accept(token, rows, rows[1:])
        return self._join(token, rows)

    def _begin(self, rows: Sequence[Row]) -> Taken:
        if not rows:
            self.done = True
            return Taken()
        self._length = self.size
        return self._accept(0, rows, rows)

    def _accept(self, offset: int, rows: Sequence[Row], new: Sequence[Row]) -> Taken:
        """Take a page that joins what is known, and decide where to go on."""
        self._end, self._known = offset + len(rows), rows
        if len(rows) > 1 and (len(rows) >= self._length or (self._cut and new)):
            self._cut = False
            if len(rows) == self._length and self._ahead is not None:
                return Taken(new)
            self._length, self._ahead = len(rows), self._end - 1
            self._planned.clear()
            return Taken(new, restart=True)
        self._cut = True
        if self._single:
            return self._go(self._end, new=new)
        if len(rows) > 1 or new:
            return self._go(self._end - 1, self._end, new=new)
        return Taken() if self._closing else self._go(self._end)

    def _close(self, rows: Sequence[Row]) -> Taken:
        """The answer from right behind the last row: nothing at the end of the list."""
        if self._single:
            self._held = rows
            return self._go(self._end - 1)
        return self._follow(rows)

    def _follow(self, rows: Sequence[Row]) -> Taken:
        """What follows the last known row."""
        if not rows:
            self.done = True
            return Taken()
        return self._join(self._end, rows)

    def _join(self, offset: int, rows: Sequence[Row]) -> Taken:
        """A page that does not begin with the last known row: rows were inserted or deleted before it."""
        known = {self.identify(row) for row in self._known}
        new = [row for row in rows if self.identify(row) not in known]
        if len(new) == len(rows) and 0 < offset < self._end:
            return self._step_back(offset)
        if not new:
            self._patience()
        return self._accept(offset, rows, new)

    def _step_back(self, offset: int) -> Taken:
        if offset <= self._length:
            self._patience()
        if offset == 0:
            self.done = True
            return Taken()
        return self._go(max(0, offset - (1 if self._single else max(1, self._length - 1))))

    def _patience(self) -> None:
        self._detours += 1
        if self._detours > self.DETOURS:
            raise PaginationError(
                "the server sends the same rows whatever the offset, or they move faster than they can be read;"
                " try another page_size or a quieter hour"
            )

    def _go(self, *offsets: int, new: Sequence[Row] = ()) -> Taken:
        self._planned, self._ahead, self._closing = deque(offsets), None, offsets[-1] == self._end
        return Taken(new, restart=True)
