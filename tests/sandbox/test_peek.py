"""Peek's emulation against its contract, and its truth against what it serves."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

from merchant_sandbox.vendors.peek.api import KEYS, OCTO_STANDARD
from merchant_sandbox.vendors.peek.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from merchant_sandbox.client import World

CONTRACTS = Path(__file__).parents[2] / "contracts/peek"
CONTRACT = yaml.safe_load((CONTRACTS / "openapi.yaml").read_text())
RANGE = {"localDateStart": "2026-03-01", "localDateEnd": "2026-04-30"}
YEARS = {"localDateStart": "2025-03-01", "localDateEnd": "2027-03-01"}


def validate(value: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **CONTRACT}).validate(value)


@dataclass
class Peek:
    """Reads the Peek API of one world."""

    world: World
    pool: urllib3.PoolManager
    key: str = KEYS["default"]

    def ask(self, method: str, path: str, body: Any = None, **fields: Any) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {self.key}", "Octo-Capabilities": "octo/pricing, octo/webhooks"}
        url = self.world.url("peek") + path
        common: dict[str, Any] = {"headers": headers, "redirect": False, "retries": False, "timeout": 20}
        if body is not None:
            headers["Content-Type"] = "application/json"
            return self.pool.request(method, url, body=json.dumps(body).encode(), **common)
        return self.pool.request(method, url, fields=fields, **common)

    def rows(self, path: str, **fields: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask("GET", path, **fields).json()
        return rows

    def per_option(self, path: str) -> list[dict[str, Any]]:
        rows = []
        for product in self.rows("/products"):
            for option in product["options"]:
                body = {"productId": product["id"], "optionId": option["id"], **RANGE}
                rows += self.ask("POST", path, body).json()
        return rows


@pytest.fixture
def peek(world: World, pool: urllib3.PoolManager) -> Peek:
    return Peek(world, pool)


@pytest.fixture
def octo(make_world: Callable[..., World], pool: urllib3.PoolManager) -> Peek:
    return Peek(make_world(switches={"peek": OCTO_STANDARD}), pool)


@pytest.fixture(params=["peek", "octo"])
def either(request: pytest.FixtureRequest) -> Peek:
    found: Peek = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("path", "schema"), [("/products", "Product"), ("/webhooks", "Webhook"), ("/bookings", "Booking")]
)
def test_lists_fit_the_contract(either: Peek, path: str, schema: str) -> None:
    rows = either.rows(path, **(YEARS if path == "/bookings" else {}))
    assert rows
    for row in rows:
        validate(row, schema)


@pytest.mark.parametrize(
    ("path", "schema"), [("/availability", "Availability"), ("/availability/calendar", "AvailabilityCalendarDay")]
)
def test_availability_fits_the_contract(either: Peek, path: str, schema: str) -> None:
    rows = either.per_option(path)
    assert rows
    for row in rows:
        validate(row, schema)


def test_every_stream_has_a_truth(make_world: Callable[..., World]) -> None:
    world = make_world(ticks=1, switches={"peek": {"operators": 2}})
    for stream in STREAMS:
        assert {row["_connection"] for row in world.truth("peek", stream)} == set(KEYS), stream


def test_truth_keeps_its_keys_unique(make_world: Callable[..., World]) -> None:
    keys = {
        "products": ("id",),
        "units": ("productId", "optionId", "id"),
        "availability": ("productId", "optionId", "id"),
        "availability_calendar": ("productId", "optionId", "localDate"),
        "bookings": ("uuid",),
        "booking_unit_items": ("bookingUuid", "uuid"),
    }
    for switches in ({}, OCTO_STANDARD):
        world = make_world(switches={"peek": {**switches, "operators": 2}})
        for stream, key in keys.items():
            seen = Counter((row["_connection"], *(row[name] for name in key)) for row in world.truth("peek", stream))
            assert max(seen.values()) == 1, stream


def test_truth_holds_what_the_travel_dates_find(peek: Peek) -> None:
    served = {row["uuid"]: row for row in peek.rows("/bookings", **YEARS)}
    truth = peek.world.truth("peek", "bookings")
    assert {row["uuid"] for row in truth} == set(served)
    for row in truth:
        sent = served[row["uuid"]]
        assert row["status"] == sent["status"]
        assert row["pricing"] == sent["pricing"]


def test_overnight_departures_are_listed_on_both_days(peek: Peek) -> None:
    seen: Counter[str] = Counter()
    for day in range(1, 32):
        seen.update(row["uuid"] for row in peek.rows("/bookings", localDate=f"2025-10-{day:02}"))
    overnight = {uuid for uuid, times in seen.items() if times == 2}
    assert overnight
    month = peek.rows("/bookings", localDateStart="2025-10-01", localDateEnd="2025-10-31")
    assert sorted(row["uuid"] for row in month) == sorted(seen)


def test_all_kinds_of_bookings_occur(peek: Peek) -> None:
    bookings = peek.world.truth("peek", "bookings")
    assert {row["status"] for row in bookings} == {"ON_HOLD", "EXPIRED", "CONFIRMED", "CANCELLED"}
    open_dated = next(
        found
        for number in range(600)
        for found in peek.rows("/bookings", resellerReference=f"RS-{number}")
        if found["availability"] is None
    )
    validate(open_dated, "Booking")
    assert open_dated["uuid"] not in {row["uuid"] for row in bookings}


def test_zones_currencies_and_kinds_of_products_occur(peek: Peek) -> None:
    products = peek.rows("/products")
    assert {product["availabilityType"] for product in products} == {"START_TIME", "OPENING_HOURS"}
    assert {product["pricingPer"] for product in products} == {"UNIT", "BOOKING"}
    precisions = {
        price["currencyPrecision"]
        for product in products
        for unit in product["options"][0]["units"]
        for price in unit.get("pricingFrom", product.get("pricingFrom", []))
    }
    assert precisions == {0, 2, 3}
    assert {"Asia/Kathmandu", "America/Los_Angeles"} <= {str(ZoneInfo(product["timeZone"])) for product in products}
    offsets = {row["localDateTimeStart"][-6:] for row in peek.per_option("/availability")}
    assert {"-08:00", "-07:00", "+05:45"} <= offsets


def test_one_option_with_the_product_s_own_id(peek: Peek) -> None:
    products = peek.rows("/products")
    assert products
    assert all([option["id"] for option in each["options"]] == [each["id"]] for each in products)


def test_calendar_shows_closed_days_and_no_vacancies(peek: Peek, octo: Peek) -> None:
    days = peek.per_option("/availability/calendar")
    assert {day["status"] for day in days} >= {"CLOSED", "AVAILABLE", "LIMITED"}
    assert not any("vacancies" in day for day in days)
    plain = octo.per_option("/availability/calendar")
    assert "CLOSED" not in {day["status"] for day in plain}
    assert all("vacancies" in day for day in plain)


def test_standard_ids_repeat_across_products(octo: Peek) -> None:
    seen = Counter(row["id"] for row in octo.per_option("/availability"))
    assert max(seen.values()) > 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"productId": "invalidProductId", **RANGE}, "INVALID_PRODUCT_ID"),
        ({"optionId": "invalidOptionId", **RANGE}, "INVALID_OPTION_ID"),
        ({}, "BAD_REQUEST"),
    ],
)
def test_refusals_are_400_with_a_code(peek: Peek, body: dict[str, str], code: str) -> None:
    product = peek.rows("/products")[0]["id"]
    for path in ("/availability", "/availability/calendar"):
        answer = peek.ask("POST", path, {"productId": product, **body})
        assert answer.status == 400
        validate(answer.json(), "Error")
        assert answer.json()["error"] == code


def test_unknown_booking_is_400(peek: Peek) -> None:
    answer = peek.ask("GET", "/bookings/89fe0192-ddcd-430a-b285-e1396a4725d2")
    assert (answer.status, answer.json()["error"]) == (400, "INVALID_BOOKING_UUID")


def test_ids_and_single_days_are_accepted(peek: Peek) -> None:
    product = peek.rows("/products")[0]["id"]
    some = peek.ask("POST", "/availability", {"productId": product, **RANGE}).json()[:3]
    ids = [row["id"] for row in some]
    assert peek.ask("POST", "/availability", {"productId": product, "availabilityIds": ids}).json() == some
    day = some[0]["localDateTimeStart"][:10]
    found = peek.ask("POST", "/availability", {"productId": product, "localDate": day}).json()
    assert some[0] in found


@pytest.mark.parametrize(("mode", "status"), [("refuse", 400), ("all", 200)])
def test_bookings_without_a_filter(peek: Peek, mode: str, status: int) -> None:
    peek.world.switch("peek", bookings_unfiltered=mode)
    assert peek.ask("GET", "/bookings").status == status


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [("401", 401, "UNAUTHORIZED"), ("403", 403, "FORBIDDEN"), ("400", 400, "UNAUTHORIZED")],
)
def test_bad_key(peek: Peek, switch: str, status: int, code: str) -> None:
    peek.world.switch("peek", bad_key=switch)
    peek.key = "no-such-key"
    answer = peek.ask("GET", "/products")
    assert (answer.status, answer.json()["error"]) == (status, code)


def test_headers_echo_capabilities_and_mode(peek: Peek) -> None:
    answer = peek.ask("GET", "/products")
    assert answer.headers["Octo-Capabilities"] == "octo/pricing, octo/webhooks"
    assert answer.headers["Octo-Env"] == "live"
    peek.world.switch("peek", echo="none", env="test")
    answer = peek.ask("GET", "/products")
    assert "Octo-Capabilities" not in answer.headers
    assert answer.headers["Octo-Env"] == "test"


@pytest.mark.parametrize("path", ["/supplier", "/capabilities"])
def test_calls_of_the_standard_alone(peek: Peek, path: str) -> None:
    assert peek.ask("GET", path).status == 404
    peek.world.switch("peek", **{path[1:]: "400"})
    assert peek.ask("GET", path).status == 400
    peek.world.switch("peek", **{path[1:]: "yes"})
    answer = peek.ask("GET", path)
    assert answer.status == 200
    for row in answer.json() if path == "/capabilities" else [answer.json()]:
        validate(row, "Capability" if path == "/capabilities" else "Supplier")


def test_a_tick_adds_and_changes(peek: Peek) -> None:
    before = {row["uuid"]: row for row in peek.world.truth("peek", "bookings")}
    peek.world.tick()
    after = {row["uuid"]: row for row in peek.world.truth("peek", "bookings")}
    assert before.keys() < after.keys()
    assert any(after[uuid] != row for uuid, row in before.items())
    still = [uuid for uuid, row in before.items() if after[uuid]["notes"] != row["notes"]]
    assert any(after[uuid]["_updated_at"] == before[uuid]["_updated_at"] for uuid in still)


def test_writes_are_flagged(peek: Peek) -> None:
    peek.ask("POST", "/bookings", {"productId": "av_1"})
    peek.ask("POST", "/availability", {})
    assert [entry["route"] for entry in peek.world.stats("peek")["writes"]] == ["/bookings"]


def test_two_keys_see_two_operators_with_equal_ids(peek: Peek) -> None:
    mine, bookings = peek.rows("/products"), peek.rows("/bookings", **YEARS)
    peek.key = KEYS["south"]
    theirs = peek.rows("/products")
    assert [row["id"] for row in mine] == [row["id"] for row in theirs]
    assert mine != theirs
    assert not {row["uuid"] for row in bookings} & {row["uuid"] for row in peek.rows("/bookings", **YEARS)}
