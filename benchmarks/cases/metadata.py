"""What a warehouse that explains itself costs the loader: the same records with all of it and without any of it.

With it, tables have the times of loading, schemas describe each property, and each STATE of a stream with a key tells
that the whole table was read, so that rows that did not come are marked. The history comes on top.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cases import loader
from benchmarks.measure import PYTHON, Program, run
from benchmarks.plan import Plan, figure
from benchmarks.results import Case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measure import Cost

LOADS = {
    "append": ("append", ""),
    "upsert into an empty table": ("upsert", ""),
    "upsert of the same rows": ("upsert", ""),
    "upsert, a tenth of the rows changed": ("upsert", "y" * 60),
}
"""What is loaded, one after the other: into which file, and the note that every tenth row has."""
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "without": {"ADD_RECORD_METADATA": "false"},
    "with": {"HARD_DELETE": "false"},
    "with, and with history": {"HARD_DELETE": "false", "HISTORY": "true"},
}


def measure(plan: Plan) -> dict[str, Case]:
    """CPU, start-up included; the processes take turns."""
    costs: dict[tuple[str, str], list[Cost]] = {}
    rows = plan.records
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            (kind, note, told): write(folder, kind, rows, note, told=told)
            for kind, note in dict.fromkeys(LOADS.values())
            for told in (False, True)
        }
        for _ in range(plan.turns):
            for path in folder.glob("*.duckdb"):
                path.unlink()
            for load, (kind, note) in LOADS.items():
                for label, settings in SETTINGS.items():
                    if kind == "append" and "HISTORY" in settings:
                        continue  # without a key there is none
                    path, file = folder / f"{kind} {label}.duckdb", files[kind, note, label != "without"]
                    costs.setdefault((load, label), []).extend(run(program(path, file, settings)))
    groups: dict[str, Any] = {load: {} for load in LOADS}
    for (load, label), found in costs.items():
        groups[load][label] = figure([cost.cpu / rows * 1e6 for cost in found], rows)
    return {"metadata": Case("What times, comments and scopes cost the loader", "CPU µs a record", groups)}


def program(path: Path, file: Path, settings: Mapping[str, str]) -> Program:
    """The loader, on a file."""
    env = {"TARGET_DUCKHOUSE_PATH": str(path)} | {f"TARGET_DUCKHOUSE_{name}": text for name, text in settings.items()}
    return Program([PYTHON, "-m", "target_duckhouse"], env, source=file)


def write(folder: Path, kind: str, rows: int, note: str, *, told: bool) -> Path:
    """A tap's output as a file.

    Args:
        folder: Where it goes.
        kind: Whether the stream has a key: ``upsert`` or ``append``.
        rows: How many records it has.
        note: What every tenth record has in its property ``note``, if anything else than the others.
        told: Whether the schema describes the properties, and the STATE tells that all has been read.
    """
    plain = loader.write(folder, kind, rows)
    path = folder / f"{kind}-{note[:1]}-{told}.singer"
    with plain.open() as source, path.open("w") as target:
        for number, line in enumerate(source):
            text = line
            if told and line.startswith('{"type":"STATE"'):
                scopes: dict[str, Any] = {"bookmarks": {"t": {"_scopes_read": [{}]}}}
                text = json.dumps({"type": "STATE", "value": scopes}) + "\n"
            elif told and number == 0:
                head = json.loads(line)
                for name, member in head["schema"]["properties"].items():
                    member["description"] = (
                        f"What the vendor says of {name}, in a sentence that is as long as this one."
                    )
                head["schema"] |= {"description": "Payments.", **({"x-scopes": []} if kind == "upsert" else {})}
                text = json.dumps(head) + "\n"
            elif note and number % 10 == 1:
                text = line.replace("x" * len(note), note)
            target.write(text)
    return path
