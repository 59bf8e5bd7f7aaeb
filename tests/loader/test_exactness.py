"""Whatever a tap sends comes out of DuckDB unchanged."""

from __future__ import annotations

import json
import random
import tempfile
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, STRING, Loader, encode, record, schema, state

PRICE = STRING | {"format": "x-singer.decimal"}

ODD: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {
    "integer": (
        INTEGER,
        {
            "1.0": "1",
            "1e2": "100",
            "-0": "0",
            "9007199254740993.0": "9007199254740993",
            "9223372036854775808": "9223372036854775808",
            "1" + "0" * 38: "1" + "0" * 38,
            "1e400": "1" + "0" * 400,
            "1" + "0" * 9999: None,
            "1.5": None,
            "true": None,
            '"5"': None,
        },
    ),
    "number": (
        NUMBER,
        {
            "-0.0": "-0.0",
            "5e-324": "5e-324",
            "1.7976931348623157e308": "1.7976931348623157e+308",
            "1e400": "1" + "0" * 400,
            "9007199254740993": "9007199254740993",
            "1" + "0" * 9999: None,
            "NaN": None,
            "-Infinity": None,
            '"1"': None,
        },
    ),
    "decimal": (
        PRICE,
        {
            '"1e5"': "100000.0000000000",
            "0.1": "0.1000000000",
            '"0.00000000001"': "0.00000000001",
            '"-0.0"': "0.0000000000",
            '"NaN"': None,
            '" 1"': None,
            '""': None,
        },
    ),
    "sized": ({"x-sql-datatype": "DECIMAL(10,2)"}, {"1.230": "1.23", "1e3": "1000.00", "1.234": None, "1e8": None}),
    "bounded": (
        {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01},
        {"100": "100.00", "100.00": "100.00", "0": "0.00", "99.99": "99.99", "0.001": None, "1000": None},
    ),
    "open below": (
        {"type": "number", "maximum": 100, "multipleOf": 0.01},
        {"-1e30": "-1" + "0" * 30 + ".00", "-1e36": "-1" + "0" * 36, "100": "100.00", "0.001": None},
    ),
    "excluded": (
        {"type": "number", "minimum": -1000, "exclusiveMaximum": True, "maximum": 100, "multipleOf": 0.1},
        {"-1000": "-1000.0", "99.9": "99.9"},
    ),
    "beyond decimals": (
        {"type": "number", "precision": 50, "scale": 12},
        {"1" + "0" * 37 + ".5": "1" + "0" * 37 + ".5", "1.5": "1.5000000000"},
    ),
    "no digits": ({"type": "number", "precision": 0}, {"1.5": "1.5000000000"}),
    "date": (
        STRING | {"format": "date"},
        {
            '"0001-01-01"': "0001-01-01",
            '"9999-12-31"': "9999-12-31",
            '"2026-02-29"': None,
            '"0000-01-01"': None,
            '"infinity"': None,
            '"2026-01-01T00:00:00Z"': None,
        },
    ),
    "date-time": (
        STRING | {"format": "date-time"},
        {
            '"0001-01-01T00:00:00+14:00"': "0001-12-31 (BC) 10:00:00+00",
            '"9999-12-31T23:59:59.999999-12:00"': "10000-01-01 11:59:59.999999+00",
            '"2026-01-01T00:00:00"': "2026-01-01 00:00:00+00",
            '"2026-01-01"': "2026-01-01 00:00:00+00",
            '"2026-01-01t00:00:00z"': "2026-01-01 00:00:00+00",
            '"2026-01-01t10:00:00+00:00"': "2026-01-01 10:00:00+00",
            '"2026-01-01t10:00:00.5"': "2026-01-01 10:00:00.5+00",
            '"2026-01-01T10:00:00z"': "2026-01-01 10:00:00+00",
            '"0000-00-00 00:00:00"': None,
            '"2026-01-01T10:00:00,5Z"': None,
            '"2026-01-01T00:00:00.1234560Z"': "2026-01-01 00:00:00.123456+00",
            '"2026-01-01T00:00:00.1234567Z"': None,
            '"2026-01-01T24:00:00Z"': None,
            '"2026-06-30T23:59:60Z"': None,
            '"infinity"': None,
            "1767225600": None,
        },
    ),
    "time": (
        STRING | {"format": "time"},
        {
            '"12:00:00Z"': "12:00:00",
            '"12:00:00.5z"': "12:00:00.5",
            '"12:00:00-00:00"': "12:00:00",
            '"12:00:00.0000000"': "12:00:00",
            '"12:00:00.123456000z"': "12:00:00.123456",
            '"12:00:00.1234567"': None,
            '"12:00:00.1234560000001"': None,
            '"24:00:00"': None,
            '"23:59:60"': None,
            '"12:00:00+01:00"': None,
        },
    ),
    "text": (
        STRING,
        {
            '"a\\u0000b"': "a\0b",
            '"\\ud83d\\ude00"': "😀",
            '"\\ud83d"': None,
            '"\xff"': None,
            '"\xed\xa0\x80"': None,
            "5": None,
        },
    ),
    "json": (
        OBJECT,
        {
            '{"a":-0.0,"a":1e400}': '{"a":-0.0,"a":1e400}',
            "[1" + "0" * 9999 + "]": "[1" + "0" * 9999 + "]",
            "[" * 100 + "]" * 100: "[" * 100 + "]" * 100,
            '{"a":"\\u0000"}': '{"a":"\\u0000"}',
            '{"a":1.5,"b":"\\ud83d"}': None,
            '{"a":1.5,"b":"\xff"}': None,
            "[NaN]": None,
        },
    ),
}
"""JSON texts by type of property, written as Latin-1: each is loaded as the given text, or rejected (None)."""

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
SMALL_INT = st.integers(-(2**63), 2**63 - 1)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
DECIMAL = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6)
ZONE = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENT = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONE)  # noqa: DTZ001  bounds carry no zone
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "integer": st.none() | SMALL_INT,
        "number": st.none() | DOUBLE,
        "price": st.none() | DECIMAL,
        "flag": st.none() | st.booleans(),
        "text": st.none() | TEXT,
        "day": st.none() | st.dates(),
        "at": st.none() | MOMENT,
        "json": JSON,
    },
)
SCHEMA = schema(
    "t",
    {
        "id": INTEGER,
        "integer": INTEGER,
        "number": NUMBER,
        "price": {"type": ["null", "string", "number"], "x-sql-datatype": "DECIMAL(24,6)"},
        "flag": {"type": ["null", "boolean"]},
        "text": STRING,
        "day": STRING | {"format": "date"},
        "at": STRING | {"format": "date-time"},
        "json": OBJECT,
    },
)


