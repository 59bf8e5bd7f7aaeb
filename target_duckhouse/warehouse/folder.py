"""The folder of a lake: whose it is, where it is, and the part of it in which files wait for their commit.

Several warehouses may share a lake. Each has an id of its own there (``main._singer_lakes``), which is part of the
names of its files and of the folder in which they are staged, ``<lake>/_staging/<id>``.

A lake below the folder of the DuckDB file is known by its path from there, so that both can be moved or mounted
elsewhere together; any other by its whole path.
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
from target_duckhouse.warehouse.places import is_bucket
from target_duckhouse.warehouse.scratch import clear_scratch
from target_duckhouse.warehouse.tables import CATALOG

if TYPE_CHECKING:
    import duckdb

    from target_duckhouse.warehouse.places import Place

__all__ = ["LONGEST", "STAGING", "LakeFolder", "folder_name", "known_place", "staging_base", "sync"]

STAGING = "_staging"
LONGEST = 255
"""How many bytes the name of a folder may have in most file systems."""

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_lakes (schema VARCHAR PRIMARY KEY, id VARCHAR NOT NULL, root VARCHAR NOT NULL);
ALTER TABLE main._singer_lakes ADD COLUMN IF NOT EXISTS format VARCHAR;
"""


class LakeFolder:
    """The part of a lake that belongs to one database schema of one warehouse.

    Args:
        con: The connection to the warehouse.
        place: The lake.
        schema: The database schema.
        load_id: The run.
        table_format: The form of its files.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, place: Place, schema: str, load_id: str, table_format: str
    ) -> None:
        self._con = con
        self.place = place
        self.base = staging_base(con, place)
        """The folder of this machine that holds `staging`: the lake's, or one beside the DuckDB file."""
        self.schema = schema
        self.load_id = load_id
        self.format = table_format
        self.id = ""
        """The warehouse's name in the lake."""
        self.is_new = False
        """Whether this warehouse had no lake for the schema before."""
        self._numbers = count()
        self._held: int | None = None

    def register(self) -> None:
        """Recall the id of the warehouse in the lake; make one if there is none.

        Raises:
            LoadError: The lake has files of another form.
        """
        self._con.execute(_CREATE)
        row = self._con.execute(
            "SELECT id, coalesce(format, 'parquet') FROM main._singer_lakes WHERE schema = ?", [self.schema]
        ).fetchone()
        self.id, self.is_new = (row[0], False) if row else (secrets.token_hex(6), True)
        if row and row[1] != self.format and self._has_rows():
            raise LoadError(
                f"setting `table_format`: the lake of schema {self.schema} is {row[1]}; set it to that, or load "
                "everything again into another schema"
            )
        if self.is_new:
            self._con.execute(
                "INSERT INTO main._singer_lakes VALUES (?, ?, '', ?)", [self.schema, self.id, self.format]
            )
        elif row and row[1] != self.format:  # the first load failed, so another form is as good
            self._con.execute("UPDATE main._singer_lakes SET format = ? WHERE schema = ?", [self.format, self.schema])
        else:
            return
        make_durable(self._con)

    def _has_rows(self) -> bool:
        """Whether anything was ever loaded into the lake for the schema."""
        lists = self._con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main' "
            "AND table_name IN ('_singer_files', '_singer_changes', '_singer_deltas')",
            [CATALOG],
        ).fetchall()
        return any(
            self._con.execute(f"SELECT 1 FROM main.{name} WHERE schema = ? LIMIT 1", [self.schema]).fetchone()
            for (name,) in lists
        )

    def open(self) -> None:
        """Create what is missing, and keep others out.

        Raises:
            LockedError: Another process loads from a copy of this warehouse.
            LoadError: The folder cannot be written.
        """
        try:
            if (self.base / STAGING).is_symlink():
                raise LoadError(f"setting `lake_path`: {self.base / STAGING} is a link; it must be a folder")
            self.staging.mkdir(parents=True, exist_ok=True)
            self._lock()
        except OSError as error:
            raise _unusable(error) from None

    def release(self) -> None:
        """Let others in, before the DuckDB file does: whoever waits for that expects the lake to be free, too."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def clear(self) -> None:
        """Remove what killed runs have staged and not committed, and remember where the lake is."""
        try:
            clear_scratch(self.staging)
        except OSError as error:
            raise _unusable(error) from None
        root = _kept(self.place, _home(self._con))
        if self._con.execute("SELECT root FROM main._singer_lakes WHERE schema = ?", [self.schema]).fetchone() != (
            root,
        ):
            self._con.execute("UPDATE main._singer_lakes SET root = ? WHERE schema = ?", [root, self.schema])
            make_durable(self._con)

    @property
    def staging(self) -> Path:
        """Where the files of this warehouse wait for their commit."""
        return self.base / STAGING / self.id

    def new_folder(self) -> Path:
        """A new folder for files that wait."""
        folder = self.staging / f"{self.load_id}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def staged(self, file: Path) -> str:
        """What is kept of where a file waits."""
        return str(file.relative_to(self.base))

    def claim(self) -> None:
        """Have runs with copies of this warehouse that a lock does not keep out notice that this one has begun."""
        self.place.claim(self._claim, self.load_id)

    def check(self) -> None:
        """Make sure that nobody with a copy of this warehouse has begun to load since this run did.

        Raises:
            LockedError: Somebody has.
        """
        if not self.place.is_claimed(self._claim, self.load_id):
            raise self._locked()

    @property
    def _claim(self) -> str:
        return f"{STAGING}/{self.id}.writer"

    def _locked(self) -> LockedError:
        return LockedError(
            f"setting `lake_path`: another process with a copy of this warehouse is loading into {self.place.address}"
        )

    def _lock(self) -> None:
        """Keep out processes with a copy of this warehouse: their files would be taken for leftovers of this one's."""
        self._held = os.open(self.staging, os.O_RDONLY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._locked() from None
        except OSError:
            pass  # a file system without locks


def staging_base(con: duckdb.DuckDBPyConnection, place: Place) -> Path:
    """A folder of this machine for what waits for its commit into a lake."""
    return Path(place.address) if place.is_local else _home(con) / f"{_file(con).name}.lake"


def known_place(con: duckdb.DuckDBPyConnection, root: str) -> str:
    """The address of a lake, from what is kept of it.

    Args:
        con: The connection to the warehouse.
        root: What ``main._singer_lakes`` has.
    """
    return root if is_bucket(root) else str(_home(con) / root)


def _home(con: duckdb.DuckDBPyConnection) -> Path:
    return _file(con).parent


def _file(con: duckdb.DuckDBPyConnection) -> Path:
    """The DuckDB file."""
    row = con.execute("SELECT path FROM duckdb_databases() WHERE database_name = ?", [CATALOG]).fetchone()
    assert row is not None
    return Path(row[0])


def _kept(place: Place, home: Path) -> str:
    if place.is_local and (root := Path(place.address)).is_relative_to(home):
        return str(root.relative_to(home))
    return place.address


def _unusable(error: OSError) -> LoadError:
    return LoadError(f"setting `lake_path`: {error.filename}: {error.strerror}")


def sync(file: Path) -> None:
    """Have a file written to the disk."""
    with file.open("rb") as content:
        os.fsync(content.fileno())


def folder_name(name: str, sign: str = "%") -> str:
    """A name made safe for a folder: engines skip those that begin with ``.`` or ``_``, and read others as patterns.

    Args:
        name: The name.
        sign: What stands before the bytes of a character that is not safe.
    """
    return re.sub(r"^[._]|[^\w.-]", lambda odd: "".join(f"{sign}{byte:02X}" for byte in odd[0].encode()), name)
