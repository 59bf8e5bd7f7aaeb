"""The programs that are compared on `benchmarks.api`: the limits, ours, and those of other projects."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.environments import python
from benchmarks.measure import PYTHON, ROOT, Program

ASK = "import sys, duckdb; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchone()[0])"


class Programs:
    """Programs that read from one API.

    Args:
        folder: Where they keep what they need and make.
        url: The API; it can be asked for a shorter list (see `benchmarks.api`).
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    def limit(self, name: str, records: int, *in_flight: int) -> Program:
        """One of the limits."""
        arguments = (name, f"{self._url}/{records}", str(records), *map(str, in_flight))
        return Program([PYTHON, "-m", "benchmarks.limits", *arguments])

    def tap(self, records: int, **settings: Any) -> Program:
        """Our tap."""
        return Program([PYTHON, "-m", "benchmarks.vendor", "--config", self._config(records, **settings)])

    def loader(self, path: Path, *, fresh: bool = True) -> Program:
        """Our loader."""
        if fresh:
            path.unlink(missing_ok=True)
        return Program([PYTHON, "-m", "target_duckhouse"], {"TARGET_DUCKHOUSE_PATH": str(path)})

    def singer_tap(self, records: int, writer: str = "") -> Program:
        """The stock tap."""
        command = [python("singer-sdk"), "-m", "benchmarks.peers.singer_tap", "--config", self._config(records)]
        return Program(command, {"WRITER": writer})

    def target_duckdb(self, path: Path) -> Program:
        """The registry's loader."""
        path.unlink(missing_ok=True)
        config = {"path": str(path), "database": path.stem, "default_target_schema": "main"}
        file = self._folder / "target-duckdb.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        return Program([str(Path(python("target-duckdb")).with_name("target-duckdb")), "-c", str(file)])

    def dlt(self, records: int, step: str, form: str, disposition: str = "append") -> Program:
        """The dlt pipeline."""
        folder = self._fresh("dlt")
        arguments = (f"{self._url}/{records}", str(folder), step, form, disposition)
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DLT_DATA_DIR": str(folder)}
        return Program([python("dlt"), "-m", "benchmarks.peers.dlt", *arguments], quiet)

    def airbyte(self, records: int, module: str) -> Program:
        """A source on airbyte-cdk."""
        catalog = self._folder / "airbyte.json"
        stream = {"name": "payments", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
        catalog.write_text(json.dumps({"streams": [configured]}), encoding="utf-8")
        arguments = ("read", "--config", self._config(records), "--catalog", str(catalog))
        return Program([python("airbyte-cdk"), "-m", f"benchmarks.peers.{module}", *arguments])

    def pyairbyte(self, records: int) -> Program:
        """PyAirbyte with that source."""
        folder = self._fresh("pyairbyte")
        source = folder / "source"
        interpreter = python("airbyte-cdk")
        source.write_text(
            f'#!/bin/sh\nexec {interpreter} -m benchmarks.peers.airbyte_low_code "$@"\n', encoding="utf-8"
        )
        source.chmod(0o700)
        arguments = (f"{self._url}/{records}", str(folder), str(source))
        quiet = {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(folder)}
        return Program([python("pyairbyte"), "-m", "benchmarks.peers.pyairbyte", *arguments], quiet)

    def _config(self, records: int, **settings: Any) -> str:
        told = "-".join(f"{name}={value}" if isinstance(value, bool) else name for name, value in settings.items())
        file = self._folder / f"config-{records}-{told}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"api_url": f"{self._url}/{records}", **settings}), encoding="utf-8")
        return str(file)

    def _fresh(self, name: str) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def ask(path: Path, query: str) -> int:
    """The number that a query of a DuckDB file finds.

    Another process loads DuckDB, lest it count as memory of those that are measured.
    """
    done = subprocess.run([PYTHON, "-c", ASK, str(path), query], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def count(path: Path, table: str) -> int:
    """The rows of a table in a DuckDB file."""
    return ask(path, f"SELECT count(*) FROM {table}")
