"""A machine whose acts a test chooses itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.vendors import VENDORS
from tests.nights.machine import Nights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import Sandbox


@pytest.fixture
def begin(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., Nights]]:
    """Begins a night; takes the vendor's name and what `Nights.begin` takes."""
    machines: list[Nights] = []

    def start(name: str, **habits: Any) -> Nights:
        class Played(Nights):
            vendor = VENDORS[name]
            folder = tmp_path / "nights"

        Played.sandbox = sandbox
        machines.append(Played())
        usual = {"seed": 1, "ticks": 0, "lake": False, "hard_delete": False, "resume_state": False, "kill": None}
        machines[-1].begin(**{**usual, **habits})
        return machines[-1]

    yield start
    for machine in machines:
        machine.teardown()
