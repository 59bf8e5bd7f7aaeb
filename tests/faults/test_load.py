"""``tap | target-duckhouse`` for every vendor: exact in the warehouse, whatever is killed."""

from __future__ import annotations

import os
import signal
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tap_core.testing import without_nulls
from tests.faults.pipe import Kill, Pipe
from tests.faults.shop import OF_A_MOMENT, given
from tests.faults.vendors import VENDORS, of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.testing import Run
    from tests.faults.shop import Shop

KILLS = int(os.environ.get("KILLS", "3"))
"""How many kills each vendor suffers; `make soak` sets it."""

AROUND_TODAY = frozenset({"availability", "availability_calendar"})
"""Read for some days around today; older days stay as they were read last."""


def comparable(rows: list[dict[str, Any]], numbers: set[str]) -> dict[str, int]:
    """Rows as texts, each with how often it comes; exact decimals are compared as numbers."""
    found: dict[str, int] = {}
    for row in rows:
        plain = {
            name: f"{Decimal(str(value)).normalize():f}" if name in numbers else value
            for name, value in without_nulls(row).items()
            if name != "_read_at"
        }
        text = repr(sorted(plain.items(), key=str))
        found[text] = found.get(text, 0) + 1
    return found


def decimals(run: Run, stream: str) -> set[str]:
    """The columns of a stream that hold numbers which are not integers."""
    return {
        name
        for name, member in run.schema(stream)["properties"].items()
        if "number" in member["type"] or member.get("format") == "x-singer.decimal" or "x-singer.decimal" in member
    }


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


moments = st.tuples(st.just("bytes"), st.integers(1, 200_000)) | st.tuples(st.just("commits"), st.integers(1, 5))
kills = st.builds(
    lambda victims, number, moment: Kill(victims, number, *moment),
    st.sampled_from(["tap", "loader", "both"]),
    st.sampled_from([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]),
    moments,
)


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
