"""The Parquet files of a lake: which there are, where they are staged, and how they get to their places.

A file is written into the lake's staging folder. Its name is committed to ``main._singer_files`` together with the
state, and only then is the whole file moved to its place. If a run is killed in between, the next one moves it. A file
that is gone is removed once nothing refers to it: neither the list nor a view.

All paths are relative to the lake's folder, so that lake and DuckDB file can be moved together.
"""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.connection import make_durable
from target_duckhouse.warehouse.folder import STAGING, folder_name, sync
from target_duckhouse.warehouse.indexed import columns_of
from target_duckhouse.warehouse.tables import PARTITION, SEQUENCE, exact_path, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

    from target_duckhouse.warehouse.folder import LakeFolder
    from target_duckhouse.warehouse.places import Place

__all__ = ["FILE_OPTIONS", "LakeFiles", "check_files", "missing_files", "rows_at_a_time"]

FILE_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
"""How files are written."""

_ROWS = 122_880
"""Rows that are written together, and read together."""
_MERGED = 128_000_000
"""About how large a merged file becomes, in bytes. Files of half that size are left alone."""
_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_files (
    sequence BIGINT NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, version BIGINT,
    staged VARCHAR NOT NULL, path VARCHAR NOT NULL, is_gone BOOLEAN NOT NULL);
