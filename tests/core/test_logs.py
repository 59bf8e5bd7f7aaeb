"""Log lines as JSON: each a whole object, with the stream that it is about, and nothing else beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.example import start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.conftest import Lists


def logged(folder: Path, config: dict[str, Any], *arguments: str, **env: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the log lines of a run."""
    with start(folder, config, *arguments, stdout=-1, env={"LOG_FORMAT": "", **env}) as process:
        said = process.communicate(timeout=60)[1].decode()
    return process.returncode, [json.loads(line) for line in said.splitlines()]


def test_a_run_is_lines_of_json_with_the_figures_of_each_stream(tmp_path: Path, lists: Lists) -> None:
    lists.rows |= {"/orders": [{"id": "a", "at": "2024-03-01T00:00:00Z", "parts": [{}]}]}
    code, lines = logged(tmp_path, lists.config, "--log-format", "json")
    assert code == 0
    assert all(list(line)[:4] == ["ts", "level", "logger", "message"] for line in lines)
    assert {line["logger"] for line in lines} == {"tap-example"}
    assert all(line["ts"].endswith("Z") for line in lines)
    streams = {line["stream"]: line for line in lines if "stream" in line}
    assert streams.keys() == {"orders", "parts", "events", "places"}
    assert (
        streams["orders"].items()
        >= {
            "records": 1,
            "requests": 1,
            "retries": 0,
            "bookmark_before": None,
            "bookmark_after": "2024-03-01T00:00:00.000000Z",
            "result": "done",
        }.items()
    )
    assert "requests" not in streams["parts"]


def test_an_error_names_its_stream_and_a_stream_that_was_not_read_is_told(tmp_path: Path, lists: Lists) -> None:
    lists.rows |= {"/orders": lists.server.answer(401)}
    code, lines = logged(tmp_path, lists.config, LOG_FORMAT="json")
    assert code == 3
    (error,) = [line for line in lines if line["level"] == "error"]
    assert error["stream"] == "orders"
    assert {line["stream"]: line["result"] for line in lines if "result" in line} == {
        "orders": "failed",
        "parts": "failed",
        "events": "not read",
        "places": "not read",
    }


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["--log-format=json", "--state=nowhere"], ""), (["--nothing"], "json")],
    ids=["option", "environment"],
)
def test_a_wrong_command_line_is_json_too(tmp_path: Path, lists: Lists, arguments: list[str], env: str) -> None:
    code, lines = logged(tmp_path, lists.config, *arguments, LOG_FORMAT=env)
    assert code == 2
    assert [line["level"] for line in lines] == ["error"]


def test_metrics_are_debug_lines_with_their_stream(tmp_path: Path, lists: Lists) -> None:
    code, lines = logged(tmp_path, lists.config, LOG_FORMAT="json", LOGLEVEL="DEBUG")
    assert code == 0
    metrics = [line for line in lines if line["message"] == "METRIC"]
    assert {line["level"] for line in metrics} == {"debug"}
    assert {line["stream"] for line in metrics} == {"orders", "parts", "events", "places"}
    assert {line["metric"]["metric"] for line in metrics} == {"record_count", "http_request_count", "sync_duration"}


def test_a_traceback_stays_within_its_line(tmp_path: Path, lists: Lists) -> None:
    code = (
        "import tap_core.group as g; g.Group.write = None; from tests.core.example import TapExample; TapExample.main()"
    )
    lists.rows |= {"/orders": [{"id": "a"}]}
    with start(tmp_path, lists.config, "--log-format=json", code=code, stdout=-1, env={"LOGLEVEL": "DEBUG"}) as process:
        said = process.communicate(timeout=60)[1].decode()
    lines = [json.loads(line) for line in said.splitlines()]
    assert process.returncode == 1
    assert any("Traceback" in line.get("exception", "") for line in lines)


def test_other_programs_values_of_the_variable_are_passed_over(tmp_path: Path, lists: Lists) -> None:
    with start(tmp_path, lists.config, stdout=-1, env={"LOG_FORMAT": "ecs"}) as process:
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0
    assert "bookmark before" in said
