"""dbt in a process of its own, and warehouses loaded from the sandbox for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.duck import reading
from tests.transform.figures.common import Truth
from tests.warm import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_sandbox.client import Sandbox, World

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-dbt/bin/python"
PROJECT = ROOT / "transform"
VENDORS = ("peakium", "premiumpay", "peerassist", "pegke", "peek")
RECORD = re.compile(rb'^\{"type":"RECORD","stream":"(\w+)"', re.MULTILINE)
FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
HISTORIES = ["availability", "fwos"]
MODELS = ("--resource-type", "model", "--resource-type", "seed")
DATA = ("--exclude-resource-type", "unit_test")
"""Models and tests of the data. Unit tests do not depend on data, and run once."""

SECOND = "tap_{vendor}__eu"
BOTH = json.dumps({f"{vendor}_schemas": [vendor, SECOND.format(vendor=vendor)] for vendor in VENDORS})

A_LOAD_IN_37_HOURS = """
UPDATE main._singer_loads SET started_at = started_at - age, committed_at = committed_at - age
FROM (
    SELECT load_id AS which, to_hours(37 * (place - 1)) AS age
    FROM (SELECT load_id, dense_rank() OVER (PARTITION BY state_id ORDER BY started_at DESC) AS place
        FROM (SELECT DISTINCT load_id, state_id, started_at FROM main._singer_loads))
) WHERE load_id = which
"""
"""The loads of a test are seconds apart."""


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
    """

    world: World
    path: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def load(self) -> Counter[tuple[str, str]]:
        """Read what each vendor has now; returns how many records came of each vendor's streams."""
        records = Counter[tuple[str, str]]()
        for vendor in VENDORS:
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
            read = run(tap, env=env)
            assert read.returncode == 0, read.stderr.decode()[-2000:]
            done = run(loader, read.stdout)
            assert done.returncode == 0, done.stderr.decode()[-2000:]
            state.write_bytes(done.stdout.splitlines()[-1])
            records.update((vendor, found[1].decode()) for found in RECORD.finditer(read.stdout))
        return records

    @property
    def as_of(self) -> datetime:
        """The moment that the world's story has reached, without a zone."""
        days: int = self.world.describe()["ticks"]
        return datetime.fromtimestamp(FIRST_DAY + days * 86_400, UTC).replace(tzinfo=None)


def table(path: Path, name: str) -> list[dict[str, Any]]:
    with reading(path) as con:
        found = con.execute(f"SELECT * FROM {name}")
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


@dataclass
class Day:
    """A warehouse as it was after a day, and what each account of the vendors had then."""

    path: Path
    as_of: datetime
    truths: list[Truth]
    records: list[Counter[tuple[str, str]]]
    """How many records came of each stream, load by load."""
    built_at: datetime
    requests: Mapping[str, int] = field(default_factory=dict)
    """How many requests each vendor has got in all."""

    @property
    def truth(self) -> Truth:
        """What the only account of each vendor had."""
        (truth,) = self.truths
        return truth

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


@pytest.fixture(scope="session")
def two_accounts(dbt: Dbt, a_month: list[Day], tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Each vendor has a second account, with the ids of the first, but as they were on the first day.

    Its customers have only failed, the notes say.
    Its rows came into the warehouse before the last ones of the first account, and are new to the marts.
    """
    first, last = a_month[0], a_month[-1]
    path = last.copy(tmp_path_factory.mktemp("accounts"))
    tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'before' AND schema_name = ?"
    with duckdb.connect(str(path)) as con:
        con.execute(f"ATTACH '{first.path}' AS before (READ_ONLY)")
        for vendor in VENDORS:
            second = SECOND.format(vendor=vendor)
            con.execute(f"CREATE SCHEMA {second}")
            for (name,) in con.execute(tables, [vendor]).fetchall():
                con.execute(f'CREATE TABLE {second}."{name}" AS FROM before.{vendor}."{name}"')
            con.execute(
                "INSERT INTO main._singer_loads"
                " SELECT * REPLACE"
                " (load_id || 'eu' AS load_id, ? AS schema, 2 AS rejected, stream = 'customers' AS failed)"
                " FROM before.main._singer_loads WHERE schema = ?",
                [second, vendor],
            )
        con.execute(A_LOAD_IN_37_HOURS)
    built_at = datetime.now(UTC).replace(tzinfo=None)
    dbt.build(path, *DATA, "--vars", BOTH, MERCHANT_AS_OF=last.as_of.isoformat())
    truths = [last.truth, first.truth.seen(last.as_of, SECOND)]
    return Day(path, last.as_of, truths, [], built_at)


def days(
    dbt: Dbt,
    sandbox: Sandbox,
    folder: Path,
    *,
    seed: int,
    ticks: tuple[int, ...],
    asked: tuple[str, ...] = MODELS,
) -> list[Day]:
    """Load a world and build the models, day after day, in one warehouse; returns what became of it after each day."""
    world = sandbox.world(seed=seed, clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
    shop, found, truth = Shop(world, folder / "warehouse.duckdb"), list[Day](), None
    records = list[Counter[tuple[str, str]]]()
    for number in ticks:
        world.tick(number)
        records.append(shop.load())
        built_at = datetime.now(UTC).replace(tzinfo=None)
        dbt.build(shop.path, *asked, MERCHANT_AS_OF=shop.as_of.isoformat())
        truth = Truth(world, shop.as_of, truth)
        after = folder / f"after-{shop.as_of:%Y-%m-%d}"
        after.mkdir()
        requests = {vendor: world.stats(vendor)["requests"] for vendor in VENDORS}
        found.append(Day(Path(shutil.copy(shop.path, after)), shop.as_of, [truth], [*records], built_at, requests))
    world.drop()
    return found
