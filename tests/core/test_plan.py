"""What a run is going to cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tap_core.clock import Clock
from tap_core.http.budget import CallBudget
from tap_core.session.plan import Plan
from tests.core.example import start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.conftest import Lists

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


@pytest.mark.parametrize("options", [["--plan=json"], ["--plan", "--format", "json"]], ids=" ".join)
def test_the_command_prints_a_plan_and_no_message(tmp_path: Path, lists: Lists, options: list[str]) -> None:
    state = {"bookmarks": {"events": {"replication_key": "at", "replication_key_value": "2024-01-01T00:00:00.000000Z"}}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with start(tmp_path, lists.config, *options, "--state", str(tmp_path / "state.json"), stdout=-1) as process:
        output, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
    plan = json.loads(output)
    streams = {each["stream"]: each for each in plan["streams"]}
    assert streams["orders"].items() >= {"calls": 1, "calls_are": "exact", "emits_from": None}.items()
    assert streams["parts"].items() >= {"calls": 0, "read_with": "orders"}.items()
    begins = "2024-01-01T00:00:00.000000Z"
    assert streams["events"].items() >= {"bookmark": begins, "emits_from": begins}.items()
    assert plan["skipped"] == {"secrets": "enable_streams switches it on"}
    assert (plan["calls"], plan["calls_are"], plan["planning_calls"]) == (3, "exact", 0)
    assert not lists.server.seen


def test_a_plan_for_people_is_a_table_and_three_sentences(tmp_path: Path, lists: Lists) -> None:
    with start(tmp_path, lists.config, "--plan", stdout=-1) as process:
        lines = process.communicate(timeout=60)[0].decode().splitlines()
    assert process.returncode == 0
    assert lines[0].split() == ["stream", "calls", "bookmark", "begins", "at", "windows", "partitions", "note"]
    assert lines[3].split() == ["parts", "-", "everything", "comes", "with", "orders"]
    assert [line.partition(":")[0] for line in lines[-4:]] == ["Skipped", "Calls", "Budget", "Duration"]
