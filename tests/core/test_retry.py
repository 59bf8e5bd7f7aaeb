"""How long to wait: what APIs ask for, what the tap decides itself, and where it ends."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tap_core.clock import Clock
from tap_core.errors import StoppedError, ThrottledError, TransientError
from tap_core.http.budget import CallBudget
from tap_core.http.gate import Gate, NoMeter, Pace
from tap_core.http.retry import Attempts, RetryPolicy
from tap_core.http.steps import alone
from tap_core.http.waits import in_words, reset_wait, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.http.transport import Transport

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class HandClock(Clock):
    """Stands still, but for the time that somebody sleeps on it. For one thread."""

    @override
    def time(self) -> float:
        return self.start

    @override
    def monotonic(self) -> float:
        return self.start

    @override
    def sleep(self, seconds: float) -> None:
        if not self.stopped:
            object.__setattr__(self, "start", self.start + seconds)


def gate_of(clock: Clock, budget: CallBudget, pace: Pace | None = None) -> Gate:
    return Gate(clock, pace or Pace(None), budget, RetryPolicy().max_rate_limit_wait_s)


def enter(gate: Gate, clock: Clock) -> None:
    alone(gate.enter(NoMeter()), cast("Transport", None), clock)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(start=NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("120", 120, id="H1-seconds"),
        pytest.param("0", 0, id="H1-zero"),
        pytest.param("1.5", 1.5, id="H1-fraction"),
        pytest.param("Tue, 14 Nov 2023 22:14:20 GMT", 60, id="H1-date"),
        pytest.param("Tuesday, 14-Nov-23 22:14:20 GMT", 60, id="H1-date-of-old"),
        pytest.param("Tue, 14 Nov 2023 22:14:20", 60, id="H1-date-without-zone"),
        pytest.param("Tue, 14 Nov 2023 22:00:00 GMT", 0, id="H1-past-date"),
        pytest.param("-5", None, id="H1-negative"),
        pytest.param("inf", None, id="H1-infinite"),
        pytest.param("nan", None, id="H1-nan"),
        pytest.param("soon", None, id="H1-senseless"),
        pytest.param("", None, id="H1-empty"),
        pytest.param(None, None, id="H1-missing"),
        pytest.param("99999999999999999999", 1e20, id="H1-absurd"),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"X-RateLimit-Reset": str(NOW + 90)}, 90, id="H2-unix-seconds"),
        pytest.param({"X-RateLimit-Reset": str(int(NOW + 90) * 1000)}, 90, id="H2-unix-milliseconds"),
        pytest.param({"X-RateLimit-Reset": "90"}, 90, id="H2-seconds-to-go"),
        pytest.param({"RateLimit-Reset": "90", "X-RateLimit-Reset": "5"}, 90, id="H2-the-standard-first"),
        pytest.param({"X-RateLimit-Reset": str(NOW - 90)}, 0, id="H2-past"),
        pytest.param({"X-RateLimit-Reset": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60, id="H2-date"),
        pytest.param({"X-RateLimit-Reset": "tomorrow"}, None, id="H2-senseless"),
        pytest.param({}, None, id="H2-missing"),
    ],
)
def test_reset_times(headers: dict[str, str], seconds: float | None) -> None:
    assert reset_wait(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (59, "59 s"),
        (300, "5 min"),
        (3600, "60 min"),
        (7200, "2 h"),
        (9000, "2 h 30 min"),
        (864_000, "10 days"),
        (1e20, "more than a century"),
    ],
)
def test_spans_of_time_in_words(seconds: float, text: str) -> None:
    assert in_words(seconds) == text


@given(st.integers(), st.integers(1, 1000))
def test_backoff_is_random_doubles_and_has_a_cap(seed: int, tries: int) -> None:
    wait = RetryPolicy(rng=random.Random(seed)).backoff(tries)
    assert 0 <= wait <= min(60, 2 ** (tries - 1))
    assert wait == RetryPolicy(rng=random.Random(seed)).backoff(tries)


@pytest.mark.parametrize("wait", [RetryPolicy.backoff, RetryPolicy.throttle_backoff])
def test_h3_workers_that_failed_together_do_not_come_back_together(wait: Callable[[RetryPolicy, int], float]) -> None:
    policy = RetryPolicy(rng=random.Random(1))
    waits = [wait(policy, 4) for _ in range(100)]
    assert len(set(waits)) == 100
    assert max(waits) - min(waits) > 0.2 * max(waits)


def waits_until_given_up(
    attempts: Attempts, error: TransientError, seconds: float = 0
) -> tuple[list[float], TransientError]:
    waits: list[float] = []
    try:
        while True:
            waits.append(attempts.wait_after(error, seconds))
    except TransientError as last:
        return waits, last


@given(st.integers(), st.floats(0, 2000), st.floats(0, 30))
def test_h3_failures_for_ever_stay_within_retry_max_s(seed: int, retry_max_s: float, seconds: float) -> None:
    attempts = Attempts(RetryPolicy(retry_max_s=retry_max_s, rng=random.Random(seed)))
    waits, last = waits_until_given_up(attempts, TransientError("down"), seconds)
    assert sum(waits) + seconds * len(waits) <= retry_max_s + 1e-6
    tries = len(waits) + 1
    assert str(last).startswith(f"down; gave up after {'1 try' if tries == 1 else f'{tries} tries'} in ")
    assert str(last).endswith(" (retry_max_s)")


def test_a_wait_that_a_failing_api_asks_for_is_kept_to_or_is_the_end() -> None:
    attempts = Attempts(RetryPolicy(retry_max_s=100))
    assert attempts.wait_after(TransientError("busy", wait=40), 0) == 40
    with pytest.raises(TransientError, match=r"busy; the API asks for a wait of 90 s; gave up after 2 tries in 40 s"):
        attempts.wait_after(TransientError("busy", wait=90), 0)


def test_h1_refusals_without_a_time_outlast_an_hourly_limit() -> None:
    waits, last = waits_until_given_up(Attempts(RetryPolicy(max_rate_limit_wait_s=9000)), ThrottledError("429"))
    assert sum(waits) > 2700
    assert max(waits) <= 900
    assert "gave up after 12 tries" in str(last)


@pytest.mark.parametrize(
    "asked", [pytest.param(0.0, id="H1-zero-for-ever"), pytest.param(0.01, id="H1-next-to-nothing")]
)
def test_h1_a_limit_that_asks_for_no_wait_is_not_stormed(asked: float) -> None:
    waits, last = waits_until_given_up(Attempts(RetryPolicy(rng=random.Random(1))), ThrottledError("429", wait=asked))
    assert len(waits) == 11
    assert sum(waits) > 60
    assert max(waits) <= 60
    assert "gave up after 12 tries" in str(last)


def test_h1_own_waits_stay_within_max_rate_limit_wait_s() -> None:
    waits, last = waits_until_given_up(Attempts(RetryPolicy(max_rate_limit_wait_s=60)), ThrottledError("429"))
    assert 0 < sum(waits) <= 60
    assert str(last).endswith("of waiting (max_rate_limit_wait_s)")


def test_an_hourly_limit_may_refuse_a_call_in_two_periods() -> None:
    attempts = Attempts(RetryPolicy())
    assert [attempts.wait_after(ThrottledError("429", wait=3500), 0) for _ in range(2)] == [3500, 3500]


def test_a_budget_without_a_report_holds_nothing_back(clock: HandClock) -> None:
    budget = CallBudget(clock, limit=3)
    assert [budget.take() for _ in range(100)] == [0] * 100


def test_a_used_up_budget_waits_for_the_reset(clock: HandClock) -> None:
    budget = CallBudget(clock, period_s=3600)
    budget.update(remaining=2, reset_at=NOW + 100, limit=5)
    assert [budget.take(), budget.take(), budget.take()] == [0, 0, 101]
    budget.done()
    budget.done()
    clock.sleep(101)
    assert [budget.take() for _ in range(6)] == [0, 0, 0, 0, 0, 3600]
    assert (budget.limit, budget.remaining, budget.reset_at) == (5, 0, NOW + 100 + 3600)


def test_calls_under_way_are_taken_off_a_report(clock: HandClock) -> None:
    budget = CallBudget(clock)
    for _ in range(4):
        budget.take()
    budget.update(remaining=10, reset_at=NOW + 100)
    assert budget.remaining == 7
    budget.done()
    budget.update(remaining=9, reset_at=NOW + 100)
    assert budget.remaining == 7, "a later report on the same period can only lower what is known"


def test_a_report_on_a_period_that_is_over_is_ignored(clock: HandClock) -> None:
    budget = CallBudget(clock, period_s=3600)
    budget.update(remaining=0, reset_at=NOW + 100, limit=5)
    clock.sleep(101)
    budget.take()
    budget.update(remaining=0, reset_at=NOW + 100)
    assert budget.remaining == 4


def test_calls_under_way_when_a_period_ends_are_taken_off_the_next_one(clock: HandClock) -> None:
    budget = CallBudget(clock)
    budget.update(remaining=3, reset_at=NOW + 100, limit=5, period_s=3600)
    for _ in range(3):
        budget.take()
    clock.sleep(100.5)
    budget.done()
    clock.sleep(1)
    budget.done()
    assert budget.remaining == 2, "of five: one ended in the margin, two are under way at the turn"
    budget.done()
    assert [budget.take(), budget.take()] == [0, 0]
    assert budget.take() > 3000


@pytest.mark.parametrize(("limit", "runs"), [(100, 4), (100, 3), (49, 49), (7, 2)])
def test_runs_that_share_a_budget_take_no_more_than_it_has(clock: HandClock, limit: int, runs: int) -> None:
    """Each run learns the budget from its first call, which counts too."""
    shares = [CallBudget(clock, share=1 / runs) for _ in range(runs)]
    used = 0
    for budget in shares:
        assert budget.take() == 0
        used += 1
        budget.update(remaining=limit - used, reset_at=NOW + 100, limit=limit, period_s=3600)
        budget.done()
    for budget in shares:
        while not budget.take():
            budget.done()
            used += 1
    assert limit - runs < used <= limit
    clock.sleep(101)
    took = [sum(budget.take() == 0 for _ in range(limit)) for budget in shares]
    assert took == [limit // runs] * runs
    assert {budget.limit for budget in shares} == {limit // runs}


def test_a_share_of_less_than_a_call_is_one_call_a_period(clock: HandClock) -> None:
    budget = CallBudget(clock, period_s=3600, share=0.001)
    budget.update(remaining=10, reset_at=NOW + 100, limit=10)
    assert budget.take() == 101, "the rest of the period is for others"
    clock.sleep(101)
    assert [budget.take(), budget.take()] == [0, 3600]


@given(st.integers(1, 20), st.lists(st.floats(0, 400), min_size=60, max_size=60))
def test_within_its_budget_a_tap_never_earns_a_429(limit: int, steps: list[float]) -> None:
    """Against a server that counts per clock hour and reports after each call."""
    clock = HandClock(start=NOW)
    budget = CallBudget(clock, limit=limit, period_s=3600)
    gate = gate_of(clock, budget)
    used: dict[float, int] = {}
    for step in steps:
        clock.sleep(step)
        enter(gate, clock)
        hour = clock.time() // 3600
        used[hour] = used.get(hour, 0) + 1
        assert used[hour] <= limit
        budget.update(remaining=limit - used[hour], reset_at=(hour + 1) * 3600, limit=limit)
        gate.leave()


def test_a_budget_that_comes_back_too_late_is_a_clean_stop(clock: HandClock) -> None:
    budget = CallBudget(clock)
    budget.update(remaining=0, reset_at=NOW + 7200)
    with pytest.raises(ThrottledError, match=r"call budget is used up and is renewed in 2 h, more than max_rate_limit"):
        enter(gate_of(clock, budget), clock)


def test_the_pace_is_kept(clock: HandClock) -> None:
    gate = gate_of(clock, CallBudget(clock), Pace(4))
    starts = []
    for _ in range(5):
        enter(gate, clock)
        starts.append(clock.time() - NOW)
        gate.leave()
    assert starts == [0, 0.25, 0.5, 0.75, 1]


def test_the_pace_is_one_for_all_who_share_it(clock: HandClock) -> None:
    pace = Pace(4)
    starts = []
    for gate in [gate_of(clock, CallBudget(clock), pace) for _ in range(3)]:
        enter(gate, clock)
        starts.append(clock.time() - NOW)
    assert starts == [0, 0.25, 0.5]


def test_a_pause_holds_everybody_back_and_is_never_shortened(clock: HandClock) -> None:
    gate = gate_of(clock, CallBudget(clock))
    gate.pause(60)
    gate.pause(5)
    enter(gate, clock)
    assert clock.time() == NOW + 60


def test_s2_a_stop_ends_all_waiting_at_once() -> None:
    clock = Clock()
    gate = gate_of(clock, CallBudget(clock))
    gate.pause(1e6)
    outcomes: list[str] = []

    def wait() -> None:
        try:
            enter(gate, clock)
        except StoppedError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    clock.stop()
    for thread in threads:
        thread.join()
    assert outcomes == ["the run was stopped while it waited"] * 4


def test_s2_after_a_stop_no_request_is_sent() -> None:
    clock = Clock()
    clock.stop()
    with pytest.raises(StoppedError):
        enter(gate_of(clock, CallBudget(clock)), clock)
