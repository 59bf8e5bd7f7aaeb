"""Which package may import which, and what no committed file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TAPS = sorted(path.parent.name for path in ROOT.glob("tap_*/tap.py") if path.parent.name != "tap_core")
OURS = {"tap_core", "target_duckhouse", "merchant_sandbox", "scripts", "tests", "benchmarks", *TAPS}
ALLOWED = {
    **{tap: {"tap_core"} for tap in TAPS},
    "tap_core": set(),
    "target_duckhouse": set(),
    "merchant_sandbox": set(),
    "scripts": {"target_duckhouse", "merchant_sandbox"},
}
SLOW_TO_IMPORT = {"singer_sdk", "requests", "urllib3", "pandas", "numpy", "sqlalchemy", "rich"}
HOSTS = re.compile(r"https?://[\w.-]*(?:p[y]pi|python[h]osted|artifactory|nexus|jfrog)[\w.-]*", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work|tmp/pytest)/[\w.-]+")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")  # this line is the one exception


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(file: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def committed() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name]


def texts() -> list[tuple[Path, str]]:
    found = []
    for file in committed():
        try:
            found.append((file, file.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_in_one_direction(package: str) -> None:
    allowed = ALLOWED[package] | {package}
    for file in modules(package):
        foreign = (imports(file) & OURS) - allowed
        assert not foreign, f"{file.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"


def test_the_loader_imports_nothing_that_is_slow_to_start() -> None:
    for file in modules("target_duckhouse"):
        assert not imports(file) & SLOW_TO_IMPORT, file


@pytest.mark.parametrize("tap", TAPS)
def test_a_tap_loads_what_only_a_run_needs_when_a_run_needs_it(tap: str) -> None:
    code = f"import sys, {tap}.tap; print(*{{'pendulum', 'rich', 'websockets'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", TAPS)
def test_a_tap_does_its_http_and_its_waiting_through_the_engine(package: str) -> None:
    for file in modules(package):
        assert not imports(file) & {"requests", "pycurl", "httpx", "socket", "time", "concurrent"}, file


def test_the_engine_names_no_vendor() -> None:
    vendors = re.compile("|".join(rf"\b{tap.removeprefix('tap_')}|{tap}" for tap in TAPS), re.IGNORECASE)
    for file in modules("tap_core"):
        assert not vendors.findall(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(HOSTS, id="registry-host"),
        pytest.param(MACHINE_PATHS, id="machine-path"),
        pytest.param(UNFINISHED, id="unfinished"),
    ],
)
def test_no_committed_file_holds(pattern: re.Pattern[str]) -> None:
    own = Path(__file__)
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file, text in texts()
        if file != own
        for match in pattern.finditer(text)
    ]
    assert not found


def test_no_lock_file_is_committed() -> None:
    names = {file.name for file in committed()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"}
