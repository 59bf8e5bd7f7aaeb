"""``make demo``: every tap's pipeline through Meltano, from the sandbox into ``warehouse.duckdb``, and what it did.

If dbt is installed, the marts and the report follow (`scripts.marts`).

Each run adds one more day to the sandbox's story, so that the second shows what is new and what changed. The number
of the last day that was loaded completely is in ``.meltano/demo-day``; an interrupted run is repeated. `scripts.story`
has the sandbox's clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.describe import VENDORS
from scripts.marts import build, parsing, report
from scripts.story import DAY, SANDBOX, first_moment, world

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

__all__ = ["LOG", "TAPS", "main"]

TAPS = tuple(f"tap-{vendor}" for vendor in VENDORS)
"""What the demo reads with, one after the other, because the loader's file has room for one writer at a time."""

LOG = Path(".meltano/demo.log")
_WAREHOUSE = Path("warehouse.duckdb")
_PAGE = Path("report.html")
_HISTORIES = {"TARGET_DUCKHOUSE_HISTORY": '["availability", "fwos"]'}
"""What the marts read the history of: how departures fill up, and when work orders are approved."""
_BIN = Path(sys.executable).parent
_LAST_LINES = 20
_DBT_LOG = Path(".meltano/demo-dbt.log")

_LOADED = """
SELECT schema, stream, sum(inserted)::BIGINT, sum(updated)::BIGINT, sum(unchanged)::BIGINT, sum(deleted)::BIGINT
FROM main._singer_loads WHERE started_at >= ? GROUP BY ALL ORDER BY ALL
"""
_TIMES = """
SELECT column_name FROM duckdb_columns()
WHERE schema_name = ? AND table_name = ? AND data_type IN ('DATE', 'TIMESTAMP WITH TIME ZONE')
    AND column_name <> '_read_at' AND NOT starts_with(column_name, '_sdc_')
ORDER BY column_name = ? DESC, column_index LIMIT 1
"""
_ALIVE = "_sdc_deleted_at IS NULL"
_NEXT = """
The warehouse is {warehouse}, a DuckDB file. One line to try:
  .venv/bin/python -c "import duckdb; duckdb.connect('{warehouse}').sql('{query}').show()"

What next?
  Let another day pass:       make demo
  Run anything against it:    make sandbox CMD='meltano run {pipeline}'
  Read your own account:      umask 077, cp .env.example .env, fill it in, and
                              .venv/bin/meltano --environment=prod run {pipeline}
"""
_AGAIN = "What has been loaded is complete; `make demo` continues from there."


def main(taps: Sequence[str] = ()) -> int:
    """Run the demo with some taps, or with all of them; returns the exit code."""
    if unknown := set(taps) - set(TAPS):
        _say(f"There is no tap {', '.join(sorted(unknown))}; the taps are {', '.join(TAPS)}.")
        return 2
    taps = taps or TAPS
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)  # Meltano writes credentials into files of its own
    last = _last_day()
    day = 0 if last is None else last + 1
    _say(f"Day {day} of the sandbox's story" + ("." if day else ": everything is new. Run it again for day 1."))
    _say()
    started = datetime.now(UTC)
    as_of = first_moment(day).replace(tzinfo=None)  # dbt is told UTC without a zone
    with parsing(_WAREHOUSE, as_of, _DBT_LOG):
        code = _run(taps, day, fresh=last is None)
    if code:
        return code
    DAY.write_text(f"{day}\n", encoding="utf-8")
    _say()
    found, query = _results(started)
    _say(found)
    built, line = build(_WAREHOUSE, as_of, _DBT_LOG)
    _say(f"\n{line}")
    if not built:
        return 1
    _say(_NEXT.format(warehouse=_WAREHOUSE, query=query, pipeline=f"{taps[0]} target-duckhouse").rstrip())
    made, line = report(_WAREHOUSE, as_of, _PAGE)
    if line:
        _say(f"\n{line}")
    return 0 if made else 1


def _last_day() -> int | None:
    """The last day that was loaded completely; None if there is none, or its warehouse is gone."""
    if not _WAREHOUSE.exists():
        DAY.unlink(missing_ok=True)
    return int(DAY.read_text(encoding="utf-8")) if DAY.exists() else None


def _run(taps: Sequence[str], day: int, *, fresh: bool) -> int:
    """Run the pipelines of some taps.

    Args:
        taps: The taps.
        day: The day of the sandbox's story.
        fresh: Whether Meltano's bookmarks may be those of a warehouse that is gone: everything is read then.
    """
    run = [str(_BIN / "meltano"), "--log-format=json", "run", "--install", "--force"]
    if fresh:
        run.append("--full-refresh")
    blocks = [name for tap in taps for name in (tap, "target-duckhouse")]
    command = [
        str(SANDBOX),
        "run",
        *world(day),
        "--",
        *run,
        *blocks,
    ]
    LOG.parent.mkdir(exist_ok=True)
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command, env={**os.environ, **_HISTORIES}, stdout=log.fileno(), stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr
        try:
            _follow(process.stderr, log)
            code = process.wait()
        except (KeyboardInterrupt, _Stopped) as stopped:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            process.terminate()  # a terminal's Ctrl-C has reached it already, any other signal has not
            process.wait()
            _say(f"\n\nInterrupted. {_AGAIN}")
            return 143 if isinstance(stopped, _Stopped) else 130
    if code:
        _say(f"\n\nFailed. {_AGAIN} The last lines of {LOG}:\n")
        _say("\n".join(_event(line) for line in LOG.read_text(encoding="utf-8").splitlines()[-_LAST_LINES:]))
    return code


