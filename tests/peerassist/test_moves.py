"""Rows that move while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peerassist.conftest import Reader


@pytest.mark.parametrize("sortable", [True, False])
@pytest.mark.parametrize("after", [2, 3, 6])
def test_p3_a_row_inserted_between_pages_loses_none(reader: Callable[..., Reader], sortable: bool, after: int) -> None:
    source = reader(sortable=sortable)
    source.world.fault("peerassist", "/fwo", "insert", position=0, rows=3, after=after)
    run = source.read(page_size=50, concurrency=1, enable_streams=[])
    assert run.code == 0, run.log
    source.assert_exact(run, "fwos")
    assert len(run.records("fwos")) == len(source.truth("fwos"))


@pytest.mark.parametrize("after", [2, 3, 6])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({}, id="totals"),
        pytest.param({"totals": False}, id="no-totals"),
        pytest.param({"envelope": "array"}, id="array"),
        pytest.param({"envelope": "array", "sortable": False, "first_page": 1}, id="array-from-one-newest-first"),
    ],
)
def test_p3_a_row_deleted_between_pages_loses_no_other(
    reader: Callable[..., Reader], switches: dict[str, Any], after: int, concurrency: int
) -> None:
    source = reader(**switches)
    source.world.fault("peerassist", "/fwo", "delete", position=5, rows=2, after=after)
    run = source.read(page_size=50, concurrency=concurrency, enable_streams=[])
    assert run.code == 0, run.log
    source.assert_exact(run, "fwos")
    assert " missing" not in run.log


def test_p4_a_row_on_two_pages_comes_once(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "duplicate", times=None, position=10, rows=5, gap=120)
    run = source.read(page_size=50, enable_streams=[])
    source.assert_exact(run, "fwos")
    assert len(run.records("fwos")) == len(source.truth("fwos"))
    assert " missing" not in run.log


def test_a_shortfall_is_read_again_once_and_then_reported(reader: Callable[..., Reader]) -> None:
    source = reader(dates="absent")
    source.world.fault("peerassist", "/fwo", "patch", times=None, set={"totalElements": 375})
    run = source.read(page_size=100, enable_streams=[])
    assert run.code == 0
    assert "fwos: in two readings, the API counts 4 more rows than it sends" in run.log
    assert "4 missing" in run.log
    assert run.rows("fwos").keys() == source.truth("fwos").keys()
    assert len(source.calls("/fwo")) == 1 + 1 + 3 + 4, "first page, comparison, the rest, and all of it again"
    assert "fwos" not in {message["stream"] for message in run.of("ACTIVATE_VERSION")}


def test_a_shortfall_leaves_the_bookmark_where_it_was(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "patch", times=None, set={"totalElements": 375})
    assert "fwos" not in source.read(enable_streams=[]).state["bookmarks"]


def test_p1_an_empty_page_in_the_middle_loses_nothing(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "empty_page", after=4)
    run = source.read(page_size=30, enable_streams=[])
    assert run.code == 0, run.log
    source.assert_exact(run, "fwos")


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        pytest.param("status", {"status": 503, "times": 3}, id="H3-503-three-times"),
        pytest.param("status", {"status": 429, "times": 2, "retry_after": 5}, id="H1-429"),
        pytest.param("reset_body", {}, id="H6-reset-in-the-body"),
        pytest.param("html", {}, id="H10-html"),
        pytest.param("cut_json", {}, id="H11-cut-json"),
        pytest.param("error_object", {}, id="H12-error-object"),
        pytest.param("no_content", {}, id="H13-204"),
    ],
)
def test_a_passing_failure_costs_no_row(reader: Callable[..., Reader], kind: str, details: dict[str, int]) -> None:
    source = reader(clock_rate=600.0)
    source.world.fault("peerassist", "/fwo", kind, after=2, **details)  # type: ignore[arg-type]
    run = source.read(page_size=60, enable_streams=[])
    assert run.code == 0, run.log
    source.assert_exact(run, "fwos", "customers")
