"""Bring a stream's table into line with its schema: create it, add and widen columns, never narrow or drop any."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING, Any

from target_duckhouse.errors import LoadError
from target_duckhouse.names import fold
from target_duckhouse.warehouse.comments import describe_columns, table_comment
from target_duckhouse.warehouse.metadata import REJECTED_SUFFIX, Known
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    HASH,
    METADATA,
    RESERVED,
    VERSION,
    WINDOW,
    Column,
    Table,
    quote,
)
from target_duckhouse.warehouse.types import is_one_text, join, sql_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.metadata import Present

__all__ = [
    "EXACT",
    "add_columns",
    "check_relation",
    "declared_columns",
    "describe",
    "described",
    "prepare",
    "replaces_windows",
    "widen",
]

logger = logging.getLogger("target-duckhouse")

EXACT = 2**53
"""Up to this value, and down to its opposite, DOUBLE holds every integer."""


def declared_columns(schema: dict[str, Any], keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns that a stream's schema asks for; `prepare` gives them their names."""
    keys = set(keys)
    told = _names(schema.get("x-scopes"))
    properties: dict[str, Any] = schema.get("properties") or {}
    columns = []
    for name, entry in properties.items():
        kind = sql_type(entry, schema)
        column = Column(name, name, kind, kind, key=name in keys, pii=_is_personal(entry), description=described(entry))
        scope = told is not None and (column.key or name in told)
        columns.append(replace(column, partitions=_partitions(entry) if name == WINDOW else None, scope=scope))
    return tuple(columns)


def described(schema: Any) -> str:
    """What a schema says of what it stands for, on one line."""
    text = schema.get("description") if isinstance(schema, dict) else None
    return " ".join(text.split()).replace("\0", "") if isinstance(text, str) else ""


def _is_personal(schema: Any) -> bool:
    """Whether a schema marks what it stands for, or a part of it, as personal data."""
    if isinstance(schema, list):
        return any(map(_is_personal, schema))
    return isinstance(schema, dict) and (bool(schema.get("x-pii")) or any(map(_is_personal, schema.values())))


def _partitions(entry: Any) -> tuple[str, ...] | None:
    return _names(entry.get("x-partition")) if isinstance(entry, dict) else None


def _names(given: Any) -> tuple[str, ...] | None:
    return tuple(name for name in given if isinstance(name, str)) if isinstance(given, list) else None


def replaces_windows(columns: Iterable[Column], settings: Settings) -> bool:
    """Whether windows that are read again are to replace their rows: as the user says, else as the schema marks it."""
    window = next((column for column in columns if column.property == WINDOW), None)
    if window is None or settings.shared:
        return False
    return window.partitions is not None if settings.replace_windows is None else settings.replace_windows


def _named(wanted: Iterable[Column], present: Iterable[str], known: Mapping[str, Known]) -> tuple[Column, ...]:
    """Give every property its column.

    A property keeps the column that is remembered for it. A new one gets a column that the table has under its name and
    that no other property has had, or else a new column, with a number if its name is taken.
    """
    names = {name: each.column for name, each in known.items()}
    spelling = {fold(name): name for name in present}
    own = spelling.keys() & METADATA.keys() if known else ()  # before columns were remembered, they were properties'
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