class _Stopped(Exception):  # noqa: N818
    """SIGTERM has come."""


def _stop(_number: int, _frame: object) -> None:
    raise _Stopped


def _follow(lines: Iterable[str], log: Any) -> None:
    """Write everything to the log, and show what a person wants to know: steps, how long they took, and complaints."""
    pause = ""  # what goes between the name of a step and its time
    for line in lines:
        log.write(line)
        try:
            entry = json.loads(line)
            event = str(entry["event"])
        except (ValueError, KeyError, TypeError):
            _say(line.rstrip())  # not Meltano's: the sandbox, or a crash
            continue
        if event.startswith(("Installing extractor", "Installing loader")):
            _say(f"  {event[0].lower()}{event[1:]}")
        elif event.startswith("Running job with name"):
            tap, _, loader = event.split("'")[1].partition(":")[2].partition("-to-")
            _say(f"  {tap} → {loader} …", end="")
            pause = " "
        elif event == "Block run completed":  # after a failure it repeats what has been said
            if entry.get("success"):
                _say(f"{pause}{entry['duration_seconds']:.0f} s")
        elif entry.get("level") in {"error", "critical"} or (entry.get("level") == "warning" and "string_id" in entry):
            _say(f"\n    {entry.get('string_id', 'meltano')}: {event}", end="")
            pause = "\n    "


def _event(line: str) -> str:
    try:
        return f"  {json.loads(line)['event']}"
    except (ValueError, KeyError, TypeError):
        return f"  {line}"


def _results(started: datetime) -> tuple[str, str]:
    """What is read back from the warehouse: what the loads since a time did, stream by stream, and a query to try."""
    import duckdb  # noqa: PLC0415 - slow, as the next is, and nothing before needs them

    from target_duckhouse.report import table  # noqa: PLC0415

    with duckdb.connect(str(_WAREHOUSE), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        bookmarks = _bookmarks(con)
        loads = con.execute(_LOADED, [started]).fetchall()
        rows = [
            (f"{schema}.{stream}", *_extent(con, schema, stream, bookmarks.get(stream)), *counts)
            for schema, stream, *counts in loads
        ]
        query = _by_month(con, rows, bookmarks)
    deleted = any(row[-1] for row in rows)
    header = (
        "stream",
        "rows",
        "inserted",
        "updated",
        "unchanged",
        *(["deleted"] if deleted else []),
        "earliest",
        "latest",
    )
    shown = [
        (name, count, *(counts if deleted else counts[:-1]), earliest, latest)
        for name, count, earliest, latest, *counts in rows
    ]
    return table(header, shown), query


def _by_month(con: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]], bookmarks: Mapping[str, str]) -> str:
    """A query worth trying: the longest table with a time, by month. It contains no quotes."""
    dated = [(count, name) for name, count, earliest, *_ in rows if earliest]
    if not dated:
        return f"FROM {rows[0][0]}" if rows else "FROM main._singer_loads"
    _, name = max(dated)
    schema, stream = name.split(".")
    column = _time_column(con, schema, stream, bookmarks.get(stream))
    month = f"year({column}) AS year, month({column}) AS month"
    return f"SELECT {month}, count(*) FROM {name} WHERE {_ALIVE} GROUP BY ALL ORDER BY ALL"  # noqa: S608 - our own names


def _bookmarks(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The columns that bookmarks are on: they date a record better than its other times."""
    states = con.execute("SELECT state FROM main._singer_state").fetchall()
    return {
        stream: str(bookmark.get("replication_key"))
        for (state,) in states
        for stream, bookmark in json.loads(state).get("bookmarks", {}).items()
    }


def _extent(
    con: duckdb.DuckDBPyConnection, schema: str, stream: str, bookmark: str | None
) -> tuple[int, str | None, str | None]:
    """Number of rows, first and last day of a table, without what is marked as deleted."""
    found = _time_column(con, schema, stream, bookmark)
    column = f'"{found}"' if found else "NULL::DATE"
    days = f"min({column})::DATE::VARCHAR, max({column})::DATE::VARCHAR"
    row = con.execute(f'SELECT count(*), {days} FROM "{schema}"."{stream}" WHERE {_ALIVE}').fetchone()  # noqa: S608
    assert row
    return row[0], row[1], row[2]


def _time_column(con: duckdb.DuckDBPyConnection, schema: str, stream: str, bookmark: str | None) -> str | None:
    """The column that best dates a table's rows."""
    found = con.execute(_TIMES, [schema, stream, bookmark]).fetchone()
    return str(found[0]) if found else None


def _say(text: str = "", *, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - a command speaks


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
