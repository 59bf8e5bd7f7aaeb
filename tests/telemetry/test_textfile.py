"""The file for Prometheus: whole or not at all, counters that go on, times of success that stay."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from merchant_telemetry.metrics import RUN_LAST_SUCCESS, RUN_METRICS, Histogram, Metric, Sample
from merchant_telemetry.textfile import TextFile
from tap_core.output.telemetry import STREAM_METRICS
from tap_core.testing import Account, run_tap
from tap_peakium.tap import TapPeakium
from target_duckhouse.telemetry import LOAD_METRICS
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World

ROWS = Metric("test.rows", "counter", "{row}", "Rows.")
TOOK = Metric("test.took", "histogram", "s", "How long.")
OWN = {"program": "tap"}
STATE = Metric("test.state", "gauge", "1", "A state.")


def values(file: Path) -> dict[str, float]:
    found = (line.rpartition(" ") for line in file.read_text().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_counters_go_on_from_one_run_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "tap.prom"
    for seconds in (0.2, 3.0):
        took = Histogram()
        took.add(seconds)
        text = TextFile(file, OWN)
        for rows in (1, 5):  # a long run writes more than once; only what it counted in the end adds up
            text.write(
                [
                    Sample(ROWS, {**OWN, "stream": "a"}, rows),
                    Sample(TOOK, OWN, took),
                    Sample(STATE, {**OWN, "stream": "a"}, rows),
                ]
            )
    assert values(file) == {
        'test_rows_total{program="tap",stream="a"}': 10,
        'test_state{program="tap",stream="a"}': 5,
        **{f'test_took_seconds_bucket{{program="tap",le="{bound}"}}': 0 for bound in ("0.01", "0.025", "0.05", "0.1")},
        **{f'test_took_seconds_bucket{{program="tap",le="{bound}"}}': 1 for bound in ("0.25", "0.5", "1", "2.5")},
        **{f'test_took_seconds_bucket{{program="tap",le="{bound}"}}': 2 for bound in ("5", "10", "30", "60", "+Inf")},
        'test_took_seconds_sum{program="tap"}': 3.2,
        'test_took_seconds_count{program="tap"}': 2,
    }


def test_what_another_run_counted_and_the_last_success_stay(tmp_path: Path) -> None:
    file = tmp_path / "tap.prom"
    first = [
        Sample(ROWS, {**OWN, "stream": "a"}, 1),
        Sample(STATE, {**OWN, "stream": "a"}, 1),
        Sample(RUN_LAST_SUCCESS, OWN, 77),
    ]
    TextFile(file, OWN).write(first)
    TextFile(file, OWN).write([Sample(ROWS, {**OWN, "stream": "b"}, 2), Sample(STATE, {**OWN, "stream": "b"}, 0)])
    assert values(file) == {
        'test_rows_total{program="tap",stream="a"}': 1,
        'test_rows_total{program="tap",stream="b"}': 2,
        'test_state{program="tap",stream="b"}': 0,
        'merchant_run_last_success_timestamp_seconds{program="tap"}': 77,
    }


def test_several_programs_may_take_turns_at_one_file(tmp_path: Path) -> None:
    """As the loader does in a Meltano run over several taps: it has one variable for all."""
    file = tmp_path / "all.prom"
    for name in ("a", "b", "a"):
        labels = {"program": "loader", "state_id": name}
        TextFile(file, labels).write([Sample(ROWS, labels, 1), Sample(STATE, labels, 1)])
    TextFile(file, OWN).write([])
    assert values(file) == {
        'test_rows_total{program="loader",state_id="a"}': 2,
        'test_rows_total{program="loader",state_id="b"}': 1,
        'test_state{program="loader",state_id="a"}': 1,
        'test_state{program="loader",state_id="b"}': 1,
    }


@pytest.mark.parametrize("before", ["", "what is this?\n", 'test_rows_total{program="tap",stream="a"} NaN?\n', "\xff"])
def test_a_file_of_another_make_is_replaced(tmp_path: Path, before: str) -> None:
    file = tmp_path / "tap.prom"
    file.write_text(before, encoding="latin-1")
    TextFile(file, OWN).write([Sample(ROWS, {**OWN, "stream": 'a"b\\c\nd'}, 1)])
    assert file.read_text().splitlines()[-1] == r'test_rows_total{program="tap",stream="a\"b\\c\nd"} 1'


def test_names_keep_the_conventions_and_are_told_apart() -> None:
    metrics = [*RUN_METRICS, *STREAM_METRICS, *LOAD_METRICS]
    names = [metric.prometheus for metric in metrics]
    assert len({*names}) == len(names)
    for metric in metrics:
        assert re.fullmatch(r"merchant_(run|tap|target)_[a-z_]+", metric.prometheus)
        assert metric.prometheus.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")


def test_a_run_writes_the_file_readable_for_others_and_leaves_nothing_beside_it(world: World, tmp_path: Path) -> None:
    """The counts are those of the table; a second run adds up; a failed one keeps the time of the last success."""
    file = tmp_path / "peakium.prom"
    account = Account(world.config("peakium"), {**world.env("peakium"), "TAP_PEAKIUM_METRICS_FILE": str(file)})
    rows = 'merchant_tap_records_total{program="tap-peakium",stream="customers"}'
    success = 'merchant_run_last_success_timestamp_seconds{program="tap-peakium"}'
    once = run_tap(TapPeakium, account)
    first = values(file)
    assert first[rows] == len(once.records("customers"))
    assert first['merchant_tap_requests_total{program="tap-peakium",stream="customers",status="2xx"}'] > 0
    assert first['merchant_run_exit_code{program="tap-peakium"}'] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    world.fault("peakium", "/customers", "status", status=500, times=1)
    world.fault("peakium", "/invoices", "status", status=400, times=None)
    failed = run_tap(TapPeakium, account)
    second = values(file)
    assert failed.code == 4, failed.log
    assert second[rows] == first[rows] * 2
    assert second['merchant_run_exit_code{program="tap-peakium"}'] == 4
    assert second[success] == first[success]
    assert second['merchant_tap_stream_success{program="tap-peakium",stream="invoices"}'] == 0
    assert second['merchant_tap_requests_total{program="tap-peakium",stream="customers",status="5xx"}'] == 1
    assert second['merchant_tap_retries_total{program="tap-peakium",stream="customers"}'] == 1
    assert second['merchant_tap_wait_seconds_total{program="tap-peakium",stream="customers",reason="retry"}'] > 0
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("command", [["tap_peakium", "--config", "{config}"], ["target_duckhouse"]])
def test_a_folder_that_is_not_there_is_told_before_anything_is_done(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "c.json").write_text('{"api_key": "key"}')
    given = [part.format(config=tmp_path / "c.json") for part in command]
    done = subprocess.run(
        [sys.executable, "-m", *given, "--metrics-file", str(tmp_path / "none" / "x.prom")],
        env={**os.environ, "TARGET_DUCKHOUSE_PATH": str(tmp_path / "w.duckdb")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--metrics-file: no file can be written at" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "w.duckdb").exists()


def test_discovery_leaves_the_file_alone(world: World, tmp_path: Path) -> None:
    """Meltano discovers before each run, with the same variables."""
    file = tmp_path / "peakium.prom"
    account = Account(world.config("peakium"), {**world.env("peakium"), "TAP_PEAKIUM_METRICS_FILE": str(file)})
    assert run_tap(TapPeakium, account, "--discover").code == 0
    assert not file.exists()


def test_the_page_lists_every_metric() -> None:
    page = (ROOT / "docs/guides/telemetry.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(merchant_\w+)` \| (\w+) \| .* \| (.*) \|$", page, re.MULTILINE)
    metrics = [*RUN_METRICS, *STREAM_METRICS, *LOAD_METRICS]
    assert rows == [(metric.prometheus, metric.kind, metric.help) for metric in metrics]
