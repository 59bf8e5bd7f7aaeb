"""A server that speaks S3, of a test's own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["object_store"]


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """Run a server whose log is in a folder; gives its address. It honours conditional puts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "log"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as server:
        while server.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
        assert server.poll() is None, log.read_text()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
