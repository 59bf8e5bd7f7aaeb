"""Bring a stream's table into line with its schema: create it, add columns, widen columns. Never narrow, never drop."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.tables import (
    CATALOG,
    DELETED_AT,
    HASH,
    RESERVED,
    VERSION,
    WINDOW,
    Column,
    Table,
    literal,
    quote,
)
from target_duckhouse.warehouse.types import join, sql_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.database import Warehouse

__all__ = ["add_columns", "declared_columns", "prepare", "widen"]

logger = logging.getLogger("target-duckhouse")

_KEY = "key: "
"""How the comment of a table begins that tells which properties its rows are merged on."""

_LONG_NAMES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


def declared_columns(schema: dict[str, Any], keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns that a stream's schema asks for, under names that differ in more than case."""
    keys = set(keys)
    properties: dict[str, Any] = schema.get("properties") or {}
    taken = Counter(RESERVED)
    columns = []
    for name, entry in properties.items():
        kind = sql_type(entry, schema)
        pii = isinstance(entry, dict) and bool(entry.get("x-pii"))
        free = _free_name(name, taken)
        partitions = _partitions(entry) if name == WINDOW else ()
        columns.append(Column(name, free, kind, kind, key=name in keys, pii=pii, partitions=partitions))
    return tuple(columns)


def _partitions(entry: Any) -> tuple[str, ...]:
    names = entry.get("x-partition") if isinstance(entry, dict) else None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _free_name(name: str, taken: Counter[str]) -> str:
    """The name itself, or with a number where another column has the same one in other case."""
    free = name = name or "_"
    while taken[free.casefold()]:
        taken[name.casefold()] += 1
        free = f"{name}_{taken[name.casefold()]}"
    taken[free.casefold()] += 1
    return free


def prepare(
    warehouse: Warehouse, settings: Settings, stream: str, wanted: tuple[Column, ...], *, versioned: bool = False
) -> Table:
    """Create or alter the stream's table so that it holds what `wanted` declares.

    Args:
        warehouse: Where the table is.
        settings: What the user has set.
        stream: The stream's name.
        wanted: The columns that its schema asks for.
        versioned: Whether its records carry versions.

    Returns:
        The table with the types that its columns have now.
    """
    warehouse.begin()
    table = Table(stream, warehouse.table_schema, ())
    _check_kind(warehouse, table)
    present = _present(warehouse, table)
    versioned = versioned or not (wanted or present)  # a table needs a column
    is_free = all(column.name != DELETED_AT for column in wanted)  # some taps send it themselves
    own = [(VERSION, "BIGINT")] if versioned else []
    if warehouse.lake:
        own.append((HASH, "VARCHAR"))
    elif versioned and not settings.hard_delete and is_free:
        own.append((DELETED_AT, "TIMESTAMPTZ"))
    if not present:
        table = _windowed(replace(table, columns=wanted, versioned=versioned), settings)
        body = ", ".join(f"{quote(name)} {kind}" for name, kind in [*((c.name, c.sql) for c in wanted), *own])
        warehouse.con.execute(f"CREATE TABLE {table.qualified} ({body})")
        _keep_key(warehouse, table)
        if warehouse.lake:
            warehouse.lake.touch(table)
        return replace(table, marks_deleted=(DELETED_AT, "TIMESTAMPTZ") in own)
    _keep_key(warehouse, replace(table, columns=wanted))
    by_name = {name.casefold(): (name, kind) for name, kind in present.items()}
    columns = []
    for column in wanted:
        name, kind = by_name.get(column.name.casefold(), (column.name, None))
        settled = replace(column, name=name, sql=join(kind, column.declared) if kind else column.declared)
        if kind is None:
            _add(warehouse, table, settled)
        elif kind != settled.sql:
            settled = _alter(warehouse, table, settled, kind)
        columns.append(settled)
    for name, kind in own:
        warehouse.con.execute(f"ALTER TABLE {table.qualified} ADD COLUMN IF NOT EXISTS {quote(name)} {kind}")
    table = _windowed(replace(table, columns=tuple(columns), versioned=versioned), settings)
    if warehouse.lake:
        warehouse.lake.touch(table)
    return replace(table, marks_deleted=is_free and (DELETED_AT in present or (DELETED_AT, "TIMESTAMPTZ") in own))


def _windowed(table: Table, settings: Settings) -> Table:
    """The table with the columns that tell a row's window, if the stream has them all."""
    names = {column.property: column.name for column in table.columns}
    window = next((column for column in table.columns if column.property == WINDOW), None)
    if window is None:
        return table
    if missing := [name for name in window.partitions if name not in names]:
        if settings.replace_windows:
            logger.warning(
                "stream %s: its windows are not replaced, because it lacks `%s`, for which they are read apart",
                table.stream,
                missing[0],
            )
        return table
    partitions = (names[name] for name in window.partitions if name != WINDOW)
    return replace(table, window=(window.name, *partitions), replaces_windows=settings.replace_windows)


