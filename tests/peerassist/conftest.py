"""Runs tap-peerassist against a world and compares what it gives with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import Account, Run, merged, run_tap
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from merchant_sandbox.client import World

STREAMS = ("fwos", "customers", "projects", "employees")


@dataclass
class Reader:
    """A world and a way to read it."""

    world: World

    @property
    def account(self) -> Account:
        return Account(self.world.config("peerassist"), self.world.env("peerassist"))

    def read(self, *, state: Mapping[str, Any] | None = None, log_level: str = "INFO", **config: Any) -> Run:
        """Run the tap; all streams are on unless told otherwise. The API must not have seen a write."""
        account = Account(self.account.config, {**self.account.env, "LOGLEVEL": log_level})
        settings = {"enable_streams": ["projects", "employees"], **config}
        run = run_tap(TapPeerAssist, account, config=settings, state=state)
        assert self.world.stats("peerassist")["writes"] == []
        return run

    def truth(self, stream: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        return merged(self.world.truth("peerassist", stream), ["id"])

    def calls(self, route: str) -> list[dict[str, Any]]:
        return [entry for entry in self.world.requests("peerassist") if entry["route"] == route]

    def assert_exact(self, run: Run, *streams: str) -> None:
        for stream in streams or STREAMS:
            rows = merged(run.records(stream), ["id"], without=["_extra"])
            truth = self.truth(stream)
            assert truth
            assert rows.keys() == truth.keys(), stream
            assert rows == truth, stream


@pytest.fixture
def reader(make_world: Callable[..., World]) -> Callable[..., Reader]:
    """Makes a world with switches of PeerAssist."""

    def make(*, clock_rate: float = 1.0, seed: int = 1, **switches: Any) -> Reader:
        return Reader(make_world(switches={"peerassist": switches}, clock_rate=clock_rate, seed=seed))

    return make
