"""Every behaviour that the vendor leaves open: exact, or a clean stop where nothing else is possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peerassist.conftest import Reader

FIXTURES = Path(__file__).parents[2] / "contracts/peerassist/fixtures"
NEW_YORK = {"source_timezone": "America/New_York"}


def case(name: str, *, config: dict[str, Any] | None = None, **switches: Any) -> Any:
    return pytest.param(switches, config or {}, id=name)


@pytest.mark.parametrize(
    ("switches", "config"),
    [
        case("as-guessed"),
        case("under-items", envelope="items"),
        case("under-data", envelope="data", totals=False),
        case("under-results", envelope="results", first_page=1),
        case("totals-in-page", envelope="paged_model"),
        case("no-totals", totals=False),
        case("array", envelope="array"),
        case("array-from-one", envelope="array", first_page=1),
        case("array-from-one-strict", envelope="array", first_page=1, page_zero="error"),
        case("array-size-ignored", envelope="array", ignore_size=True, first_page=1),
        case(
            "array-of-longer-pages",
            envelope="array",
            ignore_size=True,
            default_size=150,
            first_page=1,
            page_zero="error",
        ),
        case("from-one", first_page=1),
        case("from-one-strict", first_page=1, page_zero="error"),
        case("from-one-told", first_page=1, page_zero="error", config={"pagination": {"first_page": 1}}),
        case("from-zero-told", config={"pagination": {"first_page": 0}}),
        case("P8-size-capped", size_cap=17),
        case("P8-size-ignored", ignore_size=True, default_size=13),
        case("unsorted", sortable=False),
        case("no-sort-sent", config={"pagination": {"sort": ""}}),
        case("pages-of-one", config={"page_size": 1, "concurrency": 8}),
        case(
            "other-parameters",
            page_param="pageNumber",
            size_param="pageSize",
            config={"pagination": {"page_param": "pageNumber", "size_param": "pageSize"}},
        ),
        case("customers-one-by-one-404", customer_list="404"),
        case("customers-one-by-one-405", customer_list="405", config={"concurrency": 8}),
        case("S8-dates-with-offset", dates="iso_offset"),
        case("S8-dates-naive", dates="iso_naive", config=NEW_YORK),
        case("S8-dates-in-milliseconds", dates="epoch_ms"),
        case("no-dates", dates="absent"),
        case("nulls", nulls="null"),
        case("C5-unknown-lines", lines=True),
        case("A1-revoked", revoke_after=3, config={"page_size": 40, "concurrency": 1}),
        case("token-life-not-told", expires_in="absent"),
        case("token-life-in-seconds", expires_in="seconds", token_minutes=30),
    ],
)
def test_every_switch_is_exact(reader: Callable[..., Reader], switches: dict[str, Any], config: dict[str, Any]) -> None:
    """With tokens of two minutes, eight workers, one login; on a slow clock, so that a busy machine is no matter."""
    source = reader(clock_rate=0.1, **{"token_minutes": 2, **switches})
    run = source.read(**{"concurrency": 8, **config})
    assert run.code == 0, run.log
    source.assert_exact(run)
    assert len(source.calls("/auth")) == 1 or "revoke_after" in switches


def test_s8_naive_times_in_the_gap_and_in_the_fold_of_a_clock_change(reader: Callable[..., Reader]) -> None:
    source = reader(dates="absent")
    times = {"content.0.created": "2025-03-09T02:30:00", "content.1.created": "2025-11-02T01:30:00.25"}
    source.world.fault("peerassist", "/fwo", "patch", set=times)
    rows = source.read(enable_streams=[], source_timezone="America/New_York").records("fwos")
    assert [row["created"] for row in rows[:2]] == ["2025-03-09T07:30:00.000000Z", "2025-11-02T05:30:00.250000Z"]


def test_the_documented_samples_pass_through_unchanged(reader: Callable[..., Reader]) -> None:
    source = reader()
    customers = {record["id"]: record for record in source.read(enable_streams=[]).records("customers")}
    for name in ("customer_get_response", "customer_create_response"):
        sample = json.loads((FIXTURES / f"{name}.json").read_text())
        assert {key: value for key, value in customers[sample["id"]].items() if value is not None} == sample
    login = source.calls("/auth")[0]
    sent, documented = json.loads(login["body"]), json.loads((FIXTURES / "auth_request.json").read_text())
    assert sent.keys() == documented.keys()


def test_text_that_looks_like_a_number_stays_text_and_empty_stays_empty(reader: Callable[..., Reader]) -> None:
    created = {record["id"]: record for record in reader().read(enable_streams=[]).records("customers")}[4]
    assert (created["number"], created["address2"], created["zipCode"]) == ("01000", "", "")


def test_streams_that_are_guessed_are_off_by_default(reader: Callable[..., Reader]) -> None:
    source = reader()
    run = source.read(enable_streams=[])
    assert run.streams == ["fwos", "customers"]
    assert not source.calls("/project") + source.calls("/employee")


def test_p8_an_ignored_page_number_is_a_clean_stop(reader: Callable[..., Reader]) -> None:
    source = reader(ignore_page=True)
    run = source.read(page_size=10)
    assert run.code == 4
    assert "fwos: the API sends the same 10 of 371 rows for every page" in run.log
    assert "set pagination.page_param" in run.log
    assert len(source.calls("/fwo")) == 2
    assert not run.of("ACTIVATE_VERSION")
    assert run.state["bookmarks"] == {}


def test_p8_parameters_under_other_names_are_a_clean_stop(reader: Callable[..., Reader]) -> None:
    source = reader(page_param="pageNumber", size_param="pageSize", envelope="array")
    run = source.read()
    assert run.code == 4
    assert "set pagination.page_param" in run.log


def test_p8_a_list_that_ignores_the_page_but_holds_everything_is_read(reader: Callable[..., Reader]) -> None:
    source = reader(ignore_page=True, ignore_size=True, default_size=2000)
    run = source.read()
    assert run.code == 0, run.log
    source.assert_exact(run)


def test_a_list_without_pages_can_be_named(reader: Callable[..., Reader]) -> None:
    source = reader(ignore_page=True, ignore_size=True, default_size=2000, envelope="array")
    assert source.read().code == 4
    run = source.read(pagination={"unpaged": ["fwos", "customers", "projects", "employees"]})
    assert run.code == 0, run.log
    source.assert_exact(run)


def test_parameters_that_the_api_refuses_need_a_setting(reader: Callable[..., Reader]) -> None:
    source = reader(first_page=1, page_zero="error")
    run = source.read(pagination={"first_page": 0})
    assert run.code == 4
    assert "fwos: GET /fwo: 400 Bad Request: the API does not accept the request" in run.log
    assert "check the setting pagination" in run.log


def test_parameters_without_a_name_are_not_sent(reader: Callable[..., Reader]) -> None:
    source = reader()
    run = source.read(pagination={"size_param": "", "sort_param": ""}, enable_streams=[])
    source.assert_exact(run, "fwos", "customers")
    assert {call["query"].rstrip("0123456789") for call in source.calls("/fwo")} == {"", "page="}


@pytest.mark.parametrize("error", [{}, {"error": None}], ids=["plain", "with-error-null"])
def test_rows_under_another_name_need_a_setting(reader: Callable[..., Reader], error: dict[str, None]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "patch", times=None, set=error)
    run = source.read(pagination={"records": ["tickets"]}, retry_max_s=0)
    assert run.code == 4
    assert "no list under tickets, fwos; set pagination.records" in run.log
    assert len(source.calls("/fwo")) == 1


def test_paths_can_be_replaced(reader: Callable[..., Reader]) -> None:
    source = reader(customer_list="404")
    base = source.world.url("peerassist").removesuffix("/peerassist")
    paths = {"auth": "/auth", "fwos": "/fwo", "customers": "/customer", "customer": "/customer/{id}"}
    paths |= {"projects": "/project", "employees": "/employee"}
    run = source.read(api_url=base, endpoints={name: f"/peerassist{path}" for name, path in paths.items()})
    assert run.code == 0, run.log
    source.assert_exact(run)


@pytest.mark.parametrize(("stream", "path"), [("projects", "/project"), ("employees", "/employee")])
def test_a_guessed_call_that_does_not_exist_fails_its_stream(
    reader: Callable[..., Reader], stream: str, path: str
) -> None:
    source = reader(missing=[path])
    run = source.read()
    assert run.code == 4
    assert f"{stream}: GET {path}: 404 Not Found: this call does not exist; set endpoints.{stream}" in run.log
    assert not run.records(stream)
    source.assert_exact(run, *({"fwos", "customers", "projects", "employees"} - {stream}))


def test_a_poor_role_fails_its_stream_with_a_hint_and_the_others_go_on(reader: Callable[..., Reader]) -> None:
    source = reader(role="field")
    run = source.read()
    assert run.code == 4
    assert "employees: GET /employee: 403 Forbidden: the role of this user does not allow it" in run.log
    source.assert_exact(run, "fwos", "customers", "projects")


def test_a_role_without_rights_is_a_clean_stop(reader: Callable[..., Reader]) -> None:
    source = reader(role="none")
    run = source.read()
    assert run.code == 4
    assert not run.of("RECORD")
    assert run.log.count("the role of this user") == 4
    assert len(source.calls("/auth")) == 1
