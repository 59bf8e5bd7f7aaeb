"""Ordered concurrent reading: what comes, in which order, and what happens when something fails."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from tap_core.errors import ApiError, StoppedError
from tap_core.reading.fetch import Arrival, Reading, Slice
from tap_core.reading.pages import Page, Pager, PageResult, SinglePage
from tap_core.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Counted(Pager):
    """A known number of pages."""

    def __init__(self, pages: int) -> None:
        super().__init__()
        self._waiting = deque(range(pages))
        self._left = pages
        self.done = pages == 0

    @override
    def next(self) -> Any:
        return self._waiting.popleft() if self._waiting else None

    @override
    def take(self, token: Any, page: Page) -> PageResult:
        self._left -= 1
        self.done = self._left == 0
        return PageResult(page.rows)


@dataclass
class Source:
    """Slices with numbers of pages; some pages fail."""

    pages: list[int]
    failing: set[tuple[int, int]] = field(default_factory=set)
    asked: list[tuple[int, int]] = field(default_factory=list)
    opened: int = 0
    gate: Callable[[int, int], None] = lambda _part, _page: None

    def slices(self) -> Iterator[Slice]:
        for number in range(len(self.pages)):
            self.opened += 1
            yield Slice({"number": number}, last=True)

    def pager(self, part: Slice) -> Pager:
        return Counted(self.pages[part.partition["number"]])

    def load(self, part: Slice, token: Any) -> Page:
        number = part.partition["number"]
        self.asked.append((number, token))
        self.gate(number, token)
        if (number, token) in self.failing:
            raise ApiError(f"page {token} of slice {number}")
        return Page([msgspec.Raw(b"[%d,%d]" % (number, token))])

    def read(self, workers: int) -> Iterator[Arrival]:
        return Reading(self.slices(), pager=self.pager, load=self.load, workers=Workers(workers)).arrivals()


def told(arrivals: Iterable[Arrival]) -> list[str]:
    """Rows and ends of slices, until an error."""
    found: list[str] = []
    try:
        for arrival in arrivals:
            found += [bytes(row).decode() for row in arrival.rows]
            if arrival.done:
                found.append(f"end of {arrival.slice.partition['number']}")
    except ApiError as error:
        found.append(str(error))
    return found


def expected(pages: list[int], failing: set[tuple[int, int]]) -> list[str]:
    found: list[str] = []
    for number, count in enumerate(pages):
        for page in range(count):
            if (number, page) in failing:
                return [*found, f"page {page} of slice {number}"]
            found.append(f"[{number},{page}]")
        found.append(f"end of {number}")
    return found


@settings(max_examples=30)
@given(
    pages=st.lists(st.integers(0, 7), max_size=8),
    failing=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 6)), max_size=2),
    workers=st.sampled_from([1, 2, 8]),
)
def test_s15_order_and_failures_are_the_same_with_any_number_of_workers(
    pages: list[int], failing: set[tuple[int, int]], workers: int
) -> None:
    assert told(Source(pages, failing).read(workers)) == expected(pages, failing)


def test_s15_answers_that_overtake_each_other_change_nothing() -> None:
    released = [threading.Event() for _ in range(4)]
    source = Source([1] * 4)

    def in_reverse(number: int, _page: int) -> None:
        if number < 3:
            assert released[number + 1].wait(30)
        released[number].set()

    source.gate = in_reverse
    assert told(source.read(4)) == expected(source.pages, set())


def test_s15_a_failure_that_comes_first_waits_for_everything_before_it() -> None:
    failed = threading.Event()
    source = Source([2, 1, 1], {(1, 0)})

    def hold_the_first(number: int, _page: int) -> None:
        if number == 1:
            failed.set()
        elif number == 0:
            assert failed.wait(30)

    source.gate = hold_the_first
    assert told(source.read(3)) == ["[0,0]", "[0,1]", "end of 0", "page 0 of slice 1"]


def test_s15_slices_that_cannot_be_listed_fail_after_those_that_were() -> None:
    source = Source([2, 2])

    def slices() -> Iterator[Slice]:
        yield from source.slices()
        raise ApiError("no more slices")

    arrivals = Reading(slices(), pager=source.pager, load=source.load, workers=Workers(8)).arrivals()
    assert told(arrivals) == [*expected(source.pages, set()), "no more slices"]


def test_s15_a_pager_that_cannot_be_made_fails_in_its_turn() -> None:
    source = Source([2, 2])

    def pager(part: Slice) -> Pager:
        if part.partition["number"]:
            raise ApiError("no pager")
        return source.pager(part)

    arrivals = Reading(source.slices(), pager=pager, load=source.load, workers=Workers(8)).arrivals()
    assert told(arrivals) == ["[0,0]", "[0,1]", "end of 0", "no pager"]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_requests_are_in_flight_than_there_are_workers(workers: int) -> None:
    lock, flying, most = threading.Lock(), 0, 0
    full = threading.Barrier(workers)
    source = Source([4] * 6)

    def count(_number: int, _page: int) -> None:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        full.wait(30)
        with lock:
            flying -= 1

    source.gate = count
    assert len(told(source.read(workers))) == 24 + 6
    assert most == workers


def test_nothing_is_read_far_ahead_of_who_takes_it() -> None:
    source = Source([1000])
    arrivals = source.read(4)
    for taken in range(1, 50):
        next(arrivals)
        assert len(source.asked) <= taken + 4 + 4
    assert told(arrivals)[-1] == "end of 0"


def test_slices_are_opened_shortly_before_they_are_asked_for() -> None:
    source = Source([1] * 1000)
    arrivals = source.read(4)
    next(arrivals)
    assert source.opened <= 4 + 2
    assert told(arrivals)[-1] == "end of 999"


def test_who_stops_taking_ends_the_asking() -> None:
    blocked, first = threading.Event(), threading.Event()
    source = Source([100])

    def block(_number: int, page: int) -> None:
        if page == 0:
            first.set()
        else:
            assert blocked.wait(30)

    source.gate = block
    workers = Workers(2)
    arrivals = Reading(source.slices(), pager=source.pager, load=source.load, workers=workers).arrivals()
    next(arrivals)
    arrivals.close()  # type: ignore[attr-defined]
    blocked.set()
    after = workers.submit(lambda: len(source.asked)).result(30)
    assert workers.submit(lambda: len(source.asked)).result(30) == after <= 1 + 2


def test_s2_an_idle_reader_looks_at_the_signals_and_ends() -> None:
    over = threading.Event()
    source = Source([1])
    source.gate = lambda _number, _page: None if over.wait(30) else pytest.fail("nobody ended the run")

    def idle() -> None:
        raise StoppedError("stopped by SIGTERM")

    with pytest.raises(StoppedError):
        list(Reading(source.slices(), pager=source.pager, load=source.load, workers=Workers(1)).arrivals(idle))
    over.set()


def test_a_slice_without_subjects_only_ends() -> None:
    source = Source([])
    parts = [Slice(window="a", last=True, empty=True), Slice(window="b", last=True, empty=True)]
    arrivals = list(Reading(parts, pager=source.pager, load=source.load, workers=Workers(2)).arrivals())
    assert arrivals == [Arrival(part, done=True) for part in parts]
    assert source.asked == []


def test_nothing_to_read_is_nothing_read() -> None:
    assert list(Source([]).read(4)) == []


def test_a_single_page_is_asked_for_once() -> None:
    asked: list[Any] = []

    def load(_part: Slice, token: Any) -> Page:
        asked.append(token)
        return Page([msgspec.Raw(b"1")], meta="more")

    first, end = Reading([Slice()], pager=lambda _part: SinglePage(), load=load, workers=Workers(8)).arrivals()
    assert ([bytes(row) for row in first.rows], first.meta, first.done) == ([b"1"], "more", False)
    assert (end.rows, end.done, end.missing) == ((), True, 0)
    assert len(asked) == 1
