"""The Parquet files of a lake: which there are, where they are staged, and how they get to their places.

A file is written into ``<lake>/_staging``. Its name is committed to ``main._singer_files`` together with the state, and
only then is the whole file moved to its place. If a run is killed between commit and move, the next one moves it.
"""

from __future__ import annotations

import os
import re
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.warehouse.tables import PARTITION, SEQUENCE, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

__all__ = ["LakeFiles"]

_STAGING = "_staging"
_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_files (
    sequence BIGINT NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, version BIGINT,
    staged VARCHAR NOT NULL, path VARCHAR NOT NULL, is_gone BOOLEAN NOT NULL);
"""


class LakeFiles:
    """The files of one database schema, and the list of them.

    Args:
        con: The connection whose transaction the list belongs to.
        root: Folder of the lake.
        schema: The database schema, which is a folder too.
        load_id: The run; part of every file's name.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path, schema: str, load_id: str) -> None:
        self._con = con
        self._root = root
        self._schema = schema
        self._load_id = load_id
        self._numbers = count()

    def open(self) -> None:
        """Create what is missing, and finish what a killed run left behind.

        Raises:
            LoadError: The folder cannot be written.
        """
        self._con.execute(_CREATE)
        try:
            (self._root / _STAGING).mkdir(parents=True, exist_ok=True)
            self.settle()
            for folder in (self._root / _STAGING).iterdir():
                shutil.rmtree(folder)
        except OSError as error:
            raise LoadError(f"setting `lake_path`: {error.filename}: {error.strerror}") from None

    def folder(self, stream: str) -> Path:
        """Where the files of a stream end up."""
        return self._root / _folder_name(self._schema) / _folder_name(stream)

    def columns(self, source: str) -> set[str]:
        """The names of a source's columns."""
        return {row[0] for row in self._con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}

    def present(self, stream: str, column: str) -> Iterator[tuple[str, str]]:
        """All files of a stream that have a column: the source to select FROM, and the path where the file ends up."""
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall():
            source = f"read_parquet({literal(staged or path)}, hive_partitioning = false)"
            if column in self.columns(source):
                yield source, path

    def source(self, stream: str) -> str | None:
        """A source to select FROM that has the rows of all files of a stream; None if there is no file."""
        files = self._con.execute(
            "SELECT if(staged <> '', staged, path) FROM main._singer_files "
            "WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall()
        listed = ", ".join(literal(file) for (file,) in files)
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
        staged = self._new_folder()
        options = _OPTIONS
        name = f"{sequence:012d}-{self._load_id}"
        if partitioned:
            target, options = staged, f"{options}, PARTITION_BY ({PARTITION}), FILENAME_PATTERN '{name}-{{i}}'"
        else:
            target = staged / f"{name}.parquet"
        query = f"SELECT *, {sequence}::BIGINT AS {SEQUENCE} FROM ({query})"
        self._con.execute(f"COPY ({query}) TO {literal(str(target))} ({options})")
        home = self.folder(stream)
        for file in staged.rglob("*.parquet"):
            _sync(file)
            self._con.execute(
                "INSERT INTO main._singer_files VALUES (?, ?, ?, ?, ?, ?, false)",
                [sequence, self._schema, stream, version, str(file), str(home / file.relative_to(staged))],
            )
        return query

    def rewrite(self, path: str, query: str) -> None:
        """Stage new content for a file, which replaces the old with the commit."""
        target = self._new_folder() / Path(path).name
        self._con.execute(f"COPY ({query}) TO {literal(str(target))} ({_OPTIONS})")
        _sync(target)
        self._con.execute("UPDATE main._singer_files SET staged = ? WHERE path = ?", [str(target), path])

    def drop_other_versions(self, stream: str, version: int) -> None:
        """Remove the files of a stream's other snapshots with the commit."""
        self._con.execute(
            "UPDATE main._singer_files SET is_gone = true "
            "WHERE schema = ? AND stream = ? AND version IS DISTINCT FROM ?",
            [self._schema, stream, version],
        )

    def settle(self) -> None:
        """Move files to where the committed list says they belong, and delete those it says are gone."""
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE NOT is_gone AND staged <> ''"
        ).fetchall():
            if Path(staged).exists():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(staged).replace(path)
        self._con.execute("UPDATE main._singer_files SET staged = '' WHERE NOT is_gone AND staged <> ''")
        for (path,) in self._con.execute("SELECT path FROM main._singer_files WHERE is_gone").fetchall():
            Path(path).unlink(missing_ok=True)
        self._con.execute("DELETE FROM main._singer_files WHERE is_gone")

    def _new_folder(self) -> Path:
        folder = self._root / _STAGING / f"{self._load_id}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder


def _folder_name(name: str) -> str:
    """A name made safe for a folder: engines skip those that begin with ``.`` or ``_``, and read others as patterns."""
    return re.sub(r"^[._]|[^\w.-]", lambda odd: "".join(f"%{byte:02X}" for byte in odd[0].encode()), name)


def _sync(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
