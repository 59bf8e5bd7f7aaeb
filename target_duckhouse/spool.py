"""Spool files: the records of one stream on their way into DuckDB, one JSON object per line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Spool"]


@dataclass(slots=True)
class Spool:
    """One file and what is in it.

    Args:
        path: Where the file is; it comes into being with the first write.
        version: The snapshot version of all its records, None for streams without versions.
        rows: How many records it holds.
        size: Its length in bytes.
        longest: An upper bound of the longest record in bytes.
        plain: Whether all records went in as they came.
    """

    path: Path
    version: int | None = None
    rows: int = 0
    size: int = 0
    longest: int = 0
    plain: bool = True

    def write(self, lines: bytes, rows: int, *, plain: bool) -> None:
        """Append lines. The file is not kept open, so that hundreds of streams need no more than one descriptor."""
        with self.path.open("ab", buffering=0) as file:
            file.write(lines)
        self.rows += rows
        self.size += len(lines)
        self.longest = max(self.longest, len(lines))
        self.plain = self.plain and plain

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
