"""``history``: what a vendor had at every tick is found again, whatever was killed in between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.pipeline.conftest import tables
from tests.pipeline.test_exact import DAY, FIRST_DAY, TAPS, assert_exact
from tests.pipeline.test_pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from merchant_sandbox.client import World

TICKS = {"peakium": 3, "peek": 3}
"""Days in a row; two for the other vendors."""
ALIVE = """
CREATE TABLE seen.tick_{tick}."{stream}" AS
SELECT COLUMNS(lambda c: NOT starts_with(c, '_sdc_')) FROM {schema}."{stream}" WHERE _sdc_deleted_at IS NULL
"""
DIFFERENCES = """
WITH was AS MATERIALIZED (FROM seen.tick_{tick}."{stream}"), told AS MATERIALIZED (
    SELECT {columns} FROM {schema}."{stream}__history" WHERE _sdc_operation <> 'delete'
    AND _sdc_valid_from <= {at} AND (_sdc_valid_to > {at} OR _sdc_valid_to IS NULL))
SELECT count(*) FROM ((FROM was EXCEPT ALL FROM told) UNION ALL (FROM told EXCEPT ALL FROM was))
"""


@pytest.mark.parametrize("vendor", TAPS)
def test_s1_every_tick_is_found_again(make_world: Callable[..., World], tmp_path: Path, vendor: str) -> None:
    """At every tick, for every tick so far. That the tables equal the vendor's truth is seen first."""
    dice = random.Random(vendor)
    world = make_world(clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
    config: dict[str, object] = {"lookback_days": 40} if vendor == "premiumpay" else {}
    settings: dict[str, object] = {"history": True, "hard_delete": False, "batch_rows": 300, "flush_interval_s": 60}
    ticks = TICKS.get(vendor, 2)
    for tick in range(ticks):
        pipe = Pipe(world, tmp_path, settings, vendor, config)  # Pegke's customers, which are set, become more
        if tick < ticks - 1:
            pipe.run(kill=dice.choice(("tap", "loader")), after=dice.randrange(10, 200))
        tap, loader, log = pipe.run()
        assert (tap, loader) == (0, 0), log
        assert_exact(pipe.warehouse, {vendor: world})
        with duckdb.connect(str(tmp_path / "seen.duckdb")) as con:
            con.execute(f"ATTACH '{pipe.warehouse}' AS warehouse (READ_ONLY)")
            con.execute(f"USE warehouse.{vendor}")
            histories = {name for name in tables(pipe.warehouse, vendor) if name.endswith("__history")}
            assert len(histories) > 1
            streams = {name.removesuffix("__history") for name in histories}
            remember(con, vendor, tick, streams)
            assert [found for past in range(tick + 1) for found in differences(con, vendor, past)] == []
            operations = {
                operation
                for name in histories
                for (operation,) in con.execute(f'SELECT DISTINCT _sdc_operation FROM "{name}"').fetchall()
            }
        world.tick()
        world.advance(DAY)
    assert {"insert", "update"} <= operations


def remember(con: duckdb.DuckDBPyConnection, vendor: str, tick: int, streams: Iterable[str]) -> None:
    """Keep what the tables hold now, and when that was committed."""
    con.execute(f"CREATE SCHEMA seen.tick_{tick}")
    con.execute(
        f"CREATE TABLE seen.at_{tick} AS SELECT max(committed_at) AS committed FROM warehouse.main._singer_loads"
    )
    for stream in streams:
        con.execute(ALIVE.format(tick=tick, schema=vendor, stream=stream))


def differences(con: duckdb.DuckDBPyConnection, vendor: str, tick: int) -> list[tuple[str, int]]:
    """The streams whose history tells other rows for a tick than they had, with how many are different."""
    found = []
    for (stream,) in con.execute(
        f"SELECT table_name FROM duckdb_tables() WHERE database_name = 'seen' AND schema_name = 'tick_{tick}'"
    ).fetchall():
        described = con.execute(f'DESCRIBE seen.tick_{tick}."{stream}"').fetchall()
        columns = ", ".join(f'"{name}"' for name, *_ in described)
        at = f"(SELECT committed FROM seen.at_{tick})"
        query = DIFFERENCES.format(tick=tick, schema=vendor, stream=stream, columns=columns, at=at)
        ((count,),) = con.execute(query).fetchall()
        if count:
            found.append((stream, count))
    return found
