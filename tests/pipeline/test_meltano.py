"""Runs through Meltano, its hub out of reach: every one of them with a proxy that nobody answers."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.conftest import BIN, assert_exact, held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

PAIR = ("tap-peakium", "target-duckhouse")


def run(project: Project, world: World, warehouse: Path, name: str, *blocks: str) -> subprocess.CompletedProcess[str]:
    env = project.environment(
        world,
        TARGET_DUCKHOUSE_PATH=str(warehouse),
        TAP_PEAKIUM_API_URL=world.url("peakium"),
    )
    return project.meltano("run", "--no-install", "--force", f"--state-id-suffix={name}", *(blocks or PAIR), env=env)


def test_m1_two_runs_with_a_day_between_are_exact_while_the_hub_is_out_of_reach(
    project: Project, world: World, tmp_path: Path
) -> None:
    before = (project.folder / "meltano.yml").read_bytes()
    warehouse = tmp_path / "warehouse.duckdb"
    for _ in range(2):
        done = run(project, world, warehouse, "exact")
        assert done.returncode == 0, done.stderr
        assert_exact(warehouse, "peakium", world)
        world.tick()
    assert world.stats("peakium")["writes"] == []
    assert "sandbox:tap-peakium" in project.meltano("state", "list", env=project.env).stdout
    assert (project.folder / "meltano.yml").read_bytes() == before, "Meltano rewrote meltano.yml"


def test_m3_a_failing_tap_ends_the_run_with_code_1(project: Project, world: World, tmp_path: Path) -> None:
    world.fault("peakium", "*", "unauthorized", times=None)
    done = run(project, world, tmp_path / "warehouse.duckdb", "failing", *PAIR, *PAIR)
    assert done.returncode == 1
    assert "api_key" in done.stderr + done.stdout
    assert world.config("peakium")["api_key"] not in done.stderr + done.stdout
    assert world.stats("peakium")["requests"] == 1, "the second pair must not run"


def test_in_the_sandbox_pegke_is_read_with_its_feed(project: Project, world: World, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    env = project.environment(world, TARGET_DUCKHOUSE_PATH=str(warehouse), TAP_PEGKE_REALTIME_MAX_MESSAGES="20")
    command = ("run", "--no-install", "--state-id-suffix=feed", "tap-pegke", PAIR[1])
    done = project.meltano(*command, env={**env, **world.env("pegke")})
    assert done.returncode == 0, done.stderr
    for stream in ("points_history", "customers", "offers"):
        assert len(held(warehouse, "pegke", stream)) == len(world.truth("pegke", stream)), stream
    came = sorted(row["_entry_id"] for row in held(warehouse, "pegke", "store_activity"))
    assert came == sorted(row["_entry_id"] for row in world.truth("pegke", "store_activity")[:20])


def test_s1_a_run_that_was_killed_whole_is_made_up_for_by_the_next(
    project: Project, world: World, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    assert run(project, world, warehouse, "killed").returncode == 0
    world.tick()
    world.fault("peakium", "/event_webhooks", "stall", times=None)
    env = project.environment(world, TARGET_DUCKHOUSE_PATH=str(warehouse), TAP_PEAKIUM_API_URL=world.url("peakium"))
    command = [str(BIN / "meltano"), "run", "--no-install", "--force", "--state-id-suffix=killed", *PAIR]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not world.faults("peakium")[0]["fired"]:
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    world.clear_faults()
    done = run(project, world, warehouse, "killed")
    assert done.returncode == 0, done.stderr
    assert_exact(warehouse, "peakium", world)


def test_s18_an_inherited_extractor_leaves_the_first_accounts_rows_alone(
    project: Project, make_world: Callable[..., World], tmp_path: Path
) -> None:
    """A second account, as ``meltano add --inherit-from`` writes it."""
    first, second, warehouse = make_world(), make_world(seed=2), tmp_path / "warehouse.duckdb"
    file = project.folder / "meltano.yml"
    before = file.read_text(encoding="utf-8")
    entry = "\n  - name: tap-peakium--eu\n    inherit_from: tap-peakium"
    assert before.count("\n  loaders:\n") == 1
    file.write_text(before.replace("\n  loaders:\n", f"{entry}\n  loaders:\n"), encoding="utf-8")
    try:
        own = {name.replace("TAP_PEAKIUM", "TAP_PEAKIUM__EU"): value for name, value in second.env("peakium").items()}
        env = project.environment(first, **own, TARGET_DUCKHOUSE_PATH=str(warehouse))
        env |= {"TAP_PEAKIUM_API_URL": first.url("peakium"), "TAP_PEAKIUM__EU_API_URL": second.url("peakium")}
        blocks = ("tap-peakium", "target-duckhouse", "tap-peakium--eu", "target-duckhouse")
        for _ in range(2):
            done = project.meltano("run", "--no-install", "--force", "--state-id-suffix=two", *blocks, env=env)
            assert done.returncode == 0, done.stderr
            assert_exact(warehouse, "peakium", first)
            assert_exact(warehouse, "tap_peakium__eu", second)
    finally:
        file.write_text(before, encoding="utf-8")
