"""Errors: the code in the body decides; what is refused stops at once, what passes is tried again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ApiError, AuthError, MissingCallError, ThrottledError, TransientError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.http.message import Response
from tap_core.testing import run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FEW = {"availability_days_ahead": 3, "bookings_days_back": 30, "bookings_days_ahead": 30}


@pytest.mark.parametrize(
    "switch",
    [pytest.param("401", id="A4-401"), pytest.param("403", id="A4-403"), pytest.param("400", id="A4-400")],
)
def test_a_refused_key_stops_at_once(world: World, run: Callable[..., Run], switch: str) -> None:
    world.switch("peek", bad_key=switch)
    done = run(world, config={"api_key": "revoked-key-0815", "concurrency": 1})
    assert done.code == 3
    assert "check api_key" in done.log
    assert "revoked-key-0815" not in done.log
    assert world.stats("peek")["requests"] == 1
    assert not done.of("RECORD")


def test_a_key_refused_in_mid_run_keeps_what_was_read(world: World, run: Callable[..., Run]) -> None:
    error = {"error": "FORBIDDEN", "errorMessage": "revoked"}
    world.fault("peek", "/bookings", "status", status=400, body=error, times=None, after=1)
    done = run(world, config=FEW)
    assert done.code == 3
    assert done.records("products")
    assert "webhooks" not in done.streams
    assert "bookings" not in done.state.get("bookmarks", {})


def test_errors_of_the_server_are_tried_again_even_at_400(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    error = {"error": "INTERNAL_SERVER_ERROR", "errorMessage": "There was an un-recoverable error"}
    for route in ("/products", "/availability", "/bookings"):
        world.fault("peek", route, "status", status=400, body=error, times=2)
        world.fault("peek", route, "error_object", after=3)
    done = run(world)
    assert_exact(world, done)
    assert world.stats("peek")["statuses"]["400"] == 6


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        pytest.param(429, "BAD_REQUEST", ThrottledError, id="H1-429"),
        pytest.param(400, "INTERNAL_SERVER_ERROR", TransientError, id="H3-400"),
    ],
)
def test_a_wait_that_comes_with_an_error_is_kept_whatever_its_code(
    status: int, code: str, kind: type[TransientError]
) -> None:
    error = json.dumps({"error": code, "errorMessage": "not now"}).encode()
    tap = TapPeek(config={"api_url": "http://127.0.0.1:9", "api_key": "no-key"})
    with pytest.raises(TransientError) as raised:
        tap.session.clients[DEFAULT_ACCOUNT].check(Response(status, {"Retry-After": "7"}, error, 0.0), "bookings")
    assert (type(raised.value), raised.value.wait) == (kind, 7)


def test_l2_a_network_in_bad_shape_loses_nothing(
    make_world: Callable[..., World], run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world = make_world(clock_rate=1000)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("status", {"status": 503}),
        ("status", {"status": 429, "retry_after": 7}),
        ("reset", {}),
        ("html", {}),
        ("cut_json", {}),
        ("short_body", {}),
    ]
    for number, (kind, details) in enumerate(kinds):
        world.fault("peek", "*", kind, times=None, probability=0.03, seed=number, **details)
    assert_exact(world, run(world))
    assert sum(fault["fired"] for fault in world.faults("peek")) > 5


@pytest.mark.parametrize("answer", [(500, b"{}"), (400, b"{}"), (200, b'[{"options": []}]')])
def test_products_that_cannot_be_read_are_asked_for_once(
    canned: Callable[..., Canned], answer: tuple[int, bytes]
) -> None:
    server = canned({"GET /products": answer, "GET /bookings": (200, b"[]"), "GET /webhooks": (200, b"[]")})
    done = run_tap(TapPeek, server.account, config={**FEW, "bookings_window_days": 90, "retry_max_s": 0})
    assert done.code == 4
    assert server.asked.count("GET /products") == 1
    assert done.log.count("ERROR") == (1 if answer[0] != 200 else 4), "a record is named when it is left out, and again"
    assert "POST /availability" not in server.asked
    assert "GET /webhooks" in server.asked
    assert not done.of("ACTIVATE_VERSION", "units")


@pytest.mark.parametrize("answer", ["404", "400"])
def test_calls_that_a_server_lacks_are_reported(world: World, run: Callable[..., Run], answer: str) -> None:
    world.switch("peek", supplier=answer, capabilities=answer)
    done = run(world, config={**FEW, "enable_streams": ["supplier", "capabilities"]})
    assert done.code == 4
    assert done.log.count("take the stream out of enable_streams") == 2
    assert done.records("bookings")
    assert not done.of("ACTIVATE_VERSION", "supplier")
    assert world.stats("peek")["routes"]["/supplier"] == 1


@pytest.mark.parametrize("body", [b"nope", b'{"error": "UNPROCESSABLE_ENTITY", "errorMessage": "no"}'])
def test_a_call_of_the_standard_alone_may_be_refused_in_any_words(canned: Callable[..., Canned], body: bytes) -> None:
    server = canned({"GET /supplier": (400, body)})
    tap = TapPeek(config={**server.account.config, "retry_max_s": 0})
    with pytest.raises(ApiError) as raised:
        list(tap.streams["supplier"].get_records(None))
    assert "take the stream out of enable_streams" in str(raised.value)


@pytest.mark.parametrize("stream", ["availability", "bookings"])
def test_a_call_at_another_path_is_not_said_to_be_a_wrong_filter(canned: Callable[..., Canned], stream: str) -> None:
    products = [{"id": "p1", "options": [{"id": "o1", "units": []}]}]
    server = canned({"GET /products": (200, json.dumps(products).encode())})
    with pytest.raises(MissingCallError) as raised:
        list(TapPeek(config=server.account.config).streams[stream].get_records(None))
    assert str(raised.value).endswith(f"or set endpoints.{stream} if this server has another path")


@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_may_begin_with_blanks(canned: Callable[..., Canned], status: int) -> None:
    server = canned({"GET /webhooks": (status, b'\n  {"error": "UNAUTHORIZED", "errorMessage": "no"}')})
    with pytest.raises(AuthError):
        list(TapPeek(config={**server.account.config, "retry_max_s": 0}).streams["webhooks"].get_records(None))


@pytest.mark.parametrize("status", [pytest.param(401, id="A4-401"), pytest.param(403, id="A4-403")])
def test_a_refusal_without_a_code_is_one_of_the_key(canned: Callable[..., Canned], status: int) -> None:
    server = canned({"GET /webhooks": (status, b"<html>no</html>")})
    with pytest.raises(AuthError, match="check api_key"):
        list(TapPeek(config=server.account.config).streams["webhooks"].get_records(None))


def test_other_paths_are_a_setting(world: World, run: Callable[..., Run]) -> None:
    done = run(world, config={**FEW, "endpoints": {"webhooks": "/hooks"}})
    assert done.code == 4
    assert "webhooks: GET /hooks" in done.log


@pytest.mark.parametrize("body", [b"null", b"3", b'"maintenance"', b"{}"])
def test_h12_an_answer_that_is_no_list_is_a_clean_stop(canned: Callable[..., Canned], body: bytes) -> None:
    server = canned({"GET /products": (200, body)})
    with pytest.raises(ApiError) as raised:
        list(TapPeek(config={**server.account.config, "retry_max_s": 0}).streams["products"].get_records(None))
    assert "products: GET /products" in str(raised.value)
    assert not isinstance(raised.value, TransientError), "another try cannot help"


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"id": "cut'])
def test_h11_an_answer_that_is_no_object_is_a_clean_stop(canned: Callable[..., Canned], body: bytes) -> None:
    server = canned({"GET /supplier": (200, body)})
    with pytest.raises(ApiError) as raised:
        list(TapPeek(config={**server.account.config, "retry_max_s": 0}).streams["supplier"].get_records(None))
    assert "supplier: GET /supplier" in str(raised.value)


@pytest.mark.parametrize("booking", [b"{}", b'{"uuid": null}', b'{"uuid": 7}', b'"text"'])
def test_c5_a_booking_without_its_key_costs_only_itself(canned: Callable[..., Canned], booking: bytes) -> None:
    empty = dict.fromkeys(("GET /products", "GET /webhooks"), (200, b"[]"))
    server = canned({**empty, "GET /bookings": (200, b'[%b, {"uuid": "b1"}]' % booking)})
    days = {"bookings_days_back": 0, "bookings_days_ahead": 0}
    done = run_tap(TapPeek, server.account, config=days)
    assert done.code == 4
    assert [row["uuid"] for row in done.records("bookings")] == ["b1"]
    assert "bookings: a record" in done.log
    assert "replication_key_value" not in done.state["bookmarks"].get("bookings", {})
