"""Every published example of the API passes through the tap, and every published error is told for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ApiError, AuthError, TapError, TransientError
from tap_core.testing import run_tap, without_nulls
from tap_peek.client import GoneError, RefusedError
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.peek.conftest import Canned

FIXTURES = Path(__file__).parents[2] / "contracts/peek/fixtures"
ERRORS = sorted(str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("error_*.json"))
READ = {
    *ERRORS,
    "availability_calendar.json",
    "booking_on_hold.json",
    "booking_reservation_request.json",  # what a reseller sends to book: the tap never does
    "capability.json",
    "octo_standard/get_bookings_uuid_booking.json",
    "octo_standard/get_capabilities_capabilities.json",
    "octo_standard/get_products_products_with_octo_pricng_pricing_per_unit.json",
    "octo_standard/get_supplier_supplier.json",
    "octo_standard/post_availability_calendar_opening_hours.json",
    "octo_standard/post_availability_calendar_start_times.json",
    "octo_standard/post_availability_opening_hours.json",
    "octo_standard/post_availability_start_times.json",
    "pricing_unit_older_docs.json",
    "product_pricing.json",
    "products_list.json",
    "webhook.json",
    "webhook_delivery_booking_update.json",
}

ALL = {"enable_streams": ["supplier", "capabilities", "availability_snapshots"]}


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def octo(name: str) -> Any:
    return fixture(f"octo_standard/{name}.json")


def as_emitted(value: Any, name: str = "") -> Any:
    """A published value in the form in which the tap emits it."""
    if isinstance(value, dict):
        return {member: as_emitted(item, member) for member, item in value.items()}
    if isinstance(value, list):
        return [as_emitted(item) for item in value]
    if name.startswith("utc") and isinstance(value, str):
        return value.replace("Z", ".000000Z")
    return "***" if name == "deliveryValue" else value


def answers(lists: Mapping[str, Any]) -> dict[str, tuple[int, bytes]]:
    return {call: (200, json.dumps(rows).encode()) for call, rows in lists.items()}


def assert_pass(served: Mapping[str, list[Any]], records: Callable[[str], list[dict[str, Any]]]) -> None:
    for stream, rows in served.items():
        found = records(stream)
        assert found, stream
        for row in rows:
            wanted = without_nulls(as_emitted(row)).items()
            assert any(without_nulls(record).items() >= wanted for record in found), (stream, row)
        assert not [record["_extra"] for record in found if record.get("_extra")], stream


def test_no_fixture_is_forgotten() -> None:
    assert {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*.json")} == READ


def test_peek_s_own_examples_pass_through(canned: Callable[..., Canned]) -> None:
    priced = fixture("product_pricing.json")
    priced["options"][0]["units"][0] |= fixture("pricing_unit_older_docs.json")
    priced["capabilities"].append({**fixture("capability.json"), "id": "octo/pricing2"})
    products = [*fixture("products_list.json"), fixture("product_pricing.json"), priced]
    delivery = fixture("webhook_delivery_booking_update.json")
    served = {
        "products": products,
        "availability_calendar": fixture("availability_calendar.json"),
        "bookings": [fixture("booking_on_hold.json"), delivery["booking"]],
        "webhooks": [fixture("webhook.json"), delivery["webhook"]],
        "capabilities": [fixture("capability.json")],
    }
    server = canned(
        answers(
            {
                "GET /products": products,
                "POST /availability/calendar": served["availability_calendar"],
                "POST /availability": [],
                "GET /bookings": served["bookings"],
                "GET /webhooks": served["webhooks"],
                "GET /supplier": octo("get_supplier_supplier"),
                "GET /capabilities": served["capabilities"],
            }
        )
    )
    run = run_tap(TapPeek, server.account, config=ALL)
    assert run.code == 0, run.log
    assert_pass(served, run.records)
    options = [option for product in products for option in product["options"]]
    assert_pass(
        {
            "options": options,
            "units": [unit for option in options for unit in option["units"]],
            "product_capabilities": [item for product in products for item in product["capabilities"]],
        },
        run.records,
    )


def test_the_standard_s_examples_pass_through(canned: Callable[..., Canned]) -> None:
    products = octo("get_products_products_with_octo_pricng_pricing_per_unit")
    days = octo("post_availability_calendar_start_times") + octo("post_availability_calendar_opening_hours")
    departures = octo("post_availability_start_times") + octo("post_availability_opening_hours")
    booking = octo("get_bookings_uuid_booking")
    supplier = octo("get_supplier_supplier")
    capabilities = octo("get_capabilities_capabilities")
    server = canned(
        answers(
            {
                "GET /products": products,
                "POST /availability/calendar": days,
                "POST /availability": departures,
                "GET /bookings": [booking],
                "GET /webhooks": [fixture("webhook.json")],
                "GET /supplier": supplier,
                "GET /capabilities": capabilities,
            }
        )
    )
    run = run_tap(TapPeek, server.account, config=ALL)
    assert run.code == 0, run.log
    served = {
        "products": products,
        "options": products[0]["options"],
        "units": products[0]["options"][0]["units"],
        "availability_calendar": days,
        "availability": departures,
        "availability_snapshots": departures,
        "bookings": [booking],
        "booking_unit_items": booking["unitItems"],
        "supplier": [supplier],
        "capabilities": capabilities,
    }
    assert_pass(served, run.records)
    assert len(run.records("bookings")) == 1
    assert run.records("bookings")[0]["_updated_at"] == "2022-05-25T11:00:22.000000Z"
    assert {call.partition(" ")[0] for call in server.asked if "availability" not in call} == {"GET"}


EXPECTED: Mapping[str, type[TapError]] = {
    "UNAUTHORIZED": AuthError,
    "FORBIDDEN": AuthError,
    "INTERNAL_SERVER_ERROR": TransientError,
    "INVALID_PRODUCT_ID": GoneError,
    "INVALID_OPTION_ID": GoneError,
    "BAD_REQUEST": RefusedError,
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", ERRORS)
def test_the_code_of_an_error_decides_whatever_the_status(
    canned: Callable[..., Canned], name: str, status: int
) -> None:
    error = fixture(name)
    server = canned({"GET /products": (status, json.dumps(error).encode())})
    tap = TapPeek(config={**server.account.config, "retry_max_s": 0})
    expected = EXPECTED.get(error["error"], {200: ApiError, 400: RefusedError, 500: TransientError}[status])
    with pytest.raises(expected) as raised:
        list(tap.streams["products"].get_records(None))
    assert type(raised.value) is expected
    assert error["error"] in str(raised.value)
    assert error["errorMessage"] not in str(raised.value)
