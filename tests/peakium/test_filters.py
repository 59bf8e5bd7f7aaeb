"""Lists that a user narrows: only what matches is read, nothing else is taken for gone, and nothing is missed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ConfigError
from tap_core.testing import Account, Run, merged, run_tap, selected
from tap_peakium.tap import TapPeakium
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World


def read(world: World, *streams: str, state: dict[str, Any] | None = None, **config: Any) -> Run:
    account = Account(world.config("peakium"), world.env("peakium"))
    catalog = selected(TapPeakium(config=account.config).catalog_dict, list(streams))
    return run_tap(TapPeakium, account, state=state, catalog=catalog, config=config)


def test_each_list_has_the_filters_of_the_reference(world: World) -> None:
    truth = {stream: world.truth("peakium", stream) for stream in ("invoices", "subscriptions", "event_webhooks")}
    customer = truth["invoices"][0]["customer_id"]
    delivery = truth["event_webhooks"][0]
    wanted: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
        "invoices": (
            {"customer": customer, "item_id": truth["invoices"][0]["items"][0]["item_id"]},
            [row for row in truth["invoices"] if row["customer_id"] == customer],
        ),
        "subscriptions": (
            {"customer": customer},
            [row for row in truth["subscriptions"] if row["customer_id"] == customer],
        ),
        "event_webhooks": (
            {"event": delivery["event_id"], "url": "http://example.com/webhook_endpoint/"},
            [row for row in truth["event_webhooks"] if row["event_id"] == delivery["event_id"]],
        ),
    }
    run = read(world, *wanted, filters={stream: filters for stream, (filters, _) in wanted.items()})
    assert run.code == 0, run.log
    for stream, (_, rows) in wanted.items():
        allowed = merged(rows, run.keys(stream))
        assert run.rows(stream), stream
        assert run.rows(stream).items() <= allowed.items(), stream
        assert f"setting filters narrows {stream}" in run.log
    assert run.of("ACTIVATE_VERSION") == []
    asked = [entry["query"] for entry in world.requests("peakium") if entry["route"] == "/invoices"]
    assert all("item_id=" in query and "customer=" in query for query in asked)


def test_overdue_is_written_as_both_clients_write_it(world: World) -> None:
    run = read(world, "invoices", filters={"invoices": {"overdue": True}})
    assert 0 < len(run.records("invoices")) < len(world.truth("peakium", "invoices"))
    assert all(not row["paid"] for row in run.records("invoices"))
    assert all("overdue=true" in entry["query"] for entry in world.requests("peakium"))


def test_a_filter_neither_deletes_nor_hides_anything_once_it_is_gone(world: World, tmp_path: Path) -> None:
    streams = ("customers", "subscriptions", "events", "invoices", "invoice_items")
    loader = Loader(tmp_path)
    first = read(world, *streams)
    loader.load(first.output, state_id="peakium")
    customer = world.truth("peakium", "invoices")[0]["customer_id"]
    world.tick()
    filters = {stream: {"customer": customer} for stream in ("subscriptions", "events", "invoices")}
    second = read(world, *streams, state=first.state, filters=filters, client_filter=True)
    loader.load(second.output, state_id="peakium")
    assert loader.counts("subscriptions")["deleted"] == 0
    third = read(world, *streams, state=second.state, client_filter=True)
    loader.load(third.output, state_id="peakium")
    for stream, key in (("subscriptions", "customer_id, token"), ("events", "id"), ("invoices", "id, _updated_at")):
        names = key.split(", ")
        shown = ", ".join(f"strftime({n}, '%Y-%m-%dT%H:%M:%S.%fZ')" if n == "_updated_at" else n for n in names)
        truth = sorted(tuple(row[name] for name in names) for row in world.truth("peakium", stream))
        assert sorted(loader.sql(f"SELECT {shown} FROM {stream}")) == truth, stream
    fourth = read(world, "events", "invoices", state=third.state, client_filter=True)
    assert len(fourth.records("events")) < len(third.records("events")), "nothing has changed: the bookmark holds"


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"events": {"subscription": "sub-1"}}, "'filters.events.subscription' needs 'filters.events.customer'"),
        ({"customers": {"id": "x"}}, "setting 'filters' has no member 'customers'"),
        ({"invoices": {"paid": True}}, "setting 'filters.invoices' has no member 'paid'"),
        ({"invoices": {"overdue": "perhaps"}}, "setting 'filters.invoices.overdue' must be of type boolean"),
    ],
)
def test_a_filter_that_the_reference_does_not_know_is_refused(filters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as failure:
        TapPeakium(config={"api_key": "pk_test_of_nobody", "filters": filters})
    assert said in str(failure.value)
