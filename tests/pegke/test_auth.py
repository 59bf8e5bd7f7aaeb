"""Two sets of credentials, and one token of version 1 for everybody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pegke.conftest import Reader

VERSION_1 = ("store_history", "user_history", "users")
TOKEN, REFRESH, INVALIDATE = "/v1/oauth2/token", "/simple-oauth/refresh", "/v1/oauth2/invalidate_token"


def test_a3_five_streams_and_eight_workers_make_one_token_request(pegke: Reader) -> None:
    run = pegke.read(*VERSION_1, "store_activity", "points_history", concurrency=8, realtime_max_messages=5)
    pegke.exact(run, *VERSION_1)
    assert run.streams == ["points_history", "store_history", "user_history", "users", "store_activity"]
    assert pegke.count(TOKEN) == 1


def test_the_token_is_kept_between_runs_in_a_private_file(pegke: Reader, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "token.json"
    for _ in range(2):
        pegke.exact(pegke.read("store_history", token_cache=str(cache)), "store_history")
    assert pegke.count(TOKEN) == 1
    assert cache.stat().st_mode & 0o777 == 0o600
    assert pegke.account().config["client_secret"] not in cache.read_text()


def test_without_a_cache_nothing_is_written(pegke: Reader) -> None:
    pegke.read("store_history", token_cache="")
    pegke.read("store_history")
    assert pegke.count(TOKEN) == 2


@pytest.mark.parametrize("after", ["new", "same"])
def test_a1_a_token_that_dies_on_the_way_is_refreshed_once(make_pegke: Callable[..., Reader], after: str) -> None:
    pegke = make_pegke(after_expiry=after)
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=50)
    run = pegke.read("store_history", "user_history", concurrency=8)
    pegke.exact(run, "store_history", "user_history")
    assert (pegke.count(TOKEN), pegke.count(REFRESH), pegke.count(INVALIDATE)) == (1, 1, 0)


def test_a1_without_refresh_token_the_token_is_asked_for_once_more(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(token_refresh=False)
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=50)
    pegke.exact(pegke.read("user_history", concurrency=8), "user_history")
    assert (pegke.count(TOKEN), pegke.count(REFRESH)) == (2, 0)


def test_a_refused_refresh_token_is_followed_by_one_request_for_a_token(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(token_refresh_works=False)
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=50)
    pegke.exact(pegke.read("user_history", concurrency=8), "user_history")
    assert (pegke.count(TOKEN), pegke.count(REFRESH)) == (2, 1)


def test_a2_a_dead_token_that_comes_back_stops_the_stream(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(token_refresh=False, after_expiry="same")
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=50)
    run = pegke.read("user_history", concurrency=8)
    assert run.code == 3
    assert "whether the application's token has expired" in run.log
    assert pegke.count(TOKEN) == 2
    assert "user_history" not in run.state.get("bookmarks", {})


def test_a2_a_token_call_that_is_not_there_is_no_unknown_customer(pegke: Reader) -> None:
    pegke.world.fault("pegke", TOKEN, "status", status=404, body={"code": 34}, times=None)
    run = pegke.read("user_history", "users")
    assert run.code == 4
    assert "user_history: GET /v1/user/history: token request: 404 Not Found" in run.log
    assert "knows none" not in run.log
    assert pegke.count(TOKEN) < 20


def test_a5_tokens_asked_for_too_often_are_waited_for(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=200.0)
    pegke.world.fault("pegke", TOKEN, "status", status=403, body={"errors": [{"code": 99}]}, times=3)
    run = pegke.read("store_history")
    pegke.exact(run, "store_history")
    assert pegke.count(TOKEN) == 4
    assert "the token request waits 1" in run.log


def test_a5_a_flood_without_end_is_one_clear_line(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(token_flood_limit=1, token_flood_window_s=10**9, clock_rate=5_000.0, errors="flat")
    pegke.read("store_history")
    run = pegke.read("store_history", "user_history")
    assert run.code == 4
    assert "tokens are requested too often; set token_cache" in run.log
    assert "Traceback" not in run.log


def test_the_cached_token_serves_while_tokens_cannot_be_had(make_pegke: Callable[..., Reader], tmp_path: Path) -> None:
    pegke = make_pegke(token_flood_limit=1)
    for _ in range(2):
        run = pegke.read("store_history", token_cache=str(tmp_path / "token.json"))
        pegke.exact(run, "store_history")
    assert "403" not in pegke.world.stats("pegke")["statuses"]


def test_each_generation_runs_on_its_own_credentials(pegke: Reader) -> None:
    merchant = pegke.read("offers", "store_history", client_id=None, client_secret=None)
    version1 = pegke.read("offers", "store_history", consumer_code=None, consumer_secret=None)
    assert (merchant.code, merchant.streams) == (0, ["offers"])
    assert (version1.code, version1.streams) == (0, ["store_history"])
    assert merchant.log.count("store_history: skipped, because client_id and client_secret are not set") == 1
    assert version1.log.count("offers: skipped, because consumer_code and consumer_secret are not set") == 1


def test_a4_one_refused_generation_does_not_stop_the_other(pegke: Reader) -> None:
    run = pegke.read("offers", "points_history", "customer_points", "store_history", consumer_secret="wrong")
    assert run.code == 3
    assert pegke.count("/apiv1/my_offers") + pegke.count("/apiv1/check_points") == 1
    assert run.rows("store_history") == pegke.truth("store_history", run)
    assert "check consumer_code and consumer_secret" in run.log


def test_c1_half_a_pair_of_credentials_is_refused(pegke: Reader) -> None:
    run = pegke.read("offers", consumer_secret=None)
    assert run.code == 2
    assert "setting 'consumer_secret' is missing: 'consumer_code' is of no use without it" in run.log


@pytest.mark.parametrize("path", ["/v1/{store}/history", "/v1/store history"])
def test_c1_an_address_that_is_none_is_refused(pegke: Reader, path: str) -> None:
    run = pegke.read("store_history", endpoints={"store_history": path})
    assert run.code == 2
    assert "setting 'endpoints.store_history' must be a path below api_url, without spaces or braces" in run.log
    assert pegke.world.stats("pegke")["routes"] == {}


@pytest.mark.parametrize("which", ["value", "refresh"])
def test_x1_a_token_that_comes_back_in_an_error_is_not_shown(pegke: Reader, tmp_path: Path, which: str) -> None:
    cache = tmp_path / "token.json"
    pegke.read("store_history", token_cache=str(cache))
    token = json.loads(cache.read_text())[which]
    pegke.world.fault("pegke", "/v1/store/history", "status", status=400, body={"code": f"bad-{token}"}, times=None)
    for kept in ("", str(cache)):
        run = pegke.read("store_history", token_cache=kept)
        assert "store_history: GET /v1/store/history: 400 Bad Request: " in run.log
        assert token not in run.log


def test_x1_no_secret_is_shown_even_when_debugging(pegke: Reader, tmp_path: Path) -> None:
    cache = tmp_path / "token.json"
    pegke.world.fault("pegke", "*", "unauthorized", times=1, after=90)
    streams = (*VERSION_1, "points_history", "store_activity")
    run = pegke.read(*streams, debug=True, token_cache=str(cache), realtime_max_messages=5)
    assert run.records("store_activity")
    assert "DEBUG" in run.log
    config = pegke.account().config
    secrets = [config[name] for name in ("consumer_code", "consumer_secret", "client_id", "client_secret")]
    secrets += [json.loads(cache.read_text())[name] for name in ("value", "refresh")]
    shown = run.log + json.dumps(run.state)
    assert not [secret for secret in secrets if secret in shown or secret.encode() in run.output]