def prepare(warehouse: Warehouse, stream: str, wanted: tuple[Column, ...], *, versioned: bool = False) -> Table:
    """Create or alter the stream's table so that it can hold what `wanted` declares.

    Args:
        warehouse: Where the table is.
        stream: The stream's name.
        wanted: The columns that its schema asks for.
        versioned: Whether its records carry versions.

    Returns:
        The table with the types its columns have now.
    """
    warehouse.begin()
    storage, metadata, settings = warehouse.storage, warehouse.metadata, warehouse.settings
    table, present = metadata.find(storage.schema, stream)
    known = metadata.properties(table, present)
    columns = _named(wanted, present, known)
    taken = {fold(each.column) for each in known.values()} | {fold(column.name) for column in columns}
    versioned = versioned or not (wanted or present)  # a table needs a column
    own = {VERSION: "BIGINT"} if versioned else {}
    dated = settings.add_record_metadata or (settings.keeps_history(table.stream) and any(c.key for c in wanted))
    own |= dict.fromkeys(METADATA, "TIMESTAMPTZ") if dated else {}
    may_go = versioned or any(column.scope for column in wanted) or replaces_windows(wanted, settings)
    own |= dict(storage.own_columns(may_go=may_go))
    own = {name: kind for name, kind in own.items() if name not in taken}  # some taps send columns of these names
    there = {fold(name): column.sql for name, column in present.items()}
    stamps = frozenset(name for name in METADATA if {**own, **there}.get(name) == "TIMESTAMPTZ") - taken
    if not present:
        if not warehouse.is_trying:
            metadata.forget_properties(table)
        body = ", ".join(starmap(metadata.definition, [*((c.name, c.sql) for c in columns), *own.items()]))
        warehouse.con.execute(f"CREATE TABLE {table.qualified} ({body})")
    if present:
        _check_key(warehouse, replace(table, columns=columns), present, known)
        columns = tuple(_fit(warehouse, table, column, present.get(column.name)) for column in columns)
        for name in own.keys() - there.keys():
            _add_own(warehouse, table, name, own[name])
    if not warehouse.is_trying:
        describe_columns(metadata, replace(table, columns=columns, stamps=stamps), present, known)
    internal = {VERSION, HASH, *stamps}
    others = {name: column for name, column in present.items() if fold(name) not in internal}
    columns = _completed(columns, others, known)
    table = _windowed(warehouse, replace(table, columns=columns, versioned=versioned, stamps=stamps))
    warehouse.widths[table.stream] = len(columns)
    storage.accept(table)
    storage.show(table)
    if not warehouse.is_trying:
        warehouse.history.prepare(table, is_new=not present)
    return table


def _add_own(warehouse: Warehouse, table: Table, name: str, kind: str) -> None:
    """Add a column of the loader's. Rows that are there count as changed now, so that nobody overlooks them."""
    now = f" DEFAULT {warehouse.moment.sql}" if name == BATCHED_AT else ""
    alter = f"ALTER TABLE {table.qualified}"
    warehouse.con.execute(f"{alter} ADD COLUMN {name} {kind}{now}")
    if now:
        warehouse.con.execute(f"{alter} ALTER COLUMN {name} DROP DEFAULT")


def _completed(
    columns: Iterable[Column], present: Mapping[str, Present], known: Mapping[str, Known]
) -> tuple[Column, ...]:
    """The columns that are wanted, and those that the table has beside them, in the table's order."""
    found = {column.name: column for column in columns}
    properties = {each.column: (name, each) for name, each in known.items()}
    for name, (sql, initial) in present.items():
        if name not in found:
            property_, each = properties.get(name, (name, Known(name, None, pii=False, description="")))
            column = Column(property_, name, sql, sql, pii=each.pii, description=each.description)
            found[name] = replace(column, arrives=False, initial=initial)
    return tuple(found[name] for name in {**dict.fromkeys(present), **dict.fromkeys(found)})


def _fit(warehouse: Warehouse, table: Table, column: Column, present: Present | None) -> Column:
    """Add a column, or widen the one that is there, so that it holds what `column` declares."""
    if present is None:
        column = replace(column, sql=column.declared)
        _check_change(warehouse, table, column, None)
        warehouse.con.execute(
            f"ALTER TABLE {table.qualified} ADD COLUMN {warehouse.metadata.definition(column.name, column.sql)}"
        )
        _record_change(warehouse, table, column, None)
        return column
    column = replace(column, sql=join(present.sql, column.declared))
    _check_key_type(table, column, present.sql)
    return column if present.sql == column.sql else _retype(warehouse, table, column, present.sql)


def _windowed(warehouse: Warehouse, table: Table) -> Table:
    """The table, with the columns that identify a row's window if the stream has all of them."""
    names = {column.property: column.name for column in table.arriving}
    window = next((column for column in table.arriving if column.property == WINDOW), None)
    if window is None:
        return table
    wanted, partitions = replaces_windows(table.columns, warehouse.settings), window.partitions or ()
    if missing := [name for name in partitions if name not in names]:
        if wanted:
            warehouse.tell_once(
                "stream %s: its windows are not replaced, because it lacks `%s`, and they are read separately for each",
                table.stream,
                missing[0],
            )
        return table
    others = (names[name] for name in partitions if name != WINDOW)
    return replace(table, window=(window.name, *others), replaces_windows=wanted)


def add_columns(warehouse: Warehouse, table: Table, names: list[str]) -> Table:
    """Add a JSON column for each property that records have but the schema lacks."""
    new = tuple(Column(name, name, "JSON", "JSON") for name in names)
    return prepare(warehouse, table.stream, table.arriving + new, versioned=table.versioned)


