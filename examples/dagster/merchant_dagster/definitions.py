"""What Dagster loads: the file to edit."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg

from merchant_dagster.assets import assets_of
from merchant_dagster.backfill import backfill_by_month
from merchant_dagster.freshness import freshness_of
from merchant_dagster.models import models_in, runner
from merchant_dagster.pipeline import Pipeline

PIPELINES = tuple(map(Pipeline, ("peakium", "premiumpay", "peerassist", "pegke", "peek")))
"""Which taps run. Another account of a vendor: ``Pipeline("peek", account="eu", config=Path("peek-eu.json"))``."""

TRANSFORM = Path(__file__).parents[3] / "transform"
NIGHTLY = "0 3 * * *"
MAX_AGE = timedelta(hours=26)
FIRST_MONTH = "2025-01-01"
BOUNDED = {"premiumpay": {"sales", "aggregated_sales", "channel_sales", "channel_results"}}
"""Streams that a backfill by month reads a month of, and not everything."""


def definitions(pipelines: Sequence[Pipeline], *, transform: Path | None = TRANSFORM) -> dg.Definitions:
    """Assets, schedules, sensors and backfills of pipelines, and the dbt models behind them."""
    loads = [assets_of(pipeline, max_age=MAX_AGE) for pipeline in pipelines]
    models = models_in(transform) if transform else None
    assets = [*loads, *([models] if models else [])]
    everything = dg.define_asset_job("nightly", selection=assets)
    return dg.Definitions(
        assets=assets,
        jobs=[
            everything,
            *(
                backfill_by_month(pipeline, BOUNDED[pipeline.vendor], start=FIRST_MONTH)
                for pipeline in pipelines
                if pipeline.vendor in BOUNDED
            ),
        ],
        schedules=[dg.ScheduleDefinition(job=everything, cron_schedule=NIGHTLY)],
        sensors=[freshness_of(*pair, max_age=MAX_AGE) for pair in zip(pipelines, loads, strict=True)],
        resources={"dbt": runner(transform)} if transform else {},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Everything. The taps are asked for their streams, so their settings have to be there."""
    return definitions(PIPELINES)
