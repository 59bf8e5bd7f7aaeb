"""The loader beside DuckDB's bare ``read_json``: ``python -m benchmarks.loader [ROWS]``.

Everything is measured as CPU time (user and system) of whole processes, their start included, and given as a ratio
within one run, because machines differ. The bare process reads the same file of RECORD lines with explicit columns into
a table of an empty DuckDB file: no checks, no key, no state.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROUNDS = 3
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


@dataclass(frozen=True)
class Cost:
    """CPU seconds and peak memory in MB of one process."""

    cpu: float
    memory: int


def main(rows: int) -> None:
    """Measure and print. The processes take turns, so that what else the machine does disturbs all of them alike."""
    few = max(rows // 100, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {(kind, n): write(folder, kind, n) for kind in ("append", "upsert") for n in (1, few, rows)}
        size = files["append", rows].stat().st_size // rows
        print(f"{rows:,} records of {size} bytes, median of {ROUNDS} rounds\n")
        costs: dict[str, list[Cost]] = defaultdict(list)
        for _ in range(ROUNDS):
            costs["bare read_json"].append(read_bare(folder, files["append", rows]))
            costs["append"].append(load(folder, files["append", rows]))
            table = folder / "upsert.duckdb"
            costs["upsert, empty table"].append(load(folder, files["upsert", rows], table))
            costs["upsert, same size"].append(load(folder, files["upsert", rows], table, keep=True))
            for kind in ("append", "upsert"):
                costs[f"{kind} one"].append(load(folder, files[kind, 1]))
                costs[f"{kind} few"].append(load(folder, files[kind, few]))
        show(rows, few, {label: middle(measured) for label, measured in costs.items()})


def show(rows: int, few: int, costs: dict[str, Cost]) -> None:
    bare = costs["bare read_json"]
    for label in ("bare read_json", "append", "upsert, empty table", "upsert, same size"):
        cost = costs[label]
        each = cost.cpu / rows * 1e6
        print(f"{label:20} {each:6.2f} us/record  {cost.cpu / bare.cpu:5.2f} x bare  {cost.memory:5} MB at most")
    print()
    for kind, all_ in (("append", "append"), ("upsert", "upsert, empty table")):
        start = costs[f"{kind} one"].cpu
        small, large = (costs[f"{kind} few"].cpu - start) / few * 1e6, (costs[all_].cpu - start) / rows * 1e6
        print(
            f"{kind}: {start:.2f} s for the first record, {small:.2f} us for each of {few:,}, {large:.2f} of {rows:,}"
        )


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


def read_bare(folder: Path, file: Path) -> Cost:
    columns = "STRUCT(" + ", ".join(f'"{name}" {sql}' for name, (_, _, sql) in TYPES.items()) + ")"
    path = folder / "bare.duckdb"
    path.unlink(missing_ok=True)
    return run([sys.executable, "-c", BARE, str(path), str(file), columns], None)


def load(folder: Path, file: Path, path: Path | None = None, *, keep: bool = False) -> Cost:
    path = path or folder / "load.duckdb"
    if not keep:
        path.unlink(missing_ok=True)
    os.environ["TARGET_DUCKHOUSE_PATH"] = str(path)
    return run([sys.executable, "-m", "target_duckhouse"], file)


def run(command: list[str], file: Path | None) -> Cost:
    with (file or Path(os.devnull)).open("rb") as source:
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(errors.decode())
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def middle(costs: list[Cost]) -> Cost:
    """The median of the CPU time, and the most memory."""
    return Cost(median(cost.cpu for cost in costs), max(cost.memory for cost in costs))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
