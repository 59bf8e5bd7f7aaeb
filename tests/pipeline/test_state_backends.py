"""Where Meltano keeps its state: in files, in a bucket, or in PostgreSQL. A second run goes on from what is there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.loader.postgres import programs, server
from tests.pipeline.conftest import assert_exact
from tests.stores import object_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

HEAVY = pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="needs a server: make integrations")
ID = "sandbox:tap-peakium-to-target-duckhouse"
S3 = "MELTANO_STATE_BACKEND_S3_"
BUCKET = """
import boto3, os
boto3.client("s3", region_name="us-east-1", endpoint_url=os.environ["{s3}ENDPOINT_URL"]).create_bucket(Bucket="states")
"""

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once


def in_files(folder: Path) -> AbstractContextManager[dict[str, str]]:
    return nullcontext({"MELTANO_STATE_BACKEND_URI": (folder / "states").as_uri()})


@contextmanager
def in_a_bucket(folder: Path) -> Iterator[dict[str, str]]:
    with object_store(folder) as address:
        account = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        own = {f"{S3}{name}": value for name, value in (account | {"ENDPOINT_URL": address}).items()}
        subprocess.run([sys.executable, "-c", BUCKET.format(s3=S3)], env={**os.environ, **account, **own}, check=True)
        yield own | {"MELTANO_STATE_BACKEND_URI": "s3://states/of-meltano"}


@contextmanager
def in_postgres(folder: Path) -> Iterator[dict[str, str]]:
    if programs() is None:
        pytest.skip("PostgreSQL's programs are not here")
    with server(folder) as postgres:
        yield {"MELTANO_DATABASE_URI": f"postgresql+psycopg://postgres@127.0.0.1:{postgres.port}/postgres"}


@pytest.mark.parametrize(
    "backend", [in_files, pytest.param(in_a_bucket, marks=HEAVY), pytest.param(in_postgres, marks=HEAVY)]
)
def test_a_run_goes_on_from_the_state_that_the_one_before_has_kept(
    project: Project, world: World, tmp_path: Path, backend: Callable[[Path], AbstractContextManager[dict[str, str]]]
) -> None:
    warehouse, suffix = tmp_path / "warehouse.duckdb", "kept"
    with backend(tmp_path) as where:
        env = project.environment(world, TARGET_DUCKHOUSE_PATH=str(warehouse), **where)
        env["TAP_PEAKIUM_API_URL"] = world.url("peakium")
        command = ("run", "--no-install", "--force", f"--state-id-suffix={suffix}", "tap-peakium", "target-duckhouse")
        for is_first in (True, False):
            done = project.meltano(*command, env=env)
            assert done.returncode == 0, done.stderr
            assert ("No state was found" in done.stderr) is is_first, done.stderr[-3000:]
            assert_exact(warehouse, "peakium", world)
            world.tick()
        kept = json.loads(project.meltano("state", "get", f"{ID}:{suffix}", env=env).stdout)
        assert kept["singer_state"]["bookmarks"]["events"]["replication_key_value"]
    assert not _in_the_folder(project, suffix), "the state is in the project's own database, too"


def _in_the_folder(project: Project, suffix: str) -> bool:
    file = project.folder / ".meltano/meltano.db"
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as con:
        return bool(con.execute("SELECT 1 FROM state WHERE state_id LIKE ?", [f"%{suffix}"]).fetchall())
