"""Which rows a run has brought, by their keys: those that stayed away may be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.warehouse.tables import comma, quote

if TYPE_CHECKING:
    from target_duckhouse.warehouse.database import Warehouse
    from target_duckhouse.warehouse.tables import Table

__all__ = ["note_arrivals", "stayed_away"]


def note_arrivals(warehouse: Warehouse, table: Table) -> None:
    """Note the keys of the rows in ``_stage``, if it may matter which rows do not come."""
    if not (table.scoped or table.replaces_windows):
        warehouse.arrivals[table.stream] = ""  # another schema may yet say that it matters
    elif table.keys and (arrived := _arrived(warehouse, table)):
        warehouse.con.execute(f"INSERT INTO {arrived} SELECT {comma(table.keys)} FROM _stage")


def stayed_away(warehouse: Warehouse, table: Table) -> str | None:
    """A condition for a row ``t`` that this run has not brought; None if that is not known.

    It is not once the types of the key have changed during the run, or rows came under a schema that did not ask.
    """
    if (arrived := _arrived(warehouse, table)) is None:
        return None
    same = " AND ".join(f"a.{quote(key)} = o.{quote(key)}" for key in table.keys)
    # By their rowids: DuckDB then asks whatever else there is to be asked of these few rows alone.
    return f"t.rowid IN (SELECT o.rowid FROM {table.qualified} o ANTI JOIN {arrived} a ON {same})"


def _arrived(warehouse: Warehouse, table: Table) -> str | None:
    """The temporary table of the keys that this run has brought; None once it is not known which these are."""
    name = f"temp.main.{quote(f'_arrived_{table.stream}')}"
    columns = ", ".join(f"{quote(key)} {table.column(key).sql}" for key in table.keys)
    if warehouse.arrivals.setdefault(table.stream, columns) != columns:
        warehouse.arrivals[table.stream] = ""
        return None
    warehouse.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})")
    return name
