"""``tap-premiumpay | target-duckhouse``: windows that are read again replace their rows in the warehouse."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.clock import DAY, iso
from merchant_sandbox.timeline import LAST_DAY
from tests.loader.harness import Loader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.premiumpay.conftest import Warehouse

SINCE = "2026-01-15T00:00:00.000000Z"


def stored(loader: Loader, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of all sales in the warehouse."""
    shown = {"date_time": "strftime(date_time, '%Y-%m-%dT%H:%M:%S.%fZ')"}
    return sorted(loader.sql(f"SELECT {', '.join(shown.get(name, name) for name in columns)} FROM sales"), key=str)


def sold(house: Warehouse, end: str, *columns: str, since: str = SINCE) -> list[tuple[Any, ...]]:
    """The same columns of all sales that the vendor has."""
    rows = [row for row in house.truth("sales") if since <= row["date_time"] < end]
    return sorted((tuple(row.get(name) for name in columns) for row in rows), key=str)


def exact(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows with amounts as numbers, which the vendor sends as texts."""
    numbers = ((*row[:-1], row[-1] and Decimal(row[-1])) if len(row) == 6 else row for row in rows)
    return sorted(numbers, key=str)


@pytest.mark.parametrize("edges", ["[]", "()"])
def test_a_sale_without_id_that_changes_leaves_no_old_copy(
    make: Callable[..., Warehouse], tmp_path: Path, edges: str
) -> None:
    house = make(config={"start_date": SINCE}, clock_start=LAST_DAY + 9 * DAY, edges=edges, row_id=False)
    loader = Loader(tmp_path)
    columns = ("date_time", "pasarela_id", "service_id", "country", "currency")
    for day, lookback in enumerate((2, 2, 2, 2, 30)):
        end = iso(LAST_DAY + day * DAY)
        loader.load(house.read(end_date=end, lookback_days=lookback).output, replace_windows=True)
        assert stored(loader, *columns) == sold(house, end, *columns)
        house.world.tick(day < 4)
    assert loader.counts("sales")["deleted"] > 0
    refunded = [row for row in sold(house, end, "date_time", "amount") if row[1] == "0.00"]
    assert len(refunded) == len([row for row in stored(loader, "date_time", "amount") if row[1] == 0])
    assert loader.counts("aggregated_sales")["updated"] > 0


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("lines", [300])
def test_s1_what_a_killed_run_left_in_the_warehouse_is_completed(
    make: Callable[..., Warehouse], tmp_path: Path, lines: int, *, replace: bool
) -> None:
    house = make(config={"start_date": "2025-12-04", "backfill_window_days": 7}, row_id=False, edges="()")
    loader = Loader(tmp_path)
    states = loader.load(house.start_and_kill(lines).output, replace_windows=replace)
    house.state = states[-1] if states else {}
    loader.load(house.read().output, replace_windows=replace)
    columns = ("date_time", "pasarela_id", "service_id", "country", "currency")
    assert stored(loader, *columns) == sold(house, "9", *columns, since="2025-12-04")


@pytest.mark.parametrize("maps", [{}, {"sales": {"pasarela_id": "__NULL__"}}], ids=["", "without-partition"])
def test_a_gateway_that_joins_later_leaves_the_others_in_the_warehouse(
    make: Callable[..., Warehouse], tmp_path: Path, maps: dict[str, Any]
) -> None:
    house, loader = make(config={"start_date": SINCE, "stream_maps": maps}), Loader(tmp_path)
    loader.load(house.read().output, replace_windows=True)
    before = stored(loader, "_window_start", "_surrogate_key")
    house.state["bookmarks"]["sales"]["_partitions"] = "65 2 1"
    loader.load(house.read().output, replace_windows=True)
    assert stored(loader, "_window_start", "_surrogate_key") == before


def test_a_window_that_became_empty_is_empty_in_the_warehouse(make: Callable[..., Warehouse], tmp_path: Path) -> None:
    config = {"start_date": SINCE, "end_date": "2026-02-01", "window_hours": 1, "backfill_window_days": 1}
    first, second = (make(config={**config, "lookback_days": 400}, seed=seed) for seed in (1, 2))
    loader, columns = Loader(tmp_path), ("pasarela_id", "date_time", "id", "_window_start")
    loader.load(first.read().output, replace_windows=True)
    windows = {row[-1] for row in stored(loader, *columns)}
    second.state = first.state
    loader.load(second.read().output, replace_windows=True)
    assert stored(loader, "pasarela_id", "date_time") == sold(second, "2026-02-01", "pasarela_id", "date_time")
    assert windows - {row[-1] for row in stored(loader, *columns)}


def test_sales_of_other_services_stay_where_one_is_read_alone(make: Callable[..., Warehouse], tmp_path: Path) -> None:
    house, loader = make(config={"start_date": SINCE}), Loader(tmp_path)
    loader.load(house.read().output, replace_windows=True)
    before = stored(loader, "pasarela_id", "service_id", "_surrogate_key")
    assert len({row[1] for row in before}) > 1
    loader.load(house.read(service_id=2).output, replace_windows=True)
    assert stored(loader, "pasarela_id", "service_id", "_surrogate_key") == before


@pytest.mark.parametrize("row_id", [True, False], ids=["id", "no-id"])
def test_marked_windows_are_exact_without_a_setting(
    make: Callable[..., Warehouse], tmp_path: Path, *, row_id: bool
) -> None:
    house = make(config={"start_date": SINCE, "lookback_days": 3}, clock_start=LAST_DAY + 9 * DAY, row_id=row_id)
    loader, columns = Loader(tmp_path), ("date_time", "pasarela_id", "service_id", "country", "currency", "amount")
    for day in range(6):
        end = iso(LAST_DAY + day * DAY)
        house.state = {} if day in {3, 5} else house.state  # a full refresh
        loader.load(house.read(end_date=end).output)
        amounts = slice(-1) if day in {1, 2, 4} else slice(None)  # older refunds come with the next full refresh
        assert stored(loader, *columns[amounts]) == exact(sold(house, end, *columns[amounts]))
        house.world.tick(1)
