"""The script on the page on alerts says nothing if all is well, and else what went wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import ROOT

PAGE = (ROOT / "docs/guides/alerts.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        ("", 0, ""),
        ("TAP_PEAKIUM_API_KEY=wrong-key", 3, "tap-peakium ended with 3, target-duckhouse with 0\n"),
        ("TAP_PEAKIUM_CONCURRENCY=x", 2, "tap-peakium ended with 2, target-duckhouse with 0\n"),
    ],
    ids=["well", "refused", "setting"],
)
def test_the_script_ends_with_what_went_wrong(tmp_path: Path, before: str, code: int, said: str) -> None:
    found = re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    assert found
    script = tmp_path / "nightly.sh"
    script.write_text(found[1])
    script.chmod(0o700)
    (tmp_path / "target.json").write_text('{"path": "w.duckdb", "schema": "peakium"}')
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "LOG_FORMAT": ""}
    done = subprocess.run(
        ["merchant-sandbox", "run", "--", "sh", "-c", f"{before} ./nightly.sh"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.startswith(said)
    assert bool(re.search("ERROR", done.stdout)) == bool(code)
