"""`meltano.yml` is written as Meltano writes it, so its commands leave alone what they are not about."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.conftest import BIN, NOWHERE
from tests.tree import ROOT, copy_tree

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "add --no-install --plugin-type=extractor tap-peakium--eu --inherit-from=tap-peakium": """
  - name: tap-peakium--eu
    inherit_from: tap-peakium
""",
    "config set tap-peakium page_size 50": """
    config:
      page_size: '50'
""",
    "--environment=dev config set tap-peek concurrency 2": """
      extractors:
      - name: tap-peek
        config:
          concurrency: '2'
""",
    "select tap-pegke offers *": """
    - offers.*
""",
    "job add mornings --tasks tap-peek~target-duckhouse": """
- name: mornings
  tasks:
  - tap-peek target-duckhouse
""",
    "schedule add mornings --job=mornings --interval=@daily": """
- name: mornings
  interval: '@daily'
  job: mornings
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is a Meltano project, with nothing installed."""
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    return tmp_path


def meltano(folder: Path, *arguments: str) -> str:
    env = {**os.environ, "MELTANO_HUB_URL": NOWHERE, "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1"}
    done = subprocess.run(
        [BIN / "meltano", *arguments], cwd=folder, env=env, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_command_of_meltano_changes_only_what_it_adds(folder: Path) -> None:
    file = folder / "meltano.yml"
    for command, wanted in COMMANDS.items():
        before = file.read_text(encoding="utf-8").splitlines()
        meltano(folder, *(word.replace("~", " ") for word in command.split()))
        after = file.read_text(encoding="utf-8").splitlines()
        changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        assert sorted(changes) == sorted(f"+ {line}" for line in wanted.split("\n") if line), command


def test_what_is_installed_has_the_versions_of_the_project(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    (tmp_path / "constraints.txt").write_text("msgspec==0.0.1\n")
    env = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    command = [str(BIN / "meltano"), "install", "extractor", "tap-peakium"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert "msgspec==0.0.1" in done.stderr + done.stdout


def test_the_schedules_run_jobs_that_exist_and_build_the_marts_after_all_loads(folder: Path) -> None:
    listed = json.loads(meltano(folder, "schedule", "list", "--format=json"))["schedules"]["job"]
    jobs = {entry["name"]: entry["job"]["tasks"] for entry in listed}
    assert jobs["nightly"][-2:] == ["dbt:build", "report:build"]
    assert {(name, *tasks) for name, tasks in jobs.items() if name != "nightly"} <= {
        (load.removeprefix("tap-").partition(" ")[0], load) for load in jobs["nightly"][:-2]
    }
    hours = {entry["name"]: _hours(entry["cron_interval"]) for entry in listed}
    for name in set(hours) - {"nightly"}:
        assert not hours[name] & {3, 4, 5}, f"{name} gets in the way of what runs at night"
    spent = {name: [entry["cron_interval"].split()[0] for entry in listed if entry["name"] == name] for name in hours}
    assert len({*map(tuple, spent.values())}) == len(spent), "two schedules start in the same minute"


def _hours(interval: str) -> set[int]:
    """The hours of a day in which a schedule runs."""
    hours: set[int] = set()
    for part in interval.split()[1].split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        hours |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return hours
