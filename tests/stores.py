"""A server that speaks S3, of a test's own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
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
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    pipe, joined = subprocess.PIPE, subprocess.STDOUT
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=pipe, stderr=joined) as server:
        assert server.stdout
        lines = iter(server.stdout)
        said = next((line for line in lines if b"Running on" in line), b"")
        assert said, "the server did not start"
        rest = threading.Thread(target=log.writelines, args=(lines,))
        rest.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            rest.join()