def wire(row: dict[str, Any], *, decimals_as_numbers: bool) -> bytes:
    """The row as a tap writes it."""
    values = {}
    for name, value in row.items():
        if isinstance(value, datetime | date):
            values[name] = value.isoformat()
        elif isinstance(value, Decimal):
            values[name] = f"<{value}>" if decimals_as_numbers else str(value)
        else:
            values[name] = value
    text = json.dumps({"type": "RECORD", "stream": "t", "record": values}, ensure_ascii=len(row) % 2 == 0)
    if "price" in row and isinstance(row["price"], Decimal) and decimals_as_numbers:
        text = text.replace(f'"<{row["price"]}>"', f"{row['price']:f}")
    return text.encode() + b"\n"


def test_odd_values_are_exact_or_rejected(loader: Loader) -> None:
    cases = [(kind, text, wanted) for kind, values in ODD.values() for text, wanted in values.items()]
    data = b""
    for number, (kind, text, _) in enumerate(cases):
        data += encode([schema(f"s{number}", {"id": INTEGER, "v": kind})])
        data += b'{"type":"RECORD","stream":"s%d","record":{"id":1,"v":%s}}\n' % (number, text.encode("latin-1"))
    loader.load(data, on_bad_record="reject")
    tables = {name for (name,) in loader.sql("SELECT table_name FROM duckdb_tables()")}
    for number, (_, text, wanted) in enumerate(cases):
        found = loader.sql(f"SELECT v::VARCHAR FROM s{number}")
        rejected = loader.sql(f"SELECT reason FROM s{number}__rejected") if f"s{number}__rejected" in tables else []
        assert (found, len(rejected)) == (([], 1) if wanted is None else ([(wanted,)], 0)), text[:100]
        assert all("`v`" in reason for (reason,) in rejected)


