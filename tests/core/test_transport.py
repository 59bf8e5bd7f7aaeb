"""The HTTP client against a server that does what no server should."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import NetworkError
from tap_core.transport import Request, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core.conftest import RawServer

SECRET = "canary-7f3a"


def new_transport(**changes: Any) -> Transport:
    settings: dict[str, Any] = {"connect_timeout_s": 5, "read_timeout_s": 5, "user_agent": "tap-test/1", "pool_size": 4}
    return Transport(**settings | changes)


@pytest.fixture
def transport(raw_server: RawServer) -> Iterator[Transport]:
    raw_server.script(raw_server.answer())
    transport = new_transport()
    yield transport
    transport.close()


def get(url: str, **headers: str) -> Request:
    return Request("GET", url, headers)


def test_the_answer_comes_whole_with_status_headers_and_body(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script(raw_server.answer(201, b"[1, 2]", {"X-Total": "2"}))
    response = transport.send(Request("POST", f"{raw_server.url}/a?b=c", {"X-Key": SECRET}, b'{"d": 1}'))
    assert (response.status, response.body, response.headers["x-total"]) == (201, b"[1, 2]", "2")
    request = raw_server.seen[0]
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b'{"d": 1}')
    assert request.headers["user-agent"] == "tap-test/1"
    assert request.headers["x-key"] == SECRET


def test_connections_are_kept_alive(raw_server: RawServer, transport: Transport) -> None:
    for _ in range(5):
        transport.send(get(raw_server.url))
    assert {request.connection for request in raw_server.seen} == {1}


def test_h17_a_connection_that_the_server_closes_is_replaced(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script((raw_server.answer(headers={"Connection": "close"}), "close"), raw_server.answer(body=b"2"))
    bodies = [transport.send(get(raw_server.url)).body for _ in range(2)]
    assert bodies == [b"{}", b"2"]
    assert [request.connection for request in raw_server.seen] == [1, 2]


def gzipped(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[1, 2"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n"


@pytest.mark.parametrize(
    ("data", "then", "message"),
    [
        pytest.param(b"", "stall", "silent for longer than read_timeout_s", id="H5-no-answer"),
        pytest.param(CUT, "stall", "silent for longer than", id="H5-stall-in-the-body"),
        pytest.param(b"", "reset", "the connection broke", id="H6-reset-before-headers"),
        pytest.param(CUT, "reset", "the connection broke", id="H6-reset-in-the-body"),
        pytest.param(CUT, "close", "the connection broke", id="H7-body-shorter-than-announced"),
        pytest.param(CHUNKED, "close", "the connection broke", id="H8-cut-chunked-body"),
        pytest.param(gzipped(b"\x1f\x8bnot gzip"), "keep", "damaged", id="H9-broken-gzip"),
        pytest.param(gzipped(gzip.compress(bytes(range(256)))[:-20]), "keep", "breaks off", id="H9-cut-gzip"),
        pytest.param(b"SSH-2.0-nonsense\r\n", "close", "the connection broke", id="no-http"),
    ],
)
def test_a_broken_answer_is_a_network_error_that_names_the_host_alone(
    raw_server: RawServer, data: bytes, then: Any, message: str
) -> None:
    raw_server.script((data, then))
    transport = new_transport(read_timeout_s=0.2)
    with pytest.raises(NetworkError, match=message) as caught:
        transport.send(get(f"{raw_server.url}/secret?key={SECRET}", Authorization=SECRET))
    assert str(caught.value).startswith(f"localhost:{raw_server.port}: ")
    assert SECRET not in str(caught.value)
    transport.close()
