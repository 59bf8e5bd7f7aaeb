"""PyAirbyte into DuckDB: ``python -m benchmarks.peers.pyairbyte URL FOLDER SOURCE``.

SOURCE is the executable of a source on airbyte-cdk, which PyAirbyte runs in an environment of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import airbyte
from airbyte.caches import DuckDBCache


def main(url: str, folder: Path, source: Path) -> None:
    """Read everything."""
    cache = DuckDBCache(db_path=folder / "pyairbyte.duckdb", schema_name="bench")
    connector = airbyte.get_source(
        "source-payments", config={"api_url": url}, local_executable=source, install_if_missing=False
    )
    connector.select_all_streams()
    connector.read(cache=cache, force_full_refresh=True, write_strategy="append")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
