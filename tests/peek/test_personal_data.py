"""Personal data and secrets: what can be kept out of the warehouse, and what never gets into a log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import KEYS, OCTO_STANDARD
from tap_core.testing import run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FEW = {"availability_days_ahead": 1, "bookings_days_back": 90}
CODES = ("VOUCHER-", "TICKET-")
PERSONAL = ("guest", "+1555", "desk@example.com", "Ångström", "王", "call first", "Vegan", "is ill", "RS-")


@pytest.fixture
def octo(make_world: Callable[..., World]) -> World:
    return make_world(switches={"peek": {**OCTO_STANDARD, "supplier": "yes"}})


def leaves(value: Any, name: str) -> Iterator[Any]:
    """The values of all members of a name, at any depth."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for member in value.values():
            yield from leaves(member, name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, name)


def records(run: Run) -> list[dict[str, Any]]:
    return [message["record"] for message in run.of("RECORD")]


def text_of(run: Run) -> str:
    """What the records say; the schemas speak of guests, too."""
    return "\n".join(line for line in run.output.decode().splitlines() if line.startswith('{"type":"RECORD"'))


def test_codes_that_admit_their_bearer_are_masked(octo: World, run: Callable[..., Run]) -> None:
    done = run(octo, config=FEW)
    text = text_of(done)
    assert not any(code in text for code in CODES)
    assert set(leaves(records(done), "deliveryValue")) == {"***"}
    assert "pa55w0rd" not in text
    assert "https://***@example.com/h/ü?x=1" in {row["url"] for row in done.records("webhooks")}


def test_unless_they_are_asked_for(octo: World, run: Callable[..., Run]) -> None:
    done = run(octo, config={**FEW, "mask_secrets": False})
    assert all(value.startswith(CODES) for value in leaves(records(done), "deliveryValue"))
    assert "https://user:pa55w0rd@example.com/h/ü?x=1" in {row["url"] for row in done.records("webhooks")}


def test_x3_personal_data_can_be_dropped(octo: World, run: Callable[..., Run]) -> None:
    kept = text_of(run(octo, config={**FEW, "enable_streams": ["supplier"]}))
    assert not [word for word in PERSONAL if word not in kept]
    done = run(octo, config={**FEW, "enable_streams": ["supplier"], "pii": "drop"})
    assert done.code == 0, done.log
    text = text_of(done)
    assert not [word for word in PERSONAL if word in text]
    for name in ("fullName", "emailAddress", "notes", "reason", "deliveryValue", "telephone", "resellerReference"):
        assert not list(leaves(records(done), name)), name
    assert all(row["contact"]["locales"] is not None for row in done.records("bookings"))
    assert all(row["supplierReference"] for row in done.records("bookings"))


def test_x3_personal_data_can_be_hashed(octo: World, run: Callable[..., Run]) -> None:
    config = {**FEW, "pii": "hash", "pii_key": "a-key-of-this-test"}
    done = run(octo, config=config)
    assert done.code == 0, done.log
    assert not [word for word in (*PERSONAL, *CODES) if word in text_of(done)]
    hashes = [row["contact"]["emailAddress"] for row in done.records("bookings") if row["contact"]["emailAddress"]]
    assert all(len(value) == 64 for value in hashes)
    assert len(set(hashes)) == len(hashes)
    assert run(octo, config=config).rows("bookings") == done.rows("bookings")


ODD_BOOKING = {
    "uuid": "b1",
    "contact": {"locales": ["en"], "nickname": "Zaphod"},
    "cancellation": "Zaphod is ill",
    "voucher": {"deliveryOptions": {"deliveryFormat": "QRCODE", "deliveryValue": "TICKET-1"}},
    "unitItems": [
        {
            "uuid": "i1",
            "contact": [{"name": "Zaphod"}],
            "ticket": [{"deliveryOptions": [{"deliveryValue": "TICKET-2"}]}],
            "pass": {"deliveryValue": "TICKET-3"},
        }
    ],
}
ODD_WEBHOOK = {
    "id": "w1",
    "url": ["https://user:TICKET-4@example.com"],
    "retry": {"url": "https://u:TICKET-5@x.example"},
    "headers": {"Authorization": "Bearer TICKET-6"},
}


