"""Paging by number against servers that count, cap, ignore and move as they like."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tap_core.errors import PaginationError
from tap_core.reading.numbered import NumberedPager, PageFacts, PageRequest
from tap_core.reading.pages import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.reading.pages import Row

Tells = Literal["totals", "last", "rows", "nothing"]


def number_of(found: msgspec.Raw) -> int:
    return int(msgspec.json.decode(found))


def numbers_of(rows: Sequence[Row]) -> list[int]:
    return list(map(number_of, rows))


@dataclass
class Server:
    """A list of numbers behind pages.

    Args:
        strict: Where pages count from 1, page 0 is an error.
        unnumbered: Rows of the answer to a request that names no page, whatever size it names.
        changes: What happens before a request is answered, by its number: a row comes or goes at a place.
        once: Requests that had been made when a second reading began.
        busiest: The most requests that were on their way at the same time.
    """

    rows: list[int]
    first: int = 0
    tells: Tells = "totals"
    cap: int = 100
    default: int = 20
    ignores_page: bool = False
    ignores_size: bool = False
    numbers: bool = True
    strict: bool = False
    unnumbered: int | None = None
    changes: dict[int, tuple[str, int]] = field(default_factory=dict)
    asked: list[PageRequest] = field(default_factory=list)
    once: int | None = None
    busiest: int = 0

    def __post_init__(self) -> None:
        self.lasting = set(self.rows)

    def answer(self, request: PageRequest) -> Page:
        self.asked.append(request)
        assert request.number is None or request.number >= (self.first if self.strict else 0), "400 Bad Request"
        kind, place = self.changes.get(len(self.asked), ("", 0))
        if kind == "insert":
            self.rows.insert(place % (len(self.rows) + 1), 10_000 + len(self.asked))
        elif kind == "delete" and self.rows:
            self.lasting.discard(self.rows.pop(place % len(self.rows)))
        size = min(self.default if self.ignores_size else request.size, self.cap)
        if request.number is None and self.unnumbered is not None:
            size = self.unnumbered
        position = 0 if request.number is None or self.ignores_page else max(0, request.number - self.first)
        shown = self.rows[position * size : (position + 1) * size]
        pages = -(-len(self.rows) // size)
        number = position if self.numbers else None
        facts = {
            "totals": PageFacts(number, pages, len(self.rows), position + 1 >= pages),
            "last": PageFacts(number, last=position + 1 >= pages),
            "rows": PageFacts(rows=len(self.rows)),
            "nothing": None,
        }
        return Page([msgspec.Raw(b"%d" % row) for row in shown], facts[self.tells])


def read_all(
    server: Server, *, size: int = 10, workers: int = 1, first: int | None = None
) -> tuple[list[int], NumberedPager]:
    """Drive a pager the way the engine does: several pages on their way, looked at in order."""
    pager = NumberedPager(size=size, row_keys=numbers_of, first=first, hint="set page_param")
    flight: deque[tuple[PageRequest, Page]] = deque()
    seen: list[int] = []
    while not pager.done:
        while len(flight) < workers and (token := pager.next()) is not None:
            flight.append((token, server.answer(token)))
        assert flight, "the pager names no page and sees no end"
        server.busiest = max(server.busiest, len(flight))
        token, page = flight.popleft()
        taken = pager.take(token, page)
        seen += map(number_of, taken.rows)
        if taken.restart:
            flight.clear()
            server.once = len(server.asked)
        assert len(server.asked) < 3000
    assert len(seen) == len(set(seen)), "a row came twice"
    return seen, pager


EVERY_KIND = {
    "first": st.sampled_from([0, 1]),
    "tells": st.sampled_from(["totals", "last", "rows", "nothing"]),
    "cap": st.integers(2, 30),
    "numbers": st.booleans(),
    "ignores_size": st.booleans(),
    "default": st.integers(2, 30),
    "strict": st.booleans(),
}


@given(
    server=st.builds(Server, st.integers(0, 250).map(lambda n: list(range(n))), **EVERY_KIND),
    size=st.integers(1, 30),
    workers=st.sampled_from([1, 2, 8]),
)
@settings(max_examples=1500)
def test_p5_p8_every_row_comes_once_and_in_order(server: Server, size: int, workers: int) -> None:
    seen, pager = read_all(server, size=size, workers=workers)
    assert seen == server.rows
    assert pager.missing == 0


@pytest.mark.parametrize("tells", ["totals", "last", "rows", "nothing"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("unnumbered", [3, 7, 20, 75, 100])
@pytest.mark.parametrize("size", [10, 30])
def test_a_call_without_a_page_may_show_more_or_less_than_a_page(
    tells: Tells, first: int, unnumbered: int, size: int
) -> None:
    server = Server(list(range(100)), first=first, tells=tells, strict=True, unnumbered=unnumbered)
    seen, pager = read_all(server, size=size)
    assert sorted(seen) == server.rows
    assert pager.missing == 0


@given(
    server=st.builds(Server, st.integers(0, 250).map(lambda n: list(range(n))), **EVERY_KIND),
    size=st.integers(1, 30),
)
def test_a_first_page_that_is_given_is_believed(server: Server, size: int) -> None:
    seen, _ = read_all(server, size=size, first=server.first)
    assert seen == server.rows
    assert server.asked[0].number == server.first


@pytest.mark.parametrize("tells", ["totals", "last", "rows", "nothing"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("length", [11, 25, 40, 100])
def test_how_pages_count_is_known_after_two_calls(tells: Tells, first: int, length: int) -> None:
    server = Server(list(range(length)), first=first, tells=tells)
    read_all(server)
    assert server.asked[:2] == [PageRequest(None, 10), PageRequest(2, 5)]
    assert server.asked[2] == PageRequest(first + 1, 10)


@pytest.mark.parametrize("tells", ["totals", "rows", "last"])
def test_a_short_list_takes_one_call(tells: Tells) -> None:
    server = Server(list(range(7)), tells=tells, numbers=False)
    assert read_all(server)[0] == server.rows
    assert server.asked == [PageRequest(None, 10)]


@pytest.mark.parametrize(("length", "calls"), [(0, 1), (7, 5), (20, 8), (35, 14)])
def test_a_short_list_of_unknown_length_takes_few_calls_however_many_workers_there_are(length: int, calls: int) -> None:
    server = Server(list(range(length)), tells="nothing")
    assert read_all(server, workers=8)[0] == server.rows
    assert len(server.asked) == calls


def test_a_long_list_of_unknown_length_keeps_all_workers_busy() -> None:
    server = Server(list(range(300)), tells="nothing")
    read_all(server, workers=8)
    assert server.busiest == 8
    assert len(server.asked) < 2 + 2 * (30 + 8)


@pytest.mark.parametrize("tells", ["totals", "last", "rows", "nothing"])
@pytest.mark.parametrize("ignores_size", [True, False])
@pytest.mark.parametrize("first", [None, 0, 1])
@pytest.mark.parametrize("length", [12, 100])
def test_p8_an_ignored_page_number_ends_the_reading(
    tells: Tells, ignores_size: bool, first: int | None, length: int
) -> None:
    server = Server(list(range(length)), tells=tells, ignores_page=True, ignores_size=ignores_size, default=9)
    with pytest.raises(PaginationError, match=r"rows for every page.*set page_param"):
        read_all(server, first=first)
    assert len(server.asked) == (3 if first == 0 else 2)


@pytest.mark.parametrize("first", [0, 1])
def test_p3_how_pages_count_is_known_even_if_a_row_comes_between_the_two_calls(first: int) -> None:
    server = Server(list(range(30)), first=first, cap=2, changes={2: ("insert", 0)})
    seen, pager = read_all(server)
    assert server.lasting <= set(seen)
    assert pager.missing == 0


def test_p8_an_ignored_page_number_that_is_told_back_is_noticed() -> None:
    server = Server(list(range(30)), ignores_page=True)
    same = server.answer
    server.answer = lambda request: (  # type: ignore[method-assign]
        Page(same(request).rows, PageFacts(request.number or 0, last=False))
    )
    with pytest.raises(PaginationError, match="rows for every page"):
        read_all(server)


def test_p8_an_ignored_page_number_is_fine_if_all_rows_came() -> None:
    server = Server(list(range(8)), tells="rows", ignores_page=True, ignores_size=True, default=8)
    assert read_all(server, size=5)[0] == server.rows


changes = st.dictionaries(st.integers(2, 40), st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 300)))


@given(
    server=st.builds(
        Server,
        st.integers(0, 250).map(lambda n: list(range(n))),
        first=EVERY_KIND["first"],
        cap=EVERY_KIND["cap"],
        tells=EVERY_KIND["tells"],
        changes=changes,
    ),
    size=st.integers(4, 30),
    workers=st.sampled_from([1, 8]),
)
@settings(max_examples=1500)
def test_p3_p7_a_lasting_row_is_lost_only_if_rows_move_in_both_readings(
    server: Server, size: int, workers: int
) -> None:
    moved = dict(server.changes)
    try:
        seen, pager = read_all(server, size=size, workers=workers)
    except PaginationError:
        assert moved
        return
    lost = server.lasting - set(seen)
    inserted = any(kind == "insert" for kind, _ in moved.values())
    assert not lost or (server.once is not None and max(moved) > server.once)
    assert not lost or pager.missing or inserted or server.tells in {"last", "nothing"}


@pytest.mark.parametrize("tells", ["totals", "last", "rows", "nothing"])
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("request_number", range(2, 12))
@pytest.mark.parametrize("kind", ["insert", "delete"])
@pytest.mark.parametrize("place", [0, 15, 45, 99])
def test_p3_one_change_between_pages_loses_nothing(
    tells: Tells, workers: int, request_number: int, kind: str, place: int
) -> None:
    server = Server(list(range(100)), tells=tells, changes={request_number: (kind, place)})
    seen, pager = read_all(server, workers=workers)
    assert server.lasting <= set(seen)
    assert pager.missing == 0


@pytest.mark.parametrize("later", [1, 4])
def test_p3_a_row_that_comes_does_not_hide_one_that_went(later: int) -> None:
    server = Server(list(range(100)), changes={5: ("delete", 0), 5 + later: ("insert", 99)})
    seen, _ = read_all(server)
    assert server.lasting <= set(seen)


@pytest.mark.parametrize("tells", ["last", "nothing"])
def test_a_list_without_a_total_is_read_twice(tells: Tells) -> None:
    server = Server(list(range(35)), tells=tells)
    read_all(server)
    numbers = [request.number for request in server.asked]
    rest = [1, 2, 3] if tells == "last" else [1, 2, 3, 4]
    assert numbers == [None, 2, *rest, 0, *rest]


def test_a_second_reading_counts_as_the_first_one_did() -> None:
    server = Server(list(range(200)), ignores_size=True, default=20, changes={4: ("delete", 0)})
    seen, pager = read_all(server, size=10)
    assert server.lasting <= set(seen)
    assert pager.missing == 0


def test_p3_a_deletion_in_both_readings_is_reported() -> None:
    server = Server(list(range(100)), changes={5: ("delete", 0), 16: ("delete", 0)})
    seen, pager = read_all(server)
    assert pager.missing == 1
    assert len(server.lasting - set(seen)) <= 1


def test_p4_a_list_that_holds_a_row_twice_is_complete() -> None:
    server = Server([*range(50), *range(30, 50), *range(100, 130)])
    seen, pager = read_all(server)
    assert sorted(seen) == [*range(50), *range(100, 130)]
    assert pager.missing == 0


def test_p1_an_empty_page_in_the_middle_is_not_the_end() -> None:
    server = Server(list(range(100)))
    whole = server.answer
    server.answer = lambda request: (  # type: ignore[method-assign]
        Page([], whole(request).meta) if len(server.asked) == 4 else whole(request)
    )
    seen, pager = read_all(server)
    assert sorted(seen) == server.rows
    assert pager.missing == 0


@pytest.mark.parametrize("workers", [1, 8])
def test_a_list_that_goes_on_behind_its_total_is_read_to_its_end(workers: int) -> None:
    """Servers count up to a limit only."""
    server = Server(list(range(100)))
    whole = server.answer

    def answer(request: PageRequest) -> Page:
        page = whole(request)
        return Page(page.rows, replace(page.meta, rows=50, pages=5))

    server.answer = answer  # type: ignore[method-assign]
    seen, pager = read_all(server, workers=workers)
    assert sorted(seen) == server.rows
    assert pager.missing == 0


@pytest.mark.parametrize("tells", ["last", "nothing"])
def test_p2_a_list_that_repeats_its_last_page_for_ever_ends(tells: Tells) -> None:
    server = Server(list(range(35)), tells=tells)
    whole = server.answer
    server.answer = lambda request: (  # type: ignore[method-assign]
        Page(
            whole(request._replace(number=min(request.number or 0, 3))).rows,
            None if tells == "nothing" else PageFacts(last=False),
        )
    )
    if tells == "nothing":
        assert read_all(server)[0] == server.rows
    else:
        with pytest.raises(PaginationError, match="show nothing new"):
            read_all(server)
