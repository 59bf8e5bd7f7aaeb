"""A source as Airbyte runs it, and what its messages are as Singer's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_core.testing import Run
from tests.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Source", "Sync", "configured", "singer"]

Message = dict[str, Any]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Sync:
    """What a command of a source gave.

    Args:
        code: The exit code.
        output: Standard output.
        errors: Standard error.
    """

    code: int
    output: bytes
    errors: str = ""

    @cached_property
    def messages(self) -> list[Message]:
        """The messages in order."""
        return [json.loads(line) for line in self.output.splitlines()]

    def of(self, kind: str) -> list[Message]:
        """The content of the messages of a type."""
        member = {"CONNECTION_STATUS": "connectionStatus"}.get(kind, kind.lower())
        return [message[member] for message in self.messages if message["type"] == kind]

    @property
    def records(self) -> dict[str, list[Message]]:
        """The records of each stream."""
        found: dict[str, list[Message]] = {}
        for record in self.of("RECORD"):
            found.setdefault(record["stream"], []).append(record["data"])
        return found

    @property
    def state(self) -> list[Message]:
        """The last state of each stream, as Airbyte hands it to the next sync."""
        last = {state["stream"]["stream_descriptor"]["name"]: state for state in self.of("STATE")}
        return list(last.values())

    @property
    def errors_told(self) -> list[Message]:
        """The content of the TRACE messages that are errors."""
        return [trace["error"] for trace in self.of("TRACE") if trace["type"] == "ERROR"]

    @property
    def statuses(self) -> dict[str, list[str]]:
        """What became of each stream, in order."""
        found: dict[str, list[str]] = {}
        for trace in self.of("TRACE"):
            if trace["type"] == "STREAM_STATUS":
                status = trace["stream_status"]
                found.setdefault(status["stream_descriptor"]["name"], []).append(status["status"])
        return found

    @property
    def log(self) -> str:
        """Everything for people to read."""
        return "\n".join([*(line["message"] for line in self.of("LOG")), self.errors])


@dataclass(frozen=True)
class Source:
    """A source with its settings.

    Args:
        name: The vendor.
        config: The settings.
        folder: For the files.
        env: Variables of the process.
    """

    name: str
    config: Mapping[str, Any]
    folder: Path
    env: Mapping[str, str]

    def start(self, *arguments: str, **files: Any) -> subprocess.Popen[bytes]:
        """A command as a process, with files for the options of the same names."""
        command = [str(BIN / f"source-{self.name}"), *arguments]
        for option, content in files.items():
            path = self.folder / f"{self.name}-{option}.json"
            path.write_text(json.dumps(content))
            path.chmod(0o600)
            command += [f"--{option}", str(path)]
        return Warm(
            command,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, **files: Any) -> Sync:
        """A command to its end."""
        with self.start(*arguments, **files) as process:
            output, errors = process.communicate()
        return Sync(process.returncode, output, errors.decode())

    def check(self, **config: Any) -> Sync:
        return self.run("check", config={**self.config, **config})

    def discover(self, **config: Any) -> Sync:
        return self.run("discover", config={**self.config, **config})

    def read(self, catalog: Mapping[str, Any], state: Any = (), **config: Any) -> Sync:
        """A sync; an empty state is what Airbyte hands over the first time."""
        return self.run("read", config={**self.config, **config}, catalog=catalog, state=state)


def configured(catalog: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> Message:
    """A configured catalog of what was discovered, incremental where that is possible.

    Args:
        catalog: What was discovered.
        chosen: A catalog of Singer's with a selection; by default, everything is read.
    """
    names = None if chosen is None else {entry["stream"] for entry in chosen["streams"] if _is_selected(entry)}
    return {
        "streams": [
            {"stream": stream, "sync_mode": stream["supported_sync_modes"][-1], "destination_sync_mode": "append"}
            for stream in catalog["streams"]
            if names is None or stream["name"] in names
        ]
    }


def _is_selected(entry: Mapping[str, Any]) -> bool:
    return any(metadata["metadata"].get("selected") for metadata in entry["metadata"] if not metadata["breadcrumb"])


def singer(sync: Sync, catalog: Mapping[str, Any]) -> Run:
    """A sync as a run of the tap: the same promises hold for its rows, its state and what it says."""
    streams = {entry["stream"]["name"]: entry for entry in catalog["streams"]}
    bookmarks: dict[str, Any] = {}
    lines: list[Message] = []
    said: list[str] = []
    for message in sync.messages:
        match message:
            case {"type": "RECORD", "record": {"stream": name, "data": data}}:
                lines.append({"type": "RECORD", "stream": name, "record": data, "time_extracted": ""})
            case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}, "stream_state": state}}}:
                if streams[name]["sync_mode"] == "incremental" and state:
                    bookmarks[name] = state
                lines.append({"type": "STATE", "value": {"bookmarks": dict(bookmarks)} if bookmarks else {}})
            case {"log": {"message": text}} | {"trace": {"error": {"message": text}}}:
                said += [text] if text not in (*said, *sync.errors.splitlines()) else []
            case {"trace": {"stream_status": {"stream_descriptor": {"name": name}, "status": status}}}:
                lines += _ends(status, name, streams[name])
    output = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return Run(sync.code, output, "\n".join([*said, sync.errors]))


def _ends(status: str, name: str, entry: Mapping[str, Any]) -> list[Message]:
    """What Singer says where Airbyte says that a stream begins or is complete."""
    stream = entry["stream"]
    if status == "STARTED":
        return [
            {
                "type": "SCHEMA",
                "stream": name,
                "schema": stream["json_schema"],
                "key_properties": [key for (key,) in stream["source_defined_primary_key"]],
                "bookmark_properties": stream["default_cursor_field"],
            }
        ]
    whole = status == "COMPLETE" and entry["sync_mode"] == "full_refresh"
    return [{"type": "ACTIVATE_VERSION", "stream": name, "version": 1}] if whole else []
