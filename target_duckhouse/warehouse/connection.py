"""Opening a DuckDB file, and handling what is peculiar to DuckDB: its memory, its log, its errors."""

from __future__ import annotations

import logging
import os
import random
import re
import time
from contextlib import suppress
from pathlib import Path

import duckdb

from target_duckhouse.errors import LoadError, LockedError
from target_duckhouse.warehouse.tables import CATALOG, literal

__all__ = [
    "PAUSE_S",
    "VECTOR",
    "attach",
    "connect",
    "create",
    "detach",
    "explain",
    "make_durable",
    "wait_a_little",
    "without_file",
]

logger = logging.getLogger("target-duckhouse")

PAUSE_S = 0.02
"""How long a file is left to others between two commits, in seconds: longer than they wait between two looks at it."""
VECTOR = 2048
"""Rows that DuckDB works on at a time."""

_LOCKED = "IO Error: Could not set lock on file"
_HOLDER = re.compile(r"PID (\d+)")
_PATIENCE_S = 1.0
"""How long to wait in silence: as long as another load usually takes to commit."""
_RETRY_S = (0.005, 0.015)
"""How long to wait before the next look at a file that is locked: at least, and at most."""
_NO_ROOM = "failed to pin block"  # a commit reports it inside another kind of error
_DETACHED = "during DETACH failed"  # why, is on the next line
_MALFORMED = re.compile(r"Malformed JSON in file .* in line \d+: (.*?)\W*$")


def connect(path: str, *, lock_timeout_s: float, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting for another process to release it.

    Args:
        path: The file.
        lock_timeout_s: How long to wait, in seconds.
        read_only: Whether to open it for reading only.

    Raises:
        LockedError: Another process held the file the whole time.
        LoadError: The file cannot be opened.
    """
    con = without_file(f"{path}.tmp")
    attach(con, path, lock_timeout_s=lock_timeout_s, read_only=read_only)
    return con


def without_file(temporary: str) -> duckdb.DuckDBPyConnection:
    """A connection that has no DuckDB file yet. Temporary tables live as long as it does, whatever is attached to it.

    Args:
        temporary: The folder for what does not fit into memory. No other process may be using it.
    """
    con = duckdb.connect()
    con.execute(f"SET temp_directory = {literal(temporary)}")
    con.execute("SET TimeZone = 'UTC'")
    return con


def create(con: duckdb.DuckDBPyConnection, path: str, folder: Path) -> None:
    """Make an empty DuckDB file, unless there is one. It appears whole or not at all, even on a disk that is full.

    Args:
        con: A connection that has no file.
        path: The file.
        folder: Where it is made, on the same file system.

    Raises:
        LoadError: It cannot be made.
    """
    goal, new = os.path.realpath(path), folder / "new.duckdb"
    if os.path.exists(goal):  # noqa: PTH110  what is not there, and what cannot be looked at
        return
    try:
        con.execute(f"ATTACH {literal(str(new))} AS {CATALOG} (RECOVERY_MODE no_wal_writes)")
        con.execute(f"DETACH {CATALOG}")
    except duckdb.Error as error:
        raise LoadError(f"setting `path`: {path} cannot be created: {_first_line(error)}") from None
    with suppress(OSError):  # there is one by now; or the file system has no links, and DuckDB makes it where it is
        os.link(new, goal)
    new.unlink()


def attach(con: duckdb.DuckDBPyConnection, path: str, *, lock_timeout_s: float, read_only: bool = False) -> None:
    """Attach a DuckDB file to a connection, as its database `CATALOG`, waiting for another process to release it.

    DuckDB has no queue for those that wait. So they look often, each at times of its own, and a loader that has just
    committed leaves them longer than that, `PAUSE_S`, before it asks for the file again.

    Args:
        con: A connection that has no file.
        path: The file.
        lock_timeout_s: How long to wait, in seconds.
        read_only: Whether to open it for reading only.

    Raises:
        LockedError: Another process held the file the whole time.
        LoadError: The file cannot be opened.
    """
    mode = "READ_ONLY" if read_only else "RECOVERY_MODE no_wal_writes"
    statement = f"ATTACH {literal(str(Path(path).absolute()))} AS {CATALOG} ({mode})"
    begun, is_told = time.monotonic(), False
    while True:
        try:
            con.execute(statement)
        except duckdb.Error as error:
            if not str(error).startswith(_LOCKED):
                raise LoadError(f"setting `path`: {path} cannot be opened: {_first_line(error)}") from None
            holder = _HOLDER.search(str(error))
            who = f"process {holder[1]}" if holder else "another process"
            waited = time.monotonic() - begun
            if waited >= lock_timeout_s:
                raise LockedError(
                    f"{path} is locked by {who}; waited {lock_timeout_s:g} s (setting `lock_timeout_s`)"
                ) from None
            if waited >= _PATIENCE_S and not is_told:
                logger.info(
                    "%s is in use by %s; waiting up to %g s (setting `lock_timeout_s`)", path, who, lock_timeout_s
                )
                is_told = True
            wait_a_little()
        else:
            con.execute(f"USE {CATALOG}")
            return


def wait_a_little() -> None:
    """Wait before the next look at something that another process holds: not in step with others that wait."""
    time.sleep(random.uniform(*_RETRY_S))  # noqa: S311  not a secret


def detach(con: duckdb.DuckDBPyConnection) -> None:
    """Let go of the file, and of its blocks in memory.

    Raises:
        LoadError: What is in the file could not be written to the disk.
    """
    con.execute("USE memory")
    try:
        con.execute(f"DETACH {CATALOG}")
    except duckdb.Error as error:
        raise LoadError(explain(error)) from error


def make_durable(con: duckdb.DuckDBPyConnection) -> None:
    """Write what was committed to the file. A log would hold it too, but takes twice the rows' size in memory."""
    con.execute(f"CHECKPOINT {CATALOG}")


def explain(error: duckdb.Error, burden: str = "raise the setting `memory_limit_mb` or lower `batch_rows`") -> str:
    """Summarise an error of DuckDB in one line. Texts that may hold values of a record are left out.

    Args:
        error: The error.
        burden: What needs the memory and what helps, if there was not enough of it.
    """
    text = _first_line(error)
    if isinstance(error, duckdb.OutOfMemoryException) or _NO_ROOM in text:
        return f"DuckDB ran out of memory: {burden} ({text})"
    if "duplicate key" in text:
        return "a record has the same property twice; DuckDB cannot tell which one counts"
    if malformed := _MALFORMED.search(text):
        return f"DuckDB cannot read a line: {malformed[1]}"
    if isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
        return "DuckDB cannot convert a value to the type of its column"
    return f"DuckDB: {text}"


def _first_line(error: Exception) -> str:
    first, *others = str(error).split("\n")
    if first.startswith("Traceback"):  # what a file system in Python said
        return next((line for line in others if line and not line.startswith(" ")), first)
    return others[0] if others and _DETACHED in first else first