def widen(warehouse: Warehouse, table: Table, column: Column, sql: str) -> Table:
    """Have a column hold values of a type that one of them needs."""
    if column.sql == sql:
        return table
    wider = _retype(warehouse, table, replace(column, sql=sql), column.sql)
    table = replace(table, columns=tuple(wider if c.name == column.name else c for c in table.columns))
    warehouse.history.widen(table)
    return table


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
    if warehouse.metadata.is_history(stream):
        raise LoadError(
            f"stream {stream}: the table of this name holds the history of another stream; rename that table in "
            "DuckDB, or load one of the two streams into another schema"
        )
    relation = warehouse.metadata.relation(stream)
    if relation not in {None, warehouse.storage.relation}:
        raise LoadError(
            f"stream {stream}: {warehouse.schema}.{stream} is already a {str(relation).lower()}; set `lake_path` for "
            "every load into a schema, or for none, or load everything again into another schema"
        )


def describe(warehouse: Warehouse, table: Table, description: str) -> None:
    """Comment on a table, unless somebody else has.

    Args:
        warehouse: Where it is.
        table: The table.
        description: What its schema says of the stream.
    """
    if comment := table_comment(warehouse.metadata, table, description):
        warehouse.storage.comment(table, comment)


def _check_key(warehouse: Warehouse, table: Table, present: Mapping[str, Present], known: Mapping[str, Known]) -> None:
    """Refuse any other key than the one that a table was created with, or rows without it: they would be stored twice.

    Args:
        warehouse: Where the table is.
        table: The table, with the columns that are wanted.
        present: The columns that it has. Somebody may have dropped or renamed one.
        known: What is remembered of its properties.
    """
    if (kept := warehouse.metadata.key(table, known) or table.key) != table.key:
        raise LoadError(
            f"stream {table.stream}: its key was {kept} and is now {table.key}, so rows that are already there would "
            "be loaded a second time; load it into another schema, or drop its table and load it again from the start"
        )
    lost = next((name for name in table.keys if name not in present), None)
    if lost is not None and warehouse.con.execute(f"SELECT 1 FROM {table.qualified} LIMIT 1").fetchone():
        raise LoadError(
            f"stream {table.stream}: its table has rows, but no column {lost}, which belongs to its key, so these rows "
            "would be loaded a second time; if it was renamed, rename it back in DuckDB; else load the stream into "
            "another schema, or drop its table and load it again from the start"
        )


def _check_key_type(table: Table, column: Column, old: str) -> None:
    """Refuse to make text of a key whose values may arrive as other texts: rows would be stored twice."""
    becomes_text = column.sql != old and column.sql in {"VARCHAR", "JSON"}
    if column.key and becomes_text and not is_one_text(old, column.declared):
        raise LoadError(
            f"stream {table.stream}: its key property `{column.property}` was {old} and is now {column.declared}, and "
            "the same value may have two texts, so rows that are already there would be loaded a second time; have the "
            "tap declare it as before, load the stream into another schema, or drop its table and load it again from "
            "the start"
        )


def _retype(warehouse: Warehouse, table: Table, column: Column, old: str) -> Column:
    if column.sql == "DOUBLE" and not _survives_double(warehouse, table, column.name):
        column = replace(column, sql="VARCHAR")
    _check_change(warehouse, table, column, old)
    if not warehouse.is_trying:
        warehouse.storage.retype(table, column, old)
    _record_change(warehouse, table, column, old)
    return column


def _survives_double(warehouse: Warehouse, table: Table, name: str) -> bool:
    beyond = f"WHERE abs({quote(name)}::HUGEINT) > {EXACT} LIMIT 1"
    sources = warehouse.storage.sources(table, name)
    return not any(warehouse.con.execute(f"SELECT 1 FROM {source} {beyond}").fetchone() for source in sources)


def _check_change(warehouse: Warehouse, table: Table, column: Column, old: str | None) -> None:
    """Refuse a change of a table that is to stay as it is."""
    if not warehouse.settings.allows_changes(table.stream):
        change = f"would be {column.sql}, is {old}" if old else f"would be new, {column.sql}"
        raise LoadError(
            f"stream {table.stream}: column {column.name} {change}, and the setting `schema_changes` says fail; set it "
            "to evolve for one run to let the table change, or have the tap leave the property out"
        )


def _record_change(warehouse: Warehouse, table: Table, column: Column, old: str | None) -> None:
    change = f"is now {column.sql}, was {old}" if old else f"is new, {column.sql}"
    if not warehouse.is_trying:
        logger.info("stream %s: column %s %s", table.stream, column.name, change)
    warehouse.metadata.record_change(table, column, old)
