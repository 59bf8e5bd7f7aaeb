"""dbt in a process of its own, and warehouses loaded from the sandbox for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.transform.figures.common import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from merchant_sandbox.client import Sandbox, World

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-dbt/bin/python"
PROJECT = ROOT / "transform"
VENDORS = ("peakium", "premiumpay", "peerassist", "pegke", "peek")
FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
HISTORIES = ["availability", "fwos"]
DATA = ("--exclude-resource-type", "unit_test")
"""What depends on data; unit tests do not, and run once."""


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
        done = self.run("build", *arguments, MERCHANT_WAREHOUSE=str(warehouse), **env)
        assert done["success"], done["messages"]
        return done


@pytest.fixture(scope="session")
def dbt_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Dbt]]:
    """Starts dbt with variables of the environment, and parses the project."""
    if not PYTHON.exists():
        pytest.skip("dbt is not installed: make dbt")
    with ExitStack() as running:

        def start(**env: str) -> Dbt:
            folder = tmp_path_factory.mktemp("dbt")
            log = running.enter_context((folder / "worker.log").open("w"))
            worker = [str(PYTHON), str(Path(__file__).with_name("worker.py"))]
            process = subprocess.Popen(worker, stdin=-1, stdout=-1, stderr=log, text=True, env={**os.environ, **env})
            running.callback(process.communicate)  # which closes its input, and waits
            made = Dbt(process, folder)
            done = made.run("parse")
            assert done["success"], done["messages"]
            return made

        yield start


@pytest.fixture(scope="session")
def dbt(dbt_for: Callable[..., Dbt]) -> Dbt:
    """dbt for DuckDB files, all of the same name, because that is the name of the database in the parsed project."""
    return dbt_for(DBT_TARGET="duckdb", MERCHANT_WAREHOUSE="warehouse.duckdb")


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

    def load(self) -> None:
        """Read what each vendor has now."""
        for vendor in self.vendors:
            config = self.path.with_name(f"{vendor}.json")
            config.write_text(
                json.dumps(
                    {
                        "path": str(self.path),
                        "schema": vendor,
                        "hard_delete": False,
                        "history": HISTORIES,
                        **self.settings,
                    }
                )
            )
            loader = [sys.executable, "-m", "target_duckhouse", "--config", str(config)]
            state = self.path.with_name(f"{vendor}-state.json")
            tap = [
                sys.executable,
                "-m",
                f"tap_{vendor}",
                "--config",
                "ENV",
                *(["--state", str(state)] if state.exists() else []),
            ]
            env = {**os.environ, **self.world.env(vendor), "TAP_PREMIUMPAY_LOOKBACK_DAYS": "40"}
            read = subprocess.run(tap, env=env, capture_output=True, check=False)
            assert read.returncode == 0, read.stderr.decode()[-2000:]
            done = subprocess.run(loader, input=read.stdout, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()[-2000:]
            state.write_bytes(done.stdout.splitlines()[-1])

    @property
    def as_of(self) -> datetime:
        """The moment that the world's story has reached, without a zone."""
        days: int = self.world.describe()["ticks"]
        return datetime.fromtimestamp(FIRST_DAY + days * 86_400, UTC).replace(tzinfo=None)


def table(path: Path, name: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as con:
        found = con.execute(f"SELECT * FROM {name}")
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


@dataclass
class Day:
    """A warehouse as it was after a day, and what the vendors had then."""

    path: Path
    as_of: datetime
    truth: Truth

    def mart(self, name: str) -> list[dict[str, Any]]:
        """The rows of a mart."""
        return table(self.path, f"marts.{name}")

    def copy(self, folder: Path) -> Path:
        """A copy of the warehouse, under the same name, because dbt knows a DuckDB file by it."""
        return Path(shutil.copy(self.path, folder / self.path.name))


@pytest.fixture(scope="session")
def a_month(dbt: Dbt, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> list[Day]:
    """The first day, the next, and four weeks after the first, in one warehouse."""
    return days(dbt, sandbox, tmp_path_factory.mktemp("month"), seed=1, ticks=(0, 1, 27))


def days(
    dbt: Dbt,
    sandbox: Sandbox,
    folder: Path,
    *,
    seed: int,
    ticks: tuple[int, ...],
    vendors: tuple[str, ...] = VENDORS,
    **settings: Any,
) -> list[Day]:
    """Load a world and build the models, day after day, in one warehouse; returns what became of it after each day."""
    world = sandbox.world(seed=seed, clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
    shop, found, truth = Shop(world, folder / "warehouse.duckdb", settings, vendors), list[Day](), None
    for number in ticks:
        world.tick(number)
        shop.load()
        dbt.build(shop.path, *DATA, MERCHANT_AS_OF=shop.as_of.isoformat())
        truth = Truth(world, shop.as_of, truth)
        after = folder / f"after-{shop.as_of:%Y-%m-%d}"
        after.mkdir()
        found.append(Day(Path(shutil.copy(shop.path, after)), shop.as_of, truth))
    world.drop()
    return found
