"""What a vendor of a world has received: counters, and a log of requests."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from merchant_sandbox.http import ServerRequest

__all__ = ["Stats"]

_LOGGED_HEADERS = ("accept", "accept-encoding", "connection", "content-type", "octo-capabilities", "user-agent")
_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key", "x-client-id")
_LOG_LENGTH = 50_000
_BODY_LENGTH = 2_000


def _fingerprint(secret: str) -> str:
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(slots=True)
class Stats:
    """Counters of one vendor in one world."""

    requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    routes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    writes: list[dict[str, Any]] = field(default_factory=list)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))

    def arrived(self, request: ServerRequest) -> dict[str, Any]:
        """Count and log a request; returns its log entry, to which `finished` adds the status."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        route = request.route
        self.routes[route.pattern if route else "unknown"] += 1
        headers = {name: value for name, value in request.headers.items() if name in _LOGGED_HEADERS}
        headers |= {name: _fingerprint(value) for name, value in request.headers.items() if name in _SECRET_HEADERS}
        entry: dict[str, Any] = {
            "number": self.requests,
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "route": route.pattern if route else None,
            "headers": headers,
            "in_flight": self.in_flight,
            "writes": bool(route and route.writes),
        }
        if request.body:
            entry["body"] = request.body[:_BODY_LENGTH].decode("utf-8", "replace")
        self.log.append(entry)
        if entry["writes"]:
            self.writes.append(entry)
        return entry

    def finished(self, entry: dict[str, Any], status: int | None) -> None:
        """Count the answer; None: the connection was cut before a status line."""
        self.in_flight -= 1
        entry["status"] = status
        self.statuses[status or 0] += 1

    def summary(self) -> dict[str, Any]:
        """The counters as JSON."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "routes": dict(self.routes),
            "statuses": {str(status): number for status, number in sorted(self.statuses.items())},
            "client_errors": sum(n for status, n in self.statuses.items() if 400 <= status < 500),  # noqa: PLR2004 - HTTP
            "server_errors": sum(n for status, n in self.statuses.items() if status >= 500),  # noqa: PLR2004 - HTTP
            "writes": self.writes,
        }
