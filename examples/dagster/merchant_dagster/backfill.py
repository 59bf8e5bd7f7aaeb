"""Jobs that read one past month, or one connection of Peek, again; nightly bookmarks stay where they are."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from merchant_dagster.assets import POOL, asset_key, fail, loaded
from merchant_dagster.pipeline import Pipeline

__all__ = ["backfill_by_connection", "backfill_by_month"]


def backfill_by_month(pipeline: Pipeline, streams: AbstractSet[str], *, start: str) -> dg.JobDefinition:
    """A job with a partition for each month.

    Args:
        pipeline: The pipeline.
        streams: Streams that `start_date` and `end_date` bound: the guide to backfills lists them.
        start: The first month, such as ``2025-01-01``.
    """
    months = dg.MonthlyPartitionsDefinition(start_date=start)

    def settings(partition: str) -> dict[str, Any]:
        window = months.time_window_for_partition_key(partition)
        return {"start_date": _day(window.start), "end_date": _day(window.end)}

    return _job(pipeline, f"{pipeline.name}_by_month", streams, months, settings)


def backfill_by_connection(
    pipeline: Pipeline, streams: AbstractSet[str], connections: Mapping[str, Mapping[str, Any]]
) -> dg.JobDefinition:
    """A job with a partition for each connection of Peek, which is read alone.

    Args:
        pipeline: A pipeline of Peek.
        streams: The streams to read.
        connections: What the setting `connections` holds, by name.
    """
    names = dg.StaticPartitionsDefinition(sorted(connections))

    def settings(name: str) -> dict[str, Any]:
        return {"connections": [connections[name]]}

    return _job(pipeline, f"{pipeline.name}_by_connection", streams, names, settings)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _job(
    pipeline: Pipeline,
    name: str,
    streams: AbstractSet[str],
    partitions: dg.PartitionsDefinition[Any],
    settings: Callable[[str], dict[str, Any]],
) -> dg.JobDefinition:
    @dg.op(name=f"{name}_load", pool=POOL)
    def load(context: dg.OpExecutionContext) -> None:
        partition = context.partition_key
        outcome = pipeline.run(streams, settings=settings(partition), state_id=f"dagster:{name}:{partition}")
        context.log.info(outcome.log)
        if outcome.code:
            raise fail(outcome, retry_number=context.retry_number)
        for stream, load in loaded(pipeline, streams).items():
            context.log_event(
                dg.AssetMaterialization(asset_key(pipeline, stream), metadata={**load, "part": partition})
            )

    @dg.job(name=name, partitions_def=partitions)
    def job() -> None:
        load()

    return job