def test_a_message_cannot_bring_texts_of_its_own(loader: Loader) -> None:
    own = record("t", id=1, json={"a": 1}) | {"__text": {"json": '"another"', "id": "7"}}
    loader.load([SCHEMA, own, record("t", id=2, json={"a": 1.5})])
    assert loader.sql("SELECT id, json FROM t ORDER BY id") == [(1, '{"a":1}'), (2, '{"a":1.5}')]


def test_json_texts_stay_beside_their_records(loader: Loader) -> None:
    """Only some values must go around DuckDB, and none may end up in the row of another record."""
    kinds = (
        ('{"n":%d}', '{"n":%d}'),
        ('{"n":%d.50}', '{"n":%d.50}'),
        ('[ %d.0 , {"a" : "b c"}]', '[%d.0,{"a":"b c"}]'),
        ('{"\\u00e9":%d}', '{"é":%d}'),
        ('{"\\u00e9":%d.0}', '{"\\u00e9":%d.0}'),
        ('["null", %d]', '["null",%d]'),
        ("%d.10", "%d.10"),
        ("null", None),
        (None, None),
    )
    sent, wanted = [encode([schema("t", {"id": INTEGER, "late": {}, "mixed": {}, "price": PRICE})])], []
    for number in range(3000):  # several blocks
        text, shown = kinds[number % len(kinds)]
        late = f'{{"late":{number}.50}}' if number > 2000 else f'{{"early":{number}}}'
        members = {"id": number, "price": 1.5 if number % 700 == 1 else "1.5"}
        line = json.dumps(record("t", **members)).removesuffix("}}") + f', "late": {late}'
        if text:
            line += ', "mixed": ' + (text % number if "%" in text else text)
        sent.append(line.encode() + b"}}\n")
        if number % 1100 == 0:
            sent.append(encode([state(number)]))
        wanted.append((number, late, shown % number if shown else None))
    loader.load(b"".join(sent))
    assert loader.sql("SELECT id, late, mixed FROM t ORDER BY id") == wanted
    loader.load(b"".join(sent[:1] + [line + b"\n" for line in sent[1:]]))  # blank lines; one at a time
    assert loader.counts("t")["unchanged"] == len(wanted)
    records = [json_of(line) for line in sent[1:] if b"RECORD" in line]
    loader.load(sent[0] + in_file(loader, b"".join(records)))
    assert loader.counts("t")["unchanged"] == len(wanted)


def written(rng: random.Random, depth: int = 0) -> str:
    """Some JSON, written in any way."""
    kind = rng.randrange(6 if depth > 4 else 8)
    if kind == 6:
        return "[" + rng.choice((",", " , ")).join(written(rng, depth + 1) for _ in range(rng.randrange(4))) + "]"
    if kind == 7:
        members = [f"{text_in(rng)}:{written(rng, depth + 1)}" for _ in range(rng.randrange(4))]
        return "{" + ",".join(members + members[: rng.randrange(2)]) + "}"
    numbers = ("0", "-0", "17", "-3", str(2**63), str(10**30), "1.50", "-0.0", "1E5")
    return rng.choice((text_in(rng), rng.choice(numbers), rng.choice(("true", "false", "[null]"))))


def text_in(rng: random.Random) -> str:
    """A text in JSON, with escapes that need not be there."""
    parts = []
    for _ in range(rng.randrange(6)):
        char = rng.choice([*map(chr, range(32)), *'ab/"\\é\u2028\x7f€'])
        escape = f"\\u{ord(char):04x}"
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        parts.append(rng.choice((escape, escape[:2] + escape[2:].upper(), plain, "\\/" if char == "/" else plain)))
    return '"' + "".join(parts) + '"'


