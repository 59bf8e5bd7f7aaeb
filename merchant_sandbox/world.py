"""A world: data, clock, ticks, switches, faults and counters that belong together."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from merchant_sandbox.clock import WORLD_START, WorldClock
from merchant_sandbox.discovery import vendors
from merchant_sandbox.errors import SandboxError
from merchant_sandbox.faults import Faults
from merchant_sandbox.full_listener import FullListener
from merchant_sandbox.stats import Stats
from merchant_sandbox.timeline import story_time
from merchant_sandbox.vendor import Size

if TYPE_CHECKING:
    from merchant_sandbox.vendor import Vendor

__all__ = ["Seat", "ServerWorld", "Worlds"]

_SIZES = get_args(Size)
_FEW = {"demo", "small"}
_CACHED_MODELS = 12
_MOST_TICKS = 10_000
"""27 years of data: each tick adds a day's records to every list."""


class _Models:
    """The models used last. Worlds of equal (seed, size, ticks) share one; each vendor has one big model at most."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[type[Vendor], int, str, int], Any] = OrderedDict()

    def get(self, vendor: type[Vendor], seed: int, size: Size, ticks: int) -> Any:
        key = (vendor, seed, size, ticks)
        if key not in self._kept:
            if size not in _FEW:
                for other in [k for k in self._kept if k[0] is vendor and k[2] not in _FEW]:
                    del self._kept[other]
            self._kept[key] = vendor.build(seed, size, ticks)
        self._kept.move_to_end(key)
        while len(self._kept) > _CACHED_MODELS:
            self._kept.popitem(last=False)
        return self._kept[key]


_models = _Models()


def _check_ticks(ticks: int) -> None:
    if not 0 <= ticks <= _MOST_TICKS:
        raise SandboxError(f"ticks must be between 0 and {_MOST_TICKS:,}")


@dataclass(slots=True)
class Seat:
    """One vendor in one world."""

    vendor: Vendor
    faults: Faults
    stats: Stats = field(default_factory=Stats)


class ServerWorld:
    """One world of the sandbox.

    Args:
        name: Its part of the URL.
        base_url: Base URL of the sandbox.
        seed: Seed of the data.
        size: ``demo``, ``small``, ``medium`` or ``large``.
        ticks: Days of changes on top of the base data.
        clock_start: Virtual time at which the clock starts, in Unix seconds.
        clock_rate: Virtual seconds per real second.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        seed: int = 1,
        size: Size = "small",
        ticks: int = 0,
        clock_start: float = WORLD_START,
        clock_rate: float = 1.0,
    ) -> None:
        if size not in _SIZES:
            raise SandboxError(f"size must be one of {', '.join(_SIZES)}, not {size!r}")
        _check_ticks(ticks)
        if not 0 < clock_rate < math.inf:
            raise SandboxError("clock_rate must be a finite number above 0")
        self.name, self.seed, self.size, self.ticks = name, seed, size, ticks
        self.url = f"{base_url}/w/{name}"
        self.clock = WorldClock(max(clock_start, story_time(ticks)), clock_rate)
        self._seats: dict[str, Seat] = {}

    def seat(self, vendor: str) -> Seat:
        """A vendor in this world, made when first asked for."""
        seat = self._seats.get(vendor)
        if seat is None:
            kind = vendors().get(vendor)
            if kind is None:
                raise SandboxError(f"no vendor {vendor!r}; the vendors are {', '.join(vendors())}")
            model = _models.get(kind, self.seed, self.size, self.ticks)
            seat = Seat(kind(self.clock, model, f"{self.url}/{vendor}{kind.base_path}"), Faults(self.clock))
            self._seats[vendor] = seat
        return seat

    def seats(self) -> list[Seat]:
        """The vendors that have been asked for so far."""
        return list(self._seats.values())

    def tick(self, number: int = 1) -> None:
        """Add this many days of changes; the clock never shows a time before the end of the data."""
        if number < 0:
            raise SandboxError("a world cannot tick backwards")
        _check_ticks(self.ticks + number)
        self.ticks += number
        self.clock.advance(max(0.0, story_time(self.ticks) - self.clock.time()))
        for seat in self.seats():
            seat.vendor.tick(_models.get(type(seat.vendor), self.seed, self.size, self.ticks))

    def switch(self, vendor: str, values: dict[str, Any]) -> None:
        """Set switches of a vendor.

        Raises:
            SandboxError: There is no such switch, or it does not accept the value.
        """
        emulation = self.seat(vendor).vendor
        declared = {switch.name: switch for switch in emulation.switches_declared}
        for name, value in values.items():
            switch = declared.get(name)
            if switch is None:
                raise SandboxError(f"{vendor} has no switch {name!r}; it has {', '.join(declared)}")
            if switch.choices and value not in switch.choices:
                raise SandboxError(f"{vendor} switch {name} must be one of {', '.join(map(str, switch.choices))}")
            if switch.default is not None and value is not None and not isinstance(value, type(switch.default)):
                raise SandboxError(f"{vendor} switch {name} must be a {type(switch.default).__name__}")
        emulation.switches.update(values)

    def config(self, vendor: str) -> dict[str, Any]:
        """The tap's settings for this vendor: its address, and how to log in."""
        emulation = self.seat(vendor).vendor
        return {"api_url": emulation.url, **emulation.settings, **emulation.settings_now(), **emulation.credentials}

    def describe(self) -> dict[str, Any]:
        """What a client needs to know about the world."""
        return {
            "name": self.name,
            "url": self.url,
            "seed": self.seed,
            "size": self.size,
            "ticks": self.ticks,
            "clock": self.clock.text(),
        }


class Worlds:
    """The worlds of a running sandbox, and what they share.

    Args:
        base_url: Base URL of the sandbox.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._worlds: dict[str, ServerWorld] = {}
        self._made = 0
        self.elsewhere = Stats()

    @cached_property
    def full_listener(self) -> FullListener:
        """The port at which connecting times out, opened when first asked for."""
        return FullListener()

    def make(self, name: str | None = None, **arguments: Any) -> ServerWorld:
        """Make a world, under a new name unless one is given; an existing world of that name is replaced."""
        if name is None:
            self._made += 1
            name = f"w{self._made}"
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise SandboxError("the name of a world may contain only letters, digits, - and _")
        switches: dict[str, dict[str, Any]] = arguments.pop("switches", None) or {}
        world = ServerWorld(name, self.base_url, **arguments)
        for vendor, values in switches.items():
            world.switch(vendor, values)
        self._worlds[name] = world
        return world

    def get(self, name: str) -> ServerWorld:
        """The world of that name."""
        world = self._worlds.get(name)
        if world is None:
            raise SandboxError(f"no world {name!r}")
        return world

    def find(self, name: str) -> ServerWorld | None:
        """The world of that name, if there is one."""
        return self._worlds.get(name)

    def drop(self, name: str) -> None:
        """Forget a world."""
        self._worlds.pop(name, None)
