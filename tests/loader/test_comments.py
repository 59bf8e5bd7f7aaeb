"""Tables say what they hold: descriptions, keys, and which columns hold personal data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import INTEGER, STRING, Loader, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["tables", "lake"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return {"lake_path": str(tmp_path / "lake")} if request.param == "lake" else {}


def people(description: str = "People of the\n shop.", **more: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "id": INTEGER,
        "email": STRING | {"description": "Where it's sent.", "x-pii": True},
        "contact": {"type": "object", "properties": {"phone": STRING | {"x-pii": True}}},
        **more,
    }
    message = schema("people", properties)
    message["schema"]["description"] = description
    return message


def columns(loader: Loader) -> dict[str, str | None]:
    found = loader.sql(
        "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = 'people'"
    )
    return dict(found)


def comment(loader: Loader) -> list[tuple[Any, ...]]:
    named = "WHERE schema_name = 'main' AND"
    return loader.sql(
        f"SELECT comment FROM duckdb_tables() {named} table_name = 'people' UNION ALL "
        f"SELECT comment FROM duckdb_views() {named} view_name = 'people'"
    )


def test_tables_and_views_say_what_they_hold(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([people(), record("people", id=1)], **where)
    assert comment(loader) == [("People of the shop.\nkey: id",)]
    found = columns(loader)
    assert found["id"] is None
    assert found["email"] == "Where it's sent. (personal data)"
    assert found["contact"] == "(personal data)"
    assert "last inserted" in str(found["_sdc_batched_at"])


def test_comments_follow_the_schema(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([people(), record("people", id=1)], **where)
    loader.load([people(), record("people", id=1)], **where)
    loader.load(
        [people("Staff.", email=STRING, new=INTEGER | {"description": "New."}), record("people", id=2)], **where
    )
    assert comment(loader) == [("Staff.\nkey: id",)]
    found = columns(loader)
    assert (found["email"], found["new"], found["contact"]) == (None, "New.", "(personal data)")


def test_a_view_that_is_replaced_keeps_its_comments(loader: Loader) -> None:
    where = {"lake_path": str(loader.folder / "lake")}
    loader.load([people(), record("people", id=1)], **where)
    shorter = people()
    del shorter["schema"]["properties"]["contact"]
    loader.load([shorter, record("people", id=2, other=1)], **where)  # its new column replaces the view
    assert comment(loader) == [("People of the shop.\nkey: id",)]
    assert columns(loader)["email"] == "Where it's sent. (personal data)"
    assert columns(loader)["contact"] == "(personal data)"


def test_comments_of_a_user_stay(loader: Loader) -> None:
    loader.load([people(), record("people", id=1)])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("COMMENT ON TABLE people IS 'mine'; COMMENT ON COLUMN people.email IS 'mine, too'")
    loader.load([people("Others.", email=STRING | {"description": "Other."}), record("people", id=2)])
    assert comment(loader) == [("mine",)]
    assert columns(loader)["email"] == "mine, too"


def test_keys_and_personal_data_are_in_a_table(loader: Loader, where: dict[str, Any]) -> None:
    both = schema("t", {"b": INTEGER, "a": INTEGER, "v": STRING | {"description": "Value."}}, keys=("b", "a"))
    loader.load([people(), record("people", id=1), both, record("t", a=1, b=2)], **where)
    assert loader.sql("FROM _singer_columns WHERE is_key OR is_personal OR description <> '' ORDER BY ALL") == [
        ("main", "people", "contact", "contact", False, True, ""),
        ("main", "people", "email", "email", False, True, "Where it's sent."),
        ("main", "people", "id", "id", True, False, ""),
        ("main", "t", "a", "a", True, False, ""),
        ("main", "t", "b", "b", True, False, ""),
        ("main", "t", "v", "v", False, False, "Value."),
    ]
    shown = json.loads(loader.ask("inspect", "--format", "json"))["streams"]
    assert {entry["stream"]: entry["key"] for entry in shown} == {"people": ["id"], "t": ["a", "b"]}
    assert "a, b" in loader.ask("inspect")


def test_the_key_of_a_table_of_before_is_still_known(loader: Loader) -> None:
    """Older versions had it in the comment alone."""
    both = schema("t", {"a": INTEGER, "b": INTEGER}, keys=("a",))
    loader.load([both, record("t", a=1)])
    with duckdb.connect(str(loader.path)) as con:
        for name in ("is_key", "is_personal", "description"):
            con.execute(f"ALTER TABLE _singer_columns DROP COLUMN {name}")
        con.execute("COMMENT ON TABLE t IS 'key: a'")
    assert json.loads(loader.ask("inspect", "--format", "json"))["streams"][0]["key"] == []
    assert "its key was a and is now b" in loader.fail([both | {"key_properties": ["b"]}, record("t", b=1)])
    loader.load([both, record("t", a=2)])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("COMMENT ON TABLE t IS NULL")
    assert "its key was a and is now b" in loader.fail([both | {"key_properties": ["b"]}, record("t", b=1)])


def test_inspect_shows_states_shortened_and_whole_as_json(loader: Loader) -> None:
    long = {"bookmarks": {"people": {"replication_key_value": "2026-01-31", "more": "x" * 500}}}
    parts = {"bookmarks": {"people": {"partitions": [{"replication_key_value": f"2026-01-0{n}"} for n in (2, 3, 1)]}}}
    loader.load([people(), state(long)], state_id="ours", shared=True)
    loader.load([people(), state(parts)], state_id="sdk", shared=True)
    loader.load([people(), state({"position": "y" * 500})], state_id="other", shared=True)
    lines = loader.ask("inspect").splitlines()
    assert any(line.startswith("ours") and line.endswith("people  2026-01-31") for line in lines)
    assert any(line.startswith("sdk") and line.endswith("people  2026-01-03") for line in lines)
    assert max(map(len, lines)) < 160
    whole = json.loads(loader.ask("inspect", "--format", "json"))["states"]
    assert [entry["state"] for entry in whole] == [{"position": "y" * 500}, long, parts]
