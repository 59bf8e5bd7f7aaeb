"""Runs measurements: ``python -m benchmarks [CASE…]``."""

from __future__ import annotations

import argparse
import runpy
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import extraction, growth, latency, loader, metadata, vendors, warehouse
from benchmarks.plan import QUICK, Plan
from benchmarks.results import keep, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.results import Case

CASES: Mapping[str, Callable[[Plan], dict[str, Case]]] = {
    "extraction": extraction.measure,
    "warehouse": warehouse.measure,
    "latency": latency.measure,
    "growth": growth.measure,
    "heaviest": vendors.heaviest,
    "everything": vendors.everything,
    "loader": loader.measure,
    "metadata": metadata.measure,
}
APART = "http_clients"
"""Tables of another kind, for a page of their own."""


def usual(*, quick: bool) -> list[str]:
    """The cases that run where none is named; in small worlds, all that a stream costs is its start."""
    return [name for name in CASES if not (quick and name == "heaviest")]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure this project and others on the same job."
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"{', '.join((*CASES, APART))}; default: all but the last"
    )
    parser.add_argument("--quick", action="store_true", help="fewer records, and no other projects' programs")
    parser.add_argument("--keep", action="store_true", help="write results.json, from which the page is made")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout with a .venv, for the full runs")
    options = parser.parse_args()
    if unknown := set(options.cases) - {*CASES, APART}:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    if options.keep and options.quick:
        parser.error("--quick measures too little to keep")
    plan = replace(QUICK if options.quick else Plan(), against=options.against)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended then
    for name in options.cases or usual(quick=options.quick):
        if name == APART:
            runpy.run_module(f"benchmarks.{APART}", run_name="__main__")
            continue
        begun = time.monotonic()
        found = CASES[name](plan)
        for case in found.values():
            print(f"\n{case.title}\n\n{table(case)}", flush=True)
        print(f"\n{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        if options.keep:
            keep(found)


if __name__ == "__main__":
    main()
