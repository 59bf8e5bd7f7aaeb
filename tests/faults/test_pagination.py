"""Lists that move, repeat or lie about themselves while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.shop import given
from tests.faults.vendors import of

if TYPE_CHECKING:
    from merchant_sandbox.client import Sandbox
    from tests.faults.shop import Shop


@of("P1")
def test_an_empty_page_in_the_middle_loses_nothing(shop: Shop) -> None:
    shop.fault("empty_page", after=4)
    shop.assert_exact(shop.read())
    assert shop.fired == [1]


MOVES = [("insert", 3, 0), ("insert", 40, 0), ("delete", 1, 10), ("delete", 29, 0)]


@of("P3")
@pytest.mark.parametrize(("kind", "rows", "position"), MOVES, ids=[f"{kind}-{rows}" for kind, rows, _ in MOVES])
def test_rows_that_stay_are_not_lost_while_others_move(shop: Shop, kind: str, rows: int, position: int) -> None:
    if shop.vendor.name == "pegke":
        if kind == "delete":
            pytest.skip("entries of a history are never taken back")
        rows = 1
    shop.fault(kind, times=None, rows=rows, position=position, after=5)
    run = shop.read()
    assert run.code == 0, run.log
    assert shop.calm is not None
    found, wanted = (given(each).rows[shop.vendor.main] for each in (run, shop.calm))
    order = [tuple(record[key] for key in run.keys(shop.vendor.main)) for record in shop.calm.records(shop.vendor.main)]
    moved = len(order) - len(set(order) & found.keys())
    assert found.items() <= wanted.items()
    assert moved <= (rows if shop.vendor.name != "pegke" else 6)


@of("P4")
def test_a_row_that_comes_twice_is_one_row(shop: Shop) -> None:
    shop.fault("duplicate", times=None, position=3, rows=5, gap=20)
    shop.assert_exact(shop.read())
    assert shop.fired[0] > 3


@of("P5", without=["peakium", "pegke"])
@pytest.mark.parametrize("size", [20, 40])
def test_a_last_page_that_is_full_ends_the_list(shop: Shop, size: int) -> None:
    assert shop.calm is not None
    full = [stream for stream in shop.streams if len(shop.calm.records(stream)) % size == 0]
    assert full
    run = shop.read(page_size=size)
    shop.assert_exact(run)
    assert all(len(run.records(stream)) == len(shop.calm.records(stream)) for stream in full)


@of("P6")
def test_links_to_another_host_are_not_followed(shop: Shop, sandbox: Sandbox) -> None:
    """Wherever answers have room for a link, there is one, and one in the headers of a failure, too."""
    link = sandbox.url.replace("127.0.0.1", "localhost") + "/elsewhere/next"
    before = len(sandbox.elsewhere())
    names = ("next", "next_page", "nextPage", "links", "_links", "paging", "pagination")
    told: dict[str, Any] = dict.fromkeys(names, link) | {"links": {"next": {"href": link}}}
    shop.fault("status", status=503, headers={"Link": f'<{link}>; rel="next"', "Location": link}, after=1)
    if shop.vendor.rows != "*":
        shop.fault("patch", times=None, set=told)
    run = shop.read()
    assert shop.calm is not None
    assert run.code == 0, run.log
    for stream in shop.streams:
        assert given(run).rows[stream].keys() == given(shop.calm).rows[stream].keys(), stream
    assert min(shop.fired) >= 1
    assert len(sandbox.elsewhere()) == before


@of("P7")
@pytest.mark.parametrize("by", [-35, 35], ids=["fewer", "more"])
def test_a_total_that_changes_does_not_end_the_reading(shop: Shop, by: int) -> None:
    shop.fault("total", times=1, after=3, by=by)
    shop.assert_exact(shop.read(page_size=30))
    assert shop.fired == [1]


@of("P8", without=["pegke"])
def test_a_server_that_ignores_the_page_size_is_read_whole(shop: Shop) -> None:
    shop.fault("ignore_page_size", times=None, rows=17)
    shop.assert_exact(shop.read())
    assert shop.fired[0] > 3


@of("P8")
def test_a_server_that_ignores_the_page_is_told(shop: Shop) -> None:
    shop.fault("ignore_page", times=None)
    run = shop.read()
    said = [line for line in run.log.splitlines() if shop.vendor.main in line and ("page" in line or "offset" in line)]
    assert said, run.log
    assert shop.calm is not None
    assert given(run).rows[shop.vendor.main].items() <= given(shop.calm).rows[shop.vendor.main].items()
    assert run.code == 4 or shop.vendor.name == "pegke", "there, it may be that every history has one page"
