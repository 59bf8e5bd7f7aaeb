"""The tap for Peakium: its settings and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th
from typing_extensions import override

from tap_core.config.settings import config_schema
from tap_core.config.webhooks import WEBHOOKS, check_followed
from tap_core.errors import ConfigError
from tap_core.http.auth import BasicAuth
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.tap import CoreTap
from tap_peakium.client import PeakiumClient
from tap_peakium.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.http.client import Network
    from tap_core.streams.base import CoreStream

__all__ = ["FILTERS", "TapPeakium"]

_ITEM = th.CustomType({"type": ["string", "integer", "null"]})

FILTERS: Final = th.ObjectType(
    th.Property(
        "events",
        th.ObjectType(
            th.Property("customer", th.StringType, description="Of this customer."),
            th.Property("invoice", th.StringType, description="About this invoice."),
            th.Property("subscription", th.StringType, description="About this subscription; needs customer too."),
            additional_properties=False,
        ),
    ),
    th.Property(
        "event_webhooks",
        th.ObjectType(
            th.Property("event", th.StringType, description="Of this event."),
            th.Property("url", th.StringType, description="To this endpoint."),
            additional_properties=False,
        ),
    ),
    th.Property(
        "invoices",
        th.ObjectType(
            th.Property("customer", th.StringType, description="Of this customer."),
            th.Property("overdue", th.BooleanType, description="Only those that are overdue."),
            th.Property("item_id", _ITEM, description="With a line of this item."),
            additional_properties=False,
        ),
    ),
    th.Property(
        "subscriptions",
        th.ObjectType(
            th.Property("customer", th.StringType, description="Of this customer."),
            additional_properties=False,
        ),
    ),
    additional_properties=False,
)
"""The filters that the reference documents, by the stream of their list."""


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
        th.Property(
            "filters",
            FILTERS,
            default={},
            title="Filters",
            description="Filters of the lists, by stream, as the reference names them: "
            '{"invoices": {"customer": "cu4321", "overdue": true}}. What they leave out stays in the warehouse as it '
            "was.",
        ),
        *WEBHOOKS,
        th.Property(
            "webhooks_account",
            th.StringType,
            default=DEFAULT_ACCOUNT,
            title="Account of webhooks",
            description="What the receivers' settings call this account, where they receive for several.",
        ),
        api_url="https://secure.peakium.com/api/v1",
        bounded="They bound `events` by `created`; the other streams are read whole, because no date of theirs tells "
        "every change. With client_filter, they bound the derived `_updated_at` too, and what is older is missing.",
        page_size=100,
    )

    @override
    def check_settings(self) -> None:
        super().check_settings()
        filters: Mapping[str, Mapping[str, Any]] = self.config["filters"]
        events = filters.get("events") or {}
        if events.get("subscription") is not None and events.get("customer") is None:
            raise ConfigError(
                "setting 'filters.events.subscription' needs 'filters.events.customer': a token is unique only within "
                "its customer"
            )
        for stream in (name for name, wanted in filters.items() if wanted):
            self.logger.warning(
                "setting filters narrows %s: what it leaves out is neither read nor taken for gone", stream
            )

    @override
    def prepare(self, readers: Sequence[CoreStream]) -> None:
        check_followed(self.config, endless=any(reader.endless for reader in readers))

    @override
    def make_clients(self, network: Network) -> Mapping[str, PeakiumClient]:
        return {DEFAULT_ACCOUNT: PeakiumClient(network, BasicAuth(self.config["api_key"], settings="api_key"))}
