"""Pegke's emulation against its contract, and its truth against what it serves."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import urllib3
import yaml
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contracts/pegke/openapi.yaml").read_text())
STATUS = "/?q=api/pegke_status"


def validate(value: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **CONTRACT}).validate(value)


@dataclass
class Pegke:
    """Reads the Pegke API of one world."""

    world: World
    pool: urllib3.PoolManager

    def __post_init__(self) -> None:
        self.config = self.world.config("pegke")
        self.merchant = f"Bearer {self.config['consumer_code']}.{self.config['consumer_secret']}"
        self.token = ""

    def call(self, method: str, path: str, bearer: str | None = None, **more: Any) -> urllib3.BaseHTTPResponse:
        if bearer is None:
            bearer = self.merchant if path.startswith("/apiv1") else self.login()
        headers = {"Authorization": bearer, **more.pop("headers", {})}
        return self.pool.request(
            method, self.config["api_url"] + path, headers=headers, retries=False, timeout=5, **more
        )

    def ask_token(self) -> urllib3.BaseHTTPResponse:
        basic = urllib3.make_headers(basic_auth=f"{self.config['client_id']}:{self.config['client_secret']}")
        fields = {"grant_type": "client_credentials"}
        return self.call("POST", "/v1/oauth2/token", basic["authorization"], fields=fields, encode_multipart=False)

    def login(self) -> str:
        self.token = self.token or f"Bearer {self.ask_token().json()['access_token']}"
        return self.token

    def history(self, phone: str, page: int, **more: Any) -> Any:
        fields = {"phone": phone, "page": str(page)}
        return self.call("POST", "/apiv1/check_history", fields=fields, **more).json()

    def feed(self) -> Any:
        url = self.config["api_url"].replace("http", "ws", 1) + "/v1/realtime/store-activity"
        return connect(url, additional_headers={"Authorization": self.login()}, open_timeout=5)


@pytest.fixture
def pegke(world: World, pool: urllib3.PoolManager) -> Pegke:
    return Pegke(world, pool)


@pytest.fixture
def phone(pegke: Pegke) -> str:
    return str(pegke.world.truth("pegke", "customer_points")[0]["phone"])


def test_answers_fit_the_contract(pegke: Pegke, phone: str) -> None:
    validate(pegke.ask_token().json(), "Token")
    validate(pegke.call("GET", "/apiv1/my_offers").json(), "OfferList")
    validate(pegke.call("GET", "/apiv1/check_points", fields={"phone": phone}).json(), "PointsBalance")
    validate(pegke.history(phone, 0), "CustomerHistory")
    validate(pegke.call("GET", "/v1/store/history").json(), "HistoryPage")
    validate(pegke.call("GET", "/v1/user/history", fields={"idType": "mob", "mob": phone}).json(), "HistoryPage")
    validate(
        pegke.call("POST", "/v1/entity/user?_format=json", json={"idType": "mob", "mob": phone}).json(), "Customer"
    )
    validate(pegke.call("GET", STATUS, "").json(), "SystemStatus")
    with pegke.feed() as feed:
        validate(json.loads(feed.recv(5)), "StoreActivityMessage")


@pytest.mark.parametrize("stream", ["offers", "customer_points", "points_history", "store_history", "system_status"])
def test_every_stream_has_a_truth_that_a_tick_adds_to(world: World, stream: str) -> None:
    before = world.truth("pegke", stream)
    world.tick()
    after = world.truth("pegke", stream)
    assert before
    assert (
        before != after if stream in {"customer_points", "points_history", "store_history", "system_status"} else True
    )


def test_truth_holds_every_entry_served(pegke: Pegke) -> None:
    served: list[Any] = []
    for page in itertools.count():
        rows = pegke.call("GET", "/v1/store/history", fields={"page": str(page)}).json()["data"]
        if not rows:
            break
        served += rows
    truth = pegke.world.truth("pegke", "store_history")
    assert [str(row["id"]) for row in served] == [row["id"] for row in truth]
    for stream in ("points_history", "user_history"):
        assert sorted(row["id"] for row in pegke.world.truth("pegke", stream)) == sorted(row["id"] for row in truth)


@pytest.mark.parametrize("style", ["query", "path", "both"])
def test_both_styles_of_address(pegke: Pegke, style: str) -> None:
    pegke.world.switch("pegke", routing=style)
    by_query, by_path = pegke.call("GET", "/apiv1/?q=my_offers"), pegke.call("GET", "/apiv1/my_offers")
    assert by_query.status == (404 if style == "path" else 200)
    assert by_path.status == (404 if style == "query" else 200)


@pytest.mark.parametrize("form", ["multipart", "urlencoded"])
def test_history_takes_both_forms(pegke: Pegke, phone: str, form: str) -> None:
    pegke.world.switch("pegke", forms=form)
    assert pegke.history(phone, 0, encode_multipart=form == "multipart")["history"]
    assert "errors" in pegke.history(phone, 0, encode_multipart=form != "multipart")


def test_pages_zero_and_one_alike(pegke: Pegke, phone: str) -> None:
    first, second = (pegke.history(phone, page)["history"] for page in (0, 1))
    assert first != second
    pegke.world.switch("pegke", first_page="alike")
    assert [pegke.history(phone, page)["history"] for page in (0, 1, 2)] == [first, first, second]
    pegke.world.switch("pegke", first_page="one")
    assert [pegke.history(phone, page)["history"] for page in (0, 1, 2)] == [[], first, second]


def test_the_last_page_comes_again_where_the_switch_says_so(pegke: Pegke, phone: str) -> None:
    assert pegke.history(phone, 99)["history"] == []
    pegke.world.switch("pegke", history_end="last")
    assert pegke.history(phone, 99)["history"] == pegke.history(phone, 98)["history"] != []


def test_one_token_until_it_dies(pegke: Pegke) -> None:
    first, second = pegke.ask_token().json(), pegke.ask_token().json()
    assert first == second
    pegke.world.advance(3_601)
    assert pegke.call("GET", "/v1/store/history", f"Bearer {first['access_token']}").status == 401
    assert pegke.ask_token().json()["access_token"] != first["access_token"]


def test_a_dead_token_comes_back_until_it_is_refreshed(pegke: Pegke) -> None:
    pegke.world.switch("pegke", after_expiry="same")
    first = pegke.ask_token().json()
    pegke.world.advance(3_601)
    assert pegke.ask_token().json() == first
    refused = pegke.call("GET", "/simple-oauth/refresh", f"Bearer {first['access_token']}")
    taken = pegke.call("GET", "/simple-oauth/refresh", f"Bearer {first['refresh_token']}")
    assert (refused.status, taken.status) == (401, 200)
    assert pegke.call("GET", "/v1/store/history", f"Bearer {taken.json()['access_token']}").status == 200


def test_a_token_without_end_and_refresh(pegke: Pegke) -> None:
    pegke.world.switch("pegke", token_life_s=0, token_refresh=False)
    token = pegke.ask_token().json()
    assert not {"expires_in", "refresh_token"} & token.keys()
    pegke.world.advance(10_000_000)
    assert pegke.call("GET", "/v1/store/history", f"Bearer {token['access_token']}").status == 200


@pytest.mark.parametrize(
    ("form", "find"), [("list", lambda b: b["errors"][0]), ("nested", lambda b: b["error"]), ("flat", dict)]
)
def test_tokens_asked_for_too_often(pegke: Pegke, form: str, find: Callable[[Any], Any]) -> None:
    pegke.world.switch("pegke", token_flood_limit=2, errors=form)
    answers = [pegke.ask_token() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 403]
    assert find(answers[2].json())["code"] == 99
    validate(answers[2].json(), "Error")
    pegke.world.advance(901)
    assert pegke.ask_token().status == 200


def test_points_make_a_search_a_write(pegke: Pegke, phone: str) -> None:
    body = {"idType": "mob", "mob": phone}
    pegke.call("POST", "/v1/entity/user?_format=json", json=body)
    assert pegke.world.stats("pegke")["writes"] == []
    pegke.call("POST", "/v1/entity/user?_format=json", json={**body, "points": 10})
    pegke.call("POST", "/apiv1/give_points", fields={"phone": phone, "points": "10"})
    pegke.call("POST", "/?q=api/contact_us", "", fields={"name": "x"})
    assert pegke.call("POST", "/v1/oauth2/invalidate_token").status == 401
    assert len(pegke.world.stats("pegke")["writes"]) == 4


def test_generations_share_no_credentials(pegke: Pegke) -> None:
    assert pegke.call("GET", "/apiv1/my_offers", pegke.login()).status == 401
    assert pegke.call("GET", "/v1/store/history", pegke.merchant).status == 401


@pytest.mark.parametrize("answer", ["404", "empty"])
def test_an_unknown_customer(pegke: Pegke, answer: str) -> None:
    pegke.world.switch("pegke", unknown_customer=answer)
    found = pegke.call("GET", "/apiv1/check_points", fields={"phone": "9000000000"})
    assert found.status == (404 if answer == "404" else 200)


def read_feed(pegke: Pegke, connections: int, messages: int = 1_000) -> list[Any]:
    read: list[Any] = []
    for _ in range(connections):
        with pegke.feed() as feed:
            try:
                while len(read) < messages:
                    read.append(feed.recv(1))
            except (ConnectionClosed, TimeoutError):
                pass
    return read


def ids(frames: list[Any]) -> list[str]:
    return [json.loads(frame)["id"] for frame in frames]


def test_the_feed_is_the_same_for_the_same_seed(make_world: Callable[..., World], pool: urllib3.PoolManager) -> None:
    feeds = [read_feed(Pegke(make_world(seed=seed), pool), 1, 5) for seed in (3, 3, 4)]
    assert feeds[0] == feeds[1] != feeds[2]


def test_another_day_has_other_activities(make_world: Callable[..., World], pool: urllib3.PoolManager) -> None:
    pegke = Pegke(make_world(ticks=2), pool)
    frames = read_feed(pegke, 1, 3)
    assert ids(frames) == ["act-57600", "act-57601", "act-57602"]
    first, *_ = pegke.world.truth("pegke", "store_activity")
    assert (first["id"], first["created"]) == ("act-57600", "2026-02-03T00:00:00.000000Z")


@pytest.mark.parametrize("how", ["cut", "close"])
def test_a_dropped_feed_loses_what_happens_meanwhile(pegke: Pegke, how: str) -> None:
    pegke.world.switch("pegke", feed_interval_ms=1, feed_drop_every=4, feed_drop=how, feed_gap=3, feed_overlap=2)
    frames = ids(read_feed(pegke, 2))
    assert frames == [f"act-{number}" for number in (0, 1, 2, 3, 2, 3, 7)]
    assert [row["id"] for row in pegke.world.truth("pegke", "store_activity")] == sorted(set(frames))


def test_the_feed_pings_doubles_and_garbles_on_demand(pegke: Pegke) -> None:
    pegke.world.switch(
        "pegke", feed_interval_ms=1, feed_ping_every=1, feed_double_every=2, feed_malformed_every=3, feed_limit=6
    )
    frames = read_feed(pegke, 1)
    assert len(frames) == 6 + 3 + 2 * 2
    assert len(pegke.world.truth("pegke", "store_activity")) == 6


def test_a_frame_that_is_none_ends_the_connection(pegke: Pegke) -> None:
    pegke.world.switch("pegke", feed_interval_ms=1, feed_malformed_every=3, feed_malformed="frame", feed_gap=0)
    assert ids(read_feed(pegke, 2)) == [f"act-{number}" for number in range(6)]


def test_the_feed_wants_a_token(pegke: Pegke) -> None:
    pegke.token = "Bearer wrong"
    with pytest.raises(InvalidStatus) as refused:
        pegke.feed()
    assert refused.value.response.status_code == 401
