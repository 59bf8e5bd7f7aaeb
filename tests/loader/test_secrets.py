"""The loader has no secrets of its own, and shows none that are given to it by mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from target_duckhouse.settings import describe
from tests.canary import shown
from tests.loader.harness import INTEGER, encode, record, schema, state

if TYPE_CHECKING:
    from tests.loader.harness import Loader

SECRET = "Qz7-kiwi/4f+9=canary&more"
THING = schema("thing", {"id": INTEGER})


def mistakes() -> dict[str, dict[str, Any]]:
    """Settings with a secret in each place where one may be put by mistake."""
    own = {entry["name"]: {entry["name"]: SECRET} for entry in describe() if "string" not in str(entry["schema"])}
    return {
        **own,
        "list": {"batch_rows": [SECRET]},
        "object": {"path": {"password": SECRET}},
        "address": {"path": f"md:shop?motherduck_token={SECRET}"},
        "lake": {"lake_path": f"s3://key:{SECRET}@bucket/lake"},
        "of another program": {"api_key": SECRET},
    }


@pytest.mark.parametrize("settings", [pytest.param(value, id=f"X1-{name}") for name, value in mistakes().items()])
def test_a_secret_in_the_wrong_setting_is_not_repeated(loader: Loader, settings: dict[str, Any]) -> None:
    (loader.folder / "config.json").write_text(json.dumps({"path": str(loader.path), **settings}))
    done = subprocess.run(
        [sys.executable, "-m", "target_duckhouse", "--config", str(loader.folder / "config.json")],
        input=encode([THING, record("thing", id=1)]),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert next(iter(settings)) in done.stderr.decode()
    assert shown([SECRET], (done.stdout + done.stderr).decode()) == []


def test_x1_a_running_loader_shows_nothing_of_its_settings(loader: Loader) -> None:
    """Neither in its command, which other users see, nor beside the warehouse, nor in what it says."""
    command = loader.command(state_id=SECRET, flush_interval_s=0)
    env = {**os.environ, "TARGET_DUCKHOUSE_STATE_ID": SECRET}
    target = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert target.stdin
    assert target.stdout
    target.stdin.write(encode([THING, record("thing", id=1), state({"n": 1})]))
    target.stdin.flush()
    assert target.stdout.readline()
    shown_to_all = Path(f"/proc/{target.pid}/cmdline").read_bytes().decode()
    assert "target_duckhouse" in shown_to_all
    _, log = target.communicate()
    assert target.returncode == 0
    assert log
    assert shown([SECRET], shown_to_all + log.decode()) == []
