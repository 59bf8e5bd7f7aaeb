"""What the vendor no longer lists is gone from the warehouse, too, though its stream keeps a bookmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.shop import Shop

LISTS = {"peakium": ("/invoices", ("invoices", "invoice_items")), "peerassist": ("/fwo", ("fwos",))}
LATE = "2025-12-20"


def ids(loader: Loader, stream: str) -> set[tuple[Any, ...]]:
    keys = "invoice_id, _position" if stream == "invoice_items" else "id"
    return set(loader.sql(f"SELECT {keys} FROM {stream} WHERE _sdc_deleted_at IS NULL"))


@pytest.fixture(params=LISTS)
def shop(request: pytest.FixtureRequest, make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(request.param)


@pytest.mark.parametrize("hard_delete", [True, False], ids=["removed", "marked"])
def test_what_is_listed_no_more_is_gone(shop: Shop, *, hard_delete: bool) -> None:
    (route, streams), loader = LISTS[shop.vendor.name], Loader(shop.folder)
    first = shop.read(everything=True)
    loader.load(first.output, hard_delete=hard_delete)
    before = {stream: ids(loader, stream) for stream in streams}
    shop.fault("delete", route, rows=3, position=5, after=0)
    second = shop.read(everything=True, state=first.state)
    assert second.code == 0, second.log
    told = {stream for stream, entry in second.state["bookmarks"].items() if "_scopes_read" in entry}
    assert not told & {"events", "event_webhooks"}, "their lists may end somewhere"
    loader.load(second.output, hard_delete=hard_delete)
    for stream in streams:
        left = ids(loader, stream)
        assert left == set(second.rows(stream)) < before[stream]
    assert len(before[streams[0]] - ids(loader, streams[0])) == 3
    assert (len(loader.sql(f"FROM {streams[0]}")) == len(before[streams[0]])) is not hard_delete
    shop.world.clear_faults(shop.vendor.name)
    third = shop.read(everything=True, state=second.state)
    loader.load(third.output, hard_delete=hard_delete)
    assert {stream: ids(loader, stream) for stream in streams} == before


@pytest.mark.parametrize("how", ["fault", "filter", "end", "mapped", "members"])
def test_what_was_not_read_whole_takes_nothing_away(shop: Shop, how: str) -> None:
    (route, streams), loader = LISTS[shop.vendor.name], Loader(shop.folder)
    first = shop.read(everything=True)
    loader.load(first.output)
    before = {stream: ids(loader, stream) for stream in streams}
    config: dict[str, Any] = {}
    if how == "fault":
        shop.fault("status", route, status=500, times=None, after=1)
        config = {"page_size": 10, "retry_max_s": 0}
    elif how == "filter":
        peakium: dict[str, Any] = {"filters": {"invoices": {"overdue": True}}}
        config = peakium if shop.vendor.name == "peakium" else {"start_date": LATE}
    elif how == "members":
        shop.fault("patch", route, remove=["data.*.items"], times=None)
    elif how == "end":
        config = {"end_date": LATE}
    else:
        config = {"stream_maps": {streams[0]: {"__filter__": "False"}}}
    second = shop.read(everything=True, state=first.state, **config)
    assert (second.code == 0) is (how != "fault"), second.log
    loader.load(second.output)
    assert {stream: ids(loader, stream) for stream in streams} == before


def test_a_list_that_lacks_rows_takes_nothing_away(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop("peerassist")
    loader, first = Loader(shop.folder), shop.read(everything=True)
    loader.load(first.output)
    before = ids(loader, "fwos")
    shop.fault("patch", "/fwo", times=None, set={"totalElements": 10**6})
    shop.fault("delete", "/fwo", rows=3, position=5, after=0)
    second = shop.read(everything=True, state=first.state)
    loader.load(second.output)
    assert set(second.rows("fwos")) < before == ids(loader, "fwos")
