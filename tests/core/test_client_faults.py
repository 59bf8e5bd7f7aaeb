"""What a retried call makes of every fault of the reliability list, against the sandbox over real HTTP."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tap_core import codec
from tap_core.clock import Clock
from tap_core.errors import (
    ApiError,
    AuthError,
    LastingError,
    MissingCallError,
    NetworkError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from tap_core.http.auth import BasicAuth, NoAuth
from tap_core.http.client import ApiClient
from tap_core.http.login import TokenAuth
from tap_core.http.message import Request
from tap_core.http.retry import RetryPolicy
from tap_core.http.tokens import Token
from tap_core.http.transport import Transport
from tests.core.conftest import network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from merchant_sandbox.client import Sandbox, World
    from tap_core.http.auth import Auth

WHAT = "invoices: GET /invoices"
FOREVER = None


class Meter:
    """Counts, and checks that every wait that begins ends."""

    def __init__(self) -> None:
        self.requests = 0
        self.retries: list[str] = []
        self.waits: list[float] = []
        self.reasons: list[str] = []
        self.resumes = 0

    def requested(self) -> None:
        self.requests += 1

    def answered(self, status: int, seconds: float, size: int) -> None:
        """Not looked at."""

    def retried(self, reason: str) -> None:
        self.retries.append(reason)

    @contextmanager
    def waiting(self, reason: str, seconds: float) -> Iterator[None]:
        self.reasons.append(reason)
        self.waits.append(seconds)
        yield
        self.resumes += 1


class Api:
    """Peakium's invoices as a tap would read them, on the clock of a world."""

    def __init__(self, world: World, auth: Auth | None = None, **policy: Any) -> None:
        config = world.config("peakium")
        self.url = config["api_url"].rstrip("/")
        self.key = config["api_key"]
        self.world = world
        self.meter = Meter()
        self.transport = Transport(connect_timeout_s=0.5, read_timeout_s=0.5, user_agent="tap-test/1", pool_size=8)
        self.client = ApiClient(
            network(self.transport, Clock.parse(world.clock()), **policy), auth or BasicAuth(self.key)
        )

    def page(self, url: str | None = None) -> Any:
        request = Request("GET", f"{url or self.url}/invoices?count=100")
        return self.client.call(request, parse=data_of, meter=self.meter, what=WHAT)

    def fault(self, kind: str, **details: Any) -> None:
        self.world.fault("peakium", "/invoices", kind, **details)


def data_of(body: bytes) -> Any:
    answer = codec.decode(body)
    if "data" not in answer:
        raise TransientError("the answer holds no list")
    return answer["data"]


@pytest.fixture
def make_api(make_world: Callable[..., World]) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(*, clock_rate: float = 1000.0, **arguments: Any) -> Api:
        made.append(Api(make_world(clock_rate=clock_rate), **arguments))
        return made[-1]

    yield make
    for api in made:
        api.transport.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


