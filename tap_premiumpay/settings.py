"""The settings of the tap for premiumpay, and what its streams make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_core.config.settings import config_schema
from tap_core.errors import ConfigError
from tap_core.timestamps import zone
from tap_premiumpay.columns import TYPES
from tap_premiumpay.guesses import endpoints

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["AGGREGATE_FIELDS", "CONFIG", "PremiumpaySettings"]

AGGREGATE_FIELDS: Final = ("country", "payment_method", "service")

_LONGEST_CLIENT_ID = 50
_HOURS_OF_A_YEAR = 366 * 24
_DAYS_OF_TEN_YEARS = 3_660

_BOUNDED: Final = (
    "They bound `sales`, `aggregated_sales`, `channel_sales` and `channel_results`: windows that overlap the range are "
    "read, each of them whole; the other streams are read whole."
)

CONFIG: Final = config_schema(
    th.Property(
        "jwt",
        th.StringType,
        required=True,
        secret=True,
        title="JWT",
        description="The token for the data API. The tap cannot renew it: when it expires, set a new one.",
    ),
    th.Property(
        "client_id",
        th.StringType(max_length=_LONGEST_CLIENT_ID),
        required=True,
        secret=True,
        title="Client id",
        description="Sent as X-client-id; at most 50 characters.",
    ),
    th.Property(
        "start_date",
        th.StringType,
        required=True,
        title="Start date",
        description="Where reading begins: a date (2024-01-01) or a time with a zone (2024-01-01T00:00:00Z). "
        + _BOUNDED,
    ),
    th.Property(
        "window_hours",
        th.IntegerType(minimum=1, maximum=_HOURS_OF_A_YEAR),
        default=24,
        title="Window",
        description="Length of a window, in hours. Keys contain windows: choose it before the first run.",
    ),
    th.Property(
        "backfill_window_days",
        th.IntegerType(minimum=1, maximum=_DAYS_OF_TEN_YEARS),
        default=7,
        title="Backfill window",
        description="Length of a window of the first run's backfill, in days; a multiple of window_hours. Larger "
        "windows cost fewer calls.",
    ),
    th.Property(
        "lookback_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=2,
        title="Lookback",
        description="Days before the bookmark that are read again, to catch late sales and refunds.",
    ),
    th.Property(
        "time_zone",
        th.StringType,
        default="UTC",
        title="Time zone",
        description="Time zone of the server (undocumented), for times without an offset and for spans.",
    ),
    th.Property(
        "window_edges",
        th.StringType(allowed_values=["[]", "[)", "(]", "()"]),
        default="[]",
        title="Window edges",
        description="Whether start and end belong to a span (undocumented): [ ] include, ( ) exclude. Matters only "
        "for rows without a time, such as aggregates.",
    ),
    th.Property(
        "sales_key_field",
        th.StringType,
        title="Key of sales",
        description="The column with a sale's own id (id, or one of extra_columns). Without it, the key is a hash "
        "of the row, and a sale that changes becomes a new row.",
    ),
    th.Property(
        "pasarela_ids",
        th.ArrayType(th.IntegerType(minimum=0)),
        default=[],
        title="Gateways",
        description="Read only the sales of these gateways, by id; saves the calls for the others.",
    ),
    th.Property(
        "sales_by_gateway",
        th.BooleanType,
        default=True,
        title="Sales by gateway",
        description="Whether sales are asked for gateway by gateway. One call for all saves calls: the page calls the "
        "gateway mandatory, its schema does not.",
    ),
    th.Property(
        "service_id",
        th.IntegerType,
        title="Service",
        description="Read only the sales of this service.",
    ),
    th.Property(
        "service_ids",
        th.ArrayType(th.IntegerType(minimum=0)),
        default=[],
        title="Services",
        description="Read only the sales of these services: one call for each, for the gateways that have it.",
    ),
    th.Property(
        "aggregate_fields",
        th.ArrayType(th.StringType(allowed_values=list(AGGREGATE_FIELDS))),
        default=list(AGGREGATE_FIELDS),
        title="Aggregates",
        description="What sales are aggregated by; each costs one call per window.",
    ),
    th.Property(
        "channel_ids",
        th.ArrayType(th.IntegerType(minimum=0)),
        default=[],
        title="Channels",
        description="Read only the results and sales of these channels, by id; saves the calls for the others.",
    ),
    th.Property(
        "invitation_links",
        th.ArrayType(th.StringType),
        default=[],
        title="Invitation links",
        description="Ask for channel results and sales of these links only, as per_link does.",
    ),
    th.Property(
        "per_link",
        th.BooleanType,
        default=False,
        title="By link",
        description="Ask for channel results and sales link by link; what did not come through a link is left out.",
    ),
    th.Property(
        "link_names",
        th.ArrayType(th.StringType),
        default=[],
        title="Link names",
        description="Read only channels that have links with these names.",
    ),
    th.Property(
        "exclude_link_names",
        th.BooleanType,
        default=False,
        title="Exclude link names",
        description="Inverts link_names: read only channels without such links.",
    ),
    th.Property(
        "channel_fields",
        th.ArrayType(th.StringType),
        default=[],
        title="Channel fields",
        description="Ask for only these fields of channels; their names are undocumented.",
    ),
    th.Property(
        "link_fields",
        th.ArrayType(th.StringType),
        default=[],
        title="Link fields",
        description="Ask for only these fields of links; their names are undocumented.",
    ),
    th.Property(
        "consolidate_links",
        th.BooleanType,
        default=False,
        title="Consolidate links",
        description="Let the API consolidate links; what that does is undocumented.",
    ),
    th.Property(
        "extra_columns",
        th.ObjectType(
            additional_properties=th.ObjectType(additional_properties=th.StringType(allowed_values=list(TYPES)))
        ),
        default={},
        title="Extra columns",
        description='Further fields to load as columns, by stream, with their types: {"sales": {"status": "string"}}.',
    ),
    th.Property(
        "endpoints",
        th.ObjectType(
            additional_properties=th.ObjectType(
                th.Property("path", th.StringType(nullable=True)),
                th.Property("method", th.StringType(allowed_values=["GET", "POST"])),
                th.Property("rows", th.StringType(nullable=True)),
                th.Property("rename", th.ObjectType(additional_properties=th.StringType)),
                th.Property("time", th.StringType(nullable=True)),
                th.Property("key", th.ArrayType(th.StringType)),
            )
        ),
        default={},
        title="Endpoints",
        description="Corrections to what is guessed about the API, by stream; the docs page has the table.",
    ),
    api_url=None,
    bounded=_BOUNDED,
)

_HIDING: Final[Mapping[str, str]] = {
    "pasarela_ids": "sales of other gateways are not read",
    "service_id": "sales of other services are not read",
    "service_ids": "sales of other services are not read",
    "channel_ids": "sales and results of other channels are not read",
    "invitation_links": "sales and results that did not come through these links are not read",
    "per_link": "sales and results that did not come through a link are not read",
    "link_names": "only some channels, and their sales and results, are read",
    "channel_fields": "columns of channels that it does not name stay empty",
    "link_fields": "columns of channel_links that it does not name stay empty",
    "consolidate_links": "links may be merged; what the API does is undocumented",
}
"""What the settings that make a run read less keep from the warehouse."""


class PremiumpaySettings:
    """The settings as the streams need them.

    Args:
        config: The settings, defaults included.

    Attributes:
        endpoints: The table of guesses, with the user's corrections.

    Raises:
        ConfigError: The setting ``endpoints`` names something that is not in the table.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.endpoints = endpoints(config["endpoints"])

    def check(self, streams: Collection[str]) -> None:
        """Check what a schema cannot express.

        Args:
            streams: The names of the tap's streams.

        Raises:
            ConfigError: A setting makes no sense.
        """
        config = self._config
        try:
            zone(config["time_zone"])
        except ValueError as error:
            raise ConfigError(f"setting 'time_zone': {error}") from None
        own_key = config.get("sales_key_field") or ""
        if own_key.startswith("_") or own_key in {"pasarela_id", "channel_id"}:
            raise ConfigError(f"setting 'sales_key_field' names {own_key!r}, which is not the id of a sale")
        if config["pasarela_ids"] and not config["sales_by_gateway"]:
            raise ConfigError("setting 'pasarela_ids' has no effect with sales_by_gateway: false; drop one of them")
        if not config["aggregate_fields"]:
            raise ConfigError("setting 'aggregate_fields' is empty; to leave aggregated_sales out, deselect it")
        if config["backfill_window_days"] * 24 % config["window_hours"]:
            raise ConfigError("setting 'backfill_window_days' must be a multiple of 'window_hours'")
        for stream in config["extra_columns"]:
            if stream not in streams:
                raise ConfigError(f"setting 'extra_columns' names {stream!r}; the streams are {', '.join(streams)}")

    @property
    def gateways(self) -> Sequence[int]:
        """The gateways whose sales are read, each once; empty for all."""
        return list(dict.fromkeys(self._config["pasarela_ids"]))

    @property
    def services(self) -> Sequence[int]:
        """The services whose sales are read, each once; empty for all."""
        one = self._config.get("service_id")
        return list(dict.fromkeys([*([] if one is None else [one]), *self._config["service_ids"]]))

    @property
    def channels(self) -> Sequence[int]:
        """The channels whose results and sales are read, each once; empty for all."""
        return list(dict.fromkeys(self._config["channel_ids"]))

    @property
    def links(self) -> Sequence[str]:
        """The links whose results and sales are read, each once; empty for all."""
        return list(dict.fromkeys(self._config["invitation_links"]))

    @property
    def by_link(self) -> bool:
        """Whether results and sales of channels are asked for link by link."""
        return bool(self._config["per_link"] or self.links)

    @property
    def aggregates(self) -> Sequence[str]:
        """What sales are aggregated by, each once."""
        return list(dict.fromkeys(self._config["aggregate_fields"]))

    def warnings(self) -> Iterator[str]:
        """What a user should know about the settings in use: what they hide, and what has no effect."""
        for setting, effect in _HIDING.items():
            value = self._config.get(setting)
            if value or type(value) is int:  # a service may have the id 0
                yield f"setting {setting} is in use: {effect}"
        if missing := [name for name in AGGREGATE_FIELDS if name not in self.aggregates]:
            yield f"setting aggregate_fields is in use: aggregates by {' and '.join(missing)} are not read"
        if self._config["exclude_link_names"] and not self._config["link_names"]:
            yield "setting exclude_link_names has no effect without link_names"
