"""A property keeps its column, a stream its table, and what a schema lacks is left alone, in tables and in a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, STRING, record, schema, state

if TYPE_CHECKING:
    from tests.loader.harness import Loader

CLIENTS = schema("clients", {"id": INTEGER, "name": STRING, "mail": STRING, "total": INTEGER})
LONG_S = "\u017f"
"""A letter whose upper case is an S outside ASCII."""
WITHOUT_MAIL = schema("clients", {"id": INTEGER, "name": STRING, "total": INTEGER})


@pytest.fixture(params=["tables", "lake"])
def where(request: pytest.FixtureRequest, loader: Loader) -> dict[str, Any]:
    return {"lake_path": str(loader.folder / "lake")} if request.param == "lake" else {}


def columns(loader: Loader, table: str) -> list[str]:
    return list(loader.types(table))


def test_l9_a_property_keeps_its_column_whatever_the_order(loader: Loader, where: dict[str, Any]) -> None:
    orders = [["id", "Email", "email", "EMAIL"], ["EMAIL", "email", "id", "Email"], ["email_2", "email", "Email", "id"]]
    for number, names in enumerate(orders):
        head = schema("t", {name: INTEGER if name == "id" else STRING for name in names})
        values: dict[str, Any] = {name: f"{name} {number}" for name in names} | {"id": number}
        loader.load([head, record("t", **values), state(number)], **where)
    assert columns(loader, "t") == ["id", "Email", "email_2", "EMAIL_3", "email_2_2"]
    assert loader.sql("FROM t ORDER BY id") == [
        (0, "Email 0", "email 0", "EMAIL 0", None),
        (1, "Email 1", "email 1", "EMAIL 1", None),
        (2, "Email 2", "email 2", None, "email_2 2"),
    ]


def test_l9_a_key_keeps_its_column(loader: Loader, where: dict[str, Any]) -> None:
    for names in (["Id", "id"], ["id", "Id"]):
        loader.load([schema("t", dict.fromkeys(names, INTEGER)), record("t", Id=1, id=2), state(1)], **where)
    assert loader.sql("FROM t") == [(1, 2)]
    assert loader.counts("t")["unchanged"] == 1


def test_l9_a_property_that_the_schema_lacks_keeps_its_column(loader: Loader) -> None:
    head = schema("t", {"id": INTEGER})
    loader.load([head, record("t", id=1, Ref="A", ref="a")])
    loader.load([head, record("t", id=2, ref="b", Ref="B")])
    assert loader.sql("SELECT id, Ref->>'$', ref_2->>'$' FROM t ORDER BY id") == [(1, "A", "a"), (2, "B", "b")]


def test_a_property_of_another_case_is_another_property_outside_a_to_z_too(loader: Loader) -> None:
    for number, name in enumerate(("Name", "name", "État", "état", LONG_S, "s")):
        loader.load([schema("t", {"id": INTEGER, name: STRING}), record("t", id=number, **{name: name})])
    assert columns(loader, "t") == ["id", "Name", "name_2", "État", "état", LONG_S, "s"]
    assert [[value for value in row[1:] if value] for row in loader.sql("FROM t ORDER BY id")] == [
        ["Name"], ["name"], ["État"], ["état"], [LONG_S], ["s"]
    ]  # fmt: skip


def test_a_warehouse_that_remembers_no_columns_yet_finds_them(loader: Loader) -> None:
    names = ["id", "Email", "email"]
    head = schema("t", {name: INTEGER if name == "id" else STRING for name in names})
    loader.load([head, record("t", id=1, Email="A", email="a"), state(1)])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DROP TABLE _singer_columns")
    turned = schema("t", {"email": STRING, "Email": STRING, "id": INTEGER})
    loader.load([turned, record("t", id=2, Email="B", email="b"), state(2)])
    assert loader.sql("SELECT id, Email, email_2 FROM t ORDER BY id") == [(1, "A", "a"), (2, "B", "b")]


def test_a_table_that_was_dropped_starts_afresh(loader: Loader) -> None:
    loader.load([schema("t", {"id": INTEGER, "A": STRING, "a": STRING}), record("t", id=1, a="x")])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DROP TABLE t")
    loader.load([schema("t", {"id": INTEGER, "a": STRING}), record("t", id=1, a="y")])
    assert loader.sql("FROM t") == [(1, "y")]
    assert columns(loader, "t") == ["id", "a"]


def test_streams_are_the_same_if_duckdb_says_so(loader: Loader, where: dict[str, Any]) -> None:
    for number, name in enumerate(("Orders", "orders", "Übersicht", "übersicht", "Straße", "Strasse", "ORDERS")):
        loader.load([schema(name, {"id": INTEGER}), record(name, id=number), state(1)], **where)
    rows = {name: loader.sql(f'SELECT id FROM "{name}" ORDER BY id') for name in ("Übersicht", "übersicht", "Straße")}
    assert rows == {"Übersicht": [(2,)], "übersicht": [(3,)], "Straße": [(4,)]}
    assert loader.sql("SELECT id FROM orders ORDER BY id") == [(0,), (1,), (6,)]
    one_run = [schema(name, {"id": INTEGER}) for name in ("É", "é")]
    loader.load([*one_run, record("É", id=1), record("é", id=2), state(1)], **where)
    assert loader.sql('SELECT a.id, b.id FROM "É" a, "é" b') == [(1, 2)]
    assert "streams Orders and orders" in loader.fail(
        [schema("Orders", {"id": INTEGER}), schema("orders", {"id": INTEGER})], **where
    )


def test_columns_that_a_schema_lacks_are_left_alone(loader: Loader, where: dict[str, Any]) -> None:
    rows = [record("clients", id=n, name="Ana", mail=f"{n}@example.org", total=5) for n in (1, 2)]
    loader.load([CLIENTS, *rows, state(1)], **where)
    partial = [record("clients", id=1, name="Ana", total=6), *(record("clients", id=n, total=5) for n in (3, 3))]
    loader.load([WITHOUT_MAIL, *partial, record("clients", id=2, name="Ana", total=5), state(2)], **where)
    assert loader.counts("clients") == {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    assert loader.sql("FROM clients ORDER BY id") == [
        (1, "Ana", "1@example.org", 6),
        (2, "Ana", "2@example.org", 5),
        (3, None, None, 5),
    ]
    loader.load([CLIENTS, *rows, state(3)], **where)
    assert loader.counts("clients") == {"inserted": 0, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    loader.load([CLIENTS, record("clients", id=2, name="Ana", total=5), state(4)], **where)
    assert loader.sql("SELECT mail FROM clients ORDER BY id") == [("1@example.org",), (None,), (None,)]


def test_a_schema_that_becomes_smaller_in_mid_run_leaves_columns_alone(loader: Loader, where: dict[str, Any]) -> None:
    full = record("clients", id=1, name="Ana", mail="a@example.org", total=5)
    loader.load([CLIENTS, full, WITHOUT_MAIL, record("clients", id=1, name="Bo", total=5), state(1)], **where)
    assert loader.sql("FROM clients") == [(1, "Bo", "a@example.org", 5)]


def test_a_property_that_the_schema_lacks_stays_where_the_records_lack_it(
    loader: Loader, where: dict[str, Any]
) -> None:
    head = schema("t", {"id": INTEGER, "n": INTEGER})
    loader.load([head, *(record("t", id=n, n=1, extra=f"e{n}") for n in (1, 2)), state(1)], **where)
    loader.load([head, record("t", id=1, n=2), record("t", id=2, n=1), state(2)], **where)
    assert loader.counts("t") == {"inserted": 0, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    loader.load([head, record("t", id=2, n=3), record("t", id=1, n=2, extra="new"), state(3)], **where)
    assert loader.sql("SELECT id, n, extra->>'$' FROM t ORDER BY id") == [(1, 2, "new"), (2, 3, "e2")]


def test_columns_of_a_user_are_left_alone(loader: Loader) -> None:
    loader.load([CLIENTS, *(record("clients", id=n, total=5) for n in (1, 2))])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("ALTER TABLE clients ADD COLUMN note VARCHAR DEFAULT 'none yet'")
        con.execute("UPDATE clients SET note = 'mine' WHERE id = 1")
    loader.load([CLIENTS, *(record("clients", id=n, total=6) for n in (1, 2, 3))])
    assert loader.sql("SELECT id, total, note FROM clients ORDER BY id") == [
        (1, 6, "mine"), (2, 6, "none yet"), (3, 6, "none yet")
    ]  # fmt: skip


def test_a_column_of_windows_that_the_schema_lacks_is_left_alone(loader: Loader) -> None:
    full = schema("sales", {"k": STRING, "_window_start": DATE_TIME, "shop": STRING, "n": INTEGER}, ["k"])
    lacking = schema("sales", {"k": STRING, "_window_start": DATE_TIME, "n": INTEGER}, ["k"])
    moment = "2026-01-01T00:00:00Z"
    loader.load([full, *(record("sales", k=k, _window_start=moment, shop="north", n=1) for k in "ab"), state(1)])
    rows = [record("sales", k="a", _window_start=moment, n=2)]
    loader.load([lacking, *rows, state(2)], replace_windows=True)
    assert loader.sql("SELECT k, shop, n FROM sales") == [("a", "north", 2)]


def test_a_lake_keeps_what_a_schema_lacks_in_its_files(loader: Loader) -> None:
    lake = {"lake_path": str(loader.folder / "lake")}
    head = schema("t", {"id": INTEGER, "big": {"type": "integer", "maximum": 2**70}, "meta": {"type": "object"}})
    loader.load([head, record("t", id=1, big=2**66, meta={"a": 1}), state(1)], **lake)
    less = schema("t", {"id": INTEGER, "n": INTEGER})
    for n in (1, 2):
        loader.load([less, record("t", id=1, n=n), state(2)], **lake)
    assert loader.sql("SELECT id, big, meta, n FROM t") == [(1, 2**66, '{"a":1}', 2)]
    latest = f"FROM read_parquet('{loader.folder}/lake/main/t/*.parquet', union_by_name = true)"
    found = duckdb.execute(f"SELECT big, n {latest} ORDER BY _singer_sequence DESC LIMIT 1").fetchall()
    assert [(int(big), n) for big, n in found] == [(2**66, 2)]


def test_rejected_records_and_a_stream_of_that_name_do_not_mix(loader: Loader, where: dict[str, Any]) -> None:
    orders = [schema("orders", {"id": INTEGER}), record("orders", id="x")]
    own = [
        schema("orders__rejected", {"id": INTEGER, "reason": STRING}),
        record("orders__rejected", id=1, reason="own"),
    ]
    for messages in ([*orders, *own, state(1)], [*own, *orders, state(2)]):
        loader.load(messages, on_bad_record="reject", **where)
    assert loader.sql("FROM orders__rejected") == [(1, "own")]
    assert loader.sql("SELECT record FROM orders__rejected_2") == [('{"id": "x"}',)] * 2


def test_a_stream_does_not_get_the_table_of_rejected_records(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([schema("Orders", {"id": INTEGER}), record("Orders", id="x")], on_bad_record="reject", **where)
    own = [schema("orders__REJECTED", {"id": INTEGER}), record("orders__REJECTED", id=1)]
    error = loader.fail(own, on_bad_record="reject", **where)
    assert "stream orders__REJECTED" in error
    assert "rejected records of another stream" in error
    loader.load(own, schema="other", **where)
    assert loader.sql("SELECT record FROM main.orders__rejected") == [('{"id": "x"}',)]


@pytest.mark.parametrize("name", ["_stage", "_change", "_window", "_seen_t"])
def test_a_stream_may_be_called_like_a_temporary_table(loader: Loader, name: str) -> None:
    for n in (1, 2):
        loader.load([schema(name, {"id": INTEGER, "n": INTEGER}), record(name, id=1, n=n), record(name, id=n)])
    assert loader.sql(f"FROM {name} ORDER BY id") == [(1, 2), (2, None)]


@pytest.mark.parametrize("version", ["v1.0.0", "v1.2.0"])
def test_a_file_that_older_versions_of_duckdb_read_can_be_loaded_into(loader: Loader, version: str) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{loader.path}' AS old (STORAGE_VERSION '{version}')")
    anything = {"type": "object"}
    loader.load([schema("rows", {"id": INTEGER, "first": anything}), record("rows", id=1, first={"a": 1})])
    both = schema("rows", {"id": INTEGER, "first": anything, "second": anything})
    loader.load([both, record("rows", id=2, first={}, second={"b": 2})], history=["rows"])
    assert loader.sql("SELECT first, second FROM rows ORDER BY id") == [('{"a":1}', None), ("{}", '{"b":2}')]
