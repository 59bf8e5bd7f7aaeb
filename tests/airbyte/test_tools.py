"""The proof by Airbyte's own tools, each in an environment of its own; `make integrations` runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from benchmarks.environments import python
from tap_core.testing import Account, run_tap, without_nulls
from tests.airbyte.face import BIN, Source
from tests.faults.conftest import EARLY
from tests.faults.vendors import VENDORS
from tests.loader.postgres import programs, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.airbyte.face import Message

ROOT = Path(__file__).parents[2]
TOOLS = Path(__file__).parent / "tools"
EXAMPLES = ROOT / "examples/airbyte"
PAGE = (ROOT / "docs/airbyte.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="only in `make integrations`")
of_all = pytest.mark.parametrize("name", VENDORS)


@pytest.fixture
def source(make_world: Callable[..., World], tmp_path: Path, name: str) -> Source:
    world = make_world(size="small", clock_start=EARLY, seed=1, switches={name: dict(VENDORS[name].switches)})
    return Source(name, {**world.config(name), **VENDORS[name].config}, tmp_path, world.env(name))


# The standard tests of the CDK


@of_all
def test_the_standard_tests_pass_at_high_strictness(source: Source, tmp_path: Path, name: str) -> None:
    shutil.copy(EXAMPLES / f"source-{name}/metadata.yaml", tmp_path)
    for file, config in (("right", source.config), ("wrong", {**source.config, "concurrency": 0})):
        (tmp_path / f"{file}.json").write_text(json.dumps(config))
    right = {"tests": [{"config_path": "right.json"}]}
    checks = [{"config_path": "right.json", "status": "succeed"}, {"config_path": "wrong.json", "status": "failed"}]
    tests = {
        **dict.fromkeys(("spec", "discovery", "basic_read", "full_refresh"), right),
        "connection": {"tests": checks},
    }
    asked = {"connector_image": f"merchant-taps/source-{name}:dev", "test_strictness_level": "high"}
    (tmp_path / "acceptance-test-config.yml").write_text(json.dumps({**asked, "acceptance_tests": tests}))
    warning = "airbyte_cdk.test.standard_tests._catalog_checks.DiscoveredCatalogWarning"
    options = (
        "-c",
        os.devnull,
        "--noconftest",
        "--rootdir",
        str(tmp_path),
        "-p",
        "no:cacheprovider",
        "-W",
        f"error::{warning}",
    )
    done = subprocess.run(
        [
            *(python("airbyte-standard", TOOLS), "-m", "pytest", "-q", *options),
            *("-p", "airbyte_cdk.test.standard_tests.pytest_hooks", "-m", "not image_tests"),
            str(TOOLS / "standard.py"),
        ],
        env={**os.environ, **source.env, "CONNECTOR": str(BIN / f"source-{name}"), "CONNECTOR_ROOT": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= 7, done.stdout


# PyAirbyte


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a PostgreSQL server."""
    if programs() is None:
        pytest.skip("no PostgreSQL server program (initdb) on this machine")
    with server(tmp_path_factory.mktemp("postgres")) as running:
        address = f"host=127.0.0.1 port={running.port} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres SET timezone TO 'UTC'")  # as the page says
        yield running.port


@of_all
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_pyairbyte_holds_what_the_tap_reads_and_a_second_sync_sends_as_much(
    source: Source, tmp_path: Path, name: str, kind: str, request: pytest.FixtureRequest
) -> None:
    cache = request.getfixturevalue("postgres") if kind == "postgres" else str(tmp_path / "cache.duckdb")
    first, second = cached(source, cache), cached(source, cache)
    tap = run_tap(VENDORS[name].tap, Account(source.config, source.env))
    assert tap.code == 0, tap.log
    assert set(first["rows"]) == set(tap.streams)
    again = run_tap(VENDORS[name].tap, Account(source.config, source.env), state=tap.state)
    assert (first["processed"], second["processed"]) == (emitted(tap), emitted(again))
    for held in (first, second):
        for stream in tap.streams:
            if stream != "server_status":
                assert_held(held["rows"][stream], tap, stream, guessed=kind == "postgres")


