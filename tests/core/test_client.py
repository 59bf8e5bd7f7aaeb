"""Transport, credentials and patience together, over real HTTP, on a clock that runs a thousand times as fast."""

from __future__ import annotations

import base64
import json
import math
import queue
import socket
import threading
from contextlib import nullcontext, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from typing_extensions import override

from tap_core import codec
from tap_core.clock import Clock
from tap_core.errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    LastingError,
    MissingCallError,
    NetworkError,
    StoppedError,
    ThrottledError,
    TransientError,
)
from tap_core.http.auth import BasicAuth
from tap_core.http.body import read_body
from tap_core.http.client import ApiClient
from tap_core.http.gate import Gate, NoMeter, Pace
from tap_core.http.loop import Loop
from tap_core.http.message import Request, Response
from tap_core.http.steps import Sending
from tap_core.http.transport import Transport
from tap_core.workers import Workers
from tests.core.conftest import network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tap_core.http.steps import Steps
    from tests.core.conftest import RawServer, Reply, Seen

SECRET = "canary-7f3a"
WHAT = "invoices: GET /invoices"


@pytest.fixture
def client() -> Iterator[ApiClient]:
    transport = Transport(connect_timeout_s=5, read_timeout_s=5, user_agent="tap-test/1", pool_size=8)
    yield ApiClient(network(transport, Clock(start=1.7e9, rate=1000)), BasicAuth(SECRET))
    transport.close()


@pytest.fixture
def ask(client: ApiClient, raw_server: RawServer) -> Callable[[], Any]:
    return lambda: client.call(
        Request("GET", f"{raw_server.url}/invoices"), parse=codec.decode, meter=NoMeter(), what=WHAT
    )


@pytest.mark.parametrize(
    "status",
    [pytest.param(status, id=f"H3-{status}-three-times") for status in (500, 502, 503, 504)]
    + [pytest.param(status, id=f"H4-{status}-three-times") for status in (408, 425)],
)
def test_a_passing_failure_is_tried_again(ask: Callable[[], Any], raw_server: RawServer, status: int) -> None:
    raw_server.script(*[raw_server.answer(status)] * 3, raw_server.answer(body=[1]))
    assert ask() == [1]
    assert len(raw_server.seen) == 4


def test_h3_a_failure_for_ever_ends_in_one_line_with_what_was_tried(
    ask: Callable[[], Any], client: ApiClient, raw_server: RawServer
) -> None:
    client.known_codes = frozenset({"overloaded"})  # type: ignore[misc]
    raw_server.script(raw_server.answer(503, {"error": {"type": "overloaded", "message": SECRET}}))
    with pytest.raises(
        TransientError,
        match=r"^invoices: GET /invoices: 503 Service Unavailable \(overloaded\); gave up after \d+ tries",
    ) as caught:
        ask()
    assert SECRET not in str(caught.value)


class Timed(NoMeter):
    """Remembers how long requests took."""

    def __init__(self) -> None:
        super().__init__()
        self.took: list[float] = []

    @override
    def answered(self, status: int, seconds: float, size: int) -> None:
        self.took.append(seconds)


def test_h3_only_what_requests_took_is_charged(raw_server: RawServer) -> None:
    """The first response lies there, longer than the patience lasts, while a call ahead of it waits for its own."""
    clock, meter = Clock(start=1.7e9, rate=1000), Timed()

    def respond(seen: Seen) -> Reply:
        return (b"", "stall") if seen.target == "/ahead" else (raw_server.answer(body=b"[1"), "keep")

    raw_server.respond = respond
    transport = Transport(connect_timeout_s=5, read_timeout_s=0.1, user_agent="tap-test/1", pool_size=8)
    client = ApiClient(network(transport, clock, retry_max_s=0.05, base_s=0), BasicAuth(SECRET))
    loop = Loop(2, transport, clock, Workers(1))

    def fetch() -> Steps[Any]:
        return client.fetch(Request("GET", raw_server.url), parse=codec.decode, meter=meter, what=WHAT)

    async def ahead() -> Response:
        response: Response = await Sending(Request("GET", f"{raw_server.url}/ahead"))
        return response

    call = loop.submit(fetch)
    assert loop.wait([loop.submit(ahead)], 30)
    assert loop.wait([call], 30)
    with pytest.raises(TransientError, match=r"cut off after .*; gave up after \d+ tr"):
        call.result()
    assert sum(meter.took[:-1]) <= 0.05 < sum(meter.took)
    transport.close()


