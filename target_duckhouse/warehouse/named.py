"""Streams and properties that settings name: one that is misspelt would change nothing, in silence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from target_duckhouse.names import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import duckdb

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.tables import Table

__all__ = ["Named"]

logger = logging.getLogger("target-duckhouse")

_LONGEST_NAME = 100


class Named:
    """What the settings of a run name, and what the warehouse knows of it from earlier runs of any tap.

    Args:
        con: The connection to the warehouse.
        settings: What the user has set.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        changes = settings.schema_changes
        self._streams: Mapping[str, Collection[str]] = {
            "history": settings.history if isinstance(settings.history, list) else (),
            "schema_changes": changes.keys() - {"*"} if isinstance(changes, dict) else (),
        }
        self._property = settings.lake_partition_by
        self._has_lake = settings.lake_path is not None
        self._known_streams: set[str] = set()
        self._known_properties: set[str] = set()
        if self._property or any(self._streams.values()):
            found = con.execute("SELECT DISTINCT stream FROM main._singer_loads").fetchall()
            self._known_streams = {stream for (stream,) in found}
            found = con.execute("SELECT DISTINCT property FROM main._singer_columns").fetchall()
            self._known_properties = {name for (name,) in found}

    def warn(self, tables: Mapping[str, Table]) -> None:
        """Warn of what neither this run nor an earlier one has brought.

        Args:
            tables: The tables of this run's streams, by stream.
        """
        if not tables:
            return
        known = {*self._known_streams, *tables}
        folded = set(map(fold, known))
        for setting, names in self._streams.items():
            for name in sorted(names):
                if fold(name) not in folded:
                    _warn(setting, name, "no stream of this run or of the warehouse has that name", known)
        if self._property and not self._has_lake:
            logger.warning("setting `lake_partition_by` has no effect without `lake_path`")
        elif self._property:
            self._warn_of_property(self._property, tables)

    def _warn_of_property(self, name: str, tables: Mapping[str, Table]) -> None:
        columns = [column for table in tables.values() for column in table.arriving]
        types = {column.sql for column in columns if column.property == name}
        if types and types.isdisjoint({"DATE", "TIMESTAMPTZ"}):
            _warn("lake_partition_by", name, "it is neither a date nor a date-time")
        elif not types and name not in self._known_properties:
            known = {*self._known_properties, *(column.property for column in columns)}
            _warn("lake_partition_by", name, "no stream of this run or of the warehouse has that property", known)


def _warn(setting: str, name: str, why: str, known: Collection[str] = ()) -> None:
    from difflib import get_close_matches  # noqa: PLC0415  seldom needed

    near = get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    logger.warning("setting `%s` names %r: %s%s", setting, name[:_LONGEST_NAME], why, hint)
