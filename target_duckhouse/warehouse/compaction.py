"""Merging the small files of lakes, which many commits leave, and which make every reader slow."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from target_duckhouse.warehouse.lakes import known_lakes, lake_storage
from target_duckhouse.warehouse.metadata import Metadata
from target_duckhouse.warehouse.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from target_duckhouse.settings import Settings

__all__ = ["Compacted", "compact"]

logger = logging.getLogger("target-duckhouse")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compaction did to one stream of a lake: how many files it had, and has now."""

    schema: str
    stream: str
    before: int
    after: int


def compact(con: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[Compacted]:
    """Merge the small files of all lakes of a warehouse, stream by stream.

    Each stream is merged as a whole or not at all. What a load that was killed left unfinished is finished first.

    Args:
        con: The warehouse, open for writing.
        settings: What the user has set. The lake of its schema is where `lake_path` says, the others are where they
            were when they were loaded last.

    Raises:
        LoadError: A lake is not where it was, or cannot be written.
    """
    con.execute("SET threads = 1")
    for schema, place, form, _ in list(known_lakes(con, settings)):
        load_id = os.urandom(16).hex()
        metadata = Metadata(con, schema, load_id)
        metadata.create()
        chosen = msgspec.structs.replace(settings, table_format=form)
        storage = lake_storage(con, chosen, place, metadata, Moment(con), warn=logger.warning)
        with closing(storage):
            storage.open()
            for stream in storage.streams():
                before = storage.count_files(stream)
                storage.compact(stream, settings.duckdb_memory_mb * 1_000_000)
                yield Compacted(schema, stream, before, storage.count_files(stream))
