"""What the README names exists; `test_commands.py` runs its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
TRANSCRIPTS = re.findall(r"```console\n\$ (.+)\n((?:.*\n)*?)```", README)
QUICK = [(command, shown) for command, shown in TRANSCRIPTS if not command.startswith("make ")]
COMMANDS = re.findall(
    r"(?:^\$ |^|`)(?:\.venv/bin/)?((?:make|meltano|tap-\w+|target-\w+|merchant-sandbox) [^`#\n]+)", README, re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_named_exists(command: str) -> None:
    name, target = command.split()[:2]
    if name == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
    else:
        assert (BIN / name).exists(), command


def test_the_readme_names_commands_and_shows_transcripts() -> None:
    assert len(QUICK) >= 2
    assert {"make demo", "make sandbox"} <= {" ".join(command.split()[:2]) for command in COMMANDS}


def test_make_sandbox_leaves_the_command_as_it_was_written() -> None:
    command = """CMD=echo "$MERCHANT_SANDBOX_URL" 'a  b'; exit 3"""
    outside = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    done = subprocess.run(
        ["make", "sandbox", command], cwd=ROOT, env=outside, capture_output=True, check=False, text=True
    )
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ a  b\n", done.stdout)
    assert "Error 3" in done.stderr
