"""A port at which connecting times out: its queue is full, and nothing accepts."""

from __future__ import annotations

import socket

__all__ = ["FullListener"]

_FILLERS = 4


class FullListener:
    """Listens on a free port of 127.0.0.1 with a queue that it fills itself."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._fillers = [socket.socket() for _ in range(_FILLERS)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"
