"""Answers that are no good."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pegke.conftest import Reader


FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "H3-503": ("/apiv1/check_history", "status", {"status": 503}),
    "H6-reset": ("/apiv1/check_history", "reset_body", {"after": 20}),
    "H10-html": ("/apiv1/my_offers", "html", {}),
    "H11-cut-json": ("/v1/store/history", "cut_json", {"after": 10}),
    "H12-error-in-200": ("/v1/oauth2/token", "error_object", {}),
}


def test_h3_h6_h10_h11_h12_passing_faults_lose_nothing(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=100.0)
    for route, kind, details in FAULTS.values():
        pegke.world.fault("pegke", route, kind, **details)
    run = pegke.read("offers", "points_history", "customers", "store_history")
    pegke.exact(run, "offers", "points_history", "customers", "store_history")
    assert [fault["fired"] for fault in pegke.world.faults("pegke")] == [1] * len(FAULTS)


@pytest.mark.parametrize(
    "body",
    [
        '\n{ "errors" : [{"code": 131}]}',
        '{"status": "error", "message": "try later"}',
        '{"success": false, "errors": [{"code": 131}]}',
        '{"phone": "9826471001", "error": "try later"}',
        '{"status": 503}',
        '{"status": false}',
        '{"success": false}',
        '{"code": 131, "message": "try later"}',
    ],
)
def test_h12_an_error_in_a_200_answer_is_no_unknown_customer(make_pegke: Callable[..., Reader], body: str) -> None:
    pegke = make_pegke(clock_rate=100.0)
    pegke.world.fault("pegke", "/apiv1/check_points", "status", status=200, body=body)
    run = pegke.read("customer_points")
    pegke.exact(run, "customer_points")
    assert "unknown" not in run.log


def test_h12_a_history_that_is_an_error_makes_no_customer_unknown(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=100.0)
    body = '{"history": [], "status": "fail", "customer": []}'
    pegke.world.fault("pegke", "/apiv1/check_history", "status", status=200, body=body)
    pegke.exact(pegke.read("points_history", "customers"), "points_history", "customers")


@pytest.mark.parametrize(
    "beside", ['"success": true', '"status": "ok"', '"error": null', '"errors": []', '"status": 200']
)
def test_an_answer_that_says_that_all_is_well_is_none(pegke: Reader, beside: str) -> None:
    body = f'{{{beside}, "phone": "9826471001", "points": 12}}'
    pegke.world.fault("pegke", "/apiv1/check_points", "status", status=200, body=body, times=None)
    assert {row["points"] for row in pegke.read("customer_points").records("customer_points")} == {"12"}


def test_a_member_under_another_name_is_told_with_the_setting_for_it(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=2_000.0)
    run = pegke.read("user_history", names={"data": "entries"})
    assert run.code == 4
    assert "the response has no 'entries'; if the API uses another name, set 'names.data'" in run.log
    run = pegke.read("store_history", endpoints={"store_history": "/v1/nowhere"})
    assert "404 Not Found: the API has no such call; correct its path in the setting 'endpoints'" in run.log


def test_h3_a_call_that_never_works_fails_its_stream_alone(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=2_000.0)
    pegke.world.fault("pegke", "/apiv1/check_points", "status", status=500, times=None)
    run = pegke.read("customer_points", "points_history", "customers")
    assert run.code == 4
    assert "customer_points: GET /apiv1/: 500 Internal Server Error" in run.log
    assert run.rows("points_history") == pegke.truth("points_history", run)


def test_p8_a_history_whose_page_is_ignored_ends_with_a_warning(pegke: Reader) -> None:
    pegke.world.fault("pegke", "/apiv1/check_history", "ignore_page", times=None)
    run = pegke.read("points_history", "customers")
    assert run.code == 0
    assert "points_history: the API returns the same rows for every page of a history" in run.log
    assert 0 < len(run.rows("points_history")) < len(pegke.world.truth("pegke", "points_history"))


def test_p3_entries_that_arrive_while_pages_are_read_push_none_out(pegke: Reader) -> None:
    for requests in (10, 50, 90):
        pegke.world.fault("pegke", "/v1/store/history", "insert", rows=1, position=0, after=requests, times=None)
    run = pegke.read("store_history", concurrency=8)
    truth = pegke.truth("store_history", run)
    assert dict(list(truth.items())[3:]).items() <= run.rows("store_history").items()
    assert [fault["fired"] for fault in pegke.world.faults("pegke")] == [10, 50, 90]


def test_customers_are_asked_about_side_by_side(pegke: Reader) -> None:
    pegke.world.fault("pegke", "/apiv1/check_points", "delay", seconds=0.2, times=None)
    pegke.read("customer_points", concurrency=8, customers=pegke.account().config["customers"][:32])
    assert pegke.world.stats("pegke")["max_in_flight"] == 8


def test_a_history_that_is_not_read_whole_moves_no_bookmark(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(clock_rate=2_000.0)
    pegke.world.fault("pegke", "/apiv1/check_history", "status", status=500, after=30, times=None)
    first = pegke.read("points_history", "customers")
    assert first.code == 4
    assert not any(first.state.get("bookmarks", {}).values())
    pegke.world.clear_faults("pegke")
    second = pegke.read("points_history", "customers", state=first.state)
    pegke.exact(second, "points_history", "customers")


def test_p9_one_customer_who_fails_costs_only_himself(pegke: Reader) -> None:
    people = pegke.account().config["customers"][:12]
    streams = ("points_history", "customers", "customer_points", "user_history", "users")
    routes = ("/apiv1/check_history", "/apiv1/check_points", "/v1/user/history", "/v1/entity/user")
    for route in routes:
        pegke.world.fault("pegke", route, "status", status=400, body={"code": 40}, after=3, times=1)
    first = pegke.read(*streams, customers=people, concurrency=1)
    assert first.code == 4
    for stream in ("points_history", "customer_points", "user_history", "users"):
        assert re.search(rf"{stream}: customer \d+ of 12 is left out, the rest is read: .*400 Bad Request", first.log)
        assert re.search(rf"{stream}: everything was read except customer \d+ of 12; to leave it out, take", first.log)
    assert len(first.rows("customer_points")) == len(first.rows("users")) == 11
    assert first.of("ACTIVATE_VERSION") == [], "he is not gone"
    assert not any(bookmark.get("replication_key_value") for bookmark in first.state["bookmarks"].values())
    second = pegke.read(*streams, customers=people, state=first.state)
    assert second.code == 0, second.log
    assert len(second.rows("customer_points")) == len(second.rows("users")) == 12
    for stream in ("points_history", "user_history"):
        assert first.rows(stream).items() < second.rows(stream).items()


def test_details_that_the_api_does_not_send_are_not_gone(pegke: Reader) -> None:
    people = pegke.account().config["customers"][:6]
    before = pegke.read("customers", customers=[*people, "+919999999999"])
    assert [message["stream"] for message in before.of("ACTIVATE_VERSION")] == ["customers"], "one is not known"
    pegke.world.fault("pegke", "/apiv1/check_history", "patch", remove=["customer"], times=None)
    after = pegke.read("customers", customers=people)
    assert after.code == 0, after.log
    assert not after.records("customers")
    assert not after.of("ACTIVATE_VERSION")
