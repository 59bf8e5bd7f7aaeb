"""The page on troubleshooting quotes messages that exist, and at least one of every kind of error."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

import tap_core.errors
import target_duckhouse.errors
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.*?) \| .* \| .* \|$", PAGE, re.MULTILINE)
QUOTED = [
    (two or one)
    for row in ROWS
    for two, one in re.findall(r"``(.+?)``|(?<!`)`([^`]+)`", row)
    if "…" in row or " " in row
]
PACKAGES = ["tap_core", "target_duckhouse", *(path.name for path in ROOT.glob("tap_*/") if path.name != "tap_core")]
OPEN = "\N{HORIZONTAL ELLIPSIS}"
PASSED_ON = {"TapError", "TargetError"}
"""Bases whose own messages are made where nobody else knows better."""


def text(node: ast.expr) -> str | None:
    """The text of an expression, with an ellipsis for each part that is not written there."""
    match node:
        case ast.Constant(value=str() as found):
            return found
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else OPEN for part in parts)
    return None


@cache
def texts() -> dict[str, set[str]]:
    """What each package's code says: all texts, and those given to each kind of error."""
    found: dict[str, set[str]] = {"": set()}
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.expr) and (said := text(node)):
                found[""].add(said)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found.setdefault(node.func.id, set()).update(filter(None, map(text, node.args)))
    return found


def says(said: str, quoted: str) -> bool:
    """Whether a text has the parts of a quoted message, in their order."""
    place = 0
    for part in quoted.split(OPEN):
        place = said.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def quoted_of(kind: str) -> Iterator[str]:
    return (quoted for quoted in QUOTED if any(says(said, quoted) for said in texts().get(kind, ())))


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 60
    assert not [quoted for quoted in QUOTED if len(quoted.replace(OPEN, "").strip()) < 6]


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_of_ours(quoted: str) -> None:
    assert any(says(said, quoted) for said in texts()[""]), "no code says this"


@pytest.mark.parametrize("module", [tap_core.errors, target_duckhouse.errors], ids=lambda module: module.__name__)
def test_every_kind_of_error_is_on_the_page(module: object) -> None:
    kinds = set(module.__all__) - PASSED_ON  # type: ignore[attr-defined]
    said = {kind for kind in kinds if any(message.strip(OPEN + ": ") for message in texts().get(kind, ()))}
    assert {kind for kind in said if not any(quoted_of(kind))} == set()
