"""Applying changes to a Delta table: files with rows that change are replaced by files without them (copy on write).

All changes of one commit become one version. DuckDB reads and writes the files one at a time, so that the memory that
is needed does not grow with the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.connection import explain
from target_duckhouse.warehouse.delta_table import NewFile
from target_duckhouse.warehouse.files import FILE_OPTIONS, rows_at_a_time
from target_duckhouse.warehouse.folder import sync
from target_duckhouse.warehouse.indexed import columns_of, in_file, markable, partition_of, visible
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    DELETED_AT,
    FILE,
    METADATA,
    PARTITION,
    SEQUENCE,
    VERSION,
    WHAT,
    exact_path,
    literal,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from target_duckhouse.warehouse.delta_changes import Change
    from target_duckhouse.warehouse.delta_table import Delta
    from target_duckhouse.warehouse.folder import LakeFolder
    from target_duckhouse.warehouse.tables import Table

__all__ = ["MARKED", "REMOVED", "Merge", "Source", "base_source", "staged_sources", "typed"]

REMOVED = "removed"
MARKED = "marked"
_TIMES = {DELETED_AT: "_singer_gone", BATCHED_AT: "_singer_marked"}
_TRIES = 10
_LARGEST = 128_000_000
"""About how large a file becomes, in bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows, to select FROM.

    Args:
        sql: The rows.
        columns: Their columns.
        number: The change that brought them; 0 for those of the table.
    """

    sql: str
    columns: frozenset[str]
    number: int = 0

    @property
    def sequence(self) -> str:
        """What orders their versions among those of other sources, as SQL."""
        return f"{self.number}::BIGINT AS {SEQUENCE}"

    def after(self, changes: Iterable[Change]) -> Source:
        """The rows as they are after those of some changes that are newer."""
        sql = self.sql
        for change in changes:
            if change.number > self.number:
                sql = change.rewritten(sql, self.columns)
        return Source(sql, self.columns, self.number)


def typed(columns: Mapping[str, str], files: Sequence[str], options: str = "") -> str:
    """A source that has all columns of a table, also those that no file has.

    Args:
        columns: The columns with their types in the table.
        files: The files as SQL.
        options: More options of ``read_parquet``.
    """
    nulls = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in columns.items())
    read = f"read_parquet([{', '.join(files)}], union_by_name = true, hive_partitioning = false{options})"
    rows = f" UNION ALL BY NAME SELECT * FROM {read}" if files else ""
    return f"(SELECT {nulls} WHERE false{rows})"


def base_source(delta: Delta, table: Table, files: Sequence[str] | None = None, options: str = "") -> Source:
    """The rows of a table, or of some of its files."""
    columns = {**_own(table), **delta.columns}
    paths = [exact_path(delta.join(file)) for file in (delta.files if files is None else files)]
    return Source(typed(columns, paths, options), frozenset(columns))


def staged_sources(
    con: duckdb.DuckDBPyConnection, lake: LakeFolder, table: Table, changes: Collection[Change]
) -> list[Source]:
    """The rows of files that wait, as they are after later changes."""
    found = []
    for change in changes:
        if change.staged:
            file = f"read_parquet({exact_path(lake.base / change.staged)}, hive_partitioning = false)"
            columns = columns_of(con, file)
            lacking = {name: kind for name, kind in _own(table).items() if name not in columns}
            nulls = "".join(f", NULL::{kind} AS {quote(name)}" for name, kind in lacking.items())
            source = Source(f"(SELECT *{nulls} FROM {file})", frozenset(columns | lacking.keys()), change.number)
            found.append(source.after(changes))
    return found


@dataclass(frozen=True, slots=True)
class Merge:
    """Some changes that become one version of a Delta table.

    Args:
        con: The connection, outside a transaction.
        lake: The folder of the lake.
        delta: The Delta table; created if it does not exist.
        table: The stream's table.
        changes: The changes, in order.
        memory: What DuckDB may use, in bytes.
    """

    con: duckdb.DuckDBPyConnection
    lake: LakeFolder
    delta: Delta
    table: Table
    changes: Sequence[Change]
    memory: int

    def apply(self) -> None:
        """Write new files, and commit them in place of those that they replace.

        Raises:
            LoadError: The table cannot be changed, or others change it all the time; or another copy of this warehouse
                has changed it.
        """
        try:
            for _ in range(_TRIES):
                self.delta.refresh()
                if self.delta.has(self.changes[-1]) or self._commit():
                    return
        except duckdb.Error as error:
            raise LoadError(f"stream {self.table.stream}: {explain(error)}") from error
        raise LoadError(
            f"stream {self.table.stream}: others keep changing the Delta table {self.delta.address}; stop them, and "
            "run the load again"
        )

    def _commit(self) -> bool:
        staged = staged_sources(self.con, self.lake, self.table, self.changes)
        if not self.delta.exists:
            self.delta.create(_wanted(self.table), partitioned=any(PARTITION in source.columns for source in staged))
        if self._merges:
            self._note_newest(staged)
        removed = self._touched()
        added = [new for number, file in enumerate(removed) for new in self._rewrite(number, file)]
        if staged:
            added += self._write_new(staged)
        return self.delta.commit(self.changes[-1], _wanted(self.table), added, removed)

    def compact(self) -> None:
        """Write the rows of small files to larger ones, unless others change the table meanwhile."""
        self.delta.refresh()
        added: list[NewFile] = []
        removed: list[str] = []
        for number, group in enumerate(self._small()):
            source = base_source(self.delta, self.table, group)
            name = f"FILENAME_PATTERN '{self.lake.load_id}-{self.lake.id}-{number}-{{i}}'"
            query = f"SELECT {_values(self.table, source, 'b')} FROM {source.sql} b"
            home = self._home(group[0])
            added += self._write(query, f"FILE_SIZE_BYTES {_LARGEST}, {name}", map(self.delta.join, group), home)
            removed += group
        self.delta.commit(None, _wanted(self.table), added, removed)

    def _small(self) -> Iterable[list[str]]:
        """The small files of each folder, where there are several."""
        groups: dict[str, list[str]] = {}
        sizes = self.lake.place.find(self.delta.folder)
        for file in self.delta.files:
            if file not in sizes:
                raise LoadError(
                    f"stream {self.table.stream}: {self.delta.join(file)} is missing; bring it back from a copy, or "
                    "load into another schema from the start"
                )
            if sizes[file] < _LARGEST // 2:
                groups.setdefault(self._home(file), []).append(file)
        return [group for group in groups.values() if len(group) > 1]

    @property
    def _name(self) -> str:
        """How the names of new files begin: a run that finishes what another began gives no others."""
        return f"{self.changes[-1].number:012d}-{self.lake.id}"

    @property
    def _merges(self) -> bool:
        """Whether rows replace others with the same key."""
        return bool(self.table.keys) and any(change.staged for change in self.changes)

    def _same_key(self, alias: str) -> str:
        return " AND ".join(f"{alias}.{quote(key)} = n.{quote(key)}" for key in self.table.keys)

    def _note_newest(self, staged: Iterable[Source]) -> None:
        """Note for each key in files that wait what is newest, in a table ``_newest``."""
        keys = ", ".join(map(quote, self.table.keys))
        rows = " UNION ALL ".join(
            f"SELECT {keys}, {SEQUENCE}, {WHAT}, {self._times(source)} FROM {source.sql}" for source in staged
        )
        newest = ", ".join(f"arg_max_null({name}, {SEQUENCE}) AS {name}" for name in (WHAT, *_TIMES.values()))
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE _newest AS SELECT {keys}, max({SEQUENCE}) AS {SEQUENCE}, {newest} "
            f"FROM ({rows}) GROUP BY {keys}"
        )

    def _times(self, source: Source) -> str:
        """A SELECT list for the times of marks."""
        told = markable(self.table) & source.columns
        return ", ".join(f"{name if name in told else 'NULL'} AS {alias}" for name, alias in _TIMES.items())

    def _touched(self) -> list[str]:
        """The files of the table with rows that become others, or are gone."""
        files, columns = self.delta.files, self.delta.columns
        rewritings = [c for c in self.changes if not c.staged and (c.needs is None or c.needs in columns)]
        if not files or any(change.touched == "true" for change in rewritings):
            return files
        base = base_source(self.delta, self.table, options=f", filename = '{FILE}'").sql
        parts = [f"SELECT DISTINCT {FILE} FROM {base} WHERE {change.touched}" for change in rewritings]
        if self._merges:
            parts.append(f"SELECT DISTINCT {FILE} FROM {base} b SEMI JOIN _newest n ON {self._same_key('b')}")
        found = {path for (path,) in self.con.execute(" UNION ".join(parts)).fetchall()} if parts else set()
        return [file for file in files if self.delta.join(file) in found]

    def _rewrite(self, number: int, file: str) -> Iterator[NewFile]:
        """Write the rows of a file that stay, as they are now."""
        source = base_source(self.delta, self.table, [file]).after(self.changes)
        query = f"SELECT {_values(self.table, source, 'b')} FROM {source.sql} b"
        if self._merges:
            marks = {
                name: f"coalesce(n.{mark}, b.{name})" for name, mark in _TIMES.items() if name in markable(self.table)
            }
            query = (
                f"SELECT {_values(self.table, source, 'b', marks)} FROM {source.sql} b "
                f"LEFT JOIN _newest n ON {self._same_key('b')} WHERE n.{SEQUENCE} IS NULL OR n.{WHAT} = '{MARKED}'"
            )
        home = self._home(file)
        places = f"FILE_SIZE_BYTES {_LARGEST}, FILENAME_PATTERN '{self._name}-{number}-{{i}}'"
        return self._write(query, places, [self.delta.join(file)], home)

    def _write_new(self, staged: Iterable[Source]) -> Iterator[NewFile]:
        """Write the rows of files that wait, without those that later ones replace."""
        partitioned = self.delta.is_partitioned
        newest = f"{self._same_key('s')} AND n.{SEQUENCE} = s.{SEQUENCE} AND n.{WHAT} = ''"
        only = f" SEMI JOIN _newest n ON {newest}" if self._merges else ""
        query = " UNION ALL ".join(
            f"SELECT {_values(self.table, source, 's')}{_date(source) if partitioned else ''} FROM {source.sql} s{only}"
            for source in staged
        )
        places = f"PARTITION_BY ({PARTITION})" if partitioned else f"FILE_SIZE_BYTES {_LARGEST}"
        read = [self.lake.base / change.staged for change in self.changes if change.staged]
        return self._write(query, f"{places}, FILENAME_PATTERN '{self._name}-{{i}}'", read)

    def _home(self, file: str) -> str:
        """The folder that a file is in, from the table's."""
        return file.removeprefix(f"{self.delta.folder}/").rpartition("/")[0]

    def _write(self, query: str, options: str, read: Iterable[object], home: str = "") -> Iterator[NewFile]:
        """Write the rows of a query to files of the table's folder, or of a folder in it, and describe them."""
        folder = self.lake.new_folder()
        target = folder / home
        target.mkdir(parents=True, exist_ok=True)
        rows = rows_at_a_time(self.con, read, self.memory)
        self.con.execute(
            f"COPY ({query}) TO {literal(str(target))} "
            f"({FILE_OPTIONS}, ROW_GROUP_SIZE {rows}, {options}, OVERWRITE_OR_IGNORE true)"
        )
        for file in sorted(folder.rglob("*.parquet")):
            row = self.con.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata({exact_path(file)})").fetchone()
            if row and row[0]:
                sync(file)
                new = NewFile(str(file.relative_to(folder)), int(row[0]), file.stat().st_size)
                self.lake.place.put(file, f"{self.delta.folder}/{new.path}")
                yield new


