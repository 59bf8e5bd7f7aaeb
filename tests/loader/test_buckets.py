"""Lakes in a bucket of an object store: the same rows, exactly once, and no secret anywhere."""

from __future__ import annotations

import ast
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import INTEGER, NUMBER, Loader, encode, record, schema, state
from tests.loader.test_delta import OTHERS
from tests.loader.test_lake import KILLED
from tests.stores import object_store

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "s3cret/canary+0123456789"
T = schema("t", {"id": INTEGER, "v": INTEGER})
WIDE = schema("t", {"id": INTEGER, "v": NUMBER})
LOG = schema("log", {"n": INTEGER}, ())
pytestmark = pytest.mark.xdist_group("buckets")  # whose server is started once


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks S3, with its conditional puts."""
    with object_store(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture(autouse=True)
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users have in their environment."""
    values = {"ENDPOINT_URL": endpoint, "REGION": "us-east-1", "DEFAULT_REGION": "us-east-1"}
    values |= {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": CANARY, "EC2_METADATA_DISABLED": "true"}
    for name, value in values.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture(params=["parquet", "delta"])
def lake(request: pytest.FixtureRequest, loader: Loader) -> dict[str, Any]:
    bucket = f"bucket-{loader.folder.name.lower().replace('_', '-')}"[:60].rstrip("-")
    code = f"import s3fs\ns3fs.S3FileSystem().mkdir({bucket!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    return {"lake_path": f"s3://{bucket}/a lake", "table_format": request.param}


def rows(loader: Loader, *streams: str) -> list[list[tuple[Any, ...]]]:
    """The rows of views, as a user reads them who has registered a file system."""
    query = "SELECT * EXCLUDE (_sdc_extracted_at, _sdc_batched_at, _sdc_deleted_at) FROM {} ORDER BY ALL"
    code = "import duckdb, s3fs, sys\ncon = duckdb.connect(sys.argv[1], read_only=True)\n"
    code += "con.register_filesystem(s3fs.S3FileSystem())\n"
    code += "print([con.execute(query).fetchall() for query in sys.argv[2:]])\n"
    code += "con.close()"  # or DuckDB's threads may still hold the file system when the interpreter ends, which aborts
    command = [sys.executable, "-c", code, str(loader.path), *map(query.format, streams)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert not done.returncode, done.stderr
    return list(ast.literal_eval(done.stdout))


def test_rows_come_back_and_no_secret_is_kept(loader: Loader, lake: dict[str, Any]) -> None:
    snapshot = schema("snapshot", {"n": INTEGER}, ())
    active = {"type": "ACTIVATE_VERSION", "stream": "snapshot"}
    said = b""
    for number, head, value in ((1, T, 7), (2, WIDE, 1.7)):
        messages = [head, *(record("t", id=n, v=value) for n in (0, number)), LOG, record("log", n=number)]
        messages += [snapshot, record("snapshot", number, n=number), active | {"version": number}, state(number)]
        done = loader.run(messages, **lake)
        assert done.returncode == 0, done.stderr.decode()
        said += done.stderr + done.stdout
    wanted = [[(0, 1.7), (1, 7.0), (2, 1.7)], [(1,), (2,)], [(2,)]]
    assert rows(loader, "t", "log", "snapshot") == wanted
    compacted = {line.split()[1]: line.split()[2:] for line in loader.ask("compact").splitlines()[1:]}
    assert (compacted["log"], compacted["snapshot"]) == (["2", "1"], ["1", "1"])
    assert rows(loader, "t", "log", "snapshot") == wanted
    assert '"rows": 3' in loader.ask("inspect", "--format", "json")
    assert CANARY.encode() not in said + loader.path.read_bytes()
    assert not list(loader.folder.rglob("*.parquet"))


@pytest.mark.parametrize("lake", ["delta"], indirect=True)
def test_l5_a_run_that_was_killed_after_its_commit_is_finished_by_the_next(
    loader: Loader, lake: dict[str, Any]
) -> None:
    killed = [sys.executable, "-c", KILLED, *loader.command(**lake)[2:]]
    done = subprocess.run(killed, input=encode([LOG, record("log", n=1), state(1)]), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    loader.load([LOG, record("log", n=2), state(2)], **lake)
    assert rows(loader, "log") == [[(1,), (2,)]]


@pytest.mark.parametrize("lake", ["parquet"], indirect=True)
@pytest.mark.parametrize("is_held", [False, True], ids=["between-commits", "within-one"])
def test_l8_of_two_writers_with_copies_of_a_warehouse_one_wins(
    loader: Loader, lake: dict[str, Any], *, is_held: bool
) -> None:
    loader.load([LOG, record("log", n=1), state(1)], **lake)
    copy = Loader(loader.folder / "copy")
    copy.folder.mkdir()
    shutil.copy(loader.path, copy.path)
    running = subprocess.Popen(
        loader.command(**lake, flush_interval_s=0),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin
    assert running.stdout
    assert running.stderr
    if is_held:  # a type is widened in the DuckDB file, which then stays open until a STATE comes
        running.stdin.write(encode([LOG, record("log", n=2), record("log", n=2**100)]))
        running.stdin.flush()
        assert any(b"is now HUGEINT" in line for line in running.stderr)
    else:
        running.stdin.write(encode([LOG, state(2)]))
        running.stdin.flush()
        assert running.stdout.readline() == b"2\n"
    copy.load([LOG, record("log", n=3), state(3)], **lake)
    _, errors = running.communicate(encode([record("log", n=4), state(4)]))
    assert running.returncode == 5
    assert b"copy of this warehouse" in errors
    assert rows(copy, "log") == [[(1,), (3,)]]
    assert "another copy of this warehouse" in loader.fail([], **lake)


@pytest.mark.parametrize("lake", ["delta"], indirect=True)
def test_a_version_that_others_commit_first_is_not_overwritten(loader: Loader, lake: dict[str, Any]) -> None:
    for n in range(2):
        loader.load([T, record("t", id=n, v=n), state(n)], **lake)
    code = OTHERS.format(path=f"{lake['lake_path']}/main/t").replace(
        "DeltaTable(", "DeltaTable(storage_options={'allow_http': 'true'}, table_uri="
    )
    command = [sys.executable, "-c", code, *loader.command(**lake)[2:]]
    done = subprocess.run(
        command, input=encode([T, record("t", id=0, v=9), state(4)]), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert rows(loader, "t") == [[(0, 9), (1, 1)]]


@pytest.mark.parametrize("lake", ["parquet"], indirect=True)
def test_what_is_missing_is_told_in_one_line(
    loader: Loader, lake: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = [sys.executable, "-c", WITHOUT, *loader.command(**lake)[2:]]
    lacking = subprocess.run(without, input=b"", capture_output=True, check=False)
    assert lacking.returncode == 2
    assert b"pip install '.[loader,s3]'" in lacking.stderr
    nowhere = {**lake, "lake_path": "s3://no-such-bucket/lake"}
    assert "setting `lake_path`: s3://no-such-bucket/lake: " in loader.fail([LOG, record("log", n=1)], **nowhere)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    said = loader.fail([LOG, record("log", n=1)], **lake)
    assert CANARY not in said
    with duckdb.connect(str(loader.path), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'log'").fetchall() == [(0,)]


WITHOUT = """
import runpy, sys
sys.modules["s3fs"] = None
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""
