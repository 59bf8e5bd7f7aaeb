"""What the tap emits equals the truth, whatever habits the server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pegke.conftest import Reader

BATCH = ("system_status", "offers", "customer_points", "points_history", "customers", "store_history", "user_history")
ALL = (*BATCH, "users")


@pytest.mark.parametrize(
    ("switches", "settings"),
    [
        pytest.param({}, {}, id="defaults"),
        pytest.param(
            {"first_page": "alike", "history_end": "last", "times": "unix", "ids": "number"},
            {},
            id="P8-pages-0-and-1-alike-unix-seconds",
        ),
        pytest.param(
            {"first_page": "one", "history_order": "oldest", "times": "unix_text", "ids": "text"},
            {},
            id="pages-from-1-seconds-as-text",
        ),
        pytest.param(
            {"first_page": "one", "page_length": 7, "times": "naive", "offers_envelope": False},
            {"first_page": 1},
            id="S8-naive-times-in-india",
        ),
        pytest.param(
            {"routing": "path", "forms": "multipart", "token_life_s": 0, "token_refresh": False},
            {"merchant_style": "path", "form": "multipart"},
            id="path-style-lasting-token",
        ),
        pytest.param(
            {"routing": "query", "forms": "urlencoded", "history_end": "last", "page_length": 40},
            {},
            id="query-style-P5-long-pages",
        ),
    ],
)
def test_exact_under_every_switch(
    make_pegke: Callable[..., Reader], switches: dict[str, Any], settings: dict[str, Any]
) -> None:
    pegke = make_pegke(**switches)
    run = pegke.read(*ALL, **settings)
    pegke.exact(run, *ALL)
    assert pegke.world.stats("pegke")["writes"] == []


@pytest.mark.parametrize(
    ("tokens", "paging", "streams", "calls"),
    [
        pytest.param(
            {"after_expiry": "same"},
            {},
            ("user_history",),
            (1, 1),
            id="A1-same-dead-token-until-refreshed-pages-from-0",
        ),
        pytest.param(
            {"token_refresh": False, "token_life_s": 1_000_000, "token_flood_limit": 1, "token_flood_window_s": 1_500},
            {"first_page": "alike", "history_end": "last"},
            ("user_history",),
            (3, 0),
            id="A5-no-refresh-token-flood-limit-P8-pages-0-and-1-alike-last-page-again",
        ),
        pytest.param(
            {"token_refresh_works": False},
            {"first_page": "one", "history_order": "oldest"},
            ("user_history", "store_history"),
            (2, 1),
            id="A1-refused-refresh-token-pages-from-1-oldest-first",
        ),
        pytest.param(
            {"token_life_s": 0, "token_refresh": False},
            {"history_end": "last"},
            ("users", "points_history", "customers"),
            (1, 0),
            id="token-without-end-last-page-again",
        ),
    ],
)
def test_s14_exact_with_5000_customers_under_every_token_and_paging_switch(
    make_pegke: Callable[..., Reader],
    tokens: dict[str, Any],
    paging: dict[str, Any],
    streams: tuple[str, ...],
    calls: tuple[int, int],
) -> None:
    floods = "token_flood_limit" in tokens
    pegke = make_pegke(size="medium", clock_rate=300.0 if floods else 1.0, **{"page_length": 60, **tokens, **paging})
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=50 if floods else 5_000)
    run = pegke.read(*streams, concurrency=8)
    pegke.exact(run, *streams)
    assert len(pegke.account().config["customers"]) == 5_000
    assert len(run.output.splitlines()[-1]) < 50_000
    # Where tokens are requested too often, how many tries it takes is chance.
    asked, refreshed = pegke.count("/v1/oauth2/token"), pegke.count("/simple-oauth/refresh")
    assert (min(asked, 3), refreshed) == calls


def test_histories_without_ids_keep_equal_entries_apart(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(ids="none")
    streams = ("points_history", "user_history", "store_history")
    first, second = (pegke.read(*streams) for _ in range(2))
    for stream in streams:
        keys = first.keys(stream)
        assert len(first.rows(stream)) == len(first.records(stream)) == len(pegke.world.truth("pegke", stream))
        assert without(first.records(stream), "_entry_id") == without(pegke.world.truth("pegke", stream))
        assert {tuple(row[key] for key in keys) for row in first.records(stream)} == set(second.rows(stream))


def test_a_page_that_is_read_again_in_parts_changes_no_key(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(ids="none")
    undisturbed = pegke.read("store_history", concurrency=1)
    pegke.world.fault(
        "pegke", "/v1/store/history", "patch", after=2, times=None, set={"data.3._entry_id": "a name of ours"}
    )
    disturbed = pegke.read("store_history", concurrency=1)
    assert any("_extra" in row for row in disturbed.records("store_history"))
    assert disturbed.rows("store_history").keys() == undisturbed.rows("store_history").keys()


def without(rows: list[dict[str, Any]], *names: str) -> list[str]:
    plain = ({name: value for name, value in row.items() if name not in names and value is not None} for row in rows)
    return sorted(repr(sorted(row.items())) for row in plain)


def test_order_and_state_do_not_depend_on_concurrency(pegke: Reader) -> None:
    runs = [pegke.read(*BATCH, concurrency=workers) for workers in (1, 8)]
    for stream in BATCH:
        assert runs[0].records(stream) == runs[1].records(stream)
    assert runs[0].state == runs[1].state


def test_basic_details_of_customers_cost_no_request(pegke: Reader) -> None:
    history = "/apiv1/check_history"
    pegke.read("points_history")
    asked = pegke.count(history)
    pegke.exact(pegke.read("points_history", "customers"), "customers")
    assert pegke.count(history) == 2 * asked


def test_a_tick_later_only_news_come(pegke: Reader) -> None:
    first = pegke.read(*BATCH)
    pegke.world.tick()
    second = pegke.read(*BATCH, state=first.state)
    for stream in ("points_history", "store_history", "user_history"):
        both = {**first.rows(stream), **second.rows(stream)}
        assert both == pegke.truth(stream, second)
        assert len(second.records(stream)) < len(first.records(stream)) / 2
    pegke.exact(second, "customer_points", "customers")
