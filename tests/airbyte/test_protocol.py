"""All five sources speak the protocol: every message is as its models say, and the order is the platform's."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airbyte_protocol_dataclasses.models import AirbyteMessage

from tap_core.testing import Account, run_tap, without_nulls
from tests.airbyte.conftest import SHARED
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.airbyte.conftest import Synced
    from tests.airbyte.face import Message, Sync

OPEN = ("stream_state", "data", "json_schema", "connectionSpecification")
"""What the models leave open."""

pytestmark = pytest.mark.parametrize("name", SHARED)


def closed(value: Any) -> Any:
    """A message without what the models leave open, and without nulls."""
    if isinstance(value, dict):
        return {name: closed(member) for name, member in value.items() if name not in OPEN and member is not None}
    return [closed(item) for item in value] if isinstance(value, list) else value


def assert_valid(sync: Sync) -> None:
    """The models take every message, and know every member of it."""
    assert sync.messages
    for message in sync.messages:
        known = msgspec.to_builtins(msgspec.convert(message, AirbyteMessage))
        if message["type"] == "SPEC":  # members with a default that is not null
            known["spec"] = {key: value for key, value in known["spec"].items() if key in message["spec"]}
        assert closed(known) == closed(message)


def test_the_models_take_every_message(name: str, synced: Callable[[str], Synced]) -> None:
    found = synced(name)
    for sync in (found.source.run("spec"), found.source.check(), found.discovered, found.first):
        assert_valid(sync)
        assert sync.code == 0
    assert_valid(found.source.check(concurrency=0))


def test_streams_start_run_and_end_and_records_are_counted(name: str, synced: Callable[[str], Synced]) -> None:
    found = synced(name)
    configured = {entry["stream"]["name"]: entry["sync_mode"] for entry in found.catalog["streams"]}
    assert found.first.statuses == {each: ["STARTED", "RUNNING", "COMPLETE"] for each in configured}
    counted: Counter[str] = Counter()
    for state in found.first.of("STATE"):
        stream = state["stream"]["stream_descriptor"]["name"]
        counted[stream] += state["sourceStats"]["recordCount"]
        assert ("__ab_no_cursor_state_message" in state["stream"]["stream_state"]) == (
            configured[stream] == "full_refresh"
        )
    assert counted == {stream: len(records) for stream, records in found.first.records.items()}


def test_the_rows_of_a_list_whose_length_the_api_tells_are_estimated(
    name: str, synced: Callable[[str], Synced]
) -> None:
    sync = synced(name).first
    estimates = [trace["estimate"] for trace in sync.of("TRACE") if trace["type"] == "ESTIMATE"]
    assert {each["name"]: each["row_estimate"] for each in estimates} == (
        {stream: len(records) for stream, records in sync.records.items()} if name == "peerassist" else {}
    )


def test_states_come_after_the_records_that_they_cover(name: str, synced: Callable[[str], Synced]) -> None:
    """A stream's last message before its end is its state."""
    last: dict[str, str] = {}
    for message in synced(name).first.messages:
        match message:
            case {"record": {"stream": stream}} | {"state": {"stream": {"stream_descriptor": {"name": stream}}}}:
                last[stream] = message["type"]
            case {"trace": {"stream_status": {"status": "COMPLETE", "stream_descriptor": {"name": stream}}}}:
                assert last[stream] == "STATE"


def rows(records: list[Message]) -> list[str]:
    """Records in an order of their own, without the time of reading."""
    return sorted(
        json.dumps(without_nulls({**record, "_read_at": None}), sort_keys=True, default=str) for record in records
    )


def test_the_rows_are_those_of_the_tap(name: str, synced: Callable[[str], Synced]) -> None:
    """The settings are the same, too: a config of the tap."""
    found = synced(name)
    tap = run_tap(VENDORS[name].tap, Account(found.source.config, found.source.env))
    assert tap.code == 0, tap.log
    assert set(found.first.records) == set(tap.streams)
    for stream in tap.streams:
        if stream != "server_status":
            assert rows(found.first.records[stream]) == rows(tap.records(stream)), stream


def test_a_second_sync_reads_what_the_tap_would(name: str, synced: Callable[[str], Synced]) -> None:
    """Less than the first; from each form of the state: a list, a global one, and the tap's own."""
    found = synced(name)
    state = found.first.state
    bookmarks = {
        each["stream"]["stream_descriptor"]["name"]: each["stream"]["stream_state"]
        for each in state
        if "replication_key" in each["stream"]["stream_state"]
    }
    assert bookmarks
    incremental = {"streams": [each for each in found.catalog["streams"] if each["sync_mode"] == "incremental"]}
    tap = run_tap(VENDORS[name].tap, Account(found.source.config, found.source.env), state={"bookmarks": bookmarks})
    assert tap.code == 0, tap.log
    globally = {"type": "GLOBAL", "global": {"stream_states": [each["stream"] for each in state]}}
    forms = (state, globally, [globally], {"type": "LEGACY", "data": {"bookmarks": bookmarks}}, state)
    again = found.source.read(incremental, dict(zip(VENDORS, forms, strict=True))[name])
    assert again.code == 0, again.log
    for stream in bookmarks:
        assert rows(again.records.get(stream, [])) == rows(tap.records(stream)), stream
    assert sum(map(len, again.records.values())) <= sum(map(len, found.first.records.values()))
    assert {each["stream"]["stream_descriptor"]["name"] for each in again.state} == set(bookmarks)


