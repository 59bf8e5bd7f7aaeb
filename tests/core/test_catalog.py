"""Catalogs and stream maps that a user hands in: what they may say, and what is refused before anything is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tap_core.errors import ConfigError
from tests.core.example import TapExample, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.conftest import Lists

CANARY = "canary-7f3a9c"
GOOD: dict[str, Any] = {"api_key": "key-1234"}
AT = "2024-03-01T00:00:00.000000Z"


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        TapExample(**{"config": GOOD, **options})
    assert CANARY not in str(caught.value)
    return str(caught.value)


CATALOGS: dict[str, Any] = {
    "C1-no-streams": {"strims": []},
    "C1-streams-object": {"streams": {"orders": {}}},
    "C1-stream-text": {"streams": ["orders"]},
    "C1-stream-without-id": {"streams": [{"stream": "orders", "schema": {"properties": {"id": {}}}}]},
    "C1-stream-without-schema": {"streams": [{"tap_stream_id": "orders", "metadata": []}]},
    "C1-metadata": {
        "streams": [{"tap_stream_id": "orders", "schema": {"properties": {"id": {}}}, "metadata": [{"breadcrumb": []}]}]
    },
}


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS.keys())
def test_c1_a_catalog_of_another_form_is_told(catalog: dict[str, Any]) -> None:
    message = refusal(catalog=catalog)
    assert message.startswith("the catalog")
    assert message.endswith("; --discover writes a new catalog")


def discovered(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> dict[str, Any]:
    """The example's catalog, each entry and its stream's metadata changed."""
    catalog: dict[str, Any] = json.loads(json.dumps(TapExample(config=GOOD).catalog_dict))
    for entry in catalog["streams"]:
        change(entry, next(item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]))
    return catalog


def without_keys(entry: dict[str, Any], root: dict[str, Any]) -> None:
    for name in ("key_properties", "replication_key", "replication_method", "stream"):
        entry.pop(name, None)
    for name in ("table-key-properties", "replication-key", "forced-replication-method", "valid-replication-keys"):
        root.pop(name, None)


def test_c7_a_catalog_that_leaves_keys_out_leaves_them_as_they_are(lists: Lists) -> None:
    lists.rows["/orders"] = [{"id": "a", "at": AT}]
    outcome = run(TapExample, lists.config, catalog=discovered(without_keys))
    (message,) = outcome.of("SCHEMA", "orders")
    assert (message["key_properties"], message["bookmark_properties"]) == (["id"], ["at"])
    assert outcome.state["orders"]["replication_key_value"] == AT


@pytest.mark.parametrize(
    ("where", "name", "value", "complaint"),
    [
        pytest.param(0, "key_properties", ["at"], "changes the key properties", id="C1-keys"),
        pytest.param(1, "table-key-properties", ["at"], "changes the key properties", id="C1-keys-in-metadata"),
        pytest.param(0, "replication_key", "name", "changes the replication key", id="C1-replication-key"),
        pytest.param(1, "replication-key", "name", "changes the replication key", id="C1-replication-key-in-metadata"),
        pytest.param(1, "replication-method", "LOG_BASED", "a replication method that", id="C1-method"),
        pytest.param(0, "stream", "sales", "gives stream 'orders' another name", id="C1-name"),
    ],
)
def test_c1_a_catalog_that_changes_what_records_rest_on_is_refused(
    where: int, name: str, value: Any, complaint: str
) -> None:
    def change(*entry_and_root: dict[str, Any]) -> None:
        if entry_and_root[0]["tap_stream_id"] == "orders":
            without_keys(*entry_and_root)
            entry_and_root[where][name] = value

    message = refusal(catalog=discovered(change))
    assert complaint in message
    assert "'orders'" in message


def test_c1_a_stream_without_a_marker_cannot_be_incremental() -> None:
    message = refusal(catalog=discovered(lambda _, root: root.update({"replication-method": "INCREMENTAL"})))
    assert message.endswith("does not support; it supports FULL_TABLE")


@pytest.mark.parametrize("name", ["replication-method", "forced-replication-method"])
def test_c7_a_catalog_may_ask_for_full_tables(lists: Lists, name: str) -> None:
    lists.rows["/orders"] = [{"id": "a", "at": AT}]
    state = {"bookmarks": {"orders": {"replication_key": "at", "replication_key_value": "2024-06-01T00:00:00Z"}}}
    config = {**lists.config, "client_filter": True}
    assert run(TapExample, config, state=state).records("orders") == []
    catalog = discovered(lambda _, root: root.update({name: "FULL_TABLE"}))
    outcome = run(TapExample, config, state=state, catalog=catalog)
    assert [record["id"] for record in outcome.records("orders")] == ["a"]
    assert outcome.state == state["bookmarks"]


@pytest.mark.parametrize(
    ("maps", "complaint"),
    [
        pytest.param({"order": {}}, "names 'order'; the streams are events, orders", id="C1-no-such-stream"),
        pytest.param({"sales": {"__source__": "order"}}, "names 'order'; the streams are", id="C1-no-such-source"),
        pytest.param({"orders": {"x": f"{CANARY} +"}}, ".orders.x' is not an expression", id="C1-expression"),
        pytest.param({"orders": {"x": f" {CANARY}"}}, ".orders.x' is not an expression", id="C1-blank"),
        pytest.param({"orders": {"x": "a = 1"}}, ".orders.x' is not an expression", id="C1-statement"),
        pytest.param({"orders": {"__filter__": "id =="}}, ".orders.__filter__' is not an expression", id="C1-filter"),
        pytest.param({"orders": {"id": None}}, "Removing key property 'id' is not permitted", id="C1-key-removed"),
        pytest.param({"orders": {"__key_properties__": ["x"]}}, "'x' was not detected", id="C1-key-unknown"),
        pytest.param({"orders": {"x": 1}}, ".orders.x' is not an expression", id="C1-number"),
        pytest.param({"orders": ["x"]}, ".orders' must be of type object, or null", id="C1-list"),
        pytest.param([CANARY], "' must be of type object", id="C1-no-object"),
        pytest.param({"__else__": CANARY}, ".__else__' must be of type object, or null", id="C1-else"),
        pytest.param({"__elsa__": None}, "'__elsa__:None' is not expected", id="C1-option"),
    ],
)
def test_c1_a_stream_map_that_cannot_work_is_told(maps: dict[str, Any], complaint: str) -> None:
    message = refusal(config={**GOOD, "stream_maps": maps})
    assert message.startswith("setting 'stream_maps")
    assert complaint in message


def test_stream_maps_that_work_pass() -> None:
    maps = {
        "orders": {"__alias__": "sales", "id": "id", "x": "self or 'x'", "y": None, "__key_properties__": ["id"]},
        "place*": "__NULL__",
        "copy": {"__source__": "events", "id": "id", "__else__": None, "__filter__": "id != ''"},
        "__else__": "__NULL__",
    }
    mapped = TapExample(config={**GOOD, "stream_maps": maps}).mapper.stream_maps
    assert [each.stream_alias for each in mapped["orders"]] == ["sales"]
    assert [each.stream_alias for each in mapped["events"]] == ["events", "copy"]


# Maps of what is not read


@pytest.mark.parametrize(
    "maps",
    [
        {"*": {"__alias__": "'x_' + __stream_name__"}},
        {"*": {"loaded_by": "str('tap')"}},
        {"*": {"__filter__": "True"}},
        {"secrets": {"no_such_key": None, "loaded_by": "str('tap')"}, "*": {}},
        {"copy": {"__source__": "secrets", "x": "id"}},
        {"secrets": None},
    ],
    ids=["alias", "column", "filter", "off", "copy-of-off", "null"],
)
@pytest.mark.parametrize("chosen", [None, "orders", "places"])
def test_c7_what_is_not_read_needs_no_map(lists: Lists, maps: dict[str, Any], chosen: str | None) -> None:
    def choose(entry: dict[str, Any], root: dict[str, Any]) -> None:
        root["selected"] = entry["tap_stream_id"] == chosen

    lists.rows |= {"/orders": [{"id": "a", "at": AT}], "/places": [{"id": "a"}]}
    outcome = run(TapExample, {**lists.config, "stream_maps": maps}, catalog=discovered(choose) if chosen else None)
    assert outcome.error is None
    prefix = "x_" if "__alias__" in maps.get("*", {}) else ""
    expected = {f"{prefix}{chosen}"} if chosen else {f"{prefix}orders", f"{prefix}places"}
    assert {message["stream"] for message in outcome.of("RECORD")} == expected


def test_c7_a_stream_that_a_setting_switches_on_is_mapped(lists: Lists) -> None:
    lists.rows["/secrets"] = [{"id": "a"}]
    config = {**lists.config, "enable_streams": ["secrets"], "stream_maps": {"*": {"by": "str('tap')"}}}
    catalog = discovered(lambda _, root: root.update({"selected": False}))
    assert run(TapExample, config, catalog=catalog).records("secrets") == [{"id": "a", "by": "tap"}]


# Types

Change = dict[str, Any]
REFUSED: dict[str, tuple[str, Change, str]] = {
    "C7-type": ("name", {"type": ["integer", "null"]}, "changes the type of 'orders.name' from null or string to"),
    "C7-object-to-text": ("parts", {"type": ["string", "null"]}, "changes the type of 'orders.parts'"),
    "C7-never-null": ("name", {"type": "string"}, "changes the type of 'orders.name'"),
    "C7-format": ("at", {"format": "date"}, "changes the format of 'orders.at'"),
    "C7-new-format": ("name", {"format": "date-time"}, "changes the format of 'orders.name'"),
    "C7-limit": ("name", {"maxLength": 3}, "limits the values of 'orders.name' (maxLength)"),
    "C7-choice": ("name", {"enum": ["a"]}, "limits the values of 'orders.name' (enum)"),
    "C7-inside": (
        "parts",
        {"items": {"type": ["object", "null"], "properties": {"sku": {"type": ["integer", "null"]}}}},
        "changes the type of 'orders.parts[].sku'",
    ),
    "C7-no-schema": ("name", {"anyOf": [{"type": "integer"}, {"type": "null"}], "type": None}, "changes the type"),
}


def changed(name: str, change: Change) -> dict[str, Any]:
    def apply(entry: dict[str, Any], _root: dict[str, Any]) -> None:
        if entry["tap_stream_id"] == "orders":
            member = entry["schema"]["properties"].setdefault(name, {})
            member.update(change)
            for word in [word for word, value in change.items() if value is None]:
                del member[word]

    return discovered(apply)


@pytest.mark.parametrize(("name", "change", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_c7_a_catalog_that_records_do_not_fit_is_refused(name: str, change: Change, complaint: str) -> None:
    message = refusal(catalog=changed(name, change))
    assert message.startswith("the catalog ")
    assert complaint in message
    assert "--discover writes a new catalog" in message


FITTED: dict[str, tuple[str, Change]] = {
    "more-types": ("name", {"type": ["string", "integer", "null"]}),
    "without-type": ("name", {"type": None}),
    "without-format": ("at", {"format": None}),
    "without-mark": ("name", {"x-pii": None}),
    "hint": ("name", {"x-sql-datatype": "VARCHAR(10)", "description": "mine"}),
    "nullable-key": ("id", {"type": ["string", "null"]}),
    "not-there": ("mine", {"type": ["string", "null"]}),
    "closed": ("parts", {"additionalProperties": False}),
}


@pytest.mark.parametrize(("name", "change"), FITTED.values(), ids=FITTED.keys())
def test_c7_schema_and_records_agree_whatever_a_catalog_says(
    lists: Lists, name: str, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    lists.rows["/orders"] = [
        {"id": "a", "at": "2024-03-01T00:00:00Z", "name": None, "parts": [{"sku": "x", "more": 1}]},
        {"id": "b", "at": None, "name": "n", "parts": None},
    ]
    outcome = run(TapExample, lists.config, catalog=changed(name, change))
    assert outcome.error is None
    (message,) = outcome.of("SCHEMA", "orders")
    for record in outcome.records("orders"):
        jsonschema.validate(record, message["schema"])
        assert record.keys() <= message["schema"]["properties"].keys()
    assert message["schema"]["properties"]["name"]["x-pii"] is True
    assert ("'orders.mine', which the stream does not have" in caplog.text) == (name == "mine")


def test_c7_keys_that_a_catalog_leaves_out_are_there_all_the_same(lists: Lists) -> None:
    def without(entry: dict[str, Any], _root: dict[str, Any]) -> None:
        for name in ("id", "at"):
            entry["schema"]["properties"].pop(name, None)

    lists.rows["/orders"] = [{"id": "a", "at": AT, "name": "n"}]
    outcome = run(TapExample, lists.config, catalog=discovered(without))
    assert outcome.records("orders") == [{"id": "a", "at": AT, "name": "n"}]


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_x3_a_catalog_that_was_made_without_the_policy_changes_nothing(lists: Lists, pii: str) -> None:
    lists.rows["/orders"] = [{"id": "a", "at": AT, "name": CANARY}]
    config = {**lists.config, "pii": pii, "pii_key": "key-of-hashes"}
    outcome = run(TapExample, config, catalog=discovered(lambda *_: None))
    (message,) = outcome.of("SCHEMA", "orders")
    assert ("name" in message["schema"]["properties"]) == (pii == "hash")
    assert CANARY not in outcome.output.decode()
