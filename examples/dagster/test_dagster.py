"""The example, as its user runs it: real taps, the loader, dbt, against the sandbox."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from merchant_dagster.assets import asset_key, assets_of, fail
from merchant_dagster.backfill import backfill_by_connection, backfill_by_month
from merchant_dagster.definitions import MAX_AGE, PIPELINES, TRANSFORM, definitions
from merchant_dagster.freshness import freshness_of
from merchant_dagster.models import models_in, runner
from merchant_dagster.pipeline import Outcome, Pipeline

from merchant_sandbox.client import Sandbox, World


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> World:
    return sandbox.world(clock_rate=3600)


@pytest.fixture(autouse=True)
def settings(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users have in their environment."""
    for pipeline in PIPELINES:
        for name, value in world.env(pipeline.vendor).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv(f"TAP_{pipeline.vendor.upper()}_API_URL", world.url(pipeline.vendor))
    for name in ("TARGET_DUCKHOUSE_PATH", "MERCHANT_WAREHOUSE"):
        monkeypatch.setenv(name, str(tmp_path / "warehouse.duckdb"))


def ask(pipeline: Pipeline, query: str) -> list[Any]:
    with duckdb.connect(pipeline.warehouse, read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_vendor_is_loaded_and_its_models_are_built(world: World) -> None:
    pipeline = Pipeline("peakium")
    loads, models = assets_of(pipeline, max_age=MAX_AGE), models_in(TRANSFORM)
    result = dg.materialize([loads, models], resources={"dbt": runner(TRANSFORM)})
    assert result.success
    made = {event.asset_key: event.metadata for event in result.asset_materializations_for_node("peakium")}
    assert {key.path[-1] for key in made} == pipeline.streams.keys()
    for stream in pipeline.streams:
        ((count,),) = ask(pipeline, f"SELECT count(*) FROM peakium.{stream}")
        told = made[asset_key(pipeline, stream)]["dagster/row_count"].value
        assert told == count == len(world.truth("peakium", stream))
        assert "dagster/last_updated_timestamp" in made[asset_key(pipeline, stream)]
    assert ask(pipeline, "SELECT count(*) > 0 FROM marts.revenue_by_day") == [(True,)]
    assert asset_key(pipeline, "invoices") in models.dependency_keys

    again = dg.materialize([loads], selection=[asset_key(pipeline, "events")])
    (event,) = again.asset_materializations_for_node("peakium")
    assert (event.asset_key, event.metadata["inserted"].value) == (asset_key(pipeline, "events"), 0)


def test_what_a_stream_is_stands_with_its_asset() -> None:
    pipeline = Pipeline("peakium")
    (spec,) = (spec for spec in assets_of(pipeline, max_age=MAX_AGE).specs if spec.key.path[-1] == "customers")
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=MAX_AGE)
    metadata = spec.metadata
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    (key,) = metadata["key"].split(", ")
    assert columns[key].constraints.unique
    assert not columns[key].constraints.nullable
    assert columns.keys() == pipeline.streams["customers"]["schema"]["properties"].keys()


def test_codes_decide_what_is_tried_again() -> None:
    tried = {code: fail(Outcome(code, 0, ""), retry_number=0) for code in (1, 2, 3, 4, 143, -9)}
    assert {code for code, error in tried.items() if isinstance(error, dg.RetryRequested)} == {4, -9}
    assert isinstance(fail(Outcome(4, 0, ""), retry_number=3), dg.Failure)
    assert isinstance(fail(Outcome(0, 5, ""), retry_number=0), dg.Failure)


def test_a_wrong_credential_fails_at_once_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = assets_of(Pipeline("peakium"), max_age=MAX_AGE)
    monkeypatch.setenv("TAP_PEAKIUM_API_KEY", "wrong")
    result = dg.materialize([loads], raise_on_error=False)
    (failed,) = result.get_step_failure_events()
    assert "tap 3" in str(failed.step_failure_data.error)
    assert "api_key" in str(failed.step_failure_data.user_failure_data)


def test_a_run_that_is_ended_leaves_no_process_behind(sandbox: Sandbox) -> None:
    """Its tap has used up the budget by then, or is about to, and would wait for most of an hour."""
    pipeline = Pipeline("premiumpay", environ={**os.environ, **sandbox.world(clock_rate=1).env("premiumpay")})
    assert pipeline.streams
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(pipeline.streams.keys())
    assert children.read_text() == before


def test_a_month_is_read_again_and_the_bookmarks_stay() -> None:
    pipeline = Pipeline("premiumpay")
    assert dg.materialize([assets_of(pipeline, max_age=MAX_AGE)], selection=[asset_key(pipeline, "sales")]).success
    state = "SELECT state::VARCHAR FROM main._singer_state WHERE state_id = 'dagster:premiumpay'"
    rows = "SELECT * EXCLUDE (_sdc_extracted_at, _sdc_batched_at) FROM premiumpay.sales ORDER BY ALL"
    before = ask(pipeline, state), ask(pipeline, rows)
    job = backfill_by_month(pipeline, {"sales"}, start="2025-11-01")
    result = job.execute_in_process(partition_key="2026-01-01")
    assert result.success
    assert (ask(pipeline, state), ask(pipeline, rows)) == before
    (event,) = (event for event in result.all_events if event.is_step_materialization)
    metadata = event.event_specific_data.materialization.metadata
    assert metadata["unchanged"].value > 0
    assert (metadata["inserted"].value, metadata["updated"].value) == (0, 0)


def test_a_connection_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline("peek")
    streams = pipeline.streams.keys()
    key = os.environ["TAP_PEEK_API_KEY"]
    monkeypatch.delenv("TAP_PEEK_API_KEY")
    job = backfill_by_connection(pipeline, streams, {"one": {"name": "one", "api_key": key}})
    assert job.execute_in_process(partition_key="one").success
    assert ask(pipeline, "SELECT DISTINCT _connection FROM peek.products") == [("one",)]


def test_what_is_late_is_asked_for() -> None:
    pipeline = Pipeline("peakium")
    loads = assets_of(pipeline, max_age=MAX_AGE)
    sensor = freshness_of(pipeline, loads, max_age=MAX_AGE)
    (request,) = sensor.evaluate_tick(dg.build_sensor_context()).run_requests
    assert {key.path[-1] for key in request.asset_selection} == pipeline.streams.keys()
    assert dg.materialize([loads]).success
    assert not sensor.evaluate_tick(dg.build_sensor_context()).run_requests


def test_everything_is_defined_for_all_five() -> None:
    found = definitions(PIPELINES)
    dg.Definitions.validate_loadable(found)
    groups = {spec.group_name for spec in found.resolve_all_asset_specs()}
    assert {pipeline.vendor for pipeline in PIPELINES} <= groups
