"""Shared fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from merchant_sandbox.client import World


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox, one for each test process."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def make_world(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Callable[..., World]]:
    """Makes worlds that live as long as the test; takes what `Sandbox.world` takes."""
    made: list[World] = []

    def make(name: str | None = None, **arguments: object) -> World:
        made.append(sandbox.world(name, **arguments))  # type: ignore[arg-type]
        return made[-1]

    before = len(sandbox.stderr())
    yield make
    for world in made:
        world.drop()
    if said := sandbox.stderr()[before:]:
        request.node.add_report_section("teardown", "sandbox stderr", said)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A small world of the test's own."""
    return make_world()
