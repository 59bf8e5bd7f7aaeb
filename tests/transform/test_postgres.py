"""The same models in PostgreSQL, on the same rows: the same figures, but for what its loader does not keep."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.loader.postgres import Server, programs, server
from tests.transform.conftest import BOTH, DATA, FIRST_DAY, VENDORS, Day, Shop, table
from tests.transform.test_figures import FIGURES, comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tests.transform.conftest import Dbt

pytestmark = [
    pytest.mark.xdist_group("transform"),
    pytest.mark.skipif(
        programs() is None, reason="no PostgreSQL server program (initdb) on this machine: apt-get install postgresql"
    ),
    pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="a second database: make integrations"),
]

TYPES = {"JSON": "jsonb", "TIMESTAMP WITH TIME ZONE": "timestamp", "DOUBLE": "double precision", "VARCHAR": "text"}
"""As meltanolabs-target-postgres makes columns; its times have no zone."""
NOT_THERE = {"booking_pace", "pipeline_loads", "pipeline_streams"}
"""Marts of what only target-duckhouse keeps: histories, and its own loads."""
FROM_HISTORY = {"approval_requested_at", "approved_at", "hours_to_approval"}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Server]:
    with server(tmp_path) as running:
        yield running


def copied(day: Day, postgres: Server) -> None:
    """The vendors' tables, as the ecosystem's loader would have made them."""
    with (
        duckdb.connect(str(day.path), read_only=True) as source,
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres") as there,
    ):
        source.execute("SET TimeZone = 'UTC'")
        for account in (truth.account(vendor) for truth in day.truths for vendor in VENDORS):
            there.execute(f"DROP SCHEMA IF EXISTS {account} CASCADE".encode())
            there.execute(f"CREATE SCHEMA {account}".encode())
            found = source.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [account]).fetchall()
            for (name,) in found:
                if not name.endswith("__history"):
                    _copy(source, there, f'{account}."{name}"')


def _copy(source: duckdb.DuckDBPyConnection, there: psycopg.Connection[Any], table: str) -> None:
    described = source.execute(f"DESCRIBE {table}").fetchall()
    columns = ", ".join(f'"{name}" {TYPES.get(kind, kind)}' for name, kind, *_ in described)
    there.execute(f"CREATE TABLE {table} ({columns})".encode())
    with there.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for row in source.execute(f"SELECT * FROM {table}").fetchall():
            copy.write_row([value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row])


def mart(postgres: Server, name: str) -> list[dict[str, Any]]:
    with psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres") as there:
        return there.cursor(row_factory=dict_row).execute(f"SELECT * FROM marts.{name}".encode()).fetchall()


def test_postgres_gives_the_same_figures(
    dbt_for: Callable[..., Dbt], a_month: list[Day], two_accounts: Day, postgres: Server
) -> None:
    """On the first day, and then, incrementally, four weeks later, and with a second account of each vendor."""
    dbt = dbt_for(DBT_TARGET="postgres", POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(postgres.port))
    for day, asked in ((a_month[0], ()), (a_month[-1], ()), (two_accounts, ("--vars", BOTH))):
        copied(day, postgres)
        done = dbt.run("build", *DATA, *asked, MERCHANT_AS_OF=day.as_of.isoformat())
        assert done["success"], done["messages"]
        for name in FIGURES.keys() - NOT_THERE:
            assert comparable(known(mart(postgres, name))) == comparable(known(day.mart(name))), name
        assert all(mart(postgres, name) == [] for name in NOT_THERE)


def test_what_the_ecosystem_s_loader_has_loaded_gives_the_same_figures(
    dbt_for: Callable[..., Dbt], dbt: Dbt, sandbox: Sandbox, postgres: Server, tmp_path: Path
) -> None:
    """Later days are left out: it does not replace windows that are read again, nor learn from STATE what is gone."""
    world = sandbox.world(seed=2, clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
    shop = Shop(world, tmp_path / "warehouse.duckdb", {"history": False, "hard_delete": True})
    there = dbt_for(DBT_TARGET="postgres", POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(postgres.port))
    shop.load()
    dbt.build(shop.path, *DATA, MERCHANT_AS_OF=shop.as_of.isoformat())
    for vendor in VENDORS:
        _load(shop, postgres, vendor)
    done = there.run("build", *DATA, MERCHANT_AS_OF=shop.as_of.isoformat())
    assert done["success"], done["messages"]
    for name in FIGURES.keys() - NOT_THERE:
        one, other = mart(postgres, name), table(shop.path, f"marts.{name}")
        assert comparable(one) == comparable(other), name


def _load(shop: Shop, postgres: Server, vendor: str) -> None:
    tap = [sys.executable, "-m", f"tap_{vendor}", "--config", "ENV"]
    env = {**os.environ, **shop.world.env(vendor)}
    read = subprocess.run(tap, env=env, capture_output=True, check=True)
    postgres.load(read.stdout, vendor)


def known(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert rows
    return [{name: row[name] for name in row.keys() - FROM_HISTORY} for row in rows]
