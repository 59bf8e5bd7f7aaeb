"""Which package may import which, and what no committed file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.describe import VENDORS
from tests.tree import ROOT

TAPS = [f"tap_{vendor}" for vendor in VENDORS]
OURS = {
    *("tap_core", "target_duckhouse", "merchant_sandbox", "merchant_report", "merchant_telemetry"),
    "merchant_webhooks",
    *("scripts", "tests", "benchmarks", *TAPS),
}
ALLOWED = {
    **{tap: {"tap_core"} for tap in TAPS},
    "tap_core": {"merchant_telemetry"},
    "target_duckhouse": {"merchant_telemetry"},
    "merchant_telemetry": set(),
    "merchant_sandbox": set(),
    "merchant_report": set(),
    "merchant_webhooks": set(),  # its file is what taps read
    "scripts": {"target_duckhouse", "merchant_sandbox"},
}
SLOW_TO_IMPORT = {"singer_sdk", "requests", "urllib3", "pandas", "numpy", "sqlalchemy", "rich"}
TOOLS = {"acceptance.py": {"pytest"}}
"""What a module needs of the tools of development; taps do not import it."""
HOSTS = re.compile(r"https?://[\w.-]*(?:p[y]pi|python[h]osted|artifactory|nexus|jfrog)[\w.-]*", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work|tmp/pytest)/[\w.-]+")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")  # this line is the one exception


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


def imports(file: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(file): file
    for package in [
        *TAPS,
        "tap_core",
        "target_duckhouse",
        "merchant_sandbox",
        "merchant_report",
        "merchant_telemetry",
        "merchant_webhooks",
        "scripts",
    ]
    for file in modules(package)
}
FOUNDATION = {"errors", "clock", "timestamps", "codec", "workers"}
FOLDERS = {
    "airbyte": {"cli", "config", "early", "output", "probe", "records", "streams", "tap"},  # a face of the whole tap
    "config": {"http"},  # which hosts are this machine
    "http": set(),
    "reading": set(),
    "records": {"config"},  # what stands in place of a secret
    "output": {"http", "records"},
    "session": {"http", "output", "records"},
    "streams": {"config", "http", "output", "reading", "records", "session"},
}
"""The engine's folders, and the other folders that each may import from; all may import from the foundation."""


FRONT_DOORS = {"merchant_sandbox.client"}
"""Modules that hand on a name of another one."""


def module_imports(name: str) -> set[str]:
    """Our own modules that a module imports, wherever in it, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{name} has a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in MODULES else node.module for each in inner}
    return found & MODULES.keys()


def test_no_module_leads_back_to_itself() -> None:
    left = {name: module_imports(name) - {name} for name in MODULES}
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    assert not left, f"imports in a circle among: {', '.join(sorted(left))}"


def test_the_engines_folders_import_along_the_arrows() -> None:
    engine = {name: name.split(".")[1:] for name in MODULES if name.startswith("tap_core.")}
    folders = {parts[0] for parts in engine.values() if len(parts) > 1}
    assert folders == FOLDERS.keys()
    assert max(map(len, engine.values())) == 2, "folders are one level deep"
    for name, parts in engine.items():
        if parts[0] in FOLDERS:
            allowed = {parts[0], *FOLDERS[parts[0]], *FOUNDATION}
        elif parts[0] in FOUNDATION:
            allowed = FOUNDATION
        else:
            continue
        for package, _, other in (each.partition(".") for each in module_imports(name) - {"tap_core"}):
            assert (package, parts[0]) == ("merchant_telemetry", "output") or other.split(".")[0] in allowed, (
                f"{name} imports {package}.{other}"
            )


@pytest.mark.parametrize("package", TAPS)
def test_streams_know_settings_and_client_and_never_the_tap(package: str) -> None:
    for name in MODULES:
        if name.startswith(package) and name.split(".")[1:] not in (["__main__"], ["tap"]):
            assert f"{package}.tap" not in module_imports(name), name


@pytest.mark.parametrize("name", MODULES)
def test_a_package_holds_one_docstring_and_a_module_lists_its_public_names(name: str) -> None:
    file = MODULES[name]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if file.name == "__init__.py" and not list(file.parent.glob("tap.py")) and file.parent.parent != ROOT:
        assert len(tree.body) == 1 or "__all__" in file.read_text(encoding="utf-8")
        assert ast.get_docstring(tree)
    public, listed = set(), None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            public.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if "__all__" in names:
                listed = ast.literal_eval(node.value) if node.value else None
            elif not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "TypeVar"):
                public |= names
    reexported = (imported_names(tree) & set(listed or ())) - public
    assert not reexported or name in FRONT_DOORS
    assert {each for each in public if not each.startswith("_")} - {"logger"} == set(listed or ()) - reexported


def imported_names(tree: ast.Module) -> set[str]:
    """The names that a module takes from others."""
    return {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}


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
    for file in [*modules("target_duckhouse"), *modules("merchant_telemetry")]:
        assert not imports(file) & SLOW_TO_IMPORT, file


@pytest.mark.parametrize("tap", TAPS)
def test_a_tap_loads_what_only_a_run_needs_when_a_run_needs_it(tap: str) -> None:
    needed = {"opentelemetry", "pendulum", "rich", "websockets"}
    code = f"import sys, {tap}.tap; print(*{needed} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", TAPS)
def test_a_tap_does_its_http_and_its_waiting_through_the_engine(package: str) -> None:
    for file in modules(package):
        assert not imports(file) & {"requests", "urllib3", "pycurl", "httpx", "socket", "time", "concurrent"}, file


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


def test_what_is_imported_is_declared() -> None:
    """Our own dependencies, not those that come along with others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        re.split(r"[\[<>=!~ ]", line)[0].replace("-", "_").lower()
        for lines in (project["dependencies"], *project["optional-dependencies"].values())
        for line in lines
    }
    names = {"dotenv": "python_dotenv", "opentelemetry": "opentelemetry_api", "vl_convert": "vl_convert_python"}
    for package in [
        *TAPS,
        "tap_core",
        "target_duckhouse",
        "merchant_sandbox",
        "merchant_report",
        "merchant_telemetry",
        "merchant_webhooks",
    ]:
        for file in modules(package):
            foreign = imports(file) - OURS - sys.stdlib_module_names - TOOLS.get(file.name, set())
            assert {names.get(name, name) for name in foreign} <= declared, file


def test_no_lock_file_is_committed() -> None:
    names = {file.name for file in committed()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"}
