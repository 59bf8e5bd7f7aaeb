"""premiumpay's emulation against its contract, its switches, and its truth against what it serves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from merchant_sandbox.clock import DAY, HOUR, unix
from merchant_sandbox.timeline import LAST_DAY
from merchant_sandbox.vendors.premiumpay.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from merchant_sandbox.client import World

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contracts/premiumpay/openapi.yaml").read_text())
YEAR = {"start_date_time": "2025-01-01T00:00:00Z", "end_date_time": "2026-06-01T00:00:00Z"}
ALL_SALES = {**YEAR, "pasarela_id": 101}


@dataclass
class Premiumpay:
    """Reads the premiumpay API of one world."""

    world: World
    pool: urllib3.PoolManager

    def send(
        self, path: str, body: Any = None, *, method: str = "POST", **headers: str | None
    ) -> urllib3.BaseHTTPResponse:
        config = self.world.config("premiumpay")
        sent = {
            "Authorization": f"Bearer {config['jwt']}",
            "X-client-id": config["client_id"],
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.pool.request(
            method,
            config["api_url"] + path,
            json=body or {},
            headers={name: value for name, value in sent.items() if value is not None},
            retries=False,
            timeout=5,
        )

    def rows(self, path: str, **body: Any) -> Any:
        return self.send(path, body).json()


@pytest.fixture
def make(make_world: Callable[..., World], pool: urllib3.PoolManager) -> Callable[..., Premiumpay]:
    def build(*, clock_start: float = LAST_DAY, **switches: Any) -> Premiumpay:
        return Premiumpay(make_world(clock_start=clock_start, switches={"premiumpay": switches}), pool)

    return build


@pytest.fixture
def api(make: Callable[..., Premiumpay]) -> Premiumpay:
    return make(rate_limit=0)


def validate(value: Any, path: str, method: str = "post") -> None:
    pointer = f"#/paths/~1{path.removeprefix('/')}/{method}/responses/200/content/application~1json/schema"
    jsonschema.Draft202012Validator({"$ref": pointer, **CONTRACT}).validate(value)


BODIES: dict[str, dict[str, Any]] = {
    "/gateways": {"include_services": "yes"},
    "/sales": ALL_SALES,
    "/aggregatedsales": {**YEAR, "aggregate_field": "country"},
    "/channels": {"include_links": "yes"},
    "/channelresults": {**YEAR, "channel_id": 5007},
    "/channelsales": {**YEAR, "channel_id": 5007, "invitation_link": "https://t.example.org/+5007x0"},
}


@pytest.mark.parametrize("empty", ["list", "ko"])
@pytest.mark.parametrize("path", BODIES)
def test_every_answer_fits_the_contract(make: Callable[..., Premiumpay], path: str, empty: str) -> None:
    api = make(empty=empty, extra_fields=True)
    found = api.rows(path, **BODIES[path])
    validate(found, path)
    assert len(found) > 2
    if "start_date_time" in BODIES[path]:
        nothing = api.rows(path, **{**BODIES[path], "end_date_time": "2025-01-02T00:00:00Z"})
        validate(nothing, path)
        assert nothing == ([] if empty == "list" else {"status": "ko", "error": "No data"})


@pytest.mark.parametrize("method", ["get", "post"])
def test_status_and_version_fit_the_contract(api: Premiumpay, method: str) -> None:
    validate(api.send("/status", method=method.upper()).json(), "/status", method)
    validate(api.send("/version", method="GET", Authorization=None).json(), "/version", "get")


def test_every_stream_has_a_truth(api: Premiumpay) -> None:
    assert all(api.world.truth("premiumpay", stream) for stream in STREAMS)


def test_truth_holds_every_sale_served(api: Premiumpay) -> None:
    served = [
        row
        for gateway in api.rows("/gateways")
        for row in api.rows("/sales", **YEAR, pasarela_id=gateway["pasarela_id"])
    ]
    truth = api.world.truth("premiumpay", "sales")
    assert {str(row["id"]) for row in served} == {row["id"] for row in truth}
    assert len(served) == len(truth) > 1000


def test_truth_holds_every_result_served(api: Premiumpay) -> None:
    channels = api.rows("/channels")
    served = [
        (row["channel_id"], row["date"], row["joined"], row["left"])
        for channel in channels
        for row in api.rows("/channelresults", **YEAR, channel_id=channel["channel_id"])
    ]
    truth = api.world.truth("premiumpay", "channel_results")
    assert sorted(served) == sorted((row["channel_id"], row["date"], row["joined"], row["left"]) for row in truth)


def test_the_data_hold_the_hard_cases(api: Premiumpay) -> None:
    truth = api.world.truth("premiumpay", "sales")
    alike = Counter(tuple(sorted((k, str(v)) for k, v in row.items() if k != "id")) for row in truth)
    times = {row["date_time"] for row in truth}
    assert sum(number > 1 for number in alike.values()) > 20
    assert sum(time.endswith("T00:00:00.000000Z") for time in times) > 50
    assert not any(time.startswith("2025-08") for time in times)
    assert {"2025-10-26T00:30:00.000000Z", "2025-10-26T01:30:00.000000Z"} <= times


@pytest.mark.parametrize(("edges", "sold"), [("[]", 2), ("[)", 1), ("(]", 1), ("()", 0)])
def test_edges_are_inclusive_or_exclusive(make: Callable[..., Premiumpay], edges: str, sold: int) -> None:
    api = make(edges=edges)
    rows = [
        row
        for gateway in (101, 102, 103)
        for row in api.rows(
            "/sales",
            start_date_time="2025-03-30T00:59:59Z",
            end_date_time="2025-03-30T01:00:00Z",
            pasarela_id=gateway,
        )
    ]
    assert len(rows) == sold


def test_a_server_in_madrid_reads_digits_as_wall_time(make: Callable[..., Premiumpay]) -> None:
    api = make(zone="Europe/Madrid")
    rows = [
        row
        for gateway in (101, 102, 103)
        for row in api.rows(
            "/sales",
            start_date_time="2025-10-26T02:30:00Z",
            end_date_time="2025-10-26T02:30:00Z",
            pasarela_id=gateway,
        )
    ]
    assert [row["date_time"] for row in rows] == ["2025-10-26 02:30:00"] * 2
    told = [row["date_time"] for row in api.world.truth("premiumpay", "sales")]
    assert "2025-10-26T01:30:00.000000Z" not in told
    assert told.count("2025-10-26T00:30:00.000000Z") >= 2


def test_late_sales_appear_two_days_after_their_date(api: Premiumpay) -> None:
    seen: list[set[str]] = []
    for _ in range(4):
        seen.append({row["id"] for row in api.world.truth("premiumpay", "sales")})
        api.world.tick()
    dates = {row["id"]: unix(row["date_time"]) for row in api.world.truth("premiumpay", "sales")}
    assert any(dates[sale] < LAST_DAY + DAY for sale in seen[3] - seen[2])


def test_a_refund_changes_an_old_sale(api: Premiumpay) -> None:
    before = {row["id"]: row for row in api.world.truth("premiumpay", "sales")}
    api.world.tick()
    changed = [row for row in api.world.truth("premiumpay", "sales") if before.get(row["id"], row) != row]
    assert changed
    assert {row["amount"] for row in changed} == {"0.00"}


def test_calls_are_counted_by_the_clock_hour(make: Callable[..., Premiumpay]) -> None:
    api = make(rate_limit=3, clock_start=unix("2026-03-01T10:30:00+00:00"))
    assert [api.send("/gateways").status for _ in range(4)] == [200, 200, 200, 429]
    refused = api.send("/gateways").json()
    assert refused["ratelimit"]["rateLimitReset"] == unix("2026-03-01T11:00:00+00:00")
    status = api.send("/status", method="GET")
    assert status.status == 200
    assert (status.json()["status"], status.json()["ratelimit"]["rateLimitRemaining"]) == ("ko", 0)
    api.world.advance(HOUR // 2)
    assert api.send("/gateways").status == 200


def test_a_429_says_what_the_switches_allow(make: Callable[..., Premiumpay]) -> None:
    api = make(rate_limit=1, throttle_body=False, throttle_header=True, clock_start=LAST_DAY + DAY)
    api.send("/gateways")
    refused = api.send("/gateways")
    assert refused.json() == {"status": "ko", "error": "Too many requests"}
    assert 0 < int(refused.headers["Retry-After"]) <= HOUR


def test_refusals(api: Premiumpay) -> None:
    assert api.send("/gateways", Authorization="Bearer x").status == 401
    assert api.send("/gateways", X_client_id="somebody else").status == 403
    assert api.send("/gateways", Content_Type="text/plain").status == 415
    assert api.send("/nothing").status == 404


def test_the_rest_of_the_switches(make: Callable[..., Premiumpay]) -> None:
    api = make(wrapped=True, row_id=False, row_time=False, id_names="id", row_cap=5, channels=2000, rate_limit=0)
    sales = api.rows("/sales", **ALL_SALES)["data"]
    assert len(sales) == 5
    assert not {"id", "date_time"} & sales[0].keys()
    api.world.switch("premiumpay", row_cap=0, wrapped=False)
    channels = api.rows("/channels", include_links="yes", link_names=["promo-2"], link_fields=["name"])
    assert len(channels) == 500
    assert channels[0].keys() == {"id", "name", "links"}
    assert channels[0]["links"][0] == {"name": "promo-0"}


def test_writes_are_flagged(api: Premiumpay) -> None:
    api.send("/createpubliclink", {"channel_id": 5000, "name": "x"})
    assert [write["route"] for write in api.world.stats("premiumpay")["writes"]] == ["/createpubliclink"]
