"""The grid: no gap, no overlap, and the same cells whenever a run starts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core.reading.windows import EPOCH, DateWindow, Grid, SteppedGrid, Window, date_windows

moments = st.datetimes(datetime(1960, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lengths = st.sampled_from([timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7)])
spans = st.timedeltas(timedelta(0), timedelta(days=60))
dates = st.dates(date(2000, 1, 1), date(2050, 1, 1))

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
DAY, WEEK = Grid(timedelta(days=1)), Grid(timedelta(days=7))
MOMENT = timedelta.resolution


def cell_of(grid: Grid, moment: datetime) -> Window:
    """The cell in which a moment lies."""
    (cell,) = grid.cells(moment, moment + MOMENT)
    return cell


def assert_seamless(cells: list[Window]) -> None:
    assert all(before.end == after.start for before, after in pairwise(cells))


@given(moments, lengths)
def test_every_moment_lies_in_exactly_one_cell_of_the_grid(moment: datetime, length: timedelta) -> None:
    cell = cell_of(Grid(length), moment)
    assert cell.start <= moment < cell.end
    assert cell.end - cell.start == length
    assert (cell.start - EPOCH) % length == timedelta(0)


@given(moments, spans, lengths)
def test_cells_cover_a_span_without_gap_or_overlap(start: datetime, span: timedelta, length: timedelta) -> None:
    grid = Grid(length)
    cells = list(grid.cells(start, start + span))
    assert_seamless(cells)
    if span:
        assert cells[0] == cell_of(grid, start)
        assert cells[-1].start < start + span <= cells[-1].end
    else:
        assert cells == []


@given(moments, spans, spans, lengths)
def test_s13_a_run_reads_from_the_lookback_to_the_running_cell(
    bookmark: datetime, lookback: timedelta, since: timedelta, length: timedelta
) -> None:
    grid, now = Grid(length), bookmark + since
    cells = list(grid.cells(bookmark - lookback, now + MOMENT))
    assert_seamless(cells)
    assert cells[0] == cell_of(grid, bookmark - lookback)
    assert cells[-1] == cell_of(grid, now)
    assert [cell.end > now for cell in cells] == [False] * (len(cells) - 1) + [True]


@given(moments, spans, spans, lengths)
def test_cells_do_not_depend_on_when_a_run_starts(
    start: datetime, early: timedelta, later: timedelta, length: timedelta
) -> None:
    grid = Grid(length)
    first = list(grid.cells(start, start + early))
    second = list(grid.cells(start, start + early + later))
    assert second[: len(first)] == first


@given(moments, spans, spans, spans)
def test_backfill_and_daily_cells_meet_at_the_boundary_and_never_mix(
    start: datetime, since: timedelta, lookback: timedelta, later: timedelta
) -> None:
    now = start + since
    grid = SteppedGrid.first_run(WEEK, DAY, lookback, now)
    first = list(grid.cells(start, now + MOMENT))
    assert_seamless(first)
    assert {cell.end - cell.start for cell in first if cell.start < grid.boundary} <= {WEEK.length}
    assert {cell.end - cell.start for cell in first if cell.start >= grid.boundary} == {DAY.length}
    # A later run, with whatever lookback, reads cells that the first run has read, or new ones after them.
    second = list(grid.cells(first[-1].start - lookback, now + later + MOMENT))
    assert_seamless(second)
    old = [cell for cell in second if first[0].start <= cell.start <= first[-1].start]
    assert old == [cell for cell in first if cell.start >= second[0].start]


def test_the_lookback_of_later_runs_stays_within_daily_cells() -> None:
    lookback = timedelta(days=2)
    grid = SteppedGrid.first_run(WEEK, DAY, lookback, NOON)
    cells = list(grid.cells(DAY.floor(NOON) - lookback, NOON))
    assert {cell.end - cell.start for cell in cells} == {DAY.length}


@pytest.mark.parametrize("hours", [5, 24 * 8])
def test_a_boundary_or_length_that_does_not_fit_is_refused(hours: int) -> None:
    with pytest.raises(ValueError, match="multiple"):
        SteppedGrid(WEEK, Grid(timedelta(hours=hours)), WEEK.floor(NOON))
    with pytest.raises(ValueError, match="boundary"):
        SteppedGrid(WEEK, DAY, NOON)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=-1), timedelta(seconds=1.5)])
def test_a_length_that_is_no_whole_number_of_seconds_is_refused(length: timedelta) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Grid(length)


def test_a_window_has_the_engines_texts_and_can_be_cut() -> None:
    window = cell_of(DAY, NOON)
    assert (window.start_text, window.end_text) == ("2024-03-10T00:00:00.000000Z", "2024-03-11T00:00:00.000000Z")
    assert window.until(NOON) == Window(window.start, NOON)
    assert window.until(window.start - timedelta(days=1)) == Window(window.start, window.start)
    assert window.until(window.end + timedelta(days=1)) == window


@given(dates, st.integers(-1, 400), st.integers(1, 90))
def test_date_windows_hold_every_day_once_and_are_as_few_as_can_be(first: date, more: int, days: int) -> None:
    last = first + timedelta(days=more)
    windows = list(date_windows(first, last, days))
    covered = [
        window.first + timedelta(days=day) for window in windows for day in range((window.last - window.first).days + 1)
    ]
    assert covered == [first + timedelta(days=day) for day in range(more + 1)]
    assert all((window.last - window.first).days < days for window in windows)
    assert len(windows) == -(-(more + 1) // days)


def test_date_windows_include_both_ends() -> None:
    assert list(date_windows(date(2024, 2, 29), date(2024, 2, 29), 30)) == [
        DateWindow(date(2024, 2, 29), date(2024, 2, 29))
    ]
