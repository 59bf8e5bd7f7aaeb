"""A plan says what a run then does, for every vendor: the calls of each stream, and where it begins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_core.output.messages import MessageWriter
from tap_core.plan import RunPlan
from tap_core.plan_text import as_json, as_text
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.tap import CoreTap
    from tests.faults.shop import Shop

every_vendor = pytest.mark.parametrize("shop", VENDORS, indirect=True)


@pytest.fixture(autouse=True)
def _clock(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's time, for taps inside this process."""
    monkeypatch.setenv("MERCHANT_CLOCK", shop.world.clock())


def tap(shop: Shop, state: Mapping[str, Any] | None = None, **config: Any) -> CoreTap:
    """The vendor's tap, for all streams that are on by default."""
    return shop.vendor.tap(config={**shop.config, **config}, state=json.loads(json.dumps(state)) if state else None)


def made(running: CoreTap) -> dict[str, int]:
    """How many calls each stream has made."""
    return {stream.name: stream.meter.requests for stream in running.session.streams if stream.meter.requests}


@every_vendor
def test_a_plan_is_what_the_run_does(shop: Shop) -> None:
    """First without a state, then with the state of that run."""
    state: Mapping[str, Any] | None = None
    for _ in range(2):
        plan = tap(shop, state).plan()
        asked = shop.world.stats(shop.vendor.name)["requests"]
        run = shop.read(state=state, everything=True)
        assert run.code == 0, run.log
        found = figures(run.log)
        assert {each.stream for each in plan.streams} == found.keys()
        for each in plan.streams:
            calls = found[each.stream]
            assert (each.read_with is None) == (calls is not None), each
            if calls is None:
                continue
            if each.calls_are == "exact":
                assert each.calls == calls, each
            elif each.calls_are == "about":
                assert each.calls is not None
                assert abs(each.calls - calls) <= 1, (each, calls)
            else:
                assert each.calls is not None
                assert 1 <= each.calls <= calls, (each, calls)
        assert plan.planning_calls <= asked
        assert plan.planning_calls < plan.calls
        state = run.state


def figures(log: str) -> dict[str, int | None]:
    """The requests of each stream as the run tells them; None for one that makes none of its own."""
    lines = [line.rpartition(" | ")[2] for line in log.splitlines()]
    found: dict[str, int | None] = {}
    for line in lines:
        stream, _, rest = line.partition(": ")
        if (" record" in rest and rest.endswith(" s")) or " records" in rest:
            words = rest.replace(",", "").split()
            found[stream] = int(words[words.index("in") + 1]) if "in" in words[:4] else None
    return found


@every_vendor
def test_a_plan_writes_nothing_and_reads_no_list_to_its_end(shop: Shop) -> None:
    running = tap(shop)
    plan = running.plan()
    assert not running.session.bookmarks
    assert sum(made(running).values()) == plan.planning_calls
    text = as_text(plan)
    assert all(each.stream in text for each in plan.streams)
    assert msgspec.json.decode(as_json(plan), type=RunPlan) == plan


@every_vendor
def test_progress_expects_the_requests_that_come(shop: Shop) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        running = shop.vendor.tap(config=shop.config, message_writer=MessageWriter(nowhere.fileno()))
        running.run()
    meters = {stream.name: stream.meter for stream in running.session.streams}
    expected = {name: meter.expected for name, meter in meters.items() if meter.expected is not None}
    assert expected == {name: meters[name].requests for name in expected}
    assert len(expected) == {"premiumpay": 4, "pegke": 1, "peek": 3}.get(shop.vendor.name, 0)


@pytest.mark.parametrize("shop", ["premiumpay"], indirect=True)
def test_windows_begin_at_the_bookmark_and_budgets_are_waited_for(shop: Shop) -> None:
    shop.world.switch("premiumpay", rate_limit=100)
    first = tap(shop, start_date="2025-01-30").plan()
    sales = next(each for each in first.streams if each.stream == "sales")
    assert sales.calls == sales.windows * sales.partitions
    assert sales.partition_by == ["pasarela_id"]
    (budget,) = first.budgets
    assert (budget.limit, budget.calls) == (100, first.calls)
    assert first.calls > 200
    assert budget.waits == -(-(first.calls - budget.remaining) // 100)
    assert first.seconds is not None
    assert first.seconds >= budget.wait_s > 3600
    assert f"the run waits for {budget.waits} new budgets" in as_text(first)


@pytest.mark.parametrize("shop", ["peakium"], indirect=True)
def test_what_is_not_known_is_not_guessed(shop: Shop) -> None:
    """Its lists say nothing about their length, and nothing needs to be asked before."""
    plan = tap(shop, requests_per_second=2).plan()
    assert {each.calls_are for each in plan.streams if each.read_with is None} == {"at least"}
    assert (plan.planning_calls, plan.seconds_per_call, plan.budgets) == (0, None, [])
    assert (plan.seconds, plan.seconds_are) == (plan.calls / 2, "at least")
    assert "it is not known how long one takes" in as_text(plan)


@pytest.mark.parametrize("shop", ["peek"], indirect=True)
def test_a_source_that_is_not_selected_is_planned_and_a_failure_is_told(shop: Shop) -> None:
    catalog = tap(shop).catalog_dict
    for entry in catalog["streams"]:
        for each in entry["metadata"]:
            if not each["breadcrumb"]:
                each["metadata"]["selected"] = entry["stream"] == "availability"
    running = shop.vendor.tap(config=shop.config, catalog=catalog)
    plan = running.plan()
    assert {each.stream: each.note for each in plan.streams} == {
        "availability": None,
        "products": "asked for other streams",
    }
    shop.world.fault("peek", "/products", "status", status=403, times=None)
    plan = shop.vendor.tap(config=shop.config, catalog=catalog).plan()
    (availability,) = [each for each in plan.streams if each.stream == "availability"]
    assert (availability.calls, availability.calls_are) == (None, "unknown")
    assert availability.note is not None
    assert "403" in availability.note
    assert "those of availability, which are not known" in as_text(plan)
