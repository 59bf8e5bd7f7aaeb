"""The project as shipped, through Meltano: each vendor's tables equal what the vendor has, day after day."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import without_nulls
from tap_peakium.tap import TapPeakium
from tap_peek.tap import TapPeek
from tap_peerassist.tap import TapPeerAssist
from tap_pegke.tap import TapPegke
from tap_premiumpay.tap import TapPremiumpay
from tests.pipeline.conftest import BIN, OURS, held, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from merchant_sandbox.client import World
    from tap_core.tap import CoreTap
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

DAY = 86_400
FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
TAPS: dict[str, type[CoreTap]] = {
    "peakium": TapPeakium,
    "premiumpay": TapPremiumpay,
    "peerassist": TapPeerAssist,
    "pegke": TapPegke,
    "peek": TapPeek,
}
OF_A_MOMENT = {"server_status", "store_activity"}
"""What a run happens to meet: it is not there to be read again."""
IN_WINDOWS = {"aggregated_sales"}
"""Sums over the windows of the tap, which the truth tells for days."""
AROUND_TODAY = {
    "availability": ("localDateTimeStart", 1),
    "availability_calendar": ("localDate", 1),
    "bookings": ("_travel_date", 365),
    "booking_unit_items": ("_travel_date", 365),
}
"""Read from this many days back on, by this column: older days stay as they were read last."""


RUN = ("run", "--no-install", "--force", "--state-id-suffix=as-shipped")


def environment(project: Project, world: World, warehouse: Path, vendors: Iterable[str]) -> dict[str, str]:
    env = project.environment(world, TARGET_DUCKHOUSE_PATH=str(warehouse))
    for vendor in vendors:
        env |= {**world.env(vendor), f"TAP_{vendor.upper()}_API_URL": world.url(vendor)}
    env["TAP_PREMIUMPAY_LOOKBACK_DAYS"] = "40"  # refunds reach back farther than the two days of the default
    return env


def run(project: Project, worlds: Mapping[str, World], warehouse: Path, *options: str) -> None:
    """Load all vendors; those that share a world in one call."""
    for world in dict.fromkeys(worlds.values()):
        vendors = [vendor for vendor, own in worlds.items() if own is world]
        blocks = [name for vendor in vendors for name in (f"tap-{vendor}", "target-duckhouse")]
        done = project.meltano(*RUN, *options, *blocks, env=environment(project, world, warehouse, vendors))
        assert done.returncode == 0, done.stderr


def run_at_once(project: Project, worlds: Mapping[str, World], warehouse: Path, victim: str) -> None:
    """Load each vendor in a process of its own, all at once. One is killed with all that it has started."""
    world = worlds[victim]
    world.fault(victim, "/bookings", "stall", times=None)
    runs = {
        vendor: subprocess.Popen(
            [str(BIN / "meltano"), *RUN, f"tap-{vendor}", "target-duckhouse"],
            cwd=project.folder,
            env=environment(project, own, warehouse, [vendor]),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for vendor, own in worlds.items()
    }
    while not world.faults(victim)[0]["fired"]:
        assert runs[victim].poll() is None
    os.killpg(runs[victim].pid, signal.SIGKILL)
    for vendor, process in runs.items():
        _, said = process.communicate()
        assert process.returncode == (-signal.SIGKILL if vendor == victim else 0), said.decode()
    world.clear_faults()


def comparable(rows: Sequence[dict[str, Any]], columns: AbstractSet[str], exact: AbstractSet[str]) -> Counter[str]:
    """Rows as texts, without nulls and without what the vendor's truth cannot know, such as a hash.

    Args:
        rows: The rows.
        columns: What the truth knows.
        exact: Columns of exact decimals, which are compared as numbers.
    """
    plain = [
        {
            name: f"{Decimal(value).normalize():f}" if name in exact else value
            for name, value in without_nulls(row).items()
            if name in columns
        }
        for row in rows
    ]
    return Counter(json.dumps(row, sort_keys=True) for row in plain)


def summed(rows: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    """Number and sum of aggregates, whatever windows they were asked for in."""
    sums: dict[tuple[Any, ...], tuple[int, Decimal]] = {}
    for row in rows:
        group = row["aggregate_field"], row["_group_value"], row["currency"]
        sales, amount = sums.get(group, (0, Decimal(0)))
        sums[group] = sales + row["sales"], amount + Decimal(row["amount"])
    return sums


def assert_exact(warehouse: Path, worlds: Mapping[str, World]) -> None:
    for vendor, world in worlds.items():
        loaded = tables(warehouse, vendor)
        assert loaded, vendor
        for stream in sorted({kind.name for kind in TAPS[vendor].stream_types} & loaded - OF_A_MOMENT):
            truth = world.truth(vendor, stream)
            rows = held(warehouse, vendor, stream)
            if stream in IN_WINDOWS:
                assert summed(rows) == summed(truth), f"{vendor}.{stream}"
                continue
            if stream in AROUND_TODAY:
                column, back = AROUND_TODAY[stream]
                start, anchor, rate = map(float, world.clock().split(","))
                now = datetime.fromtimestamp(start + (time.time() - anchor) * rate, UTC)
                first = (now - timedelta(days=back)).date().isoformat()
                rows = [row for row in rows if row[column] >= first]
                truth = [row for row in truth if row[column] >= first]
            columns = {name for row in truth for name in row} - {*OURS}
            exact = {name for row in rows for name, value in row.items() if isinstance(value, Decimal)}
            wanted, found = comparable(truth, columns, exact), comparable(rows, columns, exact)
            assert list((wanted - found).items())[:3] == [], f"{vendor}.{stream} lacks rows"
            assert list((found - wanted).items())[:3] == [], f"{vendor}.{stream} has rows too many"


def assert_marked(warehouse: Path, seen: dict[tuple[str, str], set[tuple[Any, ...]]]) -> None:
    """The rows that are marked as deleted are those that were there on an earlier day, and are not now.

    Args:
        warehouse: The DuckDB file.
        seen: The keys of all rows that each table has ever had; those of today are added.
    """
    for vendor, tap in TAPS.items():
        kinds = {kind.name: kind.primary_keys for kind in tap.stream_types}
        for stream in kinds.keys() & tables(warehouse, vendor) - OF_A_MOMENT:
            there, gone = (
                {tuple(row[key] for key in kinds[stream]) for row in held(warehouse, vendor, stream, gone=gone)}
                for gone in (False, True)
            )
            known = seen.setdefault((vendor, stream), set())
            known |= there
            assert gone == known - there, f"{vendor}.{stream}"


def test_m5_m6_the_project_as_shipped_is_exact_over_28_days_and_after_a_full_refresh(
    project: Project, make_world: Callable[..., World], tmp_path: Path
) -> None:
    # One clock runs fast, so that an hour's budget of calls lasts less than a second, of which each run waits for some.
    usual = make_world(switches={"peek": {"removals": True}})
    hasty = make_world(clock_start=FIRST_DAY, clock_rate=6000, switches={"premiumpay": {"rate_limit": 400}})
    warehouse = tmp_path / "warehouse.duckdb"
    worlds = {vendor: hasty if vendor == "premiumpay" else usual for vendor in TAPS}
    seen: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for days in (0, 1, 27):
        for world in (usual, hasty):
            world.tick(days)
            world.advance(days * DAY)
        if not days:
            run_at_once(project, worlds, warehouse, victim="peek")
        run(project, worlds if days else {"peek": usual}, warehouse)
        assert_exact(warehouse, worlds)
        assert_marked(warehouse, seen)
    run(project, worlds, warehouse, "--full-refresh")
    assert_exact(warehouse, worlds)
    assert_marked(warehouse, seen)
    went = {vendor for (vendor, stream), keys in seen.items() if len(keys) > len(held(warehouse, vendor, stream))}
    assert len(went) > 1, "rows go at several vendors"
