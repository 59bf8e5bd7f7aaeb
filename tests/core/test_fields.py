"""Each transform, over compiled types and over plain dictionaries: the same in both, and as its docstring says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_core import codec
from tap_core.errors import ApiError
from tap_core.records.columns import Surprise
from tap_core.records.dialect import Dialect
from tap_core.records.fast_path import FastPath
from tap_core.records.fields import Alias, AsInteger, AsText, Chosen, Default, FromContext, Latest, Nested, Reference
from tap_core.records.keys import SurrogateKey
from tap_core.records.masks import Masked, MaskedUrl
from tap_core.records.policy import Policy
from tap_core.records.schema import record_node, with_extra
from tap_core.records.slow_path import SlowPath
from tap_core.timestamps import iso_text
from tests.core.example import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.records.field import Context, Field

TEXT = {"type": ["string", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
MAP = {"type": ["object", "null"], "additionalProperties": True}
SCHEMA = schema(
    a=TEXT,
    b=TEXT,
    url=TEXT,
    customer=MAP,
    customer_id=TEXT,
    secrets=MAP,
    first=TIME,
    charge={**MAP, "properties": {"paid_at": TIME}},
    latest=TIME,
    lines={"type": ["array", "null"], "items": {**MAP, "properties": {"thing": MAP, "thing_id": TEXT}}},
    part={**MAP, "properties": {"thing": MAP, "thing_id": TEXT}},
    parent={"type": ["integer", "null"]},
    _key=TEXT,
    _window_start=TIME,
)


def ways(fields: Sequence[Field], policy: Policy) -> tuple[SlowPath, FastPath | None]:
    root = record_node(with_extra(SCHEMA), fields, keys=("id",), selected=lambda _crumb: True, policy=policy)
    dialect = Dialect(time=iso_text)
    told: list[str] = []
    conformer = SlowPath(
        stream="things", root=root, keys=("id",), fields=fields, dialect=dialect, policy=policy, warn=told.append
    )
    if not FastPath.supports(root):
        return conformer, None
    return conformer, FastPath(root=root, keys=("id",), fields=fields, dialect=dialect, policy=policy)


def shaped(
    fields: Sequence[Field], *rows: str, scope: Context | None = None, policy: Policy | None = None
) -> list[Any]:
    """The records that come of these, by both ways; without keys."""
    sources = [msgspec.Raw(b'{"id":"x"%s}' % (b"," + row.encode() if row else b"")) for row in rows]
    conformer, typed = ways(fields, policy or Policy())
    one = dict(scope or {})
    records = [json.loads(codec.encode(conformer.conform(codec.decode(row), one))) for row in sources]
    if typed is not None and any("_extra" in record for record in records):
        with pytest.raises(Surprise):  # such a record takes the slow path alone
            typed.read(sources, dict(scope or {}))
    elif typed is not None:
        lines = FastPath.lines(typed.read(sources, dict(scope or {})))
        assert [json.loads(line) for line in lines] == records
    for record in records:
        assert record.pop("id") == "x"
    return records


CASES: dict[str, tuple[Field, str, dict[str, Any]]] = {
    "alias-old": (Alias("a", old="z"), '"z":"1"', {"a": "1"}),
    "alias-new": (Alias("a", old="z"), '"a":"1"', {"a": "1"}),
    "alias-both": (Alias("a", old="z"), '"a":"1","z":"2"', {"a": "1", "_extra": {"z": "2"}}),
    "alias-same": (Alias("a", old="z"), '"a":"1","z":"1"', {"a": "1"}),
    "alias-null": (Alias("a", old="z"), '"a":null,"z":"2"', {"a": "2"}),
    "alias-none": (Alias("a", old="z"), "", {}),
    "alias-path": (Alias("a", old="hook.to.url", schema=MAP), '"hook":{"to":{"url":"u"}}', {"a": "u"}),
    "alias-path-among-others": (
        Alias("a", old="hook.to.url", schema=MAP),
        '"hook":{"to":{"url":"u","y":null},"x":1}',
        {"a": "u", "_extra": {"hook": {"x": 1, "to": {"y": None}}}},
    ),
    "alias-path-cut": (Alias("a", old="hook.to.url", schema=MAP), '"hook":{"to":7}', {"_extra": {"hook": {"to": 7}}}),
    "as-text": (AsText(("a", "b")), '"a":7,"b":"7"', {"a": "7", "b": "7"}),
    "as-text-large": (AsText(("a",)), '"a":123456789012345678901', {"a": "123456789012345678901"}),
    "as-integer": (AsInteger(("parent",)), '"parent":"12"', {"parent": 12}),
    "as-integer-already": (AsInteger(("parent",)), '"parent":12', {"parent": 12}),
    "as-integer-no-digits": (AsInteger(("parent",)), '"parent":"1-2"', {"parent": None, "_extra": {"parent": "1-2"}}),
    "reference-id": (Reference("customer"), '"customer":"c1"', {"customer_id": "c1"}),
    "reference-number": (Reference("customer"), '"customer":7', {"customer_id": "7"}),
    "reference-stub": (Reference("customer"), '"customer":{"id":"c1","object":"customer"}', {"customer_id": "c1"}),
    "reference-kept-stub": (
        Reference("customer", keep_stub=True),
        '"customer":{"id":"c1"}',
        {"customer_id": "c1", "customer": {"id": "c1"}},
    ),
    "reference-object": (
        Reference("customer"),
        '"customer":{"id":"c1","name":"n"}',
        {"customer_id": "c1", "customer": {"id": "c1", "name": "n"}},
    ),
    "reference-other-key": (
        Reference("customer", to="a", keys=("token", "id")),
        '"customer":{"id":"c1","token":"t1"}',
        {"a": "t1", "customer": {"id": "c1", "token": "t1"}},
    ),
    "reference-without-id": (
        Reference("customer"),
        '"customer":{"name":"n"}',
        {"customer": {"name": "n"}},
    ),
    "reference-null": (Reference("customer"), '"customer":null', {"customer": None}),
    "reference-given-already": (Reference("customer"), '"customer_id":"c2"', {"customer_id": "c2"}),
    "latest": (
        Latest("latest", of=("first", "charge.paid_at")),
        '"first":"2024-01-01T00:00:00Z","charge":{"paid_at":"2024-01-01T01:00:00+00:30"}',
        {
            "first": "2024-01-01T00:00:00.000000Z",
            "charge": {"paid_at": "2024-01-01T00:30:00.000000Z"},
            "latest": "2024-01-01T00:30:00.000000Z",
        },
    ),
    "latest-of-one": (
        Latest("latest", of=("first", "charge.paid_at")),
        '"charge":{"paid_at":"2024-01-01T00:00:00Z"},"first":null',
        {"first": None, "charge": {"paid_at": "2024-01-01T00:00:00.000000Z"}, "latest": "2024-01-01T00:00:00.000000Z"},
    ),
    "latest-of-none": (Latest("latest", of=("first", "charge.paid_at")), '"charge":null', {"charge": None}),
    "from-context": (FromContext(("parent", "_window_start")), '"parent":7', {"parent": 7, "_window_start": "w"}),
    "from-context-beside-another": (
        FromContext(("parent", "_window_start")),
        '"parent":1',
        {"parent": 7, "_window_start": "w", "_extra": {"parent": 1}},
    ),
    "masked": (
        Masked("secrets"),
        '"secrets":{"a":[1,{"b":"x"}],"n":null}',
        {"secrets": {"a": ["***", {"b": "***"}], "n": None}},
    ),
    "masked-maps": (Masked("secrets"), '"secrets":[{"a":1},{"b":2}]', {"secrets": {"a": "***", "b": "***"}}),
    "masked-overlapping-maps": (
        Masked("secrets"),
        '"secrets":[{"a":1},{"a":2}]',
        {"secrets": {"values": [{"a": "***"}, {"a": "***"}]}},
    ),
    "masked-member": (
        Masked("customer.keys"),
        '"customer":{"keys":{"k":"x"},"name":"n"}',
        {"customer": {"keys": {"k": "***"}, "name": "n"}},
    ),
    "masked-deep": (
        Masked("customer.card.keys"),
        '"customer":{"card":{"keys":[{"k":"x"}],"n":1.5},"keys":2}',
        {"customer": {"card": {"keys": {"k": "***"}, "n": 1.5}, "keys": 2}},
    ),
    "masked-escaped": (
        Masked("customer.card.keys"),
        '"customer":{"card":{"\\u006beys":"x"}}',
        {"customer": {"card": {"keys": "***"}}},
    ),
    "masked-nowhere": (
        Masked("customer.card.keys"),
        '"customer":{"card":["keys"],"n":1}',
        {"customer": {"card": ["keys"], "n": 1}},
    ),
    "masked-member-absent": (Masked("customer.keys"), '"customer":{"name":"n"}', {"customer": {"name": "n"}}),
    "masked-url": (MaskedUrl("url"), '"url":"https://u:p@example.com/a@b"', {"url": "https://***@example.com/a@b"}),
    "nested-array": (
        Nested("lines", (Reference("thing"),)),
        '"lines":[{"thing":"t1"},null,{"thing":null}]',
        {"lines": [{"thing_id": "t1"}, None, {"thing": None}]},
    ),
    "nested-object": (Nested("part", (Reference("thing"),)), '"part":{"thing":7}', {"part": {"thing_id": "7"}}),
    "nested-null": (Nested("part", (Reference("thing"),)), '"part":null', {"part": None}),
    "default-constant": (Default("a", value="none"), '"a":null', {"a": "none"}),
    "default-column": (Default("a", column="b"), '"b":"x"', {"a": "x", "b": "x"}),
    "default-column-first": (Default("a", value="none", column="b"), '"b":null', {"a": "none", "b": None}),
    "default-not-needed": (Default("a", value="none"), '"a":""', {"a": ""}),
    "chosen": (Chosen("a", by="which", among=("b", "parent"), none="-"), '"parent":7', {"a": "7", "parent": 7}),
    "chosen-given": (Chosen("a", by="which", among=("b", "parent"), none="-"), '"a":"x"', {"a": "x"}),
    "chosen-nothing": (Chosen("a", by="which", among=("b", "parent"), none="-"), '"b":"x"', {"a": "-", "b": "x"}),
}


@pytest.mark.parametrize(("field", "row", "expected"), CASES.values(), ids=CASES.keys())
def test_a_transform_does_what_it_says(field: Field, row: str, expected: dict[str, Any]) -> None:
    scope = {"parent": 7, "_window_start": "w", "which": "parent"}
    assert shaped((field,), row, scope=scope) == [expected]


@pytest.mark.parametrize("field", [Masked("secrets"), MaskedUrl("url")], ids=["masked", "masked-url"])
def test_without_masking_secrets_stay(field: Field) -> None:
    row = '"secrets":{"a":"x"},"url":"https://u:p@example.com"'
    found = shaped((field,), row, policy=Policy(mask_secrets=False))
    assert found == [{"secrets": {"a": "x"}, "url": "https://u:p@example.com"}]


def test_transforms_run_in_the_order_of_the_list() -> None:
    first, second = Default("a", value="x"), Default("b", column="a")
    assert shaped((first, second), "") == [{"a": "x", "b": "x"}]
    assert shaped((second, first), "") == [{"a": "x", "b": None}]


def test_an_input_that_is_no_column_is_never_emitted() -> None:
    assert shaped((Alias("a", old="z"), Reference("other", to="b")), '"z":"1","other":{"id":"7","name":"n"}') == [
        {"a": "1", "b": "7"}
    ]


# Surrogate keys

KEY = SurrogateKey("_key", stream="sales", partition=("who",), window="since", time="first")


def keys(*rows: str, field: SurrogateKey = KEY, who: str = "p1", since: str = "w1") -> list[str]:
    known = {"who": who, "since": since}
    return [record["_key"] for record in shaped((field,), *rows, scope=known)]


def test_equal_records_are_numbered_and_different_ones_differ() -> None:
    found = keys('"a":"1"', '"a":"1"', '"a":"2"', '"a":"1"')
    assert len(set(found)) == 4
    assert found == keys('"a":"1"', '"a":"1"', '"a":"2"', '"a":"1"')
    assert sorted(found) == sorted(keys('"a":"2"', '"a":"1"', '"a":"1"', '"a":"1"'))


def test_the_order_of_members_changes_no_key() -> None:
    assert keys('"a":"1","b":"2"') == keys('"b":"2","a":"1"')


def test_partitions_and_windows_have_keys_of_their_own() -> None:
    assert keys('"a":"1"') != keys('"a":"1"', who="p2")
    assert keys('"a":"1"') != keys('"a":"1"', since="w2")


def test_a_records_own_time_stands_for_the_window() -> None:
    row = '"first":"2024-01-01T00:00:00Z"'
    assert keys(row) == keys(row, since="w2")


def test_columns_that_stand_for_the_record_keep_the_key_when_figures_change() -> None:
    field = SurrogateKey("_key", stream="sales", of=("b",))
    assert keys('"a":"1","b":"7"', field=field) == keys('"a":"2","b":"7"', field=field)
    assert keys('"a":"1"', field=field) != keys('"a":"2"', field=field)
    rows = ('"a":"1"', '"b":"7"', '"a":"2"')
    assert keys(*rows, field=field) == [key for row in rows for key in keys(row, field=field)]


def test_a_record_without_its_key_fails_the_stream() -> None:
    conformer, typed = ways((), Policy())
    assert typed is not None
    with pytest.raises(ApiError, match="things: a record has no value for its key property 'id'"):
        conformer.conform({"a": "1"}, {})
    with pytest.raises(ApiError, match="things: a record has a value of an unexpected type for its key"):
        conformer.conform({"id": ["x"], "a": "1"}, {})


def test_an_attempt_that_fails_leaves_nothing_counted() -> None:
    """The records of a page with a surprise are read again, one by one; their keys must be those of the first time."""
    fields = (SurrogateKey("_key", stream="things"), AsInteger(("parent",)))
    good, odd = b'{"id":"x","parent":1}', b'{"id":"x","parent":"1-2"}'
    conformer, typed = ways(fields, Policy())
    assert typed is not None
    context: Context = {}
    lines = []
    for page in ([good, odd], [good, good, odd]):
        with pytest.raises(Surprise):
            typed.read(page, context)
        lines += FastPath.lines(typed.read([good], context))
    one: Context = {}
    expected = [conformer.conform(codec.decode(good), one)["_key"] for _ in range(2)]
    assert [json.loads(line)["_key"] for line in lines] == expected
