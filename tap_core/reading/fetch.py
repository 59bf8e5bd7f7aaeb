"""Ordered concurrent reading of pages and windows through a bounded pool.

Requests overtake each other, results never do: pages of one slice come in the order of its pager, slices in the order
in which they were given, and an error surfaces only after everything before it was delivered. So the records, their
order and the state are the same with one worker and with eight.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from typing_extensions import override

from tap_core.errors import PaginationError

if TYPE_CHECKING:
    from tap_core.reading.pages import Page, Pager, Token

__all__ = ["BUFFERED", "IDLE_S", "Arrival", "Cache", "Pool", "Promise", "Reading", "Slice"]

BUFFERED: Final = 4
"""Pages that a slice may hold while it waits for its turn."""

IDLE_S: Final = 0.25
"""Seconds between two checks of the signals while nothing arrives."""


class Slice(msgspec.Struct, frozen=True):
    """What one chain of pages is about.

    Args:
        partition: The parent, connection or other subject whose records are read, by column name.
        window: The cell of the date grid, or None for a stream without windows.
        last: This slice ends its window: once it is done, everything up to the window's end is, too.
        empty: There is nothing to read; the slice only ends a window that has no subjects.
        named: Its records were asked for one by one: no bookmark leaves them out, and none moves with them.
    """

    partition: Mapping[str, Any] = {}
    window: Any = None
    last: bool = False
    empty: bool = False
    named: bool = False


class Arrival(msgspec.Struct, frozen=True):
    """Something that was read: records of a slice, or its end.

    Args:
        slice: What was read.
        rows: The JSON of each record that is new.
        meta: What else the page said.
        done: Nothing more comes for this slice.
        missing: How many rows the slice lacks, if it is done.
        live: The records are live: they are handed to the target at once, and a STATE follows them soon.
    """

    slice: Slice
    rows: Sequence[msgspec.Raw] = ()
    meta: Any = None
    done: bool = False
    missing: int = 0
    live: bool = False


class Promise(Protocol):
    """A page that has been requested."""

    def done(self) -> bool:
        """Whether it has come, or failed."""

    def result(self) -> Page:
        """The page, once it is done; raises why it failed."""

    def cancel(self) -> object:
        """It is not needed any more."""


class Pool(Protocol):
    """What requests pages side by side: `tap_core.http.loop.Loop` or `tap_core.workers.Workers`.

    Attributes:
        count: How many at a time.
    """

    count: int

    def submit(self, call: Callable[..., Any], *args: Any) -> Any:
        """Request a page; returns a `Promise`."""

    def wait(self, promises: Sequence[Any], seconds: float) -> Any:
        """Wait until one of these is done, and return it; None once this much time has passed."""


class _Reader:
    """The pages of one slice: those in flight, and those that wait for their turn."""

    def __init__(self, part: Slice, pager: Pager | None) -> None:
        self.slice = part
        self.pager = pager
        self.pending: deque[tuple[Token, Promise]] = deque()
        self.ready: deque[Arrival] = deque()
        self.error: BaseException | None = None
        self.finished = pager is None or pager.done
        self.stuck = False
        """The pager names no other page before one in flight has arrived."""

    def request(self, submit: Callable[..., Promise], load: Callable[[Slice, Token], Any], most: int) -> int:
        """Request up to this many more pages, as far as there are any to request; returns how many it was."""
        assert self.pager is not None
        for number in range(most):
            if len(self.ready) >= BUFFERED:
                return number
            if (token := self.pager.next()) is None:
                self.stuck = True
                return number
            self.pending.append((token, submit(load, self.slice, token)))
        return most

    def absorb(self) -> None:
        """Look at the pages that have arrived, in order."""
        pending, pager = self.pending, self.pager
        while pending and pending[0][1].done():
            token, future = pending.popleft()
            self.stuck = False
            try:
                page = future.result()
                assert pager is not None
                taken = pager.take(token, page)
            except BaseException as error:  # noqa: BLE001  raised when its turn has come
                self.error, self.finished = error, True
                self.cancel()
                return
            self.ready.append(Arrival(self.slice, taken.rows, page.meta))
            self.finished = pager.done
            if pending and (taken.restart or self.finished):
                self.cancel()

    def cancel(self) -> None:
        """Forget what is in flight."""
        for _, future in self.pending:
            future.cancel()
        self.pending.clear()


class Reading:
    """The slices of a stream, in order, with as many requests in flight as there are workers.

    Args:
        slices: What to read; taken from the iterable only shortly before it is requested.
        pager: Makes the pager of a slice.
        load: Requests one page, in a form that the workers understand.
        workers: Who requests pages.
    """

    def __init__(
        self,
        slices: Iterable[Slice],
        *,
        pager: Callable[[Slice], Pager],
        load: Callable[[Slice, Token], Any],
        workers: Pool,
    ) -> None:
        self._readers: deque[_Reader] = deque()
        self._in_flight = 0
        self._waiting: Iterator[Slice] | None = iter(slices)
        self._pager = pager
        self._load = load
        self._workers = workers

    @property
    def held(self) -> int:
        """How many pages are in flight, or wait for their turn."""
        return sum(len(reader.pending) + len(reader.ready) for reader in self._readers)

    @property
    def heads(self) -> list[Promise]:
        """The pages in flight that can be looked at next: the first of each slice."""
        return [reader.pending[0][1] for reader in self._readers if reader.pending]

    def go_on(self, most: int) -> None:
        """Look at what has arrived, and request up to this many more pages. Nothing is waited for."""
        for reader in self._readers:
            self._absorb(reader)
        self._request(most)

    def arrivals(self, idle: Callable[[], None] = lambda: None) -> Iterator[Arrival]:
        """Everything there is to read.

        Args:
            idle: Called now and then while nothing arrives; may raise to end the reading.

        Yields:
            The records of each page, and the end of each slice.

        Raises:
            TapError: What ``slices``, ``load`` or the pager raised, after everything before it was yielded.
        """
        try:
            while True:
                if self._in_flight < self._workers.count:
                    self._request(self._workers.count)
                if not self._readers:
                    return
                head = self._readers[0]
                if head.ready:
                    yield head.ready.popleft()
                elif head.error is not None:
                    raise head.error
                elif head.finished:
                    self._readers.popleft()
                    yield Arrival(head.slice, done=True, missing=head.pager.missing if head.pager else 0)
                else:
                    self._wait(idle)
        finally:
            self.cancel()

    def _request(self, most: int) -> None:
        """Request pages until all workers are busy: of earlier slices first, then of new ones."""
        count = self._workers.count
        wanted = min(self._in_flight + most, count)
        submit, load = self._workers.submit, self._load
        for reader in self._readers:
            if self._in_flight >= wanted:
                return
            if not reader.finished and not reader.stuck:
                self._in_flight += reader.request(submit, load, wanted - self._in_flight)
        while self._in_flight < wanted and len(self._readers) <= count and (opened := self._open()):
            if not opened.finished:
                self._in_flight += opened.request(submit, load, wanted - self._in_flight)

    def _absorb(self, reader: _Reader) -> None:
        """Look at the pages of a slice that have arrived."""
        before = len(reader.pending)
        reader.absorb()
        self._in_flight -= before - len(reader.pending)

    def _open(self) -> _Reader | None:
        """Begin the next slice, unless an error is waiting to be raised."""
        if self._waiting is None:
            return None
        for reader in self._readers:
            if reader.error is not None:
                return None
        part = Slice()
        try:
            part = next(self._waiting)
            reader = _Reader(part, None if part.empty else self._pager(part))
        except StopIteration:
            self._waiting = None
            return None
        except Exception as error:  # noqa: BLE001  raised when its turn has come
            reader = _Reader(part, None)
            reader.error = error
        self._readers.append(reader)
        return reader

    def _wait(self, idle: Callable[[], None]) -> None:
        """Wait until a page has arrived that can be looked at.

        The slice whose turn it is may have none in flight while all workers are busy with later slices.
        """
        if not (heads := self.heads):
            raise PaginationError("this stream's pager names no next page and reports no end")
        while (arrived := self._workers.wait(heads, IDLE_S)) is None:
            idle()
        for reader in self._readers:
            if reader.pending and reader.pending[0][1] is arrived:
                self._absorb(reader)
                return

    def cancel(self) -> None:
        """Forget everything that is in flight."""
        for reader in self._readers:
            reader.cancel()
        self._in_flight = 0


class Cache(Iterable[Arrival]):
    """What is read once and handed to everyone who asks, even if it is a failure.

    Args:
        source: The reading; continues only as far as someone needs.
    """

    def __init__(self, source: Iterator[Arrival]) -> None:
        self._source = source
        self._read: list[Arrival] = []
        self._failure: BaseException | None = None

    @override
    def __iter__(self) -> Iterator[Arrival]:
        for number in itertools.count():
            if number == len(self._read) and not self._go_on():
                return
            yield self._read[number]

    def _go_on(self) -> bool:
        """Read one more; returns whether there was one."""
        if self._failure is not None:
            raise self._failure
        try:
            self._read.append(next(self._source))
        except StopIteration:
            return False
        except BaseException as error:
            self._failure = error
            raise
        return True
