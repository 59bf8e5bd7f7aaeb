"""What Meltano itself says and keeps of a run: no secret, even if the run fails and everything is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.describe import VENDORS
from tap_core.config.redact import secret_values
from tests.canary import forms, shown
from tests.faults.vendors import VENDORS as TAPS

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

PII_KEY = "a/key+of=these&tests-9c4e"


@pytest.mark.parametrize("vendor", [pytest.param(vendor, id=f"{vendor}-X1") for vendor in VENDORS])
def test_a_failing_run_leaves_no_secret_with_meltano(
    project: Project, world: World, tmp_path: Path, vendor: str
) -> None:
    """The API says back what it was sent; each secret setting has a value; Meltano logs all it can."""
    config = world.config(vendor)
    secrets = {*secret_values(config, TAPS[vendor].tap.config_jsonschema), PII_KEY}
    said_back = [form for secret in secrets for form in forms(secret)]
    world.fault(
        vendor, "*", "status", status=400, times=None, body={"error": said_back, "message": " ".join(said_back)}
    )
    env = {
        **project.environment(world),
        **world.env(vendor),
        f"TAP_{vendor}_PII_KEY".upper(): PII_KEY,
        f"TAP_{vendor}_PII".upper(): "hash",
        f"TAP_{vendor}_RETRY_MAX_S".upper(): "1",
        "TARGET_DUCKHOUSE_PATH": str(tmp_path / "warehouse.duckdb"),
        "LOGLEVEL": "DEBUG",
        "HOME": str(tmp_path),
    }
    places = (project.folder / ".meltano", tmp_path)
    before = {path: path.stat().st_mtime_ns for place in places for path in place.rglob("*") if path.is_file()}
    done = project.meltano(
        "--log-level=debug", "run", "--no-install", "--force", "--state-id-suffix=secrets",
        f"tap-{vendor}", "target-duckhouse", env=env,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "debug" in (done.stdout + done.stderr).lower()
    found = [path for place in places for path in place.rglob("*") if path.is_file() and "venv" not in path.parts]
    left = [path for path in found if before.get(path) != path.stat().st_mtime_ns]  # not what runs before have left
    assert [path for path in left if f"tap-{vendor}" in path.parts], "Meltano leaves something of each run"
    kept = "".join(path.read_text(errors="replace") for path in left)
    assert shown(secrets, done.stdout + done.stderr + kept) == []
