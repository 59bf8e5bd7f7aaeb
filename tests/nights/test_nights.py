"""Nights of each vendor; `tests.nights.machine` says what happens in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.vendors import VENDORS
from tests.nights.machine import Nights

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import Sandbox

NIGHTS = int(os.environ.get("NIGHTS", "2"))
"""How many sequences of acts each vendor sees; `make soak` sets it."""

ACTS = int(os.environ.get("ACTS", "6"))
"""How many acts there are in each at most."""

SEED = int(os.environ.get("NIGHTS_SEED", "1"))
"""Which sequences are played; each vendor sees others."""


@pytest.mark.parametrize("name", VENDORS)
def test_s17_s18_everyday_acts_in_any_order(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    class Played(Nights):
        vendor = VENDORS[name]
        folder = tmp_path / "nights"

    Played.sandbox = sandbox
    try:
        run_state_machine_as_test(
            seed(1_000 * SEED + list(VENDORS).index(name))(Played),
            settings=settings(
                max_examples=NIGHTS + 1,  # the simplest comes first, and is nothing but copies
                stateful_step_count=ACTS,
                database=None,
                deadline=None,
                print_blob=True,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        nights, runs = Nights.played.get(name, (0, 0))
        print(f"{name}: {nights} nights, {runs} runs of the pipeline, seed {SEED}")  # noqa: T201  told with -rP
