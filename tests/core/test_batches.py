"""BATCH messages: their files hold what RECORD messages would have held, and a STATE covers them like these."""

from __future__ import annotations

import json
import resource
import stat
import subprocess
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ConfigError
from tests.core.example import Outcome, TapExample, run, start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.core.conftest import Lists


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": folder.as_uri(), "prefix": "x "}, **more}
    }


def unpacked(outcome: Outcome, folder: Path) -> list[dict[str, Any]]:
    """The messages, with a RECORD for each record of a BATCH."""
    found = []
    for message in outcome.messages:
        if message["type"] != "BATCH":
            found.append(message)
            continue
        shared = {"type": "RECORD", "stream": message["stream"]} | {
            name: message[name] for name in ("version", "time_extracted") if name in message
        }
        assert message["encoding"] == {"format": "jsonl", "compression": "none"}
        (address,) = message["manifest"]
        (path,) = (file for file in folder.iterdir() if file.as_uri() == address)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        lines = path.read_bytes().splitlines()
        assert lines
        found += [{**shared, "record": json.loads(line, parse_float=Decimal)} for line in lines]
    return found


def sorted_out(messages: list[dict[str, Any]]) -> list[Any]:
    """Messages without times and versions of a run, those between two others in the order of their streams."""
    found: list[Any] = []
    records: list[Any] = []
    for message in messages:
        kept = {name: value for name, value in message.items() if name not in ("time_extracted", "value", "version")}
        kept["versioned"] = "version" in message
        if message["type"] == "RECORD":
            records.append(kept)
        else:
            found += [sorted(records, key=lambda each: str(each["stream"])), kept]
            records = []
    return [*found, records]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"pii": "hash", "pii_key": "k"},
        {"stream_maps": {"orders": {"id": "id", "name": "name.upper()", "__else__": None}}},
        {"enable_streams": ["secrets"], "drop_fields": ["name"]},
    ],
)
@pytest.mark.parametrize("size", [1, 2, 10_000])
def test_files_hold_what_records_would_have_held(
    lists: Lists, tmp_path: Path, more: Mapping[str, Any], size: int
) -> None:
    order = {"at": "2026-01-01T00:00:00Z", "name": "Änne", "parts": [{"sku": "a", "n": 1.50}, {"sku": "b"}]}
    lists.rows |= {
        "/orders": [{"id": f"o{number}", **order} for number in range(5)],
        "/events": [{"id": "e", "at": "2026-01-02T00:00:00Z", "odd": 1}],
        "/places": [{"id": f"p{number}"} for number in range(3)],
        "/secrets": [{"id": "s"}],
    }
    plain = run(TapExample, {**lists.config, **more})
    batched = run(TapExample, {**lists.config, **more, **settings(tmp_path / "new" / "a b", batch_size=size)})
    assert (plain.error, batched.error, batched.of("RECORD")) == (None, None, [])
    assert sorted_out(unpacked(batched, tmp_path / "new" / "a b")) == sorted_out(plain.messages)
    assert batched.state == plain.state


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"storage": {}}, "batch_config.storage.root' is missing"),
        ({"storage": {"root": "s3://bucket"}}, "must be a folder on this machine"),
        ({"storage": {"root": "/x", "prefix": "a/b"}}, "batch_config.storage.prefix"),
        ({"storage": {"root": "/x", "path": "b"}}, "batch_config.storage.path' is unknown"),
        ({"encoding": {"format": "parquet"}, "storage": {"root": "/x"}}, "batch_config.encoding.format"),
        ({"encoding": {"compression": "gzip"}, "storage": {"root": "/x"}}, "batch_config.encoding.compression"),
        ({"storage": {"root": "/x"}, "batch_size": 0}, "batch_config.batch_size"),
        ({"storage": {"root": "/x"}, "batch_size": True}, "batch_config.batch_size"),
        ({"storage": {"root": "/x\0"}}, "batch_config.storage.root"),
        ({"storage": {"root": "file:///x%00"}}, "batch_config.storage.root"),
        ({"storage": {"root": "/x", "prefix": "\0"}}, "batch_config.storage.prefix"),
        ({"storage": {"root": "/x"}, "size": 1}, "batch_config.size' is unknown"),
    ],
)
def test_c2_settings_that_make_no_sense_are_named(lists: Lists, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TapExample(config={**lists.config, "batch_config": given})


def test_s4_a_file_that_cannot_be_written_ends_the_run_and_is_gone(lists: Lists, tmp_path: Path) -> None:
    lists.rows["/orders"] = [{"id": f"{number}" * 4_000} for number in range(200)]
    small = (1_000, 1_000)
    tap = start(
        tmp_path,
        {**lists.config, **settings(tmp_path / "files")},
        stdout=subprocess.PIPE,
        env={"PYTHONDONTWRITEBYTECODE": "1"},  # compiled files would be cut short, and break each later start
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small),
    )
    _, errors = tap.communicate()
    assert tap.returncode == 5
    assert b"(setting 'batch_config.storage.root') cannot be written: File too large" in errors
    assert list((tmp_path / "files").iterdir()) == []


def test_s2_records_that_came_before_a_failure_are_told(lists: Lists, tmp_path: Path) -> None:
    lists.rows |= {"/events": [{"id": "e"}], "/places": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"}
    outcome = run(TapExample, {**lists.config, **settings(tmp_path)})
    assert outcome.error is not None
    assert [message["stream"] for message in unpacked(outcome, tmp_path) if message["type"] == "RECORD"] == ["events"]
