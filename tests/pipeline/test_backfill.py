"""A bounded backfill, as its page shows it: the range is read again, and all states stay as they are."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.pipeline.conftest import BIN, held
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

PAGE = (ROOT / "docs/guides/backfill.md").read_text(encoding="utf-8")
RANGE = ("2025-11-01", "2025-12-01")


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world without a call budget: a first run would use it up."""
    return make_world(switches={"premiumpay": {"rate_limit": 0}})


def windows(warehouse: Path, schema: str) -> set[str]:
    return {row["_window_start"] for row in held(warehouse, schema, "sales")}


def kept(warehouse: Path) -> list[Any]:
    """The bookmarks in the loader's own copies of the states."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        states = con.execute("SELECT state FROM main._singer_state ORDER BY state_id").fetchall()
    return [json.loads(state)["bookmarks"]["sales"]["replication_key_value"] for (state,) in states]


def test_the_page_shows_what_is_tried_here() -> None:
    assert "run --full-refresh --no-state-update tap-premiumpay target-duckhouse" in PAGE
    assert re.findall(r"TAP_PREMIUMPAY_(?:START|END)_DATE=(\S+)", PAGE) == list(RANGE)
    assert json.dumps(dict(zip(("start_date", "end_date"), RANGE, strict=True))) in PAGE


def test_a_backfill_through_meltano_leaves_the_state_alone(project: Project, world: World, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    run = ("run", "--no-install", "--force", "--state-id-suffix=backfill")
    env = project.environment(world, **world.env("premiumpay"), TARGET_DUCKHOUSE_PATH=str(warehouse))
    env["TAP_PREMIUMPAY__SELECT"] = '["sales.*"]'
    done = project.meltano(*run, "tap-premiumpay", "target-duckhouse", env=env)
    assert done.returncode == 0, done.stderr
    name = "sandbox:tap-premiumpay-to-target-duckhouse:backfill"
    state, rows = project.meltano("state", "get", name, env=env).stdout, held(warehouse, "premiumpay", "sales")
    own = kept(warehouse)
    asked = world.stats("premiumpay")["requests"]
    env |= dict(zip(("TAP_PREMIUMPAY_START_DATE", "TAP_PREMIUMPAY_END_DATE"), RANGE, strict=True))
    arguments = ("--full-refresh", "--no-state-update", "tap-premiumpay", "target-duckhouse")
    done = project.meltano(*run, *arguments, env=env)
    assert done.returncode == 0, done.stderr
    assert "replication_key_value" in state
    assert project.meltano("state", "get", name, env=env).stdout == state
    assert kept(warehouse) == own
    assert world.stats("premiumpay")["requests"] - asked < asked / 2, "only the range is asked for"
    key = lambda row: json.dumps(row, sort_keys=True, default=str)  # noqa: E731
    assert sorted(held(warehouse, "premiumpay", "sales"), key=key) == sorted(rows, key=key)


def test_a_backfill_in_a_pipe_brings_the_range_alone(world: World, tmp_path: Path) -> None:
    files = {
        "config.json": world.config("premiumpay"),
        "range.json": dict(zip(("start_date", "end_date"), RANGE, strict=True)),
        "target.json": {"path": "warehouse.duckdb"},
    }
    for name, content in files.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(json.dumps(content))
    command = re.search(r"^(tap-premiumpay .*) --catalog \S+( \| target-duckhouse .*)$", PAGE, re.MULTILINE)
    assert command is not None
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "MERCHANT_CLOCK": world.clock()}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command[1] + command[2]],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = windows(tmp_path / "warehouse.duckdb", "main")
    assert found
    assert min(found) < f"{RANGE[0]}T12" < max(found) < RANGE[1]
