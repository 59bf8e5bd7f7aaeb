"""Rows that wait while another process changes their table: they are fitted to what it has become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.warehouse import evolve
from target_duckhouse.warehouse.tables import EXTRACTED_AT, VERSION, quote
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.tables import Table

__all__ = ["fit"]

_INTEGERS = frozenset({"BIGINT", "HUGEINT"})


def fit(warehouse: Warehouse, planned: Table, now: Table, query: str) -> tuple[Table, str]:
    """A table that can hold rows which were checked for an earlier form of it, and the query that yields them for it.

    The rows become what they would be had they been loaded before the table changed. Integers that a column which is
    DOUBLE by now cannot hold make it VARCHAR, as they would have done then.

    Args:
        warehouse: Where the table is.
        planned: The table that the rows were checked for.
        now: The table as it is, all of whose columns are at least as wide.
        query: Yields the rows for `planned`; empty if there are none.
    """
    if not query or _shape(planned) == _shape(now):
        return now, query
    old = {column.property: column for column in planned.arriving}
    for column in now.arriving:
        before = old[column.property]
        if column.sql == "DOUBLE" and before.sql in _INTEGERS:
            beyond = f"SELECT 1 FROM ({query}) WHERE abs({quote(before.name)}::HUGEINT) > {evolve.EXACT} LIMIT 1"
            if warehouse.con.execute(beyond).fetchone():
                now = evolve.widen(warehouse, now, column, "VARCHAR")
    values = {
        column.name: conversion(quote(before.name), before.sql, column.sql)
        for column in now.arriving
        for before in (old[column.property],)
    }
    version = quote(VERSION) if planned.versioned else None
    extracted = EXTRACTED_AT if EXTRACTED_AT in planned.stamps else "NULL"
    return now, f"SELECT {now.select(values, version, extracted)} FROM ({query})"


def _shape(table: Table) -> tuple[list[str], list[tuple[str, str]]]:
    return table.names, [(column.property, column.sql) for column in table.arriving]