@pytest.mark.parametrize("name", ["peek"])
def test_the_lines_of_the_page_run(source: Source) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (source.folder / "peek.json").write_text(json.dumps(source.config))
    done = with_pyairbyte(source, "-c", lines)
    assert int(done.stdout.split()[-1]) > 0


def emitted(run: Run) -> int:
    """How many records a run gave."""
    return len(run.of("RECORD"))


def cached(source: Source, cache: str | int) -> dict[str, Any]:
    """What a sync into a cache gave, and what is in the cache then."""
    written = source.folder / "rows.json"
    asked = {"name": f"source-{source.name}", "config": source.config, "cache": cache, "schema": source.name}
    file = source.folder / "asked.json"
    file.write_text(json.dumps({**asked, "write": str(written)}))
    with_pyairbyte(source, str(TOOLS / "pyairbyte.py"), str(file))
    found: dict[str, Any] = json.loads(written.read_text(), parse_float=Decimal)
    return found


def with_pyairbyte(source: Source, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in PyAirbyte's environment; it finds the source by its name."""
    own = {"AIRBYTE_LOCAL_REGISTRY": str(EXAMPLES / "registry.json"), "DO_NOT_TRACK": "1"}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [python("pyairbyte"), *arguments],
        env={**os.environ, **source.env, **own, "PATH": path, "AIRBYTE_PROJECT_DIR": str(source.folder)},
        cwd=source.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def assert_held(rows: list[Message], tap: Run, stream: str, *, guessed: bool) -> None:
    """A table holds the tap's rows, value by value, as far as PyAirbyte's types can.

    Args:
        rows: What it holds.
        tap: The run of the tap.
        stream: The stream.
        guessed: Whether texts that read like numbers may have become numbers, as on PyAirbyte's way to PostgreSQL.
    """
    schema, keys = tap.schema(stream)["properties"], [key for key in tap.keys(stream) if key != "_read_at"]
    names = {column.lower(): column for column in schema if column != "_read_at"}
    as_read: Callable[[Any], Any] = as_pandas_reads if guessed else lambda value: value
    held = [
        {column: as_read(told(row[name], schema[column])) for name, column in names.items() if row[name] is not None}
        for row in rows
    ]
    wanted = [
        {
            column: as_read(kept(value, schema[column]))
            for column, value in record.items()
            if value is not None and column != "_read_at"
        }
        for record in tap.records(stream)
    ]
    of_table, of_tap = ({tuple(row[key] for key in keys): row for row in each} for each in (held, wanted))
    assert len(of_table) == len(held), stream
    assert of_table.keys() == of_tap.keys(), stream
    odd = {
        (key, column): (of_table[key].get(column), row.get(column))
        for key, row in of_tap.items()
        for column in of_table[key].keys() | row.keys()
        if of_table[key].get(column) != row.get(column)
    }
    assert odd == {}, stream


def as_pandas_reads(value: Any) -> Any:
    """A text as a number if it reads like one: to PyAirbyte's pandas, 7 and "007" are the same."""
    with suppress(ValueError):
        return float(value) if isinstance(value, str) else value
    return value


def kinds(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types) - {"null"}


def kept(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value of the tap in a form to compare."""
    if schema.get("format") == "date-time":
        return datetime.fromisoformat(value)
    if kinds(schema) == {"number"}:
        return Decimal(str(value)).quantize(Decimal("1e-9")).normalize()
    if kinds(schema) <= {"object", "array"}:
        return canonical(without_nulls(value))
    return value if len(kinds(schema)) == 1 else str(value)


def told(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value of a table in the same form."""
    match value:
        case {"instant": text}:
            return datetime.fromisoformat(text).astimezone(UTC)
        case {"without zone": text}:  # PyAirbyte's columns in PostgreSQL have none
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        case {"date": text}:
            return text
        case {"decimal": text}:
            return Decimal(text).normalize()
    if kinds(schema) <= {"object", "array"}:
        return canonical(without_nulls(json.loads(value) if isinstance(value, str) else value))
    return value


def canonical(value: Any) -> Any:
    """JSON in which equal numbers are equal, however they are written."""
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Decimal(str(value)).normalize() if is_number else value
