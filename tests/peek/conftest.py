"""Runs of tap-peek against worlds of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import Account, Run, merged, run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World


@pytest.fixture
def run() -> Callable[..., Run]:
    """Runs the tap against a world; takes what `run_tap` takes."""

    def run_once(world: World, *arguments: str, **more: Any) -> Run:
        return run_tap(TapPeek, Account(world.config("peek"), world.env("peek")), *arguments, **more)

    return run_once


@pytest.fixture
def assert_exact() -> Callable[[World, Run], None]:
    """Compares every stream of a run with the world's truth."""

    def compare(world: World, run: Run) -> None:
        assert run.code == 0, run.log
        for stream in run.streams:
            # The time of reading is part of a snapshot's key, and unknown to the world.
            keys = [key for key in run.keys(stream) if key != "_read_at"]
            found = merged(run.records(stream), keys, without=["_read_at"])
            assert len(found) == len(run.records(stream)), f"{stream} has repeats"
            wanted = merged(world.truth("peek", stream), keys)
            assert found.keys() == wanted.keys(), stream
            for key, row in wanted.items():
                assert found[key] == row, stream

    return compare
