"""Rows that are gone from what was read whole: removed or marked, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import DATE_TIME, INTEGER, STRING, Loader, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

HEAD = schema("t", {"id": INTEGER, "shop": STRING, "at": DATE_TIME, "v": STRING})
HEAD["schema"]["x-scopes"] = ["shop", "at"]
JANUARY, FEBRUARY, MARCH = (f"2026-0{month}-01T00:00:00Z" for month in (1, 2, 3))


@pytest.fixture(params=["removed", "marked", "lake", "delta"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    forms: dict[str, dict[str, Any]] = {
        "removed": {"hard_delete": True},
        "marked": {"hard_delete": False, "add_record_metadata": False},
        "lake": {"lake_path": str(tmp_path / "lake")},
        "delta": {"lake_path": str(tmp_path / "lake"), "table_format": "delta", "hard_delete": False},
    }
    return {"on_bad_record": "reject"} | forms[request.param]


def row(number: int, shop: str = "a", at: str = JANUARY, **more: Any) -> dict[str, Any]:
    return record("t", id=number, shop=shop, at=at, **more)


def read(*scopes: dict[str, Any]) -> dict[str, Any]:
    return state({"bookmarks": {"t": {"_scopes_read": [*scopes]}}})


def rows(loader: Loader) -> list[int]:
    marked = (
        "WHERE _sdc_deleted_at IS NULL" if loader.sql("FROM (DESCRIBE t) WHERE column_name = '_sdc_deleted_at'") else ""
    )
    return [number for (number,) in loader.sql(f"SELECT id FROM t {marked} ORDER BY id")]


@pytest.mark.parametrize(
    ("came", "scopes", "left"),
    [
        ([row(1)], [{}], [1]),
        ([], [{}], []),
        ([row(1)], [{"equal": {"shop": "a"}}], [1, 3, 4]),
        ([], [{"equal": {"shop": "b"}}], [1, 2]),
        ([], [{"start": {"at": FEBRUARY}, "end": {"at": MARCH}}], [1, 3]),
        ([], [{"start": {"at": FEBRUARY.lower()}, "end": {"at": MARCH.lower()}}], [1, 3]),
        ([], [{"end": {"at": "infinity"}}], [1, 2, 3, 4]),
        ([], [{"equal": {"shop": "a"}, "start": {"at": FEBRUARY}}], [1, 3, 4]),
        ([], [{"end": {"at": FEBRUARY}}, {"equal": {"shop": "b"}}], [2]),
        ([], [{"equal": {"shop": "c"}}], [1, 2, 3, 4]),
        ([], [{"start": {"at": "some day"}}], [1, 2, 3, 4]),
        ([row(2, "b", FEBRUARY)], [{"equal": {"shop": "a"}}], [2, 3, 4]),  # it has moved to another scope
        ([row(5)], [], [1, 2, 3, 4, 5]),
    ],
)
def test_what_did_not_come_is_gone(
    loader: Loader, where: dict[str, Any], came: list[Any], scopes: list[Any], left: list[int]
) -> None:
    before = [row(1), row(2, at=FEBRUARY), row(3, "b"), row(4, "b", FEBRUARY)]
    loader.load([HEAD, *before, state(1)], **where)
    loader.load([HEAD, *came, read(*scopes)], **where)
    assert rows(loader) == left
    moved = sum(message["record"]["id"] > 4 for message in came)
    assert loader.counts("t")["deleted"] == 4 + moved - len(left)


def test_a_row_that_came_before_its_scope_in_another_commit_is_not_gone(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([HEAD, row(1), row(2), state(1)], **where)
    loader.load(
        [HEAD, row(1), state(2), row(3, "b"), read({"equal": {"shop": "a"}})], flush_interval_s=0, batch_rows=1, **where
    )
    assert rows(loader) == [1, 3]


def test_what_is_gone_comes_back(loader: Loader, where: dict[str, Any]) -> None:
    for number, came in enumerate(([row(1), row(2)], [row(1)], [row(1), row(2)])):
        loader.load([HEAD, *came, state(number) if not number else read({})], **where)
        assert rows(loader) == [message["record"]["id"] for message in came]


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({}, [HEAD, row(1), record("t", id=2, v=5), read({})]),
        ({"shared": True}, [HEAD, row(1), read({})]),
        ({}, [HEAD, row(1), row(2**70), read({})]),
        ({}, [HEAD, row(1), read({"equal": {"nothing": "x"}})]),
        ({}, [HEAD, row(1), read({"equal": 5})]),
        ({}, [HEAD, row(1), read({"equals": {"shop": "a"}})]),
        ({}, [HEAD, row(1, v="x"), read({"equal": {"v": "x"}})]),
        ({}, [schema("t", HEAD["schema"]["properties"]), row(1), HEAD, read({})]),
        ({}, [schema("t", HEAD["schema"]["properties"]), row(1), read({})]),
        ({}, [HEAD, row(1)]),
    ],
    ids=[
        "rejected",
        "shared",
        "another type of key",
        "unknown property",
        "nonsense",
        "unknown member",
        "unmarked",
        "late",
        "no mark",
        "no state",
    ],
)
def test_what_may_be_there_is_not_gone(
    loader: Loader, where: dict[str, Any], settings: dict[str, Any], messages: list[Any]
) -> None:
    loader.load([HEAD, row(1, v="x"), row(2, v="x"), state(1)], **where, **settings)
    loader.load(messages, **where, **settings)
    assert {1, 2} <= set(rows(loader))


def test_a_scope_that_no_commit_covers_has_no_effect(loader: Loader) -> None:
    loader.load([HEAD, row(1), row(2), state(1)])
    done = loader.run([HEAD, row(1), read({}), {"type": "NONSENSE"}])
    assert done.returncode == 5
    assert rows(loader) == [1, 2]


@pytest.mark.parametrize("hard", [True, False])
def test_the_history_tells_what_is_gone(loader: Loader, *, hard: bool) -> None:
    settings: dict[str, Any] = {"history": True, "hard_delete": hard}
    for number, came in enumerate(([row(1), row(2)], [row(1)], [row(1), row(2)])):
        loader.load([HEAD, *came, read({}) if number else state(1)], **settings)
    found = loader.sql("SELECT _sdc_operation FROM t__history WHERE id = 2 ORDER BY _sdc_valid_from")
    assert found == [("insert",), ("delete",), ("return",)]
