"""The five taps against the sandbox, whose own CPU does not count: their heaviest streams, and everything they read."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.environments import python
from benchmarks.measure import PYTHON, ROOT, Cost, Program, output, run
from benchmarks.plan import PEER_ROUNDS, Plan, figure
from benchmarks.programs import ask
from benchmarks.results import Case, Figure
from merchant_sandbox.client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from merchant_sandbox.client import World

HEAVIEST: Mapping[str, str] = {
    "peakium": "invoices",
    "premiumpay": "sales",
    "peerassist": "fwos",
    "pegke": "points_history",
    "peek": "bookings",
}
"""Each vendor's stream that costs most."""
SWITCHES = {"premiumpay": {"rate_limit": 0}}
"""Nobody waits an hour for the next hundred calls."""
SMALLEST = "demo"
"""The size of worlds in which a program costs little but its start."""
OURS = "this project"
UNIT = "CPU µs a record"
Pair = tuple[Cost, Cost]
"""What a tap and its loader took."""
ROWS = "SELECT sum(inserted) FROM main._singer_loads"


@dataclass(frozen=True)
class Account:
    """One vendor's data in the sandbox, and where its taps find their settings.

    Args:
        folder: Where files go.
        vendor: The vendor.
        world: The world.
        checkout: The project whose programs run.
    """

    folder: Path
    vendor: str
    world: World
    checkout: Path = ROOT

    @property
    def config(self) -> str:
        """A file with the settings."""
        file = self.folder / f"{self.vendor}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(self.world.config(self.vendor)), encoding="utf-8")
        return str(file)

    def tap(self, *arguments: str) -> Program:
        """The tap."""
        interpreter = PYTHON if self.checkout == ROOT else str(self.checkout / ".venv/bin/python")
        command = [interpreter, "-m", f"tap_{self.vendor}", "--config", self.config, *arguments]
        return Program(command, {"MERCHANT_CLOCK": self.world.clock()}, self.checkout)

    def loader(self) -> Program:
        """The loader, into a new warehouse."""
        self.warehouse.unlink(missing_ok=True)
        interpreter = PYTHON if self.checkout == ROOT else str(self.checkout / ".venv/bin/python")
        path = {"TARGET_DUCKHOUSE_PATH": str(self.warehouse)}
        return Program([interpreter, "-m", "target_duckhouse"], path, self.checkout)

    @property
    def warehouse(self) -> Path:
        """The file that the loader makes."""
        return self.folder / f"{self.vendor}.duckdb"

    def only(self, stream: str) -> str:
        """A catalog file in which one stream is selected."""
        catalog = json.loads(b"".join(output(self.tap("--discover"))))
        for entry in catalog["streams"]:
            for each in entry["metadata"]:
                if not each["breadcrumb"]:
                    each["metadata"]["selected"] = entry["tap_stream_id"] == stream
        file = self.folder / f"{self.vendor}-catalog.json"
        file.write_text(json.dumps(catalog), encoding="utf-8")
        return str(file)


@contextmanager
def accounts(plan: Plan, checkout: Path = ROOT) -> Iterator[Mapping[str, Account]]:
    """All vendors' data in one sandbox."""
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        world = sandbox.world(seed=1, size=plan.size, switches=SWITCHES)
        yield {vendor: Account(Path(name), vendor, world, checkout) for vendor in plan.vendors}


def heaviest(plan: Plan) -> dict[str, Case]:
    """CPU of the heaviest streams, with all their transformations; then without what a small world costs."""
    whole: dict[str, dict[str, Figure]] = {}
    apart: dict[str, dict[str, Figure]] = {}
    with accounts(plan) as found, accounts(replace(plan, size=SMALLEST)) as small:
        for vendor, account in found.items():
            group = f"{vendor}: {HEAVIEST[vendor]}"
            little = programs(plan, small[vendor])
            for label, (many, records) in programs(plan, account).items():
                few, start = little[label]
                rounds = 3 if label == OURS else 1 if records > 100_000 else PEER_ROUNDS
                costs = [(cpu(run(many)), cpu(run(few))) for _ in range(rounds)]
                whole.setdefault(group, {})[label] = figure([cost / records * 1e6 for cost, _ in costs], records)
                if records > start:
                    each = [(cost - begun) / (records - start) * 1e6 for cost, begun in costs]
                    apart.setdefault(group, {})[label] = figure(each, records)
    cases = {"heaviest": Case("The heaviest streams, with all transformations", UNIT, whole)}
    return cases | ({"heaviest-records": Case("The same without the start", UNIT, apart)} if apart else {})


def programs(plan: Plan, account: Account) -> dict[str, tuple[Program, int]]:
    """The programs that read a vendor's heaviest stream, each with the number of its records."""
    ours = account.tap("--catalog", account.only(HEAVIEST[account.vendor]))
    records = sum(line.startswith(b'{"type":"RECORD"') for line in output(ours))
    if not plan.peers:
        return {OURS: (ours, records)}
    command = [python("singer-sdk"), "-m", "benchmarks.peers.singer_vendors", account.vendor]
    return {OURS: (ours, records), "singer-sdk": (Program([*command, "--config", account.config]), records)}


def cpu(costs: Sequence[Cost]) -> float:
    """CPU seconds of some processes, start-up included."""
    return sum(cost.cpu for cost in costs)


def everything(plan: Plan) -> dict[str, Case]:
    """CPU of a full run of each tap into the warehouse."""
    checkouts = {OURS: ROOT}
    if plan.against:
        checkouts[f"commit {commit(plan.against)}"] = plan.against.resolve()
    runs: dict[tuple[str, str], list[Pair]] = {}
    rows: dict[tuple[str, str], int] = {}
    with accounts(plan) as found:
        for vendor, account in found.items():
            run(account.tap())  # the sandbox makes what it answers
            for _ in range(plan.turns):
                for label, checkout in checkouts.items():
                    chosen = replace(account, checkout=checkout)
                    tap, loader = run(chosen.tap(), chosen.loader())
                    runs.setdefault((vendor, label), []).append((tap, loader))
                    rows[vendor, label] = ask(chosen.warehouse, ROWS)
    groups = {vendor: {each: told(runs[vendor, each], rows[vendor, each]) for each in checkouts} for vendor in found}
    groups["all of them"] = {
        each: told(
            [added([runs[vendor, each][turn] for vendor in found]) for turn in range(plan.turns)],
            sum(rows[vendor, each] for vendor in found),
        )
        for each in checkouts
    }
    return {"everything": Case("Everything, into a warehouse", "CPU s of tap and loader", groups)}


def told(runs: Sequence[Pair], rows: int) -> Figure:
    """The CPU of some runs of a tap and its loader."""
    tap, loader = (median(pair[place].cpu for pair in runs) for place in (0, 1))
    wall = median(pair[0].wall for pair in runs)
    return figure(
        [sum(cost.cpu for cost in pair) for pair in runs], rows, f"{tap:.1f} + {loader:.1f}, {wall:.1f} s in all"
    )


def added(runs: Sequence[Pair]) -> Pair:
    """Runs of several taps, one after the other."""
    taps, loaders = zip(*runs, strict=True)
    return total(taps), total(loaders)


def total(costs: Sequence[Cost]) -> Cost:
    """What several processes took, one after the other."""
    return Cost(sum(cost.cpu for cost in costs), sum(cost.wall for cost in costs), max(cost.memory for cost in costs))


def commit(checkout: Path) -> str:
    """The name of what is checked out."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
