"""What the sandbox serves, as raw material."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.clock import unix
from tap_core.errors import ApiError
from tap_core.streams.embedded import EmbeddedStream
from tests.faults.shop import Shop
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tap_core.records.field import Context
    from tap_core.tap import CoreTap

_ROWS = 40
"""How many rows of a stream are taken."""
_START = unix("2026-02-01T00:30:00+00:00")


@dataclass(frozen=True)
class Served:
    """What the sandbox serves for a vendor.

    Args:
        shop: The vendor and its world.
        tap: A tap that has read it.
        rows: The JSON of some rows of each stream that makes requests, each with what it does not say itself.
    """

    shop: Shop
    tap: CoreTap
    rows: Mapping[str, list[tuple[bytes, Context]]] = field(repr=False)

    def __str__(self) -> str:
        return self.shop.vendor.name

    def again(self, catalog: Mapping[str, Any] | None = None, **config: Any) -> CoreTap:
        """A tap of the same kind, with other settings."""
        return self.shop.vendor.tap(config={**_config(self.shop), **config}, catalog=catalog)


@pytest.fixture(scope="session")
def served(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Gives what is served for a vendor; takes its name."""
    made: dict[str, Served] = {}

    def give(name: str) -> Served:
        if name not in made:
            made[name] = _served(name, sandbox, tmp_path_factory.mktemp(name))
        return made[name]

    yield give
    for each in made.values():
        each.shop.world.drop()


def _config(shop: Shop) -> dict[str, Any]:
    """Settings with which every stream is read."""
    return {**shop.config, "enable_streams": [kind.name for kind in shop.vendor.tap.stream_types]}


def _served(name: str, sandbox: Sandbox, folder: Path) -> Served:
    vendor = VENDORS[name]
    world = sandbox.world(clock_start=_START, clock_rate=1_000, switches={name: vendor.switches})
    shop = Shop(vendor, world, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERCHANT_CLOCK", world.clock())
        tap = vendor.tap(config=_config(shop))
        assert tap.session.clients
    rows = {}
    for kind in tap.stream_types:
        stream = tap.session.stream(kind)
        if issubclass(kind, EmbeddedStream) or stream.unavailable():
            continue
        try:
            stream.prepare()
            found = (
                (bytes(row), stream.record_context(arrival.slice))
                for arrival in stream.arrivals()
                for row in arrival.rows
            )
            rows[kind.name] = list(islice(found, _ROWS))
        except (ApiError, NotImplementedError):
            continue
    return Served(shop, tap, {stream: found for stream, found in rows.items() if found})
