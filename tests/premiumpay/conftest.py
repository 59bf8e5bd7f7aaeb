"""Runs of the tap against worlds of the sandbox, and what they must have read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.clock import DAY
from merchant_sandbox.timeline import LAST_DAY
from tap_core.testing import Account, Run, merged, run_tap, without_nulls
from tap_core.timestamps import parse
from tap_core.windows import Grid, SteppedGrid
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from merchant_sandbox.client import World

OWN = {"_window_start", "_window_end", "_surrogate_key", "_extra", "_read_at"}
LISTS = ("gateways", "services", "channels", "channel_links")
ROWS = ("sales", "channel_results", "channel_sales")

Record = dict[str, Any]


def bag(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Rows as a multiset, without what depends on the tap's windows."""
    plain = ({name: value for name, value in without_nulls(row).items() if name not in OWN} for row in rows)
    return Counter(json.dumps(row, sort_keys=True) for row in plain)


@dataclass
class Warehouse:
    """Runs of the tap, one after the other, and what a target holds after them."""

    world: World
    config: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def run(self, **config: Any) -> Run:
        """Run the tap from the last state."""
        account = Account(self.world.config("premiumpay"), self.world.env("premiumpay"))
        run = run_tap(TapPremiumpay, account, config={**self.config, **config}, state=self.state or None)
        self.take(run)
        return run

    def take(self, run: Run) -> None:
        """Load what a run gave, up to and beyond its last state."""
        for message in run.messages:
            match message["type"]:
                case "SCHEMA":
                    self.keys[message["stream"]] = message["key_properties"]
                case "RECORD":
                    self.records.setdefault(message["stream"], []).append(message["record"])
                case "STATE":
                    self.state = message["value"]

    def rows(self, stream: str) -> list[Record]:
        """The rows of a stream, by key, the last one wins."""
        if stream not in self.keys:
            return []
        return list(merged(self.records.get(stream, []), self.keys[stream]).values())

    def truth(self, stream: str) -> list[Record]:
        """What the rows of a stream must be, from the day on which the first window begins."""
        return self.world.truth("premiumpay", stream)

    def check(self, *streams: str) -> None:
        """The rows are the truth."""
        for stream in streams:
            if stream == "aggregated_sales":
                self.check_aggregates()
            else:
                assert bag(self.rows(stream)) == bag(self.truth(stream)), stream

    def check_aggregates(self) -> None:
        """The aggregates are the sums of the truth's days, in the windows that the state names."""
        kept = self.state["bookmarks"]["aggregated_sales"]["_grid"]
        grid = SteppedGrid(
            Grid(timedelta(days=kept["backfill_window_days"])),
            Grid(timedelta(hours=kept["window_hours"])),
            parse(kept["boundary"]),
        )
        expected: dict[tuple[str, ...], tuple[int, Decimal]] = {}
        for row in self.truth("aggregated_sales"):
            day = parse(row["_window_start"])
            window = next(grid.cells(day, day + timedelta(seconds=1)))
            key = (row["aggregate_field"], window.start_text, window.end_text, row["_group_value"], row["currency"])
            number, total = expected.get(key, (0, Decimal(0)))
            expected[key] = number + row["sales"], total + Decimal(row["amount"])
        names = self.keys["aggregated_sales"]
        found = {
            tuple(row[name] for name in names): (row["sales"], Decimal(row["amount"]))
            for row in self.rows("aggregated_sales")
        }
        assert found == expected

    def check_windows(self) -> None:
        """Sales stand in the window in which they took place."""
        for stream in ("sales", "channel_sales"):
            for row in self.rows(stream):
                if "date_time" in row:
                    assert row["_window_start"] <= row["date_time"] < row["_window_end"], (stream, row)


@pytest.fixture
def make(make_world: Callable[..., World]) -> Callable[..., Warehouse]:
    """Makes a world and an empty warehouse for it; a clock a day behind the story, and no rate limit by default."""

    def build(
        *,
        config: Mapping[str, Any] | None = None,
        clock_start: float = LAST_DAY + DAY,
        ticks: int = 0,
        clock_rate: float = 1.0,
        **switches: Any,
    ) -> Warehouse:
        world = make_world(
            clock_start=clock_start,
            ticks=ticks,
            clock_rate=clock_rate,
            switches={"premiumpay": {"rate_limit": 0, **switches}},
        )
        return Warehouse(world, {"start_date": "2025-02-01", **(config or {})})

    return build


def day(moment: float) -> str:
    """A date as a setting."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
