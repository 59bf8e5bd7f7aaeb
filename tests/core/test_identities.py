"""Which rows have been seen: exactly for a short list, and without ever losing a row for a long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core.reading.identities import FEW, Identities

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

keys = st.one_of(st.text(max_size=3), st.integers(0, 5), st.tuples(st.text(max_size=1), st.integers(0, 2)))


@given(st.lists(st.lists(keys, max_size=6), max_size=6))
def test_a_short_list_is_known_exactly(pages: list[list[str | int]]) -> None:
    seen, known = set(), Identities()
    for page in pages:
        expected = []
        for key in page:
            expected.append(key not in seen)
            seen.add(key)
        assert known.add(page) == expected
        assert len(known) == len(seen)


@pytest.fixture(scope="module")
def long() -> Identities:
    known = Identities()
    for first in range(0, 2 * FEW, 100):
        assert all(known.add([f"row {number}" for number in range(first, first + 100)]))
    return known


ORDERS: dict[str, Callable[[int], Hashable]] = {
    "ascending": lambda number: f"row {number:09}",
    "descending": lambda number: -number,
    "of two parts": lambda number: ("Madrid", number),
}


@pytest.mark.parametrize("order", ORDERS)
def test_rows_of_a_sorted_list_are_known_too(order: str) -> None:
    key, known = ORDERS[order], Identities()
    for first in range(0, 2 * FEW, 128):
        assert all(known.add([key(number) for number in range(first, first + 128)]))
    assert known.add([]) == []
    assert known.add([key(2 * FEW), key(2 * FEW), key(2 * FEW + 1), key(2 * FEW)]) == [True, False, True, False]
    assert known.add([key(3), key(2 * FEW + 9), key(FEW + 5)]) == [False, True, False]
    assert known.add([key(2 * FEW - 1), key(2 * FEW), key(5 * FEW)]) == [False, False, True]
    assert len(known) == 2 * FEW + 4


def test_rows_of_a_long_list_without_an_order_are_known_too() -> None:
    known = Identities()
    for first in range(0, 2 * FEW, 128):
        assert all(known.add([number if number % 2 else f"row {number}" for number in range(first, first + 128)]))
    assert known.add([1, "row 0", "new"]) == [False, False, True]


def test_rows_of_a_long_list_are_known_whenever_they_came(long: Identities) -> None:
    for first in (0, FEW - 3, FEW + 50, 2 * FEW - 90):
        assert long.add([f"row {first}", f"row {first + 1}", f"new {first}"]) == [False, False, True]
        assert long.add([f"new {first}", f"row {first}"]) == [False, False]


def test_a_single_row_that_seems_known_comes_again(long: Identities) -> None:
    before = len(long)
    assert long.add(["row 7", "another", "and another"]) == [True, True, True]
    assert long.add(["row 7", "row 7"]) == [False, False]
    assert len(long) == before + 2
