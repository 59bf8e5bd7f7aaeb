"""A hundred calls an hour: planned, never exceeded, waited for, and resumed after."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.clock import HOUR, unix
from merchant_sandbox.timeline import LAST_DAY
from tap_core.errors import ApiError, AuthError
from tap_core.testing import Run
from tests.premiumpay.conftest import LISTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.premiumpay.conftest import Warehouse

RECENT = {"start_date": "2025-10-23", "backfill_window_days": 14}

JANUARY = {"start_date": "2026-01-01", "window_hours": 168}
"""Five windows: 75 calls."""


def check_january(house: Warehouse) -> None:
    expected = {row["id"] for row in house.truth("sales") if row["date_time"] >= "2026-01-01"}
    assert len(expected) > 100
    assert expected == {row["id"] for row in house.rows("sales")}


def check_recent(house: Warehouse) -> None:
    expected = {row["id"] for row in house.truth("sales") if row["date_time"] >= "2025-10-23"}
    assert len(expected) > 300
    assert expected == {row["id"] for row in house.rows("sales")}
    house.check(*LISTS)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_h2_within_the_budget_no_call_is_refused(make: Callable[..., Warehouse], concurrency: int) -> None:
    house = make(config={**RECENT, "concurrency": concurrency}, rate_limit=100, clock_rate=3600)
    run = house.run()
    assert run.code == 0, run.log
    stats = house.world.stats("premiumpay")
    assert list(stats["statuses"]) == ["200"]
    assert stats["requests"] > 150
    check_recent(house)
    said = (
        r"plan: (\d+) calls \(.*\); \d+ of 100 calls are left: "
        r"waits for (one|\d) new budgets?, about \S+ (s|min|h)"
    )
    plan = re.search(said, run.log)
    assert plan is not None
    assert stats["requests"] == int(plan[1]) + len(("status", "gateways", "channels", "version"))
    assert stats["routes"]["/status"] == 1


def test_h2_a_share_of_the_budget_leaves_the_rest_to_others(make: Callable[..., Warehouse]) -> None:
    house = make(config={**JANUARY, "budget_share": 0.25}, rate_limit=100, clock_rate=3600)
    run = house.run()
    assert run.code == 0, run.log
    assert list(house.world.stats("premiumpay")["statuses"]) == ["200"]
    assert re.search(r"2\d of 25 calls are left: waits for \d new budgets", run.log)
    check_january(house)


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
def test_the_plan_of_a_short_run_needs_no_wait(make: Callable[..., Warehouse], *, texts: bool) -> None:
    house = make(config={"start_date": "2026-01-29", "window_hours": 168}, rate_limit=100, limit_texts=texts)
    run = house.run()
    assert re.search(r"plan: 15 calls \(sales 4, .*\); \d\d of 100 calls are left: no wait", run.log)


def test_the_version_call_is_in_the_plan(make: Callable[..., Warehouse]) -> None:
    """Left to the end, it might be the one call for which a run waits an hour."""
    house = make(config={"start_date": "2026-01-29", "window_hours": 168}, rate_limit=18, clock_rate=3600)
    run = house.run()
    assert run.code == 0
    assert "plan: 15 calls" in run.log
    assert "14 of 18 calls are left: waits for one new budget" in run.log


def test_a_jwt_that_ends_before_the_plan_does_is_told_of_and_costs_no_call(
    make: Callable[..., Warehouse], caplog: pytest.LogCaptureFixture
) -> None:
    """The sandbox's JWT ends with the year 2035, and ten calls an hour take longer than four hours."""
    config = {"start_date": "2035-12-20", "backfill_window_days": 1, "concurrency": 1}
    house = make(config=config, rate_limit=10, clock_start=unix("2035-12-31T20:00:00+00:00"), clock_rate=2400)
    with pytest.raises(AuthError, match="not sent, because the jwt expired on 2036-01-01 at 00:00 UTC"):
        house.read()
    assert "the jwt expires before the planned end; the run will stop then and can be resumed" in caplog.text
    assert list(house.world.stats("premiumpay")["statuses"]) == ["200"]


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({"throttle_body": True}, id="H2-reset-in-the-body"),
        pytest.param({"throttle_body": False, "throttle_header": True}, id="H1-retry-after"),
        pytest.param({"throttle_body": False}, id="H1-no-word"),
    ],
)
def test_a_budget_that_nobody_told_of_is_waited_for(make: Callable[..., Warehouse], switches: dict[str, Any]) -> None:
    endpoints = {"status": {"path": None}}
    config = {**JANUARY, "endpoints": endpoints, "max_rate_limit_wait_s": 9 * HOUR}
    house = make(config=config, rate_limit=20, clock_rate=2000, **switches)
    house.read()
    check_january(house)
    assert house.world.stats("premiumpay")["statuses"]["429"]


