"""The HTTP client against a server that does what no server should."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tap_core.clock import real_seconds
from tap_core.errors import ApiError, ConfigError, LastingError, NetworkError, StoppedError
from tap_core.http.message import MEBIBYTE, Request, Response
from tap_core.http.transport import Exchange, Transport
from tap_core.http.urls import is_loopback
from tests.core.conftest import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.core.conftest import Reply

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


@pytest.mark.parametrize("behind", [b"\r\n", b"[1]", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"])
def test_what_comes_behind_an_answer_is_not_taken_for_the_next(
    raw_server: RawServer, transport: Transport, behind: bytes
) -> None:
    raw_server.script(raw_server.answer(body=b"[]"), raw_server.answer(body=b"[2]"))
    first = transport.send(get(raw_server.url)).body
    raw_server.push(behind)
    bodies = [first, *(transport.send(get(raw_server.url)).body for _ in range(2))]
    assert bodies == [b"[]", b"[2]", b"[2]"]
    assert [request.connection for request in raw_server.seen] == [1, 2, 2]


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
        pytest.param(CUT, "close", "cut short", id="H7-body-shorter-than-announced"),
        pytest.param(CHUNKED, "close", "cut short", id="H8-cut-chunked-body"),
        pytest.param(gzipped(b"\x1f\x8bnot gzip"), "keep", "damaged", id="H9-broken-gzip"),
        pytest.param(gzipped(gzip.compress(bytes(range(256)))[:-20]), "keep", "is cut off", id="H9-cut-gzip"),
        pytest.param(b"SSH-2.0-nonsense\r\n", "close", "not HTTP", id="no-http"),
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


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        pytest.param("gzip", gzip.compress, id="gzip"),
        pytest.param("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]), id="gzip-in-two-members"),
        pytest.param("deflate", zlib.compress, id="deflate-in-zlib"),
        pytest.param("Deflate", lambda body: zlib.compress(body, wbits=-15), id="deflate-raw"),
        pytest.param("identity", bytes, id="identity"),
    ],
)
def test_compressed_answers_are_unpacked(
    raw_server: RawServer, transport: Transport, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = b'["\xc3\xbc", 1]' * 1000
    raw_server.script(raw_server.answer(body=pack(body), headers={"Content-Encoding": encoding}))
    assert transport.send(get(raw_server.url)).body == body
    assert raw_server.seen[0].headers["accept-encoding"] == "gzip, deflate"


def test_h13_an_answer_without_content_is_empty(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert [transport.send(get(raw_server.url)).body for _ in range(2)] == [b"", b""]


def test_headers_of_interim_answers_do_not_count(raw_server: RawServer, transport: Transport) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nX-A: interim\r\n\r\n"
    raw_server.script(interim + raw_server.answer(headers={"X-B": "1"}).replace(b"X-B: 1", b"X-B: 1\r\nx-b: 2"))
    headers = transport.send(get(raw_server.url)).headers
    assert "X-A" not in headers
    assert headers["X-B"] == "1, 2"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_a_body_without_end_is_refused(raw_server: RawServer, packed: bool) -> None:
    body = gzip.compress(bytes(2 * MEBIBYTE)) if packed else bytes(2 * MEBIBYTE)
    raw_server.script(raw_server.answer(body=body, headers={"Content-Encoding": "gzip"} if packed else None))
    transport = new_transport(max_body_bytes=MEBIBYTE)
    with pytest.raises(ApiError, match="sends more than 1 MiB in one response") as caught:
        transport.send(get(raw_server.url))
    assert not isinstance(caught.value, NetworkError)
    transport.close()


def test_h5_an_answer_that_drips_for_ever_ends_at_the_deadline(raw_server: RawServer) -> None:
    raw_server.script((b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", "stall"))
    transport = new_transport(deadline_s=0.2)
    with pytest.raises(NetworkError, match=r"not complete within 0\.2 s"):
        transport.send(get(raw_server.url))
    transport.close()


def outcome(exchange: Exchange) -> Response:
    while (response := exchange.go_on()) is None:
        pass
    return response


def test_of_a_pause_a_request_counts_little() -> None:
    """What arrived meanwhile, and what broke, had waited for somebody to look."""
    transport, pause = new_transport(read_timeout_s=1.6), threading.Event()

    def once_paused(*reply: Any) -> RawServer:
        return RawServer(respond=lambda _: reply if pause.wait(30) else (b"", "reset"))

    def silent(_: Any) -> Reply:
        pause.set()
        return b"", "stall"

    with (
        closing(once_paused(RawServer.answer(), "keep")) as good,
        closing(once_paused(CUT, "close")) as bad,
        closing(RawServer(respond=silent)) as other,
    ):
        begun = real_seconds()
        whole, cut = (transport.begin(get(server.url)) for server in (good, bad))
        while not (good.seen and bad.seen):
            assert whole.go_on() is cut.go_on() is None
        paused = real_seconds()
        with pytest.raises(NetworkError, match="silent for longer"):
            transport.send(get(other.url))
        resumed = real_seconds()
        response = outcome(whole)
        with pytest.raises(NetworkError, match="cut short") as caught:
            outcome(cut)
        longest = paused - begun + 1.5 + real_seconds() - resumed
        assert 0 < response.seconds <= longest
        assert 0 < caught.value.seconds <= longest
        transport.close()


def test_h5_a_connection_that_is_not_accepted_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]  # they fill the queue of a listener that accepts nobody
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        transport = new_transport(connect_timeout_s=0.2)
        with pytest.raises(NetworkError, match=r"no connection within connect_timeout_s = 0\.2"):
            transport.send(get(f"http://127.0.0.1:{port}/"))
        transport.close()
        for client in waiting:
            client.close()


def test_h18_a_name_that_does_not_exist(transport: Transport) -> None:
    """The resolver refuses one that begins with a hyphen without asking the network, which may be slow to answer."""
    with pytest.raises(LastingError, match=r"^-no-such-host\.invalid: the name cannot be resolved; check api_url$"):
        transport.send(get(f"https://-no-such-host.invalid/a?key={SECRET}"))


def test_a_refused_connection_names_the_host(raw_server: RawServer, transport: Transport) -> None:
    raw_server.close()
    with pytest.raises(NetworkError, match=rf"^localhost:{raw_server.port}: no connection \(refused"):
        transport.send(get(raw_server.url))


def test_redirects_on_the_same_host_keep_method_body_and_credentials(
    raw_server: RawServer, transport: Transport
) -> None:
    raw_server.script(
        raw_server.answer(301, headers={"Location": "/customers/"}),
        raw_server.answer(303, headers={"Location": f"http://LocalHost:{raw_server.port}/c/?page=2"}),
        raw_server.answer(body=b"[]"),
    )
    response = transport.send(Request("POST", f"{raw_server.url}/customers", {"Authorization": SECRET}, b"{}"))
    assert response.body == b"[]"
    assert [request.target for request in raw_server.seen] == ["/customers", "/customers/", "/c/?page=2"]
    assert {(request.method, request.body) for request in raw_server.seen} == {("POST", b"{}")}
    assert all(request.headers["authorization"] == SECRET for request in raw_server.seen)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}", "http://localhost:1", "http://example.com", "https://localhost:{port}"]
)
def test_h15_a_redirect_to_another_host_is_refused_and_named(
    raw_server: RawServer, transport: Transport, address: str
) -> None:
    elsewhere = address.format(port=raw_server.port)
    raw_server.script(raw_server.answer(302, headers={"Location": f"{elsewhere}/steal?key={SECRET}"}))
    with pytest.raises(ApiError, match=f"redirects to {elsewhere};") as caught:
        transport.send(get(raw_server.url, Authorization=SECRET))
    assert SECRET not in str(caught.value)
    assert not isinstance(caught.value, NetworkError)
    assert len(raw_server.seen) == 1


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("http://user:password@localhost:{port}/", id="H15-user"),
        pytest.param("http://localhost:{port}@example.com/", id="H15-host-as-user"),
        pytest.param("http://example.com:{port}\\@localhost:{port}/", id="H15-backslash"),
        pytest.param("http://[::1", id="H15-no-address"),
        pytest.param("file:///etc/passwd", id="H15-no-host"),
    ],
)
def test_h15_a_redirect_to_an_ambiguous_address_is_refused(
    raw_server: RawServer, transport: Transport, address: str
) -> None:
    raw_server.script(raw_server.answer(302, headers={"Location": address.format(port=raw_server.port)}))
    with pytest.raises(ApiError, match=rf"^localhost:{raw_server.port} redirects to "):
        transport.send(get(raw_server.url, Authorization=SECRET))
    assert len(raw_server.seen) == 1


def test_h15_a_circle_of_redirects_ends(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script(raw_server.answer(302, headers={"Location": "/again"}))
    with pytest.raises(ApiError, match="redirects in a loop"):
        transport.send(get(raw_server.url))
    assert len(raw_server.seen) == 6


def test_a_redirect_to_nowhere_is_an_answer_like_others(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script(raw_server.answer(304))
    assert transport.send(get(raw_server.url)).status == 304


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://api.example.com/v1", id="H16-plain-http"),
        pytest.param("http://10.0.0.7:9090/auth", id="H16-plain-http-address"),
        pytest.param("http://localhost.example.com/", id="H16-looks-like-loopback"),
        pytest.param("http://localhost@example.com/", id="H16-loopback-as-user"),
        "ftp://example.com/",
        "file:///etc/passwd",
        "api.example.com/v1",
        "https://",
        "https://[::1",
        "https://host:port/",
        "https://exa mple.com/",
        "",
    ],
)
def test_an_address_that_may_not_be_called_is_refused(transport: Transport, url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        transport.send(get(url, Authorization=SECRET))


@pytest.mark.parametrize("more", [".example.com/a", "@example.com/a"])
def test_h16_an_address_that_begins_like_the_last_one_is_refused(
    raw_server: RawServer, transport: Transport, more: str
) -> None:
    for _ in range(3):
        transport.send(get(f"{raw_server.url}/a"))
        with pytest.raises(ConfigError, match="https"):
            transport.send(get(f"{raw_server.url}{more}", Authorization=SECRET))
    assert len(raw_server.seen) == 3


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\0", f"{SECRET}\u20ac"])
def test_c4_a_header_that_http_forbids_is_refused_without_its_value(
    raw_server: RawServer, transport: Transport, value: str
) -> None:
    with pytest.raises(ConfigError, match="the value for the header X-client-id") as caught:
        transport.send(Request("GET", raw_server.url, {"X-client-id": value}))
    assert SECRET not in str(caught.value)
    assert raw_server.seen == []


def test_an_address_is_percent_encoded_where_it_must_be(raw_server: RawServer, transport: Transport) -> None:
    raw_server.script(raw_server.answer(302, headers={"Location": "/b c?d=%20"}), raw_server.answer())
    transport.send(get(f"{raw_server.url}/ü%2Fa/?a[]=1&b=x y"))
    assert [request.target for request in raw_server.seen] == ["/%C3%BC%2Fa/?a[]=1&b=x%20y", "/b%20c?d=%20"]


def test_x1_requests_and_answers_do_not_show_what_they_hold() -> None:
    request = Request("GET", f"https://example.com/?key={SECRET}", {"Authorization": SECRET}, SECRET.encode())
    response = Response(200, {"Set-Cookie": SECRET}, SECRET.encode(), 0.1)
    assert SECRET not in f"{request!r} {request} {response!r} {response}"


def test_many_threads_share_the_pool(raw_server: RawServer, transport: Transport) -> None:
    raw_server.respond = lambda seen: (raw_server.answer(body=seen.target.encode()), "keep")
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        answers[number] = transport.send(get(f"{raw_server.url}/{number}")).body

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"/{number}".encode() for number in range(32)}


def test_close_ends_requests_in_flight(raw_server: RawServer, transport: Transport) -> None:
    arrived, outcome = threading.Event(), []

    def stall(_: object) -> tuple[bytes, Any]:
        arrived.set()
        return b"", "stall"

    def ask() -> None:
        try:
            transport.send(get(raw_server.url))
        except StoppedError as error:
            outcome.append(str(error))

    raw_server.respond = stall
    thread = threading.Thread(target=ask)
    thread.start()
    arrived.wait()
    transport.close()
    thread.join()
    assert outcome == ["the run was stopped during a request"]


@pytest.fixture
def authority(raw_server: RawServer) -> trustme.CA:
    authority = trustme.CA()
    raw_server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(raw_server.tls)
    raw_server.script(raw_server.answer(body=b"[]"))
    return authority


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_private_authority_is_trusted_by_its_bundle(
    raw_server: RawServer,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    transport = new_transport()
    assert transport.send(get(raw_server.url)).body == b"[]"
    transport.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["H16-unknown-authority", "H16-other-name"])
def test_a_bad_certificate_is_refused(
    raw_server: RawServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if host != "localhost":
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    transport = new_transport()
    with pytest.raises(ApiError, match=f"the certificate of {host}:{raw_server.port} is not trusted") as caught:
        transport.send(get(f"https://{host}:{raw_server.port}/", Authorization=SECRET))
    assert not isinstance(caught.value, NetworkError)
    assert raw_server.seen == []
    transport.close()


def test_a_bundle_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE does not name a readable certificate bundle"):
        new_transport()


def test_a_bundle_without_certificates_is_named(
    raw_server: RawServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del authority
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    transport = new_transport()
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE or SSL_CERT_FILE does not name a certificate bundle"):
        transport.send(get(raw_server.url))
    transport.close()


def test_a_proxy_of_the_environment_is_asked_for_other_hosts_only(
    raw_server: RawServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@localhost:{raw_server.port}")
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:1")
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert transport.send(get(raw_server.url)).status == 200
    raw_server.script((raw_server.answer(407), "close"))
    with pytest.raises(NetworkError, match=r"^api\.example\.com: the proxy answers 407; check HTTPS_PROXY$") as caught:
        transport.send(get("https://api.example.com/", Authorization=SECRET))
    assert SECRET not in str(caught.value)
    request = raw_server.seen[-1]
    assert "authorization" not in request.headers
    assert (request.method, request.target) == ("CONNECT", "api.example.com:443")
    assert request.headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("peek.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
