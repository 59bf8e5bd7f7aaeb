"""Runs the loader as a real process and reads the warehouse back."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests import warm
from tests.duck import reading

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from pathlib import Path

METADATA = ("_sdc_extracted_at", "_sdc_batched_at", "_sdc_deleted_at")


@dataclass
class Loader:
    """The loader with one warehouse file."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def config(self, **settings: object) -> Path:
        file = self.folder / "-".join(["config.json", *settings])  # another process may yet have to read the last one
        file.write_text(json.dumps({"path": str(self.path), **settings}))
        return file

    def command(self, *arguments: str, **settings: object) -> list[str]:
        return [sys.executable, "-m", "target_duckhouse", "--config", str(self.config(**settings)), *arguments]

    def run(self, messages: Iterable[object] | bytes, **settings: object) -> subprocess.CompletedProcess[bytes]:
        """Load messages, whatever comes of it."""
        data = messages if isinstance(messages, bytes) else encode(messages)
        return warm.run(self.command(**settings), data)

    def load(self, messages: Iterable[object] | bytes, **settings: object) -> list[dict[str, Any]]:
        """Load messages that must load; returns the STATE values that were confirmed."""
        done = self.run(messages, **settings)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fail(self, messages: Iterable[object] | bytes, **settings: object) -> str:
        """Load messages that must not load; returns the one line that says why."""
        done = self.run(messages, **settings)
        assert done.returncode == 5, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return done.stderr.decode().strip().splitlines()[-1]

    def ask(self, *arguments: str, **settings: object) -> str:
        """Run another command and return its output."""
        done = warm.run(self.command(*arguments, **settings))
        done.check_returncode()
        return done.stdout.decode()

    def ask_in_vain(self, *arguments: str, **settings: object) -> str:
        """Run another command that must fail because of what it was given; returns what it says."""
        done = warm.run(self.command(*arguments, **settings))
        said = done.stderr.decode()
        assert done.returncode in {2, 5}, said
        assert "Traceback" not in said
        return said

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, without the loader's own columns unless the query asks for them."""
        with reading(self.path) as con:
            cursor = con.execute(query)
            names = [column[0] for column in cursor.description or ()]
            wanted = [place for place, name in enumerate(names) if name not in METADATA or name in query]
            return [tuple(row[place] for place in wanted) for row in cursor.fetchall()]

    def types(self, table: str) -> dict[str, str]:
        """The types of a table's columns, without the loader's own."""
        return {row[0]: row[1] for row in self.sql(f"DESCRIBE {table}") if row[0] not in METADATA}

    def counts(self, stream: str) -> dict[str, int]:
        """What the last load did to a stream."""
        names = ("inserted", "updated", "unchanged", "deleted", "rejected")
        columns = ", ".join(names)
        rows = self.sql(
            f"SELECT {columns} FROM _singer_loads WHERE stream = '{stream}' ORDER BY started_at DESC LIMIT 1"
        )
        return dict(zip(names, rows[0], strict=True))


def encode(messages: Iterable[object]) -> bytes:
    """Messages as a tap writes them."""
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def schema(stream: str, properties: dict[str, Any], keys: Iterable[str] = ("id",)) -> dict[str, Any]:
    body = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": stream, "schema": body, "key_properties": list(keys)}


def record(stream: str, version: int | None = None, /, **values: object) -> dict[str, Any]:
    message: dict[str, Any] = {"type": "RECORD", "stream": stream, "record": values}
    return message if version is None else message | {"version": version}


def state(value: object) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


INTEGER = {"type": ["null", "integer"]}
STRING = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
OBJECT = {"type": ["null", "object"]}
DATE_TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
