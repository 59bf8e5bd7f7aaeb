"""Runs of the tap against worlds of the sandbox, and what they must have read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from merchant_sandbox.clock import DAY
from merchant_sandbox.timeline import LAST_DAY
from tap_core.output.messages import MessageWriter
from tap_core.reading.windows import Grid, SteppedGrid
from tap_core.testing import Account, Run, merged, run_tap, without_nulls
from tap_core.timestamps import parse
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from merchant_sandbox.client import World

OWN = {"_window_start", "_window_end", "_surrogate_key", "_extra", "_read_at"}


class Answering(BaseHTTPRequestHandler):
    """A server whose answers are not the sandbox's."""

    @abstractmethod
    def found(self, asked: Mapping[str, Any]) -> Any:
        """What is answered to a POST to `path`."""

    def do_GET(self) -> None:
        self._answer({"status": "ok", "version": "1"})

    def do_POST(self) -> None:
        self._answer(self.found(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")))

    def _answer(self, found: Any) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


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
    folder: Path
    patch: pytest.MonkeyPatch
    state: dict[str, Any] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def account(self, **config: Any) -> Account:
        """Settings and variables."""
        settings = {**self.world.config("premiumpay"), **self.config, **config}
        settings = {name: value for name, value in settings.items() if value is not None}
        return Account(settings, {"MERCHANT_CLOCK": self.world.clock()})

    def run(self, **config: Any) -> Run:
        """Run the tap as a process, from the last state."""
        run = run_tap(TapPremiumpay, self.account(**config), state=self.state or None)
        self.take(run)
        return run

    def read(self, **config: Any) -> Run:
        """Run the tap inside this process, which is faster; failures are raised, and there is no log."""
        account = self.account(**config)
        self.patch.setenv("MERCHANT_CLOCK", account.env["MERCHANT_CLOCK"])
        with (self.folder / "messages.jsonl").open("w+b") as output:
            tap = TapPremiumpay(
                config=account.config, state=self.state or None, message_writer=MessageWriter(output.fileno())
            )
            tap.run()
            output.seek(0)
            run = Run(0, output.read(), "")
        self.take(run)
        return run

    def start(self, *arguments: str, **config: Any) -> subprocess.Popen[bytes]:
        """The tap as a process whose output can be read while it runs."""
        account = self.account(**config)
        names = {"config": account.config, "state": self.state}
        command = [sys.executable, "-m", "tap_premiumpay", *arguments]
        for name, content in names.items():
            if arguments and name == "state":
                continue
            path = self.folder / f"{name}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps(content))
            command += [f"--{name}", str(path)]
        return subprocess.Popen(
            command,
            env={**os.environ, **account.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # communicate() passes over what readline() has read ahead
        )

    def start_and_kill(self, lines: int, **config: Any) -> Run:
        """Run the tap as a process that is killed after so many lines of output."""
        process = self.start(**config)
        assert process.stdout is not None
        output = b"".join(process.stdout.readline() for _ in range(lines))
        process.kill()
        output += process.stdout.read()
        process.communicate()
        run = Run(process.returncode, output[: output.rfind(b"\n") + 1], "")
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
        """What the rows of a stream must be."""
        return self.world.truth("premiumpay", stream)

    def check(self, *streams: str) -> None:
        """The rows are the truth."""
        for stream in streams:
            if stream == "aggregated_sales":
                self.check_aggregates()
            else:
                assert bag(self.rows(stream)) == bag(self.truth(stream)), stream

    def check_aggregates(self, since: str = "", end: str = "9") -> None:
        """The aggregates are the sums of the truth's days, in the windows that the state names.

        Args:
            since: Days before are left out.
            end: So are days from then on.
        """
        kept = self.state["bookmarks"]["aggregated_sales"]["_grid"]
        grid = SteppedGrid(
            Grid(timedelta(days=kept["backfill_window_days"])),
            Grid(timedelta(hours=kept["window_hours"])),
            parse(kept["boundary"]),
        )
        expected: dict[tuple[str, ...], tuple[int, Decimal]] = {}
        for row in self.truth("aggregated_sales"):
            if not since <= row["_window_start"] < end:
                continue
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
def make(make_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Warehouse]:
    """Makes a world and an empty warehouse for it; a clock a day behind the story, and no rate limit by default."""

    def build(
        *,
        config: Mapping[str, Any] | None = None,
        clock_start: float = LAST_DAY + DAY,
        ticks: int = 0,
        clock_rate: float = 1.0,
        seed: int = 1,
        **switches: Any,
    ) -> Warehouse:
        world = make_world(
            seed=seed,
            clock_start=clock_start,
            ticks=ticks,
            clock_rate=clock_rate,
            switches={"premiumpay": {"rate_limit": 0, **switches}},
        )
        return Warehouse(world, {"start_date": "2025-02-01", **(config or {})}, tmp_path, monkeypatch)

    return build
