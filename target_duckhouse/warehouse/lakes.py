"""Which form a lake has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_duckhouse.warehouse.delta import DeltaStorage
from target_duckhouse.warehouse.files import LakeFiles
from target_duckhouse.warehouse.folder import LakeFolder
from target_duckhouse.warehouse.lake import LakeStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.indexed import IndexedStorage
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment
    from target_duckhouse.warehouse.places import Place

__all__ = ["lake_storage"]


def lake_storage(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    place: Place,
    metadata: Metadata,
    moment: Moment,
    *,
    warn: Callable[..., None],
) -> IndexedStorage:
    """Where the rows of one database schema are kept in a lake.

    Args:
        con: The connection to the warehouse.
        settings: What the user has set.
        place: Where the lake is.
        metadata: Knows the tables of the schema.
        moment: The time that rows get which change.
        warn: Logs a warning.
    """
    lake = LakeFolder(con, place, metadata.schema, metadata.load_id, settings.table_format)
    if settings.table_format == "delta":
        memory = settings.duckdb_memory_mb * 1_000_000
        return DeltaStorage(
            con,
            lake,
            moment,
            metadata,
            settings.lake_partition_by,
            hard_delete=settings.hard_delete,
            memory=memory,
        )
    return LakeStorage(con, LakeFiles(con, lake), moment, metadata, settings.lake_partition_by, warn=warn)
