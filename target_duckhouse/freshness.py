"""Whether a warehouse is up to date and complete: what `check` tells, for schedulers and alerts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from target_duckhouse.errors import SettingsError
from target_duckhouse.names import fold
from target_duckhouse.report import exists, table
from target_duckhouse.warehouse.bookmarks import newest
from target_duckhouse.warehouse.loads import LOADS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import duckdb

__all__ = ["examine", "failures", "render", "span"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOADS = f"""
WITH marked AS (
    SELECT *, max(committed_at) FILTER (failed IS NOT TRUE) OVER (PARTITION BY schema, stream) AS last FROM {LOADS})
SELECT schema, stream, epoch_us(last), sum(rejected)::BIGINT, list(DISTINCT load_id), list(DISTINCT state_id)
FROM marked WHERE committed_at >= to_timestamp(?) OR last IS NULL OR committed_at >= last
GROUP BY ALL ORDER BY schema, stream
"""
_CHANGES = """
SELECT column_name, old_type, new_type FROM main._singer_schema_history
WHERE schema = ? AND stream = ? AND list_contains(?, load_id) ORDER BY changed_at, column_name
"""


def span(text: str) -> timedelta:
    """A span of time such as ``26h``, ``90m`` or ``2d``.

    Raises:
        SettingsError: It is not one.
    """
    if not (match := re.fullmatch(r"([0-9]{1,6}(?:[.][0-9]{1,6})?)\s*([smhd])", text.strip())):
        raise SettingsError("option --max-age must be a number with a unit: s, m, h or d, as in 26h")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def examine(
    con: duckdb.DuckDBPyConnection,
    max_age: timedelta,
    wanted: Collection[str],
    missing: Mapping[tuple[str, str], Collection[str]],
) -> dict[str, Any]:
    """What is known of how fresh and complete each stream is, as plain data.

    A load in which the stream failed makes it no fresher. Rejected rows and changes of the schema are those of all
    loads that are not older than `max_age`, of the last that did not fail, and of those after it.

    Args:
        con: The warehouse.
        max_age: The age from which on a stream's last load is too old.
        wanted: The streams to look at, by their names or as ``schema.stream``; all that have a table if there is none.
        missing: The files that lakes should have and do not, by schema and stream.
    """
    now = datetime.now(UTC)
    found = [entry for entry in _streams(con, now, max_age) if not wanted or _names(entry) & {*map(fold, wanted)}]
    there = {name for entry in found for name in _names(entry)}
    found += [_entry("", name) for name in wanted if fold(name) not in there]
    for entry in found:
        age = entry["age_s"]
        entry["stale"] = age is None or age > max_age.total_seconds()
        entry["missing_files"] = sorted(missing.get((entry["schema"], entry["stream"]), ()))
    return {"max_age_s": max_age.total_seconds(), "ok": not failures(found), "streams": found}


def failures(streams: Collection[Mapping[str, Any]]) -> list[str]:
    """What is wrong, for each stream that something is wrong with; one line if nothing has been loaded at all."""
    if not streams:
        return ["nothing has been loaded yet"]
    found = []
    for entry in streams:
        reasons = ["stale"] if entry["stale"] else []
        reasons += [f"{entry['rejected']:,} rejected"] if entry["rejected"] else []
        if files := entry["missing_files"]:
            reasons.append(
                f"{len(files):,} missing files, such as {files[0]}" if files[1:] else f"{files[0]} is missing"
            )
        if reasons:
            found.append(f"{entry['stream']} ({' and '.join(reasons)})")
    return found


def render(content: Mapping[str, Any]) -> str:
    """What `examine` returns, as text."""
    header = ("schema", "stream", "last_load", "age", "bookmark", "rejected", "schema_changes", "verdict")
    rows = []
    for entry in content["streams"]:
        found = {"files missing": entry["missing_files"], "stale": entry["stale"], "rejected": entry["rejected"]}
        verdict = next((name for name, holds in found.items() if holds), "ok")
        columns = (entry["schema"], entry["stream"], entry["last_load"] or "never", _age(entry["age_s"]))
        rows.append([*columns, entry["bookmark"], entry["rejected"], ", ".join(entry["schema_changes"]), verdict])
    return table(header, rows) if rows else "nothing has been loaded yet"


def _streams(con: duckdb.DuckDBPyConnection, now: datetime, max_age: timedelta) -> Iterator[dict[str, Any]]:
    tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
    if ("_singer_loads",) not in tables:
        return
    states = {
        state_id: newest(state.encode())
        for state_id, state in con.execute("SELECT state_id, state FROM main._singer_state").fetchall()
    }
    for schema, stream, last, rejected, loads, ids in con.execute(_LOADS, [(now - max_age).timestamp()]).fetchall():
        if not exists(con, schema, stream):
            continue
        entry = _entry(schema, stream)
        if last is not None:
            loaded = datetime.fromtimestamp(last / 1_000_000, UTC)
            entry["last_load"] = loaded.strftime("%Y-%m-%dT%H:%M:%SZ")
            entry["age_s"] = max(round((now - loaded).total_seconds()), 0)
        bookmarks = [value for state_id in ids if (value := _of(states.get(state_id, {}), stream))]
        changes = con.execute(_CHANGES, [schema, stream, loads]).fetchall()
        yield entry | {
            "bookmark": max(bookmarks, default=None),
            "rejected": rejected,
            "schema_changes": [f"{name}: {old or 'new'} -> {new}" for name, old, new in changes],
        }


def _entry(schema: str, stream: str) -> dict[str, Any]:
    """What is said of a stream that was never loaded, or not without a failure."""
    return {
        "schema": schema,
        "stream": stream,
        "last_load": None,
        "age_s": None,
        "bookmark": None,
        "rejected": 0,
        "schema_changes": [],
    }


def _names(entry: Mapping[str, Any]) -> set[str]:
    return {fold(entry["stream"]), fold(f"{entry['schema']}.{entry['stream']}")}


def _of(bookmarks: Mapping[str, str], stream: str) -> str | None:
    return next((value for name, value in bookmarks.items() if fold(name) == fold(stream)), None)


def _age(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds // 3600}h {seconds // 60 % 60}m"
