"""The page of promises, ``docs/reliability.md``, and the list of their tests: asked of the tests themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from scripts.describe import ROOT

__all__ = ["NOT_YET", "PROMISE", "Proof", "promises", "proofs", "tests_page"]

NOT_YET = "**not covered yet**"
PROMISE = re.compile(
    r"^\| \[(?P<id>[A-Z][0-9]+)\]\(reliability-tests\.md#[a-z0-9]+\) \| (?P<promise>[^|]+) \|(?P<cells>(?: [^|]*\|)+)$",
    re.MULTILINE,
)
"""A row of a table of promises."""

_HEAD = re.compile(r"^\| id \| promise \|(?: [a-z]+ \|){2,}\n\|(?: --- \|)+$", re.MULTILINE)
"""The head of a table with a column for each tap."""
_OF_NO_TAP = "LM"
"""The families of promises that the loader and the project make."""


@dataclass(frozen=True)
class Proof:
    """The tests of a promise.

    Args:
        files: Where they are.
        vendors: The vendors with whose taps it is tested.
        reasons: Why it does not concern others.
    """

    files: list[str] = field(default_factory=list)
    vendors: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


@cache
def _told() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.promises"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def proofs() -> dict[str, Proof]:
    """The tests of each promise that has some."""
    return {promise: Proof(**proof) for promise, proof in _told()["promises"].items()}


def promises(text: str) -> str:
    """The page of promises with its tables up to date: a column for each tap that the fault suite knows."""
    columns = ("id", "promise", *_told()["vendors"])
    head = f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}"
    return PROMISE.sub(_row, _HEAD.sub(head, text))


def _row(row: re.Match[str]) -> str:
    name = row["id"]
    return f"| [{name}](reliability-tests.md#{name.lower()}) | {row['promise']} | {' | '.join(_cells(name))} |"


def _cells(promise: str) -> list[str]:
    """The cells of a promise's row: for each tap, or one for the loader and the project."""
    proof, vendors = proofs().get(promise, Proof()), _told()["vendors"]
    if promise[0] in _OF_NO_TAP:
        if not proof.files:
            return [NOT_YET]
        return ["✓, with each tap" if proof.vendors == vendors else "✓"]
    return ["✓" if vendor in proof.vendors else proof.reasons.get(vendor, NOT_YET) for vendor in vendors]


def tests_page() -> str:
    """The list of the files with a promise's tests."""
    found = proofs()
    order = sorted(found, key=lambda promise: ("HPSAXCLM".index(promise[0]), int(promise[1:])))
    return "".join(
        f"\n### {promise}\n\n{''.join(f'- `{file}`{chr(10)}' for file in found[promise].files)}" for promise in order
    )