def test_h3_requests_that_fail_on_their_way_use_up_patience_too(raw_server: RawServer) -> None:
    raw_server.script((b"", "stall"))
    transport = Transport(connect_timeout_s=5, read_timeout_s=0.1, user_agent="tap-test/1", pool_size=8)
    client = ApiClient(network(transport, Clock(), retry_max_s=0.2, base_s=0.01), BasicAuth(SECRET))
    with pytest.raises(NetworkError, match=r"silent for longer .*; gave up after"):
        client.call(Request("GET", raw_server.url), parse=codec.decode, meter=NoMeter(), what=WHAT)
    assert len(raw_server.seen) <= 2
    transport.close()


def test_h1_an_absurd_wait_ends_the_call_and_is_named(ask: Callable[[], Any], raw_server: RawServer) -> None:
    raw_server.script(raw_server.answer(429, headers={"Retry-After": "864000"}))
    with pytest.raises(ThrottledError, match=r"asks for a wait of 10 days, more than max_rate_limit_wait_s = 3660"):
        ask()
    assert len(raw_server.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthError), (403, ForbiddenError), (404, MissingCallError), *((each, ApiError) for each in (415, 501, 505))],
)
def test_a_lasting_refusal_is_final_at_once(
    ask: Callable[[], Any], raw_server: RawServer, status: int, kind: type[Exception]
) -> None:
    raw_server.script(raw_server.answer(status, {"message": SECRET}))
    with pytest.raises(kind, match=f"^{WHAT}: {status} ") as caught:
        ask()
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert len(raw_server.seen) == 1


@pytest.fixture
def ask_list(client: ApiClient, raw_server: RawServer) -> Callable[[], Any]:
    request = Request("GET", f"{raw_server.url}/invoices")
    return lambda: client.call(request, parse=codec.rows, meter=NoMeter(), what=WHAT)


@pytest.mark.parametrize("body", [{"data": []}, "text", 1, None, {"error": "x"}], ids=repr)
def test_h12_json_of_the_wrong_kind_is_final_in_the_first_call(
    ask_list: Callable[[], Any], raw_server: RawServer, body: Any
) -> None:
    raw_server.script(raw_server.answer(body=body))
    with pytest.raises(ApiError, match=f"^{WHAT}: .* of the right kind, so check api_url$") as caught:
        ask_list()
    assert not isinstance(caught.value, TransientError)
    assert len(raw_server.seen) == 1


def test_h12_json_of_the_wrong_kind_is_tried_again_where_the_right_kind_came_before(
    ask_list: Callable[[], Any], raw_server: RawServer
) -> None:
    good, bad = raw_server.answer(body=[1]), raw_server.answer(body={"busy": True})
    raw_server.script(good, bad, bad, good)
    assert len(ask_list()) == len(ask_list()) == 1
    assert len(raw_server.seen) == 4


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"", b"[1"], ids=["H10-html", "H13-empty", "H11-cut"])
def test_what_is_not_json_is_tried_again_in_the_first_call_too(
    ask_list: Callable[[], Any], raw_server: RawServer, body: bytes
) -> None:
    raw_server.script(raw_server.answer(body=body), raw_server.answer(body=[1]))
    assert len(ask_list()) == 1


def test_a_port_without_tls_is_final(client: ApiClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_plainly() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_plainly)
        thread.start()
        request = Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(LastingError, match=r"there is no TLS at this port$"):
            client.call(request, parse=codec.rows, meter=NoMeter(), what=WHAT)
        thread.join()


def checked(body: bytes) -> bytes:
    """A body that a strict decoder takes, whatever its numbers."""
    msgspec.json.decode(body, type=msgspec.Raw)
    return body


def response(body: bytes, status: int = 200, **headers: str) -> Response:
    return Response(status, CaseInsensitiveDict({k.replace("_", "-"): v for k, v in headers.items()}), body, 0.0)


