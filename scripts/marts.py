"""The models of ``transform/`` in the demo's warehouse: built by dbt in one process, without their tests."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["DBT", "MISSING", "build"]

DBT = Path(".venv-dbt/bin/dbt")
MISSING = "The marts are left out, because dbt is not installed: make dbt"


def build(warehouse: Path, as_of: datetime, log: Path) -> tuple[bool, str]:
    """Build all models that are not up to date.

    Args:
        warehouse: The DuckDB file.
        as_of: The moment at which everything is looked at, in UTC.
        log: Where dbt's own words go.

    Returns:
        Whether it worked, and a line to show.
    """
    if not DBT.exists():
        return True, MISSING
    started = time.monotonic()
    command = [
        *(str(DBT.absolute()), "--log-level=none", "build", "--resource-type=seed", "--resource-type=model"),
        *("--project-dir=transform", "--profiles-dir=transform"),
    ]
    env = {**os.environ, "MERCHANT_WAREHOUSE": str(warehouse.absolute()), "MERCHANT_AS_OF": as_of.isoformat()}
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, env=env, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        return False, f"The marts could not be built; see {log}."
    return True, f"dbt built the marts in {time.monotonic() - started:.0f} s; they are in the schema `marts`."
