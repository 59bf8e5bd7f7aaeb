"""The tap for Peek: its settings, its connections and its streams."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_core.config.webhooks import check_followed
from tap_core.http.auth import BearerAuth
from tap_core.tap import CoreTap
from tap_peek.client import PeekClient
from tap_peek.settings import CONFIG, PeekSettings
from tap_peek.streams.availability import Availability, AvailabilityCalendar, AvailabilitySnapshots
from tap_peek.streams.bookings import Bookings, BookingUnitItems, BookingUpdates
from tap_peek.streams.connection import Capabilities, Supplier, Webhooks
from tap_peek.streams.products import Options, ProductCapabilities, Products, Units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.http.client import Network
    from tap_core.streams.base import CoreStream

__all__ = ["TapPeek"]


class TapPeek(CoreTap):
    """Singer tap for the Peek Reseller API, and for other servers of the OCTO standard."""

    name = "tap-peek"
    stream_types = (
        Products,
        Options,
        Units,
        ProductCapabilities,
        AvailabilityCalendar,
        Availability,
        AvailabilitySnapshots,
        Bookings,
        BookingUnitItems,
        BookingUpdates,
        Webhooks,
        Supplier,
        Capabilities,
    )
    config_jsonschema = CONFIG

    @cached_property
    @override
    def settings(self) -> PeekSettings:
        return PeekSettings(self.config)

    @override
    def check_settings(self) -> None:
        super().check_settings()
        self.settings.check()

    @override
    def prepare(self, readers: Sequence[CoreStream]) -> None:
        check_followed(self.config, endless=any(reader.endless for reader in readers))

    @override
    def make_clients(self, network: Network) -> Mapping[str, PeekClient]:
        """One client per key, by the name of the connection."""
        several = bool(self.config.get("connections"))
        return {
            name: PeekClient(
                network,
                BearerAuth(key, settings=f"the api_key of connection {name!r}" if several else "api_key"),
                capabilities=self.settings.capability_ids,
                warn=self.session.warn_once,
            )
            for name, key in self.settings.keys.items()
        }
