"""Shapes and habits that come from elsewhere: both official clients, the reference's older revisions, its slips.

The data are the project's own; what they show is what those sources show. Each list is read by the tap and loaded, and
each value that was sent must be in the warehouse.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tap_core.testing import Account, Run, run_tap, selected
from tap_core.timestamps import parse
from tap_peakium.tap import TapPeakium
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

THEN = 1_388_534_400
CUSTOMER = {"livemode": False, "object": "customer", "id": "m-100", "created": THEN, "balances": []}
PLAN = {"period_amount": 1, "period_type": "month", "amount": 4900, "currency": "DKK", "discount": 0.25, "item_id": 7}
SUBSCRIPTION = {
    "livemode": False,
    "object": "subscription",
    "created": THEN + 1,
    "token": "sub-7",
    "display_name": "Månedsplan",
    "plan": PLAN,
    "cycle_number": 3,
    "period_start": THEN + 2,
    "period_end": THEN + 3,
    "next_charge": THEN + 4,
    "status": "active",
    "customer": CUSTOMER,
}
GATEWAY = {
    "livemode": False,
    "object": "gateway",
    "id": "gw_1",
    "created": THEN,
    "name": "Kort",
    "active": True,
    "default": False,
    "module": {"object": "gateway_module", "name": "Dummy_Gateway", "required_fields": ["merchant"]},
    "settings": [{"merchant": "m-secret"}],
}
LINE = {
    "livemode": False,
    "object": "invoice_item",
    "type": "debit",
    "description": "Månedsplan",
    "item_id": 7,
    "unit_amount": 4900,
    "currency": "DKK",
    "quantity": 1,
    "date_range_start": THEN + 5,
    "date_range_end": THEN + 6,
    "discount": 0.25,
    "total_amount": 3675,
}
INVOICE = {
    "livemode": False,
    "object": "invoice",
    "created": THEN,
    "due": THEN + 7,
    "locked": True,
    "timestamp_locked": THEN + 8,
    "paid": False,
    "timestamp_paid": None,
    "type": "single",
    "calculated_total": {"currency": "DKK", "amount": 3675},
    "attempt_automatic_charge": True,
    "customer": CUSTOMER,
}
EVENT = {"livemode": False, "object": "event", "id": "ev_1", "created": THEN, "event": "subscription_created"}
DELIVERY = {"livemode": False, "object": "event_webhook", "created": THEN, "number_of_attempted_deliveries": 2}
SESSION = {
    "livemode": False,
    "object": "payment_session",
    "created": THEN,
    "handled": True,
    "timestamp_handled": THEN + 9,
    "payment_amount": 4900,
    "payment_currency": "DKK",
    "ip": "192.0.2.1",
    "user_agent": "Mozilla/5.0",
    "charge": {"object": "charge", "amount": 4900, "currency": "DKK", "paid": True, "timestamp_paid": THEN + 10},
}
HOOK = {"object": "webhook", "url": "https://example.net/hook"}
POSTED = {"customer": "m-100", "subscription": "sub-7", "item_id": 7, "return_url_ok": "https://example.net/ok"}

LISTS: dict[str, list[Any]] = {
    "customers": [
        CUSTOMER,
        {**CUSTOMER, "id": 8101, "balances": {"DKK": 12.5, "EUR": "7"}},
        {**CUSTOMER, "id": "m 102/ä+b", "debug_info": {"sql": ["select 1"]}},
        {"id": "m-103", "object": "customer"},
    ],
    "subscriptions": [
        SUBSCRIPTION,
        {**{k: v for k, v in SUBSCRIPTION.items() if k != "token"}, "id": "sub-8", "customer": "m-100"},
        {**SUBSCRIPTION, "token": 9, "id": 9, "customer": {"id": 8101, "object": "customer"}},
        {**SUBSCRIPTION, "token": "sub-10", "id": "another"},
    ],
    "invoices": [
        {**INVOICE, "id": "in_1", "items": [{**LINE, "reference": SUBSCRIPTION}]},
        {**INVOICE, "id": "in_2", "items": {"object": "list", "data": [{**LINE, "subscription": "sub-8"}]}},
        {**INVOICE, "id": "in_3", "items": [{**LINE, "reference": {"id": "sub-7", "object": "subscription"}}]},
        {**INVOICE, "id": "in_4", "items": [{**LINE, "reference": SUBSCRIPTION, "subscription": "sub-8"}]},
        {**INVOICE, "id": "in_5", "items": []},
    ],
    "events": [
        {**EVENT, "data": SUBSCRIPTION},
        {**EVENT, "id": "ev_2", "event": "subscription.created", "data": {"object": SUBSCRIPTION}},
        {**EVENT, "id": "ev_3", "event": "payment_session.started", "data": {**SESSION, "gateway": GATEWAY}},
    ],
    "event_webhooks": [
        {**DELIVERY, "delivered_timestamp": THEN + 11, "webhook": HOOK, "event": {**EVENT, "data": SUBSCRIPTION}},
        {**DELIVERY, "timestamp_delivered": THEN + 12, "webhook": "https://example.net/2", "event": EVENT},
        {**DELIVERY, "url": "https://example.net/3", "event": {"id": "ev_1", "object": "event", "subscription": HOOK}},
        {
            **DELIVERY,
            "timestamp_delivered": THEN + 13,
            "delivered_timestamp": THEN + 14,
            "url": "https://example.net/4",
            "webhook": {**HOOK, "created": THEN},
            "event": "ev_2",
        },
    ],
    "payment_sessions": [
        {**SESSION, "id": "ps_1", "post_values": POSTED, "gateway": GATEWAY, "customer": CUSTOMER},
        {**SESSION, "id": "ps_2", "posted_values": POSTED, "gateway": "gw_1", "customer": "m-100"},
        {**SESSION, "id": "ps_3", "parameters": POSTED, "gateway": {"id": "gw_1", "object": "gateway"}},
        {**SESSION, "id": "ps_4", "parameters": POSTED, "posted_values": {"new": 1}, "post_values": {"old": 2}},
    ],
    "gateways": [
        GATEWAY,
        {**GATEWAY, "id": "gw_2", "settings": [{"merchant": "a"}, {"merchant": "b"}], "module": "Dummy_Gateway"},
        {**GATEWAY, "id": "gw_3", "settings": []},
        {**GATEWAY, "id": "gw_4", "settings": {"merchant": "c"}, "necessary_gateway_setting_values": []},
    ],
    "gateway_modules": [GATEWAY["module"], {"object": "gateway_module", "name": "Other", "required_fields": None}],
    "webhooks": [HOOK, {**HOOK, "url": "https://example.net/2", "created": THEN}],
}
"""What the tap is sent, by stream."""

ENVELOPES: dict[str, dict[str, Any]] = {
    "customers": {"object": "list", "debug_info": {"sql": ["select 1"]}},
    "gateways": {"count": 1},
    "webhooks": {},
}
"""What stands beside ``data``; elsewhere it is only ``object``, as both clients' own tests have it."""


