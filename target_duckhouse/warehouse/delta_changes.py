"""What is to change in Delta tables: a list in the DuckDB file that is committed together with the state.

A change is either a file of rows, or a rewriting of the rows that are there before it. ``main._singer_changes`` has
those that are not applied yet, ``main._singer_deltas`` the last one of each stream that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.folder import folder_name

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

    from target_duckhouse.warehouse.places import Place

__all__ = ["Change", "Changes", "check_deltas", "delta_folder"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_changes (
    number BIGINT NOT NULL, load_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL,
    staged VARCHAR NOT NULL, needs VARCHAR, selected VARCHAR NOT NULL, kept VARCHAR NOT NULL, touched VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_deltas (
    schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, number BIGINT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Args:
        number: Its place among all changes.
        load_id: The run that it comes from.
        staged: The file of rows, below the lake's folder; empty if rows are rewritten.
        needs: A column without which rows need not be rewritten.
        selected: What is selected in place of rows, as SQL.
        kept: Which rows are kept, as SQL.
        touched: Which rows become others, or are not kept, as SQL.
    """

    number: int
    load_id: str
    staged: str = ""
    needs: str | None = None
    selected: str = "*"
    kept: str = "true"
    touched: str = "true"

    def rewritten(self, source: str, columns: Collection[str]) -> str:
        """A source after this change.

        Args:
            source: What it was before, to select FROM.
            columns: Its columns.
        """
        if self.staged or (self.needs and self.needs not in columns):
            return source
        return f"(SELECT {self.selected} FROM {source} WHERE {self.kept})"


class Changes:
    """The list of a database schema.

    Args:
        con: The connection whose transaction the list belongs to.
        schema: The database schema.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        self._con = con
        self._schema = schema

    def create(self) -> None:
        """Create the tables that do not exist yet."""
        self._con.execute(_CREATE)

    def streams(self) -> list[str]:
        """The streams that have changes to be applied."""
        rows = self._con.execute(
            "SELECT DISTINCT stream FROM main._singer_changes WHERE schema = ? ORDER BY 1", [self._schema]
        )
        return [stream for (stream,) in rows.fetchall()]

    def of(self, stream: str) -> list[Change]:
        """The changes of a stream that are to be applied, in order."""
        rows = self._con.execute(
            "SELECT number, load_id, staged, needs, selected, kept, touched FROM main._singer_changes "
            "WHERE schema = ? AND stream = ? ORDER BY number",
            [self._schema, stream],
        )
        return [Change(*row) for row in rows.fetchall()]

    def next(self) -> int:
        """The number of the next change."""
        row = self._con.execute(
            "SELECT coalesce(max(number), 0) + 1 FROM "
            "(SELECT number FROM main._singer_changes UNION ALL SELECT number FROM main._singer_deltas)"
        ).fetchone()
        return int(row[0]) if row else 1

    def add(self, stream: str, change: Change) -> None:
        """Have a change applied after the commit."""
        self._con.execute(
            "INSERT INTO main._singer_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                change.number,
                change.load_id,
                self._schema,
                stream,
                change.staged,
                change.needs,
                change.selected,
                change.kept,
                change.touched,
            ],
        )

    def applied(self) -> dict[str, int]:
        """The last change of each stream that is known to be applied."""
        rows = self._con.execute("SELECT stream, number FROM main._singer_deltas WHERE schema = ?", [self._schema])
        return dict(rows.fetchall())

    def done(self, stream: str, number: int) -> None:
        """Forget the changes of a stream: all up to a number are applied."""
        named = [self._schema, stream]
        self._con.execute("DELETE FROM main._singer_changes WHERE schema = ? AND stream = ?", named)
        self._con.execute("DELETE FROM main._singer_deltas WHERE schema = ? AND stream = ?", named)
        self._con.execute("INSERT INTO main._singer_deltas VALUES (?, ?, ?)", [*named, number])


def delta_folder(schema: str, stream: str) -> str:
    """Where the Delta table of a stream is, below the lake's folder. deltalake would decode names with a ``%``."""
    return f"{folder_name(schema, '~')}/{folder_name(stream, '~')}"


def check_deltas(con: duckdb.DuckDBPyConnection, schema: str, place: Place) -> None:
    """Make sure that all Delta tables of a database schema are there.

    Args:
        con: The warehouse.
        schema: The database schema.
        place: The lake.

    Raises:
        LoadError: A table is missing.
    """
    for (stream,) in con.execute(
        "SELECT stream FROM main._singer_deltas WHERE schema = ? ORDER BY stream", [schema]
    ).fetchall():
        folder = delta_folder(schema, stream)
        if not place.find(f"{folder}/_delta_log"):
            raise LoadError(
                f"stream {stream}: the Delta table {place.join(folder)} is missing; bring it back from a copy, "
                "set `lake_path` to the folder where the lake is now, or load into another schema from the start"
            )
