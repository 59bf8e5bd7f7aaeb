"""What a warehouse knows about each pipeline: its state, and the tables that it loads.

A pipeline goes by its state id. ``main._singer_state`` has its last committed state. ``main._singer_owners`` has a row
for each table and each pipeline that has loaded it; version 0.1 did not write it, so the pipeline that was the last to
load a table owns it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from target_duckhouse.errors import LoadError, SettingsError
from target_duckhouse.names import fold
from target_duckhouse.warehouse.bookmarks import tap_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Owner", "Pipelines"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_state (
    state_id VARCHAR PRIMARY KEY, state JSON NOT NULL, committed_at TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_owners (
    schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, state_id VARCHAR NOT NULL,
    shared BOOLEAN NOT NULL, account VARCHAR, bookmark VARCHAR);
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a pipeline has to do with a table.

    Args:
        shared: Whether it shares the table with others.
        account: The digest of the account whose rows it brought last; None if its tap does not tell.
        bookmark: Up to where the table has its rows, if its tap writes states in the form of this project's taps: empty
            before the first one, None if it is not known.
    """

    shared: bool
    account: str | None = None
    bookmark: str | None = None


class Pipelines:
    """The pipelines that load a warehouse.

    Args:
        con: The connection whose transaction all changes belong to. It may be open for reading only.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def create(self) -> None:
        """Create the tables that do not exist yet."""
        self._con.execute(_CREATE)

    def ids(self) -> list[str]:
        """The state ids that have a state or have loaded anything, in order."""
        tables = [
            f"SELECT state_id FROM main.{name}"
            for name in ("_singer_state", "_singer_owners", "_singer_loads")
            if self._exists(name)
        ]
        return [row[0] for row in self._all(f"{' UNION '.join(tables)} ORDER BY 1")] if tables else []

    def id_of(self, state_id: str | None, schema: str) -> str:
        """The state id of a pipeline: the one that is set, else the name of its schema, in any case of its letters."""
        known = () if state_id else self.ids()
        return state_id or next((name for name in known if fold(name) == fold(schema)), schema)

    def check_known(self, state_id: str) -> None:
        """Refuse a state id that the warehouse does not know.

        Raises:
            SettingsError: There is neither a state nor a load of that name.
        """
        if state_id not in (known := self.ids()):
            others = f"it knows {', '.join(known)}" if known else "nothing has been loaded yet"
            raise SettingsError(f"the warehouse does not know the state id {state_id}; {others}")

    def state(self, state_id: str) -> str | None:
        """The last committed state of a pipeline, as it was stored."""
        try:
            found = self._all("SELECT state FROM main._singer_state WHERE state_id = ?", state_id)
        except duckdb.CatalogException:  # nothing has been loaded yet
            return None
        return found[0][0] if found else None

    def store(self, state_id: str, state: str) -> None:
        """Store the state of a pipeline in place of the one it had.

        Raises:
            LoadError: DuckDB does not take it for JSON.
        """
        try:
            self._con.execute("INSERT OR REPLACE INTO main._singer_state VALUES (?, ?, now())", [state_id, state])
        except duckdb.ConversionException:
            raise LoadError(
                "the state cannot be stored: it holds half a surrogate pair, which is not a character"
            ) from None

    def set_state(self, state_id: str, state: str | None) -> None:
        """Have a pipeline stand where a user says it does.

        Args:
            state_id: The pipeline. Its tables remain its own.
            state: Its state as JSON text; None to forget the one that it has.
        """
        if state is None:
            self._con.execute("DELETE FROM main._singer_state WHERE state_id = ?", [state_id])
        else:
            self.store(state_id, state)
        told = tap_state(state.encode()) if state else None
        known = {fold(stream): bookmark.value for stream, bookmark in told.bookmarks.items()} if told else {}
        for schema, stream in self._all("SELECT schema, stream FROM main._singer_owners WHERE state_id = ?", state_id):
            self.advance(state_id, schema, stream, known.get(stream) or None)

    def rename(self, old: str, new: str) -> None:
        """Give the state, the tables and the loads of one pipeline to another.

        Raises:
            SettingsError: The warehouse does not know `old`, or both have a state.
        """
        self.check_known(old)
        if self.state(old) is not None and self.state(new) is not None:
            raise SettingsError(
                f"{old} and {new} both have a state; clear the one that is not to be kept first: "
                f"`target-duckhouse state clear --state-id {new}`"
            )
        self._con.execute(
            "DELETE FROM main._singer_owners WHERE state_id = ? AND (schema, stream) IN "
            "(SELECT (schema, stream) FROM main._singer_owners WHERE state_id = ?)",
            [old, new],
        )
        for table in ("_singer_state", "_singer_owners", "_singer_loads"):
            self._con.execute(f"UPDATE main.{table} SET state_id = ? WHERE state_id = ?", [new, old])

    def owners(self, schema: str, stream: str) -> dict[str, Owner]:
        """The state ids that have loaded a table.

        Args:
            schema: The database schema in which users find the table.
            stream: Its name.
        """
        recorded = self._all(
            "SELECT state_id, shared, account, bookmark FROM main._singer_owners WHERE schema = ? AND stream = ?",
            schema,
            fold(stream),
        )
        if recorded:
            return {state_id: Owner(*row) for state_id, *row in recorded}
        last = self._loads(schema, stream)[-1:]
        return dict.fromkeys(last, Owner(shared=False))

    def bookmarks(self, state_id: str, schema: str) -> dict[str, str | None]:
        """Up to where the tables of a schema have the rows of a pipeline, by their names without case."""
        rows = self._all(
            "SELECT stream, bookmark FROM main._singer_owners WHERE state_id = ? AND schema = ?", state_id, schema
        )
        return dict(rows)

    def has_loaded(self, state_id: str, schema: str, stream: str) -> bool:
        """Whether a pipeline has loaded a table; true too if the warehouse does not know who has."""
        owners = self.owners(schema, stream)
        return not owners or state_id in owners or state_id in self._loads(schema, stream)

    def set_owners(self, schema: str, stream: str, owners: Mapping[str, Owner]) -> None:
        """Remember which pipelines have loaded a table."""
        name = fold(stream)
        self._con.execute("DELETE FROM main._singer_owners WHERE schema = ? AND stream = ?", [schema, name])
        for state_id, owner in owners.items():
            self._con.execute(
                "INSERT INTO main._singer_owners VALUES (?, ?, ?, ?, ?, ?)",
                [schema, name, state_id, owner.shared, owner.account, owner.bookmark],
            )

    def advance(self, state_id: str, schema: str, stream: str, bookmark: str | None) -> None:
        """Remember up to where a table has the rows of a pipeline."""
        self._con.execute(
            "UPDATE main._singer_owners SET bookmark = ? WHERE state_id = ? AND schema = ? AND stream = ?",
            [bookmark, state_id, schema, fold(stream)],
        )

    def _loads(self, schema: str, stream: str) -> list[str]:
        """The pipelines that have loaded a table, the last one last."""
        loads = self._all(
            "SELECT state_id, stream FROM main._singer_loads WHERE schema = ? GROUP BY ALL ORDER BY max(committed_at)",
            schema,
        )
        return [state_id for state_id, name in loads if fold(name) == fold(stream)]

    def _exists(self, table: str) -> bool:
        return bool(self._all("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = ?", table))

    def _all(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        return self._con.execute(sql, list(parameters)).fetchall()
