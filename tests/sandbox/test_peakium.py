"""Peakium's emulation against its contract, and its truth against what it serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from merchant_sandbox.vendors.peakium.truth import STREAMS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Peakium

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contracts/peakium/openapi.yaml").read_text())
LISTS = {
    "customers": "CustomerList",
    "subscriptions": "SubscriptionList",
    "invoices": "InvoiceList",
    "events": "EventList",
    "event_webhooks": "EventWebhookList",
    "payment_sessions": "PaymentSessionList",
    "gateways": "GatewayList",
    "gateway_modules": "GatewayModuleList",
    "webhooks": "WebhookList",
}


def validate(value: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **CONTRACT}).validate(value)


@pytest.mark.parametrize("stream", LISTS)
def test_every_page_of_a_list_fits_the_contract(peakium: Peakium, stream: str) -> None:
    offset = 0
    while page := peakium.get(f"/{stream}", count=100, offset=offset).json():
        validate(page, LISTS[stream])
        offset += len(page["data"])
        if not page["data"]:
            break
    assert offset > 0


@pytest.mark.parametrize("stream", LISTS)
def test_expanded_records_fit_the_contract(peakium: Peakium, stream: str) -> None:
    page = peakium.get(f"/{stream}", **{"count": 100, "expand[]": "customer", "expand[1]": "event"}).json()
    validate(page, LISTS[stream])
    references = [row["customer"] for row in page["data"] if row.get("customer")]
    assert all(reference["created"] for reference in references)


@pytest.mark.parametrize("stream", LISTS)
def test_truth_holds_every_record_served(peakium: Peakium, stream: str) -> None:
    served = peakium.rows(f"/{stream}")
    truth = peakium.world.truth("peakium", stream)
    assert len(served) == len(truth)
    for key in {"id", "token", "name"} & set(truth[0]):
        assert sorted(row[key] for row in served) == sorted(row[key] for row in truth)


def test_every_stream_has_a_truth(peakium: Peakium) -> None:
    assert all(peakium.world.truth("peakium", stream) for stream in STREAMS)
