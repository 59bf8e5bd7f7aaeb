"""How many Python functions a page costs: a slow line in the path of every record shows here, without a clock."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
from typing_extensions import override

from benchmarks.vendor import Schemas
from tap_core.config.settings import config_schema
from tap_core.group import Group
from tap_core.http.auth import NoAuth
from tap_core.http.client import DEFAULT_ACCOUNT, ApiClient, Network
from tap_core.output.messages import MessageWriter
from tap_core.reading.fetch import Slice
from tap_core.reading.numbered import NumberedPager, PageFacts, PageRequest
from tap_core.reading.pages import SinglePage
from tap_core.records.dialect import Dialect
from tap_core.streams.base import CoreStream
from tap_core.tap import CoreTap
from tap_core.timestamps import any_text
from tests.calls import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_core.reading.pages import Pager
    from tests.core.conftest import RawServer, Seen

PER_PAGE = 76
"""Calls from the body of a response to its RECORD lines, however many records there are."""

PER_REQUEST = 90
"""Calls from the pager's next page to the page that it has looked at, the waiting apart."""

PER_SMALL_PAGE = 153
"""Calls for a customer whose records come in one small page, from the slice to the RECORD lines."""

WAITING = frozenset(
    {
        *("wait", "_turn", "_first_done", "done", "_advance_or_fail", "_advance", "go_on", "awaited"),
        *("_enforce_limits", "_leave", "_unwatch", "_begin", "request", "_take_up", "absorb", "_collect"),
        *("is_set", "stopped", "next", "check", "error"),
    }
)
"""What is called as often as something arrives, which depends on the machine."""

TEXT: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
PLACE = {"type": ["object", "null"], "properties": {"name": TEXT, "height": NUMBER, "found": TIME}}
SALES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "at": TIME,
        "changed": TIME,
        "amount": NUMBER,
        "price": {"type": ["string", "null"], "format": "x-singer.decimal"},
        "count": {"type": ["integer", "null"]},
        "open": {"type": ["object", "null"]},
        "place": PLACE,
        "lines": {"type": ["array", "null"], "items": PLACE},
    },
}


class Sales(CoreStream):
    """A list of records with something of everything."""

    name = "sales"
    path = "/sales"
    schemas = Schemas({"sales": SALES})
    dialect = Dialect(time=any_text)
    records_path = ("data",)
    primary_keys = ("id",)
    replication_key = "changed"

    @override
    def pager(self, _part: Slice) -> Pager:
        return NumberedPager(size=100, row_keys=self.row_keys, first=1)


class Orders(Sales):
    """The same with numbered pages and a total."""

    name = "orders"
    schemas = Schemas({"orders": SALES})
    envelope: ClassVar = {"count": int}

    @override
    def params(self, _part: Slice, token: PageRequest) -> Mapping[str, Any]:
        return {"page": token.number, "limit": token.size}

    @override
    def meta(self, envelope: Any) -> PageFacts:
        return PageFacts(rows=envelope.count)


class Visits(Sales):
    """A page for each customer."""

    name = "visits"
    schemas = Schemas({"visits": SALES})
    customers: ClassVar = 0

    @override
    def slices(self) -> Iterator[Slice]:
        for number in range(self.customers):
            yield Slice({"customer": number}, last=number == self.customers - 1)

    @override
    def pager(self, _part: Slice) -> Pager:
        return SinglePage()

    @override
    def params(self, part: Slice, _token: Any) -> Mapping[str, Any]:
        return part.partition


class SalesTap(CoreTap):
    """The tap."""

    name = "tap-sales"
    stream_types = (Sales, Orders, Visits)
    config_jsonschema = config_schema(api_url="https://sales.example.com", bounded="")

    @override
    def make_clients(self, network: Network) -> dict[str, ApiClient]:
        return {DEFAULT_ACCOUNT: ApiClient(network, NoAuth())}


def body(records: int) -> bytes:
    place = {"name": "Main St.", "height": 1.5, "found": "2024-03-01T10:00:00Z"}
    rows = [
        {
            "id": f"sale {number}",
            "at": f"2024-03-01T10:00:{number % 60:02}.123Z",
            "changed": 1_709_294_706 + number,
            "amount": number / 4,
            "price": f"{number}.10",
            "count": number,
            "open": {"any": [number]},
            "place": place if number % 2 else None,
            "lines": [place] * (number % 3),
        }
        for number in range(records)
    ]
    return json.dumps({"data": rows}, separators=(",", ":")).encode()


