"""Identifiers: as text whatever they come as, and derived where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_core.records.fields import AsText
from tap_core.records.keys import OwnKey
from tap_core.records.policy import Policy
from tap_core.records.slow_path import DictAccess

if TYPE_CHECKING:
    from tap_core.records.field import Context, Field

KEY = OwnKey("_key", identifier="id", stream="moves", of=("at", "points"), partition=("who",))


def apply(transform: Field, rows: list[dict[str, Any]], scope: Context | None = None) -> list[dict[str, Any]]:
    transform.bind(DictAccess(), Policy())(rows, {"who": "a"} if scope is None else scope)
    return rows


def keys(rows: list[dict[str, Any]], scope: Context | None = None) -> list[str]:
    return [row["_key"] for row in apply(KEY, [dict(row) for row in rows], scope)]


@pytest.mark.parametrize(("given", "expected"), [(7, "7"), ("7", "7"), (2**70, str(2**70)), (None, None)])
def test_identifiers_leave_as_text(given: Any, expected: Any) -> None:
    assert apply(AsText(("id",)), [{"id": given}]) == [{"id": expected}]


def test_a_record_keeps_its_own_identifier() -> None:
    assert keys([{"id": "7", "at": "x"}]) == ["7"]


def test_equal_records_stay_two() -> None:
    assert len(set(keys([{"at": "x", "points": "5"}] * 3))) == 3


def test_keys_are_the_same_in_every_run_and_on_every_page() -> None:
    rows = [{"at": "x", "points": "5"}, {"at": "y", "points": "5"}, {"at": "x", "points": "5"}]
    scope: Context = {"who": "a"}
    assert keys(rows[:1], scope) + keys(rows[1:], scope) == keys(rows)


def test_a_new_field_changes_no_key() -> None:
    assert keys([{"at": "x", "points": "5", "new": 1}]) == keys([{"at": "x", "points": "5"}])


def test_partitions_have_keys_of_their_own() -> None:
    assert keys([{"at": "x"}], {"who": "a"}) != keys([{"at": "x"}], {"who": "b"})
