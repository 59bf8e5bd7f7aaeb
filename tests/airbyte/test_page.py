"""The commands of the page about Airbyte do what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.airbyte.face import BIN
from tests.transcripts import assert_shows

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

PAGE = (Path(__file__).parents[2] / "docs/airbyte.md").read_text(encoding="utf-8")
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
