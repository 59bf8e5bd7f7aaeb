"""The Meltano commands of the pages, as they are written there, with the sandbox as the vendor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.conftest import held
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

PAGE = (ROOT / "docs/guides/production.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^meltano (--environment=prod (?!install).+)$", PAGE, re.MULTILINE)


def test_the_commands_of_the_page_on_production_run(project: Project, world: World, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    env = project.environment(world, **world.env("peakium"), TARGET_DUCKHOUSE_PATH=str(warehouse))
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        done = project.meltano(*command.split(), env=env)
        assert done.returncode == 0, done.stderr
    assert len(held(warehouse, "peakium", "events")) == len(world.truth("peakium", "events"))
