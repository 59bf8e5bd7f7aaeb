"""dbt in a process of its own, and warehouses loaded from the sandbox for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_sandbox.client import World

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-dbt/bin/python"
PROJECT = ROOT / "transform"
VENDORS = ("peakium", "premiumpay", "peerassist", "pegke", "peek")
FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
HISTORIES = ["availability", "fwos"]


@dataclass
class Dbt:
    """A running worker (`tests.transform.worker`)."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, *arguments: str, **env: str) -> dict[str, Any]:
        """Run a command; returns what became of it."""
        assert self.process.stdin
        assert self.process.stdout
        places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        outputs = ["--target-path", str(self.folder), "--log-path", str(self.folder)]
        asked = {"arguments": [*arguments, *places, *outputs], "env": {"MERCHANT_AS_OF": "", **env}}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def build(self, warehouse: Path, *arguments: str, **env: str) -> dict[str, Any]:
        """Build everything in a DuckDB file, which must succeed."""
        done = self.run("build", *arguments, DBT_TARGET="duckdb", MERCHANT_WAREHOUSE=str(warehouse), **env)
        assert done["success"], done["messages"]
        return done


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    """dbt, with the project parsed."""
    if not PYTHON.exists():
        pytest.skip("dbt is not installed: make dbt")
    folder = tmp_path_factory.mktemp("dbt")
    worker = [str(PYTHON), str(Path(__file__).with_name("worker.py"))]
    env = {**os.environ, "MERCHANT_WAREHOUSE": str(folder / "warehouse.duckdb")}
    log = (folder / "worker.log").open("w")
    with subprocess.Popen(worker, stdin=-1, stdout=-1, stderr=log, text=True, env=env) as process:
        running = Dbt(process, folder)
        done = running.run("parse")
        assert done["success"], done["messages"]
        yield running
        assert process.stdin
        process.stdin.close()
    log.close()


@dataclass
class Shop:
    """A warehouse that is loaded from a world of the sandbox, day by day.

    Args:
        world: The world.
        path: The DuckDB file.
        settings: Settings of the loader.
        vendors: The vendors that are read.
    """

    world: World
    path: Path
    settings: dict[str, Any] = field(default_factory=dict)
    vendors: tuple[str, ...] = VENDORS
    env: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """Read what each vendor has now."""
        for vendor in self.vendors:
            config = self.path.with_name(f"{vendor}.json")
            config.write_text(
                json.dumps({"path": str(self.path), "schema": vendor, "hard_delete": False, "history": HISTORIES, **self.settings})
            )
            loader = [sys.executable, "-m", "target_duckhouse", "--config", str(config)]
            state = self.path.with_name(f"{vendor}-state.json")
            tap = [sys.executable, "-m", f"tap_{vendor}", "--config", "ENV", *(["--state", str(state)] if state.exists() else [])]
            env = {**os.environ, **self.world.env(vendor), "TAP_PREMIUMPAY_LOOKBACK_DAYS": "40", **self.env}
            read = subprocess.run(tap, env=env, capture_output=True, check=False)
            assert read.returncode == 0, read.stderr.decode()[-2000:]
            done = subprocess.run(loader, input=read.stdout, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()[-2000:]
            state.write_bytes(done.stdout.splitlines()[-1])

    def tick(self, days: int) -> None:
        """Let days pass."""
        self.world.tick(days)

    @property
    def as_of(self) -> datetime:
        """The moment that the world's story has reached, without a zone."""
        days: int = self.world.describe()["ticks"]
        return datetime.fromtimestamp(FIRST_DAY + days * 86_400, UTC).replace(tzinfo=None)

    def mart(self, name: str) -> list[dict[str, Any]]:
        """The rows of a mart."""
        return table(self.path, f"marts.{name}")


def table(path: Path, name: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as con:
        found = con.execute(f"SELECT * FROM {name}")
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


@pytest.fixture
def open_shop(make_world: Callable[..., World], tmp_path: Path) -> Callable[..., Shop]:
    """Makes a shop in a world of its own; takes the seed and the loader's settings."""

    def make(*, seed: int = 1, size: str = "small", vendors: tuple[str, ...] = VENDORS, env: Mapping[str, str] | None = None, **settings: Any) -> Shop:
        world = make_world(seed=seed, size=size, clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
        return Shop(world, tmp_path / "warehouse.duckdb", settings, vendors, dict(env or {}))

    return make
