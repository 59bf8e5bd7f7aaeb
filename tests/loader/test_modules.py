"""The corridors of the loader: which module may know which, and what each one shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "target_duckhouse"
MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): file
    for file in sorted(PACKAGE.rglob("*.py"))
}
LAYERS = [
    "__main__",
    "cli",
    "commands",
    "load",
    "intake",
    "commits",
    "freshness",
    "report",
    "memory",
    "input",
    "warehouse",
    "telemetry",
    "logs",
    "settings",
    "signals",
    "names",
    "errors",
]
"""A module imports from its own folder and from what comes later here."""


def imports(name: str) -> set[str]:
    """The loader's own modules that a module imports, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            base = str(node.module).removeprefix(PACKAGE.name).lstrip(".")
            parts = {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {part if part in MODULES else base for part in parts}
    return found


def test_imports_lead_from_layer_to_layer_and_never_back() -> None:
    assert len(MODULES) > len(LAYERS)
    for name in MODULES:
        layer = name.split(".")[0]
        for other in imports(name):
            below = other.split(".")[0]
            assert below == layer or LAYERS.index(below) > LAYERS.index(layer), f"{name} imports {other}"


def test_the_map_of_the_package_names_each_module() -> None:
    text = ast.get_docstring(ast.parse(MODULES[""].read_text(encoding="utf-8"))) or ""
    drawn = re.findall(r"^ +(\w+) +\S", text, re.MULTILINE)
    there = {name.rpartition(".")[2] for name, file in MODULES.items() if file.name != "__init__.py"}
    assert sorted(drawn) == sorted(there - {"__main__"})


def test_no_module_leads_back_to_itself() -> None:
    left = {name: imports(name) for name in MODULES}
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_module_lists_all_its_public_names(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    public, listed = set(), []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            public.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            public |= names - {"__all__", "logger"}
            if names == {"__all__"}:
                assert node.value
                listed = ast.literal_eval(node.value)
    assert {entry for entry in public if not entry.startswith("_")} == set(listed)
