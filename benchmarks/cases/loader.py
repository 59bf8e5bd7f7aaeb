"""The loader alone, beside DuckDB's bare ``read_json`` on the same file of RECORD lines.

The bare process reads with explicit columns into a table of an empty file: no checks, no key, no state.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import PYTHON, Program, run
from benchmarks.plan import Plan, figure
from benchmarks.results import Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Cost

TYPES = {
    "id": ("integer", None, "BIGINT"),
    "customer_id": ("string", None, "VARCHAR"),
    "status": ("string", None, "VARCHAR"),
    "amount": ("string", "x-singer.decimal", "DECIMAL(18,4)"),
    "created": ("string", "date-time", "TIMESTAMPTZ"),
    "_updated_at": ("string", "date-time", "TIMESTAMPTZ"),
    "paid": ("boolean", None, "BOOLEAN"),
    "total": ("number", None, "DOUBLE"),
    "count": ("integer", None, "BIGINT"),
    "meta": ("object", None, "JSON"),
    "items": ("array", None, "JSON"),
    "description": ("string", None, "VARCHAR"),
    "email": ("string", None, "VARCHAR"),
    "day": ("string", "date", "DATE"),
    "note": ("string", None, "VARCHAR"),
}
BARE = """
import sys, duckdb
path, file, columns = sys.argv[1:]
con = duckdb.connect(path)
con.execute("SET TimeZone = 'UTC'")
con.execute(f"CREATE TABLE t AS SELECT record.* FROM read_json('{file}', format='newline_delimited', "
            f"columns={{record: '{columns}'}}) WHERE record IS NOT NULL")
con.close()
"""


def measure(plan: Plan) -> dict[str, Case]:
    """CPU, start-up included, and memory; the processes take turns."""
    rows = plan.growth[1]
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {kind: write(folder, kind, rows) for kind in ("append", "upsert")}
        programs: dict[str, Callable[[], Program]] = {
            "read_json": lambda: bare(folder, files["append"]),
            "append": lambda: load(folder, "append", files["append"]),
            "upsert into an empty table": lambda: load(folder, "upsert", files["upsert"]),
            "upsert of the same rows": lambda: load(folder, "upsert", files["upsert"], fresh=False),
        }
        for _ in range(plan.turns):
            for label, program in programs.items():
                costs.setdefault(label, []).extend(run(program()))
    cpu = {label: figure([cost.cpu / rows * 1e6 for cost in found], rows) for label, found in costs.items()}
    memory = {label: figure([cost.memory for cost in found], rows) for label, found in costs.items()}
    return {
        "loader": Case("The loader alone", "CPU µs a record", {"": cpu}),
        "loader-memory": Case("The memory of the loader alone", "peak MB", {"": memory}),
    }


def write(folder: Path, kind: str, rows: int) -> Path:
    """A tap's output as a file."""
    properties = {
        name: {"type": ["null", json_type], **({"format": form} if form else {}), **sized(sql)}
        for name, (json_type, form, sql) in TYPES.items()
    }
    keys = ["id"] if kind == "upsert" else []
    head = {"type": "SCHEMA", "stream": "t", "schema": {"properties": properties}, "key_properties": keys}
    path = folder / f"{kind}-{rows}.singer"
    with path.open("w") as file:
        file.write(json.dumps(head) + "\n")
        for n in range(rows):
            file.write(LINE % line(n))
        file.write('{"type":"STATE","value":{"done":true}}\n')
    return path


def sized(sql: str) -> dict[str, int]:
    return {"precision": 18, "scale": 4} if sql.startswith("DECIMAL") else {}


LINE = (
    '{"type":"RECORD","stream":"t","record":{"id":%d,"customer_id":"cus_%06d","status":"paid","amount":"%d.%04d",'
    '"created":"2026-01-%02dT%02d:%02d:00.%06dZ","_updated_at":"2026-02-%02dT00:00:00.000000Z","paid":true,"total":%d.5,'
    '"count":%d,"meta":{"source":"web","attempt":%d,"tags":["a","b"]},"items":[{"id":%d,"name":"abc"}],'
    '"description":"Subscription of the month with a rather long text for number %d in the list of all of them",'
    '"email":"customer%d@example.com","day":"2026-01-%02d","note":"%s"},"time_extracted":"2026-03-01T00:00:00.000000Z"}\n'
)


def line(n: int) -> tuple[object, ...]:
    day, note = n % 28 + 1, "x" * 60
    moment = (day, n % 24, n % 60, n % 1_000_000)
    return (n, n % 9999, n % 99_999, n % 9999, *moment, day, n % 1000, n % 17, n % 5, n, n, n, day, note)


def bare(folder: Path, file: Path) -> Program:
    """DuckDB alone."""
    columns = "STRUCT(" + ", ".join(f'"{name}" {sql}' for name, (_, _, sql) in TYPES.items()) + ")"
    path = folder / "bare.duckdb"
    path.unlink(missing_ok=True)
    return Program([PYTHON, "-c", BARE, str(path), str(file), columns])


def load(folder: Path, kind: str, file: Path, *, fresh: bool = True) -> Program:
    """The loader."""
    path = folder / f"{kind}.duckdb"
    if fresh:
        path.unlink(missing_ok=True)
    return Program([PYTHON, "-m", "target_duckhouse"], {"TARGET_DUCKHOUSE_PATH": str(path)}, source=file)
