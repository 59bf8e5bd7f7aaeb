"""``tap-peerassist | target-duckhouse``: what stands in the warehouse is what the API has, after each day."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.duck import reading
from tests.loader.harness import Loader
from tests.peerassist.conftest import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peerassist.conftest import Reader

Row = dict[str, Any]
AMOUNTS = {"laborHours", "romAmount", "amount"}


def as_text(value: Any) -> Any:
    """A value of the warehouse in the form of the messages."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def stored(loader: Loader, stream: str) -> dict[int, Row]:
    """The rows of a table by id, without nulls and without what the loader and the catch-all column add."""
    with reading(loader.path) as con:
        found = con.execute(f'SELECT * EXCLUDE (_extra) FROM "{stream}"')
        names = [name for name, *_ in found.description]
        rows = [dict(zip(names, map(as_text, row), strict=True)) for row in found.fetchall()]
    return {
        row["id"]: {name: value for name, value in row.items() if value is not None and not name.startswith("_sdc_")}
        for row in rows
    }


def expected(source: Reader, stream: str) -> dict[int, Row]:
    """The truth, with amounts as exact decimals."""
    return {
        key[0]: {name: Decimal(value) if name in AMOUNTS else value for name, value in row.items()}
        for key, row in source.truth(stream).items()
    }


@pytest.mark.parametrize(
    ("switches", "config"),
    [
        pytest.param({"dates": "absent"}, {}, id="L3-snapshots"),
        pytest.param(
            {
                "dates": "iso_naive",
                "envelope": "array",
                "first_page": 1,
                "size_cap": 40,
                "customer_list": "405",
                "token_minutes": 2,
            },
            {"source_timezone": "America/New_York", "concurrency": 8},
            id="L3-incremental",
        ),
    ],
)
def test_two_runs_a_month_apart_are_exact_in_the_warehouse(
    reader: Callable[..., Reader], tmp_path: Path, switches: Row, config: Row
) -> None:
    source, loader = reader(clock_rate=20.0, **switches), Loader(tmp_path)
    state: Row = {}
    kept: dict[str, dict[int, Row]] = {stream: {} for stream in STREAMS}
    for days in (0, 30):
        source.world.tick(days)
        done = source.read(state=json.loads(json.dumps(state)), **config)
        assert done.code == 0, done.log
        state = loader.load(done.output)[-1]
        removed = {message["stream"] for message in done.of("ACTIVATE_VERSION")}
        removed |= {stream for stream, entry in state["bookmarks"].items() if "_scopes_read" in entry}
        for stream in STREAMS:
            wanted = expected(source, stream)
            kept[stream] = wanted if stream in removed else {**kept[stream], **wanted}
            assert stored(loader, stream) == kept[stream], stream
    counts = loader.counts("fwos")
    assert counts["inserted"] > 300
    assert counts["updated"] > 0
    assert counts["unchanged"] > 300
    assert (counts["deleted"] > 0) == ("fwos" in removed)
