"""Slices that are read side by side arrive whole and in order."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from tap_core.reading.fetch import BUFFERED, Reading, Slice
from tap_core.reading.pages import Page
from tap_core.reading.unsized import UnsizedPager
from tap_core.workers import Workers

PAGES = 12
SLICES = 9
PATIENCE_S = 20


def page_of(part: Slice, page: int) -> Page:
    return Page([msgspec.Raw(b'"%d-%d"' % (part.partition["number"], page))] if page < PAGES else [])


def slices() -> list[Slice]:
    return [Slice({"number": number}) for number in range(SLICES)]


EVERYTHING = [f"{number}-{page}" for number in range(SLICES) for page in range(PAGES)]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_long_slices_whose_pages_must_come_one_by_one(workers: int) -> None:
    arrivals = Reading(slices(), pager=lambda _part: UnsizedPager(), load=page_of, workers=Workers(workers)).arrivals()
    assert [msgspec.json.decode(row) for arrival in arrivals for row in arrival.rows] == EVERYTHING


def test_a_slice_whose_turn_comes_while_all_workers_are_busy_with_later_ones() -> None:
    buffered, drained = threading.Event(), threading.Event()
    loaded: list[int] = []

    def load(part: Slice, page: Any) -> Page:
        number = part.partition["number"]
        if number == 0:
            assert buffered.wait(PATIENCE_S)
        elif number > 1:
            assert drained.wait(PATIENCE_S)
        else:
            loaded.append(page)
            if len(loaded) == BUFFERED:
                buffered.set()
        return page_of(part, page)

    found = []
    for arrival in Reading(slices(), pager=lambda _part: UnsizedPager(), load=load, workers=Workers(2)).arrivals():
        for row in arrival.rows:
            found.append(msgspec.json.decode(row))
            if found[-1] == f"1-{BUFFERED - 1}":
                drained.set()
    assert found == EVERYTHING