PASSING = [
    pytest.param("status", {"status": 429, "retry_after": 30}, 1, id="H1-retry-after-seconds"),
    pytest.param("status", {"status": 429, "retry_after_date": 30}, 1, id="H1-retry-after-date"),
    pytest.param("status", {"status": 429, "retry_after": -5}, 1, id="H1-retry-after-negative"),
    pytest.param("status", {"status": 429, "retry_after": "soon"}, 1, id="H1-retry-after-senseless"),
    pytest.param("status", {"status": 429}, 1, id="H1-without-retry-after"),
    pytest.param("throttle", {"seconds": 120}, 1, id="H1-limit-in-force"),
    pytest.param("throttle", {"seconds": 120, "tell": "date"}, 1, id="H1-limit-in-force-told-as-date"),
    pytest.param("status", {"status": 429, "headers": {"X-RateLimit-Reset": "$reset"}}, 1, id="H2-reset-at"),
    pytest.param("status", {"status": 429, "headers": {"RateLimit-Reset": "$reset_in"}}, 1, id="H2-reset-in"),
    *[pytest.param("status", {"status": s, "times": 1}, 1, id=f"H3-{s}-once") for s in (500, 502, 503, 504)],
    *[pytest.param("status", {"status": s, "times": 3}, 3, id=f"H3-{s}-three-times") for s in (500, 502, 503, 504)],
    pytest.param("status", {"status": 503, "retry_after": 20}, 1, id="H3-503-with-retry-after"),
    *[pytest.param("status", {"status": s}, 1, id=f"H4-{s}") for s in (408, 425)],
    pytest.param("stall", {}, 1, id="H5-no-answer"),
    pytest.param("stall_body", {}, 1, id="H5-stall-in-the-body"),
    # On a connection that was open before, libcurl takes this for its end and asks on a new one by itself.
    pytest.param("reset", {}, 0, id="H6-reset-before-headers"),
    pytest.param("reset_body", {}, 1, id="H6-reset-in-the-body"),
    pytest.param("short_body", {}, 1, id="H7-short-body"),
    pytest.param("cut_chunked", {}, 1, id="H8-cut-chunked"),
    pytest.param("bad_gzip", {}, 1, id="H9-broken-gzip"),
    pytest.param("html", {}, 1, id="H10-html"),
    pytest.param("cut_json", {}, 1, id="H11-cut-json"),
    pytest.param("error_object", {}, 1, id="H12-error-object"),
    pytest.param("no_content", {}, 1, id="H13-no-content"),
    pytest.param("empty_body", {}, 1, id="H13-empty-body"),
]

HARMLESS = [
    pytest.param("delay", {"seconds": 0.05}, id="delay"),
    pytest.param("gzip", {}, id="gzip"),
    pytest.param("bom", {}, id="H14-byte-order-mark"),
    pytest.param("charset", {"charset": "utf-16"}, id="H14-other-charset"),
    pytest.param("wrong_charset", {}, id="H14-wrong-charset-label"),
    pytest.param("wrong_charset", {"charset": "no-such-charset"}, id="H14-unknown-charset-label"),
    pytest.param("redirect", {"to": "same"}, id="H15-redirect-on-the-same-host"),
    pytest.param("close", {}, id="H17-keep-alive-closed"),
]


@pytest.mark.parametrize(("kind", "details", "retries"), PASSING)
def test_a_passing_fault_loses_no_row(api: Api, kind: str, details: dict[str, Any], retries: int) -> None:
    truth = api.page()
    api.meter = Meter()
    api.fault(kind, **details)
    assert api.page() == truth
    assert api.page() == truth
    if kind != "throttle":  # other requests may be under way before the limit is over
        assert len(api.meter.retries) == retries
    assert api.meter.requests == 2 + len(api.meter.retries)
    assert api.meter.resumes == len(api.meter.waits)


@pytest.mark.parametrize(("kind", "details"), HARMLESS)
def test_a_harmless_fault_costs_nothing(api: Api, kind: str, details: dict[str, Any]) -> None:
    truth = api.page()
    api.fault(kind, **details)
    assert [api.page(), api.page()] == [truth, truth]
    assert api.meter.requests == 3 + len(api.meter.retries)
    assert kind == "close" or api.meter.retries == []


def test_h14_nan_becomes_null(api: Api) -> None:
    truth = api.page()
    api.fault("nan", field="subtotal")
    page = api.page()
    assert [record["id"] for record in page] == [record["id"] for record in truth]
    assert api.meter.retries == []


def test_a_wait_is_shown_with_its_reason(api: Api) -> None:
    api.fault("status", status=503)
    api.page()
    assert api.meter.reasons == ["503 Service Unavailable"]


@pytest.mark.parametrize("status", [pytest.param(429, id="H1-429"), pytest.param(503, id="H3-503")])
def test_a_wait_that_is_asked_for_is_kept_to(api: Api, status: int) -> None:
    api.fault("status", status=status, retry_after=45)
    before = api.client.clock.time()
    api.page()
    assert api.client.clock.time() - before >= 45
    assert set(api.meter.reasons) <= {"the API asks for a pause"}, "on a busy machine, it may be over at once"
    assert all(wait <= 45 for wait in api.meter.waits)