def test_json_has_one_form_whether_its_record_needs_a_closer_look_or_not(loader: Loader) -> None:
    rng = random.Random(3)
    rows = [(written(rng), text_in(rng)) for _ in range(1500)]
    for stream, moment in (("usual", "2026-01-01T00:00:00Z"), ("looked_at", "2026-01-01t00:00:00z")):
        anything: dict[str, dict[str, Any]] = {"id": INTEGER, "any": {}, "text": {}, "at": DATE_TIME}
        sent = encode([schema(stream, anything), schema(stream, anything | {"text": STRING})])
        for number, (value, text) in enumerate(rows):
            values = f'{{"id":{number},"any":{value},"text":{text},"at":"{moment}"}}'
            sent += f'{{"type":"RECORD","stream":"{stream}","record":{values}}}\n'.encode()
        loader.load(sent)
    assert loader.types("looked_at")["text"] == "JSON"
    assert loader.sql("FROM looked_at ORDER BY id") == loader.sql("FROM usual ORDER BY id")


def test_a_key_of_json_is_one_whether_its_record_needs_a_closer_look_or_not(loader: Loader) -> None:
    keys = ('"caf\\u00e9"', '"a\\/b"', "-0", "[1, 2]", '{"\\u0061":"\\u000b"}', "1.50")
    for at in ("2026-01-01T00:00:00Z", "2026-01-01t00:00:00z"):
        records = [f'{{"type":"RECORD","stream":"t","record":{{"id":{key},"at":"{at}"}}}}\n' for key in keys]
        loader.load(encode([schema("t", {"id": {}, "at": DATE_TIME})]) + "".join(records).encode())
    assert loader.counts("t")["unchanged"] == len(keys)
    assert loader.sql("SELECT count(*) FROM t") == [(len(keys),)]


@pytest.mark.parametrize("space", [" ", "  ", "\t", "\r"], ids=["space", "spaces", "tab", "return"])
def test_space_between_values_is_left_out_wherever_it_is(loader: Loader, space: str) -> None:
    tokens = ["[", "1.50", ",", "{", '"a b"', ":", "[", "]", ",", '"c"', ":", "{", "}", "}", ",", '"d e"', "]"]
    wanted = "".join(tokens)
    lines = [encode([schema("t", {"id": INTEGER, "mixed": {}})])]
    for place in range(1, len(tokens)):
        text = "".join(tokens[:place]) + space + "".join(tokens[place:])
        lines.append(b'{"type":"RECORD","stream":"t","record":{"id":%d,"mixed":%s}}\n' % (place, text.encode()))
        lines.append(encode([state(place)]))
    loader.load(b"".join(lines))
    assert loader.sql("SELECT DISTINCT mixed FROM t") == [(wanted,)]


def json_of(line: bytes) -> bytes:
    """The record in a line that ends with it."""
    return line[line.index(b'"record":') + len(b'"record":') :].strip()[:-1] + b"\n"


def in_file(loader: Loader, records: bytes) -> bytes:
    """A BATCH message with a file of these records."""
    path = loader.folder / "records.jsonl"
    path.write_bytes(records)
    encoding = {"format": "jsonl", "compression": "none"}
    return encode([{"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": [str(path)]}])


def test_a_json_property_that_comes_twice_is_refused(loader: Loader) -> None:
    twice = b'{"type":"RECORD","stream":"t","record":{"id":1,"v":{"a":1.50},"\\u0076":{"a":2.50}}}\n'
    assert "same property twice" in loader.fail(encode([schema("t", {"id": INTEGER, "v": {}})]) + twice)


