"""What vendors have registered is compared with what is listened to."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from tests.webhooks.receiver import KEY, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World

PUBLIC = "https://hooks.example.com/in"


def run_check(receiver: Receiver, world: World, folder: Path, *vendors: str) -> subprocess.CompletedProcess[str]:
    named = []
    for vendor in vendors:
        file = folder / f"tap-{vendor}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(world.config(vendor, webhooks_follow=True)))
        named.append(f"{vendor}={file}")
    command = receiver.command("check") + named
    return subprocess.run(command, env={**os.environ, **world.env("peek")}, capture_output=True, text=True, check=False)


def test_what_is_registered_is_compared(make_world: Callable[..., World], tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, ("peek", "default"), ("peakium", "default"), public_url=PUBLIC)
    stale = f"{PUBLIC}/peek/default/{KEY}-of-last-year"
    world = make_world(switches={"peek": {"webhook_urls": [PUBLIC + receiver.paths["peek/default"] + "/", stale]}})
    done = run_check(receiver, world, tmp_path, "peek", "peakium")
    assert done.returncode == 6, done.stderr
    assert done.stdout.splitlines() == [
        "peek/default: registered",
        "peakium/default: not registered with the vendor: nothing is delivered there",
        "peek/default: also registered at example.com, which is not this receiver",
        "peek/default: also registered at example.org, which is not this receiver",
        "peek/default: also registered at example.com, which is not this receiver",
        "peek/default: registered at /in/peek/default/***, where nothing listens: deliveries are answered 404",
        "peakium/default: also registered at example.com, which is not this receiver",
        "peakium/default: also registered at example.org, which is not this receiver",
        "peakium/default: also registered at example.com, which is not this receiver",
    ]
    assert KEY not in done.stdout + done.stderr
    assert world.stats("peek")["writes"] == []


def test_all_is_well_if_everything_is_registered(make_world: Callable[..., World], tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, public_url=PUBLIC)
    world = make_world(switches={"peek": {"webhook_urls": [PUBLIC + receiver.paths["peek/default"]]}})
    done = run_check(receiver, world, tmp_path, "peek")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("peek/default: registered\n")


def test_a_tap_that_fails_is_named(world: World, tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, public_url=PUBLIC)
    config = receiver.config.with_name("tap.json")
    config.touch(mode=0o600)
    config.write_text(json.dumps(world.config("peek", api_key="wrong")))
    done = subprocess.run([*receiver.command("check"), f"peek={config}"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "merchant-webhooks: tap-peek could not read its stream 'webhooks'; its lines above say why"
    )
