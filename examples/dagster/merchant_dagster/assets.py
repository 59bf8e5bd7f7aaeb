"""An asset of each stream of a pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

import dagster as dg

from merchant_dagster.pipeline import Outcome, Pipeline, StreamLoad

__all__ = ["POOL", "asset_key", "assets_of", "fail", "loaded"]

POOL = "warehouse"
"""One process at a time writes a DuckDB file; `dagster.yaml` gives each pool one place."""

_TRIES = 3
_WAIT_S = 600


def asset_key(pipeline: Pipeline, stream: str) -> dg.AssetKey:
    """The key of a stream's asset, which is that of the dbt source, too."""
    return dg.AssetKey([pipeline.name, stream])


def assets_of(pipeline: Pipeline, *, max_age: timedelta) -> dg.AssetsDefinition:
    """One run of the tap loads any choice of its streams.

    Args:
        pipeline: The pipeline.
        max_age: How old the last load of a stream may be; beyond that, Dagster shows its asset as late.
    """
    freshness = dg.FreshnessPolicy.time_window(fail_window=max_age)

    @dg.multi_asset(
        name=pipeline.name,
        specs=[_spec(pipeline, stream, entry, freshness) for stream, entry in pipeline.streams.items()],
        can_subset=True,
        pool=POOL,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        chosen = {key.path[-1] for key in context.selected_asset_keys}
        outcome = pipeline.run(chosen)
        context.log.info(outcome.log)
        if outcome.code:
            raise fail(outcome, retry_number=context.retry_number)
        for stream, load in loaded(pipeline, chosen).items():
            yield dg.MaterializeResult(asset_key=asset_key(pipeline, stream), metadata=load)

    return load


def loaded(pipeline: Pipeline, streams: AbstractSet[str]) -> dict[str, dict[str, Any]]:
    """The metadata of a materialisation, by stream."""
    loads = pipeline.loads(streams)
    return {stream: _told(loads.get(stream, StreamLoad(0, {}))) for stream in sorted(streams)}


def fail(outcome: Outcome, *, retry_number: int) -> Exception:
    """What to raise after a run that failed: what needs somebody's hand is not tried again.

    The exit codes are those of all taps and of the loader: 2 is a wrong setting, 3 a credential, 4 the API.
    """
    summary = f"exit codes: tap {outcome.tap}, loader {outcome.loader}"
    if outcome.may_pass and retry_number < _TRIES:
        return dg.RetryRequested(max_retries=_TRIES, seconds_to_wait=_WAIT_S)
    metadata = {"log": dg.MetadataValue.md(f"```\n{outcome.log}\n```")}
    return dg.Failure(summary, metadata=metadata, allow_retries=False)


def _spec(pipeline: Pipeline, stream: str, entry: Mapping[str, Any], freshness: dg.FreshnessPolicy) -> dg.AssetSpec:
    schema = entry["schema"]
    columns = [
        _column(name, declared, entry.get("key_properties", ())) for name, declared in schema["properties"].items()
    ]
    return dg.AssetSpec(
        asset_key(pipeline, stream),
        description=schema.get("description"),
        group_name=pipeline.name,
        kinds={"singer", "duckdb"},
        skippable=True,
        freshness_policy=freshness,
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": f"{pipeline.name}.{stream}",
            "key": ", ".join(entry.get("key_properties", ())) or "none",
            "bookmark": entry.get("replication_key") or "none",
        },
    )


def _column(name: str, declared: Mapping[str, Any], keys: Sequence[str]) -> dg.TableColumn:
    kinds = declared.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    constraints = dg.TableColumnConstraints(nullable="null" in kinds, unique=[name] == [*keys])
    kind = " or ".join(kind for kind in kinds if kind != "null")
    return dg.TableColumn(name, declared.get("format", kind), declared.get("description"), constraints)


def _told(load: StreamLoad) -> dict[str, Any]:
    at = {"dagster/last_updated_timestamp": dg.MetadataValue.timestamp(load.committed_at)} if load.committed_at else {}
    return {"dagster/row_count": load.rows, **at, **load.counts}
