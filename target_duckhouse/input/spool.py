"""Spool files: the records of one stream on their way into DuckDB, one JSON object per line.

A line is a RECORD message or a cut-down one: what counts is its ``record``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["VECTOR", "Spool"]

VECTOR = 2048
"""Rows that DuckDB has in hand at a time."""


@dataclass(slots=True)
class Spool:
    """One file and what is in it.

    Args:
        path: Where the file is; it comes into being with the first write.
        version: The snapshot version of all its records, None for streams without versions.
        rows: How many records it holds.
        size: Its length in bytes.
        longest: An upper bound of the longest line in bytes.
        overridden: Columns for which some lines hold a text that counts instead of the value in the record.
    """

    path: Path
    version: int | None = None
    rows: int = 0
    size: int = 0
    longest: int = 0
    overridden: set[str] = field(default_factory=set)

    @property
    def weight(self) -> float:
        """How much of the file DuckDB has in hand at a time, in bytes."""
        return self.size / max(self.rows / VECTOR, 1)

    def write(self, lines: bytes, rows: int, overridden: frozenset[str] = frozenset()) -> None:
        """Append lines. The file is not kept open, so that hundreds of streams need no more than one descriptor.

        Raises:
            LoadError: The disk is full, or refuses otherwise.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                if file.write(lines) != len(lines):
                    raise LoadError(f"spool file {self.path}: the disk took only a part of it")
        except OSError as error:
            raise LoadError(f"spool file {self.path}: {error.strerror}") from None
        self.rows += rows
        self.size += len(lines)
        self.longest = max(self.longest, len(lines))
        self.overridden |= overridden

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
