"""``tap | target-duckhouse`` for every vendor: exact in the warehouse, whatever is killed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.faults.kills import kills
from tests.faults.pipe import Pipe
from tests.faults.rows import comparable, decimals
from tests.faults.shop import OF_A_MOMENT, given
from tests.faults.vendors import VENDORS, of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_core.testing import Run
    from tests.faults.pipe import Kill
    from tests.faults.shop import Shop

KILLS = int(os.environ.get("KILLS", "25"))
"""How many kills each vendor suffers; `make soak` sets it."""

AT_ONCE = {"flush_interval_s": 60, "batch_rows": 100_000}
"""Settings of the loader with which a small world is one commit, as it would be at a user's."""

AROUND_TODAY = frozenset({"availability", "availability_calendar"})
"""Read for some days around today; older days stay as they were read last."""


def batches(folder: Path) -> dict[str, object]:
    """A setting of taps: records go through files."""
    return {"batch_config": {"storage": {"root": str(folder)}, "batch_size": 50}}


def assert_loaded(pipe: Pipe, fresh: Run, *, sent_before: bool = False) -> None:
    """The warehouse holds what a fresh run gives; rows that are gone may still be there where nothing tells of it."""
    for stream in fresh.streams:
        if stream in OF_A_MOMENT:
            continue
        numbers = decimals(fresh, stream)
        wanted = comparable(list(given(fresh).rows[stream].values()), numbers)
        found = comparable(pipe.rows(stream), numbers)
        assert {row: count for row, count in wanted.items() if found.get(row) != count} == {}, stream
        if not sent_before and stream not in AROUND_TODAY:
            assert found == wanted, stream


@of("L3")
@pytest.mark.parametrize("in_files", [False, True], ids=["RECORD", "BATCH"])
def test_the_warehouse_equals_what_the_tap_has_read(shop: Shop, *, in_files: bool) -> None:
    assert shop.calm is not None
    files = shop.folder / "files"
    pipe = Pipe(shop, AT_ONCE, config=batches(files) if in_files else {})
    tap, loader, said = pipe.run()
    assert (tap, loader) == (0, 0), said
    assert_loaded(pipe, shop.calm)
    assert files.exists() == in_files
    assert list(files.glob("*")) == []


@pytest.mark.parametrize("name", VENDORS)
def test_s1_l5_a_kill_at_any_point_and_another_run_are_exact(make_shop: Callable[..., Shop], name: str) -> None:
    """Tap, loader or both, with or without a day between, in tables, in Parquet files and in Delta tables."""
    fresh: dict[int, Run] = {}

    @settings(
        max_examples=KILLS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(
        kill=kills,
        ticks=st.integers(0, 1),
        lake=st.sampled_from([None, None, "parquet", "parquet", "delta"]),  # whose many versions take long
        resume_state=st.booleans(),
        in_files=st.sampled_from([False, False, True]),
    )
    def killed(*, kill: Kill, ticks: int, lake: str | None, resume_state: bool, in_files: bool) -> None:
        shop = make_shop(name, clock_rate=1)
        folder = shop.folder / os.urandom(6).hex()
        folder.mkdir()
        shop.folder = folder
        where = {"lake_path": str(folder / "lake"), "table_format": lake} if lake else {}
        chosen = {"resume_state": resume_state} | where
        config = batches(folder / "files") if in_files else {}
        struck = Pipe(shop, chosen, config=config)
        *_, said = struck.run(kill)
        assert "Traceback" not in said
        shop.world.tick(ticks)
        pipe = Pipe(shop, chosen | AT_ONCE, state=struck.state, config=config)
        tap, loader, said = pipe.run()
        assert (tap, loader) == (0, 0), said
        if ticks not in fresh:  # the worlds are equal
            fresh[ticks] = shop.read(everything=True)
        assert_loaded(pipe, fresh[ticks], sent_before=bool(ticks))
        shop.world.drop()

    killed()


def test_l5_l8_all_vendors_side_by_side_and_one_of_them_is_killed(
    make_shop: Callable[..., Shop], tmp_path: Path
) -> None:
    """Into one file. No load goes on after its first commit before all others but that one have committed, too."""
    fresh: dict[str, Run] = {}

    @settings(
        max_examples=max(KILLS // 25, 1),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(victim=st.sampled_from(sorted(VENDORS)), kill=kills)
    def killed(*, victim: str, kill: Kill) -> None:
        folder = tmp_path / os.urandom(6).hex()
        pipes, together = {}, Barrier(len(VENDORS) - 1)
        for name in VENDORS:
            shop = make_shop(name, clock_rate=1)
            shop.folder = folder / name
            shop.folder.mkdir(parents=True)
            pipes[name] = Pipe(shop, {"path": str(folder / "warehouse.duckdb")})

        def run(name: str) -> tuple[int, int, str]:
            if name == victim:
                return pipes[name].run(kill)
            return pipes[name].run(committed=lambda number: number == 1 and together.wait(300))

        with ThreadPoolExecutor(len(VENDORS)) as pool:
            done = dict(zip(VENDORS, pool.map(run, VENDORS), strict=True))
        *_, said = done.pop(victim)
        assert "Traceback" not in said
        done[victim] = pipes[victim].run()
        for name, (tap, loader, said) in done.items():
            assert (tap, loader) == (0, 0), said
            fresh[name] = fresh.get(name) or pipes[name].shop.read(everything=True)
            assert_loaded(pipes[name], fresh[name])
            pipes[name].shop.world.drop()

    killed()


SIZE = os.environ.get("WORLD_SIZE", "small")
"""The size of the world in which days pass; `make soak` sets it."""

ENOUGH_MB = 300
"""Memory in which a tap reads any world; the loader has a setting."""


@pytest.mark.parametrize("name", VENDORS)
def test_l1_l2_days_pass_in_mid_run_while_calls_fail(make_shop: Callable[..., Shop], name: str) -> None:
    """A tenth of all calls fails, a hundredth is reset, and three days pass; a second run makes it whole."""
    shop = make_shop(name, size=SIZE)
    shop.customers = None
    assert shop.read(everything=True).code == 0
    calls = len(shop.world.requests(name))
    shop.fault("status", "*", status=503, times=None, probability=0.1, seed=5)
    shop.fault("reset_body", "*", times=None, probability=0.01, seed=6)
    # One call at a time: of several, one might see two days pass before its second try, and its new token expire.
    loading = {"memory_limit_mb": 512, "batch_rows": 50_000, "flush_interval_s": 60}
    pipe = Pipe(shop, loading, config={"concurrency": 1, "lookback_days": 40})  # refunds reach back as far
    tap, loader, said = pipe.run(acts={calls * part // 4: shop.world.tick for part in (1, 2, 3)})
    assert (tap, loader) == (0, 0), said
    assert shop.fired[0] > 0
    tap, loader, said = pipe.run()
    assert (tap, loader) == (0, 0), said
    shop.world.clear_faults(name)
    assert_loaded(pipe, shop.read(everything=True), sent_before=True)
    assert pipe.peaks["tap"] < ENOUGH_MB
    assert pipe.peaks["loader"] < 512
