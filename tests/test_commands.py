"""What every command that is installed promises, whatever it does."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if not name.startswith(("merchant-", "source-"))])
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


INTERRUPTED = """
import os, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Finder())
sys.argv = [{command!r}, "--about"]
from {module} import main
sys.exit(main())
"""
"""Runs a command that is sent a signal when it begins to import a module."""


LATE = {"merchant_sandbox": "client", "merchant_report": "cli", "merchant_webhooks": "cli", "target_duckhouse": "cli"}
"""The module of a package that its command imports after all that has to come first; of others it is the tap."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["S2-INT", "S2-TERM"])
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "target-duckhouse"])
def test_s2_a_signal_during_the_imports_ends_a_command_quietly(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    module = COMMANDS[command].partition(":")[0]
    package = module.partition(".")[0]
    code = INTERRUPTED.format(
        at=f"{package}.{LATE.get(package, 'tap')}", number=int(number), command=command, module=module
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert done.returncode in {128 + number, -signal.SIGTERM}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_library_that_crashes_says_where(command: str, number: signal.Signals, tmp_path: Path) -> None:
    module = COMMANDS[command].partition(":")[0]
    package = module.partition(".")[0]
    code = INTERRUPTED.format(
        at=f"{package}.{LATE.get(package, 'tap')}", number=int(number), command=command, module=module
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == -number
    assert done.stderr.startswith("Fatal Python error: ")
    assert f'{module.replace(".", "/")}.py", line' in done.stderr
