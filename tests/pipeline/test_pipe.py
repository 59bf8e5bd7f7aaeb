"""``tap-peakium --config c.json | target-duckhouse --config t.json``, whatever is killed."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest

from tests.pipeline.conftest import BIN, assert_exact
from tests.warm import Warm, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World


@dataclass
class Pipe:
    """A tap and a loader with a pipe between them that counts lines."""

    world: World
    folder: Path
    settings: dict[str, object] = field(default_factory=dict)
    vendor: str = "peakium"
    config: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = {"tap": {**self.world.config(self.vendor), **self.config}, "target": self.target}
        for name, content in settings.items():
            file = self.folder / f"{name}.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(content))

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def target(self) -> dict[str, object]:
        return {"path": str(self.warehouse), "schema": self.vendor, "flush_interval_s": 0, **self.settings}

    def run(self, kill: Literal["tap", "loader"] | None = None, after: int = 0) -> tuple[int, int, str]:
        """Run both; kill one of them once so many lines have passed. Returns their codes and the tap's log."""
        state = self.folder / "state.json"
        state.write_text(self._state())
        env = self.world.env(self.vendor)
        tap = Warm(
            [str(BIN / f"tap-{self.vendor}"), "--config", str(self.folder / "tap.json"), "--state", str(state)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=(log := (self.folder / "tap.log").open("wb")),
        )
        loader = Warm(
            [str(BIN / "target-duckhouse"), "--config", str(self.folder / "target.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert tap.stdout
        assert loader.stdin
        victim = {"tap": tap, "loader": loader}.get(kill or "")
        try:
            for number, line in enumerate(tap.stdout, start=1):
                loader.stdin.write(line)
                if victim and number == after:
                    loader.stdin.flush()
                    victim.kill()
            loader.stdin.close()
        except BrokenPipeError:
            tap.stdout.close()
            _abandon(loader)
        tap.stdout.close()
        codes = tap.wait(), loader.wait()
        log.close()
        return *codes, (self.folder / "tap.log").read_text()

    def _state(self) -> str:
        if not self.warehouse.exists():
            return "{}"
        done = run([str(BIN / "target-duckhouse"), "state", "--config", str(self.folder / "target.json")])
        done.check_returncode()
        return done.stdout.decode()


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe to a process that is gone; what is left in its buffer can't be written."""
    assert process.stdin
    try:
        process.stdin.close()
    except BrokenPipeError:
        return


def test_two_runs_with_a_day_between_are_exact(world: World, tmp_path: Path) -> None:
    pipe = Pipe(world, tmp_path)
    for _ in range(2):
        tap, loader, log = pipe.run()
        assert (tap, loader) == (0, 0), log
        assert_exact(pipe.warehouse, "peakium", world)
        world.tick()


@pytest.mark.parametrize("victim", ["tap", "loader"])
@pytest.mark.parametrize("seed", [1, 2])
def test_s1_l5_a_kill_at_any_moment_and_another_run_is_exact(
    make_world: Callable[..., World], tmp_path: Path, victim: Literal["tap", "loader"], seed: int
) -> None:
    world = make_world(seed=seed)
    pipe = Pipe(world, tmp_path)
    tap, loader, log = pipe.run(kill=victim, after=random.Random(f"{victim}{seed}").randrange(100, 2500))
    assert (tap if victim == "tap" else loader) == -9
    assert "Traceback" not in log
    world.tick()
    tap, loader, log = pipe.run()
    assert (tap, loader) == (0, 0), log
    assert_exact(pipe.warehouse, "peakium", world)


def test_a_sandbox_that_is_gone_is_one_line_with_the_host(tmp_path: Path, world: World) -> None:
    config = {**world.config("peakium"), "api_url": "http://127.0.0.1:9/api/v1", "retry_max_s": 0}
    file = tmp_path / "tap.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [str(BIN / "tap-peakium"), "--config", str(file)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 4
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