def test_sound_json_is_handed_on_untouched() -> None:
    sound = response(b'{"data": [1.10, 12345678901234567890123, "\\u00fc"]}')
    assert read_body(sound, lambda body: body) is sound.body


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        pytest.param(b"\xef\xbb\xbf[1]", b"[1]", id="H14-byte-order-mark"),
        pytest.param(
            b'{"a": NaN, "b": -Infinity, "c": [Infinity,1.10]}',
            b'{"a": null, "b": null, "c": [null,1.10]}',
            id="H14-nan",
        ),
        pytest.param(
            b'{"NaN": "NaN, \\"Infinity", "a":NaN}',
            b'{"NaN": "NaN, \\"Infinity", "a":null}',
            id="H14-nan-in-text-stays",
        ),
        pytest.param(
            b'["\\ud83d", "\\ud83d\\ude00", "\\\\ud83d", "\\uDE00x"]',
            b'["\xef\xbf\xbd", "\\ud83d\\ude00", "\\\\ud83d", "\xef\xbf\xbdx"]',
            id="H14-lone-surrogates",
        ),
        pytest.param(
            b"[NaN, 123456789012345678901234567890.10]",
            b"[null, 123456789012345678901234567890.10]",
            id="H14-digits-stay",
        ),
        pytest.param(b"[NaN, 1e400, -0.0]", b"[null, 1e400, -0.0]", id="H14-numbers-of-any-size-stay"),
    ],
)
def test_unsound_json_is_mended_and_nothing_else_touched(body: bytes, mended: bytes) -> None:
    assert read_body(response(body), checked) == mended


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(allow_nan=True),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_h14_what_python_writes_as_json_is_read_with_nan_as_null(value: Any) -> None:
    def expected(part: Any) -> Any:
        if isinstance(part, float):
            return Decimal(repr(part)) if math.isfinite(part) else None
        if isinstance(part, list):
            return [expected(item) for item in part]
        return {key: expected(item) for key, item in part.items()} if isinstance(part, dict) else part

    assert read_body(response(json.dumps(value).encode()), codec.decode) == expected(value)


@pytest.mark.parametrize(
    ("label", "charset"),
    [
        ("utf-8", "utf-8"),
        ("ascii", "utf-8"),
        ("no-such", "utf-8"),
        ("iso-8859-1", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ('"utf-16"', "utf-16"),
    ],
)
def test_h14_utf8_comes_before_the_label_and_the_label_before_giving_up(label: str, charset: str) -> None:
    body = '["Zürich"]'.encode(charset)
    assert read_body(response(body, Content_Type=f"application/json; charset={label}"), codec.decode) == ["Zürich"]


@pytest.mark.parametrize("label", ["ascii", "no-such", "undefined", "hex", "idna"])
def test_h14_a_label_that_does_not_help_is_worth_another_try(label: str) -> None:
    with pytest.raises(TransientError, match="not UTF-8 text"):
        read_body(response(b'["\xff"]', Content_Type=f"application/json; charset={label}"), codec.decode)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", r"the response is empty where JSON is expected \(status 200\)", id="H13-empty"),
        pytest.param(b" \n", "the response is empty", id="H13-blank"),
        pytest.param(b"<!DOCTYPE html><p>" + SECRET.encode(), "an HTML page", id="H10-html"),
        pytest.param(b'{"data": [1, "' + SECRET.encode(), "cut off after", id="H11-cut-json"),
        pytest.param(b"[1, 2", "cut off after 5 bytes", id="H11-cut-list"),
        pytest.param('["Zü'.encode()[:-1], "cut off after 4 bytes", id="H11-cut-character"),
        pytest.param(SECRET.encode(), r"not JSON \(11 bytes, text/plain\)", id="H10-text"),
        pytest.param(b"[1]]", r"not JSON \(4 bytes, text/plain\)", id="H11-too-much"),
        pytest.param(b'["\xff"]', "not UTF-8 text", id="H14-no-charset"),
    ],
)
def test_what_is_no_json_is_worth_another_try_and_not_repeated(body: bytes, message: str) -> None:
    with pytest.raises(TransientError, match=message) as caught:
        read_body(response(body, Content_Type="text/plain"), codec.decode)
    assert SECRET not in str(caught.value)


