"""Offset paging over lists that move while they are read."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_core.errors import PaginationError
from tap_core.reading.offset import OffsetPager
from tap_core.reading.pages import Page


def row(number: int) -> msgspec.Raw:
    return msgspec.Raw(b'{"id":%d}' % number)


def number_of(found: msgspec.Raw) -> int:
    return int(msgspec.json.decode(found)["id"])


class Server:
    """A list, newest first, that changes at given requests and caps its pages."""

    def __init__(self, size: int, *, cap: int = 100, changes: dict[int, tuple[str, int]] | None = None) -> None:
        self.rows = list(range(size, 0, -1))
        self.original = set(self.rows)
        self.cap = cap
        self.changes = changes or {}
        self.requests = 0
        self.newest = size

    def answer(self, offset: int, count: int) -> Page:
        self.requests += 1
        kind, place = self.changes.get(self.requests, ("", 0))
        if kind == "insert":
            self.newest += 1
            self.rows.insert(0, self.newest)
        elif kind == "delete" and self.rows:
            self.original.discard(self.rows.pop(place % len(self.rows)))
        elif kind == "purge":
            place %= max(1, len(self.rows))
            gone = slice(place, place + 12)
            self.original -= set(self.rows[gone])
            del self.rows[gone]
        elif kind == "cap":
            self.cap = max(2, place)
        elif kind == "empty":
            return Page([])
        return Page([row(number) for number in self.rows[offset : offset + min(count, self.cap)]])


def read_all(server: Server, *, size: int, workers: int, limit: int = 5000) -> list[int]:
    """Drive a pager the way the engine does: several pages on their way, looked at in order."""
    pager = OffsetPager(size=size, row_keys=lambda rows: list(map(number_of, rows)))
    flight: deque[tuple[int, Page]] = deque()
    seen: list[int] = []
    while not pager.done:
        while len(flight) < workers and (token := pager.next()) is not None:
            flight.append((token, server.answer(token, size)))
        assert flight, "the pager names no page and sees no end"
        token, page = flight.popleft()
        taken = pager.take(token, page)
        seen += map(number_of, taken.rows)
        if taken.restart:
            flight.clear()
        assert server.requests < limit
    return seen


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("rows", [0, 1, 2, 9, 10, 11, 19, 20, 21, 100, 199])
@pytest.mark.parametrize("cap", [100, 10, 7, 2, 1])
def test_p5_p8_every_row_comes_once_whatever_the_cap(rows: int, cap: int, workers: int) -> None:
    server = Server(rows, cap=cap)
    assert read_all(server, size=10, workers=workers) == list(range(rows, 0, -1))


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("request_number", [2, 3, 5, 9])
def test_p1_an_empty_page_before_the_known_end_does_not_end_the_reading(request_number: int, workers: int) -> None:
    server = Server(100, changes={request_number: ("empty", 0)})
    assert sorted(read_all(server, size=10, workers=workers)) == list(range(1, 101))


changes = st.dictionaries(
    st.integers(1, 60),
    st.tuples(st.sampled_from(["insert", "delete", "purge", "cap"]), st.integers(0, 200)),
    max_size=25,
)


@settings(max_examples=400, deadline=None)
@given(
    rows=st.integers(0, 150), cap=st.sampled_from([100, 12, 10, 5]), workers=st.sampled_from([1, 2, 8]), moves=changes
)
def test_p3_rows_that_stay_are_never_lost_while_others_come_and_go(
    rows: int, cap: int, workers: int, moves: dict[int, tuple[str, int]]
) -> None:
    server = Server(rows, cap=cap, changes=moves)
    try:
        seen = read_all(server, size=10, workers=workers)
    except PaginationError as error:
        assert "faster" in str(error)  # noqa: PT017
        return
    assert server.original <= set(seen)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(0, 25),
    kind=st.sampled_from(["insert", "delete"]),
    workers=st.sampled_from([1, 8]),
    moves=st.dictionaries(st.integers(1, 60), st.integers(0, 200), max_size=8),
)
def test_p3_rows_that_stay_are_not_lost_where_pages_have_a_single_row(
    rows: int, kind: str, workers: int, moves: dict[int, int]
) -> None:
    """Rows come, or rows go; a row that goes just while another comes cannot be seen through pages of one row."""
    server = Server(rows, cap=1, changes={request: (kind, place) for request, place in moves.items()})
    try:
        seen = read_all(server, size=10, workers=workers)
    except PaginationError as error:
        assert "faster" in str(error)  # noqa: PT017
        return
    assert server.original <= set(seen)


@pytest.mark.parametrize("rows", [1, 2, 10, 25])
def test_p8_an_ignored_offset_is_an_error_not_a_loop(rows: int) -> None:
    class Ignoring(Server):
        def answer(self, offset: int, count: int) -> Page:
            del offset
            return super().answer(0, count)

    with pytest.raises(PaginationError, match="rows for every offset"):
        read_all(Ignoring(rows), size=10, workers=2, limit=200)


def test_a_list_of_one_page_takes_three_requests() -> None:
    server = Server(7)
    read_all(server, size=10, workers=4)
    assert server.requests <= 4


def test_speculation_costs_at_most_one_round_of_requests() -> None:
    server = Server(1000)
    read_all(server, size=10, workers=8)
    needed = 1000 / 9
    assert server.requests <= needed + 2 * 8 + 3
