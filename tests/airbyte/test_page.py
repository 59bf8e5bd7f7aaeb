"""The commands of the page about Airbyte do what it shows, and the examples name every source."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from scripts.describe import VENDORS
from tests.airbyte.face import BIN
from tests.transcripts import assert_shows

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/airbyte"
PAGE = (ROOT / "docs/airbyte.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n((?:.*\n)*?)```", PAGE)


def test_the_commands_of_the_page_print_what_it_shows(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world()
    config = world.config("peek")
    own = {"TAP_PEEK_API_URL": config["api_url"], "TAP_PEEK_API_KEY": config["api_key"]}
    env = {**os.environ, **world.env("peek"), **own, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    steps = [step for block in BLOCKS for step in re.split(r"^\$ ", block, flags=re.MULTILINE) if step]
    assert len(steps) >= 7
    for step in steps:
        command, shown = split(step)
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, check=True, stdin=subprocess.DEVNULL
        )
        assert_shows(shown, (done.stdout + done.stderr).decode())


def split(step: str) -> tuple[str, str]:
    """A command, which may have several lines within quotes, and what it prints."""
    lines = step.splitlines(keepends=True)
    number = next(number for number in range(1, len(lines) + 1) if "".join(lines[:number]).count("'") % 2 == 0)
    return "".join(lines[:number]), "".join(lines[number:])


def test_every_source_has_its_metadata_and_is_in_the_registry() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    registry = json.loads((EXAMPLES / "registry.json").read_text(encoding="utf-8"))
    entries = {entry["dockerRepository"].removeprefix("airbyte/source-"): entry for entry in registry["sources"]}
    assert set(entries) == set(VENDORS)
    for vendor, entry in entries.items():
        data = yaml.safe_load((EXAMPLES / f"source-{vendor}/metadata.yaml").read_text(encoding="utf-8"))["data"]
        assert data["dockerRepository"] == f"merchant-taps/source-{vendor}"
        assert data["dockerImageTag"] == entry["dockerImageTag"] == version
        assert data["definitionId"] == entry["sourceDefinitionId"]
        assert data["suggestedStreams"] == entry["suggestedStreams"]
