"""A world for each test, and what a run without faults gives in it."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trustme

from merchant_sandbox.clock import unix
from tests.faults.shop import Shop
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import World
    from tap_core.testing import Run

EARLY = unix("2026-02-01T00:30:00+00:00")
HASTE = 1_000
"""How many times as fast time goes, so that a wait of minutes costs a fraction of a second."""

_calm: dict[str, Run] = {}


@pytest.fixture
def make_shop(make_world: Callable[..., World], tmp_path: Path) -> Callable[..., Shop]:
    """Makes a world for a vendor; takes its name, the size, a rate of the clock and switches."""

    def make(name: str, *, size: str = "small", clock_rate: float = HASTE, seed: int = 1, **switches: object) -> Shop:
        def shop(**wanted: object) -> Shop:
            habits = {**VENDORS[name].switches, **wanted}
            world = make_world(size=size, clock_start=EARLY, clock_rate=clock_rate, seed=seed, switches={name: habits})
            return Shop(VENDORS[name], world, tmp_path)

        made = shop(**switches)
        if seed == 1 and size == "small" and not switches:
            if name not in _calm:
                calm = shop()
                calm.face = "singer"  # what every face must give
                _calm[name] = calm.read()
            made.calm = _calm[name]
        return made

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop], request: pytest.FixtureRequest) -> Shop:
    """The shop of the vendor that the test is about."""
    made: Shop = make_shop(request.param)
    return made


@pytest.fixture(scope="session")
def tls_port() -> Iterator[int]:
    """The port of a server whose certificate nobody has a reason to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # a client that hangs up may do so with a reset
                    context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=refuse, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
