"""The loader beside DuckDB's bare ``read_json``: ``python -m benchmarks.loader [ROWS]``.

Everything is measured as CPU time of whole processes and given as a ratio within one run, because machines differ. The
bare process reads the same file of RECORD lines with explicit columns into a table of an empty DuckDB file: no checks,
no key, no state.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {(kind, n): write(folder, kind, n) for kind in ("append", "upsert") for n in (1, rows // 100, rows)}
        size = files["append", rows].stat().st_size // rows
        print(f"{rows:,} records of {size} bytes, best of {ROUNDS}\n")
        start = best(load(folder, files["append", 1]) for _ in range(ROUNDS))
        bare = best(read_bare(folder, files["append", rows]) for _ in range(ROUNDS))
        append = best(load(folder, files["append", rows]) for _ in range(ROUNDS))
        table = folder / "upsert.duckdb"
        load(folder, files["upsert", rows], table)
        upsert = best(load(folder, files["upsert", rows], table, keep=True) for _ in range(ROUNDS))
        few = best(load(folder, files["append", rows // 100]) for _ in range(ROUNDS))
        show(rows=rows, start=start, bare=bare, append=append, upsert=upsert, few=few)


def show(*, rows: int, start: Cost, bare: Cost, append: Cost, upsert: Cost, few: Cost) -> None:
    lines = [("bare read_json", bare), ("append", append), ("upsert, same size", upsert)]
    for label, cost in lines:
        each = cost.cpu / rows * 1e6
        print(f"{label:20} {each:6.2f} us/record  {cost.cpu / bare.cpu:5.2f} x bare  {cost.memory:5} MB at most")
    small, large = (few.cpu - start.cpu) / (rows // 100) * 1e6, (append.cpu - start.cpu) / rows * 1e6
    print(f"\nbeyond the {start.cpu:.2f} s of a run with one record:")
    print(f"{small:.2f} us/record at {rows // 100:,}, {large:.2f} at {rows:,}")


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


def best(costs: Iterable[Cost]) -> Cost:
    """The least CPU time, which other processes disturbed least, and the most memory."""
    measured = list(costs)
    return Cost(min(cost.cpu for cost in measured), max(cost.memory for cost in measured))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
