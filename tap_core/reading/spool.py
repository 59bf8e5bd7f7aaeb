"""Reading the spool of a receiver of webhooks: deliveries in the order in which they were accepted.

The spool is an SQLite file that ``merchant-webhooks serve`` writes (``merchant_webhooks/spool.py`` says how); the file
is all that a tap and a receiver share. Reading takes no lock that the writer would wait for. A tap writes one thing to
it: up to where its state was committed, so that the receiver can remove what every reader has.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from tap_core.errors import ApiError, ConfigError

__all__ = ["MOST_AT_ONCE", "Delivery", "Spool"]

MOST_AT_ONCE: Final = 500
"""Deliveries that are read at a time."""

_VERSION: Final = 1
_WAIT_S: Final = 10.0


class Delivery(NamedTuple):
    """What a vendor, or anybody, has posted.

    Args:
        position: Its place in the spool, from 1; later ones have higher places.
        received_at: When it was accepted, in microseconds since 1970.
        body: The body as it came.
    """

    position: int
    received_at: int
    body: bytes


class Spool:
    """One spool, for one vendor's tap.

    Args:
        path: The file.
        place: What the settings call it, such as ``webhooks_spools[0]``.
        vendor: Whose deliveries are read, as the receiver's settings name the vendor.
        reader: Whom the spool is read for; readers do not see each other.

    Attributes:
        place: What the settings call it.
        id: What tells this spool from every other one, wherever its file is.

    Raises:
        ConfigError: There is no such file, or it is not a spool.
    """

    def __init__(self, path: str, *, place: str, vendor: str, reader: str) -> None:
        self.place, self._vendor, self._reader = place, vendor, reader
        self._path = Path(path).expanduser()
        self._locks: list[IO[bytes]] = []
        if not self._path.is_file():
            raise ConfigError(f"setting {place!r}: there is no such file; `merchant-webhooks serve` makes it")
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            self._con = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            (version,) = self._con.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                raise sqlite3.DatabaseError(f"version {version} of its tables is unknown")
            (self.id,) = self._con.execute("SELECT id FROM spool").fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise ConfigError(f"setting {place!r}: the file is not a spool that can be read: {error}") from None

    def claim(self, account: str) -> None:
        """Be the only run that reads an account's deliveries for this reader, until the process ends.

        Raises:
            ConfigError: Another run does.
        """
        digest = hashlib.sha256(f"{self._vendor}\0{account}\0{self._reader}".encode()).hexdigest()[:16]
        try:
            lock = self._path.with_name(f"{self._path.name}.{digest}.lock").open("wb")
        except OSError as error:
            raise ConfigError(f"setting {self.place!r}: its folder cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigError(
                f"setting {self.place!r}: another run reads these deliveries; end it, or give one of the two a "
                "webhooks_reader of its own"
            ) from None
        self._locks.append(lock)

    def after(self, account: str, position: int) -> list[Delivery]:
        """The next deliveries for an account, oldest first; empty if there are none.

        Args:
            account: The account.
            position: The last one that was read; 0 before the first.

        Raises:
            ApiError: The spool cannot be read.
        """
        statement = (
            "SELECT position, received_at, body FROM deliveries "
            "WHERE vendor = ? AND account = ? AND position > ? ORDER BY position LIMIT ?"
        )
        try:
            rows = self._con.execute(statement, [self._vendor, account, position, MOST_AT_ONCE]).fetchall()
        except sqlite3.Error as error:
            raise ApiError(f"the spool of {self.place} cannot be read: {error}") from None
        return [Delivery(place, received, bytes(body)) for place, received, body in rows]

    def last(self) -> int:
        """The place of the newest delivery; 0 if there is none.

        Raises:
            ApiError: The spool cannot be read.
        """
        return self._number("SELECT ifnull(max(position), 0) FROM deliveries")

    def version(self) -> int:
        """A number that is another one once somebody else has written to the spool.

        Raises:
            ApiError: The spool cannot be read.
        """
        return self._number("PRAGMA data_version")

    def _number(self, statement: str) -> int:
        try:
            (number,) = self._con.execute(statement).fetchone()
        except sqlite3.Error as error:
            raise ApiError(f"the spool of {self.place} cannot be read: {error}") from None
        return int(number)

    def commit(self, account: str, position: int) -> int:
        """Note up to where the state says that an account was read; returns up to where deliveries were removed.

        Raises:
            ConfigError: The spool cannot be written.
        """
        now = time.time_ns() // 1_000
        try:
            self._con.execute(
                "INSERT INTO readers VALUES (?, ?, ?, ?, ?) ON CONFLICT (name, vendor, account) "
                "DO UPDATE SET position = excluded.position, seen_at = excluded.seen_at",
                [self._reader, self._vendor, account, position, now],
            )
            found = self._con.execute(
                "SELECT position FROM trimmed WHERE vendor = ? AND account = ?", [self._vendor, account]
            ).fetchone()
        except sqlite3.Error as error:
            raise ConfigError(f"setting {self.place!r}: the spool cannot be written: {error}") from None
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Close the file, and let another run read it."""
        with suppress(sqlite3.Error):
            self._con.close()
        for lock in self._locks:
            lock.close()
