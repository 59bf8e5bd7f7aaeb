"""Bring a stream's table into line with its schema: create it, add and widen columns, never narrow or drop any."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.tables import (
    DELETED_AT,
    RESERVED,
    VERSION,
    WINDOW,
    Column,
    Table,
    quote,
)
from target_duckhouse.warehouse.types import join, sql_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.database import Warehouse

__all__ = ["add_columns", "declared_columns", "prepare", "replaces_windows", "widen"]

logger = logging.getLogger("target-duckhouse")


def declared_columns(schema: dict[str, Any], keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns that a stream's schema asks for, under names that differ by more than case."""
    keys = set(keys)
    properties: dict[str, Any] = schema.get("properties") or {}
    taken = Counter(RESERVED)
    columns = []
    for name, entry in properties.items():
        kind = sql_type(entry, schema)
        pii = isinstance(entry, dict) and bool(entry.get("x-pii"))
        free = _free_name(name, taken)
        partitions = _partitions(entry) if name == WINDOW else None
        columns.append(Column(name, free, kind, kind, key=name in keys, pii=pii, partitions=partitions))
    return tuple(columns)


def _partitions(entry: Any) -> tuple[str, ...] | None:
    names = entry.get("x-partition") if isinstance(entry, dict) else None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else None


def replaces_windows(columns: Iterable[Column], settings: Settings) -> bool:
    """Whether windows that are read again are to replace their rows: as the user says, else as the schema marks it."""
    window = next((column for column in columns if column.property == WINDOW), None)
    if window is None or settings.shared:
        return False
    return window.partitions is not None if settings.replace_windows is None else settings.replace_windows


def _free_name(name: str, taken: Counter[str]) -> str:
    """The name itself, or with a number if another column has the same name but for case."""
    free = name = name or "_"
    while taken[free.casefold()]:
        taken[name.casefold()] += 1
        free = f"{name}_{taken[name.casefold()]}"
    taken[free.casefold()] += 1
    return free


def prepare(
    warehouse: Warehouse, settings: Settings, stream: str, wanted: tuple[Column, ...], *, versioned: bool = False
) -> Table:
    """Create or alter the stream's table so that it can hold what `wanted` declares.

    Args:
        warehouse: Where the table is.
        settings: What the user has set.
        stream: The stream's name.
        wanted: The columns that its schema asks for.
        versioned: Whether its records carry versions.

    Returns:
        The table with the types its columns have now.
    """
    warehouse.begin()
    storage = warehouse.storage
    table = Table(stream, storage.schema, wanted)
    _check_relation(warehouse, stream)
    present = warehouse.metadata.columns(table)
    versioned = versioned or not (wanted or present)  # a table needs a column
    names = {column.name for column in wanted}
    own = [(VERSION, "BIGINT")] if versioned else []
    own += [entry for entry in storage.own_columns(versioned=versioned) if entry[0] not in names]  # some taps send them
    if not present:
        body = ", ".join(f"{quote(name)} {kind}" for name, kind in [*((c.name, c.sql) for c in wanted), *own])
        warehouse.con.execute(f"CREATE TABLE {table.qualified} ({body})")
    _check_key(warehouse, table)
    if present:
        spelling = {name.casefold(): name for name in present}
        columns = [replace(c, name=spelling.get(c.name.casefold(), c.name)) for c in wanted]
        table = replace(table, columns=tuple(_fit(warehouse, table, c, present.get(c.name)) for c in columns))
        for name, kind in own:
            warehouse.con.execute(f"ALTER TABLE {table.qualified} ADD COLUMN IF NOT EXISTS {quote(name)} {kind}")
    marks_deleted = DELETED_AT not in names and DELETED_AT in {*present, *(name for name, _ in own)}
    table = _windowed(replace(table, versioned=versioned, marks_deleted=marks_deleted), settings)
    storage.show(table)
    return table


