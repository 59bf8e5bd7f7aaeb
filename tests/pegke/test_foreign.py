"""What the vendor's Node and PHP samples and its page send and show, held against the tap and the sandbox."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.pegke.conftest import Reader

TOKEN = "/v1/oauth2/token"
MERCHANT = ("customer_points", "points_history", "customers")
VERSION_1 = ("store_history", "user_history", "users")


# The sandbox understands the samples


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager() as manager:
        yield manager


def sample(
    pegke: Reader, pool: urllib3.PoolManager, method: str, query: dict[str, str], form: dict[str, str]
) -> urllib3.BaseHTTPResponse:
    """A request as all samples make it: the bare base, the call in ``q``, a multipart form even where it is a GET."""
    config = pegke.account().config
    body, kind = urllib3.encode_multipart_formdata(form, boundary="-" * 3 + "011000010111000001101001")
    headers = {
        "cache-control": "no-cache",
        "authorization": f"Bearer {config['consumer_code']}.{config['consumer_secret']}",
        "content-type": kind,
    }
    url = f"{config['api_url']}/apiv1/?" + "&".join(f"{name}={value}" for name, value in query.items())
    return pool.request(method, url, body=body, headers=headers, retries=False, timeout=5)


@pytest.mark.parametrize("name", ["phone", "phone_number"], ids=["node", "php"])
def test_both_samples_read_points(pegke: Reader, pool: urllib3.PoolManager, name: str) -> None:
    truth = pegke.world.truth("pegke", "customer_points")[3]
    query = {"q": "check_points", name: truth["phone"]}
    answer = sample(pegke, pool, "GET", query, {"phone": "", "points": ""}).json()
    assert (answer["phone"], str(answer["points"])) == (truth["phone"], truth["points"])


def test_the_samples_read_history_and_offers(pegke: Reader, pool: urllib3.PoolManager) -> None:
    phone = pegke.world.truth("pegke", "customer_points")[3]["phone"]
    history = sample(pegke, pool, "POST", {"q": "check_history"}, {"phone": phone, "page": ""}).json()
    assert history["history"]
    assert history["customer"]["mob"].endswith(phone)
    offers = sample(pegke, pool, "GET", {"q": "my_offers"}, {"phone": "", "points": ""}).json()
    assert len(offers["offers"]) == len(pegke.world.truth("pegke", "offers"))
    assert pegke.world.stats("pegke")["writes"] == []


def test_invalidating_a_token_wants_credentials_and_gives_none_away(pegke: Reader, pool: urllib3.PoolManager) -> None:
    config = pegke.account().config

    def post(path: str, secret: str | None, **form: str) -> urllib3.BaseHTTPResponse:
        headers = urllib3.make_headers(basic_auth=f"{config['client_id']}:{secret}") if secret else {}
        url = config["api_url"] + path
        return pool.request("POST", url, fields=form, encode_multipart=False, headers=headers, retries=False, timeout=5)

    right, invalidate = config["client_secret"], "/v1/oauth2/invalidate_token"
    first = post(TOKEN, right, grant_type="client_credentials").json()
    assert post(invalidate, None, access_token=first["access_token"]).status == 401
    assert post(invalidate, "wrong", access_token=first["access_token"]).status == 401
    assert post(invalidate, right, access_token="0" * 40).status == 400
    assert post(invalidate, right).status == 400
    assert post(TOKEN, right, grant_type="client_credentials").json() == first, "it still lives"
    answer = post(invalidate, right, access_token=first["access_token"])
    assert (answer.status, answer.json()) == (200, {"access_token": first["access_token"], "token_type": "Bearer"})
    second = post(TOKEN, right, grant_type="client_credentials").json()
    assert second["access_token"] != first["access_token"]
    for secret in (second["access_token"], second["refresh_token"], first["refresh_token"]):
        assert secret.encode() not in answer.data


# The tap sends what they send


def test_the_names_of_the_phone_are_set_for_each_call(make_pegke: Callable[..., Reader], tmp_path: Path) -> None:
    """The PHP sample says phone_number to one call, and phone to the other."""
    pegke = make_pegke(points_phone="phone_number", forms="multipart")
    run = pegke.read(*MERCHANT, names={"phone": "phone_number"}, form="multipart")
    pegke.exact(run, *MERCHANT)
    loader = Loader(tmp_path)
    loader.load(run.output)
    for stream in MERCHANT:
        assert loader.sql(f"SELECT count(*) FROM {stream}") == [(len(run.rows(stream)),)]
    renamed = pegke.read("points_history", names={"history_phone": "mobile"}, form="multipart")
    assert renamed.code == 4
    assert 'name="mobile"' in pegke.bodies("/apiv1/check_history")[-1]


def test_pages_of_the_two_generations_have_names_of_their_own(pegke: Reader) -> None:
    pegke.read("store_history", "points_history", names={"version_1_page": "seite"}, realtime_max_seconds=1)
    queries = {entry["query"] for entry in pegke.world.requests("pegke") if entry["route"] == "/v1/store/history"}
    assert all("seite=" in query and "page=" not in query for query in queries)
    assert all("page=" in body for body in pegke.bodies("/apiv1/check_history"))


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, 9_826_471_001),
        ({"phone_format": "international"}, "+919826471001"),
        ({"phone_format": "as_given"}, "09826471001"),
    ],
    ids=["national", "international", "as-given"],
)
def test_a_mobile_number_is_a_number_as_the_page_shows_it(pegke: Reader, settings: dict[str, Any], sent: Any) -> None:
    run = pegke.read("users", customers=["09826471001"], **settings)
    assert run.code == 4, "nobody has this number"
    (body,) = pegke.bodies("/v1/entity/user")
    assert json.loads(body) == {"idType": "mob", "mob": sent}


def test_one_setting_moves_all_of_version_1(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(version_1_prefix="/api/v1.1", feed_interval_ms=1)
    run = pegke.read(*VERSION_1, "store_activity", version_1_prefix="/api/v1.1", realtime_max_messages=5)
    pegke.exact(run, *VERSION_1)
    assert len(run.records("store_activity")) == 5
    assert pegke.read("store_history").code == 4, "it is no longer where it is by default"
    moved = pegke.read("store_history", version_1_prefix="/api", endpoints={"store_history": "/api/v1.1/store/history"})
    assert "store_history: GET /api/v1.1/store/history: token request: 404" in moved.log


@pytest.mark.parametrize("prefix", ["v1", "/v1/", "/v 1", "/{v}", "/v1?x=1"])
def test_c1_a_prefix_that_is_none_is_refused(pegke: Reader, prefix: str) -> None:
    run = pegke.read("store_history", version_1_prefix=prefix)
    assert run.code == 2
    assert "setting 'version_1_prefix' must begin with / and not end with it, such as /v1, or be empty" in run.log


def test_a5_all_streams_together_wait_for_a_token_only_once(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=5_000.0)
    pegke.world.fault("pegke", TOKEN, "status", status=403, body={"errors": [{"code": 99}]}, times=None)
    run = pegke.read(*VERSION_1, "store_activity", "offers", max_rate_limit_wait_s=600)
    assert run.code == 4
    assert run.log.count("tokens are requested too often") >= 4, "each stream says why"
    assert 7 <= pegke.count(TOKEN) <= 9, "as many as one stream makes in ten minutes"
    assert run.records("offers")


def test_a5_waits_between_which_a_token_came_add_up(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=5_000.0, token_refresh=False)
    often: dict[str, Any] = {"status": 403, "body": {"errors": [{"code": 99}]}}
    pegke.world.fault("pegke", TOKEN, "status", times=5, **often)
    pegke.world.fault("pegke", TOKEN, "status", times=None, after=6, **often)
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=20)
    run = pegke.read("user_history", max_rate_limit_wait_s=150, concurrency=1)
    assert run.code == 4
    assert "because the waits of this run add up to more than max_rate_limit_wait_s" in run.log


def test_a5_a_wait_that_the_api_names_is_heeded(pegke: Reader) -> None:
    body = {"errors": [{"code": 99}]}
    pegke.world.fault("pegke", TOKEN, "status", status=403, body=body, headers={"Retry-After": "500"}, times=1)
    run = pegke.read("store_history", max_rate_limit_wait_s=300)
    assert run.code == 4
    assert "the API asks for a wait of 8 min, more than max_rate_limit_wait_s = 300" in run.log
    assert pegke.count(TOKEN) == 1


# A client of the feed that shares no code with the tap's or the sandbox's


class PlainClient:
    """A WebSocket in its plainest form: RFC 6455 by hand, without extensions."""

    def __init__(self, url: str, bearer: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1",
            f"host: {parts.netloc}",
            "upgrade: WebSocket",
            "connection: keep-alive, Upgrade",
            f"sec-websocket-key: {key}",
            "sec-websocket-version: 13",
            f"authorization: Bearer {bearer}",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._reader = self._socket.makefile("rb")
        self.status = self._reader.readline().split()[1]
        while self._reader.readline().strip():
            pass

    def send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def receive(self) -> tuple[int, bytes]:
        head, length = self._reader.read(2)
        assert not length & 0x80, "a server never masks"
        if length == 126:
            (length,) = struct.unpack(">H", self._reader.read(2))
        return head & 0x0F, self._reader.read(length)

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


def test_a_foreign_client_reads_the_feed(make_pegke: Callable[..., Reader], pool: urllib3.PoolManager) -> None:
    pegke = make_pegke(feed_interval_ms=1, feed_limit=5)
    config = pegke.account().config
    basic = urllib3.make_headers(basic_auth=f"{config['client_id']}:{config['client_secret']}")
    fields = {"grant_type": "client_credentials"}
    answer = pool.request("POST", config["api_url"] + TOKEN, fields=fields, encode_multipart=False, headers=basic)
    token = answer.json()["access_token"]
    feed = config["api_url"] + "/v1/realtime/store-activity"
    refused = PlainClient(feed, "nobody")
    refused.close()
    client = PlainClient(feed, token)
    assert (refused.status, client.status) == (b"401", b"101")
    frames = [client.receive() for _ in range(5)]
    assert {opcode for opcode, _ in frames} == {1}
    ids = [json.loads(payload)["id"] for _, payload in frames]
    assert ids == [row["id"] for row in pegke.world.truth("pegke", "store_activity")]
    client.send(9, b"ping of ours")
    assert client.receive() == (10, b"ping of ours")
    client.send(8, struct.pack(">H", 1000))
    assert client.receive() == (8, struct.pack(">H", 1000))
    client.close()
