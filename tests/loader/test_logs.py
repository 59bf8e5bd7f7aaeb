"""Log lines of the loader: as JSON, and in the form in which Meltano takes level and stream from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = [
    {"type": "SCHEMA", "stream": "a", "key_properties": ["id"], "schema": {"properties": {"id": {"type": "integer"}}}},
    {"type": "RECORD", "stream": "a", "record": {"id": 1}},
]


def load(folder: Path, *arguments: str, messages: list[Any] = MESSAGES, **env: str) -> tuple[int, list[str]]:
    """The exit code and the lines on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "target_duckhouse", *arguments],
        cwd=folder,
        env={**os.environ, "LOG_FORMAT": "", "SINGER_SDK_LOG_CONFIG": "", **env},
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def test_a_load_is_lines_of_json_with_the_counts_of_each_stream(tmp_path: Path) -> None:
    code, lines = load(tmp_path, "--log-format", "json")
    assert code == 0
    (told,) = map(json.loads, lines)
    assert told.items() >= {"level": "info", "logger": "target-duckhouse", "stream": "a", "inserted": 1}.items()


def test_an_error_names_its_stream(tmp_path: Path) -> None:
    record = {"type": "RECORD", "stream": "a", "record": {"id": "x"}}
    code, lines = load(tmp_path, messages=[*MESSAGES, record], LOG_FORMAT="json")
    assert code == 5
    told = [json.loads(line) for line in lines]
    assert [line["stream"] for line in told if line["level"] == "error"] == ["a"]


def test_meltano_gets_the_level_and_the_stream_of_each_line(tmp_path: Path) -> None:
    (tmp_path / "logging.json").write_text('{"formatters": {"x": {"()": "singer_sdk.logging.StructuredFormatter"}}}')
    record = {"type": "RECORD", "stream": "a", "record": {"id": "x"}}
    code, lines = load(tmp_path, messages=[*MESSAGES, record], SINGER_SDK_LOG_CONFIG=str(tmp_path / "logging.json"))
    assert code == 5
    needed = {"level", "pid", "logger_name", "ts", "thread_name", "app_name", "message"}
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert told
    assert all(needed <= line.keys() for line in told)
    assert [line["stream_name"] for line in told if line["level"] == "error"] == ["a"]
