"""What tap-peakium writes equals the truth of the sandbox, whatever shape the API chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_core import codec
from tap_core.output.messages import MessageWriter
from tap_core.streams.base import CoreStream
from tap_core.testing import Account, Run, merged, run_tap, selected
from tap_peakium.tap import TapPeakium

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

NAMES = [kind.name for kind in TapPeakium.stream_types if kind.selected_by_default]
CONTRACT = Path(__file__).parents[2] / "contracts" / "peakium"


def account(world: World) -> Account:
    return Account(world.config("peakium"), world.env("peakium"))


def here(
    world: World,
    tmp_path: Path,
    *,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    **config: Any,
) -> Run:
    """A run inside this process: the messages, without the log."""
    with (tmp_path / "messages.jsonl").open("w+b") as output:
        tap = TapPeakium(
            config={**world.config("peakium"), **config},
            state=state,
            catalog=catalog,
            message_writer=MessageWriter(output.fileno()),
        )
        tap.run()
        output.seek(0)
        return Run(0, output.read(), "")


def assert_exact(run: Run, world: World, streams: list[str] = NAMES, **truth: Any) -> None:
    for stream in streams:
        keys = run.keys(stream)
        expected = merged(world.truth("peakium", stream, **truth), keys)
        assert run.rows(stream) == expected, stream


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_stream_is_exact_and_nothing_was_written(
    make_world: Callable[..., World], tmp_path: Path, seed: int
) -> None:
    world = make_world(seed=seed, ticks=seed)
    assert_exact(here(world, tmp_path), world)
    assert world.stats("peakium")["writes"] == []


def test_a_start_date_after_the_bookmark_leaves_a_gap_that_is_told_later(world: World) -> None:
    first = run_tap(TapPeakium, account(world), config={"start_date": "2026-01-01"})
    world.tick(10)
    second = run_tap(TapPeakium, account(world), state=first.state, config={"start_date": "2026-02-05"})
    assert "moved back" not in second.log
    third = run_tap(TapPeakium, account(world), state=second.state, config={"start_date": "2026-01-01"})
    assert "events: start_date was moved back, but reading began at 2026-02-05T00:00:00" in third.log


@pytest.mark.parametrize("form", ["id", "stub", "full"])
def test_references_that_all_look_alike_are_exact(make_world: Callable[..., World], tmp_path: Path, form: str) -> None:
    world = make_world(switches={"peakium": {"embedded": form}})
    assert_exact(here(world, tmp_path), world)


def test_two_runs_with_a_tick_between_are_exact_together(world: World, tmp_path: Path) -> None:
    first = here(world, tmp_path)
    world.tick()
    second = here(world, tmp_path, state=first.state)
    for stream in NAMES:
        complete = any(message["stream"] == stream for message in second.of("ACTIVATE_VERSION"))
        held = {} if complete else first.rows(stream)
        expected = merged(world.truth("peakium", stream), first.keys(stream))
        assert {**held, **second.rows(stream)} == expected, stream


def test_expanded_references_keep_the_object(world: World, tmp_path: Path) -> None:
    run = here(world, tmp_path, expand=["customer", "gateway"])
    assert_exact(run, world, expand=["customer", "gateway"])
    assert all(record["customer"]["id"] == record["customer_id"] for record in run.records("subscriptions"))


def test_secrets_inside_the_data_are_masked_wherever_they_stand(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world(seed=7)  # has gateways in events of both forms, and in deliveries
    secrets = (b"secret-", b"paypal@example.com", b"user:pw")
    everything = ["customer", "gateway", "event"]
    unmasked = here(world, tmp_path, expand=everything, mask_secrets=False)
    masked = here(world, tmp_path, expand=everything)
    for stream in ("gateways", "payment_sessions", "events", "event_webhooks"):
        assert secrets[0].decode() in json.dumps(unmasked.records(stream)), stream
    assert [secret for secret in secrets if secret in unmasked.output] == list(secrets)
    assert [secret for secret in secrets if secret in masked.output] == []
    assert_exact(masked, world, expand=everything)


@pytest.mark.parametrize("switches", [{"max_count": 7}, {"max_count": 1000}, {"max_count": 2}], ids=str)
def test_p8_a_server_cap_loses_nothing(
    make_world: Callable[..., World], tmp_path: Path, switches: dict[str, Any]
) -> None:
    world = make_world(switches={"peakium": switches})
    assert_exact(here(world, tmp_path), world)


@pytest.mark.parametrize("page_size", [1, 3, 99, 120, 1195])
def test_p5_any_page_size_gives_the_same(world: World, tmp_path: Path, page_size: int) -> None:
    streams = ["customers", "gateways"] if page_size == 1 else NAMES
    catalog = selected(TapPeakium(config=world.config("peakium")).catalog_dict, streams)
    assert_exact(here(world, tmp_path, catalog=catalog, page_size=page_size), world, streams)


def test_concurrency_changes_neither_records_nor_order_nor_state(world: World, tmp_path: Path) -> None:
    def plain(run: Run) -> list[Any]:
        return [(message["type"], message.get("record"), message.get("stream")) for message in run.messages]

    one, eight = here(world, tmp_path, concurrency=1), here(world, tmp_path, concurrency=8)
    assert [m for m in plain(one) if m[0] != "STATE"] == [m for m in plain(eight) if m[0] != "STATE"]
    assert one.state == eight.state


def test_concurrency_8_keeps_eight_requests_in_flight(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(switches={"peakium": {"max_count": 20}})
    world.fault("peakium", "/events", "delay", times=None, seconds=0.05)
    here(world, tmp_path, concurrency=8, page_size=20)
    assert world.stats("peakium")["max_in_flight"] == 8


@pytest.mark.parametrize("name", sorted(path.name for path in (CONTRACT / "fixtures").glob("*.json")))
def test_the_vendors_own_payloads_go_through_unharmed(world: World, name: str) -> None:
    payload = json.loads((CONTRACT / "fixtures" / name).read_text())
    record = payload["data"][0] if payload["object"] == "list" else payload
    tap = TapPeakium(config=world.config("peakium"))
    stream = next(stream for stream in tap.streams.values() if stream.name == f"{record['object']}s")
    assert isinstance(stream, CoreStream)
    conformed = stream.slow_path.conform(codec.decode(json.dumps(record).encode()), {})
    assert "_extra" not in conformed
    for field, value in record.items():
        if isinstance(value, str | bool | float) or (isinstance(value, int) and "amount" in field):
            expected = {"customer": "customer_id", "gateway": "gateway_id"}.get(field, field)
            assert conformed[expected] == value
        elif value == 1375217068:
            assert (
                conformed[field.replace("delivered_timestamp", "timestamp_delivered")] == "2013-07-30T20:44:28.000000Z"
            )
        elif value is not None:
            kept = {"posted_values": "parameters", "customer": "customer_id", "event": "event_id"}.get(field, field)
            assert conformed[kept] is not None


def test_every_property_of_the_contract_is_in_a_schema(world: World) -> None:
    yaml = pytest.importorskip("yaml")
    schemas = yaml.safe_load((CONTRACT / "openapi.yaml").read_text())["components"]["schemas"]
    renamed = {"delivered_timestamp", "posted_values", "webhook", "subscription"}
    tap = TapPeakium(config=world.config("peakium"))
    for name, stream in {
        "Customer": "customers",
        "Subscription": "subscriptions",
        "Invoice": "invoices",
        "InvoiceItem": "invoice_items",
        "Event": "events",
        "EventWebhook": "event_webhooks",
        "PaymentSession": "payment_sessions",
        "Gateway": "gateways",
        "GatewayModule": "gateway_modules",
        "Webhook": "webhooks",
    }.items():
        columns = tap.streams[stream].schema["properties"]
        assert set(schemas[name]["properties"]) - renamed <= set(columns), stream
        for field, nested in (("charge", "Charge"), ("plan", "Plan"), ("module", "GatewayModule")):
            if field in columns:
                assert set(schemas[nested]["properties"]) <= set(columns[field]["properties"])


def test_as_a_process_it_is_exact_too(world: World) -> None:
    run = run_tap(TapPeakium, account(world))
    assert run.code == 0
    assert_exact(run, world)
