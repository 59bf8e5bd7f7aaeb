"""Worlds that deliver, a receiver, and taps that read its spool."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import Account, Run, run_tap, selected
from tap_peakium.tap import TapPeakium
from tap_peek.tap import TapPeek
from tests.webhooks.live import Pipeline
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import World
    from tap_core.tap import CoreTap

TAPS: dict[str, type[CoreTap]] = {"peek": TapPeek, "peakium": TapPeakium}


@cache
def catalog(vendor: str) -> dict[str, Any]:
    """What a tap discovers; that needs no account."""
    account = Account({"api_url": "http://127.0.0.1:1", "api_key": "k"})
    found: dict[str, Any] = json.loads(run_tap(TAPS[vendor], account, "--discover").output)
    return found


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver for both vendors."""
    with Receiver(tmp_path, ("peek", "default"), ("peakium", "default")) as running:
        yield running


@pytest.fixture
def make_pipeline(tmp_path: Path) -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines of which no process outlives the test; takes what `Pipeline` takes."""
    made: list[Pipeline] = []

    def make(world: World, *streams: str, **config: Any) -> Pipeline:
        made.append(Pipeline(tmp_path, world, selected(catalog("peek"), streams), **config))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.kill()


@pytest.fixture
def read(receiver: Receiver) -> Callable[..., Run]:
    """Reads streams of a vendor; by default those about which it delivers."""
    usual = {"peek": ["bookings", "booking_unit_items", "booking_updates"], "peakium": ["events", "event_deliveries"]}

    def run(vendor: str, world: World, *streams: str, state: Any = None, **config: Any) -> Run:
        account = Account(world.config(vendor), world.env(vendor))
        chosen = selected(catalog(vendor), streams or usual[vendor])
        settings = {"webhooks_spools": [str(receiver.spool)], **config}
        return run_tap(TAPS[vendor], account, state=state, catalog=chosen, config=settings)

    return run
