"""One login for the whole tap, renewed in time, and a key that is seen nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from tap_core.clock import Clock
from tap_core.errors import TapError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.testing import Account, run_tap
from tap_peerassist.client import token_of
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import Sandbox
    from tap_core.testing import Run
    from tests.peerassist.conftest import Reader


def test_a1_a3_tokens_of_two_minutes_are_renewed_by_one_of_eight_workers(reader: Callable[..., Reader]) -> None:
    """A token is renewed a minute before its end, so one that lives two minutes serves for at least one."""
    source = reader(clock_rate=60.0, token_minutes=2)
    source.world.fault("peerassist", "/fwo", "delay", times=None, seconds=0.1)
    clock = Clock.parse(source.world.clock())
    began = clock.time()
    run = source.read(concurrency=8, page_size=2)
    minutes = (clock.time() - began) / 60
    assert run.code == 0, run.log
    source.assert_exact(run)
    assert 2 <= len(source.calls("/auth")) <= minutes + 1
    assert source.world.stats("peerassist")["max_in_flight"] == 8


def test_a3_one_login_serves_all_streams_and_eight_workers(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    source.assert_exact(source.read(concurrency=8, page_size=5))
    assert len(source.calls("/auth")) == 1


def test_a1_a3_a_token_that_dies_in_mid_run_costs_one_login_and_no_page(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "expire_tokens", after=10)
    run = source.read(concurrency=8, page_size=5)
    assert run.code == 0, run.log
    source.assert_exact(run)
    assert len(source.calls("/auth")) == 2


def test_a_call_that_is_refused_again_after_a_new_login_is_a_clean_stop(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "unauthorized", after=3, times=None)
    run = source.read(concurrency=1, page_size=20)
    assert run.code == 3
    assert "check client_key, username, password" in run.log
    assert len(source.calls("/auth")) == 2
    assert [call["status"] for call in source.calls("/fwo")] == [200, 200, 200, 401, 401]


def refused_with_one_line(run: Run) -> None:
    assert run.code == 3
    lines = [line for line in run.log.splitlines() if "check client_key, username, password" in line]
    assert lines
    assert len({line.partition("fwos: ")[2] for line in lines}) == 1
    assert not run.of("RECORD")


@pytest.mark.parametrize("wrong", ["client_key", "username", "password"])
def test_a4_a_refused_login_stops_with_one_line_and_no_storm(reader: Callable[..., Reader], wrong: str) -> None:
    source = reader()
    config: dict[str, Any] = {wrong: "another-value"}
    run = source.read(**config)
    refused_with_one_line(run)
    assert source.world.stats("peerassist")["requests"] == 1


def test_a4_a_refused_login_of_a_process_ends_it_with_code_3(reader: Callable[..., Reader]) -> None:
    run = reader().run(client_key="another-value")
    refused_with_one_line(run)
    assert "Traceback" not in run.log


def test_a4_a_key_that_is_no_longer_accepted_stops_the_same_way(reader: Callable[..., Reader]) -> None:
    source = reader(accept_key=False)
    refused_with_one_line(source.read())
    assert source.world.stats("peerassist")["requests"] == 1


def test_a2_a_login_that_is_refused_in_mid_run_is_a_clean_stop(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "expire_tokens", after=3)
    source.world.fault("peerassist", "/auth", "unauthorized", after=1, times=None)
    run = source.read(concurrency=4, page_size=10)
    assert run.code == 3
    assert "login: 401 Unauthorized" in run.log
    assert len(source.calls("/auth")) == 2


def test_a5_a_throttled_login_is_waited_for(reader: Callable[..., Reader]) -> None:
    source = reader(clock_rate=600.0)
    source.world.fault("peerassist", "/auth", "throttle", seconds=30)
    run = source.read()
    assert run.code == 0, run.log
    source.assert_exact(run)


def test_a_login_under_another_path_names_the_setting(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/auth", "status", status=404, times=None)
    run = source.read(customer_ids=[3])
    assert run.code == 4
    assert not run.of("RECORD")
    assert "login: 404 Not Found: no such call; check api_url and endpoints.auth" in run.log


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        pytest.param({"expiresIn": 60}, 3600, id="minutes"),
        pytest.param({"expiresIn": 600}, 36_000, id="minutes-longest"),
        pytest.param({"expiresIn": 3600}, 3600, id="seconds"),
        pytest.param({"expiresIn": "60"}, 3600, id="text"),
        pytest.param({"expiresIn": 0.5}, 30, id="fraction"),
        pytest.param({}, 3600, id="missing"),
        pytest.param({"expiresIn": None}, 3600, id="null"),
        pytest.param({"expiresIn": "soon"}, 3600, id="words"),
        pytest.param({"expiresIn": -1}, 3600, id="negative"),
    ],
)
def test_the_life_of_a_token_is_understood(
    told: dict[str, Any], seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"token": "t" * 43, **told}).encode()
    assert token_of(body, 1000.0).expires_at == 1000.0 + seconds
    assert ("read as seconds" in caplog.text) == (told.get("expiresIn") == 3600)


def test_a_life_in_seconds_is_said_in_the_log(reader: Callable[..., Reader]) -> None:
    run = reader(expires_in="seconds", token_minutes=30).read()
    assert "expires in 1800; that is read as seconds" in run.log


KEY, USER, PASSWORD = "canary+key/9&x=1", "canary.user@example.com", "canary pass%word/é"
SECRETS = (KEY, USER, PASSWORD)


def assert_unseen(text: str) -> None:
    for secret in SECRETS:
        for form in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}:
            assert form not in text
    assert "clientKey=canary" not in text


FAULTS = {
    "H6-reset": {"kind": "reset"},
    "H3-500": {"kind": "status", "status": 500},
    "A4-refused": {"kind": "unauthorized"},
    "H10-html": {"kind": "html"},
    "H13-empty": {"kind": "empty_body"},
    "H15-redirect": {"kind": "redirect", "to": "host"},
    "H15-loop": {"kind": "redirect", "to": "loop"},
    "H1-throttled": {"kind": "status", "status": 429},
    "H11-cut": {"kind": "cut_json"},
}


@pytest.mark.parametrize("fault", [pytest.param(fault, id=f"X1-{name}") for name, fault in FAULTS.items()])
def test_x1_no_failure_of_the_login_shows_a_secret(reader: Callable[..., Reader], fault: dict[str, Any]) -> None:
    source = reader(clock_rate=5000.0)
    source.world.fault("peerassist", "/auth", times=None, **fault)
    run = source.run(
        log_level="DEBUG", client_key=KEY, username=USER, password=PASSWORD, retry_max_s=5, max_rate_limit_wait_s=5
    )
    assert run.code in {3, 4}
    assert not run.of("RECORD")
    assert_unseen(run.log + run.output.decode())


def test_x1_no_connection_shows_no_secret(sandbox: Sandbox) -> None:
    config = {"client_key": KEY, "username": USER, "password": PASSWORD, "retry_max_s": 1, "connect_timeout_s": 0.3}
    for url in ("http://127.0.0.1:9", sandbox.full_listener()):
        run = run_tap(TapPeerAssist, Account({**config, "api_url": url}, {"LOGLEVEL": "DEBUG"}))
        assert run.code == 4
        assert_unseen(run.log + run.output.decode())


def test_x1_no_exception_holds_a_secret() -> None:
    config = {"client_key": KEY, "username": USER, "password": PASSWORD, "retry_max_s": 0}
    tap = TapPeerAssist(config={**config, "api_url": "http://127.0.0.1:9"})
    with pytest.raises(TapError) as caught:
        tap.session.clients[DEFAULT_ACCOUNT].auth.headers()
    error: BaseException | None = caught.value
    while error is not None:
        assert_unseen(f"{error} {error!r} {error.args}")
        error = error.__cause__ or error.__context__


def test_x1_a_good_run_at_debug_level_shows_neither_secret_nor_token(reader: Callable[..., Reader]) -> None:
    source = reader()
    config = source.account.config
    run = source.run(log_level="DEBUG")
    assert run.code == 0
    for secret in (config["client_key"], config["username"], config["password"]):
        for form in (secret, quote(secret), quote_plus(secret)):
            assert form not in run.log + run.output.decode()
    assert "Bearer " not in run.log
