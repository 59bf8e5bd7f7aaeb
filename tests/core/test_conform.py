"""What becomes of data that the schema does not know, or knows otherwise; of personal data and of secrets."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typing_extensions import override

from tap_core.codec import DEEPEST
from tap_core.errors import ApiError, DriftError
from tap_core.records.fields import Alias
from tap_core.records.masks import Masked
from tests.core.example import ExampleStream, Outcome, TapExample, run, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.records.field import Field
    from tests.core.conftest import Lists

TEXT = {"type": ["string", "null"]}
WHOLE = {"type": ["integer", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
MAP = {"type": ["object", "null"], "additionalProperties": True}
LIST = {"type": ["array", "null"]}
SECRET = {**TEXT, "x-secret": True}
SCHEMA = schema(
    title=TEXT,
    count=WHOLE,
    rate={"type": ["number", "null"]},
    exact={**TEXT, "format": "x-singer.decimal"},
    flag={"type": ["boolean", "null"]},
    at=TIME,
    person={**TEXT, "x-pii": True},
    metadata=MAP,
    charge={**MAP, "properties": {"paid_at": TIME, "amount": WHOLE, "payer": {**TEXT, "x-pii": True}}},
    lines={"type": ["array", "null"], "items": {**MAP, "properties": {"sku": TEXT, "quantity": WHOLE}}},
    owner={**MAP, "x-pii": True, "properties": {"age": WHOLE}},
    guest={**MAP, "additionalProperties": {"x-pii": True}, "properties": {"language": TEXT}},
    entry={**MAP, "properties": {"codes": {**LIST, "items": {**MAP, "properties": {"code": SECRET}}}}},
    settings=MAP,
    balances={**MAP, "x-pii": False},
)


class Things(ExampleStream):
    name = "things"
    path = "/things"
    fields: ClassVar[Sequence[Field]] = (Alias("person", old="human"), Masked("settings"))

    @override
    def declared_schema(self) -> dict[str, Any]:
        return SCHEMA


class PeopleByName(Things):
    """Its key is personal."""

    primary_keys = ("person",)


class TapThings(TapExample):
    stream_types = (Things,)


class TapPeople(TapExample):
    stream_types = (PeopleByName,)


def reads(lists: Lists, *rows: str, tap: type[TapExample] = TapThings, **config: Any) -> Outcome:
    body = b'{"data":[' + ",".join(rows).encode() + b"]}"
    lists.rows["/things"] = lists.server.answer(body=body)
    return run(tap, {**lists.config, **config})


def record(lists: Lists, fields: str, **config: Any) -> dict[str, Any]:
    """The record that comes of a record with these fields, without the key and without nulls."""
    outcome = reads(lists, '{"id":"a",' + fields + "}", **config)
    if outcome.error:
        raise outcome.error
    (found,) = outcome.records("things")
    assert found.pop("id") == "a"
    return {name: value for name, value in found.items() if value is not None}


# The surprise, what a record with it is under `keep`, and the same under `warn`.
DRIFT: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "C5-unknown-top": ('"new":{"a":[1]}', {"_extra": {"new": {"a": [1]}}}, {}),
    "C5-unknown-null": ('"new":null', {"_extra": {"new": None}}, {}),
    "C5-unknown-nested": (
        '"charge":{"amount":1,"new":2}',
        {"charge": {"amount": 1, "new": 2}},
        {"charge": {"amount": 1}},
    ),
    "C5-unknown-in-array": (
        '"lines":[{"sku":"s"},{"new":1}]',
        {"lines": [{"sku": "s"}, {"new": 1}]},
        {"lines": [{"sku": "s"}, {}]},
    ),
    "C5-text-for-integer": ('"count":"42"', {"_extra": {"count": "42"}}, {}),
    "C5-fraction-for-integer": ('"count":1.7', {"_extra": {"count": Decimal("1.7")}}, {}),
    "C5-number-for-text": ('"title":42', {"_extra": {"title": 42}}, {}),
    "C5-number-for-boolean": ('"flag":0', {"_extra": {"flag": 0}}, {}),
    "C5-boolean-for-number": ('"rate":true', {"_extra": {"rate": True}}, {}),
    "C5-object-for-text": ('"title":{"en":"x"}', {"_extra": {"title": {"en": "x"}}}, {}),
    "C5-array-for-object": ('"charge":[1]', {"_extra": {"charge": [1]}}, {}),
    "C5-object-for-array": ('"lines":{"sku":"s"}', {"_extra": {"lines": {"sku": "s"}}}, {}),
    "C5-text-for-time": ('"at":"soon"', {"_extra": {"at": "soon"}}, {}),
    "C5-text-for-decimal": ('"exact":"much"', {"_extra": {"exact": "much"}}, {}),
    "C5-type-nested": (
        '"charge":{"paid_at":false,"amount":1}',
        {"charge": {"paid_at": None, "amount": 1}, "_extra": {"charge.paid_at": False}},
        {"charge": {"paid_at": None, "amount": 1}},
    ),
    "C5-type-in-array": (
        '"lines":[{"quantity":1},{"quantity":"2"},3]',
        {"lines": [{"quantity": 1}, {"quantity": None}, None], "_extra": {"lines[1].quantity": "2", "lines[2]": 3}},
        {"lines": [{"quantity": 1}, {"quantity": None}, None]},
    ),
}


@pytest.mark.parametrize(("fields", "kept", "warned"), DRIFT.values(), ids=DRIFT.keys())
def test_c5_under_keep_nothing_is_lost_and_under_warn_it_is_said(
    lists: Lists, caplog: pytest.LogCaptureFixture, fields: str, kept: dict[str, Any], warned: dict[str, Any]
) -> None:
    with caplog.at_level(logging.WARNING):
        assert record(lists, fields) == kept
        told = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
        assert told
        assert not [line for line in told if re.search(r"\[\d", line)], "one line for all items of an array"
        caplog.clear()
        outcome = reads(lists, *['{"id":"a",' + fields + "}"] * 3, unknown_fields="warn")
    expected = [{"id": "a", **warned}] * 3
    assert [{k: v for k, v in found.items() if v is not None} for found in outcome.records("things")] == expected
    assert "_extra" not in outcome.of("SCHEMA")[0]["schema"]["properties"]
    told = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert told
    assert len(told) == len(set(told))
    assert all("is dropped (unknown_fields is 'warn')" in line for line in told)


@pytest.mark.parametrize("fields", [fields for fields, _, _ in DRIFT.values()], ids=DRIFT.keys())
def test_c5_under_fail_the_stream_fails_and_names_the_place(lists: Lists, fields: str) -> None:
    outcome = reads(lists, '{"id":"b"}', '{"id":"a",' + fields + "}", unknown_fields="fail")
    assert isinstance(outcome.error, DriftError)
    assert str(outcome.error).startswith("things: ")
    assert "unknown_fields is 'fail'" in str(outcome.error)
    assert outcome.error.exit_code == 4
    assert not outcome.of("RECORD")


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        pytest.param('"count":9007199254740993', {"count": 9007199254740993}, id="C5-above-2-53"),
        pytest.param('"count":18446744073709551617', {"count": 18446744073709551617}, id="C5-above-2-64"),
        pytest.param('"rate":0.1', {"rate": Decimal("0.1")}, id="C5-fraction"),
        pytest.param(
            '"rate":1234567890123456.123456789', {"rate": Decimal("1234567890123456.123456789")}, id="C5-long"
        ),
        pytest.param('"exact":1.10', {"exact": "1.10"}, id="C5-decimal-number"),
        pytest.param('"exact":"1.10"', {"exact": "1.10"}, id="C5-decimal-text"),
        pytest.param('"exact":7', {"exact": "7"}, id="C5-decimal-whole"),
        pytest.param('"count":2.0', {"count": 2}, id="C5-whole-with-a-fraction-of-zero"),
    ],
)
@pytest.mark.parametrize("more", ["", ',"new":1'], ids=["typed", "long"])
def test_c5_numbers_are_exact_on_both_ways(lists: Lists, fields: str, value: dict[str, Any], more: str) -> None:
    found = record(lists, fields + more)
    found.pop("_extra", None)
    assert found == value


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_c5_what_is_read_can_be_scrubbed_too(lists: Lists, pii: str) -> None:
    levels = DEEPEST - 3  # the list's envelope, the list, the record
    deep = '{"a":' * levels + '"x"' + "}" * levels
    lists.rows["/things"] = lists.server.answer(body=f'{{"data":[{{"id":"a","new":{deep},"owner":{deep}}}]}}'.encode())
    outcome = run(TapThings, {**lists.config, "pii": pii, "pii_key": "key-of-hashes"})
    assert outcome.error is None
    assert len(outcome.records("things")) == 1


def test_c5_deep_nesting_is_kept(lists: Lists) -> None:
    deep = '{"a":' * 200 + "1" + "}" * 200
    found = record(lists, f'"new":{deep},"metadata":{deep}')
    assert found["_extra"]["new"] == found["metadata"]
    depth, place = 0, found["metadata"]
    while isinstance(place, dict):
        depth, place = depth + 1, place["a"]
    assert (depth, place) == (200, 1)


@pytest.mark.parametrize("row", ['{"title":"x"}', '{"id":null}', '{"id":7}', '{"id":null,"new":1}', "[]", "7", "null"])
def test_c5_a_record_without_a_key_is_left_out_and_told_of_by_name(lists: Lists, row: str) -> None:
    outcome = reads(lists, '{"id":"a"}', row, '{"id":"b"}')
    assert isinstance(outcome.error, ApiError)
    assert str(outcome.error) == "things: everything was read except a record (page 1)"
    assert [record["id"] for record in outcome.records("things")] == ["a", "b"]


def test_a_null_for_anything_but_a_key_is_a_null(lists: Lists) -> None:
    row = ",".join(f'"{name}":null' for name in SCHEMA["properties"] if name != "id")
    assert record(lists, row) == {}


# Personal data

ZAPHOD = '"Zaphod"'
PEOPLE = {
    "declared": '"person":"Zaphod"',
    "nested": '"charge":{"payer":"Zaphod"}',
    "whole-object": '"owner":{"age":7,"who":"Zaphod"}',
    "under-an-old-name": '"human":"Zaphod"',
    "of-another-type": '"person":["Zaphod"]',
    "nested-of-another-type": '"charge":{"payer":["Zaphod"]}',
    "in-an-object-of-another-type": '"owner":["Zaphod"]',
    "member-of-another-type": '"owner":{"age":"Zaphod"}',
    "old-name-of-another-type": '"human":["Zaphod"]',
    "in-the-place-of-an-object-around-it": '"charge":"Zaphod"',
    "in-a-list-in-the-place-of-an-object-around-it": '"charge":[{"who":"Zaphod"}]',
    "unknown-among-personal": '"guest":{"language":"en","shoe":{"size":"Zaphod"}}',
    "unknown-top": '"email":"Zaphod","contact_name":"Zaphod"',
    "unknown-below-unknown": '"new":[[{"phone":"Zaphod"}],{"who":{"birthday":"Zaphod"}}]',
    "unknown-nested": '"charge":{"paypal":"Zaphod"}',
    "unknown-in-array": '"lines":[{"customer_name":"Zaphod"}]',
    "unknown-deep": '"lines":[{"new":{"token":"Zaphod"}}]',
    "unknown-in-another-language": '"titular":"Zaphod","charge":{"correo":"Zaphod"},"x":{"nombre":["Zaphod"]}',
    "unknown-number": '"telefono":"Zaphod","lines":[{"dni":"Zaphod"}]',
    "member-of-an-open-object": '"metadata":{"vorname":"Zaphod","x":[{"name":"Zaphod"}]}',
    "member-in-the-place-of-a-text": '"title":{"apellidos":"Zaphod"}',
    "member-in-the-place-of-a-list": '"lines":{"mail":"Zaphod"}',
    "unknown-with-a-dot": '"a.b":"Zaphod","charge":{"c.d":"Zaphod"}',
}


@pytest.mark.parametrize("fields", PEOPLE.values(), ids=[f"X3-{name}" for name in PEOPLE])
@pytest.mark.parametrize("pii", ["drop", "hash"])
@pytest.mark.parametrize("maps", [None, {"things": {"all": "str(record)"}}], ids=["plain", "stream-maps"])
def test_x3_personal_data_is_gone_wherever_it_turns_up(lists: Lists, fields: str, pii: str, maps: Any) -> None:
    config = {"pii": pii, "pii_key": "secret-enough", **({"stream_maps": maps} if maps else {})}
    outcome = reads(lists, '{"id":"a",' + fields + "}", **config)
    assert outcome.error is None
    assert len(outcome.records("things")) == 1
    assert b"Zaphod" not in outcome.output
    digest = hmac.new(b"secret-enough", b"Zaphod", hashlib.sha256).hexdigest()
    assert (digest.encode() in outcome.output) is (pii == "hash")


@pytest.mark.parametrize("fields", PEOPLE.values(), ids=[f"X3-{name}" for name in PEOPLE])
def test_x3_keep_keeps_it(lists: Lists, fields: str) -> None:
    assert b"Zaphod" in reads(lists, '{"id":"a",' + fields + "}").output


NAMES = {
    "unknown": '"zaphod@example.com":1',
    "unknown-nested": '"charge":{"zaphod@example.com":{"a":1}}',
    "unknown-in-array": '"lines":[{"zaphod@example.com":1}]',
    "below-unknown": '"new":{"zaphod@example.com":1}',
    "in-an-open-object": '"metadata":{"zaphod@example.com":true}',
    "in-the-place-of-a-text": '"title":{"zaphod@example.com":1}',
}


@pytest.mark.parametrize("fields", NAMES.values(), ids=[f"X3-{name}" for name in NAMES])
@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_x3_the_name_of_an_undeclared_member_is_personal_too(lists: Lists, fields: str, pii: str) -> None:
    outcome = reads(lists, '{"id":"a",' + fields + "}", pii=pii, pii_key="secret-enough")
    assert outcome.error is None
    assert b"zaphod@example.com" not in outcome.output
    digest = hmac.new(b"secret-enough", b"zaphod@example.com", hashlib.sha256).hexdigest()
    assert (digest.encode() in outcome.output) is (pii == "hash")


def test_x3_what_is_harmless_stays_and_so_do_nulls_and_booleans(lists: Lists) -> None:
    fields = '"shelf":{"row":7,"who":"Zaphod","full":true},"metadata":{"row":[7],"full":false,"none":null}'
    known = {"pii_key": "secret-enough", "pii_harmless": ["shelf", "row", "full"]}
    dropped = record(lists, fields, pii="drop", **known)
    assert dropped == {"_extra": {"shelf": {"row": 7, "full": True}}, "metadata": {"row": [7], "full": False}}
    hashed = record(lists, fields, pii="hash", **known)
    digest = {text: hmac.new(b"secret-enough", text.encode(), hashlib.sha256).hexdigest() for text in ("who", "none")}
    assert hashed["metadata"] == {"row": [7], "full": False, digest["none"]: None}
    assert hashed["_extra"]["shelf"].keys() == {"row", "full", digest["who"]}


def test_x3_what_was_dropped_is_counted_once_a_stream(lists: Lists, caplog: pytest.LogCaptureFixture) -> None:
    row = '{{"id":"{}","new":{{"a":1}},"metadata":{{"b":1,"c":2}}}}'
    reads(lists, *(row.format(number) for number in range(3)), pii="drop", pii_key="secret-enough")
    (line,) = [line for line in caplog.messages if "pii_harmless" in line]
    assert line.startswith("things: 9 values that the schema does not know were dropped")


def test_x3_an_object_marked_as_harmless_stays(lists: Lists) -> None:
    assert record(lists, '"balances":{"EUR":{"due":1}}', pii="drop", pii_key="k")["balances"] == {"EUR": {"due": 1}}


def test_x3_a_personal_key_is_hashed_and_never_dropped(lists: Lists) -> None:
    row = '{"id":"a","person":"Zaphod"}'
    hashed = reads(lists, row, tap=TapPeople, pii="hash", pii_key="secret-enough")
    dropped = reads(lists, row, tap=TapPeople, pii="drop", pii_key="secret-enough")
    digest = hmac.new(b"secret-enough", b"Zaphod", hashlib.sha256).hexdigest()
    assert hashed.records("things")[0]["person"] == dropped.records("things")[0]["person"] == digest


@pytest.mark.parametrize("name", ["charge", "amount", "quantity", "new", "title"])
def test_dropped_fields_are_gone_wherever_they_stand(lists: Lists, name: str) -> None:
    fields = (
        '"title":7,"charge":{"amount":[7],"new":7},"lines":[{"quantity":"7","amount":7},{"new":{"amount":7}}],'
        '"new":{"quantity":7,"deep":[[{"amount":7}]]}'
    )
    outcome = reads(lists, '{"id":"a",' + fields + "}", drop_fields=[name])
    assert f'{name}":'.encode() not in outcome.output
    assert outcome.error is None


def test_a_deselected_column_does_not_come_back_in_the_catch_all(lists: Lists) -> None:
    catalog = TapThings(config=lists.config).catalog_dict
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"][-1:] in (("title",), ["title"]):
            entry["metadata"]["selected"] = False
    lists.rows["/things"] = [{"id": "a", "title": [7], "count": [8]}]
    (found,) = run(TapThings, lists.config, catalog=catalog).records("things")
    assert found["_extra"] == {"count": [8]}


# Secrets in the data


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ('{"a":"secret","b":{"c":[1,true,null]}}', {"a": "***", "b": {"c": ["***", "***", None]}}),
        ('[{"a":"secret"},{"b":2}]', {"a": "***", "b": "***"}),
        ('"secret"', {"values": ["***"]}),
        ("12345", {"values": ["***"]}),
        ("true", {"values": ["***"]}),
        ("[]", {}),
    ],
    ids=["map", "array-of-maps", "text", "number", "boolean", "empty"],
)
@pytest.mark.parametrize("more", ["", ',"new":1'], ids=["typed", "long"])
def test_secrets_are_masked_leaf_by_leaf(lists: Lists, value: str, masked: Any, more: str) -> None:
    assert record(lists, f'"settings":{value}{more}')["settings"] == masked


def test_secrets_stay_where_masking_is_switched_off(lists: Lists) -> None:
    assert record(lists, '"settings":{"a":"secret"}', mask_secrets=False)["settings"] == {"a": "secret"}


HIDDEN = {
    "object-for-array": '"entry":{"codes":{"code":"secret","kind":"qr"}}',
    "array-for-object": '"entry":[{"codes":[{"code":"secret","kind":"qr"}]}]',
    "unknown-top": '"ticket":{"code":{"qr":["secret"]},"kind":"qr"}',
    "unknown-nested": '"guest":{"code":"secret","kind":"qr"}',
    "without-a-name": '"entry":{"codes":["secret"]},"kind":"qr"',
    "text-for-object": '"entry":"secret","kind":"qr"',
}


@pytest.mark.parametrize("fields", HIDDEN.values(), ids=HIDDEN)
def test_secrets_are_masked_where_nobody_expects_them(lists: Lists, fields: str) -> None:
    outcome = reads(lists, '{"id":"a",' + fields + "}")
    assert len(outcome.records("things")) == 1
    assert b"secret" not in outcome.output.replace(b"x-secret", b"")
    assert b'"qr"' in outcome.output
    assert b"secret" in reads(lists, '{"id":"a",' + fields + "}", mask_secrets=False).output.replace(b"x-secret", b"")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("note", "unknown field note is kept"),
        ("note_2", "unknown field note_2 is kept"),
        ("anna@example.com", None),
        ("Anna Smith", None),
        ("+39 333 1234567", None),
        ("4711000001", None),
        ("user-4711000001", None),
        ("", None),
    ],
)
def test_x2_a_members_name_that_is_no_field_is_not_logged(
    lists: Lists, caplog: pytest.LogCaptureFixture, name: str, shown: str | None
) -> None:
    lists.rows["/places"] = [{"id": "a", name: 1}]
    with caplog.at_level(logging.WARNING):
        outcome = run(TapExample, lists.config)
    assert outcome.records("places")[0]["_extra"] == {name: 1}
    assert (shown or "unknown field whose name is not shown is kept") in caplog.text
    assert shown or not name or name not in caplog.text
