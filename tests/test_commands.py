"""What every command that is installed promises, whatever it does."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "merchant-sandbox"])
def test_x6_settings_given_as_text_are_not_repeated(command: str, tmp_path: Path) -> None:
    given = '{"api_key": "canary-7f3a9c", "password": "canary-7f3a9c"}'
    done = subprocess.run(
        [Path(sys.executable).parent / command, "--config", given],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--config must name a file of JSON" in done.stderr
    assert "canary" not in done.stdout + done.stderr