"""


class LakeFiles:
    """The files of one database schema, and the list of them.

    Args:
        con: The connection whose transaction the list belongs to.
        lake: The folder of the lake.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: LakeFolder) -> None:
        self._con = con
        self.lake = lake
        self._schema = lake.schema

    def open(self) -> None:
        """Create what is missing, and check what is there.

        Raises:
            LockedError: Another process loads from a copy of this warehouse.
            LoadError: The folder cannot be written, or a file is missing.
        """
        self._con.execute(_CREATE)
        self.lake.register()
        if self.lake.is_new:
            self._forget_root()
        check_files(self._con, self._schema, self.lake.place, self.lake.base)
        self.lake.open()
        self._check_unlisted()

    def _forget_root(self) -> None:
        """Make absolute paths, as they used to be kept, relative to the lake's folder."""
        self._con.execute(
            f"UPDATE main._singer_files SET path = regexp_extract(path, '[^/]+/[^/]+/({PARTITION}=[^/]*/)?[^/]+$'), "
            f"staged = regexp_extract(staged, '(?s).*/({STAGING}/.*)', 1) WHERE schema = ? AND starts_with(path, '/')",
            [self._schema],
        )
        make_durable(self._con)

    def _check_unlisted(self) -> None:
        """Refuse to load where the lake has files that another copy of this warehouse has added to it."""
        listed = {path for (path,) in self._con.execute("SELECT path FROM main._singer_files").fetchall()}
        for path in sorted(self.lake.place.find(folder_name(self._schema)).keys() - listed):
            if f"-{self.lake.id}-" in path.rpartition("/")[2]:
                raise LoadError(
                    f"setting `lake_path`: {self.lake.place.join(path)} was written with another copy of this "
                    "warehouse; use that copy, move its files away, or load into another schema from the start"
                )

    def folder(self, stream: str) -> str:
        """Where the files of a stream end up, below the lake's folder."""
        return f"{folder_name(self._schema)}/{folder_name(stream)}"

    def pattern(self, stream: str) -> str | None:
        """A pattern for the files of a stream, below the lake's folder; None if there are none.

        It fits no other warehouse's files, unless the stream still has files from when their names lacked the id.
        """
        own = f"-{self.lake.id}-"
        row = self._con.execute(
            "SELECT bool_and(contains(path, ?)) FROM main._singer_files "
            "WHERE schema = ? AND stream = ? AND NOT is_gone",
            [own, self._schema, stream],
        ).fetchone()
        if not row or row[0] is None:
            return None
        return f"{self.folder(stream)}/**/*{own if row[0] else ''}*.parquet"

    def strangers(self, stream: str) -> int:
        """How many Parquet files are in a stream's folder that do not belong to this warehouse."""
        listed = {
            path
            for (path,) in self._con.execute(
                "SELECT path FROM main._singer_files WHERE schema = ? AND stream = ?", [self._schema, stream]
            ).fetchall()
        }
        found = self.lake.place.find(self.folder(stream))
        return sum(path.endswith(".parquet") and path not in listed for path in found)

    def present(self, stream: str, column: str) -> Iterator[tuple[str, str]]:
        """All files of a stream that have a column: the source to select FROM, and the path where the file ends up."""
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall():
            source = f"read_parquet({self._literal(staged, path)}, hive_partitioning = false)"
            if column in columns_of(self._con, source):
                yield source, path

    def source(self, stream: str) -> str | None:
        """A source to select FROM that has the rows of all files of a stream; None if there is no file."""
        files = self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall()
        listed = ", ".join(self._literal(staged, path) for staged, path in files)
        return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)" if files else None

    def write(self, stream: str, query: str, version: int | None, *, partitioned: bool) -> str:
        """Stage the rows of a query as new files.

        Args:
            stream: The stream.
            query: Yields the rows, with `PARTITION` where they are partitioned.
            version: The snapshot version of all the rows.
            partitioned: Whether the files go into folders by date.

        Returns:
            The query of the rows as they were written, with their `SEQUENCE`.

        Raises:
            LoadError: The stream has files that are partitioned, and these would not be, or the other way round.
        """
        row = self._con.execute("SELECT coalesce(max(sequence), 0) + 1 FROM main._singer_files").fetchone()
        sequence = row[0] if row else 1
        if self._con.execute(
            "SELECT 1 FROM main._singer_files "
            "WHERE schema = ? AND stream = ? AND NOT is_gone AND contains(path, ?) <> ? LIMIT 1",
            [self._schema, stream, f"/{PARTITION}=", partitioned],
        ).fetchone():
            raise LoadError(
                f"stream {stream}: its files in the lake are{' not' if partitioned else ''} partitioned by date; "
                "set `lake_partition_by` back to what it was, or load into another schema"
            )
        staged = self.lake.new_folder()
        options = FILE_OPTIONS
        name = f"{sequence:012d}-{self.lake.id}-{self.lake.load_id}"
        if partitioned:
            target, options = staged, f"{options}, PARTITION_BY ({PARTITION}), FILENAME_PATTERN '{name}-{{i}}'"
        else:
            target = staged / f"{name}.parquet"
        query = f"SELECT *, {sequence}::BIGINT AS {SEQUENCE} FROM ({query})"
        self._con.execute(f"COPY ({query}) TO {literal(str(target))} ({options})")
        for file in staged.rglob("*.parquet"):
            path = f"{self.folder(stream)}/{file.relative_to(staged)}"
            sync(file)
            self._con.execute(
                "INSERT INTO main._singer_files VALUES (?, ?, ?, ?, ?, ?, false)",
                [sequence, self._schema, stream, version, self.lake.staged(file), path],
            )
        return query

    def rewrite(self, path: str, query: str) -> None:
        """Stage new content for a file, which replaces the old with the commit."""
        target = self.lake.new_folder() / Path(path).name
        self._con.execute(f"COPY ({query}) TO {literal(str(target))} ({FILE_OPTIONS})")
        sync(target)
        self._con.execute(
            "UPDATE main._singer_files SET staged = ? WHERE schema = ? AND path = ?",
            [self.lake.staged(target), self._schema, path],
        )

    def streams(self) -> list[str]:
        """The streams that have files, in order."""
        rows = self._con.execute(
            "SELECT DISTINCT stream FROM main._singer_files WHERE schema = ? AND NOT is_gone ORDER BY 1", [self._schema]
        )
        return [stream for (stream,) in rows.fetchall()]

    def merge_small(self, stream: str, memory: int) -> None:
        """Stage files that replace the small ones of a stream with the commit. All rows stay, in all their versions.

        Args:
            stream: The stream.
            memory: What may be used, in bytes.
        """
        for number, group in enumerate(self._small(stream)):
            paths = [path for path, _ in group]
            sequence = max(sequence for _, sequence in group)
            listed = ", ".join(exact_path(self.lake.place.join(path)) for path in paths)
            rows = rows_at_a_time(self._con, map(self.lake.place.join, paths), memory)
            name = f"{sequence:012d}-{self.lake.id}-{self.lake.load_id}-{number}.parquet"
            target = self.lake.new_folder() / name
            self._con.execute(
                f"COPY (FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)) "
                f"TO {literal(str(target))} ({FILE_OPTIONS}, ROW_GROUP_SIZE {rows})"
            )
            sync(target)
            self._con.execute(
                "INSERT INTO main._singer_files SELECT ?, schema, stream, version, ?, ?, false "
                "FROM main._singer_files WHERE schema = ? AND path = ?",
                [sequence, self.lake.staged(target), str(Path(paths[0]).with_name(name)), self._schema, paths[0]],
            )
            self._con.execute(
                "UPDATE main._singer_files SET is_gone = true WHERE schema = ? AND list_contains(?, path)",
                [self._schema, paths],
            )

    def _small(self, stream: str) -> Iterator[list[tuple[str, int]]]:
        """Small files of a stream that can be merged: those of one folder and snapshot, with their sequences."""
        groups: dict[tuple[str, int | None], list[tuple[str, int]]] = {}
        sizes: Counter[tuple[str, int | None]] = Counter()
        there = self.lake.place.find(self.folder(stream))
        for path, version, sequence in self._con.execute(
            "SELECT path, version, sequence FROM main._singer_files WHERE schema = ? AND stream = ? ORDER BY path",
            [self._schema, stream],
        ).fetchall():
            size = there[path]
            if size < _MERGED // 2:
                kind = str(Path(path).parent), version
                groups.setdefault(kind, []).append((path, sequence))
                sizes[kind] += size
                if sizes[kind] >= _MERGED:
                    yield groups.pop(kind)
                    del sizes[kind]
        yield from (group for group in groups.values() if len(group) > 1)

    def drop_other_versions(self, stream: str, version: int) -> None:
        """Remove the files of a stream's other snapshots with the commit."""
        self._con.execute(
            "UPDATE main._singer_files SET is_gone = true "
            "WHERE schema = ? AND stream = ? AND version IS DISTINCT FROM ?",
            [self._schema, stream, version],
        )

    def replaced(self) -> dict[str, list[str]]:
        """For each stream some of whose files are about to be replaced by others, the files that are in place now."""
        rows = self._con.execute(
            "SELECT stream, list(path ORDER BY path) FILTER (staged = '') FROM main._singer_files WHERE schema = ? "
            "GROUP BY stream HAVING bool_or(is_gone) AND bool_or(staged <> '' AND NOT is_gone)",
            [self._schema],
        ).fetchall()
        return {stream: paths or [] for stream, paths in rows}

    def paths(self, stream: str) -> list[str]:
        """The files of a stream that are in their places, below the lake's folder."""
        return [
            path
            for (path,) in self._con.execute(
                "SELECT path FROM main._singer_files "
                "WHERE schema = ? AND stream = ? AND NOT is_gone AND staged = '' ORDER BY path",
                [self._schema, stream],
            ).fetchall()
        ]

    def place(self) -> None:
        """Move files to where the committed list says they belong."""
        own = [self._schema]
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND NOT is_gone AND staged <> ''", own
        ).fetchall():
            file = self.lake.base / staged
            if file.exists():
                self.lake.place.put(file, path)
            elif not self.lake.place.exists(path):  # otherwise a run was killed after it had moved it
                raise FileNotFoundError(errno.ENOENT, "a file that waits for its place is missing", str(file))
        self._con.execute(
            "UPDATE main._singer_files SET staged = '' WHERE schema = ? AND NOT is_gone AND staged <> ''", own
        )

    def remove_gone(self) -> set[str]:
        """Delete the files that the list says are gone, and return the streams that they belonged to."""
        own = [self._schema]
        gone = self._con.execute("SELECT stream, path FROM main._singer_files WHERE schema = ? AND is_gone", own)
        streams = set()
        for stream, path in gone.fetchall():
            self.lake.place.remove(path)
            streams.add(stream)
        self._con.execute("DELETE FROM main._singer_files WHERE schema = ? AND is_gone", own)
        return streams

    def _literal(self, staged: str, path: str) -> str:
        return exact_path(self.lake.base / staged if staged else self.lake.place.join(path))


