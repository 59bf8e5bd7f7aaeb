"""The Parquet files of a lake: which there are, where they are staged, and how they get to their places.

A file is written into ``<lake>/_staging/<id>``. Its name is committed to ``main._singer_files`` together with the
state, and only then is the whole file moved to its place. If a run is killed in between, the next one moves it.

Several warehouses may share a lake. Each has an id of its own there (``main._singer_lakes``), which is part of the
names of its files and of the folder in which they are staged. All paths are relative to the lake's folder, so that lake
and DuckDB file can be moved together.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError, LockedError
from target_duckhouse.warehouse.connection import make_durable
from target_duckhouse.warehouse.scratch import clear_scratch
from target_duckhouse.warehouse.tables import PARTITION, SEQUENCE, exact_path, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

__all__ = ["LakeFiles", "check_files"]

_STAGING = "_staging"
_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_files (
    sequence BIGINT NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, version BIGINT,
    staged VARCHAR NOT NULL, path VARCHAR NOT NULL, is_gone BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS main._singer_lakes (schema VARCHAR PRIMARY KEY, id VARCHAR NOT NULL, root VARCHAR NOT NULL);
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
        self.root = root
        self._schema = schema
        self._load_id = load_id
        self._numbers = count()
        self._id = ""

    def open(self) -> bool:
        """Create what is missing, and finish what a killed run left behind.

        Returns:
            Whether the lake's folder is not yet known, or another one than before; see `keep_root`.

        Raises:
            LockedError: Another process loads from a copy of this warehouse.
            LoadError: The folder cannot be written, or a file is missing.
        """
        self._con.execute(_CREATE)
        root = self._register()
        check_files(self._con, self._schema, self.root)
        try:
            if (self.root / _STAGING).is_symlink():
                raise LoadError(f"setting `lake_path`: {self.root / _STAGING} is a link; it must be a folder")
            self._staging.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._check_unlisted()
            self.settle()
            clear_scratch(self._staging)
        except OSError as error:
            raise LoadError(f"setting `lake_path`: {error.filename}: {error.strerror}") from None
        return root != str(self.root)

    def keep_root(self) -> None:
        """Remember where the lake is, now that its files have been found there."""
        self._con.execute("UPDATE main._singer_lakes SET root = ? WHERE schema = ?", [str(self.root), self._schema])
        make_durable(self._con)

    def _register(self) -> str:
        """Recall the id of the warehouse in the lake, and the lake's folder; make an id if there is none."""
        row = self._con.execute("SELECT id, root FROM main._singer_lakes WHERE schema = ?", [self._schema]).fetchone()
        self._id, root = row or (secrets.token_hex(6), "")
        if not row:
            self._forget_root()
            self._con.execute("INSERT INTO main._singer_lakes VALUES (?, ?, '')", [self._schema, self._id])
            make_durable(self._con)
        return str(root)

    def _forget_root(self) -> None:
        """Make absolute paths, as they used to be kept, relative to the lake's folder."""
        self._con.execute(
            f"UPDATE main._singer_files SET path = regexp_extract(path, '[^/]+/[^/]+/({PARTITION}=[^/]*/)?[^/]+$'), "
            f"staged = regexp_extract(staged, '(?s).*/({_STAGING}/.*)', 1) WHERE schema = ? AND starts_with(path, '/')",
            [self._schema],
        )

    def _check_unlisted(self) -> None:
        """Refuse to load where the lake has files that another copy of this warehouse has added to it."""
        listed = {path for (path,) in self._con.execute("SELECT path FROM main._singer_files").fetchall()}
        for folder, _, names in os.walk(self.root / _folder_name(self._schema)):
            for name in names:
                file = Path(folder) / name
                if f"-{self._id}-" in name and self._below(file) not in listed:
                    raise LoadError(
                        f"setting `lake_path`: {file} was written with another copy of this warehouse; use that copy, "
                        "move its files away, or load into another schema from the start"
                    )

    def _lock(self) -> None:
        """Keep out processes with a copy of this warehouse: their files would be taken for leftovers of this one's."""
        try:
            fcntl.flock(os.open(self._staging, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"setting `lake_path`: another process with a copy of this warehouse is loading into {self.root}"
            ) from None
        except OSError:
            pass  # a file system without locks

    @property
    def _staging(self) -> Path:
        return self.root / _STAGING / self._id

    def folder(self, stream: str) -> Path:
        """Where the files of a stream end up, below the lake's folder."""
        return Path(_folder_name(self._schema)) / _folder_name(stream)

    def pattern(self, stream: str) -> str | None:
        """A pattern for the files of a stream, below the lake's folder; None if there are none.

        It fits no other warehouse's files, unless the stream still has files from when their names lacked the id.
        """
        own = f"-{self._id}-"
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
        found = (self.root / self.folder(stream)).rglob("*.parquet")
        return sum(str(file.relative_to(self.root)) not in listed for file in found)

    def columns(self, source: str) -> set[str]:
        """The names of a source's columns."""
        return {row[0] for row in self._con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}

    def present(self, stream: str, column: str) -> Iterator[tuple[str, str]]:
        """All files of a stream that have a column: the source to select FROM, and the path where the file ends up."""
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall():
            source = f"read_parquet({self._literal(staged or path)}, hive_partitioning = false)"
            if column in self.columns(source):
                yield source, path

    def source(self, stream: str) -> str | None:
        """A source to select FROM that has the rows of all files of a stream; None if there is no file."""
        files = self._con.execute(
            "SELECT if(staged <> '', staged, path) FROM main._singer_files "
            "WHERE schema = ? AND stream = ? AND NOT is_gone ORDER BY path",
            [self._schema, stream],
        ).fetchall()
        listed = ", ".join(self._literal(file) for (file,) in files)
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
        name = f"{sequence:012d}-{self._id}-{self._load_id}"
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
                [sequence, self._schema, stream, version, self._below(file), str(home / file.relative_to(staged))],
            )
        return query

    def rewrite(self, path: str, query: str) -> None:
        """Stage new content for a file, which replaces the old with the commit."""
        target = self._new_folder() / Path(path).name
        self._con.execute(f"COPY ({query}) TO {literal(str(target))} ({_OPTIONS})")
        _sync(target)
        self._con.execute(
            "UPDATE main._singer_files SET staged = ? WHERE schema = ? AND path = ?",
            [self._below(target), self._schema, path],
        )

    def drop_other_versions(self, stream: str, version: int) -> None:
        """Remove the files of a stream's other snapshots with the commit."""
        self._con.execute(
            "UPDATE main._singer_files SET is_gone = true "
            "WHERE schema = ? AND stream = ? AND version IS DISTINCT FROM ?",
            [self._schema, stream, version],
        )

    def settle(self) -> None:
        """Move files to where the committed list says they belong, and delete those it says are gone."""
        own = [self._schema]
        for staged, path in self._con.execute(
            "SELECT staged, path FROM main._singer_files WHERE schema = ? AND NOT is_gone AND staged <> ''", own
        ).fetchall():
            source, target = self.root / staged, self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(target)
            except FileNotFoundError:
                if not target.exists():  # otherwise a run was killed after it had moved it
                    raise
        self._con.execute(
            "UPDATE main._singer_files SET staged = '' WHERE schema = ? AND NOT is_gone AND staged <> ''", own
        )
        for (path,) in self._con.execute(
            "SELECT path FROM main._singer_files WHERE schema = ? AND is_gone", own
        ).fetchall():
            (self.root / path).unlink(missing_ok=True)
        self._con.execute("DELETE FROM main._singer_files WHERE schema = ? AND is_gone", own)

    def _new_folder(self) -> Path:
        folder = self._staging / f"{self._load_id}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def _below(self, file: Path) -> str:
        return str(file.relative_to(self.root))

    def _literal(self, path: str) -> str:
        return exact_path(self.root / path)


def check_files(con: duckdb.DuckDBPyConnection, schema: str, root: Path) -> None:
    """Make sure that all files of a database schema are there.

    Args:
        con: The warehouse.
        schema: The database schema.
        root: Folder of the lake.

    Raises:
        LoadError: A file is missing.
    """
    missing = [
        (stream, path)
        for stream, staged, path in con.execute(
            "SELECT stream, staged, path FROM main._singer_files WHERE schema = ? AND NOT is_gone ORDER BY sequence",
            [schema],
        ).fetchall()
        if not ((root / path).exists() or (staged and (root / staged).exists()))
    ]
    if missing:
        more = f", and {len(missing) - 1} more files" if len(missing) > 1 else ""
        raise LoadError(
            f"stream {missing[0][0]}: {root / missing[0][1]} is missing{more}; bring the rows back from a copy, set "
            "`lake_path` to the folder where the lake is now, or load into another schema from the start"
        )


def _folder_name(name: str) -> str:
    """A name made safe for a folder: engines skip those that begin with ``.`` or ``_``, and read others as patterns."""
    return re.sub(r"^[._]|[^\w.-]", lambda odd: "".join(f"%{byte:02X}" for byte in odd[0].encode()), name)


def _sync(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
