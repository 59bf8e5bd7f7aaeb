"""``tap-peek | target-duckhouse``: what stands in the warehouse is what the operators have, after each day."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_core.testing import merged
from tests.duck import reading
from tests.loader.harness import METADATA, Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from merchant_sandbox.client import World
    from tap_core.testing import Run

PAGE = Path(__file__).parents[2] / "docs/tap-peek.md"
OWN = ("_read_at", "_sdc_table_version", *METADATA)
"""What the world knows nothing of."""
TODAY = date(2026, 3, 1)


def as_text(value: Any, kind: str) -> Any:
    """A value of the warehouse in the form of the messages."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    return json.loads(value) if kind == "JSON" and value is not None else value


def stored(loader: Loader, stream: str, keys: Sequence[str], where: str = "true") -> dict[Any, Any]:
    """The rows of a table by key."""
    with reading(loader.path) as con:
        found = con.execute(f'SELECT * FROM "{stream}" WHERE {where}')
        columns = [(name, str(kind)) for name, kind, *_ in found.description]
        rows = [
            {name: as_text(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
            for row in found.fetchall()
        ]
    return merged(rows, keys, without=OWN)


def asked_of(loader: Loader, page: Path) -> dict[Any, Any]:
    """What the query on a page of the documentation finds, without its last column."""
    (query,) = re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    with reading(loader.path) as con:
        return {row[:3]: row[3:5] for row in con.execute(query).fetchall()}


def totals(bookings: Sequence[dict[str, Any]]) -> dict[Any, Any]:
    """Number and retail price of bookings by currency, decimals and status."""
    found: dict[Any, Any] = {}
    for row in bookings:
        price = row["pricing"]
        key = price["currency"], price["currencyPrecision"], row["status"]
        number, retail = found.get(key, (0, 0))
        found[key] = number + 1, retail + price["retail"]
    return found


BACK = {"localDateTimeStart": 1, "localDate": 1, "_travel_date": 365}
"""The columns with a day of streams that are read from so many days back on."""


def test_two_days_are_exact_in_the_warehouse(
    make_world: Callable[..., World], run: Callable[..., Run], tmp_path: Path
) -> None:
    world, loader = make_world(switches={"peek": {"removals": True}}), Loader(tmp_path)
    state: dict[str, Any] = {}
    for day in range(2):
        if day:
            world.tick()
            world.advance(86_400)
        done = run(world, state=state)
        assert done.code == 0, done.log
        state = loader.load(done.output)[-1]
        for stream in done.streams:
            keys, columns = done.keys(stream), done.schema(stream)["properties"]
            since = [f"{name} >= '{TODAY + timedelta(day - days)}'" for name, days in BACK.items() if name in columns]
            found = stored(loader, stream, keys, where=" AND ".join(since) or "true")
            wanted = merged(world.truth("peek", stream), keys)
            assert found.keys() == wanted.keys(), stream
            for key, row in wanted.items():
                assert found[key] == row, stream
    assert asked_of(loader, PAGE) == totals(world.truth("peek", "bookings"))
    counts = loader.counts("bookings")
    assert counts["inserted"] > 0
    assert counts["unchanged"] > counts["updated"] > 0
    assert loader.counts("webhooks")["deleted"] == 1
    for stream in ("units", "bookings", "booking_unit_items", "availability"):
        assert loader.counts(stream)["deleted"] > 0, stream
    (behind,) = loader.sql(f"SELECT count(*) FROM availability WHERE localDateTimeStart < '{TODAY}'")
    assert behind[0] > 0, "what the days have left behind is not gone"
    assert world.stats("peek")["writes"] == []
