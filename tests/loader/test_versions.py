"""ACTIVATE_VERSION removes what is gone, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import INTEGER, STRING, Loader, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

T = schema("t", {"id": INTEGER, "v": STRING})
BAD = record("t", 2, id=3, v=5)


def activate(version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}


@pytest.fixture(params=["tables", "lake", "marked"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    forms: dict[str, dict[str, Any]] = {"lake": {"lake_path": str(tmp_path / "lake")}, "marked": {"hard_delete": False}}
    return {"on_bad_record": "reject"} | forms.get(request.param, {})


def rows(loader: Loader) -> list[int]:
    return [number for (number,) in loader.sql("SELECT id FROM t WHERE _sdc_deleted_at IS NULL ORDER BY id")]


@pytest.mark.parametrize("keys", [("id",), ()], ids=["merged", "appended"])
@pytest.mark.parametrize(
    ("messages", "reason", "left"),
    [
        ([record("t", id=2), activate(2)], "without a version", {1, 2, 3}),
        ([record("t", 2, id=2), record("t", id=4), activate(2)], "without a version", {1, 2, 3, 4}),
        ([record("t", 1, id=4), activate(2)], "of another version", {1, 2, 3, 4}),
        ([record("t", 2, id=2), BAD, activate(2)], "a record was rejected", {1, 2, 3}),
        ([BAD, activate(2)], "a record was rejected", {1, 2, 3}),
        ([record("t", 2, id=2), activate(2), record("t", id=4), activate(3)], "without a version", {2, 4}),
    ],
    ids=["none", "mixed", "another", "rejected", "all-rejected", "later"],
)
def test_what_this_run_brought_or_rejected_is_not_gone(
    loader: Loader,
    where: dict[str, Any],
    keys: Sequence[str],
    messages: list[dict[str, Any]],
    reason: str,
    left: set[int],
) -> None:
    head = T | {"key_properties": [*keys]}
    before = [record("t", 1, id=n) for n in (1, 2, 3)]
    loader.load([head, *before, activate(1), state(1)], **where)
    assert rows(loader) == [1, 2, 3]
    done = loader.run([head, *messages, state(2)], **where)
    assert done.returncode == 0, done.stderr.decode()
    (line,) = (line for line in done.stderr.decode().splitlines() if "ACTIVATE_VERSION" in line)
    assert "WARNING stream t: ACTIVATE_VERSION is ignored" in line
    assert reason in line
    assert set(rows(loader)) == left


def test_a_snapshot_that_is_complete_replaces_one_of_the_same_run(loader: Loader, where: dict[str, Any]) -> None:
    first = [T, *(record("t", 1, id=n) for n in (1, 2, 3)), activate(1), state(1)]
    second = [T, record("t", 2, id=2), activate(2), state(2)]
    done = loader.run([*first, *second], **where)
    assert b"WARNING" not in done.stderr
    assert rows(loader) == [2]
    loader.load([T, activate(3), state(3)], **where)
    assert rows(loader) == []
