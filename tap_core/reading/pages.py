"""Which pages of a list to ask for, and when all of it has been seen.

A pager belongs to one slice. `Pager.next` names the next page worth asking for now, which may be one that nobody knows
to exist yet; `Pager.take` looks at the pages in the order in which they were asked for, and may say that what is on
its way is of no use any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Page", "PageResult", "Pager", "Row", "SinglePage", "Token"]

Row = msgspec.Raw
"""A record as it was sent, unparsed."""

Token = Any
"""What names a page: a number, an offset, whatever the pager and the stream that asks agree on."""


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
class PageResult:
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
    def take(self, token: Token, page: Page) -> PageResult:
        """Look at a page; sets ``done`` when it was the last.

        Raises:
            PaginationError: Paging makes no progress.
        """


class SinglePage(Pager):
    """A list that comes in one answer.

        GET /webhooks       [{"url": …}, {"url": …}]

    A stream that says nothing else is read so. Where the one page has a name, it is given:

        SinglePage(token=0)

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
    def take(self, token: Token, page: Page) -> PageResult:
        self.done = True
        return PageResult(page.rows)
