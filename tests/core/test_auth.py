"""Credentials: one token for all threads, renewed in time, once after a 401, and never shown."""

from __future__ import annotations

import base64
import itertools
import json
import stat
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from typing_extensions import override

from tap_core import codec
from tap_core.clock import Clock
from tap_core.errors import ApiError, AuthError, MissingCallError, TransientError
from tap_core.http.auth import BasicAuth, BearerAuth, NoAuth
from tap_core.http.client import ApiClient
from tap_core.http.gate import NoMeter
from tap_core.http.login import JsonLoginAuth, OAuth2ClientCredentials, TokenAuth
from tap_core.http.message import Request
from tap_core.http.tokens import Token, TokenCache
from tap_core.http.transport import Transport
from tests.core.conftest import network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.core.conftest import RawServer, Seen

SECRET = "canary-7f3a"


class Vendor:
    """A token call and a data call; every token lives until it is revoked."""

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.valid: set[str] = set()
        self.logins: list[Seen] = []
        self.refresh: str | None = None
        self.same_token: str | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        server.respond = self.respond

    def respond(self, seen: Seen) -> tuple[bytes, Any]:
        with self._lock:
            if seen.target.startswith("/token"):
                return self.token(seen), "keep"
            if seen.headers.get("authorization", "").removeprefix("Bearer ") in self.valid:
                return self.server.answer(body=[1]), "keep"
            return self.server.answer(401, {"code": "expired", "message": SECRET}), "keep"

    def token(self, seen: Seen) -> bytes:
        self.logins.append(seen)
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        if form.get("grant_type") == "refresh_token" and form["refresh_token"] != self.refresh:
            return self.server.answer(401, {"error": "invalid_grant"})
        token = self.same_token or f"token-{next(self._numbers)}"
        self.valid.add(token)
        return self.server.answer(
            body={"access_token": token, "expires_in": 3600, "refresh_token": self.refresh, "token_type": "Bearer"}
        )


@pytest.fixture
def vendor(raw_server: RawServer) -> Vendor:
    return Vendor(raw_server)


@pytest.fixture
def clock() -> Clock:
    return Clock(start=1.7e9, anchor=time.time(), rate=1000)


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(connect_timeout_s=5, read_timeout_s=5, user_agent="tap-test/1", pool_size=8)
    yield transport
    transport.close()


@pytest.fixture
def oauth(vendor: Vendor, transport: Transport, clock: Clock) -> Callable[..., OAuth2ClientCredentials]:
    def make(**changes: Any) -> OAuth2ClientCredentials:
        client = ApiClient(network(transport, clock, retry_max_s=5), NoAuth("client_id, secret"))
        arguments: dict[str, Any] = {"client_id": "shop", "client_secret": SECRET, "clock": clock}
        return OAuth2ClientCredentials(client=client, token_url=f"{vendor.server.url}/token", **arguments | changes)

    return make


def call(vendor: Vendor, transport: Transport, auth: TokenAuth, clock: Clock) -> Any:
    client = ApiClient(network(transport, clock), auth)
    return client.call(
        Request("GET", f"{vendor.server.url}/data"), parse=codec.decode, meter=NoMeter(), what="history: GET /data"
    )


def in_threads(number: int, work: Callable[[], object]) -> list[object]:
    barrier = threading.Barrier(number)
    results: list[object] = []

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_basic_and_bearer_headers() -> None:
    basic = BasicAuth("schlüssel")
    assert basic.headers() == {"Authorization": "Basic " + base64.b64encode("schlüssel:".encode()).decode()}
    bearer = BearerAuth(SECRET, extra={"X-client-id": "c1"}, settings="jwt, client_id")
    assert bearer.headers() == {"Authorization": f"Bearer {SECRET}", "X-client-id": "c1"}
    assert not bearer.renew(bearer.headers())


def test_a3_eight_threads_log_in_once(oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor) -> None:
    auth = oauth()
    headers = in_threads(8, auth.headers)
    assert headers == [{"Authorization": "Bearer token-1"}] * 8
    assert len(vendor.logins) == 1


