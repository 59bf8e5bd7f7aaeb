"""The tap for Peakium: its settings and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk import typing as th
from typing_extensions import override

from tap_core.config.settings import config_schema
from tap_core.http.auth import BasicAuth
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.tap import CoreTap
from tap_peakium.client import PeakiumClient
from tap_peakium.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.http.client import Network

__all__ = ["TapPeakium"]


class TapPeakium(CoreTap):
    """Singer tap for the Peakium payments API."""

    name = "tap-peakium"
    stream_types = STREAMS

    config_jsonschema = config_schema(
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            title="API key",
            description="The account's API key, live or test: the key decides which data you see.",
        ),
        th.Property(
            "expand",
            th.ArrayType(th.StringType),
            default=[],
            title="Expand",
            description="References to inline as full objects, such as customer. It is inferred that lists honour it.",
        ),
        api_url="https://secure.peakium.com/api/v1",
        bounded="They bound `events` by `created`; the other streams are read whole, because no date of theirs tells "
        "every change. With client_filter, they bound the derived `_updated_at` too, and what is older is missing.",
        page_size=100,
    )

    @override
    def make_clients(self, network: Network) -> Mapping[str, PeakiumClient]:
        return {DEFAULT_ACCOUNT: PeakiumClient(network, BasicAuth(self.config["api_key"], settings="api_key"))}
