"""Syncs a source into a cache of PyAirbyte's, run by PyAirbyte's own environment; writes what is in it as JSON.

Takes a file with the source's ``name`` and ``config``, the ``cache`` (a file for DuckDB, a port for PostgreSQL), its
``schema``, and the file to ``write``.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import airbyte
from airbyte.caches import DuckDBCache, PostgresCache
from sqlalchemy import text


def plain(value: Any) -> Any:
    """A value of a column in a form of its own: exact, and readable by anyone."""
    match value:
        case dt.datetime(tzinfo=None):
            return {"without zone": value.isoformat()}
        case dt.datetime():
            return {"instant": value.astimezone(dt.UTC).isoformat(timespec="microseconds")}
        case dt.date():
            return {"date": value.isoformat()}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
    return {"decimal": str(value)}


def main(path: str) -> None:
    warnings.simplefilter("ignore")
    wanted = json.loads(Path(path).read_text(encoding="utf-8"))
    if isinstance(wanted["cache"], int):
        place = {"host": "127.0.0.1", "port": wanted["cache"], "username": "postgres", "password": "unused"}
        cache = PostgresCache(**place, database="postgres", schema_name=wanted["schema"])
    else:
        cache = DuckDBCache(db_path=wanted["cache"], schema_name=wanted["schema"])
    source = airbyte.get_source(wanted["name"], config=wanted["config"], streams="*")
    source.check()
    result = source.read(cache=cache)
    found = {}
    with cache.get_sql_engine().connect() as connection:
        for stream in result.streams:
            table = result[stream].to_sql_table()
            rows = connection.execute(text(f'SELECT * FROM "{table.schema}"."{table.name}"')).mappings()
            found[stream] = [dict(row) for row in rows]
    text_ = json.dumps({"processed": result.processed_records, "rows": found}, default=plain)
    Path(wanted["write"]).write_text(text_, encoding="utf-8")


main(sys.argv[1])
