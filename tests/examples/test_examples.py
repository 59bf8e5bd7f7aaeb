"""The examples do what they say: commands run, units and manifests are sound. `make check-examples` adds tools."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.kubernetes import MANIFESTS, manifest
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from merchant_sandbox.client import Sandbox, World

EXAMPLES = ROOT / "examples"
BIN = ROOT / ".venv/bin"
FEW = {"TAP_PEEK_AVAILABILITY_DAYS_AHEAD": "1", "TAP_PEEK_AVAILABILITY_DAYS_BACK": "1"}


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> Iterator[World]:
    made = sandbox.world()
    yield made
    made.drop()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which the installed commands are, and the script as ``nightly``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nightly").symlink_to(EXAMPLES / "nightly.sh")
    return f"{folder}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


def environment(world: World, vendor: str, path: str, **more: str) -> dict[str, str]:
    given = {"PATH": path, "TARGET_DUCKHOUSE_PATH": "warehouse.duckdb", "HOME": os.environ.get("HOME", "/")}
    return {**given, **world.env(vendor), **FEW, **more}


def run(command: str, folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-c", command], cwd=folder, env=dict(env), capture_output=True, text=True, check=False
    )


def loaded(folder: Path, env: Mapping[str, str], schema: str) -> int:
    """How many streams of a schema are in the warehouse."""
    done = run("target-duckhouse inspect --format json", folder, env)
    assert done.returncode == 0, done.stderr
    return len([entry for entry in yaml.safe_load(done.stdout)["streams"] if entry["schema"] == schema])


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


# The script


def test_a_night_takes_secrets_from_files_and_goes_on_from_the_warehouse(
    world: World, tmp_path: Path, path: str
) -> None:
    env = environment(world, "peakium", path)
    secrets = tmp_path / "secrets"
    (secrets / "tap-peakium").mkdir(parents=True)
    (secrets / "tap-peakium" / "api_key").write_text(env.pop("TAP_PEAKIUM_API_KEY") + "\n")
    first = run("nightly peakium", tmp_path, {**env, "SECRETS": str(secrets)})
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert loaded(tmp_path, env, "peakium") > 5
    flat = tmp_path / "credentials"
    flat.mkdir()
    shutil.copy(secrets / "tap-peakium" / "api_key", flat / "tap-peakium_api_key")
    second = run("nightly peakium", tmp_path, {**env, "CREDENTIALS_DIRECTORY": str(flat)})
    assert second.returncode == 0, second.stderr
    assert re.search(r"events .* 2\d{3}-\S+ +2\d{3}-\S+ +done", second.stderr), "it has a bookmark from before"


@pytest.mark.parametrize(("more", "mode"), [({}, 0o600), ({"UMASK": "027"}, 0o640)], ids=["", "group"])
def test_others_cannot_read_the_warehouse(
    world: World, tmp_path: Path, path: str, more: dict[str, str], mode: int
) -> None:
    done = run("umask 022; nightly peakium", tmp_path, environment(world, "peakium", path, **more))
    assert done.returncode == 0, done.stderr
    assert mode_of(tmp_path / "warehouse.duckdb") == mode


@pytest.mark.parametrize(
    ("variable", "value", "code"), [("TAP_PEAKIUM_API_KEY", "refused", 3), ("TAP_PEAKIUM_CONCURRENCY", "many", 2)]
)
def test_the_exit_code_is_that_of_the_part_that_failed(
    world: World, tmp_path: Path, path: str, variable: str, value: str, code: int
) -> None:
    done = run("nightly peakium", tmp_path, environment(world, "peakium", path, **{variable: value}))
    assert done.returncode == code, done.stderr


def test_a_warehouse_that_cannot_be_opened_stops_the_night(world: World, tmp_path: Path, path: str) -> None:
    (tmp_path / "warehouse.duckdb").write_text("this is not a database, but long enough to look like a file of one")
    done = run("nightly peakium", tmp_path, environment(world, "peakium", path))
    assert done.returncode == 5, done.stderr


def test_a_signal_reaches_the_tap_and_what_came_is_kept(world: World, tmp_path: Path, path: str) -> None:
    """As PID 1 of a container gets it: the tap, which waits for its call budget, stops; the loader commits."""
    env = environment(world, "premiumpay", path)
    with subprocess.Popen(
        ["/bin/bash", str(EXAMPLES / "nightly.sh"), "premiumpay"],
        cwd=tmp_path,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as night:
        assert night.stderr
        try:
            for line in night.stderr:
                if "plan: " in line:
                    break
            night.send_signal(signal.SIGTERM)
            _, rest = night.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(night.pid, signal.SIGKILL)  # a tap that has not heard of it would wait for an hour
    assert night.returncode == 143, rest
    assert loaded(tmp_path, env, "premiumpay") > 0


# Cron


def crontab() -> list[str]:
    lines = (EXAMPLES / "cron/crontab").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#") and not re.match(r"[A-Z]+=", line)]


def test_cron_runs_the_lines_one_at_a_time_and_says_nothing(world: World, tmp_path: Path, path: str) -> None:
    peek, *_, check = [re.fullmatch(r"(\S+ ){4}\S+ (.*)", line) for line in crontab()]
    assert peek
    assert check
    assert "%" not in peek[2] + check[2], "cron takes it for the end of a line"
    home = tmp_path / "home"
    home.mkdir()
    env = environment(world, "peek", path)
    (home / ".env").write_text("".join(f"{name}='{env.pop(name)}'\n" for name in [*env] if name.startswith("TAP_")))
    command = peek[2].replace("/var/lib/merchant-taps", str(home))
    with (home / "peek.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = run(command, tmp_path, env)
        assert (busy.returncode, busy.stdout, busy.stderr) == (0, "", "")
        assert not (home / "warehouse.duckdb").exists()
    done = run(f"umask 022; {command}", tmp_path, env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (home / "peek.log").read_text()
    assert mode_of(home / "peek.log") == mode_of(home / "warehouse.duckdb") == 0o600
    assert loaded(home, env, "peek") > 3
    watched = run(check[2].replace("/var/lib/merchant-taps", str(home)), tmp_path, env)
    assert (watched.returncode, watched.stdout) == (0, ""), watched.stdout
    (home / "warehouse.duckdb").unlink()
    assert run(check[2].replace("/var/lib/merchant-taps", str(home)), tmp_path, env).stdout


def test_cron_says_how_a_run_failed_as_the_page_shows(world: World, tmp_path: Path, path: str) -> None:
    (line,) = [line for line in crontab() if "nightly peakium" in line]
    command = line.split(" ", 5)[5].replace("/var/lib/merchant-taps", str(tmp_path))
    (tmp_path / ".env").write_text("TAP_PEAKIUM_API_KEY=wrong\n")
    done = run(command, tmp_path, environment(world, "peakium", path) | {"LOG_FORMAT": ""})
    page = (ROOT / "docs/guides/alerts.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(peakium ended .*?)```", page, re.DOTALL)
    stamp = re.compile(r"^\S+ \S+(?= [|])", re.MULTILINE)
    assert stamp.sub("", done.stdout) == stamp.sub("", shown)


def test_the_lines_of_cron_let_nobody_else_read_what_they_write() -> None:
    assert all(" && umask 077 && " in line for line in crontab())


def test_the_line_of_the_page_lets_nobody_else_read_what_meltano_writes(tmp_path: Path) -> None:
    """Meltano leaves the rights of its files, which hold settings, to the umask that it is started with."""
    page = (ROOT / "docs/guides/production.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^15 3 \* \* \*  (.*)$", page, re.MULTILINE)
    meltano = tmp_path / ".venv/bin/meltano"
    meltano.parent.mkdir(parents=True)
    meltano.write_text("#!/bin/sh\numask\n")
    meltano.chmod(0o755)
    done = run(f"umask 022; {line.replace('/srv/merchant-taps', str(tmp_path))}", tmp_path, os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "nightly.log").read_text() == "0077\n"
    assert mode_of(tmp_path / "nightly.log") == 0o600


# systemd


def test_the_unit_lets_nobody_else_read_the_warehouse() -> None:
    unit = (EXAMPLES / "systemd/merchant-tap@.service").read_text()
    assert {"UMask=0077", "StateDirectoryMode=0700"} <= {*unit.splitlines()}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in (EXAMPLES / "systemd").iterdir():
        text = unit.read_text()
        (tmp_path / unit.name).write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", text))  # it is installed nowhere
    units = [str(tmp_path / f"merchant-tap@peek.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# GitHub Actions


def test_every_step_of_the_workflow_runs(world: World, tmp_path: Path, path: str) -> None:
    """With a program in place of ``aws`` that knows one folder; ``make setup`` alone is left out."""
    workflow: dict[Any, Any] = yaml.safe_load((EXAMPLES / "github-actions/nightly.yml").read_text())
    (job,) = workflow["jobs"].values()
    steps = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    assert steps.pop("Install") == "make setup"
    assert list(steps) == ["Get the warehouse", "Load", "Keep the warehouse", "Check"]
    aws = tmp_path / "bin" / "aws"
    aws.write_text('#!/bin/sh\n[ "$1 $2 $3" = "s3 cp --only-show-errors" ] && exec cp "$4" "$5"\n')
    aws.chmod(0o755)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "examples").symlink_to(EXAMPLES)
    (checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (tmp_path / "bucket").mkdir()
    env = environment(world, "peek", path, BUCKET=str(tmp_path / "bucket"))
    assert run(steps["Get the warehouse"], checkout, env).returncode == 1, "one that is not there is not a first run"
    for name in ("Load", "Keep the warehouse", "Get the warehouse", "Check"):
        done = run(steps[name], checkout, env)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    assert (tmp_path / "bucket/warehouse.duckdb").exists()


# Kubernetes


@pytest.mark.parametrize("vendor", MANIFESTS)
def test_there_is_a_job_for_each_vendor(vendor: str) -> None:
    text = MANIFESTS[vendor].read_text(encoding="utf-8")
    assert text == manifest(vendor), "run: make docs"
    _, job = yaml.safe_load_all(text)
    run_spec = job["spec"]["jobTemplate"]["spec"]
    assert run_spec["template"]["spec"]["containers"][0]["args"] == [vendor]
    (fails,) = (rule for rule in run_spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    assert fails["onExitCodes"]["values"] == [2, 3]


def test_no_two_jobs_begin_in_the_same_minute() -> None:
    schedules = [[*yaml.safe_load_all(manifest(vendor))][1]["spec"]["schedule"] for vendor in MANIFESTS]
    assert len({*schedules}) == len(schedules)


def test_there_are_no_manifests_of_other_vendors() -> None:
    assert {*(EXAMPLES / "kubernetes").iterdir()} == {*MANIFESTS.values()}