def test_everything_can_be_read_afresh(name: str, synced: Callable[[str], Synced]) -> None:
    """A full refresh takes no notice of the state, and ends as one."""
    found = synced(name)
    catalog = {"streams": [{**entry, "sync_mode": "full_refresh"} for entry in found.catalog["streams"]]}
    sync = found.source.read(catalog, found.first.state)
    assert sync.code == 0, sync.log
    for stream, records in found.first.records.items():
        if stream != "server_status":
            assert rows(sync.records[stream]) == rows(records), stream
    assert {json.dumps(each["stream"]["stream_state"]) for each in sync.state} == {
        '{"__ab_no_cursor_state_message": true}'
    }


def test_the_catalog_is_such_that_destinations_take_it(name: str, synced: Callable[[str], Synced]) -> None:
    (catalog,) = synced(name).discovered.of("CATALOG")
    kinds = {kind.name: kind for kind in VENDORS[name].tap.stream_types}
    enabled = VENDORS[name].config.get("enable_streams", ())
    assert {stream["name"] for stream in catalog["streams"]} == {
        each for each, kind in kinds.items() if kind.selected_by_default or each in enabled
    }
    for stream in catalog["streams"]:
        columns, kind = stream["json_schema"]["properties"], kinds[stream["name"]]
        assert [key for (key,) in stream["source_defined_primary_key"]] == list(kind.primary_keys)
        assert stream["default_cursor_field"] == ([kind.replication_key] if kind.replication_key else [])
        assert stream["supported_sync_modes"] == ["full_refresh", *(["incremental"] if kind.replication_key else [])]
        assert not stream["is_resumable"]  # else another attempt's rows are added to what the first one has left
        declared = kind.schemas.get_schema(kind.name)["properties"]
        for column, schema in columns.items():
            marked = schema.get("description", "").endswith("Personal data.")
            assert marked == bool(declared.get(column, {}).get("x-pii")), column
            if "airbyte_type" in schema:
                assert len({*([schema["type"]] if isinstance(schema["type"], str) else schema["type"])} - {"null"}) == 1
            if schema.get("format") == "date-time":
                assert schema["airbyte_type"] == "timestamp_with_timezone"
        text = json.dumps(stream["json_schema"])
        assert not re.search(r'"(?:\$ref|allOf|not|x-[\w.-]+)":|"additionalProperties": false', text)


def test_the_spec_is_made_of_the_settings(name: str, synced: Callable[[str], Synced]) -> None:
    (spec,) = synced(name).source.run("spec").of("SPEC")
    form = spec["connectionSpecification"]
    schema = VENDORS[name].tap.config_jsonschema
    own = {each for each in schema["properties"] if each not in SDK}
    choices = {each for each, member in form["properties"].items() if "oneOf" in member}
    lists = {each for each in form["properties"] if each.endswith("_list")}
    assert form["properties"].keys() - choices - lists == own - {"emit_activate_version_messages"}
    assert len(choices) == (name == "peek")
    assert lists == ({"customers_list"} if name == "pegke" else set())
    assert form["required"] == schema.get("required", [])
    for each, member in form["properties"].items():
        assert member["title"]
        assert isinstance(member["order"], int)
        if each not in choices | lists:
            assert member["description"]
            assert member.get("default") == schema["properties"][each].get("default")
            assert member.get("enum") == schema["properties"][each].get("enum")
    assert marks(form) == secrets(schema)
    assert unshown(form) == []


def unshown(node: Message, path: str = "") -> list[str]:
    """What Airbyte's form cannot show: fields of several types or of none, and objects without members."""
    if node.get("airbyte_hidden"):
        return [path] if isinstance(node.get("type"), list) else []
    members = {**node.get("properties", {}), **{str(number): each for number, each in enumerate(node.get("oneOf", ()))}}
    below = [*members.items(), *([("items", node["items"])] if "items" in node else [])]
    shown = isinstance(node.get("type"), str) and bool(node["type"] != "object" or members)
    return [*([] if shown else [path]), *(each for at, member in below for each in unshown(member, f"{path}/{at}"))]


SDK = {
    *("stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth"),
    *("flattening_separator", "flattening_max_key_length", "batch_config"),
}


def marks(node: Any, path: str = "") -> set[str]:
    """The names of the settings that a form marks as secret."""
    if isinstance(node, list):
        return set().union(*(marks(item, path) for item in node))
    if not isinstance(node, dict):
        return set()
    found = {path} if node.get("airbyte_secret") is True else set()
    for word, value in node.items():
        if word == "properties":
            found |= set().union(*(marks(member, each) for each, member in value.items()))
        elif word in ("items", "oneOf"):
            found |= marks(value, path)
    return found


def secrets(node: Any, path: str = "") -> set[str]:
    """The same for the settings of a tap."""
    found = {path} if node.get("secret") else set()
    for each, member in node.get("properties", {}).items():
        if each not in SDK:
            found |= secrets(member, each)
    if isinstance(node.get("items"), dict):
        found |= secrets(node["items"], path)
    return found
