"""The days of the sandbox's story, as ``make demo`` and ``make sandbox`` tell them: right on a slow machine, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.client import Sandbox, World
from scripts.story import SANDBOX, first_moment, world
from tests.duck import reading
from tests.pipeline.conftest import BIN
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SINCE = "2026-01-25"
RUN = timedelta(minutes=20)
"""How long one run of the demo takes on a machine that is ten times slower than an old laptop."""

MOMENTS = {
    "in-turn": [datetime(2026, 11, 29, 12, tzinfo=UTC) + number * RUN for number in range(3)],
    "at-midnight": [datetime(2026, 11, 29, 23, 59, tzinfo=UTC) + number * RUN for number in range(3)],
    "nightly": [datetime(2026, 11, 29, 0, 0, tzinfo=UTC) + timedelta(days=number) for number in range(3)],
}


@contextmanager
def served(day: int, now: datetime) -> Iterator[World]:
    """The world of a day of the story, as the demo begins it at a moment."""
    command = [str(SANDBOX), "serve", "--until-eof", *world(day, now)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        yield World(Sandbox(json.loads(process.stdout.readline())["url"]))
        process.stdin.close()


def pass_by(told: World, time: timedelta) -> float:
    """Let real time pass, as in a slow run; returns what the clock shows then."""
    told.advance(time.total_seconds() * float(told.clock().split(",")[2]))
    return float(told.clock().split(",")[0])


def load(folder: Path, env: Mapping[str, str]) -> str:
    """Read premiumpay with the warehouse's own state, and load it; returns what both say."""
    (folder / "config.json").write_text('{"path": "warehouse.duckdb"}')
    (folder / "tap.json").write_text(json.dumps({"start_date": SINCE}))
    reads = f"{BIN}/tap-premiumpay --config ENV --config tap.json $(test -f state.json && echo --state state.json)"
    piped = f"{reads} | {BIN}/target-duckhouse --config config.json > states && tail -n 1 states > state.json"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", piped], cwd=folder, env=env, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS)
def test_every_day_is_exact_however_long_a_run_takes(tmp_path: Path, moments: list[datetime]) -> None:
    clocks = []
    for day, now in enumerate(moments):
        with served(day, now) as told:
            clocks.append(pass_by(told, timedelta()))
            clocks.append(pass_by(told, RUN))
            said = load(tmp_path, {**os.environ, **told.env("premiumpay")})
            sold = {row["date_time"] for row in told.truth("premiumpay", "sales") if row["date_time"] >= SINCE}
        with reading(tmp_path / "warehouse.duckdb") as con:
            shown = "strftime(date_time, '%Y-%m-%dT%H:%M:%S.%fZ')"
            found = {
                time for (time,) in con.execute(f"SELECT {shown} FROM sales WHERE {shown} >= ?", [SINCE]).fetchall()
            }
        assert found == sold, f"day {day}"
        assert "WARNING" not in said
    assert clocks == sorted(clocks), "a run begins after the last one has ended"


@pytest.mark.parametrize("day", [None, 3])
def test_make_sandbox_shows_the_day_that_the_demo_has_reached(tmp_path: Path, day: int | None) -> None:
    if day is not None:
        (tmp_path / ".meltano").mkdir()
        (tmp_path / ".meltano/demo-day").write_text(f"{day}\n")
    code = "import os; print(os.environ['MERCHANT_CLOCK'])"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.story", sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    start, _, rate = map(float, done.stdout.split(","))
    assert rate == 1
    assert timedelta(0) < datetime.fromtimestamp(start, UTC) - first_moment(day or 0) < timedelta(days=1, minutes=11)
