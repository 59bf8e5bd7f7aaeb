"""Schemas, names of streams and of columns that a tap may send: each value is there under a column of its own."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import corpus, examples
from tests.fuzz.loading import line, place
from tests.fuzz.texts import anything

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


ODD_NAMES = (
    *(
        "id",
        "ID",
        "Id",
        "select",
        "SELECT",
        "order",
        "table",
        "rowid",
        "main",
        "record",
        "type",
        "__text",
        "_",
        " ",
        "",
    ),
    *(
        'a"b',
        "a'b",
        "a`b",
        "a.b",
        "a/b",
        "a\\b",
        "a\nb",
        "a\0b",
        "a;--",
        "%s",
        "{x}",
        "$1",
        "?",
        "*",
        "../../x",
        "a%2Fb",
    ),
    *(
        "ü",
        "Ü",
        "Straße",
        "STRASSE",
        "\u0131",
        "\u0130",
        "ﬁ",
        "é",
        "e\u0301",
        "日本",
        "🎫",
        "\u200b",
        "\u202e",
        "\ufeff",
        "\u212a",
    ),
    *("_sdc_version", "_sdc_deleted_at", "_sdc_table_version", "_row_hash", "_window_start", "_extra", "version", "f0"),
    *(
        "x" * 300,
        "y" * 5_000,
        "true",
        "null",
        "1",
        "-1",
        "1e5",
        "con",
        "nul",
        "__rejected",
        "t__rejected",
        "a__rejected",
    ),
    *("_singer_state", "_SINGER_LOADS", "information_schema", "pg_catalog", "sqlite_master", "duckdb_tables", "temp"),
)
names = st.one_of(
    st.sampled_from(ODD_NAMES), st.text(max_size=8), st.text(string.ascii_letters, min_size=1, max_size=2)
)


def folded(name: str) -> str:
    """What DuckDB takes for the same name: A to Z have no case."""
    return name.translate(str.maketrans(string.ascii_uppercase, string.ascii_lowercase))


def judge_names(streams: Sequence[str], columns: Sequence[str]) -> None:
    """Each stream has its rows, and each of their values is there, or the load was refused."""
    properties = {name: {"type": ["string", "null"]} for name in columns}
    data = []
    for number, stream in enumerate(streams):
        data.append(line(type="SCHEMA", stream=stream, key_properties=[], schema={"properties": properties}))
        values = {name: f"{number}-{place}" for place, name in enumerate(columns)}
        data += [line(type="RECORD", stream=stream, record=values)] * 2
    with place() as warehouse:
        code = warehouse.load(data)
        clash = len({folded(stream) for stream in streams}) < len(streams)
        if code:
            assert clash or not all(streams) or refused_on_purpose(warehouse.said), warehouse.said
            assert not any(warehouse.rows(stream) for stream in streams if stream and not stream.startswith("_singer"))
            return
        assert not clash
        for number, stream in enumerate(streams):
            rows = warehouse.rows(stream)
            assert len(rows) == 2, stream
            for row in rows:
                assert {f"{number}-{each}" for each in range(len(columns))} <= set(row), stream


def refused_on_purpose(said: str) -> bool:
    return "same name as one of the loader's own tables" in said or "rejected records" in said or "is already a" in said


@examples(25, share=10)
@given(
    streams=st.lists(names, min_size=1, max_size=3, unique=True),
    columns=st.lists(names, min_size=1, max_size=6, unique=True),
)
def test_odd_names_of_streams_and_columns_lose_nothing(streams: list[str], columns: list[str]) -> None:
    judge_names(streams, columns)


@corpus("names")
def test_kept_names_of_streams_and_columns_lose_nothing(file: Path) -> None:
    for streams, columns in json.loads(file.read_text()):
        judge_names(streams, columns)


words = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null", "float", "String", ""]),
    anything,
)
leaf = st.fixed_dictionaries(
    {},
    optional={
        "type": words | st.lists(words, max_size=3),
        "format": st.sampled_from(["date-time", "date", "time", "uuid", "x-singer.decimal", "singer.decimal", ""])
        | anything,
        "precision": st.integers(-1, 60) | anything,
        "scale": st.integers(-1, 60) | anything,
        "minimum": st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything,
        "maximum": st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything,
        "exclusiveMinimum": anything,
        "exclusiveMaximum": anything,
        "multipleOf": st.sampled_from([0.01, 1e-6, 1, 10, 1e-40, 1e300, 0, -1, 5e-324]) | anything,
        "x-sql-datatype": st.sampled_from(
            ["DECIMAL(38,0)", "decimal( 5 , 9 )", "numeric(0)", "INT", "BLOB", "varchar(5)"]
        )
        | anything,
        "x-pii": anything,
        "x-partition": anything,
        "enum": anything,
        "const": anything,
        "$ref": st.sampled_from(
            ["#/definitions/a", "#/$defs/loop", "#", "#/", "https://example.com/schema", "#/properties/v"]
        )
        | anything,
    },
)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas that are made of others."""
    return st.fixed_dictionaries(
        {},
        optional={
            "anyOf": st.lists(inner, max_size=3) | inner,
            "oneOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=3),
            "not": inner,
            "items": inner | st.lists(inner, max_size=2),
            "properties": st.dictionaries(st.text(max_size=3), inner, max_size=3) | inner,
            "additionalProperties": inner,
            "patternProperties": inner,
            "type": words,
        },
    )


fragments = leaf | anything | combined(leaf | anything | combined(leaf))
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, 10**30, 1.5, -0.0, 1e300, "", "text", "2026-01-01", "2026-01-01T00:00:00Z"),
    *("10:00:00", "1.5", {}, [], {"a": 1}, [1, "x", None]),
)


def judge_schema(fragment: Any) -> None:
    """Each value is loaded, or rejected; what is loaded is the value."""
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "v": fragment},
        "definitions": {"a": {"type": "integer"}},
        "$defs": {"loop": {"anyOf": [{"$ref": "#/$defs/loop"}, {"type": "string"}]}},
    }
    data = [line(type="SCHEMA", stream="t", key_properties=["id"], schema=schema)]
    data += [line(type="RECORD", stream="t", record={"id": number, "v": value}) for number, value in enumerate(VALUES)]
    with place() as warehouse:
        assert warehouse.load([b"".join(data)], on_bad_record="reject") == 0, warehouse.said
        found = dict(warehouse.rows("t", "id, v::VARCHAR"))
        rejected = {json.loads(record)["id"] for (record,) in warehouse.rows("t__rejected", "record")}
    assert found.keys() | rejected == set(range(len(VALUES)))
    assert not found.keys() & rejected
    for number, text in found.items():
        assert stands_for(text, VALUES[number]), (text, VALUES[number])


def stands_for(text: str | None, value: Any) -> bool:
    if value is None or text is None:
        return value is None and text is None
    if isinstance(value, str) and (text == value or text.startswith((value.rstrip("Z").replace("T", " "), value))):
        return True
    try:
        found = json.loads(text)
    except ValueError:
        return False
    if isinstance(found, int | float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(found) == float(value)
    return bool(found == value or (isinstance(value, str) and str(found) == value))


@examples(40, share=10)
@given(fragment=fragments)
def test_an_odd_schema_loses_nothing(fragment: Any) -> None:
    judge_schema(fragment)


@corpus("schemas")
def test_a_kept_schema_loses_nothing(file: Path) -> None:
    for fragment in json.loads(file.read_text()):
        judge_schema(fragment)
