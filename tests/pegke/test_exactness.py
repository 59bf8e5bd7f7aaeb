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


def test_s14_exact_with_5000_customers(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(size="medium", page_length=60)
    assert len(pegke.account().config["customers"]) == 5_000
    run = pegke.read("points_history", "customers", concurrency=8)
    pegke.exact(run, "points_history", "customers")
    assert len(run.output.splitlines()[-1]) < 50_000


def test_histories_without_ids_keep_equal_entries_apart(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(ids="none")
    streams = ("points_history", "user_history", "store_history")
    first, second = (pegke.read(*streams) for _ in range(2))
    for stream in streams:
        keys = first.keys(stream)
        assert len(first.rows(stream)) == len(first.records(stream)) == len(pegke.world.truth("pegke", stream))
        assert without(first.records(stream), "_entry_id") == without(pegke.world.truth("pegke", stream))
        assert {tuple(row[key] for key in keys) for row in first.records(stream)} == set(second.rows(stream))


def without(rows: list[dict[str, Any]], *names: str) -> list[str]:
    plain = ({name: value for name, value in row.items() if name not in names and value is not None} for row in rows)
    return sorted(repr(sorted(row.items())) for row in plain)


def test_order_and_state_do_not_depend_on_concurrency(pegke: Reader) -> None:
    runs = [pegke.read(*BATCH, concurrency=workers) for workers in (1, 8)]
    for stream in BATCH:
        assert runs[0].records(stream) == runs[1].records(stream)
    assert runs[0].state == runs[1].state


def test_a_tick_later_only_news_come(pegke: Reader) -> None:
    first = pegke.read(*BATCH)
    pegke.world.tick()
    second = pegke.read(*BATCH, state=first.state)
    for stream in ("points_history", "store_history", "user_history"):
        both = {**first.rows(stream), **second.rows(stream)}
        assert both == pegke.truth(stream, second)
        assert len(second.records(stream)) < len(first.records(stream)) / 2
    pegke.exact(second, "customer_points", "customers")
