"""The page about the sandbox says what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from merchant_sandbox.discovery import vendors
from merchant_sandbox.faults import KINDS
from merchant_sandbox.reference import regenerate
from merchant_sandbox.spoil import SPOILERS

PAGE = (Path(__file__).parents[2] / "docs/sandbox.md").read_text(encoding="utf-8")


def test_tables_are_up_to_date() -> None:
    assert regenerate(PAGE) == PAGE, "run: python -m merchant_sandbox.reference docs/sandbox.md"


def test_every_fault_and_switch_is_in_a_table() -> None:
    switches = {switch.name for vendor in vendors().values() for switch in vendor.switches_declared}
    for name in {*KINDS, *switches}:
        assert f"| `{name}` |" in PAGE
    assert set(SPOILERS) < set(KINDS)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_examples_name_faults_that_exist(code: str) -> None:
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    faults = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "fault"]
    assert calls
    for call in faults:
        kind = call.args[2]
        assert isinstance(kind, ast.Constant)
        assert kind.value in KINDS


@pytest.mark.parametrize("vendor", vendors().values(), ids=vendors())
def test_handlers_of_every_route_exist_and_are_explained(vendor: type) -> None:
    for route in vendor.routes:  # type: ignore[attr-defined]
        assert getattr(vendor, route.handler).__doc__, route
    for switch in vendor.switches_declared:  # type: ignore[attr-defined]
        assert switch.doc.endswith(".")
