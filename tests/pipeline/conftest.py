"""An installed copy of the project, and what a warehouse holds in the form of the sandbox's truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.describe import VENDORS
from tap_core.testing import merged
from tap_peakium.tap import TapPeakium
from tests.duck import reading
from tests.loader.harness import METADATA
from tests.tree import copy_tree

if TYPE_CHECKING:
    from merchant_sandbox.client import World

BIN = Path(sys.executable).parent
NOWHERE = "http://127.0.0.1:9"
PLUGINS = (*(f"tap-{vendor}" for vendor in VENDORS), "target-duckhouse")
KEYS = {kind.name: list(kind.primary_keys) for kind in TapPeakium.stream_types if kind.selected_by_default}
OURS = ("_extra", "_read_at", "_sdc_version", "_sdc_table_version")


def held(warehouse: Path, schema: str, stream: str, *, gone: bool = False) -> list[dict[str, Any]]:
    """The rows of a table as the tap emitted them, without the times of loading.

    Args:
        warehouse: The DuckDB file.
        schema: The table's schema.
        stream: The table.
        gone: Whether to return the rows that are marked as deleted instead of those that are not.
    """
    with reading(warehouse) as con:
        marked = f"_sdc_deleted_at IS {'NOT NULL' if gone else 'NULL'}"
        cursor = con.execute(f'SELECT COLUMNS(lambda c: c NOT IN {METADATA}) FROM "{schema}"."{stream}" WHERE {marked}')
        columns = [(column[0], str(column[1])) for column in cursor.description or ()]
        return [
            {name: _plain(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
            for row in cursor.fetchall()
        ]


def tables(warehouse: Path, schema: str) -> set[str]:
    """The tables of a schema; in a lake, its views."""
    with reading(warehouse) as con:
        found = con.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", [schema])
        return {name for (name,) in found.fetchall()}


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    return json.loads(value) if kind == "JSON" and value is not None else value


def assert_exact(warehouse: Path, schema: str, world: World) -> None:
    """All streams of Peakium equal the truth."""
    for stream, keys in KEYS.items():
        rows = held(warehouse, schema, stream)
        found = merged(rows, keys, without=OURS)
        assert len(found) == len(rows), f"{stream}: doubles"
        assert found == merged(world.truth("peakium", stream), keys, without=OURS), stream


@dataclass
class Project:
    """A copy of the project, with its plugins installed in it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, world: World, **more: str) -> dict[str, str]:
        sandbox, _, _ = world.url("peakium").partition("/w/")
        return {**self.env, **world.env("peakium"), "MERCHANT_SANDBOX_URL": sandbox, **more}

    def meltano(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "meltano"), *arguments],
            cwd=self.folder,
            env=env or self.env,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as git would hand it out, tap and loader installed while Meltano's hub is out of reach."""
    folder = copy_tree(tmp_path_factory.mktemp("project"))
    env = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MELTANO_HUB_URL": NOWHERE,
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }
    env.pop("UV_CONSTRAINT", None)  # `meltano.yml` has to say it
    made = Project(folder, env)
    done = made.meltano("install", *PLUGINS)
    assert done.returncode == 0, done.stderr
    made.env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    made.env |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return made
