"""The engine and the loader beside the limits of the machine: ``python -m benchmarks.extraction [RECORDS]``.

Every program is a process of its own, measured in CPU time (user and system), the API's apart. What a program costs
before its first record is taken off by a second run over one page. The programs take turns and the middle of each
counts, because other work on the machine disturbs them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.api import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUNDS = 7


@dataclass(frozen=True)
class Cost:
    """CPU seconds, seconds and peak memory in MB of one process."""

    cpu: float
    wall: float
    memory: float


def cost(command: Sequence[str], *, stdin: Path | None = None) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: It failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = perf_counter()
    with (stdin or Path(os.devnull)).open("rb") as source:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        assert process.stderr
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(errors.decode())
    return Cost(usage.ru_utime + usage.ru_stime, perf_counter() - begun, usage.ru_maxrss / 1024)


@contextmanager
def api(records: int, latency_ms: float = 0) -> Iterator[str]:
    """The address of an API with this many records."""
    command = [sys.executable, "-m", "benchmarks.api", f"--records={records}", f"--latency-ms={latency_ms}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def commands(folder: Path, url: str, records: int) -> dict[str, dict[str, list[str]]]:
    """The programs to compare, for one API, by what they are compared for; the limit is the first of each."""
    limit = [sys.executable, "-m", "benchmarks.limits"]
    warehouse = folder / f"{records}.duckdb"
    loader = f"TARGET_DUCKHOUSE_PATH={warehouse} {sys.executable} -m target_duckhouse"
    one = shlex.join(tap(folder, url, 1))
    return {
        "extraction, output discarded": {
            "L2 pass": [*limit, "pass", url, str(records)],
            "L1 download": [*limit, "download", url, str(records)],
            **{f"tap, {many} in flight": tap(folder, url, many) for many in (1, 16)},
        },
        "into a DuckDB file": {
            "L3 load": [*limit, "load", url, str(records)],
            "tap | loader, upsert": ["sh", "-c", f"rm -f {warehouse}; {one} | {loader}"],
            "the same again": ["sh", "-c", f"{one} | {loader}"],
        },
    }


def tap(folder: Path, url: str, concurrency: int) -> list[str]:
    """The command that runs the engine's tap."""
    config = folder / f"config-{url.rpartition(':')[2]}-{concurrency}.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"api_url": url, "concurrency": concurrency}))
    return [sys.executable, "-m", "benchmarks.vendor", "--config", str(config)]


def main(records: int) -> None:
    """Measure and print."""
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, api(PAGE) as few, api(records) as many:
        small, large = commands(Path(name), few, PAGE), commands(Path(name), many, records)
        for command in small.values():
            for each in command.values():
                cost(each)
        for _ in range(ROUNDS):
            for case, programs in large.items():
                for label, command_ in programs.items():
                    spent = cost(command_).cpu - cost(small[case][label]).cpu
                    costs[case, label].append(spent / (records - PAGE) * 1e6)
    print(f"{records:,} records, {PAGE} a page; CPU of {ROUNDS} rounds, start-up taken off")
    for case, programs in large.items():
        limit, *_ = programs
        print(f"\n{case}")
        for label in programs:
            found = costs[case, label]
            times = median(found) / median(costs[case, limit])
            spread = f"(from {min(found):.2f} to {max(found):.2f})"
            print(f"{label:22} {median(found):6.2f} us a record  {times:5.2f} x {limit[:2]}  {spread}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
