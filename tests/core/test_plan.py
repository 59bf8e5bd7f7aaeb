"""What a run is going to cost."""

from __future__ import annotations

from tap_core.clock import Clock
from tap_core.http.budget import CallBudget
from tap_core.session.plan import Plan

NOW = 1_700_000_000.0


def budget(remaining: int) -> CallBudget:
    known = CallBudget(Clock(start=NOW, anchor=0, rate=1e-9))
    known.update(remaining=remaining, reset_at=NOW + 600, limit=100, period_s=3600)
    return known


def test_a_budget_that_suffices_needs_no_wait() -> None:
    plan = Plan({"sales": 40, "channel_sales": 57}, budget(97), NOW)
    assert str(plan) == "plan: 97 calls (sales 40, channel_sales 57); 97 of 100 calls are left: no wait"
    assert plan.seconds == 0


def test_the_last_calls_wait_for_the_budgets_before_them() -> None:
    assert Plan({"sales": 98}, budget(97), NOW).seconds == 600
    plan = Plan({"sales": 298}, budget(97), NOW)
    assert (plan.waits, plan.seconds) == (3, 600 + 2 * 3600)
    assert str(plan).endswith("97 of 100 calls are left: waits for 3 new budgets, about 2 h 10 min")


def test_an_unknown_budget_promises_nothing() -> None:
    plan = Plan({"sales": 1_200}, CallBudget(Clock()), NOW)
    assert str(plan) == "plan: 1,200 calls (sales 1,200); the API reports no call budget"
    assert plan.seconds == 0
