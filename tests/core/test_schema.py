"""The schema that a target is shown agrees with the records, whatever the settings."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from typing_extensions import override

from tap_core.errors import ConfigError
from tap_core.records.fields import Alias
from tap_core.records.policy import Policy
from tap_core.records.schema import EXTRA, emitted_schema, kinds_of, marked, names_in, record_node, with_extra
from tests.core.example import Places, TapExample, run, schema

if TYPE_CHECKING:
    from tests.core.conftest import Lists

CANARY = "canary-7f3a9c"
TEXT = {"type": ["string", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
MAP = {"type": ["object", "null"], "additionalProperties": True}
SCHEMA = schema(
    born={**TIME, "x-pii": True},
    age={"type": ["integer", "null"], "x-pii": True},
    owner={**MAP, "x-pii": True, "properties": {"age": {"type": ["integer", "null"]}}},
    charge={**MAP, "properties": {"payer": {**TEXT, "x-pii": True}, "amount": TEXT}},
    lines={"type": ["array", "null"], "items": {**MAP, "properties": {"sku": TEXT, "who": {**TEXT, "x-pii": True}}}},
)
HASH = Policy(pii="hash", pii_key=b"k")


def emitted(policy: Policy, *, keys: tuple[str, ...] = ("id",), replication_key: str | None = None) -> dict[str, Any]:
    return emitted_schema(SCHEMA, keys=keys, replication_key=replication_key, policy=policy)


def test_the_files_schema_is_never_changed() -> None:
    before = deepcopy(SCHEMA)
    for policy in (Policy(), HASH, Policy(pii="drop"), Policy(drop_fields=frozenset({"sku", "age"}))):
        emitted(policy)
        record_node(with_extra(SCHEMA), (), keys=("id",), selected=lambda _crumb: True, policy=policy)
    assert before == SCHEMA


@pytest.mark.parametrize(("unknown_fields", "there"), [("keep", True), ("warn", False), ("fail", False)])
def test_the_catch_all_column_is_there_where_it_is_used(unknown_fields: Any, there: bool) -> None:
    assert (EXTRA in emitted(Policy(unknown_fields=unknown_fields))["properties"]) is there


def test_x3_what_is_dropped_is_not_in_the_schema() -> None:
    assert set(names_in(emitted(Policy(pii="drop")))) == {"id", "charge", "amount", "lines", "sku", EXTRA}


def test_x3_a_hash_is_text_whatever_was_hashed() -> None:
    properties = emitted(HASH)["properties"]
    assert properties["born"] == {"type": ["string", "null"], "x-pii": True}
    assert properties["age"]["type"] == ["string", "null"]
    assert properties["owner"]["type"] == ["object", "null"]
    assert properties["owner"]["properties"]["age"]["type"] == ["string", "null"]
    assert properties["lines"]["items"]["properties"]["sku"] == TEXT


PERSONAL = {"type": ["string", "null"], "x-pii": True}
SHAPES: dict[str, tuple[dict[str, Any], Any]] = {
    "anyOf": ({"anyOf": [PERSONAL, {"type": "integer"}]}, CANARY),
    "oneOf": ({"oneOf": [{"type": "null"}, PERSONAL]}, CANARY),
    "allOf": ({"allOf": [PERSONAL]}, CANARY),
    "member-of-a-branch": ({"anyOf": [{"type": "object", "properties": {"who": PERSONAL}}]}, {"who": CANARY}),
    "items-of-a-branch": ({"oneOf": [{"type": "array", "items": PERSONAL}, {"type": "null"}]}, [CANARY]),
    "branch-of-items": ({"type": ["array", "null"], "items": {"anyOf": [PERSONAL]}}, [CANARY]),
    "items-by-place": ({"type": ["array", "null"], "items": [{"type": "integer"}, PERSONAL]}, [1, CANARY]),
    "prefixItems": ({"type": ["array", "null"], "prefixItems": [PERSONAL]}, [CANARY]),
    "branch-of-a-member": ({**MAP, "properties": {"a": {"anyOf": [PERSONAL]}}}, {"a": CANARY}),
    "branch-in-a-branch": ({"anyOf": [{"oneOf": [{"allOf": [PERSONAL]}]}]}, CANARY),
    "pattern": ({**MAP, "patternProperties": {"^x": PERSONAL}}, {"x1": CANARY}),
}


@pytest.mark.parametrize("pii", ["drop", "hash"])
@pytest.mark.parametrize(("member", "value"), SHAPES.values(), ids=SHAPES.keys())
def test_x3_a_mark_in_one_shape_of_a_property_counts(
    lists: Lists, pii: str, member: dict[str, Any], value: Any
) -> None:
    class Shaped(Places):
        @override
        def declared_schema(self) -> dict[str, Any]:
            return schema(field=member)

    class TapShaped(TapExample):
        stream_types = (Shaped,)

    lists.rows["/places"] = [{"id": "a", "field": value}, {"id": "b", "field": None}, {"id": "c"}]
    outcome = run(TapShaped, {**lists.config, "pii": pii, "pii_key": "key-of-hashes"})
    assert outcome.error is None
    assert CANARY not in outcome.output.decode()
    (message,) = outcome.of("SCHEMA", "places")
    for record in outcome.records("places"):
        jsonschema.validate(record, message["schema"])
    found = outcome.records("places")[0].get("field")
    assert bool(found) == (pii == "hash")


def test_marks_are_put_back_at_every_level_and_nothing_else_is() -> None:
    bare = {"properties": {"name": TEXT, "born": TIME, "lines": {"items": {"properties": {"sku": TEXT, "who": TEXT}}}}}
    assert marked(bare, SCHEMA) == {
        "properties": {
            "name": TEXT,
            "born": {**TIME, "x-pii": True},
            "lines": {"items": {"properties": {"sku": TEXT, "who": {**TEXT, "x-pii": True}}}},
        }
    }


def test_dropped_fields_go_from_every_level() -> None:
    names = set(names_in(emitted(Policy(drop_fields=frozenset({"sku", "age"})))))
    assert not names & {"sku", "age"}
    assert {"lines", "owner"} <= names


@pytest.mark.parametrize("name", ["id", "born"])
def test_keys_and_replication_keys_cannot_be_dropped(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'drop_fields' names '{name}'"):
        emitted(Policy(drop_fields=frozenset({name})), replication_key="born")


def test_x3_personal_keys_stay_as_text() -> None:
    for policy in (HASH, Policy(pii="drop", pii_key=b"k")):
        assert emitted(policy, keys=("age",))["properties"]["age"]["type"] == ["string", "null"]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string"}),
        ({"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}, {"type": "null"}]}, {"string", "integer"}),
        ({"oneOf": [{"type": "object"}, {"type": "array"}]}, {"object", "array"}),
        ({}, {"string", "integer", "number", "boolean", "object", "array"}),
    ],
)
def test_kinds_are_the_types_without_null(given: dict[str, Any], kinds: set[str]) -> None:
    assert kinds_of(given) == kinds


def test_inputs_stand_in_the_tree_and_are_not_emitted() -> None:
    root = record_node(
        with_extra(SCHEMA), (Alias("age", old="years"),), keys=("id",), selected=lambda _crumb: True, policy=Policy()
    )
    assert root.properties is not None
    assert root.properties["years"].drop
    assert root.properties["years"].kinds == {"integer"}
    assert not root.properties["age"].drop
    assert not root.properties["years"].withheld


def test_deselected_and_dropped_places_are_withheld() -> None:
    root = record_node(
        with_extra(SCHEMA),
        (),
        keys=("id",),
        selected=lambda crumb: crumb[-1:] != ("amount",),
        policy=Policy(pii="drop"),
    )
    withheld = {path for path, place in root.places() if place.withheld}
    assert withheld == {"born", "age", "owner", "charge.payer", "charge.amount", "lines.who"}


@pytest.mark.parametrize("policy", [Policy(), HASH, Policy(pii="drop"), Policy(unknown_fields="warn")])
def test_what_is_emitted_is_a_valid_schema(policy: Policy) -> None:
    jsonschema.Draft202012Validator.check_schema(emitted(policy))