@pytest.fixture
def stream() -> Iterator[Sales]:
    with tempfile.TemporaryFile() as output:
        tap = SalesTap(config={}, message_writer=MessageWriter(output.fileno()))
        yield tap.session.stream(Sales)


def calls_for(stream: Sales, records: int) -> list[str]:
    emitter, pager, text = stream.emitter(), stream.pager(Slice()), body(records)
    with counted() as calls:
        page = stream.page(text)
        taken = pager.take(PageRequest(1, 100), page)
        emitter.rows(taken.rows, {}, "2024-03-01T00:00:00.000000Z")
    assert stream.meter.records
    return [call for call in calls if not call.endswith((" flush", " _write"))]  # as often as enough has come together


def test_a_page_costs_a_few_calls_however_many_records_it_has(stream: Sales) -> None:
    calls_for(stream, 1)
    few, many = calls_for(stream, 20), calls_for(stream, 500)
    assert few == many, "something is called for each record"
    assert len(many) <= PER_PAGE, "\n".join(many)


@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_request_costs_a_few_calls_however_many_are_in_flight(raw_server: RawServer, concurrency: int) -> None:
    def read(pages: int) -> list[str]:
        def respond(request: Seen) -> tuple[bytes, Literal["keep"]]:
            rows = [{"id": f"{request.target} {number}"} for number in range(100)]
            return raw_server.answer(body={"count": 100 * pages, "data": rows}), "keep"

        raw_server.respond = respond
        tap = SalesTap(config={"api_url": raw_server.url, "concurrency": concurrency})
        orders = tap.session.stream(Orders)
        with counted() as calls:
            rows = sum(len(arrival.rows) for arrival in orders.arrivals())
        assert rows == 100 * pages
        return [call for call in calls if call.rpartition(" ")[2] not in WAITING]

    read(20)
    few, many = read(20), read(120)
    assert (len(many) - len(few)) / 100 <= PER_REQUEST, "\n".join(many[-3 * PER_REQUEST :])


def test_a_small_page_costs_a_few_calls(raw_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(customers: int) -> list[str]:
        raw_server.respond = lambda _request: (raw_server.answer(body=body(3)), "keep")
        monkeypatch.setattr(Visits, "customers", customers)
        with tempfile.TemporaryFile() as output:
            tap = SalesTap(config={"api_url": raw_server.url}, message_writer=MessageWriter(output.fileno()))
            visits = tap.session.stream(Visits)
            group = Group(visits, [visits], {"visits": visits.emitter()})
            with counted() as calls:
                for arrival in visits.arrivals():
                    group.write(arrival)
        assert visits.meter.records == 3 * customers
        return [call for call in calls if call.rpartition(" ")[2] not in {*WAITING, "flush", "_write"}]

    read(20)
    few, many = read(20), read(120)
    assert (len(many) - len(few)) / 100 <= PER_SMALL_PAGE, "\n".join(many[-PER_SMALL_PAGE:])


def test_a_deselected_column_costs_nothing(stream: Sales) -> None:
    with tempfile.TemporaryFile() as output:
        catalog = SalesTap(config={}).catalog_dict
        for entry in next(each for each in catalog["streams"] if each["tap_stream_id"] == "sales")["metadata"]:
            if entry["breadcrumb"][-1:] in (["place"], ["lines"], ["at"], ["amount"], ["price"]):
                entry["metadata"]["selected"] = False
        tap = SalesTap(config={}, catalog=catalog, message_writer=MessageWriter(output.fileno()))
        narrow = tap.session.stream(Sales)
        calls_for(narrow, 1)
        assert len(calls_for(narrow, 500)) < len(calls_for(stream, 500)) * 0.7
        wild = json.loads(body(2))
        wild["data"][1] |= {"place": 7, "lines": "x", "at": "never", "amount": [], "price": {}}
        calls = counted_rows(narrow, json.dumps(wild).encode())
        assert not [call for call in calls if "slow_path" in call], "what nobody wants is not even looked at"


def counted_rows(stream: Sales, text: bytes) -> list[str]:
    emitter = stream.emitter()
    with counted() as calls:
        emitter.rows(stream.page(text).rows, {}, "2024-03-01T00:00:00.000000Z")
    return calls