def _date(source: Source) -> str:
    """The date of rows, to be selected too. Older versions staged some that Delta does not know, or none."""
    return f", {partition_of(f's.{PARTITION}') if PARTITION in source.columns else 'NULL::DATE'} AS {PARTITION}"


def _own(table: Table) -> dict[str, str]:
    """The loader's columns of a Delta table, which older files may lack."""
    own = {name: "TIMESTAMPTZ" for name in METADATA if name in markable(table)}
    return own | ({VERSION: "BIGINT"} if table.versioned and not table.keys else {})


def _wanted(table: Table) -> dict[str, str]:
    """The columns of a Delta table. That of versions is for rows without a key alone: the index has that of others."""
    return {**dict(visible(table)), **_own(table)}


def _values(table: Table, source: Source, alias: str, special: Mapping[str, str] | None = None) -> str:
    """A SELECT list for what a file has.

    Args:
        table: The stream's table.
        source: The rows.
        alias: What they are called.
        special: Other values of some columns, as SQL.
    """
    values = {name: f"{alias}.{quote(name)}" for name in source.columns} | dict(special or {})
    return ", ".join(
        f"CAST({values.get(name, 'NULL')} AS {in_file(kind)}) AS {quote(name)}" for name, kind in _wanted(table).items()
    )
