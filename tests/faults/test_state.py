"""Bookmarks and states of every tap: what moves them, what they survive, and how a run ends."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import StateError
from tap_core.session.bookmarks import SAFETY_LAG
from tap_core.testing import Run, bookmark_values
from tap_core.timestamps import text_of
from tests.faults.conftest import EARLY
from tests.faults.shop import assert_same, given
from tests.faults.vendors import of
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.shop import Shop

STATES = sorted((Path(__file__).parents[1] / "data/states").glob("*.json"))
RAW: dict[str, Any] = {
    "peakium": 1_767_225_600,
    "peek": "2026-01-01T00:00:00Z",
    "peerassist": "2026-01-01T00:00:00Z",
    "pegke": "2026-01-01T05:30:00+05:30",
}
"""One instant, as the vendors write it."""


def bookmarks(run: Run) -> dict[str, dict[str, Any]]:
    """The bookmarks that a run leaves, of streams that have one."""
    found: dict[str, dict[str, Any]] = run.state.get("bookmarks", {})
    return {stream: entry for stream, entry in found.items() if "replication_key_value" in entry}


@of("S2")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"])
def test_a_signal_ends_a_run_in_order(shop: Shop, number: signal.Signals, code: int) -> None:
    shop.fault("stall", times=None, after=2)
    with (shop.folder / "output").open("w+b") as output:
        process = shop.start(stdout=output)
        while not shop.fired[0]:
            assert process.poll() is None
        process.send_signal(number)
        _, log = process.communicate()
        output.seek(0)
        run = Run(process.returncode, output.read(), log.decode())
    shop.assert_stopped(run, code=code, says="stopped by", stream=None)
    shop.assert_made_up_for(run)


@of("S4")
def test_a_target_that_is_gone_is_one_line(shop: Shop) -> None:
    reading, writing = os.pipe()
    process = shop.start(stdout=writing)
    os.close(reading)
    os.close(writing)
    _, log = process.communicate()
    assert process.returncode == 5
    assert log.decode().count("the target closed the pipe") == 1
    assert b"Traceback" not in log


@of("S5")
def test_the_bookmark_is_the_latest_of_records_in_any_order(shop: Shop) -> None:
    calm = shop.calm
    assert calm is not None
    newest, mixed = text_of(datetime.fromtimestamp(EARLY, UTC) - SAFETY_LAG), False
    for stream, entry in bookmarks(calm).items():
        times = [record.get(entry["replication_key"]) or "" for record in calm.records(stream)]
        mixed = mixed or times != sorted(times)
        assert entry["replication_key_value"] == min(max(times), newest), stream
    assert mixed


@of("S6")
def test_more_equal_times_than_fit_on_a_page_are_all_read(shop: Shop) -> None:
    """Also where the first run fails between them."""
    equal = {f"{shop.vendor.rows}.{shop.vendor.time}": RAW[shop.vendor.name]}
    shop.fault("status", status=500, after=6, times=None)
    shop.fault("patch", times=None, set=equal)
    first = shop.read(retry_max_s=0)
    assert first.code == 4
    shop.world.clear_faults(shop.vendor.name)
    shop.fault("patch", times=None, set=equal)
    second = shop.read(state=first.state)
    assert second.code == 0, second.log
    assert shop.calm is not None
    held = given(first).rows[shop.vendor.main].keys() | given(second).rows[shop.vendor.main].keys()
    assert held == given(shop.calm).rows[shop.vendor.main].keys()


@of("S7")
def test_records_without_a_time_are_emitted_and_move_nothing(shop: Shop) -> None:
    shop.fault("patch", times=2, after=1, remove=[f"{shop.vendor.rows}.{shop.vendor.time}"])
    run = shop.read()
    assert run.code == 0, run.log
    assert shop.calm is not None
    assert len(run.records(shop.vendor.main)) >= len(given(shop.calm).rows[shop.vendor.main])
    for stream, entry in bookmarks(run).items():
        assert entry["replication_key_value"] <= bookmarks(shop.calm)[stream]["replication_key_value"]


FORMS: dict[str, list[tuple[Any, str]]] = {
    "peakium": [
        (1_767_225_600, "2026-01-01T00:00:00.000000Z"),
        (1_767_225_600.25, "2026-01-01T00:00:00.250000Z"),
        ("1767225600", "2026-01-01T00:00:00.000000Z"),
        (None, ""),
    ],
    "peek": [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T02:00:00.25+02:00", "2026-01-01T00:00:00.250000Z"),
        ("2025-12-31T20:30:00-03:30", "2026-01-01T00:00:00.000000Z"),
        (None, ""),
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_s8_times_in_every_form_of_the_vendor_mean_the_same(make_shop: Callable[..., Shop], name: str) -> None:
    shop = make_shop(name)
    place = shop.vendor.rows.replace("*", "{}") + f".{shop.vendor.time}"
    shop.fault("patch", times=1, set={place.format(row): raw for row, (raw, _) in enumerate(FORMS[name])})
    run = shop.read(concurrency=1)
    assert run.code == 0, run.log
    found = [record.get(shop.vendor.time) or "" for record in run.records(shop.vendor.main)[: len(FORMS[name])]]
    assert found == [text for _, text in FORMS[name]]


@of("S9")
def test_a_record_from_the_future_carries_no_bookmark_there(shop: Shop) -> None:
    raw = {"peakium": 1_924_992_000}.get(shop.vendor.name, "2031-01-01T00:00:00Z")
    place = shop.vendor.rows.replace("*", "0") + f".{shop.vendor.time}"
    shop.fault("patch", times=None, set={place: raw})
    run = shop.read()
    assert run.code == 0, run.log
    assert bookmarks(run)
    assert all(entry["replication_key_value"] < "2026-02-01T00:30" for entry in bookmarks(run).values())


@of("S10")
@pytest.mark.parametrize("file", STATES, ids=lambda path: path.stem)
def test_a_state_of_an_older_version_is_continued(shop: Shop, file: Path) -> None:
    state = json.loads(file.read_text())[shop.vendor.name]
    run = shop.read(state=state)
    assert run.code == 0, run.log
    assert "from the start" not in run.log
    assert shop.calm is not None
    for stream in shop.streams:
        calm = given(shop.calm).rows[stream]
        assert_same({**calm, **given(run).rows[stream]}, calm, stream)
    for stream, entry in bookmarks(run).items():
        assert entry["replication_key_value"] == state["bookmarks"][stream]["replication_key_value"], stream


@of("S10")
def test_a_bookmark_from_the_year_2999_misses_nothing_that_comes(shop: Shop) -> None:
    assert shop.calm is not None
    state = json.loads(json.dumps(shop.calm.state))
    for stream in bookmark_values(state["bookmarks"]):
        state["bookmarks"][stream]["replication_key_value"] = "2999-01-01T00:00:00Z"
    state["bookmarks"]["no_such_stream"] = {"replication_key": "x", "replication_key_value": "2026-01-01T00:00:00Z"}
    run = shop.read(state=state)
    assert run.code == 0, run.log
    assert "'no_such_stream', which is not a stream of this tap" in run.log
    assert run.state["bookmarks"].pop("no_such_stream") == state["bookmarks"]["no_such_stream"]
    assert all(entry["replication_key_value"] < "2026-02-02" for entry in bookmarks(run).values())


BROKEN = ["yesterday", 5, [], {"a": 1}, True]


@of("S10")
def test_a_malformed_bookmark_is_refused_before_the_first_request(shop: Shop) -> None:
    assert shop.calm is not None
    before = shop.world.stats(shop.vendor.name)["requests"]
    for value in BROKEN:
        state = json.loads(json.dumps(shop.calm.state))
        stream = next(iter(bookmark_values(state["bookmarks"])))
        state["bookmarks"][stream]["replication_key_value"] = value
        run = shop.read(state=state)
        assert run.code == StateError.exit_code, (value, run.log)
        assert f"the state's bookmark of stream {stream!r}" in run.log
    assert shop.world.stats(shop.vendor.name)["requests"] == before


@of("S13")
def test_what_arrives_late_within_the_lookback_is_found(shop: Shop) -> None:
    """Rows that were not there in the first run, and that are older than what was."""
    shop.fault("insert", times=None, rows=2, position=4, after=10**6)
    first = shop.read()
    assert first.code == 0, first.log
    assert shop.calm is not None
    assert len(given(first).rows[shop.vendor.main]) < len(given(shop.calm).rows[shop.vendor.main])
    shop.assert_made_up_for(first, lookback_days=400)


@of("S17", "S18")
def test_the_loader_tells_what_was_lost_and_whose_rows_there_are(shop: Shop) -> None:
    calm = shop.calm
    assert calm is not None
    loader = Loader(shop.folder)
    resumed = shop.read(state=calm.state)
    error = loader.fail(resumed.output, state_id="mine")
    assert "full-refresh" in error
    loader.load(calm.output, state_id="mine")
    stream = max(shop.streams, key=lambda name: len(calm.records(name)))
    before = loader.sql(f"SELECT count(*) FROM {stream}")
    other = loader.run(calm.output, state_id="other")
    assert other.returncode == 5
    assert "mine" in other.stderr.decode()
    assert loader.sql(f"SELECT count(*) FROM {stream}") == before == [(len(given(calm).rows[stream]),)]
