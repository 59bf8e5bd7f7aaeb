"""What was measured, as it is kept in ``results.json`` and shown."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec

PATH = Path(__file__).with_name("results.json")


class Figure(msgspec.Struct, omit_defaults=True):
    """One number.

    Args:
        value: The median of the rounds, in the unit of its case.
        low: The lowest.
        high: The highest.
        records: How many records were read.
        note: What else is to say.
    """

    value: float
    low: float
    high: float
    records: int
    note: str = ""

    def __post_init__(self) -> None:
        self.value, self.low, self.high = (round(each, 3) for each in (self.value, self.low, self.high))


class Case(msgspec.Struct):
    """One comparison.

    Args:
        title: What is compared.
        unit: Of all numbers.
        groups: By what is compared, the figures by their program; the others are given as multiples of the first.
    """

    title: str
    unit: str
    groups: dict[str, dict[str, Figure]]


class Results(msgspec.Struct):
    """All comparisons, and the machine."""

    machine: dict[str, str]
    cases: dict[str, Case]


def machine() -> dict[str, str]:
    """What the figures depend on; nothing that tells one machine from another of its kind."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = ("singer-sdk", "msgspec", "pycurl", "duckdb")
    return {
        "processor": model or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def read() -> Results:
    """The results that are kept."""
    return msgspec.json.decode(PATH.read_bytes(), type=Results)


def keep(cases: dict[str, Case]) -> None:
    """Keep new results; those of other cases stay if they are this machine's."""
    found = machine()
    kept = read().cases if PATH.exists() and read().machine == found else {}
    text = msgspec.json.encode(Results(found, kept | cases))
    PATH.write_bytes(msgspec.json.format(text, indent=1) + b"\n")


def table(case: Case) -> str:
    """A case as a table in Markdown."""
    named = len(case.groups) > 1
    rows = [f"| {'group | ' if named else ''}program | {case.unit} | ratio | range | records |"]
    rows.append("|---|" + ("---|" if named else "") + "--:|--:|--:|--:|")
    for group, figures in case.groups.items():
        first = next(iter(figures.values()))
        for program, each in figures.items():
            label = f"{program} ({each.note})" if each.note else program
            ratio = f"{each.value / first.value:.2f}" if first.value else ""
            numbers = f"{short(each.value)} | {ratio} | {short(each.low)} … {short(each.high)} | {each.records:,}"
            rows.append(f"| {f'{group} | ' if named else ''}{label} | {numbers} |")
    return "\n".join(rows)


def short(value: float) -> str:
    """A number with three digits that tell something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
