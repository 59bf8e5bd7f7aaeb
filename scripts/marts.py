"""What follows the loads of the demo: the models of ``transform/``, without their tests, and the report.

Each takes one process: dbt's, and the report's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["DBT", "MISSING", "build", "parsing", "report"]

DBT = Path(".venv-dbt/bin/dbt")
MISSING = "The marts and the report are left out, because dbt is not installed: make dbt"
_NO_CHARTS = "The report is left out, because the extra `report` is not installed: make setup"


@contextmanager
def parsing(warehouse: Path, as_of: datetime, log: Path) -> Iterator[None]:
    """Have dbt read its project while something else goes on, so that `build` need not wait for that.

    Args:
        warehouse: The DuckDB file.
        as_of: The moment at which everything is looked at, in UTC.
        log: Where dbt's own words go.
    """
    if not DBT.exists():
        yield
        return
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(_dbt("parse"), env=_env(warehouse, as_of), stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield
        except BaseException:
            process.terminate()
            raise


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
    # `parsing` has written what dbt knows of the project; a build would do so twice more.
    command = _dbt("build", "--no-write-json", "--resource-type=seed", "--resource-type=model")
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, env=_env(warehouse, as_of), stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        return False, f"The marts could not be built; see {log}."
    return True, f"dbt built the marts in {time.monotonic() - started:.0f} s; they are in the schema `marts`."


def _dbt(*arguments: str) -> list[str]:
    return [
        *(str(DBT.absolute()), "--log-level=warn", "--log-level-file=none", *arguments),
        *("--project-dir=transform", "--profiles-dir=transform"),
    ]


def _env(warehouse: Path, as_of: datetime) -> dict[str, str]:
    return {**os.environ, "MERCHANT_WAREHOUSE": str(warehouse.absolute()), "MERCHANT_AS_OF": as_of.isoformat()}


def report(warehouse: Path, as_of: datetime, page: Path) -> tuple[bool, str]:
    """Make the report from the marts.

    Args:
        warehouse: The DuckDB file.
        as_of: The moment at which the marts look at everything, in UTC.
        page: The page to write.

    Returns:
        Whether it worked, and what to show: what the page says in short, and where it is.
    """
    if not DBT.exists():
        return True, ""
    if not find_spec("vl_convert"):
        return True, _NO_CHARTS
    command = [sys.executable, "-m", "merchant_report", "build", f"--warehouse={warehouse}", f"--out={page}"]
    done = subprocess.run(
        [*command, f"--as-of={as_of.isoformat()}"], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        return False, f"The report could not be made. {done.stderr.strip()}"
    said = "".join(f"\n  {line}" for line in done.stdout.splitlines())
    return True, f"The report is {page}; open it in a browser. It says, among other things:{said}"
