"""Rows that overlapping windows repeat are emitted once, in memory that two windows bound."""

from __future__ import annotations

import msgspec
import pytest

from tap_core.reading.fetch import Arrival, Slice
from tap_core.reading.repeats import without_repeats
from tap_core.records.masks import MaskedUrl
from tap_core.records.policy import Policy
from tap_core.records.slow_path import DictAccess


def arrival(window: int | None, *rows: int, who: str = "a") -> Arrival:
    return Arrival(Slice({"who": who}, window), [msgspec.Raw(str(row).encode()) for row in rows])


def emitted(*arrivals: Arrival) -> list[list[int]]:
    found = without_repeats(
        arrivals, partition=lambda part: part.partition["who"], row_keys=lambda rows: list(map(bytes, rows))
    )
    return [[int(bytes(row)) for row in item.rows] for item in found]


def test_rows_of_the_window_before_are_dropped() -> None:
    assert emitted(arrival(1, 1, 2), arrival(2, 2, 3), arrival(3, 3, 4)) == [[1, 2], [3], [4]]


def test_rows_that_every_window_repeats_are_dropped_each_time() -> None:
    assert emitted(*(arrival(window, 1, 2) for window in range(4))) == [[1, 2], [], [], []]


def test_a_row_twice_in_one_window_is_emitted_once() -> None:
    assert emitted(arrival(1, 1, 1), arrival(1, 1, 2)) == [[1], [2]]
    assert emitted(arrival(1, 1), arrival(2, 1, 2, 2)) == [[1], [2]]
    assert emitted(arrival(None, 7), arrival(1, 7, 8, 8)) == [[7], [8]]


def test_rows_read_without_a_window_are_remembered_to_the_end() -> None:
    assert emitted(arrival(None, 7), arrival(None, 7), *(arrival(window, window, 7) for window in range(3))) == [
        [7],
        [],
        [0],
        [1],
        [2],
    ]


def test_partitions_do_not_mix() -> None:
    assert emitted(arrival(1, 1), arrival(1, 1, who="b"), arrival(2, 1), arrival(2, 1, who="b")) == [[1], [1], [], []]


def test_ends_of_slices_pass() -> None:
    end = Arrival(Slice({"who": "a"}, 1), done=True)
    assert list(
        without_repeats(
            [end], partition=lambda part: part.partition["who"], row_keys=lambda rows: list(map(bytes, rows))
        )
    ) == [end]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@example.com/h?x=1", "https://***@example.com/h?x=1"),
        ("https://user@example.com", "https://***@example.com"),
        ("https://u:p@ss@example.com/", "https://***@example.com/"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("https://example.com?mail=a@b.example", "https://example.com?mail=a@b.example"),
        ("someone@example.com", "someone@example.com"),
        (None, None),
    ],
)
def test_user_and_password_of_a_url_are_masked(url: str | None, shown: str | None) -> None:
    row = {"url": url}
    MaskedUrl("url").bind(DictAccess(), Policy())((row,), {})
    assert row == {"url": shown}


def test_a_url_stays_where_secrets_are_not_masked() -> None:
    row = {"url": "https://user:pass@example.com"}
    MaskedUrl("url").bind(DictAccess(), Policy(mask_secrets=False))((row,), {})
    assert row == {"url": "https://user:pass@example.com"}
