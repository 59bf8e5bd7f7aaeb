"""Spans and metrics at a collector: real processes, real HTTP, and nothing in it that is nobody's business."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from merchant_telemetry.metrics import RUN_METRICS
from tap_core.config.redact import secret_values
from tap_core.output.telemetry import STREAM_METRICS
from tap_peek.tap import TapPeek
from tests.canary import shown
from tests.telemetry.collector import PARENT, TRACE, Collector, Ended, attributes, pipe
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from merchant_sandbox.client import Sandbox, World

FEW = {"availability_days_ahead": 1, "availability_days_back": 1, "bookings_window_days": 100}
JOINED = {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}


class Reported(NamedTuple):
    world: World
    collector: Collector
    run: Ended


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> Iterator[World]:  # one world for all: it is only read
    made = sandbox.world()
    yield made
    made.drop()


@pytest.fixture(scope="module")
def reported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    with Collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **JOINED}
        run = pipe(world, "peek", tmp_path_factory.mktemp("reported"), config=FEW, env=env)
        assert run.codes == (0, 0), run.tap_log + run.loader_log
        yield Reported(world, collector, run)


def test_tap_and_loader_join_the_trace_that_the_environment_names(reported: Reported) -> None:
    spans = reported.collector.spans()
    assert spans.keys() == {"tap-peek", "target-duckhouse"}
    for service, found in spans.items():
        assert {span.trace_id.hex() for span in found} == {TRACE}
        roots = [span for span in found if span.parent_span_id.hex() == PARENT]
        assert [span.name for span in roots] == [service]
        assert attributes(roots[0])["exit_code"] == 0


def test_a_run_holds_its_streams_and_a_stream_its_windows(reported: Reported) -> None:
    spans = {span.span_id: span for span in reported.collector.spans()["tap-peek"]}
    (run,) = (span for span in spans.values() if span.name == "tap-peek")
    streams = {span.name: span for span in spans.values() if span.parent_span_id == run.span_id}
    assert {"products", "bookings", "availability"} <= streams.keys()
    windows = [span for span in spans.values() if span.name == "bookings window"]
    assert len(windows) > 3
    bookings = streams["bookings"]
    for window in windows:
        assert window.parent_span_id == bookings.span_id
        assert bookings.start_time_unix_nano <= window.start_time_unix_nano <= window.end_time_unix_nano
        assert window.end_time_unix_nano <= bookings.end_time_unix_nano <= run.end_time_unix_nano
    assert sum(attributes(window)["records"] for window in windows) == attributes(bookings)["records"] > 0
    assert len({attributes(window)["window"] for window in windows}) == len(windows)


def test_the_loader_tells_what_it_loads_and_commits(reported: Reported) -> None:
    spans = reported.collector.spans()["target-duckhouse"]
    (run,) = (span for span in spans if span.name == "target-duckhouse")
    assert {span.name for span in spans if span.parent_span_id == run.span_id} >= {"load bookings", "commit"}
    loaded = sum(attributes(span)["inserted"] for span in spans if span.name == "load bookings")
    read = [span for span in reported.collector.spans()["tap-peek"] if span.name == "bookings"]
    assert loaded == attributes(read[0])["records"]


def test_the_collector_is_told_the_same_as_the_file(reported: Reported) -> None:
    """Both tell the same numbers under names that a collector turns into each other."""
    sent = {}
    for key, value in reported.collector.points().items():
        name, labels = re.fullmatch(r"([^{]+)(\{.*\})", key).groups()  # type: ignore[union-attr]
        sent[name, labels] = value
    written = {}
    for line in "".join(reported.run.files.values()).splitlines():
        if found := re.fullmatch(
            r"(\w+?)(_total|_seconds|_seconds_total|_bytes_total|_seconds_count)?(\{.*\}) (.*)", line
        ):
            labels = json.dumps(dict(re.findall(r'(\w+)="([^"]*)"', found[3])), sort_keys=True)
            written[found[1], labels] = float(found[4])
    assert len(sent) > 100
    for (name, labels), value in sent.items():
        assert written[name.replace(".", "_"), labels] == pytest.approx(value, rel=1e-9), name


def test_no_secret_nothing_personal_and_no_address_is_told(reported: Reported) -> None:
    """Not in spans or metrics, not in the files: names of streams, windows and numbers are all there is."""
    config = reported.world.config("peek")
    secrets = set(secret_values(config, TapPeek.config_jsonschema))
    told = reported.collector.text + "".join(reported.run.files.values())
    assert shown(secrets, "", told) == []
    for word in ("http", "127.0.0.1", "example.com", "guest"):
        assert word not in told, word
    bookings = reported.world.truth("peek", "bookings")
    assert len(bookings) > 10
    for booking in bookings:
        assert booking["uuid"] not in told
        for value in (booking.get("contact") or {}).values():
            assert not isinstance(value, str) or len(value) < 4 or value not in told
    keys = {key for spans in reported.collector.spans().values() for span in spans for key in attributes(span)}
    assert keys == {
        *("program", "state_id", "stream", "window", "exit_code", "records", "requests", "retries"),
        *("inserted", "updated", "unchanged", "deleted", "rejected"),
    }
    assert not any(span.events for spans in reported.collector.spans().values() for span in spans)


def test_a_failed_run_is_told_without_its_message(world: World, tmp_path: Path) -> None:
    """And not even a log at the level DEBUG shows a token in the collector's address or headers."""
    with Collector() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/canary-in-the-path-4711",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary-in-a-header-4711",
            "LOGLEVEL": "DEBUG",
        }
        run = pipe(world, "peek", tmp_path, config={**FEW, "api_key": "refused-canary-key"}, env=env)
        assert run.codes[0] == 3, run.tap_log
        (root,) = (span for span in collector.spans()["tap-peek"] if span.name == "tap-peek")
        assert attributes(root)["exit_code"] == 3
        assert root.status.code == 2
        assert not root.status.message
        assert 'merchant_run_exit_code{program="tap-peek"} 3\n' in run.files["tap.prom"]
        assert "last_success" not in run.files["tap.prom"]
        assert shown(["refused-canary-key"], collector.text + run.files["tap.prom"]) == []
        secrets = ["canary-in-the-path-4711", "canary-in-a-header-4711"]
        assert shown(secrets, run.tap_log + run.loader_log) == []


