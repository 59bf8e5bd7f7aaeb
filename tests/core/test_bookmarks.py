"""State: what moves a bookmark, what does not, and which states are taken."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typing_extensions import override

from tap_core.errors import ApiError, StateError
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.records.fields import FromContext
from tap_core.session.bookmarks import SAFETY_LAG, Bookmarks, checked_state, shifted
from tap_core.timestamps import text_of
from tests.core.example import Events, ExampleStream, Orders, Outcome, TapExample, run, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.core.conftest import Lists

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
NEWEST = text_of(START - SAFETY_LAG)
OLD = "2024-01-01T00:00:00.000000Z"


class OrdersOnly(TapExample):
    stream_types = (Orders,)


class EventsOnly(TapExample):
    stream_types = (Events,)


def bookmark(value: Any, key: str = "at", **more: Any) -> dict[str, Any]:
    return {"bookmarks": {"orders": {"replication_key": key, "replication_key_value": value, **more}}}


def reads(
    lists: Lists, rows: Sequence[Mapping[str, Any]], state: dict[str, Any] | None = None, **config: Any
) -> Outcome:
    lists.rows["/orders"] = rows
    return run(OrdersOnly, {**lists.config, **config}, state=state)


def ids(outcome: Outcome, stream: str = "orders") -> list[str]:
    return [record["id"] for record in outcome.records(stream)]


# What moves a bookmark


def test_s7_a_record_without_its_key_is_emitted_and_moves_nothing(lists: Lists) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a"},
        {"id": "b", "at": None},
        {"id": "c", "at": "2024-03-01T00:00:00Z"},
        {"id": "d"},
    ]
    outcome = reads(lists, rows, bookmark(OLD))
    assert ids(outcome) == ["a", "b", "c", "d"]
    assert outcome.state["orders"]["replication_key_value"] == "2024-03-01T00:00:00.000000Z"


@pytest.mark.parametrize("state", [None, bookmark(OLD)], ids=["S7-first-run", "S7-later-run"])
def test_s7_records_without_keys_alone_leave_the_bookmark_where_it_is(
    lists: Lists, state: dict[str, Any] | None
) -> None:
    outcome = reads(lists, [{"id": "a"}, {"id": "b", "at": None}], state, client_filter=True)
    assert ids(outcome) == ["a", "b"]
    assert outcome.state == ({} if state is None else state["bookmarks"])


def test_s5_s8_the_latest_instant_counts_whatever_its_text_looks_like(lists: Lists) -> None:
    times = [
        "2024-03-01T00:00:00.500Z",
        "2024-03-01T00:00:00Z",
        "2024-03-01T09:00:00+09:00",
        "2024-02-29T23:59:59-01:00",
    ]
    outcome = reads(lists, [{"id": str(number), "at": time} for number, time in enumerate(times)])
    assert outcome.state["orders"]["replication_key_value"] == "2024-03-01T00:59:59.000000Z"


def test_s9_a_record_from_the_future_carries_the_bookmark_no_further_than_the_run(lists: Lists) -> None:
    outcome = reads(lists, [{"id": "a", "at": "2031-01-01T00:00:00Z"}])
    assert outcome.state["orders"]["replication_key_value"] == text_of(outcome.tap.session.started - SAFETY_LAG)


def test_s13_no_bookmark_comes_within_five_minutes_of_the_run(lists: Lists) -> None:
    """A record of the last minutes may be seen before another one with an earlier time."""
    before = datetime.now(UTC) - timedelta(minutes=5)
    outcome = reads(lists, [{"id": "a", "at": text_of(before + timedelta(minutes=4))}])
    after = datetime.now(UTC) - timedelta(minutes=5)
    assert text_of(before) <= outcome.state["orders"]["replication_key_value"] <= text_of(after)


def test_s12_an_empty_run_keeps_the_bookmark(lists: Lists) -> None:
    outcome = reads(lists, [], bookmark(OLD))
    assert outcome.state["orders"]["replication_key_value"] == OLD


def test_s12_older_records_move_no_bookmark_back(lists: Lists) -> None:
    outcome = reads(lists, [{"id": "a", "at": "2023-01-01T00:00:00Z"}], bookmark(OLD))
    assert ids(outcome) == ["a"]
    assert outcome.state["orders"]["replication_key_value"] == OLD


instants = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(text_of)  # noqa: DTZ001


@hypothesis_settings(max_examples=30)
@given(values=st.lists(instants | st.none(), max_size=6))
def test_s5_a_bookmark_is_the_latest_value_within_the_run(values: list[str | None]) -> None:
    state: dict[str, Any] = {}
    marks = Bookmarks(state, START)
    for value in values:
        marks.advance("orders", "at", value)
    given_values = [min(value, NEWEST) for value in values if value is not None]
    assert marks.value("orders", "at") == max(given_values, default=None)
    assert Bookmarks(state, START).value("orders", "at") == marks.value("orders", "at")


# Where reading goes on

DAYS = [{"id": str(day), "at": f"2024-03-{day:02}T00:00:00Z"} for day in range(1, 11)]


def events(lists: Lists, **config: Any) -> list[str]:
    lists.rows["/events"] = DAYS
    state = {"bookmarks": {"events": bookmark("2024-03-08T00:00:00Z")["bookmarks"]["orders"]}}
    return ids(run(EventsOnly, {**lists.config, **config}, state=state), "events")


def test_s6_a_filter_keeps_what_equals_the_bookmark(lists: Lists) -> None:
    assert events(lists) == ["8", "9", "10"]


class Ticks(Events):
    """Pages of three events each, all at one moment."""

    pages: ClassVar[int] = 3
    broken: ClassVar[bool] = False

    @override
    def slices(self) -> Iterator[Slice]:
        for number in range(self.pages):
            yield Slice({"page": number}, last=number == self.pages - 1)

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        number = part.partition["page"]
        if self.broken and number:
            raise ApiError("events: no more for now")
        return Page([msgspec.Raw(b'{"id":"%d-%d","at":"2024-03-08T00:00:00Z"}' % (number, row)) for row in range(3)])


class TicksOnly(TapExample):
    stream_types = (Ticks,)


def test_s6_equal_times_over_several_pages_are_all_read_after_a_failure_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = {"api_key": "key-1234"}
    monkeypatch.setattr(Ticks, "broken", True)
    failed = run(TicksOnly, config)
    assert failed.error is not None
    assert len(ids(failed, "events")) == 3
    assert failed.state == {}
    monkeypatch.setattr(Ticks, "broken", False)
    whole = run(TicksOnly, config, state={"bookmarks": failed.state})
    assert len(set(ids(whole, "events"))) == 9
    monkeypatch.setattr(Ticks, "pages", 4)  # three more at the very moment of the bookmark
    later = run(TicksOnly, config, state={"bookmarks": whole.state})
    assert len(set(ids(later, "events"))) == 12


def test_s13_a_lookback_reads_late_changes(lists: Lists) -> None:
    assert events(lists, lookback_days=1.5) == ["7", "8", "9", "10"]
    assert events(lists, lookback_days=36_500) == [row["id"] for row in DAYS]


def test_client_filter_can_be_switched_off_where_nothing_changes(lists: Lists) -> None:
    assert events(lists, client_filter=False) == [row["id"] for row in DAYS]


def test_client_filter_is_off_where_a_change_may_leave_the_marker_still(lists: Lists) -> None:
    state = bookmark("2024-03-08T00:00:00Z")
    assert ids(reads(lists, DAYS, state)) == [row["id"] for row in DAYS]
    assert ids(reads(lists, DAYS, state, client_filter=True)) == ["8", "9", "10"]


def test_a_first_run_filters_by_start_and_end(lists: Lists) -> None:
    config: dict[str, Any] = {"client_filter": True, "start_date": "2024-03-03", "end_date": "2024-03-05"}
    assert ids(reads(lists, DAYS, **config)) == ["3", "4"]


def test_shifting_stays_within_the_calendar() -> None:
    assert shifted("0001-01-02T00:00:00.000000Z", timedelta(days=-5)) == "0001-01-01T00:00:00.000000Z"
    assert shifted(OLD, timedelta(hours=-1)) == "2023-12-31T23:00:00.000000Z"


# Which states are taken


def test_s10_a_bookmark_from_the_year_2999_is_pulled_back_and_told_once(
    lists: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        outcome = reads(lists, DAYS, bookmark("2999-01-01T00:00:00Z"), client_filter=True)
    assert ids(outcome) == []
    assert outcome.state["orders"]["replication_key_value"] == text_of(outcome.tap.session.started - SAFETY_LAG)
    assert caplog.text.count("is in the future") == 1


def test_s10_a_bookmark_on_another_key_means_reading_anew_and_is_told_once(
    lists: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        outcome = reads(lists, DAYS, bookmark("2024-03-08T00:00:00Z", key="updated"), client_filter=True)
    assert ids(outcome) == [row["id"] for row in DAYS]
    assert outcome.state["orders"]["replication_key"] == "at"
    assert outcome.state["orders"]["replication_key_value"] == "2024-03-10T00:00:00.000000Z"
    assert caplog.text.count("is on updated, not on at") == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "2024-03-08",
        "2024-03-08T00:00:00",
        "2024-13-01T00:00:00Z",
        1709251200,
        1.5,
        True,
        ["2024"],
        {"a": 1},
    ],
    ids=lambda value: f"S10-{value!r}",
)
def test_s10_a_bookmark_that_is_no_time_ends_the_run_before_it_begins(lists: Lists, value: Any) -> None:
    error = reads(lists, DAYS, bookmark(value)).error
    assert isinstance(error, StateError)
    assert "bookmark of stream 'orders' is not a date-time" in str(error)
    assert error.exit_code == 2
    assert not lists.server.seen


@pytest.mark.parametrize(
    "state",
    [
        pytest.param([], id="S10-list"),
        pytest.param("{}", id="S10-text"),
        pytest.param({"type": "STATE", "value": {"bookmarks": {}}}, id="S10-message"),
        pytest.param({"bookmarks": None}, id="S10-null"),
        pytest.param({"bookmarks": []}, id="S10-bookmarks-list"),
        pytest.param({"bookmarks": "x"}, id="S10-bookmarks-text"),
        pytest.param({"bookmarks": {"orders": None}}, id="S10-entry-null"),
        pytest.param({"bookmarks": {"orders": OLD}}, id="S10-entry-text"),
        pytest.param({"bookmarks": {"orders": [OLD]}}, id="S10-entry-list"),
    ],
)
def test_s10_a_state_of_another_form_is_refused(state: Any) -> None:
    with pytest.raises(StateError, match="the state"):
        checked_state(state)


def test_s10_a_malformed_entry_of_one_stream_ends_the_run_before_any_other_is_read(lists: Lists) -> None:
    state = {"bookmarks": {"events": {"replication_key": "at", "replication_key_value": "soon"}}}
    outcome = run(TapExample, lists.config, state=state)
    assert isinstance(outcome.error, StateError)
    assert outcome.output == b""
    assert not lists.server.seen


def test_s10_streams_that_the_tap_does_not_know_stay_in_the_state(
    lists: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"replication_key": "x", "replication_key_value": "anything", "more": [1]}
    with caplog.at_level(logging.WARNING):
        outcome = reads(lists, DAYS, {"bookmarks": {**bookmark(OLD)["bookmarks"], "gone": entry}})
    assert outcome.state["gone"] == entry
    assert "'gone', which is not a stream of this tap" in caplog.text


SDK_ENTRIES: dict[str, dict[str, Any]] = {
    "S10-progress-markers": {
        "progress_markers": {"Note": "…", "replication_key": "at", "replication_key_value": "2024-03-09T00:00:00Z"},
        "starting_replication_value": None,
    },
    "S10-partitions": {"partitions": [{"context": {"parent": 1}, "replication_key_value": "2024-03-09T00:00:00Z"}]},
    "S10-empty-entry": {},
    "S10-null-value": {"replication_key": "at", "replication_key_value": None},
}


@pytest.mark.parametrize("entry", SDK_ENTRIES.values(), ids=SDK_ENTRIES.keys())
def test_s10_what_other_versions_left_unfinished_means_reading_anew(lists: Lists, entry: dict[str, Any]) -> None:
    outcome = reads(lists, DAYS, {"bookmarks": {"orders": entry}}, client_filter=True)
    assert outcome.error is None
    assert ids(outcome) == [row["id"] for row in DAYS]
    assert outcome.state["orders"]["replication_key_value"] == "2024-03-10T00:00:00.000000Z"


def test_s10_a_bookmark_with_progress_markers_counts_without_them(lists: Lists) -> None:
    state = bookmark("2024-03-08T02:00:00+02:00", progress_markers={"replication_key_value": "2024-03-09T00:00:00Z"})
    assert ids(reads(lists, DAYS, state, client_filter=True)) == ["8", "9", "10"]


def hold(held: dict[str, dict[str, Any]], lines: Sequence[bytes]) -> dict[str, Any]:
    """Load messages as a target does; returns the last state."""
    state: dict[str, Any] = {}
    for message in map(json.loads, lines):
        rows = held.setdefault(message.get("stream", ""), {})
        if message["type"] == "RECORD":
            rows["/".join(str(message["record"].get(key)) for key in ("id", "order_id", "_position"))] = message
        elif message["type"] == "ACTIVATE_VERSION":
            gone = [key for key, row in rows.items() if row.get("version") != message["version"]]
            for key in gone:
                del rows[key]
        elif message["type"] == "STATE":
            state = message["value"]
    return state


def test_s1_a_run_that_ends_behind_any_line_and_another_run_are_exact(lists: Lists) -> None:
    rows = [{"id": f"{day}", "at": f"2024-03-0{day}T00:00:00Z"} for day in (3, 1, 4, 7, 5, 9, 2, 6)]
    orders: list[dict[str, Any]] = [{**row, "name": "old", "parts": [{"sku": "x"}]} for row in rows]
    before: dict[str, Sequence[Any]] = {
        "/orders": orders,
        "/events": rows,
        "/places": [{"id": "a"}, {"id": "b"}],
    }
    after: dict[str, Sequence[Any]] = {
        "/orders": [{**orders[1], "name": "new", "parts": []}, *orders[2:], {"id": "late"}],
        "/events": [*rows, {"id": "new", "at": "2024-03-09T00:00:00Z"}],
        "/places": [{"id": "b"}, {"id": "c"}],
    }
    lists.rows |= before
    lines = run(TapExample, lists.config).output.splitlines()
    lists.rows |= after
    truth = {
        path[1:]: [{**row, "at": row["at"].replace("Z", ".000000Z")} if "at" in row else row for row in found]
        for path, found in after.items()
    }
    truth["parts"] = [
        {"order_id": order["id"], "_position": 1, "sku": "x"} for order in after["/orders"] if order.get("parts")
    ]
    for end in range(len(lines) + 1):
        held: dict[str, dict[str, Any]] = {}
        state = hold(held, lines[:end])
        hold(held, run(TapExample, lists.config, state=state).output.splitlines())
        for stream, wanted in truth.items():
            found = [row["record"] for row in held[stream].values()]
            assert [row for row in wanted if row not in found] == [], (stream, end)
            assert stream == "orders" or [row for row in found if row not in wanted] == [], (stream, end)


def test_s11_two_full_runs_are_equal(lists: Lists) -> None:
    first, second = reads(lists, DAYS), reads(lists, DAYS)
    assert first.records("orders") == second.records("orders")
    assert first.state == second.state


# Size


class Children(ExampleStream):
    """One list for each of many parents."""

    name = "orders"
    path = "/parents/{parent}"
    replication_key = "at"
    primary_keys = ("parent", "id")
    fields = (FromContext(("parent",)),)
    parents: ClassVar[int] = 0

    @override
    def declared_schema(self) -> dict[str, Any]:
        return schema(parent={"type": "integer"}, at={"type": ["string", "null"], "format": "date-time"})

    @override
    def slices(self) -> Iterator[Slice]:
        for number in range(self.parents):
            yield Slice({"parent": number}, last=number == self.parents - 1)

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        return Page([msgspec.Raw(b'{"id":"a","at":"2024-03-01T00:00:00Z"}')])


class TapChildren(TapExample):
    stream_types = (Children,)


def test_s14_five_thousand_parents_make_a_small_state_and_output_in_proportion() -> None:
    sizes = []
    for count in (500, 5000):
        Children.parents = count
        outcome = run(TapChildren, {"api_key": "key-1234"})
        assert len(outcome.records("orders")) == count
        assert max(len(msgspec.json.encode(state)) for state in outcome.of("STATE")) < 300
        sizes.append(len(outcome.output))
    assert sizes[1] < 11 * sizes[0]
