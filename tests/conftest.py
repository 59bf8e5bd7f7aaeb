"""Shared fixtures."""

from __future__ import annotations

import logging
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.client import Sandbox
from tap_core import testing
from tap_core.config.redact import Redactor
from tests.warm import run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from http.server import BaseHTTPRequestHandler

    from merchant_sandbox.client import World

_SHOWN = 5_000
"""Characters of the sandbox's stderr that a failed test shows."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the sandbox said beside a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("sandbox")
    if report.failed and running is not None and (said := running.stderr()):
        report.sections.append(("sandbox stderr", said[-_SHOWN:]))
    return report


@pytest.fixture(scope="session", autouse=True)
def warm_taps() -> Iterator[None]:
    """Taps that are run to their end start warm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "process", lambda command, env: run(command, env=env))
        yield


@pytest.fixture(autouse=True)
def forget_secrets() -> Iterator[None]:
    """Take the filters of a test's taps off pytest's handlers, which last: each message would pass through them all."""
    yield
    for handler in logging.getLogger().handlers:
        for each in [found for found in handler.filters if isinstance(found, Redactor)]:
            handler.removeFilter(each)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox, one for each test process."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """Serves canned answers as long as the test lasts; takes their handler, returns the address."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        servers.append((server, thread))
        thread.start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def make_world(sandbox: Sandbox) -> Iterator[Callable[..., World]]:
    """Makes worlds that live as long as the test; takes what `Sandbox.world` takes."""
    made: list[World] = []

    def make(name: str | None = None, **arguments: object) -> World:
        made.append(sandbox.world(name, **arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for world in made:
        world.drop()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A small world of the test's own."""
    return make_world()
