"""The lakes of a warehouse: which form one has, where they are, and whether they are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from target_duckhouse.names import fold
from target_duckhouse.warehouse import delta_table, files
from target_duckhouse.warehouse.delta import DeltaStorage
from target_duckhouse.warehouse.folder import LakeFolder, known_place, staging_base
from target_duckhouse.warehouse.lake import LakeStorage
from target_duckhouse.warehouse.places import place_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.indexed import IndexedStorage
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment
    from target_duckhouse.warehouse.places import Place

__all__ = ["KnownLake", "known_lakes", "lake_storage", "missing_from_lakes"]


class KnownLake(NamedTuple):
    """A lake that a warehouse has rows in.

    Args:
        schema: The database schema.
        place: Where it is.
        form: What it is made of.
        id: The warehouse's name in it.
    """

    schema: str
    place: Place
    form: Literal["parquet", "delta"]
    id: str


def known_lakes(con: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[KnownLake]:
    """All lakes of a warehouse.

    Args:
        con: The warehouse.
        settings: What the user has set. The lake of its schema is where `lake_path` says, the others are where they
            were when they were loaded last.
    """
    known = con.execute("SELECT 1 FROM duckdb_tables() WHERE (schema_name, table_name) = ('main', '_singer_lakes')")
    if not known.fetchone():
        return
    cursor = con.execute("SELECT * FROM main._singer_lakes ORDER BY schema")
    names = [column[0] for column in cursor.description or ()]
    for row in cursor.fetchall():
        lake = dict(zip(names, row, strict=True))  # older warehouses lack the format
        here = settings.lake_address if fold(lake["schema"]) == fold(settings.schema) else ""
        place = place_at(con, here or known_place(con, lake["root"]))
        yield KnownLake(lake["schema"], place, lake.get("format") or "parquet", lake["id"])


def missing_from_lakes(con: duckdb.DuckDBPyConnection, settings: Settings) -> dict[tuple[str, str], list[str]]:
    """The addresses of files that should be in the lakes of a warehouse, and are not, by schema and stream."""
    found: dict[tuple[str, str], list[str]] = {}
    for schema, place, form, lake_id in known_lakes(con, settings):
        if form == "delta":
            missing = delta_table.missing_files(con, schema, place, lake_id)
        else:
            missing = files.missing_files(con, schema, place, staging_base(con, place))
        for stream, path in missing:
            found.setdefault((schema, stream), []).append(place.join(path))
    return found


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
    return LakeStorage(con, files.LakeFiles(con, lake), moment, metadata, settings.lake_partition_by, warn=warn)
