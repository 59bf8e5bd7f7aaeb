"""The operations of an API, and finding the one that a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Route", "Router"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    Args:
        method: Upper-case method.
        pattern: Path below ``base_path``, such as ``/customers/{customer_id}``; a name matches one segment. Faults and
            statistics know the route by it.
        handler: Name of the vendor's method.
        writes: Whether the operation would change data at the vendor.
        auth: Whether ``authorize`` is asked first.
    """

    method: str
    pattern: str
    handler: str
    writes: bool = False
    auth: bool = True


class Router:
    """Finds a route by method and raw path; a name in a pattern matches one percent-encoded segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Route]] = []
        for route in routes:
            if "{" in route.pattern:
                expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.pattern))
                self._patterns.append((route.method, re.compile(expression), route))
            else:
                self._fixed[route.method, route.pattern] = route

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route, and the decoded values of the names in its pattern."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        for wanted, expression, route in self._patterns:
            if wanted == method and (found := expression.fullmatch(path)):
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        return None