def _fit(warehouse: Warehouse, table: Table, column: Column, kind: str | None) -> Column:
    """Add a column, or widen the one of type `kind` that is there, so that it holds what `column` declares."""
    if kind is None:
        column = replace(column, sql=column.declared)
        warehouse.con.execute(f"ALTER TABLE {table.qualified} ADD COLUMN {quote(column.name)} {column.sql}")
        _record_change(warehouse, table, column, None)
        return column
    column = replace(column, sql=join(kind, column.declared))
    return column if kind == column.sql else _retype(warehouse, table, column, kind)


def _windowed(table: Table, settings: Settings) -> Table:
    """The table, with the columns that identify a row's window if the stream has all of them."""
    names = {column.property: column.name for column in table.columns}
    window = next((column for column in table.columns if column.property == WINDOW), None)
    if window is None:
        return table
    wanted, partitions = replaces_windows(table.columns, settings), window.partitions or ()
    if missing := [name for name in partitions if name not in names]:
        if wanted:
            logger.warning(
                "stream %s: its windows are not replaced, because it lacks `%s`, and they are read separately for each",
                table.stream,
                missing[0],
            )
        return table
    others = (names[name] for name in partitions if name != WINDOW)
    return replace(table, window=(window.name, *others), replaces_windows=wanted)


def add_columns(warehouse: Warehouse, settings: Settings, table: Table, names: list[str]) -> Table:
    """Add a JSON column for each property that records have but the schema lacks."""
    taken = Counter([*RESERVED, *(column.name.casefold() for column in table.columns)])
    new = tuple(Column(name, _free_name(name, taken), "JSON", "JSON") for name in names)
    return prepare(warehouse, settings, table.stream, table.columns + new, versioned=table.versioned)


def widen(warehouse: Warehouse, table: Table, column: Column, sql: str) -> Table:
    """Change a column's type to a wider one that a value needs."""
    warehouse.begin()
    wider = _retype(warehouse, table, replace(column, sql=sql), column.sql)
    return replace(table, columns=tuple(wider if c.name == column.name else c for c in table.columns))


def _check_relation(warehouse: Warehouse, stream: str) -> None:
    """Refuse to mix tables and the views of a lake in one schema."""
    relation = warehouse.metadata.relation(stream)
    if relation not in {None, warehouse.storage.relation}:
        raise LoadError(
            f"{warehouse.schema}.{stream} is already a {str(relation).lower()}; set `lake_path` for every load "
            "into a schema, or for none"
        )


def _check_key(warehouse: Warehouse, table: Table) -> None:
    """Remember the key that a table was created with, and refuse any other: rows would be stored twice."""
    key = ", ".join(sorted(column.property for column in table.columns if column.key)) or "none"
    if (kept := warehouse.metadata.keep_key(table, key)) != key:
        raise LoadError(
            f"stream {table.stream}: its key was {kept} and is now {key}, so rows that are already there would be "
            "loaded a second time; load it into another schema, or drop its table and load it again from the start"
        )


def _retype(warehouse: Warehouse, table: Table, column: Column, old: str) -> Column:
    if column.sql == "DOUBLE" and not _survives_double(warehouse, table, column.name):
        column = replace(column, sql="VARCHAR")
    warehouse.storage.retype(table, column, old)
    _record_change(warehouse, table, column, old)
    return column


def _survives_double(warehouse: Warehouse, table: Table, name: str) -> bool:
    beyond = f"WHERE abs({quote(name)}::HUGEINT) > 9007199254740992 LIMIT 1"
    sources = warehouse.storage.sources(table, name)
    return not any(warehouse.con.execute(f"SELECT 1 FROM {source} {beyond}").fetchone() for source in sources)


def _record_change(warehouse: Warehouse, table: Table, column: Column, old: str | None) -> None:
    change = f"is now {column.sql}, was {old}" if old else f"is new, {column.sql}"
    logger.info("stream %s: column %s %s", table.stream, column.name, change)
    warehouse.metadata.record_change(table, column, old)
