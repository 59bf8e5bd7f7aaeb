"""Customers where no call lists them: those that other records name, one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import run_tap
from tap_peerassist.tap import TapPeerAssist
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peerassist.conftest import Reader


def asked(source: Reader) -> list[int]:
    return [int(call["path"].rpartition("/")[2]) for call in source.calls("/customer/{id}")]


def named(source: Reader, *streams: str) -> set[int]:
    return {row["customerId"] for stream in streams for row in source.truth(stream).values() if "customerId" in row}


@pytest.mark.parametrize("status", ["404", "405"])
def test_each_named_customer_is_asked_for_once_and_no_other(reader: Callable[..., Reader], status: str) -> None:
    source = reader(customer_list=status)
    run = source.read(concurrency=8)
    assert run.code == 0, run.log
    source.assert_exact(run)
    assert sorted(asked(source)) == sorted(named(source, "fwos", "projects"))


def test_customers_are_asked_for_concurrently(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    source.world.fault("peerassist", "/customer/{id}", "delay", times=None, seconds=0.02)
    source.read(concurrency=6, enable_streams=[])
    assert max(call["in_flight"] for call in source.calls("/customer/{id}")) == 6


def test_a_deleted_customer_is_counted_and_not_fatal(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    run = source.read()
    gone = named(source, "fwos", "projects") - {key[0] for key in source.truth("customers")}
    assert gone
    assert f"{len(gone)} deleted" in run.log
    assert run.code == 0


def test_a_customer_that_nothing_names_can_be_added_by_hand(reader: Callable[..., Reader]) -> None:
    source = reader()
    everyone = {key[0] for key in source.truth("customers")}
    unnamed = sorted(everyone - named(source, "fwos", "projects"))
    assert unnamed
    source.world.switch("peerassist", customer_list="404")
    run = source.read(customer_ids=[*unnamed, 3, 999_999])
    assert {key[0] for key in run.rows("customers")} == {key[0] for key in source.truth("customers")} | set(unnamed)
    assert len(asked(source)) == len(set(asked(source)))


def test_customers_by_hand_are_read_beside_a_list_only_if_it_lacks_them(reader: Callable[..., Reader]) -> None:
    source = reader()
    run = source.read(customer_ids=[3, 999_998, 999_999])
    assert run.code == 0, run.log
    source.assert_exact(run, "customers")
    assert sorted(asked(source)) == [999_998, 999_999]
    assert "2 deleted" in run.log


def test_without_projects_the_ids_of_field_work_orders_are_used(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404", missing=["/project"])
    run = source.read(enable_streams=[])
    assert run.code == 0, run.log
    source.assert_exact(run, "fwos", "customers")
    assert "their ids come only from fwos" in run.log


def test_customers_can_be_read_alone(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    catalog: Any = {"streams": []}
    for entry in discover(source)["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["stream"] == "customers"
        catalog["streams"].append(entry)
    run = run_tap(TapPeerAssist, source.account, catalog=catalog)
    assert run.code == 0, run.log
    assert run.streams == ["customers"]
    source.assert_exact(run, "customers")


def discover(source: Reader) -> Any:
    return json.loads(run_tap(TapPeerAssist, source.account, "--discover").output)


def test_customers_fail_if_what_names_them_cannot_be_read(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    source.world.fault("peerassist", "/fwo", "status", times=None, status=403)
    run = source.read(enable_streams=[])
    assert run.code == 4
    assert "customers: their ids come from fwos, which cannot be read" in run.log
    assert not run.records("customers")
    assert len(source.calls("/fwo")) == 1, "what has failed is not asked for again"


def test_customers_fail_if_projects_cannot_be_read_for_a_reason_of_their_own(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    source.world.fault("peerassist", "/project", "status", times=None, status=400)
    run = source.read(enable_streams=[])
    assert run.code == 4
    assert "customers: their ids come from projects, which cannot be read: projects: GET /project: 400" in run.log
    assert not run.records("customers")


@pytest.mark.parametrize("customer", [{"id": 3, "name": "USA"}, 3], ids=["object", "id"])
def test_a_customer_may_be_named_in_another_way(reader: Callable[..., Reader], customer: Any) -> None:
    source = reader(customer_list="404", missing=["/project"])
    source.world.fault(
        "peerassist",
        "/fwo",
        "patch",
        times=None,
        set={"content.*.customer": customer},
        remove=["content.*.customerId"],
    )
    run = source.read(enable_streams=[])
    assert run.code == 0, run.log
    assert asked(source) == [3]


@pytest.mark.parametrize(
    "patch",
    [{"remove": ["content.*.customerId"]}, {"set": {"content.*.customerId": ""}}],
    ids=["absent", "empty"],
)
def test_nothing_that_names_a_customer_is_no_empty_success(reader: Callable[..., Reader], patch: Any) -> None:
    source = reader(customer_list="404", missing=["/project"])
    source.world.fault("peerassist", "/fwo", "patch", times=None, **patch)
    run = source.read(enable_streams=[])
    assert run.code == 4
    assert not asked(source)
    assert "nothing names a customer; set endpoints.customers or customer_ids" in run.log


def test_a_wrong_path_of_the_documented_call_is_no_empty_success(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    run = source.read(endpoints={"customer": "/client/{id}"})
    assert run.code == 4
    assert "this call does not exist; set endpoints.customer" in run.log


def test_one_by_one_no_customer_counts_as_gone(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    assert "customers" not in {message["stream"] for message in source.read().of("ACTIVATE_VERSION")}
    source.world.switch("peerassist", customer_list="yes")
    assert "customers" in {message["stream"] for message in source.read().of("ACTIVATE_VERSION")}


def test_one_by_one_a_customer_whom_the_api_no_longer_knows_is_gone(
    reader: Callable[..., Reader], tmp_path: Path
) -> None:
    source, loader = reader(customer_list="404"), Loader(tmp_path)
    first = source.read()
    loader.load(first.output)
    source.world.fault("peerassist", "/customer/{id}", "status", status=404, times=2, after=3)
    source.world.fault("peerassist", "/customer/{id}", "status", status=400, times=1, after=6)
    second = source.read(concurrency=1, customer_ids=[999_999], state=first.state)
    assert second.code == 4
    loader.load(second.output)
    left = {key for (key,) in loader.sql("SELECT id FROM customers")}
    before = {row["id"] for row in first.records("customers")}
    missed = before - {row["id"] for row in second.records("customers")}
    assert len(missed) == 3
    assert len(before - left) == 2, "the one who could not be read stays"
    assert before - left < missed


def test_p9_one_customer_who_fails_costs_only_himself(reader: Callable[..., Reader]) -> None:
    house = reader(customer_list="404")
    house.world.fault("peerassist", "/customer/{id}", "status", status=400, times=1, after=3)
    run = house.read(concurrency=1)
    assert run.code == 4
    (lost,) = house.truth("customers").keys() - {(row["id"],) for row in run.records("customers")}
    assert f"customers: customer {lost[0]} is left out, the rest is read" in run.log
    assert f"customers: everything was read except customer {lost[0]}" in run.log
    house.assert_exact(run, "fwos", "projects", "employees")
    house.assert_exact(house.read(), "customers")


def test_p9_where_no_customer_can_be_read_the_second_is_the_last(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    source.world.fault("peerassist", "/customer/{id}", "status", status=400, times=None)
    run = source.read(concurrency=1)
    assert run.code == 4
    first, _ = asked(source)
    assert f"customers: customer {first} is left out, the rest is read: GET /customer/{{id}}: 400" in run.log
    assert "\ncustomers: GET /customer/{id}: 400 Bad Request" in run.log
    assert run.records("customers") == []
    source.assert_exact(run, "fwos", "projects", "employees")
