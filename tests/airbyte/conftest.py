"""A source of each vendor, in a world that the tests of this folder only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.airbyte.face import Source, Sync, configured
from tests.faults.conftest import EARLY
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import Sandbox, World
    from tests.airbyte.face import Message

SHARED = [pytest.param(name, marks=pytest.mark.xdist_group(f"airbyte-{name}")) for name in VENDORS]
"""The vendors, for tests that share a first sync: they run in one process."""

_NO_FLOOD = {"pegke": {"token_flood_limit": 0}}
"""In real time, a limit on logins would have dozens of syncs wait a quarter of an hour again and again."""


@pytest.fixture(scope="session")
def make_source(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Source]]:
    """Makes a source in a world of its own; takes a vendor's name."""
    worlds: list[World] = []

    def make(name: str) -> Source:
        vendor = VENDORS[name]
        habits = {name: {**vendor.switches, **_NO_FLOOD.get(name, {})}}
        # In real time: what is compared all through the session must not become another day's.
        world = sandbox.world(size="small", clock_start=EARLY, seed=1, switches=habits)
        worlds.append(world)
        folder: Path = tmp_path_factory.mktemp(name)
        return Source(name, {**world.config(name), **vendor.config}, folder, {"MERCHANT_CLOCK": world.clock()})

    yield make
    for world in worlds:
        world.drop()


class Synced:
    """A source, what it offers, and what a first sync of everything gave."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.discovered = source.discover()
        self.catalog: Message = configured(self.discovered.of("CATALOG")[0])
        self.first: Sync = source.read(self.catalog)


@pytest.fixture(scope="session")
def synced(make_source: Callable[[str], Source]) -> Callable[[str], Synced]:
    """What a first sync of a vendor gave; takes the vendor's name."""
    found: dict[str, Synced] = {}

    def sync(name: str) -> Synced:
        if name not in found:
            found[name] = Synced(make_source(name))
        return found[name]

    return sync
