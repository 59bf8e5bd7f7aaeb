"""Faults that are switched on from outside, and which request meets which fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from merchant_sandbox.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.http import ServerRequest

__all__ = ["ANSWER_KINDS", "DETAILS", "KINDS", "PAGING_KINDS", "Fault", "Faults"]

PAGING_KINDS: Mapping[str, str] = {
    "insert": "`rows` rows at `position` are missing up to request number `after`, and present from then on",
    "delete": "`rows` rows at `position` are present up to request number `after`, and gone from then on",
    "duplicate": "`rows` rows at `position` appear a second time, `gap` rows later (default 100)",
    "ignore_page_size": "every page has `rows` rows (default 10), whatever size is asked for",
    "ignore_page": "the offset or page number is ignored: the answer is always the first page",
    "page_cap": "no page has more than `rows` rows (default 10)",
    "empty_page": "an empty page in the middle of the list, with more rows after it",
    "total": "the total in the answer is off by `by` rows (default 10)",
    "oversize": "the page has `rows` more rows (default 50) than asked for",
}

ANSWER_KINDS: Mapping[str, str] = {
    "delay": "the answer starts `seconds` later (real time); other requests are not held up",
    "status": "answers with `status` (default 500); see below for headers, waiting times and bodies",
    "throttle": "429 until `seconds` (default 60) of the world's clock have passed since the first refusal; see below",
    "unauthorized": "the vendor's own 401, as for a revoked or expired credential",
    "expire_tokens": "every token issued so far is invalid from this request on",
    "error_object": "the vendor's error body with status 200",
    "stall": "nothing is sent, and the connection stays open",
    "stall_body": "the body stops half-way (`at`, default 0.5), and the connection stays open",
    "reset": "TCP reset before the headers",
    "reset_body": "TCP reset half-way through the body (`at`, default 0.5)",
    "short_body": "Content-Length exceeds the body by `missing` bytes (default 100), then the connection closes",
    "cut_chunked": "a chunked body without its final chunk",
    "bad_gzip": "Content-Encoding: gzip, with a body that is corrupt half-way through (`at`)",
    "gzip": "a valid gzip body",
    "html": "200 with an HTML page",
    "cut_json": "200 with the first half of the JSON text and a matching Content-Length",
    "no_content": "204",
    "empty_body": "200 with an empty body",
    "bom": "a byte-order mark before the JSON text",
    "nan": "the first number (of `field`, if named) is NaN",
    "charset": "the body is in the charset that its header names (`charset`, default iso-8859-1), not in UTF-8",
    "wrong_charset": "UTF-8, but the header names another charset (`charset`, default iso-8859-1)",
    "redirect": "a redirect; `to`: `host` (another host name), `loop` (itself), `same` (with a slash more) or a URL; "
    "`status` default 302",
    "close": "a good answer, after which the server closes the connection unannounced",
    "patch": "a good answer with values changed: `set`: {path: value}, `remove`: [path]; a path is `data.*.name`",
}

KINDS: Mapping[str, str] = {**ANSWER_KINDS, **PAGING_KINDS}

DETAILS: Mapping[str, tuple[str, ...]] = {
    "insert": ("rows", "position"),
    "delete": ("rows", "position"),
    "duplicate": ("rows", "position", "gap"),
    "ignore_page_size": ("rows",),
    "page_cap": ("rows",),
    "total": ("by",),
    "oversize": ("rows",),
    "delay": ("seconds",),
    "status": ("status", "headers", "body", "reset_in", "retry_after", "retry_after_date"),
    "throttle": ("seconds", "status", "headers", "body", "tell"),
    "stall_body": ("at",),
    "reset_body": ("at",),
    "short_body": ("missing",),
    "cut_chunked": ("at",),
    "bad_gzip": ("at",),
    "cut_json": ("at",),
    "nan": ("field",),
    "charset": ("charset",),
    "wrong_charset": ("charset",),
    "redirect": ("to", "status"),
    "patch": ("set", "remove"),
}
"""What a kind takes besides the arguments that choose its requests; kinds that are not listed take nothing."""


@dataclass(slots=True)
class Fault:
    """One fault on one route.

    Args:
        kind: A key of `KINDS`.
        route: Pattern of the route, ``METHOD pattern``, or ``*`` for all.
        times: How often it strikes; None: always.
        after: Number of matching requests that pass first.
        every: Strikes only every n-th matching request.
        probability: Chance to strike, decided by ``seed`` and the number of the request.
        seed: Seed of that chance.
        where: Query parameters that a matching request must have.
        details: What the kind takes.
    """

    kind: str
    route: str = "*"
    times: int | None = 1
    after: int = 0
    every: int | None = None
    probability: float | None = None
    seed: int = 1
    where: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    id: int = 0
    seen: int = 0
    fired: int = 0
    until: float | None = None

    @property
    def spoils(self) -> bool:
        """Whether it replaces the good answer; no request can meet two of these."""
        return self.kind not in PAGING_KINDS and self.kind not in {"delay", "expire_tokens"}

    def matches(self, request: ServerRequest) -> bool:
        """Whether the request is one that the fault may strike."""
        route = request.route
        if self.route != "*" and (
            route is None or self.route not in {route.pattern, f"{route.method} {route.pattern}"}
        ):
            return False
        return all(request.query(name) == value for name, value in self.where.items())

    def strikes(self, now: float) -> bool:
        """Count a matching request, and tell whether the fault strikes it.

        Args:
            now: Virtual Unix seconds.
        """
        self.seen += 1
        if self.kind == "insert":
            strikes = self.seen <= self.after
        elif self.kind == "throttle" and self.until is not None:
            strikes = now < self.until
        else:
            number = self.seen - self.after
            strikes = (
                number > 0
                and (self.kind == "delete" or self.times is None or self.fired < self.times)
                and (self.every is None or (number - 1) % self.every == 0)
                and (self.probability is None or Dice(self.seed, "fault")(self.seen) < self.probability * 2**64)
            )
        self.fired += strikes
        return strikes

    def describe(self) -> dict[str, Any]:
        """The fault as JSON."""
        return {"id": self.id, "kind": self.kind, "route": self.route, "seen": self.seen, "fired": self.fired}


class Faults:
    """The faults of one vendor in one world.

    Args:
        clock: The world's clock.
    """

    __slots__ = ("_clock", "_faults", "_made")

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock
        self._faults: list[Fault] = []
        self._made = 0

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on."""
        self._made += 1
        fault.id = self._made
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Switch all faults off."""
        self._faults.clear()

    def all(self) -> list[Fault]:
        """All faults, each with how often it has struck."""
        return self._faults

    def striking(self, request: ServerRequest) -> list[Fault]:
        """The faults that strike this request, oldest first; at most one of them replaces its answer."""
        if not self._faults:
            return []
        now, met, spoilt = self._clock.time(), [], False
        for fault in self._faults:
            if not fault.matches(request):
                continue
            if spoilt and fault.spoils:
                fault.seen += 1
            elif fault.strikes(now):
                met.append(fault)
                spoilt = spoilt or fault.spoils
        return met