def add_columns(warehouse: Warehouse, settings: Settings, table: Table, names: list[str]) -> Table:
    """Add a JSON column for each property that the records have and the schema lacks."""
    taken = Counter([*RESERVED, *(column.name.casefold() for column in table.columns)])
    new = tuple(Column(name, _free_name(name, taken), "JSON", "JSON") for name in names)
    return prepare(warehouse, settings, table.stream, table.columns + new, versioned=table.versioned)


def widen(warehouse: Warehouse, table: Table, column: Column, sql: str) -> Table:
    """Change a column's type to a wider one, because a value came that needs it."""
    warehouse.begin()
    wider = _alter(warehouse, table, replace(column, sql=sql), column.sql)
    return replace(table, columns=tuple(wider if c.name == column.name else c for c in table.columns))


def _present(warehouse: Warehouse, table: Table) -> dict[str, str]:
    rows = warehouse.con.execute(
        f"SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = '{CATALOG}' "
        "AND schema_name = ? AND lower(table_name) = lower(?) ORDER BY column_index",
        [table.schema, table.stream],
    ).fetchall()
    return {name: _LONG_NAMES.get(kind, kind) for name, kind in rows}


def _check_kind(warehouse: Warehouse, table: Table) -> None:
    """Refuse to put a lake's view over a table, or a table under a lake's view."""
    row = warehouse.con.execute(
        "SELECT table_type FROM information_schema.tables "
        f"WHERE table_catalog = '{CATALOG}' AND table_schema = ? AND lower(table_name) = lower(?)",
        [warehouse.schema, table.stream],
    ).fetchone()
    if row and (row[0] == "VIEW") != bool(warehouse.lake):
        raise LoadError(
            f"{warehouse.schema}.{table.stream} is a {row[0].lower()} already; `lake_path` must be set in all loads of "
            "a schema, or in none"
        )


def _keep_key(warehouse: Warehouse, table: Table) -> None:
    """Write a table's key into its comment, and refuse any other key after that: rows would be there twice."""
    (kept,) = warehouse.one(
        f"SELECT comment FROM duckdb_tables() WHERE database_name = '{CATALOG}' "
        "AND schema_name = ? AND lower(table_name) = lower(?)",
        [table.schema, table.stream],
    )
    key = ", ".join(sorted(column.property for column in table.columns if column.key)) or "none"
    if kept is None:
        warehouse.con.execute(f"COMMENT ON TABLE {table.qualified} IS {literal(_KEY + key)}")
    elif kept.startswith(_KEY) and kept != _KEY + key:
        raise LoadError(
            f"stream {table.stream}: its key was {kept.removeprefix(_KEY)} and is now {key}, so rows that are there "
            "would come a second time; load it into another schema, or drop what is there and load it anew"
        )


def _add(warehouse: Warehouse, table: Table, column: Column) -> None:
    warehouse.con.execute(f"ALTER TABLE {table.qualified} ADD COLUMN {quote(column.name)} {column.sql}")
    _record(warehouse, table, column, None)


def _alter(warehouse: Warehouse, table: Table, column: Column, old: str) -> Column:
    if column.sql == "DOUBLE" and not _survives_double(warehouse, table, column.name):
        column = replace(column, sql="VARCHAR")
    name = quote(column.name)
    value = _converted(name, old, column.sql)
    warehouse.con.execute(f"ALTER TABLE {table.qualified} ALTER COLUMN {name} SET DATA TYPE {column.sql} USING {value}")
    if warehouse.lake:
        warehouse.lake.rewrite(table, column.name, _converted(f"CAST({name} AS {old})", old, column.sql), column.sql)
    _record(warehouse, table, column, old)
    return column


def _converted(value: str, old: str, new: str) -> str:
    """An expression for a value of a column in its new type."""
    if old == "TIMESTAMPTZ" and new in {"VARCHAR", "JSON"}:
        value = f"strftime({value} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"to_json({value})" if new == "JSON" else f"CAST({value} AS {new})"


def _survives_double(warehouse: Warehouse, table: Table, name: str) -> bool:
    sources = [source for source, _ in warehouse.lake.sources(table, name)] if warehouse.lake else [table.qualified]
    beyond = f"WHERE abs({quote(name)}::HUGEINT) > 9007199254740992 LIMIT 1"
    return not any(warehouse.con.execute(f"SELECT 1 FROM {source} {beyond}").fetchone() for source in sources)


def _record(warehouse: Warehouse, table: Table, column: Column, old: str | None) -> None:
    change = f"is now {column.sql}, was {old}" if old else f"is new, {column.sql}"
    logger.info("stream %s: column %s %s", table.stream, column.name, change)
    warehouse.con.execute(
        "INSERT INTO main._singer_schema_history VALUES (?, ?, ?, ?, ?, ?, now())",
        [warehouse.load_id, warehouse.schema, table.stream, column.name, old, column.sql],
    )