def test_c5_what_is_nested_too_deeply_is_a_clean_stop() -> None:
    with pytest.raises(ApiError, match="nested too deeply") as caught:
        read_body(response(b"[" * 50_000 + b"]" * 50_000), codec.decode)
    assert not isinstance(caught.value, TransientError)


DEEP = codec.DEEPEST


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b"[" * DEEP + b"]" * DEEP, True),
        (b"[" * (DEEP + 1) + b"]" * (DEEP + 1), False),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, True),
        (b'{"a":' * (DEEP + 1) + b"1" + b"}" * (DEEP + 1), False),
        (b'[["]",' * DEEP + b"1" + b"]]" * DEEP, False),
        (b'["' + b"[" * 5000 + b'"]', True),
        (b'["' + b"]" * 5000 + b'\\"[",' + b"[" * (DEEP - 1) + b"]" * (DEEP - 1) + b"]", True),
        (b"[" + b"[],{}," * 5000 + b"1]", True),
    ],
    ids=["list", "list+1", "object", "object+1", "behind-text", "in-text", "text-and-list", "wide"],
)
def test_c5_json_is_read_to_the_same_depth_by_every_interpreter(body: bytes, fits: bool) -> None:
    if fits:
        assert read_body(response(body), codec.decode)
    else:
        with pytest.raises(ApiError, match="nested too deeply"):
            read_body(response(body), codec.decode)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"type": "invalid_request_error", "message": SECRET}}, "invalid_request_error"),
        ({"error": "UNAUTHORIZED", "errorMessage": SECRET}, "UNAUTHORIZED"),
        ({"errors": [{"code": 99, "message": SECRET}]}, "99"),
        ({"code": "E.1-x"}, "E.1-x"),
        ({"error": {"message": SECRET}}, None),
        ({"error": "Jane Doe has no rights"}, None),
        ({"error": "jane@example.com"}, None),
        ({"code": 919876543210}, None),
        ({"code": True}, None),
        ([1], None),
        ("text", None),
    ],
)
def test_x2_only_a_code_is_taken_out_of_an_errors_body(client: ApiClient, body: object, code: str | None) -> None:
    assert client.error_code(response(json.dumps(body).encode(), 400)) == code


