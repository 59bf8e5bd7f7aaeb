"""Reading less, to save calls of a small budget: what is asked for, what stays, and what comes back later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ConfigError
from tap_premiumpay.tap import TapPremiumpay
from tests.loader.harness import Loader
from tests.premiumpay.conftest import bag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.premiumpay.conftest import Warehouse

SINCE = {"start_date": "2025-12-01", "backfill_window_days": 28}


def asked(house: Warehouse, route: str) -> list[dict[str, Any]]:
    """The bodies of the calls to a route."""
    log = house.world.requests("premiumpay")
    return [json.loads(entry["body"]) for entry in log if entry["route"] == route]


def values(house: Warehouse, route: str, *names: str) -> set[tuple[Any, ...]]:
    return {tuple(body.get(name) for name in names) for body in asked(house, route)}


def since(house: Warehouse, stream: str, **wanted: Any) -> list[dict[str, Any]]:
    """The truth since the first window, of rows with these values."""
    first = min(row["_window_start"] for row in house.rows(stream))
    rows = [row for row in house.truth(stream) if row["date_time"] >= first]
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def test_one_gateway_costs_a_quarter_of_the_calls(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    run = house.run(pasarela_ids=[102])
    assert run.code == 0, run.log
    assert "setting pasarela_ids is in use: sales of other gateways are not read" in run.log
    assert values(house, "/sales", "pasarela_id") == {(102,)}
    assert bag(house.rows("sales")) == bag(since(house, "sales", pasarela_id=102))
    assert len(house.rows("gateways")) == 4, "the list costs the same one call"


def test_the_list_of_gateways_is_not_needed_for_those_that_are_named(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    catalog = TapPremiumpay(config=house.account().config).catalog_dict
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["tap_stream_id"] in {"sales", "channel_sales"}
    house.read(pasarela_ids=[101, 102], channel_ids=[5007])
    before = len(asked(house, "/gateways")), len(asked(house, "/channels"))
    tap = TapPremiumpay(
        config={**house.account().config, "pasarela_ids": [101, 102], "channel_ids": [5007]}, catalog=catalog
    )
    for stream in ("sales", "channel_sales"):
        assert tap.streams[stream].subjects()  # type: ignore[attr-defined]
    assert (len(asked(house, "/gateways")), len(asked(house, "/channels"))) == before


def test_several_services_are_asked_of_the_gateways_that_have_them(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    house.read(service_ids=[1, 3])
    pairs = {(row["pasarela_id"], row["service_id"]) for row in house.rows("services") if row["service_id"] in {1, 3}}
    assert values(house, "/sales", "pasarela_id", "service_id") == pairs
    assert pairs
    wanted = [row for row in since(house, "sales") if (row["pasarela_id"], row["service_id"]) in pairs]
    assert bag(house.rows("sales")) == bag(wanted)


def test_a_service_that_no_gateway_has_is_told_of(make: Callable[..., Warehouse]) -> None:
    run = make(config=SINCE).run(service_ids=[987])
    assert run.code == 4
    assert "sales: none of the gateways has any of the services; check the setting 'service_ids'" in run.log


def test_one_call_for_all_gateways_gives_the_same_sales(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    house.read(sales_by_gateway=False)
    assert values(house, "/sales", "pasarela_id") == {(None,)}
    assert bag(house.rows("sales")) == bag(since(house, "sales"))
    one_call = len(asked(house, "/sales"))
    house.state, house.records = {}, {}
    house.read()
    assert len(asked(house, "/sales")) == 5 * one_call
    assert bag(house.rows("sales")) == bag(since(house, "sales"))


def test_where_the_api_wants_a_gateway_or_rows_name_none_it_is_told(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE, gateway_required=True)
    assert house.run(sales_by_gateway=False).code == 4
    house.world.switch("premiumpay", gateway_required=False)
    house.world.fault("premiumpay", "/sales", "patch", times=None, set={"0.pasarela_id": None})
    run = house.run(sales_by_gateway=False)
    assert run.code == 4
    assert "sales: a row does not name its pasarela_id; set sales_by_gateway to true" in run.log


def test_aggregates_by_one_field_cost_one_call(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    run = house.run(aggregate_fields=["country"])
    assert "setting aggregate_fields is in use: aggregates by payment_method and service are not read" in run.log
    assert values(house, "/aggregatedsales", "aggregate_field") == {("country",)}
    assert {row["aggregate_field"] for row in house.rows("aggregated_sales")} == {"country"}
    house.read()
    house.check_aggregates(since=min(row["_window_start"] for row in house.rows("aggregated_sales")))


def test_one_channel_is_read_without_the_others(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    house.read(channel_ids=[5007])
    for route in ("/channelsales", "/channelresults"):
        assert values(house, route, "channel_id") == {(5007,)}
    assert bag(house.rows("channel_sales")) == bag(since(house, "channel_sales", channel_id=5007))
    assert len(house.rows("channels")) == 4


def test_one_invitation_link_is_asked_for_alone(make: Callable[..., Warehouse]) -> None:
    house = make(config=SINCE)
    house.read()
    link = next(row for row in house.rows("channel_links") if row["invitation_link"].startswith("http"))
    before = len(asked(house, "/channelsales"))
    for settings in ({}, {"channel_ids": [link["channel_id"]]}):
        house.state = {}
        run = house.run(invitation_links=[link["invitation_link"]], **settings)
        assert run.code == 0, run.log
        calls = asked(house, "/channelsales")[before:]
        assert {(body["channel_id"], body["invitation_link"]) for body in calls} == {
            (link["channel_id"], link["invitation_link"])
        }
        assert {row["invitation_link"] for row in run.records("channel_results")} == {link["invitation_link"]}
        assert link["invitation_link"] not in run.log
    unknown = house.run(invitation_links=["https://t.example.com/none", link["invitation_link"]])
    assert unknown.code == 4
    assert "1 of the 2 links in the setting 'invitation_links' belong to no channel that is read" in unknown.log
    assert "t.example.com" not in unknown.log


@pytest.mark.parametrize(
    "narrow",
    [
        pytest.param({"pasarela_ids": [102]}, id="gateway"),
        pytest.param({"service_ids": [1, 3]}, id="services"),
        pytest.param({"sales_by_gateway": False}, id="all-gateways"),
        pytest.param({"sales_by_gateway": False, "service_id": 1}, id="service-of-all-gateways"),
    ],
)
@pytest.mark.parametrize("row_id", [True, False])
def test_narrowing_deletes_nothing_and_widening_misses_nothing(
    make: Callable[..., Warehouse], tmp_path: Any, narrow: dict[str, Any], row_id: bool
) -> None:
    house = make(config={**SINCE, "lookback_days": 60}, row_id=row_id)
    loader = Loader(tmp_path)
    columns = ("date_time", "pasarela_id", "service_id", "country")

    def load(**config: Any) -> None:
        loader.load(house.read(**config).output, replace_windows=True)

    def stored() -> list[tuple[Any, ...]]:
        shown = "strftime(date_time, '%Y-%m-%dT%H:%M:%S.%fZ'), pasarela_id, service_id, country"
        return sorted(loader.sql(f"SELECT {shown} FROM sales"), key=str)

    load()
    first = min(row["_window_start"] for row in house.rows("sales"))

    def sold() -> list[tuple[Any, ...]]:
        rows = [row for row in house.truth("sales") if row["date_time"] >= first]
        return sorted((tuple(row.get(name) for name in columns) for row in rows), key=str)

    assert stored() == sold()
    load(**narrow)
    assert stored() == sold(), "nothing is gone, and nothing has come twice"
    house.world.tick()
    house.world.advance(86_400)
    load(**narrow)
    load()
    assert stored() == sold(), "what was not asked for meanwhile has come"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"pasarela_ids": [1], "sales_by_gateway": False}, "'pasarela_ids' has no effect with sales_by_gateway: false"),
        ({"aggregate_fields": []}, "setting 'aggregate_fields' is empty; to leave aggregated_sales out, deselect it"),
        (
            {"aggregate_fields": ["city"]},
            "setting 'aggregate_fields.0' must be one of country, payment_method, service",
        ),
        ({"pasarela_ids": [-1]}, "setting 'pasarela_ids.0' must be 0 or more"),
        ({"channel_ids": ["x"]}, "setting 'channel_ids.0' must be of type integer"),
    ],
)
def test_c1_a_narrowing_that_makes_no_sense_is_refused(config: dict[str, Any], said: str) -> None:
    account = {"api_url": "https://api.example.com", "jwt": "a.b.c", "client_id": "c", "start_date": "2026-01-01"}
    with pytest.raises(ConfigError) as failure:
        TapPremiumpay(config={**account, **config})
    assert said in str(failure.value)