def test_h1_all_workers_keep_to_a_wait(make_api: Callable[..., Api]) -> None:
    api = make_api(clock_rate=100.0)
    api.fault("throttle", seconds=60)
    threads = [threading.Thread(target=api.page) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = api.world.stats("peakium")["statuses"]
    assert statuses["200"] == 8
    assert statuses["429"] <= 16, "each worker was refused once, and perhaps once more for being a little early"


ENDLESS = [
    pytest.param("status", {"status": 503}, TransientError, "503 Service Unavailable", id="H3-503-for-ever"),
    pytest.param("status", {"status": 408}, TransientError, "408 Request Timeout", id="H4-408-for-ever"),
    pytest.param("reset", {}, NetworkError, "the connection broke", id="H6-reset-for-ever"),
    pytest.param("short_body", {}, NetworkError, "cut short", id="H7-short-body-for-ever"),
    pytest.param("cut_chunked", {}, NetworkError, "cut short", id="H8-cut-chunked-for-ever"),
    pytest.param("bad_gzip", {}, NetworkError, "compressed response is damaged", id="H9-broken-gzip-for-ever"),
    pytest.param("html", {}, TransientError, "an HTML page, not JSON", id="H10-html-for-ever"),
    pytest.param("cut_json", {}, TransientError, "cut off after", id="H11-cut-json-for-ever"),
    pytest.param("empty_body", {}, TransientError, "the response is empty", id="H13-empty-for-ever"),
]


@pytest.mark.parametrize(("kind", "details", "error", "message"), ENDLESS)
def test_a_fault_for_ever_is_a_clean_stop_within_bounds(
    make_api: Callable[..., Api], kind: str, details: dict[str, Any], error: type[Exception], message: str
) -> None:
    api = make_api(retry_max_s=100)
    api.fault(kind, times=FOREVER, **details)
    with pytest.raises(
        error, match=rf"^{WHAT}: .*{message}.*; gave up after \d+ tries in .* \(retry_max_s\)$"
    ) as caught:
        api.page()
    assert "\n" not in str(caught.value)
    assert api.key not in str(caught.value)
    assert sum(api.meter.waits) <= 100


@pytest.mark.parametrize(
    ("details", "message"),
    [
        pytest.param(
            {"retry_after": 10**9}, r"asks for a wait of 11574 days, more than max_rate_limit_wait_s", id="H1-absurd"
        ),
        pytest.param(
            {"retry_after": 7200}, r"asks for a wait of 2 h, more than max_rate_limit_wait_s = 3660", id="H1-too-long"
        ),
        pytest.param({"retry_after": 1}, r"gave up after 12 tries: lower concurrency", id="H1-for-ever"),
        pytest.param({}, r"gave up after \d+ tries", id="H1-for-ever-without-a-time"),
    ],
)
def test_h1_a_limit_that_does_not_end_is_a_clean_stop(
    make_api: Callable[..., Api], details: dict[str, Any], message: str
) -> None:
    api = make_api(clock_rate=100_000.0)
    api.fault("status", status=429, times=FOREVER, **details)
    with pytest.raises(ThrottledError, match=rf"^{WHAT}: 429 Too Many Requests.*{message}"):
        api.page()


def test_h5_connect_timeout_names_the_host(api: Api, sandbox: Sandbox) -> None:
    api.client._retry = RetryPolicy(retry_max_s=1)
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:\d+: no connection within connect_timeout_s"):
        api.page(sandbox.full_listener())


def test_h15_a_redirect_to_another_host_is_not_followed(api: Api, sandbox: Sandbox) -> None:
    before = len(sandbox.elsewhere())
    api.fault("redirect", to="host")
    with pytest.raises(ApiError, match="credentials are not sent there") as caught:
        api.page()
    assert not isinstance(caught.value, TransientError)
    assert len(sandbox.elsewhere()) == before
    assert api.meter.retries == []


def test_h15_a_circle_of_redirects_ends(api: Api) -> None:
    api.fault("redirect", to="loop", times=FOREVER)
    with pytest.raises(ApiError, match="redirects in a loop"):
        api.page()


def test_h18_a_name_that_nobody_knows_is_a_clean_stop_at_once(make_api: Callable[..., Api]) -> None:
    api = make_api()
    with pytest.raises(LastingError, match=r"-no-such-host\.invalid: the name cannot be resolved; check api_url$"):
        api.page("https://-no-such-host.invalid/v1")
    assert api.meter.requests == 1


def test_an_api_out_of_reach_costs_its_patience_once(api: Api, sandbox: Sandbox) -> None:
    listener = sandbox.full_listener()
    api.client._retry = RetryPolicy(retry_max_s=2)
    with pytest.raises(UnreachableError, match="gave up after"):
        api.page(listener)
    before = api.meter.requests
    with pytest.raises(UnreachableError, match="tried only once"):
        api.page(listener)
    assert api.meter.requests == before + 1
    api.page()
    with pytest.raises(UnreachableError, match="gave up after"):
        api.page(listener)


def test_a_call_that_does_not_exist_is_final(api: Api) -> None:
    request = Request("GET", f"{api.url}/invoicez?key={api.key}")
    with pytest.raises(MissingCallError, match="404 Not Found") as caught:
        api.client.call(request, parse=codec.decode, meter=api.meter, what="invoices: GET /invoicez")
    assert api.key not in str(caught.value)
    assert api.meter.requests == 1


def test_a1_a_token_that_ends_in_mid_run_is_renewed_once(make_api: Callable[..., Api]) -> None:
    api = make_api()
    asked: list[Token | None] = []

    def obtain(last: Token | None) -> Token:
        asked.append(last)
        return Token(api.key if last else "expired")

    api.client.auth = TokenAuth(obtain, clock=api.client.clock, settings="api_key")
    page = api.page()
    assert len(page) == 100
    assert len(asked) == 2
    assert api.meter.requests == 2
    assert api.page() == page
    assert len(asked) == 2


def test_a2_a_renewal_that_does_not_help_is_a_clean_stop(make_api: Callable[..., Api]) -> None:
    api = make_api()
    numbers = iter(range(100))
    api.client.auth = TokenAuth(
        lambda _: Token(f"dead-{next(numbers)}"), clock=api.client.clock, settings="username, password"
    )
    with pytest.raises(AuthError, match=r"401 Unauthorized.*check username, password"):
        api.page()
    assert api.meter.requests == 2


def test_a4_a_revoked_key_is_one_line_and_no_storm(api: Api) -> None:
    api.fault("unauthorized", times=FOREVER)
    errors: list[str] = []

    def ask() -> None:
        try:
            api.page()
        except AuthError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ask()
    assert len(errors) == 9
    assert all(error.startswith(WHAT) and api.key not in error for error in errors)
    assert api.meter.requests <= 8, "each worker at most once"
    assert "not sent" in errors[-1]
    assert all("401" in error for error in errors), "whichever error is shown, it says why"


def test_a5_a_throttled_login_is_waited_for(api: Api) -> None:
    """The login is a call like others, of a client without credentials."""
    login = ApiClient(network(api.transport, api.client.clock), NoAuth("api_key"))

    def obtain(_: Token | None) -> Token:
        request = Request("GET", f"{api.url}/invoices", {"Authorization": f"Bearer {api.key}"})
        login.call(request, parse=data_of, meter=api.meter, what="login")
        return Token(api.key)

    api.fault("throttle", seconds=30)
    api.client.auth = TokenAuth(obtain, clock=api.client.clock, settings="api_key")
    assert len(api.page()) == 100
    assert api.meter.retries