@pytest.fixture
def api(serve: Callable[[type[BaseHTTPRequestHandler]], str]) -> Account:
    """An API that sends these lists."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name, query = parts.path.rpartition("/")[2], parse_qs(parts.query)
            offset, count = int(query["offset"][0]), int(query["count"][0])
            envelope = ENVELOPES.get(name, {"object": "list"})
            body = json.dumps({**envelope, "data": LISTS[name][offset : offset + count]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Account({"api_url": serve(Handler), "api_key": "pk_test_of_nobody"})


@pytest.fixture
def read(api: Account) -> Callable[..., Run]:
    """Reads these streams, or all."""

    def reading(*streams: str, **config: Any) -> Run:
        wanted = selected(TapPeakium(config=api.config).catalog_dict, list(streams or (*LISTS, "invoice_items")))
        return run_tap(TapPeakium, api, catalog=wanted, config=config)

    return reading


def leaves(value: Any) -> Iterator[Any]:
    """All values at any depth, times as Unix seconds; not the names of objects' types, which a reference may lose."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name != "object" or isinstance(member, dict):
                yield from leaves(member)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str) and value.endswith(".000000Z"):
        yield str(int(parse(value).timestamp()))
    elif value is not None:
        yield str(value)


def test_every_value_lands_and_no_stream_fails(read: Callable[..., Run]) -> None:
    run = read(mask_secrets=False)
    assert run.code == 0, run.log
    for stream, sent in LISTS.items():
        found = run.records(stream)
        assert len(found) == len(sent), stream
        for row, record in zip(sent, found, strict=True):
            assert set(leaves(row)) <= set(leaves(record)), (stream, row)