def test_h2_a_ko_with_an_empty_budget_is_waited_for(make: Callable[..., Warehouse]) -> None:
    """The sample on the vendor's page: status 200, and a budget of which nothing remains."""
    house = make(config=JANUARY, clock_rate=3600)
    limit = {"rateLimit": 100, "rateLimitRemaining": 0, "rateLimitReset": "$reset"}
    house.world.fault(
        "premiumpay", "/sales", "status", status=200, body={"status": "ko", "ratelimit": limit}, reset_in=1800, after=3
    )
    run = house.run()
    assert run.code == 0, run.log
    assert [fault["fired"] for fault in house.world.faults("premiumpay")] == [1]
    check_january(house)


def test_the_budget_of_another_user_of_the_same_credentials_is_respected(make: Callable[..., Warehouse]) -> None:
    """The budget is lower than the status call told: the first 429 corrects it."""
    house = make(config=RECENT, rate_limit=100, clock_rate=3600)
    house.world.fault("premiumpay", "/sales", "throttle", seconds=600, after=10)
    house.read()
    check_recent(house)


def test_a_reset_that_is_too_far_away_is_a_clean_stop(make: Callable[..., Warehouse]) -> None:
    house = make(config={**JANUARY, "max_rate_limit_wait_s": 60}, rate_limit=40, clock_start=LAST_DAY + HOUR)
    run = house.run()
    assert run.code == 4
    assert "max_rate_limit_wait_s = 60: run again later or raise it" in run.log
    assert "channel_sales" not in run.state["bookmarks"]
    for _ in range(6):
        if run.code == 0:
            break
        house.world.advance(HOUR)
        run = house.run()
    assert run.code == 0, run.log
    check_january(house)


def test_s2_a_run_that_waits_can_be_stopped_and_goes_on_later(make: Callable[..., Warehouse]) -> None:
    house = make(config=RECENT, rate_limit=20)
    process = house.start()
    assert process.stdout is not None
    output = b""
    while b'"_window_start"' not in output or b'"STATE"' not in output.splitlines()[-1]:
        output += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, log = process.communicate()
    run = Run(process.returncode, output + rest, log.decode())
    assert run.code == 143
    assert "Traceback" not in run.log
    house.take(run)
    house.world.switch("premiumpay", rate_limit=0)
    house.read()
    check_recent(house)


def test_the_connection_test_costs_a_handful_of_calls(make: Callable[..., Warehouse]) -> None:
    house = make(rate_limit=100)
    process = house.start("--test")
    _, log = process.communicate()
    assert process.returncode == 0, log
    routes = house.world.stats("premiumpay")["routes"]
    assert routes["/status"] == 1
    assert sum(routes.values()) <= 8


def test_refused_calls_stop_the_stream_after_the_cap(make: Callable[..., Warehouse]) -> None:
    house = make(config={**RECENT, "max_rate_limit_wait_s": 100}, clock_rate=1000)
    house.world.fault("premiumpay", "/sales", "status", status=429, times=None)
    with pytest.raises(ApiError, match="max_rate_limit_wait_s"):
        house.read()


def test_windows_of_several_gateways_are_read_at_the_same_time(make: Callable[..., Warehouse]) -> None:
    house = make(config={**RECENT, "concurrency": 4})
    house.world.fault("premiumpay", "/sales", "delay", seconds=0.05, times=None)
    house.read()
    assert house.world.stats("premiumpay")["max_in_flight"] == 4
    check_recent(house)
