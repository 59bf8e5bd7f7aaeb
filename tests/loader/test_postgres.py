"""The five taps through the ecosystem's loader for PostgreSQL: what is the same as in DuckDB, and what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, encode, record, schema, state
from tests.loader.postgres import Server, programs, server
from tests.pipeline.conftest import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.loader.harness import Loader

DECIMAL = {"type": ["null", "string"], "format": "x-singer.decimal"}
TYPES = {
    "BIGINT": {"bigint", "integer", "smallint"},
    "BOOLEAN": {"boolean"},
    "DATE": {"date"},
    "DECIMAL(38,10)": {"numeric"},
    "DOUBLE": {"numeric"},
    "JSON": {"jsonb", "ARRAY", "text"},
    "TIMESTAMP WITH TIME ZONE": {"timestamp without time zone"},
    "VARCHAR": {"text"},
}
"""What has which type in DuckDB, and in PostgreSQL."""

FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
LAST_DAY = int(os.environ.get("DAYS", "2")) - 1
"""The number of the last day; `make integrations` sets how many there are."""
LISTS = {
    "peakium": {"/customers": 20, "/invoices": 40},
    "premiumpay": {"/channels": 1, "/sales": 1},
    "peerassist": {"/fwo": 40},
    "pegke": {},
    "peek": {"/products": 1},
}
"""From which the vendor leaves the first rows out on the last day; where the newest come first, more than a day's."""

FEWER = {"pegke": {"TAP_PEGKE_CUSTOMERS": '["9800000000"]'}}
"""What is read on the last day where the vendor leaves nothing out."""

pytestmark = [
    pytest.mark.skipif(
        programs() is None, reason="no PostgreSQL server program (initdb) on this machine: apt-get install postgresql"
    ),
    pytest.mark.xdist_group("postgres"),
]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.mark.parametrize("vendor", LISTS)
def test_postgres_holds_the_same_rows_as_duckdb(
    loader: Loader, make_world: Callable[..., World], postgres: Server, vendor: str
) -> None:
    """After some days. Rows that went from windows and scopes are marked in DuckDB alone."""
    world = make_world(clock_start=FIRST_DAY, switches={"premiumpay": {"rate_limit": 0}})
    env, bookmarks, said = world.env(vendor), dict[str, Any](), b""
    for day in range(LAST_DAY + 1):
        if day == LAST_DAY:
            env |= FEWER.get(vendor, {})
            for route, rows in LISTS[vendor].items():
                world.fault(vendor, route, "delete", rows=rows, position=0, after=0, times=None)
        output = read(vendor, env, bookmarks, loader.folder)
        *_, bookmarks = loader.load(output, schema=vendor, hard_delete=False)
        said += output
        world.tick()
        world.advance(86_400)
    postgres.load(said, vendor)
    messages = [json.loads(line) for line in said.splitlines() if not line.startswith(b'{"type":"RECORD"')]
    keys = {message["stream"]: message["key_properties"] for message in messages if message["type"] == "SCHEMA"}
    activated = {message["stream"] for message in messages if message["type"] == "ACTIVATE_VERSION"}
    assert len(keys) > 1
    gone: Counter[bool] = Counter()
    for stream, key in keys.items():
        table = f'{vendor}."{stream}"'
        kinds = {name: TYPES[kind] for name, kind in loader.types(table).items() if not name.startswith("_sdc_")}
        found = postgres.types(vendor, stream)
        assert found.keys() == kinds.keys(), stream
        assert {name: kind for name, kind in found.items() if kind not in kinds[name]} == {}, stream
        assert postgres.key(vendor, stream) == set(key), stream
        here, gone_here = (comparable(held(loader.path, vendor, stream, gone=gone)) for gone in (False, True))
        there, gone_there = (comparable(postgres.rows(table, gone=gone)) for gone in (False, True))
        assert there + gone_there == here + gone_here, stream
        assert gone_there == (gone_here if stream in activated else Counter()), stream
        gone[stream in activated] += gone_here.total()
    assert gone[True] or vendor == "peerassist", "whole tables have lost rows"
    assert gone[False] or vendor in {"pegke", "peek"}, "windows and scopes have, too"


def read(vendor: str, env: Mapping[str, str], bookmarks: Mapping[str, Any], folder: Path) -> bytes:
    """What the tap says when it goes on from a state."""
    file = folder / "state.json"
    file.write_text(json.dumps(bookmarks))
    tap = subprocess.run(
        [sys.executable, "-m", f"tap_{vendor}", "--config", "ENV", "--state", file],
        env={**os.environ, **env},
        capture_output=True,
        check=False,
    )
    assert tap.returncode == 0, tap.stderr.decode()[-2000:]
    return tap.stdout


def comparable(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Rows as texts: without nulls and what is the loaders', numbers and times in one form."""
    return Counter(
        json.dumps(
            {name: uniform(value) for name, value in row.items() if value is not None and not name.startswith("_sdc_")},
            sort_keys=True,
        )
        for row in rows
    )


def uniform(value: Any) -> Any:
    """A value in the form that `held` gives it; numbers as texts."""
    match value:
        case dict():
            return {name: uniform(member) for name, member in value.items()}
        case list():
            return [uniform(member) for member in value]
        case bool():
            return value
        case int() | float() | Decimal():
            return f"{Decimal(str(value)).normalize():f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("use_copy", [False, True], ids=["as_shipped", "with_copy"])
def test_what_postgres_keeps_of_a_value(postgres: Server, *, use_copy: bool) -> None:
    """As the project sets it, all; COPY makes numbers floats, and drops offsets, which the taps do not send."""
    where, exact = f"values_of_{use_copy}".lower(), "90071992547409.93"
    head = schema("t", {"id": INTEGER, "number": NUMBER, "exact": DECIMAL, "at": DATE_TIME, "tree": OBJECT})
    first = {"id": 1, "number": "DIGITS", "exact": exact, "at": "2026-01-31T12:00:00.000001Z", "tree": ["DIGITS"]}
    second = {"id": 2, "at": "2026-01-31T12:00:00+05:00"}
    for version, rows in enumerate(([first, second], [first]), start=1):
        before = datetime.now(UTC).replace(tzinfo=None)
        activate = {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}
        messages = encode([head, *(record("t", version, **row) for row in rows), activate, state(version)])
        postgres.load(messages.replace(b'"DIGITS"', exact.encode()), where, use_copy=use_copy)
    (there,), (gone,) = (postgres.rows(f"{where}.t", gone=gone) for gone in (False, True))
    number = Decimal("90071992547409.94" if use_copy else exact)
    assert (there["number"], there["exact"], there["tree"]) == (number, number, [Decimal(exact)])
    assert there["at"] == datetime.fromisoformat("2026-01-31T12:00:00.000001")
    assert gone["at"] == datetime.fromisoformat("2026-01-31T12:00:00" if use_copy else "2026-01-31T07:00:00")
    assert gone["_sdc_batched_at"] < before < gone["_sdc_deleted_at"] < datetime.now(UTC).replace(tzinfo=None)
    ((is_null,),) = postgres.query(f"SELECT tree IS NULL FROM {where}.t WHERE id = 2")
    assert not is_null, "it is JSON's null"