def test_every_row_is_in_the_warehouse_under_its_key(read: Callable[..., Run], tmp_path: Path) -> None:
    loader = Loader(tmp_path)
    loader.load(read().output)
    for stream, sent in LISTS.items():
        assert loader.sql(f"SELECT count(*) FROM {stream}") == [(len(sent),)], stream
    assert loader.sql("SELECT id FROM customers ORDER BY ALL") == [("8101",), ("m 102/ä+b",), ("m-100",), ("m-103",)]
    tokens = "SELECT customer_id, token FROM subscriptions ORDER BY ALL"
    assert loader.sql(tokens) == [("8101", "9"), ("m-100", "sub-10"), ("m-100", "sub-7"), ("m-100", "sub-8")]
    assert loader.sql("SELECT url FROM event_webhooks ORDER BY ALL") == [
        ("https://example.net/2",),
        ("https://example.net/3",),
        ("https://example.net/4",),
        ("https://example.net/hook",),
    ]
    assert loader.sql("SELECT invoice_id, reference_id FROM invoice_items ORDER BY ALL") == [
        ("in_1", "sub-7"),
        ("in_2", "sub-8"),
        ("in_3", "sub-7"),
        ("in_4", "sub-7"),
    ]


def test_what_stands_under_two_names_with_two_values_is_kept(read: Callable[..., Run]) -> None:
    run = read("subscriptions", "event_webhooks", "payment_sessions", "invoices")
    assert run.records("subscriptions")[3]["_extra"] == {"id": "another"}
    delivery = run.records("event_webhooks")[3]
    assert delivery["_extra"] == {"delivered_timestamp": "2014-01-01T00:00:14.000000Z"}
    assert delivery["webhook"] == {"object": "webhook", "url": "https://example.net/hook", "created": THEN}
    assert run.records("payment_sessions")[3]["_extra"] == {"posted_values": {"new": 1}, "post_values": {"old": 2}}
    assert run.records("invoices")[3]["_extra"] == {"items[0].subscription": "sub-8"}


def test_settings_that_are_no_single_map_stand_under_values(read: Callable[..., Run]) -> None:
    plain = [row["settings"] for row in read("gateways", mask_secrets=False).records("gateways")]
    masked = [row["settings"] for row in read("gateways").records("gateways")]
    assert plain == [
        {"merchant": "m-secret"},
        {"values": [{"merchant": "a"}, {"merchant": "b"}]},
        {},
        {"merchant": "c"},
    ]
    assert masked == [
        {"merchant": "***"},
        {"values": [{"merchant": "***"}, {"merchant": "***"}]},
        {},
        {"merchant": "***"},
    ]


def test_a_row_that_is_no_object_costs_only_itself(read: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LISTS, "webhooks", [HOOK, "https://example.net/2", {**HOOK, "url": "https://example.net/3"}])
    run = read("webhooks", "customers")
    assert run.code == 4
    assert [row["url"] for row in run.records("webhooks")] == ["https://example.net/hook", "https://example.net/3"]
    assert "webhooks: a record (page 1) is left out, the rest is read: a record is not a JSON object but str" in run.log
    assert "webhooks: everything was read except a record (page 1)" in run.log
    assert run.records("customers")
    assert [message["stream"] for message in run.of("ACTIVATE_VERSION")] == ["customers"]


def test_x3_no_personal_value_is_emitted(read: Callable[..., Run]) -> None:
    """Not even where secrets are shown: settings of gateways may name a person."""
    personal = ("m-100", "m 102", "m-103", "192.0.2.1", "Mozilla", "m-secret", "example.net/ok")
    plain = read(mask_secrets=False).output.decode()
    assert all(text in plain for text in personal)
    for policy in ("drop", "hash"):
        run = read(mask_secrets=False, pii=policy, pii_key="a-key-of-my-own")
        assert run.code == 0, run.log
        assert [text for text in personal if text in run.output.decode()] == [], policy
        assert all(len(run.rows(stream)) == len(rows) for stream, rows in LISTS.items())
