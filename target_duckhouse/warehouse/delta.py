"""Rows in Delta tables of a lake: ``<lake>/<schema>/<stream>`` is one, with the columns that a table would have.

What changes in a commit is staged, and numbered in ``main._singer_changes``, in the transaction with the state. Only
then is it applied, as one version of the Delta table, which carries the number of the last change. A run that was
killed in between is finished by the next: it applies what the table's log lacks, and nothing twice.

DuckDB writes all files, within its memory. A file that holds rows which change, or are gone, is replaced by one with
the others (copy on write); new rows go to new files. A column that becomes wider has all files rewritten.

The view ``<schema>.<stream>`` names the files of the newest version, which is all that DuckDB needs to read it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.connection import make_durable
from target_duckhouse.warehouse.delta_changes import Change, Changes, check_deltas, delta_folder
from target_duckhouse.warehouse.delta_merge import MARKED, REMOVED, Merge, base_source, staged_sources, typed
from target_duckhouse.warehouse.delta_table import Delta, owner_in
from target_duckhouse.warehouse.folder import sync
from target_duckhouse.warehouse.indexed import IndexedStorage, columns_of, markable, stored, unmarkable, visible
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    DELETED_AT,
    PARTITION,
    SEQUENCE,
    VERSION,
    WHAT,
    Column,
    Table,
    comma,
    exact_path,
    literal,
    pattern_of,
    quote,
)
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

    from target_duckhouse.warehouse.delta_merge import Source
    from target_duckhouse.warehouse.folder import LakeFolder
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment

__all__ = ["DeltaStorage"]

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
"""What deltalake decodes in a path."""


class DeltaStorage(IndexedStorage):
    """Rows in Delta tables.

    Args:
        con: The connection whose transaction all changes belong to.
        lake: The folder of the lake, for the database schema of the views.
        moment: The time that rows get which change.
        metadata: Knows the tables that exist.
        partition_by: A date or date-time property. Streams that have it are partitioned by it, others by
            ``_window_start``.
        hard_delete: Whether rows that are gone are removed; otherwise they are marked.
        memory: What DuckDB may use, in bytes.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: LakeFolder,
        moment: Moment,
        metadata: Metadata,
        partition_by: str | None = None,
        *,
        hard_delete: bool,
        memory: int,
    ) -> None:
        super().__init__(con, lake, moment, metadata, partition_by)
        self._hard_delete = hard_delete
        self._memory = memory
        self._changes = Changes(con, lake.schema)
        self._tables: dict[str, Delta] = {}
        self._shown: dict[str, object] = {}

    @override
    def _open(self) -> None:
        if _ENCODED.search(self._lake.place.address):
            raise LoadError(
                "setting `lake_path`: a folder with a Delta table may not have a % and two digits in its path"
            )
        self._lake.register()
        self._changes.create()
        check_deltas(self.con, self._lake.schema, self._lake.place)
        self._lake.open()

    @override
    def forget(self) -> None:
        self._tables.clear()
        self._shown.clear()

    @override
    def accept(self, table: Table) -> None:
        super().accept(table)
        _check_names(table)

    @override
    def own_columns(self, *, may_go: bool) -> list[tuple[str, str]]:
        marks = [(DELETED_AT, "TIMESTAMPTZ")] if may_go and not self._hard_delete else []
        return [*super().own_columns(may_go=may_go), *marks]

    @override
    def comment(self, table: Table, text: str) -> None:
        super().comment(table, text)
        self._shown.pop(table.stream, None)

    @override
    def retype(self, table: Table, column: Column, old: str) -> None:
        super().retype(table, column, old)
        name = quote(column.name)
        value = stored(conversion(f"CAST({name} AS {old})", old, column.sql), column.sql)
        columns = tuple(column if each.name == column.name else each for each in table.columns)
        self._record(replace(table, columns=columns), needs=column.name, selected=f"* REPLACE ({value} AS {name})")

    @override
    def sources(self, table: Table, name: str) -> list[str]:
        return [source.sql for source in self._sources(table) if name in source.columns]

    @override
    def stored(self, table: Table, names: list[str]) -> str:
        kept = [column for column in table.columns if column.name in names]
        parts = []
        for source in self._sources(table):
            columns = ", ".join(_cast(column.name, column.sql, source.columns) for column in kept)
            parts.append(f"SELECT {columns}, {source.sequence} FROM {source.sql}")
        keys = comma(table.keys)
        return (
            f"(SELECT * EXCLUDE ({SEQUENCE}) FROM ({' UNION ALL '.join(parts)}) "
            f"WHERE ({keys}) IN (SELECT ({keys}) FROM _stage) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {SEQUENCE} DESC) = 1)"
        )

    @override
    def delete(self, table: Table, condition: str) -> int:
        if table.keys:
            self._bury(table, condition, REMOVED)
        return super().delete(table, condition)

    @override
    def remove(self, table: Table, condition: str) -> int:
        if self._hard_delete:
            return self.delete(table, condition)
        if DELETED_AT not in markable(table) and self._count(
            f"SELECT count(*) FROM {table.qualified} AS t WHERE {condition}"
        ):
            raise unmarkable(table, "set `hard_delete` to true, or ")
        self._bury(table, condition, MARKED)
        return super().delete(table, condition)

    @override
    def activate(self, table: Table, version: int) -> int:
        others = f"{quote(VERSION)} IS DISTINCT FROM {version}"
        if table.keys:
            return self.remove(table, others)
        may_mark = DELETED_AT in markable(table)
        touched = f"{others} AND {DELETED_AT} IS NULL" if may_mark and not self._hard_delete else others
        counted = [f"SELECT count(*) AS n FROM {source.sql} WHERE {touched}" for source in self._sources(table)]
        gone = self._count(f"SELECT sum(n) FROM ({' UNION ALL '.join(counted)})")
        if gone and self._hard_delete:
            self._record(table, kept=f"NOT ({others})", touched=touched)
        elif gone and not may_mark:
            raise unmarkable(table, "set `hard_delete` to true, or ")
        elif gone:
            marks = ", ".join(
                f"CASE WHEN {touched} THEN {self.moment.sql} ELSE {name} END AS {name}"
                for name in (DELETED_AT, *table.stamps & {BATCHED_AT})
            )
            self._record(table, selected=f"* REPLACE ({marks})", touched=touched)
        return gone

    def _bury(self, table: Table, condition: str, what: str) -> None:
        """Stage the keys of rows that are about to be removed from the index, and what is to become of them."""
        times = "".join(f", {self.moment.sql} AS {name}" for name in (DELETED_AT, *table.stamps & {BATCHED_AT}))
        date = f", NULL::DATE AS {PARTITION}" if self._partition_column(table) else ""
        query = f"SELECT {self._keys_of(table)}{times}{date} FROM {table.qualified} AS t WHERE {condition}"
        if self.con.execute(f"{query} LIMIT 1").fetchone():
            self._stage(table, query, what)

    @override
    def _write(self, table: Table, query: str, version: int | None) -> None:
        self._stage(table, query, "")

    def _stage(self, table: Table, query: str, what: str) -> None:
        """Stage rows, or the keys of rows that are gone."""
        partitioned = self._partition_column(table) is not None
        if self._is_partitioned(table.stream) not in {None, partitioned}:
            raise LoadError(
                f"stream {table.stream}: its Delta table is{' not' if partitioned else ''} partitioned by date; "
                "set `lake_partition_by` back to what it was, or load into another schema"
            )
        number = self._changes.next()
        target = self._lake.new_folder() / f"{number}.parquet"
        self.con.execute(
            f"COPY (SELECT *, {number}::BIGINT AS {SEQUENCE}, {literal(what)} AS {WHAT} FROM ({query})) "
            f"TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        )
        sync(target)
        self._record(table, staged=self._lake.staged(target))

    def _is_partitioned(self, stream: str) -> bool | None:
        """Whether a stream is partitioned by date: its table, or rows that wait for it. None if there are neither."""
        if (delta := self._delta(stream)).exists:
            return delta.is_partitioned
        waiting = next((change.staged for change in self._changes.of(stream) if change.staged), None)
        if waiting is None:
            return None
        return PARTITION in columns_of(self.con, f"read_parquet({exact_path(self._lake.base / waiting)})")

    def _record(self, table: Table, **change: str) -> None:
        self._delta(table.stream)  # which must be this warehouse's
        self._changes.add(table.stream, Change(self._changes.next(), self._lake.load_id, **change))
        self.show(table)

    def _sources(self, table: Table) -> list[Source]:
        """The rows of a stream as they are in the open transaction: in the table, and in files that wait."""
        changes = self._changes.of(table.stream)
        base = base_source(self._delta(table.stream), table).after(changes)
        return [base, *staged_sources(self.con, self._lake, table, changes)]

    @override
    def _settle(self) -> None:
        staged = []
        for stream in self._changes.streams():
            if (table := self._known(stream)) is None:
                raise LoadError(f"stream {stream}: its index in the DuckDB file is missing; bring it back from a copy")
            changes, delta = self._changes.of(stream), self._delta(stream)
            Merge(self.con, self._lake, delta, table, changes, self._memory).apply()
            self._changes.done(stream, delta.number)
            self._show(table)
            staged += [self._lake.base / change.staged for change in changes if change.staged]
        if staged:
            make_durable(self.con)
            for file in staged:
                file.unlink(missing_ok=True)

    @override
    def _show(self, table: Table) -> None:
        delta = self._delta(table.stream)
        if self._shown.get(table.stream) == (shape := (table.columns, table.stamps, delta.version)):
            return
        self._shown[table.stream] = shape
        files = [f"{self._root} || {literal('/' + pattern_of(file))}" for file in delta.files]
        columns = delta.columns
        shown = ", ".join(_cast(name, kind, columns) for name, kind in visible(table))
        self._create_view(table, f"SELECT {shown} FROM {typed(columns, files)}" if shown and columns else None)

    @override
    def streams(self) -> list[str]:
        return sorted(self._changes.applied())

    @override
    def count_files(self, stream: str) -> int:
        return len(self._delta(stream).files)

    @override
    def compact(self, stream: str, memory: int) -> None:
        if table := self._known(stream):
            Merge(self.con, self._lake, self._delta(stream), table, (), memory).compact()
            self.show(table)
        self.settle()
        self._delta(stream).vacuum()

    def _delta(self, stream: str) -> Delta:
        """The Delta table of a stream.

        Raises:
            LoadError: It is not what this warehouse has made it.
        """
        if (delta := self._tables.get(stream)) is None:
            folder = delta_folder(self._lake.schema, stream)
            delta = Delta(self._lake.place, folder, owner_in(self._lake.id), stream)
            known = self._changes.applied().get(stream, 0)
            delta.check(known, self._changes.of(stream)[-1:])
            self._tables[stream] = delta
        return delta


def _check_names(table: Table) -> None:
    """Refuse columns that deltalake cannot name, or that are one in a Delta table, where case does not count.

    To DuckDB, only A to Z have any.
    """
    names: dict[str, str] = {}
    for name, _ in visible(table):
        if "\0" in name:
            shown = name.replace("\0", "\\u0000")
            raise LoadError(
                f"stream {table.stream}: a Delta table cannot have a column {shown}, with a zero byte in its name; "
                "have the tap leave the property out"
            )
        if (other := names.setdefault(name.lower(), name)) != name:
            raise LoadError(
                f"stream {table.stream}: a Delta table cannot have both columns {other} and {name}, which differ only "
                "in case; have the tap leave one of them out"
            )


def _cast(name: str, kind: str, present: Collection[str]) -> str:
    return f"CAST({quote(name) if name in present else 'NULL'} AS {kind}) AS {quote(name)}"