def test_a3_eight_threads_renew_once_after_a_401(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    auth = oauth()
    auth.headers()
    vendor.valid.clear()
    assert in_threads(8, lambda: call(vendor, transport, auth, clock)) == [[1]] * 8
    assert len(vendor.logins) == 2


class HandClock(Clock):
    """Shows what it is set to."""

    def set(self, seconds: float) -> None:
        object.__setattr__(self, "start", seconds)

    @override
    def time(self) -> float:
        return self.start


def test_a1_a_token_is_renewed_a_margin_before_its_end() -> None:
    clock = HandClock()
    logins = itertools.count(1)
    auth = JsonLoginAuth(lambda: Token(f"t{next(logins)}", clock.time() + 3600), clock=clock, settings="username")
    used = []
    for seconds in (0, 3539, 3540, 7079, 7080, 20000):
        clock.set(seconds)
        used.append(auth.headers()["Authorization"])
    assert used == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3", "Bearer t4"]


def test_a_life_shorter_than_the_margin_is_no_login_for_each_call() -> None:
    clock = Clock()
    logins = itertools.count(1)
    auth = JsonLoginAuth(
        lambda: Token(f"t{next(logins)}", clock.time() + 60), clock=clock, settings="username", margin_s=60
    )
    assert {auth.headers()["Authorization"] for _ in range(10)} == {"Bearer t1"}


def test_a2_a_refused_login_is_one_line_for_all_threads(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor
) -> None:
    refused = vendor.server.answer(401, {"error": "invalid_client", "message": SECRET})
    vendor.server.respond = None
    vendor.server.script(refused)
    errors = in_threads(8, oauth().headers)
    assert set(errors) == {
        "token request: 401 Unauthorized (invalid_client): the API refuses the credentials; check client_id, secret"
    }
    assert len(vendor.server.seen) == 1


def test_a2_a_login_that_fails_is_not_repeated_by_the_call_that_needs_it(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    vendor.server.respond = lambda _: (vendor.server.answer(503), "keep")
    with pytest.raises(
        ApiError, match=r"^history: GET /data: token request: 503 Service Unavailable; gave up after \d+ tries"
    ) as caught:
        call(vendor, transport, oauth(), clock)
    assert not isinstance(caught.value, TransientError)
    assert {seen.target for seen in vendor.server.seen} == {"/token"}


def test_a1_a_revoked_token_is_renewed_in_mid_call(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    auth = oauth()
    assert call(vendor, transport, auth, clock) == [1]
    vendor.valid.clear()
    assert call(vendor, transport, auth, clock) == [1]
    form = parse_qs(vendor.logins[0].body.decode())
    assert form == {"grant_type": ["client_credentials"]}
    expected = base64.b64encode(f"shop:{SECRET}".encode()).decode()
    assert vendor.logins[0].headers["authorization"] == f"Basic {expected}"


def test_a1_a_refresh_token_is_used_first(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    vendor.refresh = "again"
    auth = oauth()
    auth.headers()
    vendor.valid.clear()
    assert call(vendor, transport, auth, clock) == [1]
    assert parse_qs(vendor.logins[1].body.decode()) == {"grant_type": ["refresh_token"], "refresh_token": ["again"]}
    vendor.valid.clear()
    vendor.refresh = "other"
    assert call(vendor, transport, auth, clock) == [1]
    kinds = [parse_qs(seen.body.decode())["grant_type"][0] for seen in vendor.logins]
    assert kinds == ["client_credentials", "refresh_token", "refresh_token", "client_credentials"]


def test_a2_the_same_dead_token_again_is_a_clean_stop(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    vendor.same_token = "the-only-one"
    auth = oauth()
    auth.headers()
    vendor.valid = {""}
    vendor.server.respond = lambda seen: (
        (vendor.token(seen) if seen.target == "/token" else vendor.server.answer(401)),
        "keep",
    )
    with pytest.raises(AuthError, match=r"^history: GET /data: 401 Unauthorized"):
        call(vendor, transport, auth, clock)
    assert len(vendor.logins) == 2


def test_the_token_is_kept_between_runs_in_a_private_file(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, tmp_path: Path
) -> None:
    file = tmp_path / "cache" / "token.json"
    first = oauth(cache_file=file).headers()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert oauth(cache_file=file).headers() == first
    assert len(vendor.logins) == 1
    assert SECRET not in file.read_text()
    assert list(file.parent.iterdir()) == [file]


def test_a_kept_token_of_other_credentials_is_not_used(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, tmp_path: Path
) -> None:
    file = tmp_path / "token.json"
    oauth(cache_file=file).headers()
    oauth(cache_file=file, client_id="other").headers()
    assert len(vendor.logins) == 2


def test_a1_a_token_that_another_run_has_renewed_is_taken_from_the_cache(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "token.json"
    here, there = oauth(cache_file=file), oauth(cache_file=file)
    assert call(vendor, transport, here, clock) == call(vendor, transport, there, clock) == [1]
    there = oauth(cache_file=file)
    vendor.valid.clear()
    assert call(vendor, transport, there, clock) == [1]
    asked = len(vendor.logins)
    assert call(vendor, transport, here, clock) == [1]
    assert here.headers() == there.headers()
    assert len(vendor.logins) == asked


def test_a2_a_token_call_that_is_not_there_says_nothing_about_the_call_that_needs_it(
    oauth: Callable[..., OAuth2ClientCredentials], vendor: Vendor, transport: Transport, clock: Clock
) -> None:
    vendor.server.respond = lambda _: (vendor.server.answer(404, {"code": 34}), "keep")
    with pytest.raises(ApiError, match="token request: 404") as caught:
        call(vendor, transport, oauth(), clock)
    assert not isinstance(caught.value, MissingCallError)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token.json"
    file.write_text(content)
    file.chmod(0o600)
    assert TokenCache(file, "k").load() is None


def test_x4_a_cache_that_others_can_read_is_not_used_and_made_private(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token.json"
    cache = TokenCache(file, "k")
    cache.save(Token(SECRET, 5.0, "r"))
    assert cache.load() == Token(SECRET, 5.0, "r")
    file.chmod(0o644)
    assert cache.load() is None
    assert "can be read by others" in caplog.text
    cache.save(Token(SECRET))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["value"] == SECRET


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    TokenCache(tmp_path / "file" / "token.json", "k").save(Token(SECRET))
    assert "cannot be saved" in caplog.text
    assert SECRET not in caplog.text


def test_x1_no_text_form_shows_a_secret(vendor: Vendor, oauth: Callable[..., OAuth2ClientCredentials]) -> None:
    token = Token(SECRET, 5.0, SECRET)
    shown = [repr(thing) for thing in (token, BasicAuth(SECRET), BearerAuth(SECRET), oauth(), vendor)]
    assert not any(SECRET in text for text in shown)
