"""Rows in Parquet files of a lake, with the same guarantees as tables.

Rows live in ``<lake>/<schema>/<stream>/[partition_date=YYYY-MM-DD/]<file>.parquet``, compressed with zstd.

A changed row is written as a new version with a higher `SEQUENCE`; the highest one counts. A row that is gone gets a
last version that has only its key and `DELETED_AT`. The view ``<schema>.<stream>`` shows the latest versions.

All files of a stream have the same types, so that engines can read them together: when a column becomes wider, the
files that have it are rewritten under their old names. If a stream is partitioned, all its files are in partitions,
because engines do not look for files beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from target_duckhouse.names import fold
from target_duckhouse.warehouse.connection import make_durable
from target_duckhouse.warehouse.indexed import IndexedStorage, columns_of, markable, stored, unmarkable, visible
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    DELETED_AT,
    PARTITION,
    SEQUENCE,
    VERSION,
    Column,
    Table,
    comma,
    literal,
    pattern_of,
    quote,
)
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb

    from target_duckhouse.warehouse.files import LakeFiles
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment

__all__ = ["LakeStorage"]


class LakeStorage(IndexedStorage):
    """Rows in Parquet files.

    Args:
        con: The connection whose transaction all changes belong to.
        files: The files of the lake.
        moment: The time that rows get which change.
        metadata: Knows the tables that exist.
        partition_by: A date or date-time property. Streams that have it are partitioned by it, others by
            ``_window_start``.
        warn: Logs a warning.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        files: LakeFiles,
        moment: Moment,
        metadata: Metadata,
        partition_by: str | None = None,
        *,
        warn: Callable[..., None],
    ) -> None:
        super().__init__(con, files.lake, moment, metadata, partition_by)
        self._files = files
        self._warn = warn
        self._present: dict[str, set[str]] = {}
        self._shown: dict[str, object] = {}

    @override
    def _open(self) -> None:
        self._files.open()

    @override
    def forget(self) -> None:
        self._present.clear()
        self._shown.clear()

    @override
    def streams(self) -> list[str]:
        return self._files.streams()

    @override
    def count_files(self, stream: str) -> int:
        return len(self._files.paths(stream))

    @override
    def compact(self, stream: str, memory: int) -> None:
        self.con.execute("BEGIN")
        self._files.merge_small(stream, memory)
        self.con.execute("COMMIT")
        make_durable(self.con)
        self.settle()

    @override
    def comment(self, table: Table, text: str) -> None:
        super().comment(table, text)
        self._shown.pop(table.stream, None)

    @override
    def retype(self, table: Table, column: Column, old: str) -> None:
        super().retype(table, column, old)
        name = quote(column.name)
        value = stored(conversion(f"CAST({name} AS {old})", old, column.sql), column.sql)
        for source, path in self._files.present(table.stream, column.name):
            self._files.rewrite(path, f"SELECT * REPLACE ({value} AS {name}) FROM {source}")

    @override
    def sources(self, table: Table, name: str) -> Iterator[str]:
        return (source for source, _ in self._files.present(table.stream, name))

    @override
    def stored(self, table: Table, names: list[str]) -> str:
        if (source := self._files.source(table.stream)) is None:
            return f"(SELECT {comma(names)} FROM {table.qualified} WHERE false)"
        present = columns_of(self.con, source)
        columns = ", ".join(
            f"CAST({quote(c.name) if c.name in present else 'NULL'} AS {c.sql}) AS {quote(c.name)}"
            for c in table.columns
            if c.name in names
        )
        keys = comma(table.keys)
        return (
            f"(SELECT * EXCLUDE ({SEQUENCE}) FROM (SELECT {columns}, {SEQUENCE} FROM {source}) "
            f"WHERE ({keys}) IN (SELECT ({keys}) FROM _stage) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {SEQUENCE} DESC) = 1)"
        )

    @override
    def delete(self, table: Table, condition: str) -> int:
        if table.keys:
            self._bury(table, condition)
        return super().delete(table, condition)

    @override
    def activate(self, table: Table, version: int) -> int:
        if not table.keys:
            self._files.drop_other_versions(table.stream, version)
            self.show(table)
        return self.delete(table, f"{quote(VERSION)} IS DISTINCT FROM {version}")

    def _bury(self, table: Table, condition: str) -> None:
        """Write a last version, without values, of rows that are about to be removed from the index."""
        times = "".join(f", {self.moment.sql} AS {name}" for name in (DELETED_AT, *table.stamps & {BATCHED_AT}))
        date = f", NULL::DATE AS {PARTITION}" if self._partition_column(table) else ""
        query = f"SELECT {self._keys_of(table)}{times}{date} FROM {table.qualified} AS t WHERE {condition}"
        if self.con.execute(f"{query} LIMIT 1").fetchone():
            if DELETED_AT not in markable(table) and any(fold(c.name) == DELETED_AT for c in table.columns):
                raise unmarkable(table)
            self._write(table, query, None)

    @override
    def _write(self, table: Table, query: str, version: int | None) -> None:
        partitioned = self._partition_column(table) is not None
        written = self._files.write(table.stream, query, version, partitioned=partitioned)
        if table.stream in self._present:
            self._present[table.stream] |= columns_of(self.con, f"({written})")
        self.show(table)

    @override
    def _settle(self) -> None:
        """Bring files to their places, and remove those that are gone.

        Where new files take the place of others, the view names the files that count one by one meanwhile. So whatever
        is killed in between, it shows all rows once.
        """
        replaced = self._files.replaced()
        for stream, paths in replaced.items():
            if not self._is_pinned(stream):
                there = self._lake.place.find(self._files.folder(stream))
                self._pin(stream, [path for path in paths if path in there])
        if replaced:
            make_durable(self.con)
        self._files.place()
        for stream in replaced:
            self._pin(stream, self._files.paths(stream))
        if replaced:
            make_durable(self.con)
        for stream in self._files.remove_gone():
            self._shown.pop(stream, None)
            if stream not in self._to_show and (table := self._known(stream)):
                self.show(table)

    def _is_pinned(self, stream: str) -> bool:
        """Whether the view of a stream names files one by one."""
        row = self.con.execute(
            "SELECT contains(sql, '/**/') FROM duckdb_views() WHERE (schema_name, view_name) = (?, ?)",
            [self._lake.schema, stream],
        ).fetchone()
        return row == (False,)

    def _pin(self, stream: str, paths: Iterable[str]) -> None:
        """Have the view of a stream name its files one by one."""
        if table := self._known(stream):
            listed = [f"{self._root} || {literal('/' + pattern_of(path))}" for path in paths]
            source = f"[{', '.join(listed)}]" if listed else None
            self._create_view(table, source and self._latest(table, source, self._look(stream, listed)))

    @override
    def _show(self, table: Table) -> None:
        if (files := self._files.pattern(table.stream)) is None:
            self._shown.pop(table.stream, None)
            self._create_view(table, None)
            return
        if (present := self._present.get(table.stream)) is None:
            self._warn_of_strangers(table.stream)
            present = self._present[table.stream] = self._look(table.stream)
        if self._shown.get(table.stream) == (shape := (table.columns, table.stamps, frozenset(present), files)):
            return
        self._shown[table.stream] = shape
        self._create_view(table, self._latest(table, f"{self._root} || {literal('/' + files)}", present))

    def _latest(self, table: Table, files: str, present: set[str]) -> str:
        """A query for the latest versions of rows.

        Args:
            table: The stream's table.
            files: The files, as SQL.
            present: The columns that they have.
        """
        columns = ", ".join(
            f"CAST({quote(name) if name in present else 'NULL'} AS {kind}) AS {quote(name)}"
            for name, kind in visible(table)
        )
        source = f"read_parquet({files}, union_by_name = true, hive_partitioning = false)"
        if not table.keys:
            return f"SELECT {columns or SEQUENCE} FROM {source}"
        latest = f"QUALIFY row_number() OVER (PARTITION BY {comma(table.keys)} ORDER BY {SEQUENCE} DESC) = 1"
        alive = f" WHERE {quote(DELETED_AT)} IS NULL" if DELETED_AT in present else ""
        return f"SELECT {columns} FROM (SELECT * FROM {source} {latest}){alive}"

    def _look(self, stream: str, listed: list[str] | None = None) -> set[str]:
        """The columns of a stream's files, or of those that are listed, which are all opened for this."""
        if listed is not None:
            return columns_of(self.con, f"read_parquet([{', '.join(listed)}], union_by_name = true)")
        source = self._files.source(stream)
        return columns_of(self.con, source) if source else set()

    def _warn_of_strangers(self, stream: str) -> None:
        if strangers := self._files.strangers(stream):
            self._warn(
                "stream %s: its folder %s holds %d files that this warehouse does not know; its view leaves them out, "
                "but engines that read the folder do not",
                stream,
                self._lake.place.join(self._files.folder(stream)),
                strangers,
            )
