"""The OAuth access token of an application: the same one until it expires, with its behaviour in switches."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from merchant_sandbox.dice import Dice
from merchant_sandbox.vendor import Switch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.clock import WorldClock

__all__ = ["TOKEN_SWITCHES", "Flooded", "Tokens"]

TOKEN_SWITCHES = (
    Switch("token_life_s", 3_600, "Lifetime of a token in seconds; 0: it never expires and has no `expires_in`."),
    Switch("token_refresh", True, "Whether there is a refresh token."),
    Switch("token_refresh_works", True, "Whether the refresh call accepts it."),
    Switch(
        "after_expiry",
        "new",
        "What the token call returns after expiry: a new token, or the same expired one until it is refreshed.",
        ("new", "same"),
    ),
    Switch("token_flood_limit", 15, "Token calls allowed in the flood window; 0: no limit."),
    Switch("token_flood_window_s", 900, "Length of the flood window in seconds of the world's clock."),
)
_DIGITS = 40


class Flooded(Exception):  # noqa: N818 - an answer, not a failure
    """The token call was made too often."""


@dataclass(slots=True)
class _Outstanding:
    value: str
    refresh: str | None
    dies_at: float | None


class Tokens:
    """The outstanding token of one application.

    Args:
        name: Tokens of other names have other values.
        clock: The world's clock.
        switches: The vendor's switches, `TOKEN_SWITCHES` among them, as they stand at each moment.
    """

    def __init__(self, name: str, clock: WorldClock, switches: Mapping[str, Any]) -> None:
        self._clock, self._switches = clock, switches
        self._dice = Dice(1, name)
        self._made = 0
        self._current: _Outstanding | None = None
        self._asked: deque[float] = deque()

    def valid(self, value: str | None) -> bool:
        """Whether calls with this bearer token pass."""
        return self._current is not None and value == self._current.value and self._alive()

    def obtain(self) -> dict[str, Any]:
        """The answer of the token call.

        Raises:
            Flooded: It was made too often.
        """
        self._count_request()
        dead = not self._alive()
        if self._current is None or (dead and self._switches["after_expiry"] == "new"):
            self._make()
        return self._answer()

    def refresh(self, value: str | None) -> dict[str, Any] | None:
        """The answer of the refresh call; None if this is not the refresh token, or it is not accepted."""
        if self._current is None or value is None or value != self._current.refresh:
            return None
        if not self._switches["token_refresh_works"]:
            return None
        self._make()
        return self._answer()

    def kill(self) -> None:
        """Expire the token at once; the refresh token remains valid."""
        if self._current is not None:
            self._current.dies_at = self._clock.time()

    def invalidate(self, value: str | None) -> bool:
        """Drop the token, as the invalidation call does; returns whether it was this one."""
        if self._current is None or value != self._current.value:
            return False
        self._current = None
        return True

    def _alive(self) -> bool:
        token = self._current
        return token is not None and (token.dies_at is None or self._clock.time() < token.dies_at)

    def _count_request(self) -> None:
        limit, now = self._switches["token_flood_limit"], self._clock.time()
        while self._asked and self._asked[0] <= now - self._switches["token_flood_window_s"]:
            self._asked.popleft()
        if limit and len(self._asked) >= limit:
            raise Flooded
        self._asked.append(now)

    def _hex(self, number: int) -> str:
        return "".join(f"{self._dice(number * 3 + part):016x}" for part in range(3))[:_DIGITS]

    def _make(self) -> None:
        self._made += 1
        life = self._switches["token_life_s"]
        self._current = _Outstanding(
            self._hex(self._made),
            self._hex(-self._made) if self._switches["token_refresh"] else None,
            self._clock.time() + life if life else None,
        )

    def _answer(self) -> dict[str, Any]:
        assert self._current is not None
        answer: dict[str, Any] = {"access_token": self._current.value, "scope": None, "token_type": "Bearer"}
        if self._switches["token_life_s"]:
            answer["expires_in"] = self._switches["token_life_s"]
        if self._current.refresh:
            answer["refresh_token"] = self._current.refresh
        return answer
