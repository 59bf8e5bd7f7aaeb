"""``history``: what the vendor had at every tick is found again, whatever was killed in between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import duckdb

from tap_core.testing import merged
from tests.pipeline.conftest import KEYS, OURS, assert_exact, held
from tests.pipeline.test_pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World

AS_OF = """
CREATE TABLE {schema}.{stream} AS
SELECT * EXCLUDE (_sdc_valid_from, _sdc_valid_to, _sdc_operation) FROM peakium.{stream}__history
WHERE _sdc_valid_from <= $1 AND (_sdc_valid_to > $1 OR _sdc_valid_to IS NULL) AND _sdc_operation <> 'delete'
"""


def test_s1_every_tick_is_found_again(make_world: Callable[..., World], tmp_path: Path) -> None:
    dice, world = random.Random(16), make_world(seed=16)
    pipe = Pipe(world, tmp_path, {"history": True})
    ticks: list[tuple[Any, dict[str, Any]]] = []
    for tick in range(4):
        if tick in (1, 2):
            pipe.run(kill="loader", after=dice.randrange(100, 2500))
        tap, loader, log = pipe.run()
        assert (tap, loader) == (0, 0), log
        assert_exact(pipe.warehouse, "peakium", world)
        with duckdb.connect(str(pipe.warehouse), read_only=True) as con:
            (now,) = con.execute("SELECT max(committed_at) FROM main._singer_loads").fetchall()[0]
        ticks.append((now, {stream: world.truth("peakium", stream) for stream in KEYS}))
        world.tick()
    with duckdb.connect(str(pipe.warehouse)) as con:
        for number, (now, _) in enumerate(ticks):
            con.execute(f"CREATE SCHEMA tick_{number}")
            for stream in KEYS:
                con.execute(AS_OF.format(schema=f"tick_{number}", stream=stream), [now])
    for number, (_, truth) in enumerate(ticks):
        for stream, keys in KEYS.items():
            found = merged(held(pipe.warehouse, f"tick_{number}", stream), keys, without=OURS)
            assert found == merged(truth[stream], keys, without=OURS), f"{stream} at tick {number}"
    assert ticks[0][1] != ticks[-1][1]
