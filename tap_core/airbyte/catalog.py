"""What a source offers, and what of it a configured catalog asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import RemoveRecordTransform

from tap_core.errors import ConfigError
from tap_core.records.schema import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_core.streams.base import CoreStream
    from tap_core.tap import CoreTap

__all__ = ["SCHEMA", "Wanted", "catalog_of", "select", "single_type"]

SCHEMA: Final = "http://json-schema.org/draft-07/schema#"

_PERSONAL: Final = "Personal data."
_CARRIED: Final = frozenset({"type", "format", "description", "title", "required", "anyOf", "oneOf"})
_AIRBYTE_TYPES: Final = {("string", "date-time"): "timestamp_with_timezone", ("integer", None): "integer"}
"""Types that Airbyte writes more exactly than JSON schema. Only for a single one: no destination casts a union."""

_FULL_REFRESH: Final = "full_refresh"
_INCREMENTAL: Final = "incremental"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream of a configured catalog.

    Args:
        name: Its name there.
        source: The name of the tap's stream that it is made from.
        incremental: Whether it continues where the state ends.
        replaces: Whether what is read takes the place of all that the destination has.
    """

    name: str
    source: str
    incremental: bool
    replaces: bool


def catalog_of(tap: CoreTap) -> dict[str, Any]:
    """The CATALOG of the streams that are on by default or by ``enable_streams``, and can be read."""
    offered = [
        _stream(stream, step)
        for stream in tap.session.streams
        if stream.selected_by_default and stream.unavailable() is None
        for step in _steps(stream)
    ]
    return {"type": "CATALOG", "catalog": {"streams": offered}}


def select(configured: Any, tap: CoreTap) -> list[Wanted]:
    """Select what a configured catalog asks for, and nothing else; returns its streams.

    Args:
        configured: The content of the file.
        tap: The tap.

    Raises:
        ConfigError: It is not a configured catalog, or asks for what the source does not have.
    """
    streams: Sequence[CoreStream] = tap.session.streams
    entries = _entries(configured)
    for stream in streams:
        stream.selected = stream.selected or any(_name(entry) == stream.name for entry in entries)
    tap.setup_mapper()  # it makes the stream maps of what is selected
    sources = {step.stream_alias: stream for stream in streams for step in _steps(stream)}
    wanted = [_wanted(entry, sources) for entry in entries]
    for stream in streams:
        stream.selected = any(each.source == stream.name for each in wanted)
        if not any(each.source == stream.name and each.incremental for each in wanted):
            stream.forced_replication_method = "FULL_TABLE"
    return wanted


def single_type(kinds: Any) -> Any:
    """What a schema says of types, without ``null``: the type if there is one, else the list."""
    named = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    return named[0] if len(named) == 1 else named


def _steps(stream: CoreStream) -> Iterator[StreamMap]:
    """What becomes of a stream's records: one stream as it is, unless stream maps say otherwise."""
    return (step for step in stream.stream_maps if not isinstance(step, RemoveRecordTransform))


def _stream(stream: CoreStream, step: StreamMap) -> dict[str, Any]:
    schema = _column(marked(step.transformed_schema, stream.schema))
    cursor = [stream.replication_key] if stream.replication_key in schema["properties"] else []
    keys = step.transformed_key_properties or ()
    return {
        "name": step.stream_alias,
        "json_schema": {"$schema": SCHEMA, **schema},
        "supported_sync_modes": [_FULL_REFRESH, _INCREMENTAL] if cursor else [_FULL_REFRESH],
        "source_defined_cursor": bool(cursor),
        "default_cursor_field": cursor,
        "source_defined_primary_key": [[key] for key in keys],
        "is_resumable": False,  # is about full refreshes, and ours begin afresh with each attempt
    }


def _column(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without the words that only we know."""
    found = {word: value for word, value in schema.items() if word in _CARRIED}
    for word in ("anyOf", "oneOf"):
        if word in found:
            found[word] = [_column(shape) for shape in found[word]]
    if "properties" in schema:
        found["properties"] = {name: _column(member) for name, member in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        found["items"] = _column(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _column(schema["additionalProperties"])
    if schema.get("x-pii"):
        found["description"] = f"{found.get('description', '')} {_PERSONAL}".strip()
    if (kind := _exact_type(found)) is not None:
        found["airbyte_type"] = kind
    return found


def _exact_type(schema: Mapping[str, Any]) -> str | None:
    kind = single_type(schema.get("type", ()))
    return None if isinstance(kind, list) else _AIRBYTE_TYPES.get((kind, schema.get("format")))


def _entries(configured: Any) -> list[dict[str, Any]]:
    entries = configured.get("streams") if isinstance(configured, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("the file of --catalog must be a configured catalog: an object with a list of streams")
    return entries


def _name(entry: Mapping[str, Any]) -> str:
    described = entry.get("stream")
    return str(described.get("name")) if isinstance(described, dict) else ""


def _wanted(entry: Mapping[str, Any], sources: Mapping[str, CoreStream]) -> Wanted:
    name, mode = _name(entry), entry.get("sync_mode")
    if name not in sources:
        raise ConfigError(
            f"the configured catalog names the stream {name!r}, which this source does not have; "
            f"its streams are {', '.join(sorted(sources))}"
        )
    if mode not in (_FULL_REFRESH, _INCREMENTAL):
        raise ConfigError(f"the configured catalog must give {name} the sync_mode full_refresh or incremental")
    stream = sources[name]
    if mode == _INCREMENTAL and stream.replication_key is None:  # PyAirbyte asks so for whatever stream
        stream.logger.info("%s is read in full: no field reliably shows that a record changed", name)
        mode = _FULL_REFRESH
    generation = entry.get("generation_id")
    refreshed = bool(generation) and entry.get("minimum_generation_id") == generation
    overwritten = mode == _FULL_REFRESH and entry.get("destination_sync_mode") != "append"
    return Wanted(name, stream.name, mode == _INCREMENTAL, replaces=refreshed or overwritten)
