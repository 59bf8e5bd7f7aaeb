"""``schema_changes``: whether a table may get other columns than it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import INTEGER, NUMBER, OBJECT, STRING, Loader, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

T = schema("t", {"id": INTEGER, "v": INTEGER})
CHANGES = [
    ([schema("t", {"id": INTEGER, "v": INTEGER, "w": STRING})], "column w would be new, VARCHAR"),
    ([T, record("t", id=2, w={"a": 1})], "column w would be new, JSON"),
    ([schema("t", {"id": INTEGER, "v": NUMBER})], "column v would be DOUBLE, is BIGINT"),
    ([T, record("t", id=2, v=2**70)], "column v would be HUGEINT, is BIGINT"),
    ([schema("t", {"id": INTEGER, "v": OBJECT})], "column v would be JSON, is BIGINT"),
]


@pytest.mark.parametrize(("messages", "said"), CHANGES)
@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
@pytest.mark.parametrize("contract", ["fail", {"T": "fail"}, {"*": "fail", "other": "evolve"}])
def test_a_change_is_refused(
    loader: Loader, tmp_path: Path, messages: list[Any], said: str, contract: object, *, lake: bool
) -> None:
    where: dict[str, Any] = {"lake_path": str(tmp_path / "lake")} if lake else {}
    loader.load([T, record("t", id=1, v=1), state(1)], schema_changes=contract, **where)
    line = loader.fail([*messages, state(2)], schema_changes=contract, **where)
    assert f"stream t: {said}" in line
    assert "`schema_changes`" in line
    assert loader.types("t") == {"id": "BIGINT", "v": "BIGINT"}
    assert loader.sql("FROM t") == [(1, 1)]
    assert loader.ask("state") == "1\n"
    assert loader.sql("FROM _singer_schema_history") == []


@pytest.mark.parametrize(("messages", "said"), CHANGES)
@pytest.mark.parametrize("contract", ["evolve", {"other": "fail"}, {"*": "fail", "t": "evolve"}])
def test_a_change_that_is_allowed_is_one_line_and_a_row(
    loader: Loader, messages: list[Any], said: str, contract: object
) -> None:
    loader.load([T, record("t", id=1, v=1), state(1)])
    done = loader.run([*messages, state(2)], schema_changes=contract)
    assert done.returncode == 0
    assert done.stderr.decode().count("stream t: column") == 1
    assert len(loader.sql("FROM _singer_schema_history")) == 1
    assert said.split()[1] in loader.sql("SELECT column_name FROM _singer_schema_history")[0]


def test_what_is_narrower_or_missing_is_no_change(loader: Loader) -> None:
    loader.load([schema("t", {"id": INTEGER, "v": NUMBER, "w": STRING}), record("t", id=1, v=1.5, w="x")])
    loader.load([T, record("t", id=2, v=1)], schema_changes="fail")
    loader.load([T, record("t", id=3)], schema_changes="fail", add_record_metadata=True)
    assert loader.sql("FROM t ORDER BY id") == [(1, 1.5, "x"), (2, 1.0, None), (3, None, None)]


def test_new_streams_and_the_loaders_own_columns_are_no_change(loader: Loader) -> None:
    loader.load([T, record("t", id=1)], add_record_metadata=False)
    loader.load([T, record("t", 5, id=1), schema("new", {"id": INTEGER}), record("new", id=1)], schema_changes="fail")
    assert loader.sql("SELECT count(*) FROM new") == [(1,)]
    assert loader.sql("SELECT count(*) FROM t WHERE _sdc_batched_at IS NULL") == [(0,)]


def test_c2_a_contract_for_single_streams_is_read_from_a_text(loader: Loader) -> None:
    """As Meltano and the environment hand it on."""
    loader.load([T, record("t", id=1, v=1), state(1)])
    wider = CHANGES[0][0]
    assert "`schema_changes`" in loader.fail(wider, schema_changes='{"t": "fail"}')
    loader.load(wider, schema_changes=' {"*": "fail", "t": "evolve"}')
