"""What the schema of a Parquet file says of its columns, and which of them DuckDB reads with other values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

__all__ = ["Node", "columns_of"]

_BYTES = frozenset({"BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"})
_ROUNDED = "has decimals of more than 38 digits, which DuckDB rounds; write them as text, or with at most 38 digits"
_RENAME = "rename one, or write the property as the text of a JSON document"
_CUT = "has times of day in UTC with nanoseconds, which DuckDB cuts off; write them with microseconds"


class Node(NamedTuple):
    """A column of the file, or something inside one.

    Args:
        name: Its name in the file.
        stored: How its values are stored, if it has some itself.
        meaning: What they stand for.
        kind: The type that DuckDB reads it as.
        inside: What is inside it.
    """

    name: str
    stored: str | None
    meaning: str
    kind: str
    inside: tuple[Node, ...]

    @property
    def inexact(self) -> str | None:
        """For a message: what DuckDB would read as other values, and the way out; None if it reads all exactly."""
        for node in self._all():
            if node.stored in _BYTES and "DOUBLE" in node.kind:
                return _ROUNDED
            if "TIME WITH TIME ZONE" in node.kind and "NANOS=NanoSeconds" in node.meaning:
                return _CUT
            if alike := node._alike():  # noqa: SLF001  its own class
                return "has members `{}` and `{}`, which DuckDB cannot tell apart; {}".format(*alike, _RENAME)
        return None

    @property
    def has_int96(self) -> bool:
        """Whether it has times of the old kind, with nanoseconds that DuckDB cuts off."""
        return any(node.stored == "INT96" for node in self._all())

    def _alike(self) -> tuple[str, str] | None:
        """Two members whose names are the same for DuckDB: those that differ only in the case of ASCII letters."""
        seen: dict[bytes, str] = {}
        for node in self.inside:
            folded = node.name.encode().lower()
            if folded in seen:
                return seen[folded], node.name
            seen[folded] = node.name
        return None

    def _all(self) -> Iterator[Node]:
        yield self
        for node in self.inside:
            yield from node._all()  # noqa: SLF001  its own class


def columns_of(con: duckdb.DuckDBPyConnection, path: str) -> tuple[Node, ...]:
    """The columns of a file.

    Args:
        con: The connection that reads it.
        path: Where it is, as an SQL literal.

    Raises:
        duckdb.Error: It cannot be read.
    """
    words = "name, type, logical_type, duckdb_type, num_children"
    return _node(iter(con.execute(f"SELECT {words} FROM parquet_schema({path})").fetchall())).inside


def _node(described: Iterator[tuple[str, str | None, str | None, str | None, int | None]]) -> Node:
    """The next node, with all that is inside it."""
    name, stored, meaning, kind, count = next(described)
    return Node(name, stored, meaning or "", kind or "", tuple(_node(described) for _ in range(count or 0)))
