"""A warehouse, and the account that is kept of what its tables reach."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tests.nights.oracle import Rows

__all__ = ["Reach", "Warehouse", "behind", "values"]


@dataclass(frozen=True)
class Reach:
    """What a table holds of a pipeline.

    Args:
        bookmark: Up to where; empty before the first bookmark.
        owed: From when on, for a stream whose older rows are not sent again.
    """

    bookmark: str = ""
    owed: str = ""


@dataclass
class Warehouse:
    """A warehouse: where it is, and what is known of it.

    Args:
        folder: Holds the DuckDB file, and the lake if there is one.
        lake: Whether rows go to a lake.
        reach: What the tables of each schema reach.
        owners: The state id that has loaded a table of the pipeline's.
        rows: What it held when it was last looked at, by schema.
        gone: The rows in it that were marked as gone then.
    """

    folder: Path
    lake: bool
    reach: dict[str, dict[str, Reach]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)
    gone: dict[str, Rows] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        return self.folder / "warehouse.duckdb"

    @property
    def settings(self) -> dict[str, Any]:
        """The loader's settings for it."""
        return {"path": str(self.file)} | ({"lake_path": str(self.folder / "lake")} if self.lake else {})

    def copy_to(self, folder: Path) -> Warehouse:
        """A copy in another folder, in place of what is there."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        account = deepcopy((self.reach, self.owners, self.rows, self.gone))
        return Warehouse(folder, self.lake, *account)


def values(state: Mapping[str, Any]) -> dict[str, str]:
    """The bookmarks of a state that have a value."""
    found = {stream: entry.get("replication_key_value") for stream, entry in state.get("bookmarks", {}).items()}
    return {stream: value for stream, value in found.items() if value}


def behind(streams: Collection[str], state: Mapping[str, Any], reach: Mapping[str, Reach]) -> set[str]:
    """The streams that go on from a bookmark that their table does not reach."""
    return {
        stream
        for stream, value in values(state).items()
        if stream in streams and (stream not in reach or reach[stream].bookmark < value)
    }
