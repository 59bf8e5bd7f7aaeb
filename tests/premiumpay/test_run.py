"""What tap-premiumpay survives, and how it stops when it can't go on."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from merchant_sandbox.clock import HOUR
from merchant_sandbox.timeline import LAST_DAY
from tap_core.clock import Clock
from tap_core.errors import AuthError, ConfigError, StateError
from tap_core.testing import run_tap, selected
from tap_premiumpay.client import JwtAuth
from tap_premiumpay.guesses import endpoints
from tap_premiumpay.streams.base import SCHEMAS
from tap_premiumpay.tap import TapPremiumpay
from tests.premiumpay.conftest import LISTS, ROWS, bag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.testing import Run
    from tests.premiumpay.conftest import Warehouse

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contracts/premiumpay/openapi.yaml").read_text())
COARSE = {"backfill_window_days": 28}


@pytest.mark.parametrize("lines", [1, 300, 1900, 3400])
def test_s1_kill_and_resume_is_exact(make: Callable[..., Warehouse], lines: int) -> None:
    house = make(config=COARSE)
    house.start_and_kill(lines)
    house.read()
    house.check(*LISTS, *ROWS, "aggregated_sales")
    house.check_windows()


def test_s15_concurrency_changes_neither_records_nor_states(make: Callable[..., Warehouse]) -> None:
    def plain(run: Run) -> list[Any]:
        kept = [
            {name: value for name, value in message.items() if name not in {"time_extracted", "version", "calls"}}
            for message in run.messages
            if message.get("stream") != "server_status"
        ]
        return [message for message in kept if message["type"] != "ACTIVATE_VERSION"]

    house = make(config=COARSE)
    one = house.read(concurrency=1)
    house.state = {}
    assert plain(house.read(concurrency=8)) == plain(one)


def test_s11_the_next_run_changes_nothing_and_writes_nothing_at_the_vendor(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.read()
    before = {stream: sorted(map(json.dumps, house.rows(stream))) for stream in ("aggregated_sales", *ROWS)}
    again = house.read(lookback_days=100)
    assert again.records("sales")
    for stream, rows in before.items():
        assert sorted(map(json.dumps, house.rows(stream))) == rows
    assert house.world.stats("premiumpay")["writes"] == []


# Credentials


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.kiwi4f9c"


def test_an_expired_jwt_is_one_line_and_no_request(make: Callable[..., Warehouse]) -> None:
    house = make()
    run = house.run(jwt=jwt(exp=LAST_DAY - 60))
    assert run.code == 3
    assert run.log.count("ERROR") == 1
    assert "the jwt expired on 2026-01-31 at 23:59 UTC; set jwt to a new one" in run.log
    assert house.world.stats("premiumpay")["requests"] == 0


def test_a_jwt_that_ends_in_mid_run_costs_no_further_call() -> None:
    auth = JwtAuth(jwt(exp=LAST_DAY), "client", clock := Clock(start=LAST_DAY - HOUR, anchor=time.time(), rate=10**6))
    assert auth.headers()["X-client-id"] == "client"
    clock.sleep(HOUR)
    with pytest.raises(AuthError, match="not sent, because the jwt expired on 2026-02-01 at 00:00 UTC; set jwt to a"):
        auth.headers()


@pytest.mark.parametrize("exp", [None, "soon", 1e300, True, -1e300], ids=str)
def test_an_end_that_makes_no_sense_is_no_crash(exp: Any) -> None:
    auth = JwtAuth(jwt(exp=exp), "client", Clock())
    assert auth.ends_by(LAST_DAY) == (exp in {True, -1e300})


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"jwt": jwt(exp=LAST_DAY * 2)}, id="A4-401"),
        pytest.param({"jwt": "no.jwt"}, id="A4-401-opaque"),
        pytest.param({"client_id": "somebody-else-9x"}, id="A4-403"),
    ],
)
def test_refused_credentials_cost_one_call(make: Callable[..., Warehouse], wrong: dict[str, str]) -> None:
    house = make()
    run = house.run(**wrong)
    assert run.code == 3
    assert run.log.count("ERROR") == 1
    assert "check jwt, client_id" in run.log
    assert not any(value in run.log for value in wrong.values())
    assert house.world.stats("premiumpay")["requests"] == 1


def test_a4_a_401_in_mid_run_ends_it_with_valid_state(make: Callable[..., Warehouse]) -> None:
    house = make(config={"concurrency": 1})
    house.world.fault("premiumpay", "/sales", "status", status=401, times=None, after=40)
    run = house.run()
    assert run.code == 3
    assert house.world.stats("premiumpay")["statuses"]["401"] == 1
    house.world.clear_faults("premiumpay")
    house.read()
    house.check("sales")


def test_a_403_on_one_call_fails_its_stream_alone(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "concurrency": 1})
    house.world.fault("premiumpay", "/channelresults", "status", status=403, times=None)
    run = house.run()
    assert run.code == 4
    assert house.world.stats("premiumpay")["statuses"]["403"] == 1
    assert "channel_results" not in run.state["bookmarks"]
    house.check("sales", "channel_sales")


@pytest.mark.parametrize("kind", ["unauthorized", "html", "reset", "redirect"])
def test_x1_secrets_show_nowhere_at_any_level(
    make: Callable[..., Warehouse], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    house = make(config={**COARSE, "retry_max_s": 2}, clock_rate=500)
    house.world.fault("premiumpay", "/sales", kind, times=None)
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    run = house.run()
    assert run.code in {3, 4}
    for secret in ("jwt", "client_id"):
        assert house.account().config[secret] not in run.log + run.output.decode()


# Answers


@pytest.mark.parametrize(
    ("route", "stream", "column", "value"),
    [("/sales", "sales", "pasarela_id", 102), ("/channelsales", "channel_sales", "channel_id", 5007)],
)
def test_p9_one_gateway_or_channel_that_fails_costs_only_itself(
    make: Callable[..., Warehouse], route: str, stream: str, column: str, value: int
) -> None:
    house = make(config={**COARSE, "concurrency": 1})
    house.world.fault("premiumpay", route, "error_object", after=1)
    run = house.run()
    assert run.code == 4
    assert f"{stream}: {column} {value} is left out, the rest is read: POST {route}: the API says ko" in run.log
    setting = {"pasarela_id": "pasarela_ids", "channel_id": "channel_ids"}[column]
    everything = f"{stream}: everything was read except {column} {value}"
    assert f"{everything}; to leave it out, name the others in the setting {setting}" in run.log
    bodies = [json.loads(entry["body"]) for entry in house.world.requests("premiumpay") if entry["route"] == route]
    assert [body[column] for body in bodies].count(value) == 1, "it is not asked for again"
    rest = [row for row in house.truth(stream) if row[column] != value]
    assert bag(house.rows(stream)) == bag(rest)
    house.world.clear_faults("premiumpay")
    house.read()
    house.check("sales", "channel_sales", "channel_results")


def test_h12_ko_is_an_error_unless_there_is_no_data(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.world.fault("premiumpay", "/sales", "error_object", times=None, after=8)
    run = house.run()
    assert run.code == 4
    assert re.search(
        r"ERROR .*sales: pasarela_id \d+ is left out, the rest is read: POST /sales: the API says", run.log
    )
    assert re.search(r"ERROR .*sales: POST /sales: the API says ko in a 200 response", run.log), "none is left"
    assert run.state["bookmarks"]["sales"]["replication_key_value"] < "2025-05"
    house.check("channel_sales")
    house.world.clear_faults("premiumpay")
    house.read()
    house.check("sales")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "status", "status": 503, "times": 3}, id="H3-503"),
        pytest.param({"kind": "reset", "times": 2}, id="H6-reset"),
        pytest.param({"kind": "cut_json", "times": 2}, id="H11-cut-json"),
        pytest.param({"kind": "html", "times": 2}, id="H10-html"),
        pytest.param({"kind": "bom"}, id="H14-bom"),
    ],
)
def test_a_passing_fault_loses_nothing(make: Callable[..., Warehouse], fault: dict[str, Any]) -> None:
    house = make(config=COARSE, clock_rate=100)
    house.world.fault("premiumpay", "/sales", after=5, **fault)
    house.read()
    assert [met["fired"] for met in house.world.faults("premiumpay")] == [fault.get("times", 1)]
    house.check("sales")


def test_a_guessed_path_that_is_wrong_fails_its_stream_alone(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "endpoints": {"aggregated_sales": {"path": "/aggregated"}}})
    run = house.run()
    assert run.code == 4
    assert "aggregated_sales: POST /aggregated: 404" in run.log
    assert "check api_url and the path in endpoints, which is a guess, or deselect the stream" in run.log
    house.check("sales", "channel_results")


def test_a_list_that_cannot_be_had_is_asked_for_once(make: Callable[..., Warehouse]) -> None:
    """Three streams need the channels, and the plan; each further call would be one of a hundred."""
    house = make(config={**COARSE, "endpoints": {"channels": {"path": "/kanaele"}}})
    run = house.run()
    assert run.code == 4
    assert "channels: POST /kanaele: 404" in run.log
    assert house.world.stats("premiumpay")["statuses"]["404"] == 1
    house.check("gateways", "services", "sales")


def test_the_member_with_the_rows_can_be_told_and_may_be_null(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE, wrapped=True, empty="null")
    said = "sales: POST /sales: the response is an object with 2 members"
    assert said in house.run().log
    asked = ("gateways", "channels", "sales", "aggregated_sales", "channel_results", "channel_sales")
    house.read(endpoints={stream: {"rows": "data"} for stream in asked})
    house.check(*LISTS, *ROWS, "aggregated_sales")


def test_fields_that_nobody_documented_arrive(make: Callable[..., Warehouse]) -> None:
    house = make(extra_fields=True, config=COARSE)
    house.read()
    house.check("sales", "channel_sales")
    assert {row["_extra"]["status"] for row in house.rows("sales")} == {"paid", "refunded"}
    assert all(row["_extra"]["utm"] == {"source": "newsletter", "tags": ["a", "b"]} for row in house.rows("sales"))


def test_extra_columns_have_types_and_buyer_data_is_marked(make: Callable[..., Warehouse]) -> None:
    wanted = {"status": "string", "email": "string", "telephone": "string", "card_token": "string", "utm": "object"}
    wanted |= {"buyer": "object"}
    config = {**COARSE, "extra_columns": {"sales": wanted}}
    house = make(extra_fields=True, config=config)
    house.read()
    properties = TapPremiumpay(config=house.account().config).streams["sales"].schema["properties"]
    assert {name for name in wanted if properties[name].get("x-pii")} == {"email", "telephone", "card_token"}
    row = house.rows("sales")[0]
    assert wanted.keys() <= row.keys()
    assert row["_extra"] == {"ippayment": "192.0.2.7"}
    house.state = {}
    dropped = house.read(pii="drop", pii_key="k3y-of-the-hash")
    assert b"@example.com" not in dropped.output
    assert b"192.0.2.7" not in dropped.output
    assert b"tok_" not in dropped.output
    assert dropped.records("sales")[0]["buyer"] == {"language": "es"}


def test_extra_columns_of_links_are_filled_too(make: Callable[..., Warehouse]) -> None:
    renamed = {"channel_links": {"rename": {"requires_approval": "approval"}}}
    house = make(config={**COARSE, "extra_columns": {"channel_links": {"approval": "string"}}, "endpoints": renamed})
    house.read()
    assert {row["approval"] for row in house.rows("channel_links")} == {"yes", "no"}


@pytest.mark.parametrize("names", ["long", "id"])
def test_ids_may_come_as_text(make: Callable[..., Warehouse], names: str) -> None:
    house = make(config=COARSE, id_texts=True, id_names=names)
    house.read()
    house.check("services", "channels", "channel_links", *ROWS)
    assert {row["pasarela_id"] for row in house.rows("gateways")} == {101, 102, 103, 104}


def test_the_key_of_sales_can_be_their_own_id(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "sales_key_field": "id"})
    run = house.read()
    assert run.keys("sales") == ["pasarela_id", "id"]
    assert "_surrogate_key" not in run.schema("sales")["properties"]
    house.check("sales", "channel_sales")


def test_per_link_reads_what_came_through_links(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "per_link": True})
    run = house.run()
    assert "setting per_link is in use" in run.log
    for stream in ("channel_results", "channel_sales"):
        from_links = house.world.truth("premiumpay", stream, by_link=True)
        assert from_links
        assert bag(house.rows(stream)) == bag(from_links)


def test_per_link_asks_by_the_address_whatever_the_api_calls_it(make: Callable[..., Warehouse]) -> None:
    renamed = {"channel_links": {"rename": {"name": "invitation_link"}}}
    config = {"start_date": "2026-01-29", "window_hours": 168, "link_fields": ["name"], "endpoints": renamed}
    house = make(config={**config, "per_link": True})
    house.read()
    asked = [json.loads(entry.get("body", "{}")) for entry in house.world.requests("premiumpay")]
    assert {body["invitation_link"] for body in asked if "invitation_link" in body} == {"promo-0", "promo-1", "promo-2"}


def test_links_that_nothing_can_be_asked_for_by_are_told_of(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2026-01-29", "window_hours": 168, "per_link": True})
    assert "per_link: 5 links can be asked for; 1 have no address and cannot" in house.run().log


def test_a_round_number_of_rows_is_told_of(make: Callable[..., Warehouse]) -> None:
    house = make(config={"backfill_window_days": 112}, row_cap=100)
    assert "a response has exactly 100 rows; if that is the API's limit, rows are missing" in house.run().log


# State


def forget_a_gateway(house: Warehouse) -> None:
    """Have one look as if it had not been there before."""
    house.state["bookmarks"]["sales"]["_partitions"] = "65 2 1"
    house.records["sales"] = [row for row in house.records["sales"] if row["pasarela_id"] != 102]


def test_a_gateway_that_was_not_there_before_is_read_from_the_start(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.read()
    assert house.state["bookmarks"]["sales"]["_partitions"] == "65 1 1 1"
    forget_a_gateway(house)
    house.read()
    house.check("sales")


def test_s15_a_gateway_that_was_read_from_the_start_in_part_is_read_again(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "concurrency": 1})
    house.read()
    forget_a_gateway(house)
    house.world.fault("premiumpay", "/sales", "status", status=415, times=None, after=3)
    assert house.run().code == 4
    house.world.clear_faults("premiumpay")
    house.read()
    house.check("sales")


def test_s15_a_new_gateway_is_read_on_after_a_run_that_ended_before_the_bookmark(
    make: Callable[..., Warehouse],
) -> None:
    house = make(config=COARSE)
    house.read()
    forget_a_gateway(house)
    house.read(end_date="2025-10-01")
    house.read()
    house.check("sales")


def test_s15_a_full_refresh_that_broke_makes_no_gateway_known(make: Callable[..., Warehouse]) -> None:
    house = make(config={**COARSE, "concurrency": 1})
    house.read()
    forget_a_gateway(house)
    catalog = selected(TapPremiumpay(config=house.account().config).catalog_dict, ["sales"])
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    house.world.fault("premiumpay", "/sales", "status", status=415, times=None, after=9)
    run = run_tap(TapPremiumpay, house.account(), state=house.state, catalog=catalog)
    house.world.clear_faults("premiumpay")
    assert run.code == 4
    house.take(run)
    house.read()
    house.check("sales")


@pytest.mark.parametrize(
    "config", [{"emit_activate_version_messages": False}, {"stream_maps": {"sales": {"__filter__": "amount"}}}]
)
def test_what_is_not_sent_whole_is_not_told_to_be_gone(make: Callable[..., Warehouse], config: dict[str, Any]) -> None:
    house = make(config={"start_date": "2026-01-20"})
    house.read(**config)
    assert "_windows_read" not in str(house.state["bookmarks"]["sales"])
    house.read()
    assert "_windows_read" in str(house.state["bookmarks"]["sales"])


def test_a_state_tells_the_windows_that_its_own_run_has_read(make: Callable[..., Warehouse]) -> None:
    days = {"start_date": "2026-01-01", "end_date": "2026-01-20T12:00:00Z", "lookback_days": 3}
    house = make(config={**days, "backfill_window_days": 1})
    house.read()
    told = house.state["bookmarks"]["sales"]["_windows_read"]
    assert told["first"] == "2026-01-01T00:00:00.000000Z"
    assert told["last"] == "2026-01-20T00:00:00.000000Z", "the one with end_date in it is read whole"
    house.state["bookmarks"]["sales"]["_partitions"] = "65 2 1"
    states = [message["value"] for message in house.read().messages if message["type"] == "STATE"]
    told_first = [state["bookmarks"]["sales"]["_windows_read"] for state in states if "_windows_read" in str(state)]
    assert "_windows_read" not in str(states[0]), "what the run before has read"
    assert {told["first"] for told in told_first} == {"2026-01-17T00:00:00.000000Z"}, "where all gateways are read"
    assert told_first[-1]["last"] == told["last"]


def test_a_window_that_is_not_over_is_told_as_far_as_there_is_anything_to_read(make: Callable[..., Warehouse]) -> None:
    """What is gone from it must go from the warehouse, too, and not only once the window is over."""
    house = make(config={"start_date": "2026-01-20", "lookback_days": 3})
    house.read()
    bookmark = house.state["bookmarks"]["sales"]
    assert bookmark["_windows_read"]["last"] == bookmark["replication_key_value"]


def test_another_service_id_is_read_from_the_start(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.read(service_id=2)
    assert {row["service_id"] for row in house.rows("sales")} == {2}
    house.read()
    house.check("sales")


def test_windows_of_another_length_are_refused(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.read()
    with pytest.raises(StateError, match="backfill_window_days = 28 and window_hours = 24, which are part of the keys"):
        house.read(window_hours=12)


@pytest.mark.parametrize(
    "broken",
    [
        {"_grid": {"boundary": "x"}},
        {"_grid": {"boundary": "2026-01-01", "backfill_window_days": 10**12, "window_hours": 24}},
        {"_partitions": "x y"},
    ],
    ids=["boundary", "length", "partitions"],
)
def test_s10_a_malformed_state_is_refused(make: Callable[..., Warehouse], broken: dict[str, Any]) -> None:
    house = make(config=COARSE)
    house.read()
    house.state["bookmarks"]["sales"] |= broken
    with pytest.raises(StateError, match="of stream 'sales' makes no sense; drop its bookmark"):
        house.read()


def test_s10_a_bookmark_from_the_future_is_no_reason_to_skip(make: Callable[..., Warehouse]) -> None:
    house = make(config=COARSE)
    house.read()
    house.state["bookmarks"]["sales"]["replication_key_value"] = "2999-01-01T00:00:00Z"
    run = house.read()
    assert run.state["bookmarks"]["sales"]["replication_key_value"] < "2026-02-03"


# What is asked for


def test_requests_say_what_the_page_asks_for(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2025-12-01", "concurrency": 1})
    house.read()
    log = house.world.requests("premiumpay")
    posts = [entry for entry in log if entry["method"] == "POST"]
    assert all(entry["headers"]["content-type"] == "application/json" for entry in posts)
    assert all({"authorization", "x-client-id"} <= entry["headers"].keys() for entry in posts)
    bodies: dict[str, list[dict[str, Any]]] = {}
    for entry in posts:
        bodies.setdefault(entry["route"], []).append(json.loads(entry["body"]))
    assert "2026-02-01T23:55" <= bodies["/sales"][-1]["end_date_time"] < "2026-02-01T23:59", "five minutes before now"
    assert bodies["/gateways"] == [{"include_services": "yes"}]
    assert bodies["/channels"] == [{"include_links": "yes"}]
    assert {body["aggregate_field"] for body in bodies["/aggregatedsales"]} == {"country", "payment_method", "service"}
    assert {body["pasarela_id"] for body in bodies["/sales"]} == {101, 102, 103, 104}
    assert {body["channel_id"] for body in bodies["/channelsales"]} == {5000, 5007, 5014, 5021}
    spans = [
        (body["start_date_time"], body["end_date_time"]) for body in bodies["/sales"] if body["pasarela_id"] == 101
    ]
    assert spans[:2] == [
        ("2025-11-26T23:59:59Z", "2025-12-04T00:00:01Z"),
        ("2025-12-04T00:00:00Z", "2025-12-11T00:00:01Z"),
    ]
    assert (bodies["/aggregatedsales"][0]["start_date_time"], bodies["/aggregatedsales"][0]["end_date_time"]) == (
        "2025-11-27T00:00:00Z",
        "2025-12-03T23:59:59Z",
    )


def test_request_options_are_settings_with_a_warning(make: Callable[..., Warehouse]) -> None:
    options = {
        "link_names": ["promo-2"],
        "exclude_link_names": True,
        "channel_fields": ["channel_id", "name"],
        "link_fields": ["invitation_link", "name"],
        "consolidate_links": True,
    }
    house = make(config={"start_date": "2026-01-20", **options})
    run = house.run()
    assert run.code == 0, run.log
    bodies = [
        json.loads(entry["body"]) for entry in house.world.requests("premiumpay") if entry["route"] == "/channels"
    ]
    flags = {"exclude_link_names": "yes", "consolidate_links": "yes", "include_links": "yes"}
    assert bodies == [{**options, **flags}]
    for setting in ("link_names", "channel_fields", "link_fields", "consolidate_links"):
        assert f"setting {setting} is in use" in run.log
    activated = {message["stream"] for message in run.of("ACTIVATE_VERSION")}
    assert activated & {"gateways", "channels", "channel_links"} == {"gateways"}, "what is left out is not gone"


def test_the_status_stream_tells_budget_and_version(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2026-01-20"}, rate_limit=1000)
    run = house.read()
    (row,) = run.records("server_status")
    assert (row["status"], row["version"]) == ("ok", "1.0.0")
    assert (row["ratelimit"]["rateLimit"], row["ratelimit"]["rateLimitRemaining"]) == (1000, 999)


# Settings


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"start_date": None}, "setting 'start_date' is missing"),
        ({"client_id": "x" * 51}, "setting 'client_id' must have at most 50 characters"),
        ({"window_hours": 5}, "setting 'backfill_window_days' must be a multiple of 'window_hours'"),
        ({"time_zone": "Mars/Olympus"}, "setting 'time_zone': the time zone must be a name of the tz database"),
        ({"window_edges": "[["}, "setting 'window_edges' must be one of [], [), (], ()"),
        ({"sales_key_field": "number"}, "setting 'sales_key_field' names 'number', which is not a column of"),
        ({"endpoints": {"nothing": {}}}, "setting 'endpoints' names 'nothing'"),
        ({"endpoints": {"sales": {"pfad": "/x"}}}, "setting 'endpoints.sales"),
        ({"endpoints": {"sales": {"path": None}}}, "setting 'endpoints.sales.path' is empty"),
        ({"endpoints": {"sales": {"time": "at"}}}, "setting 'endpoints.sales.time' names 'at', which is not a column"),
        ({"extra_columns": {"sales": {"id": "string"}}}, "names 'id', which is a column already"),
        ({"extra_columns": {"sales": {"x": "text"}}}, "setting 'extra_columns.sales.x' must be one of"),
        ({"extra_columns": {"shop": {}}}, "setting 'extra_columns' names 'shop'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_c1_a_setting_that_makes_no_sense_is_named(
    make: Callable[..., Warehouse], config: dict[str, Any], said: str
) -> None:
    house = make()
    run = house.run(**config)
    assert run.code == 2
    assert said in run.log
    assert run.log.count("ERROR") == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"lookback_days": 1e9}, "setting 'lookback_days' must be 36500 or less"),
        ({"window_hours": 10**15}, "setting 'window_hours' must be 8784 or less"),
        ({"backfill_window_days": 10**9}, "setting 'backfill_window_days' must be 3660 or less"),
        ({"sales_key_field": "_surrogate_key"}, "setting 'sales_key_field' names '_surrogate_key', which is not"),
        ({"sales_key_field": "pasarela_id"}, "setting 'sales_key_field' names 'pasarela_id', which is not the id of"),
        ({"endpoints": {"sales": {"path": "sales"}}}, "setting 'endpoints.sales.path' must begin with / and contain"),
        ({"endpoints": {"sales": {"path": "/{x}"}}}, "setting 'endpoints.sales.path' must begin with / and contain"),
        ({"endpoints": {"sales": {"time": "country"}}}, "'endpoints.sales.time' names 'country', which is not"),
        ({"endpoints": {"services": {"rows": "x"}}}, "setting 'endpoints.services' names 'rows'; it has rename"),
        ({"endpoints": {"aggregated_sales": {"time": "country"}}}, "setting 'endpoints.aggregated_sales' names 'time'"),
        ({"endpoints": {"version": {"rename": {}}}}, "setting 'endpoints.version' names 'rename'; it has path"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_c1_a_setting_that_would_have_no_effect_or_a_wrong_one_is_refused(config: dict[str, Any], said: str) -> None:
    account = {"api_url": "https://api.example.com", "jwt": "a.b.c", "client_id": "c", "start_date": "2026-01-01"}
    with pytest.raises(ConfigError, match=re.escape(said)):
        TapPremiumpay(config={**account, **config})


def test_renamed_fields_reach_their_columns(make: Callable[..., Warehouse]) -> None:
    renamed = {"sales": {"rename": {"status": "country", "card_token": "id"}}}
    house = make(config={"start_date": "2026-01-20", "endpoints": renamed}, row_id=False, extra_fields=True)
    run = house.read()
    assert all(row["id"].startswith("tok_") for row in run.records("sales"))
    assert "paid" in {row["country"] for row in run.records("sales")}


def test_what_aggregates_are_by_may_have_another_name(make: Callable[..., Warehouse]) -> None:
    renamed = {"aggregated_sales": {"rename": {"country": "_group_value", "service": "_group_value"}}}
    house = make(config={"start_date": "2026-01-20", "endpoints": renamed})
    run = house.read()
    groups = {(row["aggregate_field"], row["_group_value"]) for row in run.records("aggregated_sales")}
    assert {("country", "ES"), ("country", "(none)"), ("payment_method", "bizum"), ("service", "1")} <= groups
    assert not any("country" in row for row in run.records("aggregated_sales"))


def test_aggregates_that_differ_in_a_field_nobody_knows_stay_apart(make: Callable[..., Warehouse]) -> None:
    config = {"start_date": "2026-01-20", "endpoints": {"aggregated_sales": {"rename": {"currency": "service"}}}}
    house = make(config=config)
    run = house.read()
    assert len(house.rows("aggregated_sales")) == len(run.records("aggregated_sales"))
    assert any(row["_group_value"].endswith(" #2") for row in run.records("aggregated_sales"))


def test_the_page_tells_every_guess() -> None:
    page = (Path(__file__).parents[2] / "docs/tap-premiumpay.md").read_text(encoding="utf-8")
    page = page[page.index("## Guesses") :]
    assert endpoints({})
    for name, endpoint in endpoints({}).items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert endpoint.path is None or f"`{endpoint.method} {endpoint.path}`" in row
        assert all(f"`{old}` → `{column}`" in row for old, column in endpoint.rename.items())
        assert all(f"`{column}`" in row for column in (*endpoint.key, *filter(None, [endpoint.time])))


def test_every_property_of_the_contract_is_in_a_schema() -> None:
    schemas = CONTRACT["components"]["schemas"]
    streams = {
        "gateways": "Gateway",
        "services": "Service",
        "sales": "Sale",
        "aggregated_sales": "AggregatedSale",
        "channels": "Channel",
        "channel_links": "ChannelLink",
        "channel_results": "ChannelResult",
        "channel_sales": "Sale",
        "server_status": "ServerStatus",
    }
    for stream, name in streams.items():
        assert schemas[name]["properties"].keys() <= SCHEMAS.get_schema(stream)["properties"].keys(), stream
