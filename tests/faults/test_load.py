"""``tap | target-duckhouse`` for every vendor: exact in the warehouse, whatever is killed."""

from __future__ import annotations

import os
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

    from tap_core.testing import Run
    from tests.faults.pipe import Kill
    from tests.faults.shop import Shop

KILLS = int(os.environ.get("KILLS", "3"))
"""How many kills each vendor suffers; `make soak` sets it."""

AROUND_TODAY = frozenset({"availability", "availability_calendar"})
"""Read for some days around today; older days stay as they were read last."""


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
def test_the_warehouse_equals_what_the_tap_has_read(shop: Shop) -> None:
    assert shop.calm is not None
    pipe = Pipe(shop, {"flush_interval_s": 60, "batch_rows": 100_000})
    tap, loader, said = pipe.run()
    assert (tap, loader) == (0, 0), said
    assert_loaded(pipe, shop.calm)


@pytest.mark.parametrize("name", VENDORS)
def test_s1_l5_a_kill_at_any_point_and_another_run_are_exact(make_shop: Callable[..., Shop], name: str) -> None:
    """Tap, loader or both, with or without a day between, in tables and in a lake."""

    @settings(
        max_examples=KILLS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(kill=kills, ticks=st.integers(0, 1), lake=st.booleans(), resume_state=st.booleans())
    def killed(*, kill: Kill, ticks: int, lake: bool, resume_state: bool) -> None:
        shop = make_shop(name, clock_rate=1)
        folder = shop.folder / os.urandom(6).hex()
        folder.mkdir()
        shop.folder = folder
        chosen = {"resume_state": resume_state} | ({"lake_path": str(folder / "lake")} if lake else {})
        pipe = Pipe(shop, chosen)
        *_, said = pipe.run(kill)
        assert "Traceback" not in said
        shop.world.tick(ticks)
        tap, loader, said = pipe.run()
        assert (tap, loader) == (0, 0), said
        assert_loaded(pipe, shop.read(everything=True), sent_before=bool(ticks))

    killed()
