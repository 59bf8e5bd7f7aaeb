"""Transport, credentials and patience together, over real HTTP, on a clock that runs a thousand times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_core.auth import BasicAuth
from tap_core.client import ApiClient, parse_json
from tap_core.clock import Clock
from tap_core.errors import ApiError, AuthError, ForbiddenError, MissingCallError, ThrottledError, TransientError
from tap_core.retry import NoMeter, RetryPolicy
from tap_core.transport import Request, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.core.conftest import RawServer

SECRET = "canary-7f3a"
WHAT = "invoices: GET /invoices"


@pytest.fixture
def client() -> Iterator[ApiClient]:
    transport = Transport(connect_timeout_s=5, read_timeout_s=5, user_agent="tap-test/1", pool_size=8)
    yield ApiClient(
        transport=transport, auth=BasicAuth(SECRET), clock=Clock(start=1.7e9, rate=1000), retry=RetryPolicy()
    )
    transport.close()


@pytest.fixture
def ask(client: ApiClient, raw_server: RawServer) -> Callable[[], Any]:
    return lambda: client.call(
        Request("GET", f"{raw_server.url}/invoices"), parse=parse_json, meter=NoMeter(), what=WHAT
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
    ask: Callable[[], Any], raw_server: RawServer
) -> None:
    raw_server.script(raw_server.answer(503, {"error": {"type": "overloaded", "message": SECRET}}))
    with pytest.raises(
        TransientError,
        match=r"^invoices: GET /invoices: 503 Service Unavailable \(overloaded\); gave up after \d+ tries",
    ) as caught:
        ask()
    assert SECRET not in str(caught.value)


def test_h1_an_absurd_wait_ends_the_call_and_is_named(ask: Callable[[], Any], raw_server: RawServer) -> None:
    raw_server.script(raw_server.answer(429, headers={"Retry-After": "864000"}))
    with pytest.raises(ThrottledError, match=r"asks to wait 10 days, more than max_rate_limit_wait_s = 3660"):
        ask()
    assert len(raw_server.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthError), (403, ForbiddenError), (404, MissingCallError), (415, ApiError)]
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
