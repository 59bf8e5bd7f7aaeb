"""A way to run a tap as its users do, and to read what it wrote. Taps do not import this module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.tap import CoreTap

__all__ = [
    "Account",
    "Key",
    "Record",
    "Run",
    "bookmark_values",
    "merged",
    "process",
    "run_tap",
    "selected",
    "without_nulls",
    "without_read_times",
]

Record = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Account:
    """What a tap needs to reach its API: settings, and variables for the process."""

    config: Mapping[str, Any]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """The result of one run of a tap.

    Args:
        code: The exit code.
        output: Standard output.
        log: Standard error.
    """

    code: int
    output: bytes
    log: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The Singer messages in order."""
        return [json.loads(line) for line in self.output.splitlines()]

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """The messages of a type, of one stream or of all."""
        return [m for m in self.messages if m["type"] == kind and stream in {None, m.get("stream")}]

    @property
    def streams(self) -> list[str]:
        """The streams that have a SCHEMA."""
        return list(dict.fromkeys(message["stream"] for message in self.of("SCHEMA")))

    def keys(self, stream: str) -> list[str]:
        """The key properties of a stream."""
        return list(self.of("SCHEMA", stream)[-1]["key_properties"])

    def replication_key(self, stream: str) -> str | None:
        """The replication key of a stream, if it has one."""
        keys = self.of("SCHEMA", stream)[-1].get("bookmark_properties") or [None]
        return str(keys[0]) if keys[0] else None

    def schema(self, stream: str) -> dict[str, Any]:
        """The schema of a stream."""
        schema: dict[str, Any] = self.of("SCHEMA", stream)[-1]["schema"]
        return schema

    def records(self, stream: str) -> list[Record]:
        """The records of a stream in order."""
        return [message["record"] for message in self.of("RECORD", stream)]

    def rows(self, stream: str) -> dict[Key, Record]:
        """The records of a stream as a target would hold them: by key, the last one wins, without nulls."""
        return merged(self.records(stream), self.keys(stream))

    @property
    def state(self) -> dict[str, Any]:
        """The last state; empty if there was none."""
        states = self.of("STATE")
        return states[-1]["value"] if states else {}


def merged(records: Sequence[Record], keys: Sequence[str], *, without: Sequence[str] = ()) -> dict[Key, Record]:
    """Records by key; the last one wins. Nulls count as absent, at any depth, as they do in a warehouse."""
    return {
        tuple(record[key] for key in keys): {
            name: value for name, value in without_nulls(record).items() if name not in without
        }
        for record in records
    }


def without_nulls(value: Any) -> Any:
    """A JSON value without the members that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def process(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command with these variables and nothing on its standard input; tests may put another in its place."""
    return subprocess.run(  # noqa: S603  our own command
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def run_tap(
    tap: type[CoreTap],
    account: Account,
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Run:
    """Run a tap in a separate process.

    Args:
        tap: The tap.
        account: Settings and variables.
        arguments: Further arguments of the command line.
        state: The state to continue from.
        catalog: The catalog to use.
        config: Settings beyond those of the account; None removes one.
    """
    settings = {name: value for name, value in {**account.config, **(config or {})}.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", tap.__module__.partition(".")[0], *arguments]
        for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
            if content is not None:
                path = Path(folder) / f"{name}.json"
                path.touch(mode=0o600)
                path.write_text(json.dumps(content))
                command += [f"--{name}", str(path)]
        done = process(command, {**os.environ, **account.env})
    return Run(done.returncode, done.stdout, done.stderr.decode())


def bookmark_values(bookmarks: Mapping[str, Any]) -> dict[str, str]:
    """The value of each bookmark that has one, by stream."""
    return {
        stream: bookmark["replication_key_value"]
        for stream, bookmark in bookmarks.items()
        if "replication_key_value" in bookmark
    }


def without_read_times(rows: Mapping[Key, Record]) -> list[Record]:
    """Rows without the time at which they were read, in the order of their content."""
    plain = [{name: value for name, value in row.items() if name != "_read_at"} for row in rows.values()]
    return sorted(plain, key=lambda row: json.dumps(row, sort_keys=True))


def selected(catalog: Mapping[str, Any], streams: Sequence[str], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """A catalog with just these streams selected, without some of their top-level fields."""
    chosen: dict[str, Any] = json.loads(json.dumps(catalog))
    for entry in chosen["streams"]:
        for metadata in entry["metadata"]:
            breadcrumb = metadata["breadcrumb"]
            if not breadcrumb:
                metadata["metadata"]["selected"] = entry["stream"] in streams
            elif breadcrumb[-1] in without:
                metadata["metadata"]["selected"] = False
    return chosen
