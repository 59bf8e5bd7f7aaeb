"""``kill -9`` at any point of a sync, and another one from the last state: exact, whatever was not covered is lost."""

from __future__ import annotations

import fcntl
import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.airbyte.conftest import SHARED
from tests.airbyte.face import Sync
from tests.airbyte.test_protocol import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.airbyte.conftest import Synced
    from tests.airbyte.face import Message

KILLS = int(os.environ.get("KILLS", "3"))
"""How many kills each vendor suffers; `make soak` sets it."""

SMALLEST_PIPE = 4096


def covered(sync: Sync) -> dict[str, list[Message]]:
    """The records that a destination has committed: those before the last state of their stream."""
    kept: dict[str, list[Message]] = {}
    since: dict[str, list[Message]] = {}
    for message in sync.messages:
        match message:
            case {"record": {"stream": stream, "data": data}}:
                since.setdefault(stream, []).append(data)
            case {"state": {"stream": {"stream_descriptor": {"name": stream}}}}:
                kept.setdefault(stream, []).extend(since.pop(stream, []))
    return kept


def merged(records: list[Message], keys: list[str]) -> list[Message]:
    """The last record of each key."""
    return list({tuple(json.dumps(record[key]) for key in keys): record for record in records}.values())


@pytest.mark.parametrize("name", SHARED)
def test_a_kill_at_any_point_and_another_sync_are_exact(name: str, synced: Callable[[str], Synced]) -> None:
    found = synced(name)
    files: dict[str, Any] = {"config": found.source.config, "catalog": found.catalog}
    keys = {
        entry["stream"]["name"]: [key for (key,) in entry["stream"]["source_defined_primary_key"] if key != "_read_at"]
        for entry in found.catalog["streams"]
    }
    modes = {entry["stream"]["name"]: entry["sync_mode"] for entry in found.catalog["streams"]}
    drawn = random.Random(name)
    for _ in range(KILLS):
        after = drawn.randrange(1, len(found.first.output) - SMALLEST_PIPE)
        with found.source.start("read", **files, state=[]) as process:
            assert process.stdout
            assert process.stderr
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
            output = process.stdout.read(after)
            process.kill()
            output += process.stdout.read()
        killed = Sync(process.returncode, output[: output.rindex(b"\n") + 1] if b"\n" in output else b"")
        assert killed.code == -9
        again = found.source.read(found.catalog, killed.state)
        assert again.code == 0, again.log
        before = covered(killed)
        for stream, records in found.first.records.items():
            if stream == "server_status":
                continue
            kept = before.get(stream, []) if modes[stream] == "incremental" else []
            held = merged([*kept, *again.records.get(stream, [])], keys[stream])
            assert rows(held) == rows(records), (stream, after)
