"""The spool: deliveries on disk, in the order in which they were accepted.

It is an SQLite file in WAL mode with ``synchronous=FULL``: a commit returns once its rows are in the log and the log is
synced, so that neither ``kill -9`` nor a power failure takes back what was answered 200. Readers do not wait for the
writer, nor the writer for them. One commit takes everything that waits: while the disk syncs one, the next gathers.

``user_version`` is the version of the tables below. Taps read ``deliveries`` and ``spool``, and write ``readers``.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

from merchant_webhooks.errors import WebhooksError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Kept", "Spool", "SpoolFullError"]

_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE spool (id TEXT NOT NULL);
CREATE TABLE deliveries (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    vendor TEXT NOT NULL,
    account TEXT NOT NULL,
    content_type TEXT,
    body BLOB NOT NULL
);
CREATE INDEX deliveries_of ON deliveries (vendor, account, position);
CREATE TABLE readers (
    name TEXT NOT NULL,
    vendor TEXT NOT NULL,
    account TEXT NOT NULL,
    position INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (name, vendor, account)
) WITHOUT ROWID;
CREATE TABLE trimmed (
    vendor TEXT NOT NULL,
    account TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (vendor, account)
) WITHOUT ROWID;
"""
"""``received_at`` and ``seen_at`` are microseconds since 1970. ``position`` never comes twice. ``readers`` says up to
where a tap's state was committed; ``trimmed``, up to where deliveries were removed."""

_KEEP: Final = "INSERT INTO deliveries (received_at, vendor, account, content_type, body) VALUES (?, ?, ?, ?, ?)"
_PROBE_BYTES: Final = 64 << 10
_TRIMMED_AT_A_TIME: Final = 5_000
_WAIT_S: Final = 10.0
_EXPIRED: Final = "received_at < :expired"
_READ_BY_ALL: Final = """position <= (
    SELECT min(r.position) FROM readers r WHERE r.vendor = d.vendor AND r.account = d.account
)"""


class Kept(NamedTuple):
    """A delivery to keep: whose it is, what it says it is, and its body as it came."""

    vendor: str
    account: str
    content_type: str | None
    body: bytes


class SpoolFullError(Exception):
    """The spool has reached the limit that the settings give it."""


class Spool:
    """The one writer of a spool. It belongs to the thread that made it.

    Args:
        path: The file; made if it is not there.
        most_bytes: How large it may become.

    Attributes:
        id: What tells this spool from every other one, for as long as it lives.
        used_bytes: The space in use, without what trimming has freed.

    Raises:
        WebhooksError: The file cannot be opened, is something else, or has a writer already.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path, self._most = path, most_bytes
        self._lock = _locked(path)
        self._newest = 0
        self._open: sqlite3.Connection | None = None
        try:
            (self.id,) = self._con.execute("SELECT id FROM spool").fetchone()
            (self._newest,) = self._con.execute("SELECT ifnull(max(received_at), 0) FROM deliveries").fetchone()
        except sqlite3.Error as error:
            self._lock.close()
            raise WebhooksError(f"setting 'spool': the file cannot be used: {error}") from None
        self.used_bytes = self._used()

    @property
    def _con(self) -> sqlite3.Connection:
        """The connection, opened if it could not be after a failure."""
        if self._open is None:
            self._open = self._opened()
        return self._open

    def _opened(self) -> sqlite3.Connection:
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o660))
        con = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = FULL")
        (version,) = con.execute("PRAGMA user_version").fetchone()
        if version == 0:
            con.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION};")
            con.execute("INSERT INTO spool VALUES (?)", [str(uuid4())])
            con.execute("COMMIT")
        elif version != _VERSION:
            con.close()
            raise sqlite3.DatabaseError(f"it has version {version} of the tables, not {_VERSION}")
        return con

    def _used(self) -> int:
        pages, free, size = (
            self._con.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def keep(self, batch: Sequence[Kept]) -> None:
        """Write deliveries and sync them, all or none.

        Raises:
            SpoolFullError: The limit is reached.
            sqlite3.Error: They cannot be written, such as to a full disk.
        """
        if self.used_bytes >= self._most:
            raise SpoolFullError
        self._newest = max(self._newest + 1, time.time_ns() // 1_000)
        rows = [(self._newest, *kept) for kept in batch]
        self._write(_KEEP, rows)
        self.used_bytes = self._used()

    def probe(self) -> None:
        """See whether a delivery of some size could be written, by writing one that no tap looks at.

        Raises:
            SpoolFullError: The limit is reached.
            sqlite3.Error: It cannot be.
        """
        if self.used_bytes >= self._most:
            raise SpoolFullError
        self._write(_KEEP, [(self._newest, "", "", None, bytes(_PROBE_BYTES))])
        self._write("DELETE FROM deliveries WHERE vendor = ''", [()])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction() as con:
            con.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed and synced at its end.

        Raises:
            sqlite3.Error: It failed, and the file may have been opened anew.
        """
        con = self._con
        try:
            con.execute("BEGIN IMMEDIATE")
            yield con
            con.execute("COMMIT")
        except sqlite3.Error:
            # After a failed write or sync, nothing is known of the pages that SQLite holds: begin again from the file.
            self._open = None
            con.close()
            with suppress(sqlite3.Error, OSError):  # a full disk may have no room for that either: then, later
                self._open = self._opened()
            raise

    def trim(self, max_age_s: float) -> int:
        """Remove some deliveries that every reader has committed past, or that are too old; returns how many.

        Deliveries that no tap has asked for yet are removed by their age alone.

        Args:
            max_age_s: The age in seconds.

        Raises:
            sqlite3.Error: The spool cannot be written.
        """
        expired = time.time_ns() // 1_000 - int(max_age_s * 1_000_000)
        found = self._con.execute(
            f"SELECT position FROM deliveries d WHERE {_EXPIRED} OR {_READ_BY_ALL} ORDER BY position LIMIT :most",  # noqa: S608
            {"expired": expired, "most": _TRIMMED_AT_A_TIME},
        ).fetchall()
        if not found:
            return 0
        with self._transaction() as con:
            con.execute("CREATE TEMP TABLE IF NOT EXISTS gone (position INTEGER PRIMARY KEY)")
            con.executemany("INSERT OR IGNORE INTO gone VALUES (?)", found)
            con.execute(
                "INSERT INTO trimmed SELECT vendor, account, max(position) FROM deliveries "
                "WHERE position IN (SELECT position FROM gone) GROUP BY vendor, account "
                "ON CONFLICT (vendor, account) DO UPDATE SET position = max(position, excluded.position)"
            )
            con.execute("DELETE FROM deliveries WHERE position IN (SELECT position FROM gone)")
            con.execute("DELETE FROM gone")
        self.used_bytes = self._used()
        return len(found)

    def close(self) -> None:
        """Close the file, and let another writer have it."""
        if self._open is not None:
            self._open.close()
        self._lock.close()


def _locked(path: Path) -> IO[bytes]:
    """A lock beside the file, which ends with this process.

    Raises:
        WebhooksError: Another process has it, or the folder cannot be written.
    """
    try:
        lock = path.with_name(f"{path.name}.lock").open("wb")
    except OSError as error:
        raise WebhooksError(f"setting 'spool': the file cannot be made: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise WebhooksError("setting 'spool': another receiver writes to it; give each a spool of its own") from None
    return lock
