"""Nothing is lost of what other OCTO servers send: each leaf that was sent is in a record, and in the warehouse.

The records in ``foreign_octo.json`` follow the types of the OCTO standard (versions 1 and 2) and what an independent
server does with them, with data of our own: UUIDs or words as ids, local starts as ids of departures that repeat in
every option, empty texts where others write null, prices and content in every place where a capability adds them.
``odd_booking`` has members of other types than the standard's, as generated clients and servers produce them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import OCTO_TODAY
from tap_core.testing import run_tap
from tap_core.timestamps import iso_text
from tap_peek.tap import TapPeek
from tests.duck import reading
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FOREIGN: dict[str, Any] = json.loads((Path(__file__).parent / "foreign_octo.json").read_text(encoding="utf-8"))
PRODUCT, BOOKING, ODD = FOREIGN["product"], FOREIGN["booking"], FOREIGN["odd_booking"]
UTC_STARTS = {
    "2026-03-01T08:30:00+01:00": "2026-03-01T07:30:00.000000Z",
    "2026-06-01T08:30:00+01:00": "2026-06-01T06:30:00.000000Z",
}
CONFIG: dict[str, Any] = {
    "enable_streams": ["supplier", "capabilities", "availability_snapshots"],
    "availability_days_ahead": 0,
    "mask_secrets": False,
    "reseller_references": [BOOKING["resellerReference"]],
    "booking_uuids": [ODD["uuid"]],
}
REFUSED = (400, b'{"error": "BAD_REQUEST", "errorMessage": "resellerReference or supplierReference is required"}')
OPTIONS = PRODUCT["options"]
MADE = {
    "_connection",
    "_extra",
    "_read_at",
    "_travel_date",
    "_updated_at",
    "_utc_start",
    "_unsupported_required_capabilities",
}


@pytest.fixture
def server(canned: Callable[..., Canned]) -> Canned:
    """A server of today's standard: no webhooks, bookings only by reference and by uuid, text where it has no route."""
    served: dict[str, Any] = {
        "GET /products": [PRODUCT],
        "POST /availability/calendar": FOREIGN["days"],
        "POST /availability": FOREIGN["departures"],
        "GET /supplier": FOREIGN["supplier"],
        "GET /capabilities": FOREIGN["capabilities"],
        "GET /bookings?resellerReference=VOUCHER+7%2F%C3%BC": [BOOKING],
        f"GET /bookings/{ODD['uuid']}": ODD,
    }
    answers = {call: (200, json.dumps(rows).encode()) for call, rows in served.items()}
    return canned({**answers, "GET /bookings": REFUSED, "GET /webhooks": (404, b"Not Found")})


@pytest.fixture
def done(server: Canned) -> Run:
    found = run_tap(TapPeek, server.account, config=CONFIG)
    assert found.code == 0, found.log
    return found


def expected() -> dict[str, list[tuple[dict[str, Any], int]]]:
    """What was sent for each stream, and how often: availability once for each option."""
    per_option = len(OPTIONS)
    return {
        "products": [(PRODUCT, 1)],
        "options": [(option, 1) for option in OPTIONS],
        "units": [(unit, 1) for option in OPTIONS for unit in option["units"]],
        "availability_calendar": [(day, per_option) for day in FOREIGN["days"]],
        "availability": [(departure, per_option) for departure in FOREIGN["departures"]],
        "availability_snapshots": [(departure, per_option) for departure in FOREIGN["departures"]],
        "bookings": [(BOOKING, 1), (ODD, 1)],
        "booking_unit_items": [(item, 1) for item in BOOKING["unitItems"]],
        "supplier": [(FOREIGN["supplier"], 1)],
        "capabilities": [(capability, 1) for capability in FOREIGN["capabilities"]],
    }


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a value but for nulls: where each is, without the numbers of items, and what it is."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    elif value is not None:
        place = re.sub(r"\[\d+\]", "", path).strip(".")
        yield place, as_leaf(place, value)


def as_leaf(place: str, value: Any) -> str:
    """A leaf as text; times in one form, wherever they are times."""
    if place.rpartition(".")[2].startswith("utc") and isinstance(value, str) and value:
        return iso_text(value)
    return json.dumps(value)


