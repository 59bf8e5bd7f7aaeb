"""Rows that are gone: those of a scope that was read whole, and that did not come.

A tap that reads a table, a partition or a range whole names that scope in its STATE. The stream's schema says, with
``x-scopes``, by which properties scopes are told, so that the keys of all rows are noted as they come. A row that came
in this run is not gone, in whichever scope it came.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from target_duckhouse.warehouse.arrivals import stayed_away
from target_duckhouse.warehouse.loads import Counts
from target_duckhouse.warehouse.tables import literal, quote
from target_duckhouse.warehouse.types import told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from target_duckhouse.warehouse.bookmarks import Scope
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.tables import Table

__all__ = ["clear_scopes"]

logger = logging.getLogger("target-duckhouse")


def clear_scopes(warehouse: Warehouse, table: Table, scopes: Collection[Scope]) -> Counts:
    """Remove or mark the rows of scopes that this run has not brought.

    Nothing is removed if a record was rejected, because that may have been one of them, if the type of a column that
    tells scopes or keys apart has changed during the run, or if the schema does not name it: a lake's index lacks it.

    Args:
        warehouse: Where the rows are.
        table: The table.
        scopes: What was read whole.
    """
    if not scopes:
        return Counts()
    if warehouse.loads.rejected(table.stream):
        logger.warning("stream %s: no rows count as gone, because a record was rejected", table.stream)
        return Counts()
    names = {column.property: column.name for column in table.arriving if column.scope}
    if missing := {name for scope in scopes for name in scope.properties} - names.keys():
        logger.warning(
            "stream %s: no rows count as gone: `%s`, which tells what was read, is missing, or not in `x-scopes`",
            table.stream,
            min(missing),
        )
        return Counts()
    if (missed := stayed_away(warehouse, table)) is None:
        return Counts()
    counts = Counts()
    for scope in scopes:
        conditions = " AND ".join([*_conditions(table, names, scope), missed])
        counts.deleted += warehouse.storage.remove(table, conditions)
    return counts


def _conditions(table: Table, names: Mapping[str, str], scope: Scope) -> Iterator[str]:
    """What holds for a row ``t`` of a scope."""
    for limits, operator in ((scope.equal, "="), (scope.start, ">="), (scope.end, "<")):
        for property_, value in limits.items():
            name = names[property_]
            yield f"t.{quote(name)} {operator} {told(literal(value), table.column(name).sql)}"
