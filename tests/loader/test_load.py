"""What the loader does with each kind of message."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import INTEGER, NUMBER, OBJECT, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from tests.loader.harness import Loader

PEOPLE = schema("people", {"id": INTEGER, "name": STRING})


def test_last_version_of_a_key_wins(loader: Loader) -> None:
    loader.load([PEOPLE, record("people", id=1, name="a"), record("people", id=1, name="b")])
    assert loader.sql("FROM people") == [(1, "b")]


def test_identical_rows_are_left_untouched(loader: Loader) -> None:
    rows = [record("people", id=n, name=f"n{n}") for n in range(5)]
    loader.load([PEOPLE, *rows])
    loader.load([PEOPLE, *rows[:3], record("people", id=3, name="changed"), record("people", id=9)])
    assert loader.counts("people") == {"inserted": 1, "updated": 1, "unchanged": 3, "deleted": 0, "rejected": 0}
    assert loader.sql("SELECT id, name FROM people ORDER BY id")[3:] == [(3, "changed"), (4, "n4"), (9, None)]


def test_records_of_two_streams_in_turn(loader: Loader) -> None:
    lines = [encode([PEOPLE, schema("log", {"text": STRING}, keys=())])]
    for n in range(4000):
        both = encode([record("people", id=n % 50, name=f"n{n}"), record("log", text=f"t{n}")])
        in_another_form = n > 2000 and n % 7 == 0
        lines.append(both if in_another_form else both.replace(b": ", b":").replace(b", ", b","))
        if n == 3000:
            lines.append(encode([record("people", id=50, name=1), record("log", text="t", late=1)]))
    loader.load(b"".join(lines), on_bad_record="reject")
    assert loader.sql("SELECT id, name FROM people ORDER BY id") == [(n, f"n{3950 + n}") for n in range(50)]
    assert loader.sql("SELECT text FROM log WHERE late IS NULL") == [(f"t{n}",) for n in range(4000)]
    assert loader.sql("SELECT text, late FROM log WHERE late IS NOT NULL") == [("t", "1")]
    assert loader.counts("people")["rejected"] == 1


def test_rows_without_a_key_are_appended(loader: Loader) -> None:
    messages = [schema("log", {"text": STRING}, keys=()), record("log", text="x"), record("log", text="x")]
    loader.load(messages)
    loader.load(messages)
    assert loader.sql("SELECT count(*) FROM log") == [(4,)]


def test_composite_keys(loader: Loader) -> None:
    both = schema("t", {"a": INTEGER, "b": STRING, "v": INTEGER}, keys=("a", "b"))
    loader.load([both, record("t", a=1, b="x", v=1), record("t", a=1, b="y", v=2), record("t", a=1, b="x", v=3)])
    assert loader.sql("FROM t ORDER BY b") == [(1, "x", 3), (1, "y", 2)]


@pytest.mark.parametrize("lake", [False, True], ids=["table", "lake"])
@pytest.mark.parametrize("keys", [("a", "b"), ("b",), ()], ids=["more", "other", "none"])
def test_a_table_keeps_its_key(loader: Loader, keys: tuple[str, ...], *, lake: bool) -> None:
    where = {"lake_path": str(loader.folder / "lake")} if lake else {}
    columns = {"a": INTEGER, "b": STRING, "v": INTEGER}
    loader.load([schema("t", columns, keys=("a",)), record("t", a=1, b="x", v=1)], **where)
    error = loader.fail([schema("t", columns, keys=keys), record("t", a=1, b="x", v=2)], **where)
    assert f"stream t: its key was a and is now {', '.join(keys) or 'none'}" in error
    loader.load([schema("t", {**columns, "w": INTEGER}, keys=("a",)), record("t", a=1, b="x", v=3)], **where)
    assert loader.sql("SELECT a, b, v FROM t") == [(1, "x", 3)]


@pytest.mark.parametrize("lake", [False, True], ids=["table", "lake"])
@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("change", ["RENAME COLUMN ID_2 TO ident", "DROP COLUMN ID_2"])
def test_rows_that_have_lost_their_key_are_not_loaded_a_second_time(
    loader: Loader, change: str, version: int | None, *, lake: bool
) -> None:
    """The key is a column that the loader has named, and one that was spelt in another way when it was created."""
    where = {"lake_path": str(loader.folder / "lake")} if lake else {}
    head = schema("t", {"id": INTEGER, "ID": INTEGER, "v": INTEGER}, keys=("id", "ID"))
    rows = [record("t", version, id=n, ID=n, v=n) for n in (1, 2)]
    loader.load([head, state(0)], **where)
    index = f"{'_lake_main' if lake else 'main'}.t"
    with duckdb.connect(str(loader.path)) as con:
        con.execute(f"ALTER TABLE {index} DROP COLUMN ID_2")  # while there are no rows, that does no harm
    loader.load([head, *rows, state(1)], **where)
    with duckdb.connect(str(loader.path)) as con:
        con.execute(f"ALTER TABLE {index} RENAME COLUMN id TO Id")
        con.execute(f"ALTER TABLE {index} {change}")
    line = loader.fail([head, *rows, state(2)], **where)
    assert "stream t: its table has rows, but no column ID_2, which belongs to its key" in line
    assert loader.ask("state") == "1\n"
    if "RENAME" in change:
        with duckdb.connect(str(loader.path)) as con:
            con.execute(f"ALTER TABLE {index} RENAME COLUMN ident TO ID_2")
        loader.load([head, *rows, state(2)], **where)
        assert loader.counts("t")["inserted"] == 0


def test_the_value_of_the_newest_state_is_passed_on_byte_by_byte(loader: Loader) -> None:
    first, last = b'{"type": "STATE", "value": {"n": 1}}\n', b'{"type":"STATE" ,  "value":{"n":2.50}}\n'
    done = loader.run(encode([PEOPLE, record("people", id=1)]) + first + last)
    assert done.stdout == b'{"n":2.50}\n'
    assert loader.sql("SELECT state FROM _singer_state") == [('{"n":2.50}',)]


def test_state_is_kept_per_pipeline_and_handed_back(loader: Loader) -> None:
    loader.load([PEOPLE, state({"a": 1})], state_id="dev:tap-a")
    loader.load([PEOPLE, state({"b": 2})], state_id="dev:tap-b", schema="b")
    assert loader.ask("state", "--state-id", "dev:tap-a") == '{"a": 1}\n'
    assert loader.ask("state", state_id="dev:tap-b") == '{"b": 2}\n'


def test_a_pipeline_that_is_new_has_an_empty_state_if_that_is_asked_for(loader: Loader) -> None:
    assert loader.ask("state", "--or-new") == "{}\n"
    assert not (loader.folder / "warehouse.duckdb").exists()
    loader.ask_in_vain("state")
    loader.load([PEOPLE, state({"a": 1})], state_id="dev:tap-a")
    assert loader.ask("state", "--or-new", state_id="dev:tap-b") == "{}\n"
    assert loader.ask("state", "--or-new", state_id="dev:tap-a") == '{"a": 1}\n'
    assert "dev:tap-b" in loader.ask_in_vain("state", state_id="dev:tap-b")


def test_schema_decides_the_types(loader: Loader) -> None:
    properties = {
        "id": INTEGER,
        "big": {"type": "integer", "maximum": 2**64 - 1},
        "number": NUMBER,
        "price": {"type": ["null", "string"], "format": "x-singer.decimal", "precision": 20, "scale": 4},
        "rate": {"type": "number", "precision": 12, "scale": 6},
        "explicit": {"type": "number", "x-sql-datatype": "numeric(10, 2)"},
        "flag": {"type": ["boolean", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "clock": {"type": "string", "format": "time"},
        "text": STRING,
        "object": OBJECT,
        "list": {"type": "array", "items": STRING},
        "either": {"type": ["string", "integer"]},
        "lax": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]},
        "anything": {},
    }
    loader.load([schema("t", properties)])
    assert loader.types("t") == {
        "id": "BIGINT",
        "big": "HUGEINT",
        "number": "DOUBLE",
        "price": "DECIMAL(20,4)",
        "rate": "DECIMAL(12,6)",
        "explicit": "DECIMAL(10,2)",
        "flag": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "clock": "TIME",
        "text": "VARCHAR",
        "object": "JSON",
        "list": "JSON",
        "either": "JSON",
        "lax": "VARCHAR",
        "anything": "JSON",
    }


def test_absent_and_null_are_the_same(loader: Loader) -> None:
    loader.load([PEOPLE, record("people", id=1), record("people", id=2, name=None)])
    loader.load([PEOPLE, record("people", id=1, name=None), record("people", id=2)])
    assert loader.counts("people")["unchanged"] == 2


def test_l4_new_columns_in_mid_stream(loader: Loader) -> None:
    wider = schema("people", {"id": INTEGER, "name": STRING, "age": INTEGER})
    loader.load([PEOPLE, record("people", id=1, name="a"), wider, record("people", id=2, name="b", age=5)])
    assert loader.sql("FROM people ORDER BY id") == [(1, "a", None), (2, "b", 5)]
    assert loader.sql("SELECT column_name, old_type, new_type FROM _singer_schema_history") == [("age", None, "BIGINT")]


def test_a_property_that_the_schema_lacks_gets_a_json_column(loader: Loader) -> None:
    loader.load([PEOPLE, record("people", id=1, extra={"a": [1.10]}), record("people", id=2, extra="x")])
    assert loader.sql("SELECT id, extra FROM people ORDER BY id") == [(1, '{"a":[1.1]}'), (2, '"x"')]


def test_an_integer_beyond_64_bits_widens_its_column(loader: Loader) -> None:
    loader.load([PEOPLE, record("people", id=1), record("people", id=2**63), record("people", id=-(2**100))])
    assert loader.types("people")["id"] == "HUGEINT"
    assert loader.sql("SELECT id FROM people ORDER BY id") == [(-(2**100),), (1,), (2**63,)]


def test_l4_a_wider_schema_widens_the_column_and_a_narrower_one_does_not(loader: Loader) -> None:
    steps: list[tuple[dict[str, list[str]], object, str]] = [
        (INTEGER, 7, "BIGINT"),
        (NUMBER, 1.5, "DOUBLE"),
        (INTEGER, 8, "DOUBLE"),
        (STRING, "x", "VARCHAR"),
        (INTEGER, 2**40, "VARCHAR"),
        (NUMBER, 0.1, "VARCHAR"),
        (OBJECT, {"a": 1}, "JSON"),
        (NUMBER, 0.25, "JSON"),
    ]
    for number, (kind, value, sql) in enumerate(steps):
        loader.load([schema("t", {"id": INTEGER, "v": kind}), record("t", id=number, v=value)])
        assert loader.types("t")["v"] == sql
    values = [row[0] for row in loader.sql("SELECT v FROM t ORDER BY id")]
    assert values == ['"7"', '"1.5"', '"8"', '"x"', '"1099511627776"', '"0.1"', '{"a":1}', "0.25"]


@pytest.mark.parametrize(("kind", "value"), [({"type": "boolean"}, True), (STRING, "yes")], ids=["boolean", "string"])
def test_l4_a_column_that_became_json_holds_what_the_schema_allows(
    loader: Loader, kind: dict[str, Any], value: object
) -> None:
    loader.load([schema("t", {"id": INTEGER, "v": {}}), record("t", id=1, v={"a": 1})])
    loader.load([schema("t", {"id": INTEGER, "v": kind}), record("t", id=2, v=value)])
    for bad in (5, ["x"], "maybe" if value is True else False):
        error = loader.fail([schema("t", {"id": INTEGER, "v": kind}), record("t", id=3, v=bad)])
        assert "property `v` must be" in error
    assert loader.sql("SELECT v::VARCHAR FROM t ORDER BY id") == [('{"a":1}',), (json.dumps(value),)]


def test_widening_to_double_never_rounds_what_is_there(loader: Loader) -> None:
    loader.load([schema("t", {"id": INTEGER, "v": INTEGER}), record("t", id=1, v=2**53 + 1)])
    loader.load([schema("t", {"id": INTEGER, "v": NUMBER}), record("t", id=2, v=1.5)])
    assert loader.sql("SELECT v FROM t ORDER BY id") == [("9007199254740993",), ("1.5",)]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**62) - 1, 2**70 + 1, 10**400])
def test_an_integer_that_no_double_holds_widens_a_column_that_was_a_number(loader: Loader, value: int) -> None:
    number, integer = (schema("t", {"id": INTEGER, "v": kind}) for kind in (NUMBER, INTEGER))
    loader.load([number, record("t", id=1, v=1.5), record("t", id=2, v=2)])
    loader.load([integer, record("t", id=3, v=2**60), record("t", id=4, v=value), record("t", id=5, v=5)])
    assert loader.sql("SELECT v FROM t ORDER BY id") == [("1.5",), ("2",), (str(2**60),), (str(value),), ("5",)]


def test_decimals_are_exact_as_strings_and_as_numbers(loader: Loader) -> None:
    kind = {"type": ["null", "string", "number"], "format": "x-singer.decimal", "precision": 38, "scale": 18}
    price = schema("t", {"id": INTEGER, "v": {"x-sql-datatype": "DECIMAL(38,18)"}, "w": kind | {"type": "string"}})
    digits = "12345678901234567890.123456789012345678"
    raw = f'{{"type":"RECORD","stream":"t","record":{{"id":1,"v":{digits},"w":"{digits}"}}}}\n'.encode()
    loader.load(encode([price]) + raw)
    assert loader.sql("SELECT v, w FROM t") == [(Decimal(digits), Decimal(digits))]


def test_activate_version_removes_older_rows(loader: Loader) -> None:
    activate = {"type": "ACTIVATE_VERSION", "stream": "people"}
    loader.load([PEOPLE, *(record("people", 1, id=n, name="a") for n in range(4)), activate | {"version": 1}])
    loader.load([PEOPLE, *(record("people", 2, id=n, name="a") for n in range(1, 3)), activate | {"version": 2}])
    assert loader.sql("SELECT id FROM people ORDER BY id") == [(1,), (2,)]
    assert loader.counts("people") == {"inserted": 0, "updated": 0, "unchanged": 2, "deleted": 2, "rejected": 0}


def test_activate_version_may_mark_rows_instead(loader: Loader) -> None:
    activate = {"type": "ACTIVATE_VERSION", "stream": "people"}
    loader.load([PEOPLE, *(record("people", 1, id=n) for n in range(3)), activate | {"version": 1}], hard_delete=False)
    loader.load([PEOPLE, record("people", 2, id=1), activate | {"version": 2}], hard_delete=False)
    assert loader.sql("SELECT id FROM people WHERE _sdc_deleted_at IS NULL") == [(1,)]
    loader.load([PEOPLE, record("people", 3, id=0), activate | {"version": 3}], hard_delete=False)
    assert loader.sql("SELECT id FROM people WHERE _sdc_deleted_at IS NULL") == [(0,)]


def test_streams_and_columns_with_unusual_names(loader: Loader) -> None:
    name = 'we"ird-näme; x'
    loader.load(
        [schema(name, {"id": INTEGER, "Id": STRING, "a b'c\"": STRING}), record(name, id=1, Id="x", **{"a b'c\"": "y"})]
    )
    quoted = '"' + name.replace('"', '""') + '"'
    assert loader.sql(f"FROM {quoted}") == [(1, "x", "y")]


def test_names_that_the_loader_or_duckdb_use_themselves(loader: Loader) -> None:
    names = [
        "",
        'a"b',
        "a\\b",
        "nul\0",
        "rowid",
        "_singer_row",
        "_sdc_table_version",
        "_sdc_deleted_at",
        "old",
        "record",
    ]
    names += ["__text", "select", "Ünï", "ünÏ"]
    head = schema("order", {"id": INTEGER, **dict.fromkeys(names, STRING)})

    def row(version: int, number: int, change: str = "") -> dict[str, object]:
        return record("order", version, id=number, **{name: f"{name}{number}{change}" for name in names})

    activate = {"type": "ACTIVATE_VERSION", "stream": "order"}
    loader.load([head, row(1, 1), row(1, 2), activate | {"version": 1}], hard_delete=False)
    loader.load([head, row(2, 1), row(2, 2, "new"), row(2, 3), activate | {"version": 2}], hard_delete=False)
    assert loader.counts("order") == {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    columns = "COLUMNS(* EXCLUDE (_sdc_table_version, _sdc_extracted_at, _sdc_batched_at))"
    assert loader.sql(f'SELECT {columns} FROM "order" ORDER BY id, _sdc_deleted_at') == [
        (number, *(f"{name}{number}{change}" for name in names)) for number, change in ((1, ""), (2, "new"), (3, ""))
    ]


def test_one_schema_per_vendor_in_one_file(loader: Loader) -> None:
    loader.load([PEOPLE, record("people", id=1), state({"a": 1})], schema="peakium")
    loader.load([PEOPLE, record("people", id=2), state({"b": 1})], schema="peek")
    assert loader.sql("SELECT id FROM peakium.people UNION ALL SELECT id FROM peek.people") == [(1,), (2,)]
    assert loader.sql("SELECT state_id FROM _singer_state ORDER BY 1") == [("peakium",), ("peek",)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(encode([record("people", id=1)]), ["line 1", "people", "before its SCHEMA"], id="no-schema"),
        pytest.param(encode([PEOPLE]) + b'{"type":"RECORD","stream":"people","rec', ["line 2", "people"], id="cut"),
        pytest.param(encode([PEOPLE]) + b"hello\n", ["line 2", "not a Singer message"], id="garbage"),
        pytest.param(encode([{"type": "NEWS"}]), ["line 1", "NEWS"], id="unknown-type"),
        pytest.param(encode([PEOPLE, {"type": "STATE"}]), ["line 2", "STATE"], id="state-without-value"),
        pytest.param(
            encode([schema("_singer_state", {"id": INTEGER})]), ["line 1", "_singer_state", "loader"], id="loaders-own"
        ),
        pytest.param(
            encode([PEOPLE])
            + b'{"type":"RECORD","stream":"people","record":{"id":1,"a":'
            + b"[" * 100_000
            + b"]" * 100_000
            + b"}}\n",
            ["line 2", "people", "recursion"],
            id="nested-too-deeply",
        ),
        pytest.param(
            encode([PEOPLE]) + b'{"type":"RECORD","stream":"people","record":{"id":1,"id":2}}\n',
            ["people", "same property twice"],
            id="property-twice",
        ),
        pytest.param(
            encode([PEOPLE]) + b'{"type":"RECORD","stream":"people","record":{"id":1},"more":"\xff"}\n',
            ["people", "UTF-8"],
            id="not-utf-8-beside-the-record",
        ),
        pytest.param(
            encode([PEOPLE]) + b'{"type":"RECORD","stream":"people","record":{"id":1},"version":9223372036854775808}\n',
            ["line 2", "people", "version"],
            id="huge-version",
        ),
        pytest.param(encode([PEOPLE, record("people", name="x")]), ["people", "`id`", "missing"], id="no-key"),
        pytest.param(
            encode([schema("people", {"a": STRING})]), ["people", "`id`", "not in the schema"], id="key-unknown"
        ),
        pytest.param(encode([PEOPLE, record("people", id=1.5)]), ["people", "`id`", "BIGINT", "1.5"], id="fraction"),
        pytest.param(encode([PEOPLE, record("people", id=1, name=5)]), ["people", "`name`", "VARCHAR"], id="no-text"),
        pytest.param(
            encode([PEOPLE]) + b'{"type":"RECORD","stream":"people","record":{"id":1,"name":"\\ud83d"}}\n',
            ["people", "`name`", "surrogate"],
            id="lone-surrogate",
        ),
    ],
)
def test_bad_input_stops_with_one_clear_line_and_changes_nothing(loader: Loader, data: bytes, words: list[str]) -> None:
    loader.load([PEOPLE, record("people", id=7, name="old")])
    line = loader.fail(data)
    assert all(word in line for word in words), line
    assert loader.sql("FROM people") == [(7, "old")]


def test_private_values_are_not_shown(loader: Loader) -> None:
    private = schema("people", {"id": INTEGER, "email": {"type": "string", "format": "date", "x-pii": True}})
    done = loader.run([private, record("people", id=1, email="canary@example.com")])
    assert done.returncode == 5
    assert b"canary" not in done.stderr + done.stdout
    assert b"`email` must be DATE" in done.stderr


def test_every_misfit_names_its_property_and_line(loader: Loader) -> None:
    rows = [record("people", id=n, name="x") for n in range(5)]
    assert "line 7: stream people: property `name`" in loader.fail([PEOPLE, *rows, record("people", id=9, name=5)])
    log = schema("log", {"text": STRING}, keys=())
    messages = [PEOPLE, log, *rows, record("people", id=9, name=5), record("log", text="x"), record("log", text=6)]
    done = loader.run(messages, on_bad_record="reject")
    assert b"line 8: stream people: a record was rejected: property `name`" in done.stderr
    assert b"line 10: stream log: a record was rejected: property `text`" in done.stderr
    assert loader.sql("SELECT source FROM people__rejected UNION ALL FROM (SELECT source FROM log__rejected)") == [
        ("line 8",), ("line 10",)
    ]  # fmt: skip
