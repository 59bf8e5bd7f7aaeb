"""Running tap-pegke against a world of the sandbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import Account, Run, merged, run_tap, selected
from tap_pegke.tap import TapPegke

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from merchant_sandbox.client import World


@dataclass(frozen=True)
class Reader:
    """Reads streams of one world."""

    world: World
    catalog: Mapping[str, Any]

    def account(self) -> Account:
        return Account(self.world.config("pegke"), self.world.env("pegke"))

    def read(self, *streams: str, state: Mapping[str, Any] | None = None, debug: bool = False, **config: Any) -> Run:
        """Read these streams, and no others; settings that are None are left out."""
        account = self.account()
        if debug:
            account = Account(account.config, {**account.env, "LOGLEVEL": "DEBUG"})
        return run_tap(TapPegke, account, state=state, catalog=selected(self.catalog, streams), config=config)

    def exact(self, run: Run, *streams: str) -> None:
        """The run gave what the world's truth says."""
        assert run.code == 0, run.log
        for stream in streams:
            assert run.rows(stream) == self.truth(stream, run), stream

    def truth(self, stream: str, run: Run) -> dict[tuple[Any, ...], dict[str, Any]]:
        return merged(self.world.truth("pegke", stream), run.keys(stream))

    def bodies(self, route: str) -> list[str]:
        return [entry.get("body", "") for entry in self.world.requests("pegke") if entry["route"] == route]

    def count(self, route: str) -> int:
        routes: dict[str, int] = self.world.stats("pegke")["routes"]
        return routes.get(route, 0)


@pytest.fixture(scope="session")
def catalog() -> Mapping[str, Any]:
    """What the tap discovers; that takes no request."""
    found: Mapping[str, Any] = json.loads(run_tap(TapPegke, Account({}), "--discover").output)
    return found


@pytest.fixture
def make_pegke(make_world: Callable[..., World], catalog: Mapping[str, Any]) -> Callable[..., Reader]:
    """Makes a reader of a new world with these switches."""

    def make(*, size: str = "small", seed: int = 1, clock_rate: float = 1.0, **switches: Any) -> Reader:
        world = make_world(size=size, seed=seed, clock_rate=clock_rate, switches={"pegke": switches})
        return Reader(world, catalog)

    return make


@pytest.fixture
def pegke(make_pegke: Callable[..., Reader]) -> Reader:
    """A small world as it is without switches."""
    return make_pegke()
