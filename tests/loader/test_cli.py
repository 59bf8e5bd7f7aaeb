"""Settings, commands and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.loader.harness import INTEGER, encode, record, schema, state

if TYPE_CHECKING:
    from tests.loader.harness import Loader

THING = schema("thing", {"id": INTEGER})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"batchrows": 5}, "`batchrows`", id="unknown"),
        pytest.param({"batch_rows": "many"}, "`batch_rows`", id="mistyped"),
        pytest.param({"batch_rows": 0}, "`batch_rows`", id="out-of-range"),
        pytest.param({"path": ""}, "`path`", id="empty"),
    ],
)
def test_c1_a_wrong_setting_is_named(loader: Loader, settings: dict[str, object], named: str) -> None:
    done = loader.run([], **settings)
    assert done.returncode == 2
    assert named in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_c2_settings_from_the_environment(loader: Loader) -> None:
    environ = os.environ | {"TARGET_DUCKHOUSE_PATH": str(loader.path), "TARGET_DUCKHOUSE_SCHEMA": "vendor"}
    for arguments in ([], ["--config", "ENV"]):
        command = [sys.executable, "-m", "target_duckhouse", *arguments]
        subprocess.run(command, input=encode([THING, record("thing", id=1)]), env=environ, check=True)
    assert loader.sql("FROM vendor.thing") == [(1,)]


@pytest.mark.parametrize("name", ["peakium", "main", "warehouse", "temp"])
def test_a_file_may_be_named_like_any_schema(loader: Loader, name: str) -> None:
    path = loader.folder / f"{name}.duckdb"
    for schema_name in ("main", name):
        loader.load([THING, record("thing", id=1), state(1)], path=str(path), schema=schema_name)
        (shown,) = (s for s in inspected(loader, path) if s["schema"] == schema_name)
        assert shown["rows"] == 1
    assert [file.name for file in loader.folder.iterdir() if name in file.name] == [path.name]


def test_the_folder_of_the_file_is_created(loader: Loader) -> None:
    path = loader.folder / "data" / "deep" / "warehouse.duckdb"
    loader.load([THING, record("thing", id=1), state(1)], path=str(path))
    assert inspected(loader, path)[0]["rows"] == 1


def test_a_folder_that_cannot_be_created_is_one_line(loader: Loader) -> None:
    (loader.folder / "file").touch()
    done = loader.run([THING], path=str(loader.folder / "file" / "warehouse.duckdb"))
    assert done.returncode != 0
    assert b"setting `path`: the folder of " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_c10_numbers_and_flags_as_text_are_read(loader: Loader) -> None:
    loader.load([THING, record("thing", id=1), state(1)], flush_interval_s="3", batch_rows="7", hard_delete="false")
    done = loader.run([THING], flush_interval_s="many")
    assert done.returncode == 2
    assert b"`flush_interval_s`" in done.stderr


def inspected(loader: Loader, path: Path) -> list[dict[str, object]]:
    streams: list[dict[str, object]] = json.loads(loader.ask("inspect", "--format", "json", path=str(path)))["streams"]
    return streams


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
@pytest.mark.parametrize(("first", "then"), [("main", "MAIN"), ("shop", "Shop")])
def test_case_does_not_tell_schemas_apart(loader: Loader, first: str, then: str, *, lake: bool) -> None:
    settings = {"lake_path": str(loader.folder / "lake")} if lake else {}
    for number, name in enumerate((first, then)):
        loader.load([schema("t", {"id": INTEGER}), record("t", id=number), state(1)], schema=name, **settings)
    assert loader.sql(f"SELECT id FROM warehouse.{first}.t ORDER BY id") == [(0,), (1,)]


def test_a_closed_output_is_one_line(loader: Loader) -> None:
    command = ["sh", "-c", '"$@" >&-', "sh", *loader.command()]
    done = subprocess.run(command, input=b"", stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    assert b"output is closed" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_file_that_cannot_be_opened_is_not_taken_for_a_locked_one(loader: Loader) -> None:
    line = loader.fail([THING], path=str(loader.folder), lock_timeout_s=600)
    assert "`path`" in line
    assert "cannot be opened" in line


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"type":"STATE","value":{"a":"\xff"}}\n', "not UTF-8"),
        (b'{"type":"STATE","value":{"a":"\\ud83d"}}\n', "line 1"),
        (
            b'{"type":"SCHEMA","stream":"t","key_properties":[],"schema":{"properties":{"n":{"maximum":1e999}}}}',
            "stream t",
        ),
        (b'{"type":"SCHEMA","stream":"t","key_properties":[],"schema":{"properties":{"n\xff":{}}}}', "stream t"),
    ],
    ids=["state-not-utf-8", "state-surrogate", "schema-number", "schema-not-utf-8"],
)
def test_a_message_that_cannot_be_read_is_one_line(loader: Loader, data: bytes, words: str) -> None:
    assert words in loader.fail(data)


def test_a_spool_folder_that_cannot_be_made_is_one_line(loader: Loader) -> None:
    loader.path.with_name("warehouse.duckdb.spool").write_text("a file")
    assert "warehouse.duckdb.spool" in loader.fail([THING])
    assert loader.path.with_name("warehouse.duckdb.spool").read_text() == "a file"


def test_an_output_that_is_full_is_one_line(loader: Loader) -> None:
    command = ["sh", "-c", '"$@" >/dev/full', "sh", *loader.command("--about")]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 5
    assert "standard output cannot be read or written: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_config_that_is_not_text_is_one_line(loader: Loader) -> None:
    file = loader.folder / "odd.json"
    file.write_bytes(b'{"path": "\xff"}')
    command = [sys.executable, "-m", "target_duckhouse", "--config", str(file)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"the file of --config is not valid JSON" in done.stderr


def test_about_lists_every_setting(loader: Loader) -> None:
    about = json.loads(loader.ask("--about", "--format", "json"))
    assert {"path", "schema", "state_id"} <= {setting["name"] for setting in about["settings"]}
    assert "| `path` |" in loader.ask("--about", "--format", "markdown")
    assert loader.ask("--version").startswith("target-duckhouse v")


def test_a_missing_extra_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError(name='duckdb')")
    command = [sys.executable, "-m", "target_duckhouse", "--version"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"target-duckhouse: duckdb is missing; in a clone of the project: pip install '.[loader]'\n"


def test_inspect_shows_streams_rows_loads_and_state(loader: Loader) -> None:
    loader.load([THING, record("thing", id=1), record("thing", id=2), state({"n": 2})])
    content = json.loads(loader.ask("inspect", "--format", "json"))
    (stream,) = content["streams"]
    assert (stream["schema"], stream["stream"], stream["rows"], stream["inserted"]) == ("main", "thing", 2, 2)
    assert content["states"][0]["state"] == {"n": 2}
    assert "thing" in loader.ask("inspect")


def test_l6_a_locked_file_is_waited_for_then_its_holder_is_named(loader: Loader) -> None:
    """Of two that wait, the patient one gets the file as soon as it is free."""
    holder = subprocess.Popen(loader.command(flush_interval_s=0), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin
    assert holder.stdout
    holder.stdin.write(encode([THING, record("thing", id=1), state({"held": True})]))
    holder.stdin.flush()
    assert b"held" in holder.stdout.readline()
    command = loader.command(flush_interval_s=0, lock_timeout_s=600)
    patient = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert patient.stdin
    patient.stdin.write(encode([THING, record("thing", id=2), state({"held": False})]))
    patient.stdin.close()
    patient.stdin = None
    error = loader.fail([THING, record("thing", id=3)], lock_timeout_s=0.3)
    assert f"process {holder.pid}; waited 0.3 s (setting `lock_timeout_s`)" in error
    holder.communicate()
    assert json.loads(patient.communicate()[0]) == {"held": False}
    assert (holder.returncode, patient.returncode) == (0, 0)
    assert loader.sql("FROM thing ORDER BY id") == [(1,), (2,)]


def test_the_loader_imports_neither_the_sdk_nor_an_http_client() -> None:
    code = "import sys, target_duckhouse.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert "duckdb" in loaded
    assert not loaded & {"singer_sdk", "tap_core", "requests", "urllib3", "pandas", "numpy", "pyarrow", "jsonschema"}


def test_m4_help_and_docs_explain_each_setting_with_an_example(loader: Loader) -> None:
    settings = json.loads(loader.ask("--about", "--format", "json"))["settings"]
    page = (Path(__file__).parents[2] / "docs" / "target-duckhouse.md").read_text()
    examples = json.loads(page.partition("```json\n")[2].partition("```")[0])
    shown = " ".join(loader.ask("--help").split())
    assert examples == {setting["name"]: setting["example"] for setting in settings}
    for setting in settings:
        assert f"| `{setting['name']}` |" in page
        assert setting["description"] in page
        assert f'"{setting["name"]}": ' in shown
    of_a_lake = {"lake_path", "table_format"}  # a lake keeps no history
    usual = {name: value for name, value in examples.items() if name not in {"path", *of_a_lake}}
    assert loader.run([], **usual).returncode == 0
