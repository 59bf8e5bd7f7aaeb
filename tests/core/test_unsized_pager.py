"""Pages by number where the server tells neither their length nor their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from tap_core.reading.pages import Page, Pager
from tap_core.reading.unsized import BurstPager, UnsizedPager

LENGTH = 3
Server = Callable[[int], list[int]]


def pages(rows: int) -> list[list[int]]:
    return [list(range(rows))[start : start + LENGTH] for start in range(0, rows, LENGTH)]


def from_zero(rows: int) -> Server:
    found = pages(rows)
    return lambda page: found[page] if page < len(found) else []


def from_one(rows: int) -> Server:
    inner = from_zero(rows)
    return lambda page: inner(page - 1) if page else []


def alike(rows: int) -> Server:
    inner = from_zero(rows)
    return lambda page: inner(max(0, page - 1))


def last_again(rows: int) -> Server:
    found = pages(rows)
    return lambda page: found[min(page, len(found) - 1)] if found else []


def page_ignored(rows: int) -> Server:
    return lambda _page: pages(rows)[0] if rows else []


def over(pager: Pager) -> bool:
    return pager.done


def read(server: Server, pager: Pager, workers: int = 1, *, backwards: bool = False) -> tuple[list[int], int]:
    """All rows as they came, and the number of requests; on request, later pages are served first."""
    seen: list[int] = []
    requests = 0
    flight: deque[int] = deque()
    while not over(pager):
        while len(flight) < workers and (token := pager.next()) is not None:
            flight.append(token)
            requests += 1
            assert requests < 1_000, "it never ends"
        served = {place: server(flight[place]) for place in sorted(range(len(flight)), reverse=backwards)}
        for place, token in enumerate(list(flight)):
            taken = pager.take(token, Page([msgspec.Raw(str(row).encode()) for row in served[place]]))
            seen += [int(bytes(row)) for row in taken.rows]
            if over(pager):
                break
        flight.clear()
    return seen, requests


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 9, 300])
@pytest.mark.parametrize("server", [from_zero, from_one, alike, last_again])
@pytest.mark.parametrize("workers", [1, 4])
def test_every_row_once_however_the_server_counts(server: Callable[[int], Server], rows: int, workers: int) -> None:
    pager = UnsizedPager() if workers == 1 else BurstPager(UnsizedPager())
    assert read(server(rows), pager, workers, backwards=True)[0] == list(range(rows))


class Growing:
    """A list, newest first, at whose head a row arrives after each so many requests."""

    length = 20

    def __init__(self, rows: int, every: int) -> None:
        self.rows = list(range(rows))
        self.every = every
        self.served = 0

    def __call__(self, page: int) -> list[int]:
        self.served += 1
        if self.served % self.every == 0:
            self.rows.insert(0, min(self.rows) - 1)
        return self.rows[page * self.length : (page + 1) * self.length]


@pytest.mark.parametrize("every", [1, 2, 7, 40, 150])
@pytest.mark.parametrize("workers", [1, 4, 8])
def test_p3_nothing_is_lost_where_rows_arrive_while_pages_overtake_each_other(every: int, workers: int) -> None:
    rows = 4_000
    seen, requests = read(Growing(rows, every), BurstPager(UnsizedPager()), workers, backwards=True)
    assert set(range(rows)) <= set(seen)
    assert requests < 5 * rows / Growing.length


def test_a_burst_costs_one_request_more_and_few_behind_the_end() -> None:
    pages_read = 200
    _, requests = read(from_zero(pages_read * LENGTH), BurstPager(UnsizedPager()), 8)
    assert requests <= pages_read + pages_read / BurstPager.LENGTH + 8 + 1
    assert read(from_zero(2), BurstPager(UnsizedPager()), 8)[1] <= 1 + 8 + 1


def test_p8_a_burst_of_pages_that_are_all_the_same_ends_soon() -> None:
    told: list[bool] = []
    seen, requests = read(page_ignored(7), BurstPager(UnsizedPager(same=lambda: told.append(True))), 4)
    assert (seen, told) == ([0, 1, 2], [True])
    assert requests < 10


def test_pages_that_never_look_the_same_are_read_one_by_one() -> None:
    served: list[int] = []

    def server(page: int) -> list[int]:
        served.append(page)
        return [page * 1_000_000 + len(served)] if page < 100 else []

    seen, requests = read(server, BurstPager(UnsizedPager()), 8)
    assert [row // 1_000_000 for row in seen] == list(range(100))
    assert requests < 100 + (BurstPager.PATIENCE + 1) * (BurstPager.LENGTH + 2)


@pytest.mark.parametrize("server", [from_one, alike])
def test_the_first_page_can_be_one(server: Callable[[int], Server]) -> None:
    assert read(server(7), UnsizedPager(first=1)) == (list(range(7)), 4)


def test_p8_a_server_that_ignores_the_page_ends() -> None:
    told: list[bool] = []
    assert read(page_ignored(7), UnsizedPager(same=lambda: told.append(True))) == ([0, 1, 2], 3)
    assert told


def test_p2_pages_in_a_circle_end() -> None:
    assert read(lambda page: [page % 2], UnsizedPager())[0] == [0, 1]


def test_p3_a_whole_page_that_moves_on_ends_nothing() -> None:
    served: list[int] = []

    def server(page: int) -> list[int]:
        served.append(page)
        rows = list(range(-LENGTH, 9)) if len(served) > 1 else list(range(9))
        return rows[page * LENGTH : (page + 1) * LENGTH]

    assert read(server, UnsizedPager())[0] == list(range(9))


def test_one_request_behind_the_end_where_pages_come_one_by_one() -> None:
    assert read(from_zero(7), UnsizedPager())[1] == 4