def test_a_long_run_reports_on_its_way_and_a_signal_ends_it_with_a_last_report(world: World, tmp_path: Path) -> None:
    """The tap waits an hour for its call budget; two reports come meanwhile, then it is stopped."""
    (tmp_path / "c.json").touch(mode=0o600)
    (tmp_path / "c.json").write_text(json.dumps(world.config("premiumpay")))
    file = tmp_path / "tap.prom"
    with Collector() as collector:
        reports = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "100"}
        tap = subprocess.Popen(
            [sys.executable, "-m", "tap_premiumpay", "--config", str(tmp_path / "c.json"), "--metrics-file", str(file)],
            env={**os.environ, **world.env("premiumpay"), **reports},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(2):
                while collector.paths.get(timeout=60) != "/v1/metrics":
                    pass
            assert "merchant_run_duration_seconds" in file.read_text()
            assert "merchant_run_exit_code" not in file.read_text()
            tap.send_signal(signal.SIGTERM)
            assert tap.wait(timeout=60) == 143
        finally:
            tap.kill()
            tap.wait()
        assert "merchant_run_exit_code" in file.read_text()
        assert collector.points()['merchant.run.exit_code{"program": "tap-premiumpay"}'] == 143


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_collector_that_is_down_costs_each_of_them_one_line(world: World, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    run = pipe(world, "peek", tmp_path, config=FEW, env=env)
    assert run.codes == (0, 0), run.tap_log + run.loader_log
    assert run.output
    for log in (run.tap_log, run.loader_log):
        assert_told_once(log, url)


@pytest.mark.parametrize("fault", ["refusing", "silent"])
def test_a_collector_that_refuses_or_says_nothing_costs_one_line(tmp_path: Path, fault: str) -> None:
    with Collector(400, hangs=fault == "silent") as collector:
        done = load_nothing(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert collector.bodies
        assert_told_once(done.stderr, collector.url)


def assert_told_once(log: str, url: str) -> None:
    assert log.count("telemetry cannot be sent to the collector") == 1, log
    assert "Traceback" not in log
    assert "opentelemetry" not in log
    assert url not in log


def load_nothing(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "target_duckhouse"],
        env={**os.environ, **env},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL asks for", id="grpc"),
        pytest.param({"OTEL_BSP_MAX_QUEUE_SIZE": "1"}, "an OTEL_ variable cannot be used", id="nonsense"),
        pytest.param({"PYTHONPATH": "{missing}"}, "pip install 'merchant-taps[otel]'", id="missing"),
        pytest.param({"OTEL_SDK_DISABLED": "true"}, "", id="disabled"),
    ],
)
def test_what_cannot_be_sent_is_told_once_and_the_run_goes_on(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')")
    env = {name: value.format(missing=missing) for name, value in variables.items()}
    with Collector() as collector:
        done = load_nothing(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **env)
        assert done.stderr.count("no telemetry is sent") == (1 if said else 0)
        assert said in done.stderr
        assert not collector.bodies


def test_where_nobody_asks_nothing_is_imported(world: World, tmp_path: Path) -> None:
    run = pipe(world, "peek", tmp_path, config=FEW, env={}, python=["-X", "importtime"])
    assert run.codes == (0, 0)
    for log in (run.tap_log, run.loader_log):
        assert "merchant_telemetry.telemetry" in log
        assert "opentelemetry" not in log
        assert "merchant_telemetry.otlp" not in log


def test_the_page_says_how_to_make_a_trace_for_both() -> None:
    page = (ROOT / "docs/guides/telemetry.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^export TRACEPARENT=.*$", page, re.MULTILINE)
    done = subprocess.run(["sh", "-c", f'{line}; echo "$TRACEPARENT"'], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01\n", done.stdout)
    (rules,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    names = {metric.prometheus for metric in (*RUN_METRICS, *STREAM_METRICS)}
    for rule in yaml.safe_load(rules)["groups"][0]["rules"]:
        assert {*re.findall(r"merchant_\w+", rule["expr"])} <= names
