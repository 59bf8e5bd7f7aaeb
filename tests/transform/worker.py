"""Runs dbt again and again in one process, because starting it costs seconds; a program of dbt's own environment.

Each line of standard input is ``{"arguments": [...], "env": {...}}``, each line of standard output
``{"success": true, "nodes": {"marts.bookings": "success"}, "messages": [...]}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner


def main() -> None:
    """Answer until the input ends. What dbt prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    manifest = None
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["env"])
        done = dbtRunner(manifest=manifest).invoke(asked["arguments"])
        if manifest is None and done.success and asked["arguments"][0] == "parse":
            manifest = done.result
        DuckDBConnectionManager.close_all_connections()  # others want the file
        answers.write(json.dumps(_answer(done)) + "\n")
        answers.flush()


def _answer(done: Any) -> dict[str, Any]:
    results = getattr(done.result, "results", None) or []
    messages = [f"{each.node.name}: {each.message}" for each in results if each.status in {"error", "fail", "warn"}]
    if done.exception:
        messages.append(str(done.exception))
    return {
        "success": bool(done.success),
        "nodes": {each.node.unique_id: str(each.status) for each in results},
        "messages": messages,
    }


if __name__ == "__main__":
    main()
