"""Many accounts from one list: what is wrong in it, the timetable, the CronJobs, and nights that are simulated."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner
from deltalake import DeltaTable

from examples.fleet.__main__ import main
from examples.fleet.accounts import Fleet, ListError, read_fleet
from examples.fleet.manifests import manifests
from examples.fleet.night import Trouble, simulate
from examples.fleet.sample import sample
from examples.fleet.timetable import Run, pods_at_once, timetable
from tests.docs.test_commands import SHOWN
from tests.examples.test_dockerfile import TOOLS, tool
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

LIST = (ROOT / "examples/fleet/fleet.toml").read_text(encoding="utf-8")
PAGE = ROOT / "docs/scale.md"
OPERATORS = 200
BUDGET = 62
"""Calls a minute; five lanes get 12 each."""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Fleet]:
    def read(text: str) -> Fleet:
        path = tmp_path / "fleet.toml"
        path.write_text(text, encoding="utf-8")
        return read_fleet(path)

    return read


@pytest.fixture
def many(read: Callable[[str], Fleet]) -> Fleet:
    """A fifth of the sample with about a fifth of its budget: the same night with a fifth of the lanes."""
    return read(sample(OPERATORS).replace("peek = { calls = 300", f"peek = {{ calls = {BUDGET}"))


def fleet(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.fleet", *arguments],
        cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


# The list


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('name = "north-shore"', 'name = "lakeside"', "accounts 1 and 2 are both peek/lakeside"),
        (
            'vendor = "premiumpay"',
            'vendor = "premium"',
            "account 3 (premium/main): 'premium' is not a vendor; there are",
        ),
        ("[vendors.premiumpay]", "[vendors.premium]", "vendors.premium: 'premium' is not a vendor"),
        ("[budgets.premiumpay]", "[budgets.other]", "there is no budget 'premiumpay'; add [budgets.premiumpay]"),
        ('secret = "premiumpay-main"', "", "account 3: 'secret' is a required property"),
        ('secret = "premiumpay-main"', 'secret = "sk_live_SECRET"', "account 3: secret: takes the name of a Secret"),
        ("availability_days_ahead = 365", 'api_key = "SECRET"', "(peek/north-shore): api_key is secret; put it into"),
        ("availability_days_ahead = 60", 'api_key = "SECRET"', "(peek/lakeside): api_key is secret; put it into"),
        (
            "availability_days_ahead = 365",
            'connections = [{ name = "a", api_key = "SECRET" }]',
            "(peek/north-shore): connections is secret; put it into a Secret",
        ),
        ("calls = 420", 'api_key = "SECRET"', "account 2: Additional properties are not allowed ('api_key'"),
        ("availability_days_ahead = 365", "availability_days = 365", "availability_days is not a setting of tap-peek"),
        ("availability_days_ahead = 365", "availability_days_ahead = -1", "has a value that tap-peek does not take"),
        ("s3://lake/", "s3://SECRET:SECRET@lake/", "loader: lake_path is an address with a password"),
        ('table_format = "delta"', 'table_format = "csv"', "loader: table_format has a value that target-duckhouse"),
        ('table_format = "delta"', 'schema = "all"', "loader: schema is made for each account"),
        ("calls = 49 ", "", "account 3 (premiumpay/main): calls is missing; `tap-premiumpay --config ENV --plan=json`"),
        ("calls = 420", "calls = 0", "account 2: calls: takes a whole number from 1 on"),
        ('name = "main"', 'name = "Main_1"', "account 3: name: takes lower-case letters, digits and hyphens"),
        ('hours = "20:00-08:00"', 'hours = "20-8"', "cluster: hours: takes two times in UTC, such as 20:00-08:00"),
        ("pods = 20  ", "", "cluster: 'pods' is a required property"),
        ("pods = 20  ", "pods = 1  ", "the timetable needs 2 pods at once, and cluster.pods is 1"),
        ("calls = 420", "calls = 300_000", "budget peek: 2 accounts take 300,147 calls, which is 16.7 hours of it"),
        ("calls = 49 ", "calls = 1_001", "account premiumpay/main: 1,001 calls take 10.0 hours, and with slack 12.6"),
        ("[cluster]", "[cluster", "is not TOML"),
    ],
)
def test_a_mistake_in_a_list_is_told_in_one_line(
    read: Callable[[str], Fleet], was: str, becomes: str, said: str
) -> None:
    assert LIST.count(was) == 1
    with pytest.raises(ListError) as caught:
        timetable(read(LIST.replace(was, becomes)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_list_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    path, output = tmp_path / "fleet.toml", tmp_path / "fleet.yaml"
    path.write_text(LIST.replace('name = "north-shore"', 'name = "lakeside"'), encoding="utf-8")
    output.write_text("what was there")
    done = fleet("write", "fleet.toml", "--output", "fleet.yaml", folder=tmp_path)
    said = "Error: fleet.toml: accounts 1 and 2 are both peek/lakeside; each account is listed once\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert output.read_text() == "what was there"
    assert {*tmp_path.iterdir()} == {path, output}


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path, output = tmp_path / "fleet.toml", tmp_path / "fleet.yaml"
    path.write_text(LIST, encoding="utf-8")
    assert CliRunner().invoke(main, ["write", str(path), "--output", str(output)]).exit_code == 0
    assert output.read_text() == CliRunner().invoke(main, ["write", str(path)]).output
    (tmp_path / "folder").mkdir()
    done = CliRunner().invoke(main, ["write", str(path), "--output", str(tmp_path / "folder")])
    assert str(done.exception) == f"{tmp_path}/folder: Is a directory"
    assert {*tmp_path.iterdir()} == {path, output, tmp_path / "folder"}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--down=peek=25:00-26:00", "'25:00-26:00' is not two times such as 20:00-08:00"),
        ("--down=peak", "--down: no account of the list is at 'peak'; there are peek, premiumpay"),
        ("--throttle=peek=2", "--throttle peek=2: takes a vendor and a share of its budget, such as peek=0.5"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(option: str, said: str) -> None:
    done = CliRunner().invoke(main, ["night", str(ROOT / "examples/fleet/fleet.toml"), option])
    assert str(done.exception) == said


def test_a_date_may_be_one_of_toml(read: Callable[[str], Fleet]) -> None:
    made = read(LIST.replace("availability_days_ahead = 365", "start_date = 2026-01-31"))
    assert "value: '2026-01-31'" in manifests(made, timetable(made))


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = fleet("plan", "none.toml", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "Error: none.toml: No such file or directory\n")


# The timetable


def test_runs_that_share_a_budget_never_exceed_it(many: Fleet) -> None:
    """In no period of a minute, wherever it begins, and also if each run takes all the time that it has."""
    calls: dict[int, int] = defaultdict(int)
    runs = [run for run in timetable(many) if run.account.budget.shared]
    assert len(runs) == OPERATORS
    for run in runs:
        assert run.pace
        assert run.deadline_s < run.minutes * 60
        for minute in range(run.begins, run.ends):
            calls[minute] += math.ceil(round(60 * run.pace, 6))
    assert 0.9 * BUDGET < max(calls.values()) <= BUDGET
    assert max(calls) < many.cluster.minutes


def test_every_account_runs_once_and_they_are_spread_over_the_night(many: Fleet) -> None:
    runs = timetable(many)
    assert sorted(run.account.title for run in runs) == sorted(account.title for account in many.accounts)
    assert pods_at_once(runs) <= many.cluster.pods
    by_hour: dict[int, int] = defaultdict(int)
    for run in runs:
        by_hour[run.begins // 60] += 1
    assert len(by_hour) == 12
    assert min(by_hour.values()) > len(runs) / 24


# The manifests


def documents(made: Fleet) -> tuple[dict[str, Any], dict[str, Any]]:
    """Volumes and jobs, by name."""
    found = list(yaml.load_all(manifests(made, timetable(made)), Loader=yaml.CSafeLoader))
    by_name = [{each["metadata"]["name"]: each for each in found if each["kind"] == kind} for kind in (
        "PersistentVolumeClaim", "CronJob")]  # fmt: skip
    assert len(by_name[0]) + len(by_name[1]) == len(found)
    return by_name[0], by_name[1]


def test_an_account_has_a_volume_and_a_job_of_its_own(read: Callable[[str], Fleet]) -> None:
    volumes, jobs = documents(read(LIST))
    assert {*volumes} == {"warehouse-peek-lakeside", "warehouse-peek-north-shore", "warehouse-premiumpay-main"}
    assert {*jobs} == {"tap-peek-lakeside", "tap-peek-north-shore", "tap-premiumpay-main"}
    spec = jobs["tap-peek-north-shore"]["spec"]
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    mounted = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounted["warehouse"]["persistentVolumeClaim"]["claimName"] == "warehouse-peek-north-shore"
    assert mounted["secrets"]["secret"]["secretName"] == "peek-north-shore"
    (container,) = pod["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment == {
        "TAP_PEEK_AVAILABILITY_DAYS_AHEAD": "365",
        "TAP_PEEK_REQUESTS_PER_SECOND": "5.0",
        "TARGET_DUCKHOUSE_LAKE_PATH": "s3://lake/merchants",
        "TARGET_DUCKHOUSE_TABLE_FORMAT": "delta",
        "TARGET_DUCKHOUSE_SCHEMA": "peek__north_shore",
        "COMPACT_ON": environment["COMPACT_ON"],
    }
    assert environment["COMPACT_ON"] in {*"1234567"}
    assert (container["args"], spec["timeZone"], spec["concurrencyPolicy"]) == (["peek"], "Etc/UTC", "Forbid")
    (premiumpay,) = jobs["tap-premiumpay-main"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert not [entry for entry in premiumpay["env"] if "REQUESTS_PER_SECOND" in entry["name"]]


@TOOLS
def test_kubernetes_takes_the_manifests(tmp_path: Path) -> None:
    done = fleet("write", str(ROOT / "examples/fleet/fleet.toml"), "--output", "fleet.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    tool("kubernetes-validate==1.37.0", "--strict", str(tmp_path / "fleet.yaml"))


def test_jobs_begin_when_the_timetable_says(many: Fleet) -> None:
    _, jobs = documents(many)
    for run in timetable(many):
        spec = jobs[f"tap-{run.account.vendor}-{run.account.name}"]["spec"]
        minute = (20 * 60 + run.begins) % (24 * 60)
        assert spec["schedule"] == f"{minute % 60} {minute // 60} * * *"
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == run.deadline_s
        if run.pace:
            assert spec["startingDeadlineSeconds"] + run.deadline_s + 60 <= run.minutes * 60


def test_a_settings_pace_that_is_lower_stays(read: Callable[[str], Fleet]) -> None:
    slow = read(LIST.replace("availability_days_ahead = 365", "requests_per_second = 0.5"))
    (run,) = (run for run in timetable(slow) if run.account.name == "north-shore")
    assert run.seconds > 420 / 0.5
    assert "value: '0.5'" in manifests(slow, [run])


def test_what_the_jobs_start_loads_a_lake_that_is_read_as_a_whole(
    read: Callable[[str], Fleet], make_world: Callable[..., World], tmp_path: Path
) -> None:
    """The script of the image with the environment, the secrets and the volume that the manifests name."""
    made = read(LIST.replace("s3://lake/merchants", str(tmp_path / "lake")).replace("_ahead = 365", "_ahead = 1"))
    _, jobs = documents(made)
    uris, expected = [], 0
    for seed, name in enumerate(("lakeside", "north-shore")):
        spec = jobs[f"tap-peek-{name}"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        world = make_world(seed=seed)
        told = world.env("peek")
        secrets = tmp_path / name / "tap-peek"
        secrets.mkdir(parents=True)
        (secrets / "api_key").write_text(told.pop("TAP_PEEK_API_KEY"))
        given = {entry["name"]: entry["value"] for entry in container["env"]}
        (tmp_path / "date").write_text(f"#!/bin/sh\necho {given['COMPACT_ON'] if name == 'lakeside' else 0}\n")
        (tmp_path / "date").chmod(0o755)
        path = f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin"
        volume = {"TARGET_DUCKHOUSE_PATH": str(tmp_path / name / "warehouse.duckdb"), "SECRETS": str(tmp_path / name)}
        done = subprocess.run(
            ["/bin/bash", str(ROOT / "examples/nightly.sh"), *container["args"]],
            cwd=tmp_path, env={"PATH": path, **told, **given, **volume, "TAP_PEEK_REQUESTS_PER_SECOND": "1000"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("files before" in done.stderr) == (name == "lakeside")
        expected += len(world.truth("peek", "bookings"))
        uris += DeltaTable(tmp_path / "lake" / given["TARGET_DUCKHOUSE_SCHEMA"] / "bookings").file_uris()
    counted = duckdb.execute("SELECT count(*) FROM read_parquet(?, union_by_name = true)", [uris]).fetchall()
    assert counted == [(expected,)]
    assert expected > 500


# Nights


def by_vendor(runs: tuple[Run, ...], *troubles: Trouble) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in simulate(runs, troubles):
        told = found[outcome.run.account.vendor]
        told["loaded"] += outcome.loaded
        for name in ("answered", "failed", "waited", "pods"):
            told[name] += getattr(outcome, name)
        late = outcome.run.begins * 60 + outcome.run.deadline_s
        assert outcome.ended <= late
    return found


def test_a_usual_night_takes_the_calls_and_the_time_that_were_planned(many: Fleet) -> None:
    runs = timetable(many)
    for outcome in simulate(runs):
        assert outcome.loaded
        assert (outcome.answered, outcome.failed, outcome.pods) == (outcome.run.account.calls, 0, 1)
        begun = outcome.run.begins * 60
        assert outcome.ended - begun == pytest.approx(outcome.run.seconds, rel=0.35, abs=60)
    assert not by_vendor(runs)["peek"]["waited"]


def test_a_vendor_that_is_down_costs_its_own_accounts_alone(many: Fleet) -> None:
    runs = timetable(many)
    usual = by_vendor(runs)
    night = by_vendor(runs, Trouble("peakium", 0, 0, 24 * 60))
    assert (night["peakium"]["loaded"], night["peakium"]["answered"]) == (0, 0)
    assert night["peakium"]["pods"] == 4 * usual["peakium"]["pods"]
    assert {**night, "peakium": None} == {**usual, "peakium": None}


def test_a_vendor_that_comes_back_is_read(many: Fleet) -> None:
    """Two minutes are made good by tries again; what an outage of half an hour costs is what ran in it."""
    runs = timetable(many)
    short = by_vendor(runs, Trouble("peek", 0, 60, 62))["peek"]
    assert (short["loaded"], short["pods"]) == (OPERATORS, OPERATORS)
    assert short["failed"] > 5
    long = by_vendor(runs, Trouble("peek", 0, 60, 90))["peek"]
    hit = sum(run.account.vendor == "peek" and run.begins < 90 and run.ends > 60 for run in runs)
    assert OPERATORS - hit <= long["loaded"] < OPERATORS


def test_a_vendor_that_throttles_is_kept_to(many: Fleet) -> None:
    runs = timetable(many)
    a_little = by_vendor(runs, Trouble("peek", 0.85, 0, 24 * 60))["peek"]
    assert a_little["loaded"] == OPERATORS
    assert a_little["waited"]
    half = by_vendor(runs, Trouble("peek", 0.5, 0, 24 * 60))["peek"]
    assert half["answered"] <= 0.5 * BUDGET * many.cluster.minutes
    assert not half["loaded"]


def test_a_run_with_a_budget_of_its_own_is_as_long_as_the_tap_says(
    read: Callable[[str], Fleet], make_world: Callable[..., World]
) -> None:
    """By the sandbox's clock: `--plan` knows how many budgets a run waits for, and so does the simulation."""
    done = subprocess.run(
        [Path(sys.executable).parent / "tap-premiumpay", "--config", "ENV", "--plan=json"],
        env={**os.environ, **make_world(clock_rate=3600).env("premiumpay")}, capture_output=True, check=True,
    )  # fmt: skip
    plan = json.loads(done.stdout)
    (budget,) = plan["budgets"]
    listed = read(LIST.replace("calls = 49 ", f"calls = {budget['calls']}").replace("20:00-08:00", "00:00-00:00"))
    runs = [run for run in timetable(listed) if run.account.vendor == "premiumpay"]
    (outcome,) = simulate(runs)
    assert outcome.waited == budget["waits"] > 5
    assert outcome.ended == pytest.approx(plan["seconds"], abs=budget["period_s"])


# The page


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the digit: a simulated night is the same each time."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    steps = [step for block in blocks for step in SHOWN.finditer(block)]
    assert len(steps) > 3
    monkeypatch.chdir(tmp_path)
    for step in steps:
        command, _, file = step["command"].partition(" > ")
        python, option, module, *arguments = shlex.split(command)
        assert (python, option, module) == ("python", "-m", "examples.fleet")
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        if file:
            Path(file).write_text(done.output, encoding="utf-8")
        assert step["output"].rstrip() == ("" if file else done.output.rstrip())