@pytest.mark.parametrize("word", ["Smith", "canary-7f3a", "4711", "E.1-x"])
def test_x2_a_word_that_is_no_known_code_is_not_shown(ask: Callable[[], Any], raw_server: RawServer, word: str) -> None:
    raw_server.script(raw_server.answer(400, {"error": word, "code": word, "errors": [{"type": word}]}))
    with pytest.raises(ApiError, match=f"^{WHAT}: 400 Bad Request: ") as caught:
        ask()
    assert word not in str(caught.value).replace("400", "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 50_000])
def test_an_errors_body_may_be_anything(client: ApiClient, body: bytes) -> None:
    assert client.error_code(response(body, 500)) is None


def test_x1_the_log_of_a_call_shows_neither_key_nor_query(
    client: ApiClient, raw_server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    raw_server.script(raw_server.answer(503), (b"", "reset"), raw_server.answer(body=[1]))
    request = Request("GET", f"{raw_server.url}/auth?clientKey={SECRET}")
    client.call(request, parse=codec.decode, meter=NoMeter(), what="login: POST /auth")
    assert "login: POST /auth: 200 in" in caplog.text
    assert SECRET not in caplog.text
    assert base64.b64encode(f"{SECRET}:".encode()).decode() not in caplog.text


def test_credentials_go_with_every_try_and_do_not_replace_headers(client: ApiClient, raw_server: RawServer) -> None:
    raw_server.script(raw_server.answer(500), raw_server.answer(body=[1]))
    request = Request("POST", f"{raw_server.url}/a", {"Content-Type": "application/json"}, b"{}")
    assert client.call(request, parse=codec.decode, meter=NoMeter(), what=WHAT) == [1]
    assert {seen.headers["authorization"] for seen in raw_server.seen} == set(client.auth.headers().values())
    assert {(seen.headers["content-type"], seen.body) for seen in raw_server.seen} == {("application/json", b"{}")}


def test_h2_a_budget_in_headers_is_learned_and_kept(
    ask: Callable[[], Any], client: ApiClient, raw_server: RawServer
) -> None:
    used = 0

    def respond(_: object) -> tuple[bytes, Any]:
        nonlocal used
        used += 1
        left = 2 - used % 3
        return raw_server.answer(
            body=[left], headers={"RateLimit-Remaining": str(left), "RateLimit-Reset": "50"}
        ), "keep"

    raw_server.respond = respond
    before = client.clock.time()
    for _ in range(4):
        ask()
    assert client.clock.time() - before >= 50


@pytest.mark.parametrize("status", [pytest.param(429, id="H1-429"), pytest.param(503, id="H3-503")])
def test_a_pause_that_the_api_asks_for_holds_for_every_worker(
    client: ApiClient, raw_server: RawServer, status: int
) -> None:
    """The second worker has not been refused anything."""
    raw_server.script(raw_server.answer(status, headers={"Retry-After": "800"}), raw_server.answer(body=[1]))
    pauses: queue.Queue[str] = queue.Queue()

    class Watching(NoMeter):
        @override
        def waiting(self, reason: str, seconds: float) -> AbstractContextManager[None]:
            pauses.put(reason)
            return nullcontext()

    def ask() -> None:
        request = Request("GET", f"{raw_server.url}/invoices")
        with suppress(StoppedError):
            client.call(request, parse=codec.decode, meter=Watching(), what=WHAT)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert pauses.get(timeout=60) == "the API asks for a pause"
    assert len(raw_server.seen) == 1
    client.clock.stop()
    for thread in threads:
        thread.join()


def test_s2_a_stop_ends_a_call_that_waits(ask: Callable[[], Any], client: ApiClient, raw_server: RawServer) -> None:
    raw_server.script(raw_server.answer(429, headers={"Retry-After": "3600"}))
    outcome: list[str] = []

    def run() -> None:
        try:
            ask()
        except StoppedError as error:
            outcome.append(str(error))

    client.clock = Clock()
    client._gate = Gate(client.clock, Pace(None), client.budget, math.inf)
    thread = threading.Thread(target=run)
    thread.start()
    client.clock.stop()
    thread.join()
    assert outcome[0].startswith(f"{WHAT}: the run was stopped")


def test_s2_a_stop_ends_a_call_that_awaits_its_answer(
    ask: Callable[[], Any], client: ApiClient, raw_server: RawServer
) -> None:
    def stop_and_stall(_: object) -> tuple[bytes, Any]:
        client.clock.stop()
        return b"", "stall"

    raw_server.respond = stop_and_stall
    with pytest.raises(StoppedError, match=f"^{WHAT}: the run was stopped during a request"):
        ask()


def test_a_vendors_own_check_decides(raw_server: RawServer, client: ApiClient) -> None:
    """An API that says in the body what others say in the status, and 400 for what is worth another try."""

    class Vendor(ApiClient):
        known_codes = frozenset({"UNAUTHORIZED", "INTERNAL_SERVER_ERROR"})

        @override
        def check(self, response: Response, what: str) -> None:
            match self.error_code(response):
                case "UNAUTHORIZED":
                    raise AuthError(f"{what}: {self.describe(response)}")
                case "INTERNAL_SERVER_ERROR":
                    raise TransientError(f"{what}: {self.describe(response)}")
                case _:
                    super().check(response, what)

    vendor = Vendor(network(client._transport, client.clock), client.auth)
    raw_server.script(
        raw_server.answer(400, {"error": "INTERNAL_SERVER_ERROR"}),
        raw_server.answer(body=[1]),
        raw_server.answer(400, {"error": "UNAUTHORIZED", "errorMessage": SECRET}),
    )
    request = Request("GET", raw_server.url)
    assert vendor.call(request, parse=codec.decode, meter=NoMeter(), what=WHAT) == [1]
    with pytest.raises(AuthError, match=rf"^{WHAT}: 400 Bad Request \(UNAUTHORIZED\)$"):
        vendor.call(request, parse=codec.decode, meter=NoMeter(), what=WHAT)
    assert len(raw_server.seen) == 3
