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
_LIKENESS = 0.8
"""How much a name must be like another, of 1, to be taken for a misspelling of it."""


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

    def tell(self, tables: Mapping[str, Table]) -> None:
        """Tell of what neither this run nor an earlier one has brought.

        Pipelines may share their settings, so it is no mistake as such.

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
                    _tell(setting, name, known, "stream")
        if self._property and not self._has_lake:
            logger.warning("setting `lake_partition_by` has no effect without `lake_path`")
        elif self._property:
            self._tell_of_property(self._property, tables)

    def _tell_of_property(self, name: str, tables: Mapping[str, Table]) -> None:
        columns = [column for table in tables.values() for column in table.arriving]
        types = {column.sql for column in columns if column.property == name}
        if types and types.isdisjoint({"DATE", "TIMESTAMPTZ"}):
            logger.warning(
                "setting `lake_partition_by` names %r: it is neither a date nor a date-time", name[:_LONGEST_NAME]
            )
        elif not types and name not in self._known_properties:
            known = {*self._known_properties, *(column.property for column in columns)}
            _tell("lake_partition_by", name, known, "property")


def _tell(setting: str, name: str, known: Collection[str], what: str) -> None:
    """Tell of a name that nobody has: a warning if it is like one that is known, else it may be another pipeline's."""
    from difflib import get_close_matches  # noqa: PLC0415  seldom needed

    spelling = {fold(each): each for each in known}
    near = get_close_matches(fold(name), sorted(spelling), n=1, cutoff=_LIKENESS)
    hint = f"; did you mean {spelling[near[0]]!r}?" if near else ""
    where = f"no {what} of this run or of the warehouse has that name"
    level = logging.WARNING if near else logging.INFO
    logger.log(level, "setting `%s` names %r: %s%s", setting, name[:_LONGEST_NAME], where, hint)
