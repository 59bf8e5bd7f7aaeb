"""The five taps through the ecosystem's loader for PostgreSQL: the same rows as in DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.postgres import Server, programs, server, target_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.loader.harness import Loader

NUMBERS = ("BIGINT", "HUGEINT", "DOUBLE", "DECIMAL")

pytestmark = pytest.mark.skipif(
    programs() is None, reason="no PostgreSQL server program (initdb) on this machine: apt-get install postgresql"
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


def plain(name: str) -> str:
    """A name as both loaders write it, one in the vendor's spelling and one in snake case."""
    return name.replace("_", "").casefold()


@pytest.mark.parametrize("vendor", ["peakium", "premiumpay", "peerassist", "pegke", "peek"])
def test_postgres_holds_the_same_rows_as_duckdb(
    loader: Loader, make_world: Callable[..., World], postgres: Server, tmp_path: Path, vendor: str
) -> None:
    world = make_world(switches={"premiumpay": {"rate_limit": 0}})
    tap = subprocess.run(
        [sys.executable, "-m", f"tap_{vendor}", "--config", "ENV"],
        env={**os.environ, **world.env(vendor)},
        capture_output=True,
        check=False,
    )
    assert tap.returncode == 0, tap.stderr.decode()[-2000:]
    loader.load(tap.stdout, schema=vendor)
    config = tmp_path / "postgres.json"
    config.write_text(json.dumps(postgres.settings(vendor)))
    subprocess.run([target_postgres(), "--config", config], input=tap.stdout, capture_output=True, check=True)

    there = {plain(name): name for (name,) in postgres.query(tables(vendor))}
    streams = [name for (name,) in loader.sql(f"SELECT stream FROM _singer_loads WHERE schema = '{vendor}'")]
    assert streams
    for stream in streams:
        keys = [name for message in head(tap.stdout, stream) for name in message["key_properties"]]
        types = loader.types(f'{vendor}."{stream}"')
        numbers = [name for name, kind in types.items() if kind.startswith(NUMBERS) and not name.startswith("_sdc_")]
        present = [name for (name,) in postgres.query(columns(vendor, there[plain(stream)]))]
        names = {plain(name): name for name in present} | {name: name for name in present}
        here, other = f'{vendor}."{stream}"', f'{vendor}."{there[plain(stream)]}"'
        known = {name: names.get(name) or names[plain(name)] for name in [*keys, *numbers]}
        assert rounded(loader.sql(totals(here, numbers))) == rounded(
            postgres.query(totals(other, [known[name] for name in numbers]))
        ), stream
        assert comparable(loader.sql(listed(here, keys))) == comparable(
            postgres.query(listed(other, [known[name] for name in keys]))
        ), stream


def head(output: bytes, stream: str) -> list[dict[str, list[str]]]:
    """The last SCHEMA message of a stream."""
    messages = [json.loads(line) for line in output.splitlines() if line.startswith(b'{"type":"SCHEMA"')]
    return [message for message in messages if message["stream"] == stream][-1:]


def tables(schema: str) -> str:
    return f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"


def columns(schema: str, table: str) -> str:
    return (
        f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{schema}' AND table_name = '{table}'"
    )


def totals(table: str, numbers: list[str]) -> str:
    """A query for the number of rows and the sums."""
    sums = [f'sum(CAST("{name}" AS DOUBLE PRECISION))' for name in numbers]
    return f"SELECT {', '.join(['count(*)', *sums])} FROM {table}"


def listed(table: str, keys: list[str]) -> str:
    """A query for all keys."""
    return f"SELECT {', '.join(quoted(name) for name in keys) or '1'} FROM {table}"


def quoted(name: str) -> str:
    return f'"{name}"'


def comparable(rows: list[tuple[Any, ...]]) -> list[list[str]]:
    """Keys in an order of their own, times in UTC."""
    return sorted([text(value) for value in row] for row in rows)


def text(value: object) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()
    return str(value)


def rounded(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Sums may differ in the last digits: the order of adding is each engine's own."""
    return [tuple(float(f"{value:.9e}") if isinstance(value, float) else value for value in row) for row in rows]
