"""Every command on every page runs, or says in the page's source what it needs or which test runs it.

The blocks of a page run in its order, in one shell, against a sandbox of their own. A line before a block says why it
does not: ``<!-- needs: a clone -->`` or ``<!-- tested in: tests/…::test_… -->``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.describe import VENDORS
from tests.transcripts import assert_shows
from tests.tree import ROOT

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>needs|tested in): (?P<what>[^\n]+?) -->\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
SHOWN = re.compile(r"^\$ (?P<command>.+)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
BIN = Path(sys.executable).parent
CUT = "\x1e"
NEEDS = {
    "an account": "installs the package on a server, or registers an address with a vendor, which no test may",
    "a container engine": "builds or runs an image; `tests/examples` runs what the image would",
    "a clone": "works on a clone: on its targets, its branches or its environments",
    "somebody to page": "the command is an example of what one's own alert may be",
}
"""What the machine of the tests does not have, or must not change."""

SETTINGS = """
import json, os, sys
vendor, *names = sys.argv[1:]
mark = f"TAP_{vendor.upper()}_"
config = {name.removeprefix(mark).lower(): text for name, text in os.environ.items() if name.startswith(mark)}
for name in names:
    json.dump(config, open(name, "w"))
    os.chmod(name, 0o600)
"""
CATALOG = """
import json, sys
catalog = json.load(sys.stdin)
for stream in catalog["streams"]:
    for entry in stream["metadata"]:
        if not entry["breadcrumb"]:
            entry["metadata"]["selected"] = stream["tap_stream_id"] == sys.argv[1]
json.dump(catalog, sys.stdout)
"""
TARGETS = {"target.json": "peakium", "target-us.json": "peakium", "target-eu.json": "peakium_eu"} | {
    "us-target.json": "peakium",
    "eu-target.json": "peakium_eu",
}
CONFIGS = "config.json tap.json us.json eu.json backfill.json"
CATALOGS = {"tap-pegke": "store_activity", "backfill": "sales"}
BEFORE = {
    "alerts": "tap-peakium --config tap.json | target-duckhouse --config target.json > state.json",
    "production": "tap-peakium --config tap.json | target-duckhouse --config target.json > state.json",
    "target-duckhouse": """echo '{"schema": "old", "state_id": "dev:tap-peakium"}' > old.json
tap-peakium --config tap.json | target-duckhouse --config target.json --config old.json > state.json""",
}
"""What must have happened before a page's commands make sense."""
FAST = "export TAP_PEGKE_REALTIME_MAX_SECONDS=1"
"""The feed has no end of its own."""
VENDOR = {"backfill": "premiumpay", **{f"tap-{vendor}": vendor for vendor in VENDORS}}


@dataclass(frozen=True)
class Block:
    """A block of commands on a page, with what the page shows of their output if it does."""

    page: Path
    mark: str
    what: str
    steps: tuple[tuple[str, str | None], ...]


def blocks(page: Path) -> list[Block]:
    found = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        steps: list[tuple[str, str | None]] = []
        if block["kind"] == "sh":
            steps = [(block["body"], None)]
        elif block["kind"] == "console":
            steps = [(step["command"], step["output"]) for step in SHOWN.finditer(block["body"])]
            steps = [step for step in steps if not step[0].endswith(" --help")]  # `make docs` writes those
        if steps:
            found.append(Block(page, block["mark"] or "", block["what"] or "", tuple(steps)))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(not block.mark for block in BLOCKS if block.page == page)]


def script(page: Path) -> tuple[str, list[tuple[str, str | None]]]:
    """The commands of a page in one shell, a mark before each, and the steps they come from."""
    name = page.stem
    vendor = VENDOR.get(name, "peakium")
    lines = [FAST, f"{sys.executable} settings.py {vendor} {CONFIGS}"]
    if stream := CATALOGS.get(name):
        lines.append(
            f"tap-{vendor} --config config.json --discover | {sys.executable} catalog.py {stream} > {stream}.json"
        )
    lines.append(BEFORE.get(name, ""))
    steps = [step for block in blocks(page) if not block.mark for step in block.steps]
    for command, shown in steps:
        lines += [f"printf '{CUT}'", "set -e" if shown is None else "set +e", command]
    return "\n".join(["exec 2>&1", *lines]), steps


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_and_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    text, steps = script(page)
    (tmp_path / "page.sh").write_text(text, encoding="utf-8")
    (tmp_path / "settings.py").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "catalog.py").write_text(CATALOG, encoding="utf-8")
    for name, schema in TARGETS.items():
        (tmp_path / name).write_text(f'{{"path": "warehouse.duckdb", "schema": "{schema}"}}', encoding="utf-8")
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", "HOME": str(tmp_path)}
    sandbox = ["merchant-sandbox", "run", "--clock-start=2026-02-01", "--clock-rate=36000", "--", "sh", "page.sh"]
    done = subprocess.run(
        [str(BIN / sandbox[0]), *sandbox[1:]],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    said = done.stdout.split(CUT)[1:]
    assert (done.returncode, len(said)) == (0, len(steps)), done.stdout[-3000:]
    for (_, shown), output in zip(steps, said, strict=True):
        if shown is not None:
            assert_shows(shown, output)


def test_what_does_not_run_here_says_why() -> None:
    marked = [block for block in BLOCKS if block.mark]
    assert {block.what for block in marked if block.mark == "needs"} == NEEDS.keys()
    for block in marked:
        if block.mark == "tested in":
            file, _, test = block.what.partition("::")
            tests = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
            assert test in tests, f"{block.page.name}: {block.what}"


def test_what_needs_a_clone_names_targets_and_environments_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for block in BLOCKS for command, _ in block.steps for target in TARGET.findall(command)}
    assert named <= targets
    assert {"setup", "demo", "test"} <= named


def test_a_block_says_what_it_is() -> None:
    for page in PAGES:
        bare = [block["body"] for block in BLOCK.finditer(page.read_text(encoding="utf-8")) if not block["kind"]]
        assert not bare, f"{page.name}: a block without a language"
