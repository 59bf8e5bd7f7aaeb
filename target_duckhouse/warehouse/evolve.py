"""Bring a stream's table into line with its schema: create it, add and widen columns, never narrow or drop any."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.metadata import REJECTED_SUFFIX
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    HASH,
    METADATA,
    RESERVED,
    VERSION,
    WINDOW,
    Column,
    Table,
    fold,
    quote,
)
from target_duckhouse.warehouse.types import join, sql_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.metadata import Present

__all__ = ["add_columns", "check_relation", "declared_columns", "prepare", "replaces_windows", "widen"]

logger = logging.getLogger("target-duckhouse")


def declared_columns(schema: dict[str, Any], keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns that a stream's schema asks for; `prepare` gives them their names."""
    keys = set(keys)
    properties: dict[str, Any] = schema.get("properties") or {}
    columns = []
    for name, entry in properties.items():
        kind = sql_type(entry, schema)
        pii = isinstance(entry, dict) and bool(entry.get("x-pii"))
        partitions = _partitions(entry) if name == WINDOW else None
        columns.append(Column(name, name, kind, kind, key=name in keys, pii=pii, partitions=partitions))
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


def _named(wanted: Iterable[Column], present: Iterable[str], remembered: Mapping[str, str]) -> tuple[Column, ...]:
    """Give every property its column.

    A property keeps the column that is remembered for it. A new one gets a column that the table has under its name and
    that no other property has had, or else a new column, with a number if its name is taken.
    """
    names = dict(remembered)
    spelling = {fold(name): name for name in present}
    own = spelling.keys() & METADATA if remembered else ()  # before columns were remembered, they were properties'
    taken = {fold(name) for name in (*RESERVED, *names.values(), *own)}
    for column in sorted(wanted, key=lambda column: spelling.get(fold(column.property)) != column.property):
        if column.property not in names:
            free = _free_name(column.property or "_", taken)
            names[column.property] = spelling.get(fold(free), free)
            taken.add(fold(free))
    return tuple(replace(column, name=names[column.property]) for column in wanted)


def _free_name(name: str, taken: set[str]) -> str:
    """The name itself, or with a number if it is taken."""
    free, number = name, 1
    while fold(free) in taken:
        number += 1
        free = f"{name}_{number}"
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
    storage, metadata = warehouse.storage, warehouse.metadata
    table = Table(metadata.spelling(storage.schema, stream), storage.schema, ())
    present = metadata.columns(table)
    remembered = metadata.properties(table, present)
    columns = _named(wanted, present, remembered)
    taken = {fold(name) for name in (*remembered.values(), *(column.name for column in columns))}
    versioned = versioned or not (wanted or present)  # a table needs a column
    own = {VERSION: "BIGINT"} if versioned else {}
    own |= dict.fromkeys(METADATA, "TIMESTAMPTZ") if settings.add_record_metadata else {}
    own |= dict(storage.own_columns(versioned=versioned))
    own = {name: kind for name, kind in own.items() if name not in taken}  # some taps send columns of these names
    there = {fold(name): column.sql for name, column in present.items()}
    stamps = frozenset(name for name in METADATA if {**own, **there}.get(name) == "TIMESTAMPTZ") - taken
    if not present:
        body = ", ".join(f"{quote(name)} {kind}" for name, kind in [*((c.name, c.sql) for c in columns), *own.items()])
        warehouse.con.execute(f"CREATE TABLE {table.qualified} ({body})")
    _check_key(warehouse, replace(table, columns=columns))
    if present:
        columns = tuple(_fit(warehouse, table, column, present.get(column.name)) for column in columns)
        for name in own.keys() - there.keys():
            _add_own(warehouse, table, name, own[name])
    metadata.keep_properties(table, (column for column in columns if column.property not in remembered))
    internal = {VERSION, HASH, *stamps}
    others = {name: column for name, column in present.items() if fold(name) not in internal}
    columns = _completed(columns, others, remembered)
    table = _windowed(replace(table, columns=columns, versioned=versioned, stamps=stamps), settings)
    warehouse.widths[table.stream] = len(columns)
    storage.show(table)
    return table


def _add_own(warehouse: Warehouse, table: Table, name: str, kind: str) -> None:
    """Add a column of the loader's. Rows that are there count as changed now, so that nobody overlooks them."""
    now = f" DEFAULT {warehouse.moment.sql}" if name == BATCHED_AT else ""
    alter = f"ALTER TABLE {table.qualified}"
    warehouse.con.execute(f"{alter} ADD COLUMN {name} {kind}{now}")
    if now:
        warehouse.con.execute(f"{alter} ALTER COLUMN {name} DROP DEFAULT")


def _completed(
    columns: Iterable[Column], present: Mapping[str, Present], remembered: Mapping[str, str]
) -> tuple[Column, ...]:
    """The columns that are wanted, and those that the table has beside them, in the table's order."""
    found = {column.name: column for column in columns}
    properties = {column: name for name, column in remembered.items()}
    for name, (sql, initial) in present.items():
        if name not in found:
            found[name] = Column(properties.get(name, name), name, sql, sql, arrives=False, initial=initial)
    return tuple(found[name] for name in {**dict.fromkeys(present), **dict.fromkeys(found)})


def _fit(warehouse: Warehouse, table: Table, column: Column, present: Present | None) -> Column:
    """Add a column, or widen the one that is there, so that it holds what `column` declares."""
    if present is None:
        column = replace(column, sql=column.declared)
        warehouse.con.execute(f"ALTER TABLE {table.qualified} ADD COLUMN {quote(column.name)} {column.sql}")
        _record_change(warehouse, table, column, None)
        return column
    column = replace(column, sql=join(present.sql, column.declared))
    return column if present.sql == column.sql else _retype(warehouse, table, column, present.sql)


def _windowed(table: Table, settings: Settings) -> Table:
    """The table, with the columns that identify a row's window if the stream has all of them."""
    names = {column.property: column.name for column in table.arriving}
    window = next((column for column in table.arriving if column.property == WINDOW), None)
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
    new = tuple(Column(name, name, "JSON", "JSON") for name in names)
    return prepare(warehouse, settings, table.stream, table.arriving + new, versioned=table.versioned)


def widen(warehouse: Warehouse, table: Table, column: Column, sql: str) -> Table:
    """Change a column's type to a wider one that a value needs."""
    warehouse.begin()
    wider = _retype(warehouse, table, replace(column, sql=sql), column.sql)
    return replace(table, columns=tuple(wider if c.name == column.name else c for c in table.columns))


def check_relation(warehouse: Warehouse, stream: str) -> None:
    """Refuse to mix streams with rejected records in one table, and tables with the views of a lake in one schema.

    Raises:
        LoadError: The stream's name is that of something else.
    """
    if REJECTED_SUFFIX in fold(stream) and warehouse.metadata.holds_rejected(stream):
        raise LoadError(
            f"stream {stream}: the table of this name holds rejected records of another stream; rename that table in "
            "DuckDB, or load one of the two streams into another schema"
        )
    relation = warehouse.metadata.relation(stream)
    if relation not in {None, warehouse.storage.relation}:
        raise LoadError(
            f"stream {stream}: {warehouse.schema}.{stream} is already a {str(relation).lower()}; set `lake_path` for "
            "every load into a schema, or for none, or load everything again into another schema"
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
