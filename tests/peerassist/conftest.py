"""Runs tap-peerassist against a world and compares what it gives with the truth."""

from __future__ import annotations

import logging
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import TapError
from tap_core.output.messages import MessageWriter
from tap_core.testing import Account, Run, merged, run_tap
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World

STREAMS = ("fwos", "customers", "projects", "employees")


@dataclass
class Reader:
    """A world and a way to read it."""

    world: World
    folder: Path

    @property
    def account(self) -> Account:
        return Account(self.world.config("peerassist"), self.world.env("peerassist"))

    def read(self, *, state: dict[str, Any] | None = None, catalog: dict[str, Any] | None = None, **config: Any) -> Run:
        """Run the tap inside this process; all streams are on unless told otherwise. No write may reach the API."""
        settings = {**self.account.config, "enable_streams": ["projects", "employees"], **config}
        said = StringIO()
        handler = logging.StreamHandler(said)
        code = 0
        with (
            pytest.MonkeyPatch.context() as patch,
            (self.folder / "messages.jsonl").open("w+b") as output,
            redirect_stderr(said),
        ):
            patch.setenv("MERCHANT_CLOCK", self.world.clock())
            logging.getLogger().addHandler(handler)
            try:
                writer = MessageWriter(output.fileno())
                TapPeerAssist(config=settings, state=state, catalog=catalog, message_writer=writer).run()
            except TapError as error:
                code = error.exit_code
                said.write(str(error))
            finally:
                logging.getLogger().removeHandler(handler)
            output.seek(0)
            messages = output.read()
        assert self.world.stats("peerassist")["writes"] == []
        return Run(code, messages, said.getvalue())

    def run(self, *, log_level: str = "INFO", **config: Any) -> Run:
        """Run the tap as a process of its own."""
        account = Account(self.account.config, {**self.account.env, "LOGLEVEL": log_level})
        return run_tap(TapPeerAssist, account, config=config)

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
def reader(make_world: Callable[..., World], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., Reader]:
    """Makes a world with switches of PeerAssist."""
    caplog.set_level(logging.INFO)

    def make(*, clock_rate: float = 1.0, seed: int = 1, **switches: Any) -> Reader:
        return Reader(make_world(switches={"peerassist": switches}, clock_rate=clock_rate, seed=seed), tmp_path)

    return make
