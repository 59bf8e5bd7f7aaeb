"""What the vendors' models are made with: chance, ids, timelines, rows rendered once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant_sandbox.clock import DAY
from merchant_sandbox.dice import Dice, Ids
from merchant_sandbox.rows import LazyRows
from merchant_sandbox.timeline import FIRST_DAY, Timeline, story_time


@given(st.integers(), st.integers(0, 61**5), st.integers(5, 20))
def test_an_id_leads_back_to_its_index(seed: int, index: int, length: int) -> None:
    ids = Ids("in_", seed, length)
    text = ids.encode(index)
    assert len(text) == 3 + length
    assert text.isascii()
    assert ids.decode(text) == index


@pytest.mark.parametrize("text", ["", "in_", "in_0", "ev_00000000000000", "in_0000000000000/", "in_0000000000000é"])
def test_other_text_is_no_id(text: str) -> None:
    assert Ids("in_", 1).decode(text) is None


def test_dice_differ_by_seed_name_and_index() -> None:
    rolls = {Dice(seed, name)(index) for seed in range(20) for name in ("a", "b") for index in range(200)}
    assert len(rolls) == 20 * 2 * 200
    assert abs(sum(roll & 1 for roll in rolls) - 4_000) < 300


@given(st.integers(1, 5_000), st.integers(1, 50), st.integers(0, 20), st.integers(0, 400 * DAY))
def test_a_timeline_never_goes_back_nor_beyond_its_story(base: int, per_tick: int, ticks: int, after: int) -> None:
    timeline = Timeline(base, per_tick, Dice(1, "t"), same=range(base // 2, base // 2 + 30))
    times = [timeline.created(index) for index in range(timeline.count(ticks))]
    assert times == sorted(times)
    assert times[0] == FIRST_DAY
    assert times[-1] < story_time(ticks)
    moment = FIRST_DAY + after
    assert all(time <= moment for time in times[: timeline.count_at(moment)])


def test_rows_are_rendered_once_and_only_when_asked_for() -> None:
    made: list[int] = []

    def render(position: int) -> bytes:
        made.append(position)
        return b"%d" % position

    rows = LazyRows(1_000_000, render)
    assert rows[10:13] == [b"10", b"11", b"12"]
    assert rows[-1] == b"999999"
    assert rows[11:15] == [b"11", b"12", b"13", b"14"]
    assert rows[2_000_000:] == []
    assert made == [10, 11, 12, 999_999, 13, 14]
    with pytest.raises(IndexError):
        rows[1_000_000]
