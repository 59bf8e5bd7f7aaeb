"""What people get to see: the summary of a run and the contents of a warehouse, as text tables or JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from target_duckhouse.names import fold, folded
from target_duckhouse.warehouse.bookmarks import newest
from target_duckhouse.warehouse.delta_changes import check_deltas
from target_duckhouse.warehouse.files import check_files
from target_duckhouse.warehouse.folder import known_place, staging_base
from target_duckhouse.warehouse.loads import LOADS
from target_duckhouse.warehouse.places import place_at
from target_duckhouse.warehouse.tables import DELETED_AT, qualified

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import duckdb

    from target_duckhouse.warehouse.compaction import Compacted
    from target_duckhouse.warehouse.loads import Counts

__all__ = ["alive", "compacted", "exists", "inspection", "render_inspection", "summary", "table"]

_MOST = 60
"""Characters of a bookmark that are shown."""

_LAST_LOADS = f"""
SELECT schema, stream, load_id, inserted, updated, unchanged, deleted, rejected,
    CASE WHEN failed IS NOT TRUE THEN strftime(committed_at, '%Y-%m-%dT%H:%M:%SZ') END AS committed_at
FROM {LOADS} l
QUALIFY row_number() OVER (
    PARTITION BY schema, stream ORDER BY failed IS TRUE, l.started_at DESC, l.committed_at DESC) = 1
ORDER BY schema, stream
"""


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain text table: numbers aligned right, everything else left."""
    body = [[_cell(value) for value in row] for row in rows]
    right = (
        [all(isinstance(value, int | float) for value in column) for column in zip(*rows, strict=True)] if body else []
    )
    widths = [max(len(cell) for cell in column) for column in zip(header, *body, strict=True)]
    lines = []
    for cells in ([*header], *body):
        padded = (
            cell.rjust(width) if right and right[index] else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _state_rows(entry: Mapping[str, Any]) -> Iterable[list[str]]:
    """A state as rows: one for each stream's bookmark, or its beginning if it has none."""
    state = bytes(entry["state"])
    head = [entry["state_id"], entry["committed_at"]]
    for stream, value in sorted(newest(state).items()) or [("", state.decode())]:
        yield [*head, stream, value if len(value) <= _MOST else f"{value[:_MOST]}…"]
        head = ["", ""]


def summary(counts: Mapping[str, Counts]) -> str:
    """The table that a run prints at its end."""
    header = ("stream", "inserted", "updated", "unchanged", "deleted", "rejected", "seconds")
    return table(header, [[stream, *asdict(count).values()] for stream, count in sorted(counts.items())])


def compacted(done: Iterable[Compacted]) -> str:
    """The table that tells what compaction did."""
    header = ("schema", "stream", "files before", "files now")
    return table(header, [[each.schema, each.stream, each.before, each.after] for each in done])


def inspection(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The streams of a warehouse with their rows and last load, and its states, as plain data.

    Raises:
        LoadError: A file of a lake is missing.
    """
    known = {
        name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
    }
    if not {"_singer_loads", "_singer_state"} <= known:
        return {"streams": [], "states": []}
    if "_singer_lakes" in known:
        _check_lakes(con, known)
    streams, keys = [], _keys(con)
    cursor = con.execute(_LAST_LOADS)
    names = [column[0] for column in cursor.description or ()]
    for row in cursor.fetchall():
        entry = dict(zip(names, row, strict=True))
        name = qualified(entry["schema"], entry["stream"])
        counted = (
            con.execute(f"SELECT count(*) FROM {name} WHERE {alive(con, entry['schema'], entry['stream'])}").fetchone()
            if exists(con, entry["schema"], entry["stream"])
            else None
        )
        entry["rows"] = counted[0] if counted else 0
        entry["key"] = keys.get((entry["schema"], fold(entry["stream"])), [])
        streams.append(entry)
    states = [
        {"state_id": state_id, "state": msgspec.Raw(state.encode()), "committed_at": at}
        for state_id, state, at in con.execute(
            "SELECT state_id, state, strftime(committed_at, '%Y-%m-%dT%H:%M:%SZ') FROM main._singer_state ORDER BY 1"
        ).fetchall()
    ]
    return {"streams": streams, "states": states}


def _keys(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[str]]:
    """The columns of each table's key; nothing if the warehouse was last loaded by a version that did not tell."""
    found: dict[tuple[str, str], list[str]] = {}
    told = "table_name = '_singer_columns' AND column_name = 'is_key'"
    if con.execute(f"SELECT 1 FROM duckdb_columns() WHERE schema_name = 'main' AND {told}").fetchone():
        for schema, stream, name in con.execute(
            "SELECT schema, stream, column_name FROM main._singer_columns WHERE is_key ORDER BY ALL"
        ).fetchall():
            found.setdefault((schema, fold(stream)), []).append(name)
    return found


def _check_lakes(con: duckdb.DuckDBPyConnection, known: Collection[str]) -> None:
    """Views leave out files that are missing, so make sure that there are none."""
    for schema, root in con.execute("SELECT schema, root FROM main._singer_lakes").fetchall():
        place = place_at(con, known_place(con, root))
        if "_singer_files" in known:
            check_files(con, schema, place, staging_base(con, place))
        if "_singer_deltas" in known:
            check_deltas(con, schema, place)


def exists(con: duckdb.DuckDBPyConnection, schema: str, stream: str) -> bool:
    """Whether there is a table or a view of a stream."""
    found = con.execute(
        f"SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND {folded('table_name')} = ?",
        [schema, fold(stream)],
    ).fetchone()
    return found is not None


def alive(con: duckdb.DuckDBPyConnection, schema: str, stream: str) -> str:
    """A condition for the rows of a table or a view that are not marked as deleted."""
    found = con.execute(
        f"SELECT 1 FROM duckdb_columns() WHERE schema_name = ? AND {folded('table_name')} = ? AND column_name = ?",
        [schema, fold(stream), DELETED_AT],
    ).fetchone()
    return f"{DELETED_AT} IS NULL" if found else "true"


def render_inspection(content: Mapping[str, Any]) -> str:
    """What `inspection` returns, as text."""
    header = ("schema", "stream", "rows", "inserted", "updated", "unchanged", "deleted", "rejected", "committed_at")
    streams = [[*(entry[name] for name in header), ", ".join(entry["key"])] for entry in content["streams"]]
    states = [row for entry in content["states"] for row in _state_rows(entry)]
    parts = [table((*header, "key"), streams) if streams else "nothing has been loaded yet"]
    if states:
        parts.append(table(("state_id", "committed_at", "stream", "bookmark"), states))
    return "\n\n".join(parts)
