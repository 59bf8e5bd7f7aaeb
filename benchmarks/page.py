"""Makes the generated parts of ``docs/performance.md``, and its chart, from what was measured; it measures nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks import chart, results
from benchmarks.environments import PINS
from benchmarks.measure import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.results import Results

PAGE = ROOT / "docs/performance.md"
CHART = ROOT / "docs/performance.svg"
OURS = "this project, 16 in flight"
SUMMARY = (
    (
        "Extraction, against the limit L2",
        "extraction",
        "this project, 1 in flight",
        "limit L2: download, decode, encode",
    ),
    ("… with 16 requests in flight", "extraction", OURS, "limit L2: download, decode, encode"),
    ("… against a tap on singer-sdk", "extraction", OURS, "singer-sdk"),
    ("… against dlt, which gets decoded pages", "extraction", OURS, "dlt, decoded pages"),
    ("… against dlt, which gets Arrow tables", "extraction", OURS, "dlt, Arrow tables"),
    ("… against a low-code source on airbyte-cdk", "extraction", OURS, "airbyte-cdk, low-code"),
    ("Into DuckDB, append, against the limit L3", "warehouse", "this project, append", "limit L3: download, read_json"),
    ("… upsert", "warehouse", "this project, upsert", "limit L3: download, read_json"),
    ("… append, with BATCH", "warehouse", "this project, append, BATCH", "limit L3: download, read_json"),
    ("… upsert, with BATCH", "warehouse", "this project, upsert, BATCH", "limit L3: download, read_json"),
    (
        "… append, against dlt, which gets decoded pages",
        "warehouse",
        "this project, append",
        "dlt, decoded pages, append",
    ),
    (
        "… append, against dlt, which gets Arrow tables",
        "warehouse",
        "this project, append",
        "dlt, Arrow tables, append",
    ),
    (
        "… upsert, against singer-sdk and target-duckdb",
        "warehouse",
        "this project, upsert",
        "singer-sdk and target-duckdb",
    ),
    ("… append, against PyAirbyte", "warehouse", "this project, append", "PyAirbyte, append"),
    ("A page at 100 ms of latency, against the limit L1", "latency", "this project", "limit L1: download"),
)
"""What is said first: how it is called, the case, and the two programs that are compared."""
_PART = re.compile(r"(?P<begin><!-- begin (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end (?P=name) -->)", re.DOTALL)


def page(found: Results) -> str:
    """The page with its generated parts."""
    made: Mapping[str, str] = {
        "summary": summary(found),
        "machine": "".join(f"- {name}: {value}\n" for name, value in found.machine.items()),
        "versions": "".join(f"- `{pins.stem}`: {pinned(pins)}\n" for pins in sorted(PINS.glob("*.txt"))),
        **{name: results.table(case) + "\n" for name, case in found.cases.items()},
    }
    text = PAGE.read_text(encoding="utf-8")
    return _PART.sub(lambda part: f"{part['begin']}\n{made[part['name']]}\n{part['end']}", text)


def summary(found: Results) -> str:
    """The comparisons that say most, as a table."""
    rows = ["| comparison | this project takes |", "|---|--:|"]
    for label, case, ours, other in SUMMARY:
        if found.cases.get(case):
            figures = found.cases[case].groups[""]
            rows.append(f"| {label} | {ratio(figures[ours].value, figures[other].value)} |")
    return "\n".join(rows) + "\n"


def ratio(ours: float, other: float) -> str:
    """How much we take of what another one takes."""
    return f"1/{other / ours:.1f}" if ours < other else f"{ours / other:.2f} times"


def pinned(pins: Path) -> str:
    """The versions of what a file wants."""
    wanted, *lines = pins.read_text(encoding="utf-8").splitlines()
    names = re.findall(r"(?:^# |, )([\w-]+)", wanted)
    return ", ".join(line.replace("==", " ") for line in lines if line.partition("==")[0] in names)


def main() -> None:
    """Write page and chart."""
    found = results.read()
    PAGE.write_text(page(found), encoding="utf-8")
    CHART.write_text(chart.bars([found.cases[name] for name in ("extraction", "warehouse")]), encoding="utf-8")


if __name__ == "__main__":
    main()
