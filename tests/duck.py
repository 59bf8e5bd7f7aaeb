"""DuckDB files, read by one instance of DuckDB in each test process, because starting one takes ten times as long."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["reading"]


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads a file as it is now, with times in UTC; the file's database has its usual name."""
    with _instance().cursor() as con:
        file = str(path).replace("'", "''")
        con.execute(f"ATTACH '{file}' AS \"{path.stem}\" (READ_ONLY)")
        try:
            con.execute(f"USE \"{path.stem}\"; SET TimeZone = 'UTC'")
            yield con
        finally:
            con.execute("USE memory")
            con.execute(f'DETACH "{path.stem}"')
