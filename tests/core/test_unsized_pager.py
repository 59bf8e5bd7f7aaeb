"""Pages by number where the server tells neither their length nor their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from tap_core.pagers import Page, UnsizedPager

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


def read(server: Server, pager: UnsizedPager, workers: int = 1) -> tuple[list[int], int]:
    seen: list[int] = []
    requests = 0
    flight: deque[tuple[int, list[int]]] = deque()
    while not pager.done:
        while len(flight) < workers and (token := pager.next()) is not None:
            flight.append((token, server(token)))
            requests += 1
            assert requests < 100, "it never ends"
        token, rows = flight.popleft()
        taken = pager.take(token, Page([msgspec.Raw(str(row).encode()) for row in rows]))
        seen += [int(bytes(row)) for row in taken.rows]
    return seen, requests


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("server", [from_zero, from_one, alike, last_again])
@pytest.mark.parametrize("workers", [1, 4])
def test_every_row_once_however_the_server_counts(server: Callable[[int], Server], rows: int, workers: int) -> None:
    assert read(server(rows), UnsizedPager(ahead=workers > 1), workers)[0] == list(range(rows))


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
