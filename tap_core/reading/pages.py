"""Which pages of a list to request, and when all of it has been seen.

A pager belongs to one slice. `Pager.next` names the next page worth requesting now, which may not even
exist; `Pager.take` looks at the pages in the order in which they were requested, and may say that those in flight
are no longer useful.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Page", "PageResult", "Pager", "Row", "SinglePage", "Token", "only"]

Row = msgspec.Raw
"""A record as it was sent, unparsed."""

Token = Any
"""What names a page: a number, an offset, whatever the pager and its stream agree on."""


class Page(msgspec.Struct, frozen=True):
    """One response of the API.

    Args:
        rows: The JSON of each record.
        meta: What else the response said, as the vendor's client read it.
    """

    rows: Sequence[Row]
    meta: Any = None


def only(rows: Sequence[Row], wanted: Sequence[bool]) -> Sequence[Row]:
    """Some of the rows of a page.

    Args:
        rows: The rows.
        wanted: Of each row, whether it is one of them.
    """
    choose = getattr(rows, "only", None)  # those that are decoded already stay so
    return list(compress(rows, wanted)) if choose is None else choose(wanted)


class PageResult(msgspec.Struct, frozen=True):
    """What a pager makes of a page.

    Args:
        rows: The records that were not seen before.
        restart: Pages in flight are useless; ask `Pager.next` again.
    """

    rows: Sequence[Row] = ()
    restart: bool = False


class Pager(ABC):
    """Names pages and looks at them, for one slice.

    Attributes:
        done: The last page was looked at.
        missing: How many rows the list lacks compared with what it says it has.
        calls: How many calls the list takes, where that is known before the first one.
        tells_length: Whether `length` may tell it, from the first page.
    """

    calls: ClassVar[int | None] = None
    tells_length: ClassVar[bool] = False

    done: bool = False
    missing: int = 0

    @abstractmethod
    def next(self) -> Token | None:
        """The next page to request, or None while that depends on pages in flight."""

    @abstractmethod
    def take(self, token: Token, page: Page) -> PageResult:
        """Look at a page; sets ``done`` when it was the last.

        Raises:
            PaginationError: Paging makes no progress.
        """

    def length(self, _first: Page) -> int | None:
        """How many calls the list takes, as far as its first page tells; None if it does not."""
        return None


class SinglePage(Pager):
    """A list that comes in one response.

        GET /webhooks       [{"url": …}, {"url": …}]

    Streams are read this way by default. Where the one page has a name, give it:

        SinglePage(token=0)

    Args:
        token: What names the page.
    """

    calls = 1

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
    def take(self, token: Token, page: Page) -> PageResult:
        self.done = True
        return PageResult(page.rows)
