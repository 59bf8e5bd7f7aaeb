"""The sandbox in the mode of the OCTO standard: what the standard's own validator asks of a server's read calls.

The rules are those of the standard's types (version 2) and of its validator, in our words. Where the two differ, the
types count: an option with opening hours names a start time.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from merchant_sandbox.vendors.peek.api import OCTO_STANDARD, OCTO_TODAY
from tests.sandbox.test_peek import YEARS, Peek, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import urllib3

    from merchant_sandbox.client import World

CAPABILITIES = {"octo/pricing", "octo/webhooks"}
CONTACT_FIELDS = {"firstName", "lastName", "fullName", "emailAddress", "phoneNumber", "country", "notes", "locales"}
STATUSES = {"ON_HOLD", "EXPIRED", "CONFIRMED", "CANCELLED", "PENDING", "REDEEMED", "REJECTED"}
FORMATS = {"QRCODE", "CODE128", "AZTECCODE", "PDF_URL", "PKPASS_URL"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}")
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
HOURS = re.compile(r"\d\d:\d\d")

text, flag, whole = str, bool, int


MONTH = {"localDateStart": "2026-03-01", "localDateEnd": "2026-04-01"}


class Maybe:
    """A value of a type, or null; the member itself must be there."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


TAX = {"name": text, "original": whole, "retail": whole, "net": Maybe(whole)}
PRICE = {
    "original": whole,
    "retail": whole,
    "net": Maybe(whole),
    "currency": text,
    "currencyPrecision": whole,
    "includedTaxes": [TAX],
}
UNIT = {
    "id": text,
    "internalName": text,
    "reference": Maybe(text),
    "type": text,
    "requiredContactFields": [text],
    "restrictions": {
        "minAge": whole,
        "maxAge": whole,
        "idRequired": flag,
        "paxCount": whole,
        "accompaniedBy": [text],
        "minQuantity": Maybe(whole),
        "maxQuantity": Maybe(whole),
    },
}
OPTION = {
    "id": text,
    "default": flag,
    "internalName": text,
    "reference": Maybe(text),
    "units": [UNIT],
    "availabilityLocalStartTimes": [HOURS],
    "requiredContactFields": [text],
    "cancellationCutoff": text,
    "cancellationCutoffAmount": whole,
    "cancellationCutoffUnit": text,
    "restrictions": {"minUnits": Maybe(whole), "maxUnits": Maybe(whole)},
}
PRODUCT = {
    "id": text,
    "internalName": text,
    "reference": Maybe(text),
    "locale": text,
    "timeZone": text,
    "allowFreesale": flag,
    "instantConfirmation": flag,
    "instantDelivery": flag,
    "availabilityRequired": flag,
    "availabilityType": text,
    "deliveryFormats": [text],
    "deliveryMethods": [text],
    "redemptionMethod": text,
    "options": [OPTION],
}
PRICED_PRODUCT = {
    **PRODUCT,
    "defaultCurrency": text,
    "availableCurrencies": [text],
    "pricingPer": text,
    "includeTax": flag,
}
OPEN = {"from": HOURS, "to": HOURS}
DAY = {
    "localDate": text,
    "available": flag,
    "status": text,
    "openingHours": [OPEN],
    "vacancies": Maybe(whole),
    "capacity": Maybe(whole),
}
DEPARTURE = {
    "id": text,
    "localDateTimeStart": LOCAL,
    "localDateTimeEnd": LOCAL,
    "allDay": flag,
    "available": flag,
    "status": text,
    "vacancies": Maybe(whole),
    "capacity": Maybe(whole),
    "maxUnits": Maybe(whole),
    "utcCutoffAt": UTC,
    "openingHours": [OPEN],
}
TICKET = {
    "redemptionMethod": text,
    "utcRedeemedAt": Maybe(UTC),
    "deliveryOptions": [{"deliveryFormat": text, "deliveryValue": text}],
}
CONTACT = {
    **dict.fromkeys(("fullName", "firstName", "lastName", "emailAddress"), Maybe(text)),
    **dict.fromkeys(("phoneNumber", "postalCode", "country", "notes"), Maybe(text)),
    "locales": [text],
}
ITEM = {
    "uuid": UUID,
    "resellerReference": Maybe(text),
    "supplierReference": Maybe(text),
    "unitId": text,
    "unit": UNIT,
    "status": text,
    "utcRedeemedAt": Maybe(UTC),
    "contact": CONTACT,
    "ticket": TICKET,
}
BOOKING = {
    "id": text,
    "uuid": UUID,
    "testMode": flag,
    "resellerReference": Maybe(text),
    "supplierReference": Maybe(text),
    "status": text,
    "utcCreatedAt": UTC,
    "utcUpdatedAt": UTC,
    "utcExpiresAt": Maybe(UTC),
    "utcRedeemedAt": Maybe(UTC),
    "utcConfirmedAt": Maybe(UTC),
    "productId": text,
    "product": PRODUCT,
    "optionId": text,
    "option": OPTION,
    "cancellable": flag,
    "freesale": flag,
    "notes": Maybe(text),
    "cancellation": Maybe({"refund": text, "reason": Maybe(text), "utcCancelledAt": UTC}),
    "availabilityId": Maybe(text),
    "contact": CONTACT,
    "deliveryMethods": [text],
    "voucher": TICKET,
    "availability": Maybe({"id": text, "localDateTimeStart": LOCAL, "localDateTimeEnd": LOCAL, "allDay": flag}),
    "unitItems": [ITEM],
}
SUPPLIER = {
    "id": text,
    "name": text,
    "endpoint": text,
    "contact": dict.fromkeys(("website", "email", "telephone", "address"), Maybe(text)),
}
CAPABILITY = {"id": text, "revision": whole, "required": flag, "dependencies": [text], "docs": Maybe(text)}


def schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of a kind; members beyond those that it names are allowed."""
    if isinstance(kind, Maybe):
        return {"anyOf": [schema(kind.kind), {"type": "null"}]}
    if isinstance(kind, dict):
        members = {name: schema(inner) for name, inner in kind.items()}
        return {"type": "object", "required": list(kind), "properties": members}
    if isinstance(kind, list):
        return {"type": "array", "items": schema(kind[0])}
    if isinstance(kind, re.Pattern):
        return {"type": "string", "pattern": f"^(?:{kind.pattern})$"}
    return {"type": {str: "string", bool: "boolean", int: "integer"}[kind]}


def assert_conform(rows: list[dict[str, Any]], kind: Mapping[str, Any]) -> None:
    assert rows
    validator = jsonschema.Draft202012Validator(schema(kind))
    assert {f"{error.json_path}: {error.message}" for row in rows for error in validator.iter_errors(row)} == set()


@pytest.fixture(params=["plain", "today"])
def octo(request: pytest.FixtureRequest, make_world: Callable[..., World], pool: urllib3.PoolManager) -> Peek:
    """Without prices and with a filter by date, and the other way round."""
    switches = OCTO_STANDARD if request.param == "plain" else OCTO_TODAY
    return Peek(make_world(switches={"peek": switches}), pool)


@pytest.fixture
def priced(make_world: Callable[..., World], pool: urllib3.PoolManager) -> Peek:
    return Peek(make_world(switches={"peek": {**OCTO_STANDARD, "pricing": True}}), pool)


def prices_in(value: Any, name: str = "") -> Iterator[Any]:
    """All prices at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from prices_in(item, name)
    elif isinstance(value, dict):
        if "currencyPrecision" in value:
            yield value
        for inner, member in value.items():
            yield from prices_in(member, inner)


def test_products_conform(octo: Peek) -> None:
    products = octo.rows("/products")
    assert_conform(products, PRODUCT)
    for product in products:
        validate(product, "Product")
        assert set(product["deliveryFormats"]) <= FORMATS
        for option in product["options"]:
            assert set(option["requiredContactFields"]) <= CONTACT_FIELDS
            assert option["availabilityLocalStartTimes"]
            for unit in option["units"]:
                assert unit["restrictions"]["minAge"] <= unit["restrictions"]["maxAge"]
        assert octo.ask("GET", f"/products/{product['id']}").json() == product


