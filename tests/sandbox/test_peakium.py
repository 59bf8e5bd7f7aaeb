"""Peakium's emulation against its contract, and its truth against what it serves."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import urllib3
import yaml

from merchant_sandbox.vendors.peakium.model import PeakiumModel
from merchant_sandbox.vendors.peakium.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from merchant_sandbox.client import World
    from tests.sandbox.conftest import Peakium

Row = dict[str, Any]

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contracts/peakium/openapi.yaml").read_text())
SCHEMAS = CONTRACT["components"]["schemas"]
RECORDS = {
    "customers": "Customer",
    "subscriptions": "Subscription",
    "invoices": "Invoice",
    "events": "Event",
    "event_webhooks": "EventWebhook",
    "payment_sessions": "PaymentSession",
    "gateways": "Gateway",
    "gateway_modules": "GatewayModule",
    "webhooks": "Webhook",
}
EXPANDED = {"expand[]": "customer", "expand[1]": "gateway"}


def validate(value: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **CONTRACT}).validate(value)


@pytest.mark.parametrize("stream", RECORDS)
def test_every_page_of_a_list_fits_the_contract(peakium: Peakium, stream: str) -> None:
    offset = 0
    while (page := peakium.get(f"/{stream}", count=100, offset=offset).json())["data"]:
        validate(page, f"{RECORDS[stream]}List")
        offset += len(page["data"])
    assert offset > 0


@pytest.mark.parametrize("stream", RECORDS)
def test_expanded_records_fit_the_contract(peakium: Peakium, stream: str) -> None:
    page = peakium.get(f"/{stream}", count=100, **EXPANDED).json()
    validate(page, f"{RECORDS[stream]}List")
    for name in ("customer", "gateway"):
        assert all(row[name]["created"] for row in page["data"] if row.get(name))


def test_records_show_every_property_of_the_contract(peakium: Peakium) -> None:
    for stream, name in RECORDS.items():
        shown = {key for row in peakium.rows(f"/{stream}") for key in row}
        assert set(SCHEMAS[name]["properties"]) - shown <= {"livemode"}, stream


def test_every_shape_of_a_reference_occurs(peakium: Peakium) -> None:
    def shapes(values: Iterable[Any]) -> set[str]:
        return {
            "id" if isinstance(v, str) else "null" if v is None else "full" if len(v) > 2 else "stub" for v in values
        }

    assert shapes(row["customer"] for row in peakium.rows("/subscriptions")) == {"id", "stub", "full"}
    assert shapes(row["customer"] for row in peakium.rows("/payment_sessions")) == {"id", "stub", "full", "null"}
    assert shapes(row["gateway"] for row in peakium.rows("/payment_sessions")) == {"id", "stub", "full"}
    invoices = peakium.rows("/invoices")
    assert shapes(row["customer"] for row in invoices) == {"id", "stub", "full"}
    items = [item for row in invoices for item in listed(row["items"])]
    assert shapes(item["subscription"] for item in items if "subscription" in item) == {"id", "stub", "full", "null"}
    assert {type(row["items"]) for row in invoices} == {list, dict}


def time(value: int | None) -> str | None:
    return None if value is None else datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def listed(value: Any) -> Any:
    return value["data"] if isinstance(value, dict) else value


def mapped(value: Any) -> Any:
    return {} if value == [] else value


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: masked(part) for key, part in value.items()}
    return [masked(part) for part in value] if isinstance(value, list) else "***"


def refer(row: Row, name: str) -> None:
    value = row.pop(name, None)
    row[f"{name}_id"] = value if value is None or isinstance(value, str) else value.get("id") or value.get("token")
    if isinstance(value, dict) and len(value) > 2:
        row[name] = value


def settle(gateway: Row) -> None:
    settings = gateway["settings"]
    gateway["settings"] = masked((settings[0] if settings else {}) if isinstance(settings, list) else settings)


def settle_event(event: Row) -> None:
    data = event.get("data", {})
    for holder in (data, data.get("object")):
        if isinstance(holder, dict) and "settings" in (holder.get("gateway") or ""):
            settle(holder["gateway"])


def hide_user(row: Row) -> None:
    row["url"] = re.sub(r"//.*@", "//***@", row["url"])


def charge(row: Row) -> None:
    if row["charge"]:
        row["charge"]["timestamp_paid"] = time(row["charge"]["timestamp_paid"])
        if "refunds" in row["charge"]:
            row["charge"]["refunds"] = listed(row["charge"]["refunds"])


def times(row: Row, *names: str) -> None:
    row.update({name: time(row[name]) for name in names if name in row})


def emit_customer(row: Row) -> Row:
    times(row, "created")
    return row | {"balances": mapped(row["balances"]), "metadata": mapped(row["metadata"])}


def emit_subscription(row: Row) -> Row:
    times(row, "created", "period_start", "period_end", "next_charge")
    refer(row, "customer")
    if "items" in row["plan"]:
        row["plan"]["items"] = listed(row["plan"]["items"])
    return row | {"metadata": mapped(row["metadata"])}


def emit_item(row: Row) -> Row:
    times(row, "date_range_start", "date_range_end")
    if "subscription" in row:
        row["reference"] = row.pop("subscription")
    refer(row, "reference")
    return row


def emit_invoice(row: Row) -> Row:
    names = ("created", "timestamp_locked", "timestamp_paid", "timestamp_retracted")
    moments = [row[name] for name in names] + [row["charge"] and row["charge"]["timestamp_paid"]]
    times(row, *names, "due")
    refer(row, "customer")
    charge(row)
    row["items"] = [emit_item(item) for item in listed(row["items"])]
    return row | {"metadata": mapped(row["metadata"]), "_updated_at": time(max(m for m in moments if m))}


def emit_event(row: Row) -> Row:
    times(row, "created")
    settle_event(row)
    return row


def emit_webhook(row: Row) -> Row:
    times(row, "created")
    hide_user(row)
    return row


def emit_delivery(row: Row) -> Row:
    if "delivered_timestamp" in row:
        row["timestamp_delivered"] = row.pop("delivered_timestamp")
    if "webhook" in row:
        hide_user(row["webhook"])
        row["url"] = row["webhook"]["url"]
        if row["webhook"].keys() <= {"object", "url"}:
            del row["webhook"]
    moments = [row.get("created"), row["last_delivery_attempt"], row["timestamp_delivered"]]
    times(row, "created", "last_delivery_attempt", "timestamp_delivered")
    marker = time(max((m for m in moments if m), default=None))
    settle_event(row["event"])
    hide_user(row)
    return row | {"event_id": row["event"]["id"], "_updated_at": marker}


def emit_session(row: Row) -> Row:
    moments = [row["created"], row["timestamp_handled"], row["charge"] and row["charge"]["timestamp_paid"]]
    times(row, "created", "timestamp_handled")
    if "posted_values" in row:
        row["parameters"] = row.pop("posted_values")
    charge(row)
    refer(row, "customer")
    refer(row, "gateway")
    if "gateway" in row:
        settle(row["gateway"])
    return row | {"parameters": mapped(row["parameters"]), "_updated_at": time(max(m for m in moments if m))}


def emit_gateway(row: Row) -> Row:
    times(row, "created")
    settle(row)
    return row | {"necessary_gateway_setting_values": mapped(row["necessary_gateway_setting_values"])}


def emit_module(row: Row) -> Row:
    return row | {"required_field_parameters": mapped(row["required_field_parameters"])}


EMIT: dict[str, Callable[[Row], Row]] = {
    "customers": emit_customer,
    "subscriptions": emit_subscription,
    "invoices": emit_invoice,
    "events": emit_event,
    "event_webhooks": emit_delivery,
    "payment_sessions": emit_session,
    "gateways": emit_gateway,
    "gateway_modules": emit_module,
    "webhooks": emit_webhook,
}


@pytest.mark.parametrize("ticks", [0, 7])
@pytest.mark.parametrize("stream", EMIT)
def test_truth_is_what_a_tap_has_to_emit(
    make_world: Callable[..., World], peakium: Peakium, stream: str, ticks: int
) -> None:
    peakium.world = make_world(seed=11, ticks=ticks)
    emitted = [EMIT[stream](row) for row in peakium.rows(f"/{stream}")]
    assert emitted == peakium.world.truth("peakium", stream)


@pytest.mark.parametrize("stream", ["subscriptions", "invoices", "event_webhooks", "payment_sessions"])
def test_truth_knows_what_the_tap_asked_to_expand(peakium: Peakium, stream: str) -> None:
    expand = ["customer", "gateway", "event", "item.subscription"]
    fields = {f"expand[{number}]": name for number, name in enumerate(expand)}
    emitted = [EMIT[stream](row) for row in peakium.rows(f"/{stream}", **fields)]
    assert emitted == peakium.world.truth("peakium", stream, expand=expand)


def test_truth_of_invoice_items_is_that_of_their_invoices(world: World) -> None:
    def expected() -> Iterator[Row]:
        for invoice in world.truth("peakium", "invoices"):
            for position, item in enumerate(invoice["items"], 1):
                yield item | {
                    "invoice_id": invoice["id"],
                    "_position": position,
                    "_updated_at": invoice["_updated_at"],
                }

    assert world.truth("peakium", "invoice_items") == list(expected())


def test_references_lead_to_records(world: World) -> None:
    truth = {stream: world.truth("peakium", stream) for stream in STREAMS}
    customers = {row["id"] for row in truth["customers"]}
    subscriptions = {(row["customer_id"], row["token"]) for row in truth["subscriptions"]}
    events = {row["id"] for row in truth["events"]}
    owner = {row["id"]: row["customer_id"] for row in truth["invoices"]}
    for stream in ("subscriptions", "invoices", "payment_sessions"):
        assert {row["customer_id"] for row in truth[stream]} - {None} <= customers
    bought = {(owner[i["invoice_id"]], i["reference_id"]) for i in truth["invoice_items"] if i["reference_id"]}
    assert bought <= subscriptions
    assert {row["event_id"] for row in truth["event_webhooks"]} <= events
    assert {row["gateway_id"] for row in truth["payment_sessions"]} <= {row["id"] for row in truth["gateways"]}


def test_amounts_add_up_and_events_happened(world: World) -> None:
    invoices = world.truth("peakium", "invoices")
    for invoice in invoices:
        signed = [item["total_amount"] * (1 if item["type"] == "debit" else -1) for item in invoice["items"]]
        assert invoice["calculated_total"]["amount"] == sum(signed)
        assert all(item["total_amount"] == item["unit_amount"] * item["quantity"] for item in invoice["items"])
    paid = {row["id"]: row["timestamp_paid"] for row in invoices if row["paid"]}
    told = {}
    for event in world.truth("peakium", "events"):
        if event["event"].replace("_paid", ".paid") == "invoice.paid":
            data = event["data"]
            snapshot = data["object"] if isinstance(data["object"], dict) else data
            told[snapshot["id"]] = event["created"]
    assert told == paid


def test_records_are_made_in_order() -> None:
    model = PeakiumModel(3, "small", 4)
    assert model.invoices > 100
    for index in range(model.invoices):
        invoice = model.invoice(index)
        customer = model.customer(invoice.customer)
        assert customer.created <= invoice.created <= model.now
        subscription = model.subscription(index % model.subscriptions)
        assert model.customer(subscription.customer).created <= subscription.created <= model.now
        assert index == 0 or model.invoice(index - 1).created <= invoice.created


def test_data_hold_what_is_hard(peakium: Peakium) -> None:
    seconds = Counter(row["created"] for row in peakium.rows("/invoices"))
    assert max(seconds.values()) > 100
    assert max(Counter(row["created"] for row in peakium.rows("/events")).values()) > 100
    customers = peakium.rows("/customers")
    assert max(amount for row in customers for amount in dict(row["balances"]).values()) > 2**63
    text = repr(customers) + repr(peakium.rows("/subscriptions"))
    for hard in ("\\n", "\\t", '"', "ø", "基", "🌍", "None", "{}", "[]", "\\\\"):
        assert hard in text
    assert "primary" in {
        token for token, n in Counter(r["token"] for r in peakium.rows("/subscriptions")).items() if n > 1
    }


def test_pages_have_ten_records_and_at_most_a_hundred(peakium: Peakium) -> None:
    everything = [row["id"] for row in peakium.rows("/events")]
    assert [row["id"] for row in peakium.get("/events").json()["data"]] == everything[:10]
    assert [row["id"] for row in peakium.get("/events", count=1_000, offset=3).json()["data"]] == everything[3:103]
    assert peakium.get("/events", offset=10**6).json() == {"object": "list", "count": 0, "data": []}
    assert peakium.get("/events", count=0).status == 400
    assert peakium.get("/events", offset="x").json()["error"]["param"] == "count"


def test_lists_are_newest_first_or_oldest_first(peakium: Peakium) -> None:
    newest = [row["created"] for row in peakium.rows("/invoices")]
    assert newest == sorted(newest, reverse=True)
    peakium.world.switch("peakium", order="oldest")
    assert [row["created"] for row in peakium.rows("/invoices")] == sorted(newest)


def test_switches_change_page_sizes_and_what_count_tells(peakium: Peakium) -> None:
    peakium.world.switch("peakium", default_count=4, max_count=6, count_means="asked")
    assert len(peakium.get("/invoices").json()["data"]) == 4
    page = peakium.get("/invoices", count=50).json()
    assert (len(page["data"]), page["count"]) == (6, 50)
    peakium.world.switch("peakium", count_means="total", expand_lists=False)
    page = peakium.get("/invoices", count=50, **EXPANDED).json()
    assert page["count"] == len(peakium.world.truth("peakium", "invoices"))
    assert any(isinstance(row["customer"], str) for row in page["data"])


def test_a_trailing_slash_makes_no_difference(peakium: Peakium) -> None:
    assert peakium.get("/customers/", count=3).data == peakium.get("/customers", count=3).data


def test_both_kinds_of_credentials_and_nothing_else(peakium: Peakium) -> None:
    config = peakium.world.config("peakium")

    def status(authorization: str | None) -> int:
        headers = {"Authorization": authorization} if authorization else {}
        return peakium.pool.request("GET", config["api_url"] + "/customers", headers=headers).status

    basic = urllib3.make_headers(basic_auth=config["api_key"] + ":")["authorization"]
    assert status(basic) == status(f"Bearer {config['api_key']}") == 200
    assert {status(None), status("Bearer nonsense"), status("Basic !"), status(basic[:-8]), status("Digest x")} == {401}
    peakium.world.switch("peakium", bearer=False)
    assert (status(basic), status(f"Bearer {config['api_key']}")) == (200, 401)


@pytest.mark.parametrize("form", ["wrapped", "flat"])
def test_errors_have_both_bodies(peakium: Peakium, form: str) -> None:
    peakium.world.switch("peakium", errors=form)
    for answer, status in ((peakium.get("/invoices/none"), 404), (peakium.get("/nothing"), 404)):
        assert answer.status == status
        validate(answer.json(), "Error")
        assert ("error" in answer.json()) == (form == "wrapped")


def test_records_can_be_read_one_by_one(peakium: Peakium) -> None:
    def quoted(text: str) -> str:
        return "".join(f"%{byte:02X}" for byte in text.encode())

    for stream in ("customers", "invoices", "payment_sessions", "gateways"):
        for row in peakium.rows(f"/{stream}")[::17]:
            assert peakium.get(f"/{stream}/{quoted(row['id'])}").json() == row
    for row in peakium.rows("/events")[::200]:
        assert peakium.get(f"/events/{row['id']}").json() == row
    for row in peakium.rows("/subscriptions", **EXPANDED)[::17]:
        customer = quoted(row["customer"]["id"])
        assert peakium.get(f"/customers/{customer}/subscriptions/{row['token']}", **EXPANDED).json() == row
        if row["token"] != "primary":
            assert peakium.get(f"/subscription/{row['token']}", **EXPANDED).json() == row
    assert peakium.get("/invoices/in_0000000000000A").status == 404


def test_subscriptions_of_a_customer_by_path_and_by_filter(peakium: Peakium) -> None:
    owned = Counter(row["customer_id"] for row in peakium.world.truth("peakium", "subscriptions"))
    for customer in ("cu4321", "cu4326"):
        nested = peakium.rows(f"/customers/{customer}/subscriptions")
        assert nested == peakium.rows("/subscriptions", customer=customer)
        assert len(nested) == owned[customer] > 0
    assert peakium.get("/subscriptions", customer="nobody").status == 404


def test_filters_give_the_matching_records(peakium: Peakium) -> None:
    invoices = peakium.world.truth("peakium", "invoices")
    customer = invoices[0]["customer_id"]

    def ids(path: str, **fields: str) -> list[str]:
        return [row["id"] for row in peakium.rows(path, **fields)]

    assert ids("/invoices", customer=customer) == [r["id"] for r in invoices if r["customer_id"] == customer]
    assert ids("/invoices", paid="true") == [r["id"] for r in invoices if r["paid"]]
    setup = [r["id"] for r in invoices if any(item["item_id"] == "setup" for item in r["items"])]
    assert ids("/invoices", item_id="setup") == setup
    overdue = set(ids("/invoices", overdue="true"))
    assert overdue
    assert all(not r["paid"] and r["due"] for r in invoices if r["id"] in overdue)
    sessions = peakium.world.truth("peakium", "payment_sessions")
    payer = next(r["customer_id"] for r in sessions if r["customer_id"])
    assert ids("/payment_sessions", customer=payer) == [r["id"] for r in sessions if r["customer_id"] == payer]


def test_events_and_deliveries_can_be_filtered(peakium: Peakium) -> None:
    invoice = peakium.world.truth("peakium", "invoices")[200]
    of_invoice = peakium.rows("/events", invoice=invoice["id"])
    assert "invoice.created" in {event["event"] for event in of_invoice}
    assert len(peakium.rows("/events", customer=invoice["customer_id"])) >= len(of_invoice)
    assert peakium.get("/events", subscription="x").status == 400
    deliveries = peakium.world.truth("peakium", "event_webhooks")
    one = deliveries[0]
    found = {row["event"]["id"] for row in peakium.rows("/event_webhooks", event=one["event_id"])}
    assert found == {one["event_id"]}
    assert len(peakium.rows("/event_webhooks", url=one["url"])) == sum(row["url"] == one["url"] for row in deliveries)
