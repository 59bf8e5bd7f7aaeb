"""What is published holds what it should, and every place that names the version names the same one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.release_check import build, metadata, packed, version, wrong_names, wrong_versions
from tests.tree import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, made from the source archive, and that."""
    wheel, source = build(ROOT, tmp_path_factory.mktemp("dist"))
    return wheel, source


def test_changelog_and_tag_name_the_version() -> None:
    assert list(wrong_versions()) == []


def test_the_archives_hold_the_packages_and_the_licence_and_nothing_else(archives: tuple[Path, Path]) -> None:
    assert list(wrong_names(*archives)) == []
    assert {name.partition("/")[0] for name in packed(archives[0])} >= {"tap_core", "target_duckhouse", "tap_peek"}


def test_every_python_is_named_and_no_person_or_host_is_made_up() -> None:
    project: dict[str, Any] = metadata()
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert named == {"3.11", "3.12", "3.13"}
    assert {"email"} & {member for author in project["authors"] for member in author} == set()
    assert "urls" not in project


@pytest.mark.parametrize("command", sorted(metadata()["scripts"]))  # type: ignore[call-overload]
def test_a_command_tells_the_version(command: str) -> None:
    said = subprocess.run(
        [Path(sys.executable).parent / command, "--version"], capture_output=True, check=True, text=True
    )
    assert version() in said.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_exist(workflow: Path) -> None:
    told: dict[Any, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert told["permissions"] == {"contents": "read"}
    steps = [step for job in told["jobs"].values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs
    for run in runs:
        assert re.fullmatch(r"make [a-z-]+", run)
        assert run.split()[1] in TARGETS
    assert all(job["timeout-minutes"] for job in told["jobs"].values())