@pytest.mark.parametrize("pii", ["keep", "drop", "hash"])
def test_x3_what_comes_in_another_shape_is_hidden_too(canned: Callable[..., Canned], pii: str) -> None:
    answers = {"GET /products": [], "GET /bookings": [ODD_BOOKING], "GET /webhooks": [ODD_WEBHOOK]}
    server = canned({call: (200, json.dumps(rows).encode()) for call, rows in answers.items()})
    days = {"bookings_days_back": 0, "bookings_days_ahead": 0}
    done = run_tap(TapPeek, server.account, config={**days, "pii": pii, "pii_key": "a-key-of-this-test"})
    assert done.code == 0, done.log
    assert done.records("bookings")[0]["contact"]["locales"] == ["en"]
    assert done.records("booking_unit_items")
    assert done.records("webhooks")
    assert ("Zaphod" in text_of(done)) is (pii == "keep")
    assert "TICKET-" not in text_of(done)


GUEST = {
    "questionAnswers": [{"questionId": "q1", "label": "Diet?", "value": "Zaphod eats all", "answer": "Zaphod does"}],
    "pickupHotel": "Zaphod Inn",
    "pickupHotelRoom": "Zaphod 42",
    "pickupRoom": "Zaphod 43",
    "pickupNotes": "ring for Zaphod",
    "pickupPoint": {"id": "pp1", "name": "At Zaphod's"},
    "orderReference": "ORDER-Zaphod",
    "gift": {"recipient": {"fullName": "Zaphod"}, "message": "Dear Zaphod", "voucher": {"deliveryValue": "TICKET-8"}},
    "giftPayment": {"amount": 500, "currency": "EUR", "giftCode": "TICKET-9"},
    "identity": {"id": "i1", "name": "Zaphod"},
    "identityId": "Zaphod-1",
    "user": {"id": "u1", "name": "Zaphod"},
    "seller": {"id": "s1", "name": "Zaphod"},
}


@pytest.mark.parametrize("pii", ["keep", "drop", "hash"])
def test_x3_what_guests_say_outside_their_contact_is_personal(canned: Callable[..., Canned], pii: str) -> None:
    item = {"uuid": "i1", "unitId": "u1", "questionAnswers": GUEST["questionAnswers"]}
    booking = {"uuid": "b1", "pickupRequested": True, "pickupPointId": "pp1", **GUEST, "unitItems": [item]}
    server = canned(
        {
            **dict.fromkeys(("GET /products", "GET /webhooks"), (200, b"[]")),
            "GET /bookings": (200, json.dumps([booking]).encode()),
        }
    )
    days = {"bookings_days_back": 0, "bookings_days_ahead": 0}
    done = run_tap(TapPeek, server.account, config={**days, "pii": pii, "pii_key": "a-key-of-this-test"})
    assert done.code == 0, done.log
    (found,) = done.records("bookings")
    (ticket,) = done.records("booking_unit_items")
    assert "TICKET-" not in text_of(done)
    assert ("Zaphod" in text_of(done)) is (pii == "keep")
    assert (found["pickupPointId"], found["giftPayment"]["amount"]) == ("pp1", 500)
    for row in (found, ticket):
        assert row["questionAnswers"][0]["label"] == "Diet?"
    if pii == "keep":
        assert found["pickupHotel"] == "Zaphod Inn"
        assert not [name for row in (found, ticket) for name in row if name == "_extra"]
    if pii == "hash":
        assert len(found["pickupHotel"]) == len(ticket["questionAnswers"][0]["value"]) == 64


@pytest.mark.parametrize("arguments", [[], ["--discover"], ["--test"]])
def test_x1_keys_are_in_no_output(
    world: World, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    canary = "canary-b1f7d9e2-key"
    monkeypatch.setenv("TAP_PEEK_LOGLEVEL", "DEBUG")
    connections = [{"name": "north", "api_key": KEYS["default"]}, {"name": "south", "api_key": canary}]
    done = run(world, *arguments, config={"api_key": None, "connections": connections})
    for secret in (canary, KEYS["default"]):
        assert secret not in done.log
        assert secret.encode() not in done.output
    assert "DEBUG" in done.log or arguments


def test_x2_what_an_error_says_is_not_logged(
    world: World, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAP_PEEK_LOGLEVEL", "DEBUG")
    error = {"error": "UNPROCESSABLE_ENTITY", "errorMessage": "Zoë Ångström, +15550000001, is not 18"}
    world.fault("peek", "/bookings", "status", status=400, body=error, times=None)
    done = run(world, config={**FEW, "reseller_references": ["Ærø & Søn"]})
    assert done.code == 4
    assert "UNPROCESSABLE_ENTITY" in done.log
    assert not [word for word in ("Ångström", "+1555", "Ærø", "Søn", "S%C3%B8n") if word in done.log]