def test_calendar_and_availability_conform(octo: Peek) -> None:
    assert_conform(octo.per_option("/availability/calendar"), DAY)
    assert_conform(octo.per_option("/availability"), DEPARTURE)
    kinds = {product["id"]: product["availabilityType"] for product in octo.rows("/products")}
    for product, kind in kinds.items():
        body = {
            "productId": product,
            "optionId": "DEFAULT",
            "localDateStart": "2026-03-01",
            "localDateEnd": "2026-04-01",
        }
        for departure in octo.ask("POST", "/availability", body).json():
            assert departure["allDay"] is (kind == "OPENING_HOURS")
            assert departure["openingHours"] or kind == "START_TIME"


def test_supplier_and_capabilities_conform(octo: Peek) -> None:
    assert_conform([octo.ask("GET", "/supplier").json()], SUPPLIER)
    answer = octo.ask("GET", "/capabilities")
    assert_conform(answer.json(), CAPABILITY)
    ids = {row["id"] for row in answer.json()}
    assert ids <= CAPABILITIES
    asked = set(answer.headers["Octo-Capabilities"].split(", "))
    assert asked == ids, "the header lists what was asked for and is supported"


def test_bookings_conform(priced: Peek) -> None:
    bookings = priced.rows("/bookings", **YEARS)
    assert_conform(bookings, BOOKING)
    assert {booking["status"] for booking in bookings} == STATUSES
    assert {item["status"] for booking in bookings for item in booking["unitItems"]} == STATUSES
    for booking in bookings:
        assert sorted(booking["deliveryMethods"]) == sorted(booking["product"]["deliveryMethods"])
        assert (booking["status"] == "REDEEMED") <= (booking["utcRedeemedAt"] is not None)
        assert booking["product"]["instantConfirmation"] <= (booking["status"] not in {"PENDING", "REJECTED"})
        assert priced.ask("GET", f"/bookings/{booking['uuid']}").json() == booking


def test_prices_conform(priced: Peek) -> None:
    products, bookings = priced.rows("/products"), priced.rows("/bookings", **YEARS)
    assert_conform(products, PRICED_PRODUCT)
    rows = [products, bookings, priced.per_option("/availability"), priced.per_option("/availability/calendar")]
    prices = list(prices_in(rows))
    assert_conform(prices, PRICE)
    assert any(price["includedTaxes"] for price in prices)
    for booking in bookings:
        items = [item.get("pricing") for item in booking["unitItems"]]
        if booking["product"]["pricingPer"] == "UNIT":
            assert sum(item["retail"] for item in items) == booking["pricing"]["retail"]
        else:
            assert items == [None] * len(items)
    for product in products:
        holders = product["options"] if product["pricingPer"] == "BOOKING" else product["options"][0]["units"]
        for holder in holders:
            assert {price["currency"] for price in holder["pricing"]} == set(product["availableCurrencies"])
            assert holder["pricingFrom"]


def test_a_booking_may_be_of_several_kinds_of_tickets(
    make_world: Callable[..., World], pool: urllib3.PoolManager
) -> None:
    for switches in ({}, OCTO_STANDARD):
        bookings = Peek(make_world(switches={"peek": switches}), pool).rows("/bookings", **YEARS)
        kinds = Counter(len({item["unitId"] for item in booking["unitItems"]}) for booking in bookings)
        assert kinds[2] > 10, switches


REVERSED = {"localDateStart": "2026-03-02", "localDateEnd": "2026-03-01"}