@pytest.mark.parametrize(
    ("properties", "line", "told"),
    [
        ({}, '"record":{"id":1,"id":2,"at":"2026-01-01t00:00:00z"}', "`id` twice"),
        ({"ID": STRING}, '"record":{"id":1,"id":1,"ID":"a"}', "`id` twice"),
        ({'a"b': STRING}, r'"record":{"id":1,"a\"b":"one","a\u0022b":"two"}', '`a"b` twice'),
        ({}, '"record":{"id":1,"new":1,"new":null,"at":"2026-01-01"}', "`new` twice"),
        ({}, '"record":{"id":1,"at":"2026-01-01"},"record":{"id":2,"at":"2026-01-01"}', "`record` twice"),
    ],
)
def test_a_property_that_comes_twice_is_refused_on_a_closer_look(
    loader: Loader, properties: dict[str, Any], line: str, told: str
) -> None:
    head = schema("t", {"id": INTEGER, "at": DATE_TIME} | properties)
    sent = encode([head]) + f'{{"type":"RECORD","stream":"t",{line}}}\n'.encode()
    error = loader.fail(sent)
    assert "line 2: stream t: " in error
    assert told in error
    loader.load(sent + encode([record("t", id=3)]), on_bad_record="reject")
    assert loader.sql("SELECT id FROM t") == [(3,)]
    assert [told in reason for (reason,) in loader.sql("SELECT reason FROM t__rejected")] == [True]


PLACES: dict[str, dict[str, str]] = {"tables": {}, "lake": {}, "delta": {"table_format": "delta"}}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, loader: Loader) -> dict[str, Any]:
    lake = {} if request.param == "tables" else {"lake_path": str(loader.folder / "lake")}
    return lake | PLACES[request.param]


def keyed(kind: dict[str, Any], *texts: str) -> bytes:
    """A stream with a key of this type, and its rows as JSON texts of the key."""
    lines = [f'{{"type":"RECORD","stream":"t","record":{{"id":{text}}}}}\n' for text in texts]
    return encode([schema("t", {"id": kind})]) + "".join(lines).encode() + encode([state(1)])


def test_a_key_that_is_a_number_has_one_text_once_its_column_is_text(loader: Loader, place: dict[str, Any]) -> None:
    rng = random.Random(1)
    numbers = [0.0, 1.0, 2.0, 1.5, 1e15, 1e16, 1e22, 1e37, 1e38, 1e300, 1e-4, 1e-5, 5e-324]
    numbers += [rng.choice((1, -1)) * rng.random() * 10.0 ** rng.randint(-12, 45) for _ in range(300)]
    numbers += [float(rng.randint(-(2**60), 2**60)) for _ in range(100)]
    loader.load(keyed(NUMBER, *map(repr, numbers)), **place)
    loader.load(keyed(NUMBER, "9007199254740993"), **place)
    assert loader.types("t") == {"id": "VARCHAR"}
    loader.load(keyed(NUMBER, "9007199254740993", *(f"{number:.25e}" for number in numbers)), **place)
    assert loader.counts("t")["inserted"] == 0
    whole = [str(int(number)) for number in numbers if number.is_integer() and abs(number) < 1e38]
    loader.load(keyed(INTEGER, *whole), **place)
    assert loader.counts("t")["unchanged"] == len(whole)
    assert loader.sql("SELECT count(*) FROM t") == [(len(numbers) + 1,)]


def test_a_key_that_is_a_number_has_one_text_within_a_run(loader: Loader) -> None:
    loader.load(keyed(NUMBER, "1", "9007199254740993", "1.0", "10e-1", "9007199254740993.5", "9007199254740994"))
    assert loader.sql("SELECT id FROM t ORDER BY id") == [("1",), ("9007199254740993",), ("9007199254740994",)]


def test_a_key_that_is_a_decimal_has_one_text_once_its_column_is_text(loader: Loader, place: dict[str, Any]) -> None:
    loader.load(keyed(PRICE, '"1"', '"0.50"', '"-0.0000000001"', "100", '"0"'), **place)
    loader.load(keyed(PRICE, '"1.000"', '"' + "1" * 30 + '"', '"0.5"', '"-1e-10"', '"1e2"', '"-0.0"'), **place)
    assert loader.types("t") == {"id": "VARCHAR"}
    texts = ["-0.0000000001", "0", "0.5", "1", "100", "1" * 30]
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(text,) for text in texts]
    assert loader.counts("t")["inserted"] == 1
    loader.load(keyed({"x-sql-datatype": "DECIMAL(38,30)"}, "1.0", "0.5"), **place)
    loader.load(keyed(INTEGER, "100", "0"), **place)
    assert loader.counts("t")["unchanged"] == 2


