"""Opening a DuckDB file, and handling what is peculiar to DuckDB: its memory, its log, its errors."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from pathlib import Path

import duckdb

from target_duckhouse.errors import LoadError, LockedError
from target_duckhouse.warehouse.tables import CATALOG, literal

__all__ = ["VECTOR", "connect", "explain", "make_durable", "release_cache"]

logger = logging.getLogger("target-duckhouse")

VECTOR = 2048
"""Rows that DuckDB works on at a time."""

_MOST_CACHED = 8_000_000
"""How much of the file may stay in memory between two steps, in bytes."""
_LOCKED = "IO Error: Could not set lock on file"
_HOLDER = re.compile(r"PID (\d+)")
_RETRY_S = 0.2
_NO_ROOM = "failed to pin block"  # a commit reports it inside another kind of error
_MALFORMED = re.compile(r"Malformed JSON in file .* in line \d+: (.*?)\W*$")


def connect(
    path: str, *, lock_timeout_s: float, read_only: bool = False, memory_mb: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting for another process to release it.

    Args:
        path: The file.
        lock_timeout_s: How long to wait, in seconds.
        read_only: Whether to open it for reading only.
        memory_mb: What DuckDB may use, in MB; by default most of the machine's memory.

    Raises:
        LockedError: Another process held the file the whole time.
        LoadError: The file cannot be opened.
    """
    if not read_only:
        try:
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LoadError(f"setting `path`: the folder of {path} cannot be created: {error.strerror}") from None
    con = duckdb.connect()
    if memory_mb is not None:
        con.execute(f"SET memory_limit = '{memory_mb}MB'")
    con.execute(f"SET temp_directory = {literal(path + '.tmp')}")
    con.execute("SET TimeZone = 'UTC'")
    mode = "READ_ONLY" if read_only else "RECOVERY_MODE no_wal_writes"
    attach = f"ATTACH {literal(str(Path(path).absolute()))} AS {CATALOG} ({mode})"
    deadline, is_waiting = time.monotonic() + lock_timeout_s, False
    while True:
        try:
            con.execute(attach)
        except duckdb.Error as error:
            if not str(error).startswith(_LOCKED):
                raise LoadError(f"setting `path`: {path} cannot be opened: {_first_line(error)}") from None
            holder = _HOLDER.search(str(error))
            who = f"process {holder[1]}" if holder else "another process"
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{path} is locked by {who}; waited {lock_timeout_s:g} s (setting `lock_timeout_s`)"
                ) from None
            if not is_waiting:
                logger.info(
                    "%s is in use by %s; waiting up to %g s (setting `lock_timeout_s`)", path, who, lock_timeout_s
                )
                is_waiting = True
            time.sleep(min(_RETRY_S, max(deadline - time.monotonic(), 0.01)))
        else:
            con.execute(f"USE {CATALOG}")
            return con


def make_durable(con: duckdb.DuckDBPyConnection) -> None:
    """Write what was committed to the file. A log would hold it too, but takes twice the rows' size in memory."""
    con.execute(f"CHECKPOINT {CATALOG}")


def release_cache(con: duckdb.DuckDBPyConnection, limit: int) -> None:
    """Have DuckDB give back the blocks of the file that it keeps: over time they would fill all that it may use.

    Only between transactions: what DuckDB refuses in one ends it.

    Args:
        con: The connection.
        limit: What DuckDB may use, in bytes.
    """
    used, cached = con.execute(
        "SELECT sum(memory_usage_bytes), coalesce(sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE'), 0) "
        "FROM duckdb_memory()"
    ).fetchall()[0]
    if cached > _MOST_CACHED:
        with contextlib.suppress(duckdb.OutOfMemoryException):  # some are in use
            con.execute(f"SET memory_limit = '{used - cached}B'")
        con.execute(f"SET memory_limit = '{limit}B'")


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
    return first