@pytest.mark.parametrize("switches", [{}, OCTO_STANDARD, OCTO_TODAY], ids=["peek", "plain", "today"])
def test_reversed_dates_are_an_error_on_every_call(
    make_world: Callable[..., World], pool: urllib3.PoolManager, switches: dict[str, Any]
) -> None:
    peek = Peek(make_world(switches={"peek": switches}), pool)
    product = peek.rows("/products")[0]
    body = {"productId": product["id"], "optionId": product["options"][0]["id"], **REVERSED}
    answers = [
        peek.ask("POST", "/availability", body),
        peek.ask("POST", "/availability/calendar", body),
        peek.ask("GET", "/bookings", **REVERSED),
        peek.ask("POST", "/availability", {**body, "availabilityIds": "all"}),
    ]
    for answer in answers:
        assert (answer.status, answer.json()["error"]) == (400, "BAD_REQUEST")
        validate(answer.json(), "Error")


@pytest.mark.parametrize(("switch", "status"), [("404", 404), ("405", 405), ("400", 400), ("yes", 200)])
def test_a_server_may_lack_webhooks(peek_of: Callable[..., Peek], switch: str, status: int) -> None:
    peek = peek_of(webhooks=switch, echo="asked")
    answer = peek.ask("GET", "/webhooks")
    assert answer.status == status
    listed = peek.ask("GET", "/products").headers["Octo-Capabilities"]
    assert ("octo/webhooks" in listed) is (switch == "yes")
    assert bool(peek.world.truth("peek", "webhooks")) is (switch == "yes")


def test_a_server_may_lack_a_filter_by_date(peek_of: Callable[..., Peek]) -> None:
    peek = peek_of(booking_filter="references")
    for filters in (YEARS, {"localDate": "2026-03-01"}, {}):
        answer = peek.ask("GET", "/bookings", **filters)
        assert (answer.status, answer.json()["error"]) == (400, "BAD_REQUEST")
    (found,) = peek.rows("/bookings", resellerReference="RS-5")
    assert peek.rows("/bookings", supplierReference=found["supplierReference"]) == [found]
    assert peek.ask("GET", f"/bookings/{found['uuid']}").json() == found
    assert peek.world.truth("peek", "bookings") == []
    peek.world.switch("peek", uuids=[found["uuid"], "no-such-uuid"])
    assert [row["uuid"] for row in peek.world.truth("peek", "bookings")] == [found["uuid"]]


def test_prices_are_served_in_the_currency_that_is_asked_for(peek_of: Callable[..., Peek]) -> None:
    peek = peek_of()
    product = next(row for row in peek.rows("/products") if set(row["availableCurrencies"]) == {"USD", "EUR"})
    body = {"productId": product["id"], "localDateStart": "2026-03-02", "localDateEnd": "2026-03-20"}
    for path in ("/availability", "/availability/calendar"):
        rows = peek.ask("POST", path, {**body, "currency": "EUR"}).json()
        assert {price["currency"] for price in prices_in(rows)} == {"EUR"}
        assert {price["currency"] for price in prices_in(peek.ask("POST", path, body).json())} == {"USD"}
        assert peek.ask("POST", path, {**body, "currency": "CHF"}).status == 400


def test_a_product_may_be_refused(peek_of: Callable[..., Peek]) -> None:
    peek = peek_of(refused_products=1, refusal="UNPROCESSABLE_ENTITY")
    first, second = peek.rows("/products")[:2]
    body = {"localDateStart": "2026-03-02", "localDateEnd": "2026-03-20"}
    for path in ("/availability", "/availability/calendar"):
        answer = peek.ask("POST", path, {**body, "productId": first["id"]})
        assert (answer.status, answer.json()["error"]) == (400, "UNPROCESSABLE_ENTITY")
        assert peek.ask("POST", path, {**body, "productId": second["id"]}).status == 200
    assert first["id"] not in {row["productId"] for row in peek.world.truth("peek", "availability")}


@pytest.fixture
def peek_of(make_world: Callable[..., World], pool: urllib3.PoolManager) -> Callable[..., Peek]:
    """Makes worlds of Peek with switches."""
    return lambda **switches: Peek(make_world(switches={"peek": switches}), pool)