@pytest.mark.parametrize(
    ("kind", "value", "wider", "types"),
    [
        (DATE_TIME, '"2026-01-01T00:00:00Z"', STRING, ("TIMESTAMPTZ", "VARCHAR")),
        (STRING | {"format": "time"}, '"12:00:00Z"', STRING, ("TIME", "VARCHAR")),
        (PRICE, '"1"', STRING, ("DECIMAL(38,10)", "VARCHAR")),
        (PRICE, '"1"', NUMBER, ("DECIMAL(38,10)", "DOUBLE")),
        (NUMBER, "1", STRING, ("DOUBLE", "VARCHAR")),
        (NUMBER, "1", {"type": ["number", "string"]}, ("DOUBLE", "JSON")),
        (DATE_TIME, '"2026-01-01T00:00:00Z"', {}, ("TIMESTAMPTZ", "JSON")),
    ],
)
def test_a_key_whose_values_may_have_two_texts_does_not_become_text(
    loader: Loader, kind: dict[str, Any], value: str, wider: dict[str, Any], types: tuple[str, str]
) -> None:
    loader.load(keyed(kind, value))
    before = loader.types("t")
    error = loader.fail(keyed(wider, value))
    assert f"stream t: its key property `id` was {types[0]} and is now {types[1]}, " in error
    assert "load the stream into another schema" in error
    assert loader.types("t") == before
    assert loader.sql("SELECT count(*) FROM t") == [(1,)]
    loader.load(keyed(wider), schema="other")


@pytest.mark.parametrize(
    ("kind", "value", "wider"),
    [
        (INTEGER, "1", {"type": ["integer", "string"]}),
        (STRING, '"caf\\u00e9\\/\\u001f"', {}),
        (STRING | {"format": "date"}, '"2026-01-01"', STRING),
        (STRING | {"format": "date"}, '"2026-01-01"', {}),
        ({"type": "boolean"}, "true", {}),
    ],
)
def test_a_key_whose_values_have_one_text_may_become_text(
    loader: Loader, kind: dict[str, Any], value: str, wider: dict[str, Any]
) -> None:
    for each in (kind, wider, kind):
        loader.load(keyed(each, value))
    assert loader.sql("SELECT count(*) FROM t") == [(1,)]
    assert loader.counts("t")["unchanged"] == 1


# Shrinking costs a process per step.
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rows=st.lists(ROW, min_size=1, max_size=40), decimals_as_numbers=st.booleans(), as_file=st.booleans())
def test_values_come_back_as_they_were_sent(
    rows: list[dict[str, Any]], *, decimals_as_numbers: bool, as_file: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loader = Loader(Path(folder))
        numbered = [row | {"id": number} for number, row in enumerate(rows)]
        lines = [wire(row, decimals_as_numbers=decimals_as_numbers) for row in numbered]
        arriving = in_file(loader, b"".join(map(json_of, lines))) if as_file else b"".join(lines)
        loader.load(encode([SCHEMA]) + arriving)
        columns = 'id, "integer", number, price, flag, text, day, "at", json'
        found = loader.sql(f"SELECT {columns} FROM t ORDER BY id")
        for row, got in zip(numbered, found, strict=True):
            assert got[0] == row["id"]
            assert got[1:6] == tuple(row.get(name) for name in ("integer", "number", "price", "flag", "text"))
            assert got[6] == row.get("day")
            moment = row.get("at")
            assert got[7] == (moment and moment.astimezone(UTC))
            assert json.loads(got[8] or "null", parse_float=Decimal) == json.loads(
                json.dumps(row.get("json")), parse_float=Decimal
            )
