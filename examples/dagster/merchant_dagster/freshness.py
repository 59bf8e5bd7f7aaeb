"""A sensor that has a pipeline run again where `target-duckhouse check` finds it late."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from merchant_dagster.assets import asset_key
from merchant_dagster.pipeline import Pipeline

__all__ = ["freshness_of"]

_EVERY_S = 3600


def freshness_of(pipeline: Pipeline, assets: dg.AssetsDefinition, *, max_age: timedelta) -> dg.SensorDefinition:
    """Ask once an hour; a run that is asked for is not asked for again within its hour.

    Args:
        pipeline: The pipeline.
        assets: Its assets.
        max_age: How old the last load of a stream may be, such as 26 hours.
    """

    @dg.sensor(name=f"{pipeline.name}_is_late", target=assets, minimum_interval_seconds=_EVERY_S)
    def late(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        streams = pipeline.stale(max_age)
        if not streams:
            return dg.SkipReason(f"every stream of {pipeline.name} was loaded within {max_age}")
        context.log.warning("late: %s", ", ".join(streams))
        hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
        keys = [asset_key(pipeline, stream) for stream in streams]
        return dg.SensorResult(run_requests=[dg.RunRequest(f"{pipeline.name}:{hour}", asset_selection=keys)])

    return late
