"""The page about the sandbox says what the code does."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.client import Sandbox
from merchant_sandbox.clock import iso
from merchant_sandbox.discovery import vendors
from merchant_sandbox.faults import KINDS
from merchant_sandbox.reference import regenerate
from merchant_sandbox.spoil import SPOILERS

if TYPE_CHECKING:
    import urllib3

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")


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


def test_every_vendor_has_the_same_modules() -> None:
    assert vendors()
    for name in vendors():
        modules = {file.stem for file in (ROOT / "merchant_sandbox/vendors" / name).glob("*.py")}
        assert modules - {"records"} == {"__init__", "api", "model", "shapes", "truth"}, name  # kept apart where long


def test_the_example_of_a_vendor_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: urllib3.PoolManager
) -> None:
    shutil.copytree(ROOT / "merchant_sandbox", tmp_path / "merchant_sandbox")
    example = re.findall(r"<!-- begin code (merchant_sandbox/\S+) -->\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(example) == 4
    (tmp_path / "merchant_sandbox/vendors/acme").mkdir()
    for name, code in [("merchant_sandbox/vendors/acme/__init__.py", '"""Acme: items."""\n'), *example]:
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        assert sandbox.vendors() == ["acme", *vendors()]
        world = sandbox.world(ticks=2, switches={"acme": {"max_limit": 300}})
        config, truth = world.config("acme"), world.truth("acme", "items")
        rows: list[dict[str, Any]] = []
        headers = {"Authorization": f"Bearer {config['api_key']}"}
        while page := pool.request(
            "GET", f"{config['api_url']}/items", fields={"offset": str(len(rows)), "limit": "1000"}, headers=headers
        ).json()["data"]:
            rows += page
        assert pool.request("GET", f"{config['api_url']}/items").status == 401
    assert [{**row, "created": iso(row["created"])} for row in rows] == truth
    assert len(truth) == 1_020


@pytest.mark.parametrize("vendor", vendors().values(), ids=vendors())
def test_handlers_of_every_route_exist_and_are_explained(vendor: type) -> None:
    assert vendor.routes  # type: ignore[attr-defined]
    for route in vendor.routes:  # type: ignore[attr-defined]
        assert getattr(vendor, route.handler).__doc__, route
    for switch in vendor.switches_declared:  # type: ignore[attr-defined]
        assert switch.doc.endswith(".")
