"""A tap of four plain lists, for the tests of what all taps have in common; `python -m tests.core.example` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from typing_extensions import override

from benchmarks.vendor import Schemas
from tap_core.config.settings import config_schema
from tap_core.errors import TapError
from tap_core.http.auth import BasicAuth
from tap_core.http.client import DEFAULT_ACCOUNT, ApiClient, Network
from tap_core.output.messages import MessageWriter
from tap_core.records.dialect import Dialect
from tap_core.streams.base import CoreStream
from tap_core.streams.embedded import EmbeddedStream
from tap_core.tap import CoreTap
from tap_core.timestamps import iso_text
from tests.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME = {"type": ["string", "null"], "format": "date-time"}


def schema(**columns: Any) -> dict[str, Any]:
    """A schema with a text key ``id`` and these columns."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["id"],
        "properties": {"id": {"type": "string"}, **columns},
    }


PART = {"type": ["object", "null"], "additionalProperties": True, "properties": {"sku": {"type": ["string", "null"]}}}
SCHEMAS: dict[str, dict[str, Any]] = {
    "orders": schema(
        at=TIME, name={"type": ["string", "null"], "x-pii": True}, parts={"type": ["array", "null"], "items": PART}
    ),
    "parts": {
        "type": "object",
        "additionalProperties": False,
        "required": ["order_id", "_position"],
        "properties": {"order_id": {"type": "string"}, "_position": {"type": "integer"}, **PART["properties"]},  # type: ignore[dict-item]
    },
    "events": schema(at=TIME),
    "places": schema(),
    "secrets": schema(),
}


class ExampleStream(CoreStream):
    """A list in ``data``."""

    schemas = Schemas(SCHEMAS)
    dialect = Dialect(time=iso_text)
    records_path = ("data",)
    primary_keys: Sequence[str] = ("id",)


class Orders(ExampleStream):
    name = "orders"
    path = "/orders"
    replication_key = "at"


class Parts(EmbeddedStream):
    name = "parts"
    schemas = Schemas(SCHEMAS)
    embedded_in = Orders
    rows_at = "parts"
    from_parent: ClassVar[Mapping[str, str]] = {"order_id": "id"}
    numbered = "_position"
    primary_keys = ("order_id", "_position")
    replication_key = None


class Events(ExampleStream):
    """Immutable."""

    name = "events"
    path = "/events"
    replication_key = "at"
    immutable = True


class Places(ExampleStream):
    """Without a change marker."""

    name = "places"
    path = "/places"


class Secrets(ExampleStream):
    """Off by default."""

    name = "secrets"
    path = "/secrets"
    selected_by_default = False


class TapExample(CoreTap):
    """The tap."""

    name = "tap-example"
    stream_types: ClassVar[Sequence[type[CoreStream]]] = (Orders, Parts, Events, Places, Secrets)
    config_jsonschema = config_schema(
        th.Property("api_key", th.StringType, required=True, secret=True, description="The key."),
        th.Property("password", th.StringType, secret=True, description="A password."),
        th.Property(
            "connections",
            th.ArrayType(
                th.ObjectType(
                    th.Property("name", th.StringType),
                    th.Property("key", th.StringType, secret=True),
                    additional_properties=False,
                )
            ),
            description="Further keys.",
        ),
        th.Property("weights", th.ObjectType(additional_properties=th.NumberType), description="An object."),
        api_url="https://api.example.com",
        bounded="They bound `events`.",
        page_size=100,
    )

    @override
    def make_clients(self, network: Network) -> Mapping[str, ApiClient]:
        return {DEFAULT_ACCOUNT: ApiClient(network, BasicAuth(self.config["api_key"]))}


@dataclass
class Outcome:
    """What a run in this process gave."""

    tap: CoreTap
    output: bytes
    error: TapError | None

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line, parse_float=Decimal) for line in self.output.splitlines()]

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == kind and stream in {None, m.get("stream")}]

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [message["record"] for message in self.of("RECORD", stream)]

    @property
    def state(self) -> dict[str, Any]:
        states = self.of("STATE")
        return states[-1]["value"]["bookmarks"] if states else {}


def run(
    tap: type[CoreTap],
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run a tap in this process."""
    with tempfile.TemporaryFile() as output:
        running = tap(config=config, state=state, catalog=catalog, message_writer=MessageWriter(output.fileno()))
        error = None
        try:
            running.run()
        except TapError as failure:
            error = failure
        output.seek(0)
        return Outcome(running, output.read(), error)


def start(
    folder: Path, config: Mapping[str, Any], *arguments: str, code: str | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a tap as a process, with its config in a folder.

    Args:
        folder: Where it works.
        config: Its settings.
        arguments: Further arguments.
        code: What to run in place of the example tap's module.
        options: For `subprocess.Popen`; standard error is a pipe by default.
    """
    path = folder / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    program = ["-c", code] if code else ["-m", "tests.core.example"]
    root = Path(__file__).parents[2]
    kind = subprocess.Popen if code or "preexec_fn" in options else Warm
    return kind(
        [sys.executable, *program, "--config", str(path), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), **options.pop("env", {})},
        **{"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options},
    )


if __name__ == "__main__":
    TapExample.main()