def check_files(con: duckdb.DuckDBPyConnection, schema: str, place: Place, base: Path) -> None:
    """Make sure that all files of a database schema are there.

    Args:
        con: The warehouse.
        schema: The database schema.
        place: The lake.
        base: The folder that holds the staging folder.

    Raises:
        LoadError: A file is missing.
    """
    if missing := missing_files(con, schema, place, base):
        more = f", and {len(missing) - 1} more files" if len(missing) > 1 else ""
        raise LoadError(
            f"stream {missing[0][0]}: {place.join(missing[0][1])} is missing{more}; bring the rows back from a copy, "
            "set `lake_path` to the folder where the lake is now, or load into another schema from the start"
        )


def missing_files(con: duckdb.DuckDBPyConnection, schema: str, place: Place, base: Path) -> list[tuple[str, str]]:
    """The files of a database schema that are not there, each with its stream; the folder is listed, nothing is read.

    Args:
        con: The warehouse.
        schema: The database schema.
        place: The lake.
        base: The folder that holds the staging folder.
    """
    listed = con.execute(
        "SELECT stream, staged, path FROM main._singer_files WHERE schema = ? AND NOT is_gone ORDER BY sequence",
        [schema],
    ).fetchall()
    there = place.find(folder_name(schema)) if listed else {}
    return [
        (stream, path)
        for stream, staged, path in listed
        if not (path in there or (staged and (base / staged).exists()))
    ]


def rows_at_a_time(con: duckdb.DuckDBPyConnection, files: Iterable[object], memory: int) -> int:
    """How many rows are written together: as many as are usual, unless they are large.

    Args:
        con: The connection.
        files: The Parquet files that they come from.
        memory: What DuckDB may use, in bytes.
    """
    listed = f"[{', '.join(map(exact_path, files))}]"
    found = con.execute(
        f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({listed}) UNION ALL "
        f"SELECT sum(num_rows) FROM parquet_file_metadata({listed})"
    ).fetchall()
    size, rows = (value or 1 for (value,) in found)
    return max(1, min(_ROWS, int(memory // 8 * rows // size)))
