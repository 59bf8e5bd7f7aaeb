"""The samples of the vendor's page, sent to the sandbox as they stand, and rows in shapes that its page leaves open.

The page shows no field of any row: the data are the project's own, and each value that was sent must be in the
warehouse.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from typing_extensions import override

from tap_core.testing import Account, Run, run_tap
from tap_premiumpay.client import UnclearError, rows_of
from tap_premiumpay.tap import TapPremiumpay
from tests.loader.harness import Loader
from tests.premiumpay.conftest import Answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

    from merchant_sandbox.client import World

FIXTURES = Path(__file__).parents[2] / "contracts/premiumpay/fixtures"
CALLS = {
    "gateways": "/gateways",
    "sales": "/sales",
    "aggregatedsales": "/aggregatedsales",
    "channel_results": "/channelresults",
    "channel_sales": "/channelsales",
}
AT = "2020-01-03T10:00:00Z"
SALE = {"id": "s-1", "date_time": AT, "pasarela_id": 7, "service_id": 1, "amount": 9.9, "currency": "€"}

ROWS: dict[str, Any] = {
    "/gateways": [
        {"pasarela_id": 7, "name": "Una", "services": [{"service_id": 1, "name": "Club"}, {"id": "2", "name": None}]},
        {"id": "8", "name": "Otra", "services": []},
        {"pasarela_id": "9", "estado": {"activa": "yes", "desde": 2019}},
    ],
    "/channels": {
        "status": "ok",
        "canales": [
            {"channel_id": 5, "name": "Canal", "links": [{"invitation_link": "https://t.example.org/+a", "name": "a"}]},
            {"id": "6", "name": None, "links": [{"name": "sin enlace", "duration_hours": 24}]},
        ],
    },
    "/sales": [
        SALE,
        {**SALE, "id": 2, "pasarela_id": "7", "service_id": "1", "amount": "1.10"},
        {**SALE, "id": None, "amount": None, "importe": "12,50", "comprador": {"idioma": "es", "edades": [30, 41.5]}},
        {**SALE, "id": "s-4", "date_time": 1_578_045_600, "currency": "EUR", "payment_method": ["bizum", None]},
        {"venta": 1, "fecha": "03/01/2020"},
    ],
    "/aggregatedsales": {"status": "ko", "error": "NO DATA"},
    "/channelresults": [{"date": "2020-01-03", "joined": 3, "left": "1"}, {"date": None, "altas": 2}],
    "/channelsales": [],
}
"""What the API answers, by path."""


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager() as manager:
        yield manager


@pytest.mark.parametrize("name", CALLS)
def test_the_sandbox_takes_the_samples_as_they_stand(world: World, pool: urllib3.PoolManager, name: str) -> None:
    config = world.config("premiumpay")
    headers = {
        "Authorization": f"Bearer {config['jwt']}",
        "X-client-id": config["client_id"],
        "Content-Type": "application/json",
    }
    body = (FIXTURES / f"{name}_request.json").read_bytes()
    answer = pool.request("POST", config["api_url"] + CALLS[name], body=body, headers=headers, retries=False, timeout=5)
    assert answer.status == 200
    found = answer.json()
    if name == "gateways":
        assert all(row["services"] is not None for row in found)
    else:  # the samples' second of 2019, gateway 0 and channel 0 have nothing
        assert found == [] or found["status"] == "ko"


@pytest.fixture
def read(serve: Callable[[type[BaseHTTPRequestHandler]], str]) -> Callable[..., Run]:
    """Reads one window of an API that sends these rows; nothing is sold through the other gateways and channels."""

    class Handler(Answering):
        @override
        def found(self, asked: Mapping[str, Any]) -> Any:
            other = asked.get("pasarela_id", 7) != 7 or asked.get("channel_id", 5) != 5
            return [] if other else ROWS[self.path]

    url = serve(Handler)

    def reading(**config: Any) -> Run:
        account = {"api_url": url, "jwt": "a.b.c", "client_id": "nobody", "endpoints": {"version": {"path": "/status"}}}
        dates = {"start_date": "2020-01-02", "end_date": "2020-01-09"}
        return run_tap(TapPremiumpay, Account({**account, **dates, **config}))

    return reading


def leaves(value: Any) -> Iterator[str]:
    """All values at any depth, numbers by their value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        try:
            yield str(Decimal(str(value)).normalize())
        except ArithmeticError:
            yield str(value).replace("T10:00:00.000000Z", "T10:00:00Z")


def test_every_value_lands(read: Callable[..., Run], tmp_path: Path) -> None:
    run = read()
    assert run.code == 0, run.log
    streams = {
        "gateways": "/gateways",
        "channels": "/channels",
        "sales": "/sales",
        "channel_results": "/channelresults",
    }
    loader = Loader(tmp_path)
    loader.load(run.output)
    for stream, path in streams.items():
        rows = ROWS[path]["canales"] if isinstance(ROWS[path], dict) else ROWS[path]
        records = run.records(stream)
        assert len(records) == len(rows) == loader.sql(f"SELECT count(*) FROM {stream}")[0][0], stream
        for row, record in zip(rows, records, strict=True):
            missing = set(leaves(row)) - set(leaves(record)) - {"1.5780456E+9"}
            assert not missing, (stream, row)
    assert run.records("sales")[3]["date_time"] == "2020-01-03T10:00:00.000000Z"
    assert [row["pasarela_id"] for row in run.records("gateways")] == [7, 8, 9]
    assert [row["service_id"] for row in run.records("services")] == [1, 2]
    assert [row["channel_id"] for row in run.records("channels")] == [5, 6]
    assert [row["invitation_link"] for row in run.records("channel_links")] == [
        "https://t.example.org/+a",
        "sin enlace",
    ]


def test_ids_as_text_leave_nothing_behind(read: Callable[..., Run]) -> None:
    sale = read().records("sales")[1]
    assert (sale["id"], sale["pasarela_id"], sale["service_id"], sale["amount"]) == ("2", 7, 1, "1.10")
    assert "_extra" not in sale


@pytest.mark.parametrize("name", ["errors", "error", "Warnings", "mensajes"])
def test_h12_a_list_of_errors_is_no_list_of_rows(name: str) -> None:
    body = json.dumps({name: [{"code": "x"}]}).encode()
    with pytest.raises(UnclearError, match="does not show where its rows are"):
        rows_of(body, None)
    assert [bytes(row) for row in rows_of(body, name)] == [b'{"code": "x"}']
