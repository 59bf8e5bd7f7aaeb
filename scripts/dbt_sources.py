"""``transform/models/staging/sources.yml``: what the taps and the loader write, as dbt's sources.

It is made from the taps' schemas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from scripts.describe import ROOT, VENDORS, catalog, selected_by_default

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SOURCES", "is_personal", "sources"]

SOURCES = ROOT / "transform/models/staging/sources.yml"

_HEAD = "# Generated from the schemas of the taps by `make docs`.\n"
_FRESHNESS = {"warn_after": {"count": 26, "period": "hour"}, "error_after": {"count": 50, "period": "hour"}}
_TYPES = {"string": "text", "integer": "bigint", "number": "double precision", "boolean": "boolean"}
_FORMATS = {"date-time": "timestamp", "date": "date"}
_PERSONAL = "personal_data"
_LOADS = {
    "load_id": ("text", "The run of the loader."),
    "state_id": ("text", "The pipeline whose state was committed with the rows."),
    "schema": ("text", "Schema of the stream's table."),
    "stream": ("text", "The stream."),
    "inserted": ("bigint", "New rows."),
    "updated": ("bigint", "Changed rows."),
    "unchanged": ("bigint", "Rows that came again as they were."),
    "deleted": ("bigint", "Rows that were removed, or marked as deleted."),
    "rejected": ("bigint", "Rows that their schema does not allow."),
    "seconds": ("double precision", "Time that merging and committing took."),
    "started_at": ("timestamp", "When the run began."),
    "committed_at": ("timestamp", "When the rows were committed."),
    "requests": ("bigint", "Requests of the tap for the stream, where it tells them."),
    "retries": ("bigint", "Those that were sent again."),
    "waited_seconds": ("double precision", "Time that calls waited before a try, all calls together."),
    "failed": ("boolean", "Whether the tap told that the stream failed, or that a part of it could not be read."),
}
_HISTORIES = {("peek", "availability"), ("peerassist", "fwos")}
"""Streams of which models read the loader's history, where one is kept."""
_VERSION = {
    "_sdc_valid_from": ("timestamp", "The commit from which on the row was like this."),
    "_sdc_operation": ("text", "What made it so: insert, update, delete or return."),
}


class _Plain(yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of no value at all
        return True


def sources() -> str:
    """The text of the file."""
    text = yaml.dump(
        {"sources": [_loader(), *map(_vendor, VENDORS)]}, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000
    )
    return _HEAD + text


def _loader() -> dict[str, Any]:
    return {
        "name": "loader",
        "description": "What target-duckhouse notes about its own runs.",
        "schema": "main",
        "tables": [
            {"name": "_singer_loads", "description": "What each run did to each stream.", "columns": _plain(_LOADS)}
        ],
    }


def _vendor(vendor: str) -> dict[str, Any]:
    tables = []
    for entry in catalog(vendor):
        tables.append(_table(vendor, entry))
        if (vendor, entry["tap_stream_id"]) in _HISTORIES:
            tables.append(_history(entry))
    return {"name": vendor, "schema": f"{{{{ var('{vendor}_schemas') | first }}}}", "tables": tables}


def _table(vendor: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    stream = entry["tap_stream_id"]
    accounts = f"'{{{{ var('{vendor}_schemas') | join(\"', '\") }}}}'"
    whole = "max(case when failed then to_timestamp(0) else committed_at end)"
    loads = "(from main._singer_loads union all by name select null::boolean as failed where false)"
    last_load = (  # of the account that was loaded longest ago; what has only failed never was
        f"select min(last_load) from (select {whole} as last_load "  # noqa: S608 - names of our own streams
        f"from {loads} as loads where schema in ({accounts}) and stream = '{stream}' group by schema) as accounts"
    )
    read = selected_by_default(entry)  # a stream that is off would be late for ever
    return {
        "name": stream,
        "description": _sentence(entry["schema"]),
        "config": {
            **({"loaded_at_query": last_load, "freshness": _FRESHNESS} if read else {}),
            "meta": {"primary_key": entry["key_properties"]},
        },
        "columns": list(_columns(entry)),
    }


def _history(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{entry['tap_stream_id']}__history",
        "description": "Every version of each row, where the loader's setting `history` names the stream.",
        "columns": [*_columns(entry), *_plain(_VERSION)],
    }


def _columns(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, member in entry["schema"]["properties"].items():
        column: dict[str, Any] = {"name": name, "description": _sentence(member), "data_type": _type(member)}
        if is_personal(member):
            column["config"] = {"tags": [_PERSONAL]}
        yield {key: value for key, value in column.items() if value}


def _plain(columns: Mapping[str, tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "description": text, "data_type": kind} for name, (kind, text) in columns.items()]


def _sentence(schema: Mapping[str, Any]) -> str:
    """A description as dbt takes it: braces would be its templates."""
    return " ".join(schema.get("description", "").split()).replace("{{", "{ {").replace("{%", "{ %")


def _type(member: Mapping[str, Any]) -> str:
    """The type that staging models read a property in."""
    declared = member.get("type", [])
    kinds = {declared} if isinstance(declared, str) else {*declared}
    kinds -= {"null"}
    if member.get("format") == "x-singer.decimal":
        return "decimal(38,10)"
    if kinds == {"string"}:
        return _FORMATS.get(member.get("format", ""), "text")
    return _TYPES.get(next(iter(kinds)), "json") if len(kinds) == 1 else "json"


def is_personal(schema: Any) -> bool:
    """Whether a property is personal data, or holds some."""
    if not isinstance(schema, dict):
        return False
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get("x-pii")) or any(map(is_personal, inner))
