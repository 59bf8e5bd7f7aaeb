"""``make demo``, with one tap: two days, an interruption, and what the README shows of it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.describe import VENDORS
from tests.pipeline.conftest import assert_exact
from tests.transcripts import assert_shows
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

COMMAND = [sys.executable, "-m", "scripts.demo", "tap-peakium"]
OTHERS = "|".join(["install", *(vendor for vendor in VENDORS if vendor != "peakium")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(text: str) -> dict[str, dict[str, str]]:
    """The table that the demo ends with, or what the README shows of it: by stream, then by column."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("stream  "))
    names = lines[start].split()
    rows = [line.split() for line in lines[start + 1 :]]
    return {row[0]: dict(zip(names, row, strict=False)) for row in rows if row and re.fullmatch(r"[a-z]+\.\w+", row[0])}


@pytest.fixture(scope="module")
def runs(project: Project) -> tuple[list[str], str]:
    """What two runs say, and between them one that is told to end; another was killed with all that it had started."""
    env = {name: value for name, value in project.env.items() if name not in {"MERCHANT_SANDBOX_URL", "MERCHANT_CLOCK"}}
    first = _demo(project.folder, env)
    _interrupted(project.folder, env, lambda process: os.killpg(process.pid, signal.SIGKILL))
    told = _interrupted(project.folder, env, subprocess.Popen.terminate)
    return [first, _demo(project.folder, env)], told


@pytest.fixture(scope="module")
def demos(runs: tuple[list[str], str]) -> list[str]:
    """What the two whole runs say."""
    return runs[0]


def _interrupted(folder: Path, env: dict[str, str], interrupt: Callable[[subprocess.Popen[bytes]], None]) -> str:
    """What a run says that is interrupted while it loads, once none of its processes is left; then its code."""
    theirs, ours = os.pipe()
    process = subprocess.Popen(
        COMMAND, cwd=folder, env=env, stdin=theirs, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
    )
    os.close(theirs)
    assert process.stdout
    said = b""
    while b"target-duckhouse" not in said:
        said += process.stdout.read(1)
    interrupt(process)
    said += process.stdout.read()
    process.stdout.close()
    code = process.wait()
    readers = select.poll()
    readers.register(ours, 0)
    assert readers.poll(60_000), "something that the demo started still reads its standard input"
    os.close(ours)
    return f"{said.decode()}{code}"


def _demo(folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(COMMAND, cwd=folder, env=env, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_second_run_shows_what_is_new_and_what_has_changed(demos: list[str]) -> None:
    first, second = map(table, demos)
    assert demos[0].startswith("Day 0 ")
    assert demos[1].startswith("Day 1 ")
    assert all(row["rows"] == row["inserted"] for row in first.values())
    assert int(second["peakium.invoices"]["inserted"]) > 0
    assert int(second["peakium.invoices"]["updated"]) > 0
    assert first["peakium.invoices"]["earliest"] < first["peakium.invoices"]["latest"]
    assert first["peakium.invoices"]["latest"] < second["peakium.invoices"]["latest"]


def test_an_interrupted_demo_is_made_up_for(
    demos: list[str], project: Project, make_world: Callable[..., World]
) -> None:
    assert demos
    assert_exact(project.folder / "warehouse.duckdb", "peakium", make_world(seed=1, size="demo", ticks=1))


def test_the_line_to_try_works(demos: list[str], project: Project) -> None:
    (line,) = (line for line in demos[1].splitlines() if "import duckdb" in line)
    command = line.strip().replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["sh", "-c", command], cwd=project.folder, env=project.env, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2025" in done.stdout


def test_the_readme_shows_what_the_demo_prints(demos: list[str]) -> None:
    """Except for the other taps, and for what the first run has to install."""
    blocks = re.findall(r"```console\n\$ make demo\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == len(demos)
    for shown, said in zip(blocks, demos, strict=True):
        lines = [line for line in shown.splitlines() if not re.search(OTHERS, line)]
        assert_shows("\n".join(lines).replace("deleted", ""), said)


def test_a_demo_that_is_told_to_end_takes_everything_with_it(runs: tuple[list[str], str]) -> None:
    assert runs[1].splitlines()[-2:] == [
        "Interrupted. What has been loaded is complete; `make demo` continues from there.",
        "143",
    ]


def test_an_unknown_tap_is_one_line(project: Project) -> None:
    done = subprocess.run([*COMMAND, "tap-none"], cwd=project.folder, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert "tap-none" in done.stdout