def landed(record: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """The leaves of a record that the API sent, those in ``_extra`` under their own path."""
    plain = {name: value for name, value in record.items() if name not in MADE}
    return Counter(leaves(plain)) + Counter(leaves(record.get("_extra") or {}))


def sent(rows: Sequence[tuple[dict[str, Any], int]]) -> Counter[tuple[str, str]]:
    return Counter(leaf for row, times in rows for leaf in leaves(row) for _ in range(times))


ADDED = {"productId", "optionId", "bookingUuid", "_travel_date"}
"""Keys of parents, and the day of a departure, that the tap adds to records."""


@pytest.mark.parametrize("unknown", ["keep", "fail"])
def test_c5_every_leaf_that_was_sent_is_in_a_record(server: Canned, unknown: str) -> None:
    config = {**CONFIG, "unknown_fields": unknown}
    if unknown == "fail":  # the standard's own members are all known
        config["booking_uuids"] = []
    done = run_tap(TapPeek, server.account, config=config)
    assert done.code == 0, done.log
    for stream, rows in expected().items():
        wanted = sent([(row, times) for row, times in rows if row is not ODD or unknown == "keep"])
        found = sum(map(landed, done.records(stream)), Counter())
        lost, made = wanted - found, found - wanted
        assert not lost, stream
        assert {place for place, _ in made} <= ADDED, stream
    known = [record for stream in done.streams for record in done.records(stream) if record.get("_extra")]
    assert [record["uuid"] for record in known] == ([ODD["uuid"]] if unknown == "keep" else [])


def test_what_the_server_does_not_offer_is_said_once_and_nothing_else(done: Run, server: Canned) -> None:
    warned = [line for line in done.log.splitlines() if " WARNING " in line or " ERROR " in line]
    said = (
        "does not filter by days of travel",
        "has no GET /webhooks",
        "octo/pricing",
        "of other days",
        "unknown",
        "_extra",
    )
    assert all(any(word in line for word in said) for line in warned), warned
    assert server.asked.count("GET /webhooks") == 1
    assert "POST /bookings" not in server.asked


def test_departures_have_a_start_in_utc_and_one_row_for_each_option(done: Run) -> None:
    found = {(row["optionId"], row["id"]): row["_utc_start"] for row in done.records("availability")}
    assert found == {(option["id"], start): moment for option in OPTIONS for start, moment in UTC_STARTS.items()}


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_x3_no_guest_is_left_in_a_record(server: Canned, pii: str) -> None:
    done = run_tap(TapPeek, server.account, config={**CONFIG, "pii": pii, "pii_key": "a-key-of-this-test"})
    assert done.code == 0, done.log
    for word in (b"Ola", b"ola@", b"OLA-1", b"Fjord Inn", b"no fish", b"GIFT-1", b"VOUCHER 7", b"pass.example.com"):
        records = [line for line in done.output.splitlines() if b'"RECORD"' in line]
        assert not any(word in line for line in records), word


def test_the_warehouse_holds_every_leaf(done: Run, tmp_path: Path) -> None:
    loader = Loader(tmp_path)
    loader.load(done.output)
    with reading(loader.path) as con:
        for stream, rows in expected().items():
            table = con.execute(f'SELECT * FROM "{stream}"')
            columns = [(name, str(kind)) for name, kind, *_ in table.description]
            stored: Counter[tuple[str, str]] = Counter()
            for row in table.fetchall():
                named = zip(columns, row, strict=True)
                stored += landed({name: as_json(value, kind) for (name, kind), value in named})
            assert not sent(rows) - stored, stream


def as_json(value: Any, kind: str) -> Any:
    """A value of the warehouse as it was sent."""
    if kind == "JSON" and value is not None:
        return json.loads(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


STANDARD_ONLY = {"products", "options", "units", "availability", "availability_calendar", "supplier", "capabilities"}
OTHER_SERVERS = re.compile(
    r"visibleContactFields|availabilityCutoff|^(subtitle|titlePlural|language|duration|durationAmount|durationUnit)$"
    r"|^meeting|^pickup|accompaniedByRatio|required$|freesaleDuration|Image|categories|destination|highlights|clusions"
    r"|location$|bookingTerms|cancellationPolicy|redemptionInstructions|pointToPoint|country$|PaxCount"
)
"""What version 2 of the standard does not have."""
OF_OTHER_CAPABILITIES = re.compile("pickup|order|question|gift|primary|terms|meeting|duration")


def test_the_sandbox_has_every_member_of_the_standard(make_world: Callable[..., World]) -> None:
    world = make_world(switches={"peek": {**OCTO_TODAY, "content": True, "booking_filter": "travel_dates"}})
    for stream, rows in expected().items():
        if stream not in STANDARD_ONLY:
            continue
        served = {name for row in world.truth("peek", stream) for name in row}
        wanted = {name for row, _ in rows for name in row if not OTHER_SERVERS.search(name)}
        assert wanted <= served, stream
    members = {name for row in world.truth("peek", "bookings") for name in row}
    assert {name for name in BOOKING if not OF_OTHER_CAPABILITIES.match(name)} <= members
