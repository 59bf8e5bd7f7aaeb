"""The settings of the tap for Peek, and what its streams make of them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_core import codec
from tap_core.config.checks import is_path
from tap_core.config.guesses import guesses_setting, resolved
from tap_core.config.settings import config_schema
from tap_core.config.webhooks import WEBHOOKS
from tap_core.errors import ConfigError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_peek.guesses import ENDPOINTS, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CONFIG", "PeekSettings"]

_CURRENCY = re.compile(r"[A-Z]{3}").fullmatch


def _days(name: str, default: int, title: str, description: str, *, minimum: int = 0) -> th.Property[int]:
    kind = th.IntegerType(minimum=minimum, maximum=36_500)
    return th.Property(name, kind, default=default, title=title, description=description)


CONFIG: Final = config_schema(
    th.Property(
        "api_key",
        th.StringType,
        secret=True,
        title="API key",
        description="The key of one operator's connection. For several operators, set connections instead.",
    ),
    th.Property(
        "connections",
        th.ArrayType(
            th.ObjectType(
                th.Property("name", th.StringType, required=True, description="Goes into the column _connection."),
                th.Property("api_key", th.StringType, required=True, secret=True, description="Its key."),
                additional_properties=False,
            )
        ),
        title="Connections",
        description="One name and key per operator, instead of api_key.",
    ),
    th.Property(
        "capabilities",
        th.ArrayType(th.StringType),
        default=["octo/pricing", "octo/webhooks"],
        title="Capabilities",
        description="Capabilities that requests declare. Products that require others cannot be sold, and say so.",
    ),
    th.Property(
        "capabilities_in",
        th.StringType(allowed_values=["header", "parameter"]),
        default="header",
        title="Where capabilities go",
        description="Whether requests declare them in the header Octo-Capabilities or in a query parameter.",
    ),
    _days("availability_days_back", 1, "Availability back", "Days before today to read availability for."),
    _days("availability_days_ahead", 90, "Availability ahead", "Days after today to read availability for."),
    _days("calendar_window_days", 92, "Calendar window", "Days per calendar call.", minimum=1),
    _days("availability_window_days", 31, "Availability window", "Days per availability call.", minimum=1),
    _days("bookings_days_back", 365, "Bookings back", "Read bookings that travel up to this many days ago."),
    _days("bookings_days_ahead", 365, "Bookings ahead", "Read bookings that travel up to this many days ahead."),
    _days("bookings_window_days", 30, "Bookings window", "Days of travel per call.", minimum=1),
    th.Property(
        "reseller_references",
        th.ArrayType(th.StringType),
        default=[],
        title="Reseller references",
        description="Your references of further bookings to read, such as open-dated ones.",
    ),
    th.Property(
        "supplier_references",
        th.ArrayType(th.StringType),
        default=[],
        title="Supplier references",
        description="Peek's references of further bookings to read, such as open-dated ones.",
    ),
    th.Property(
        "booking_uuids",
        th.ArrayType(th.StringType),
        default=[],
        title="Booking UUIDs",
        description="Further bookings to read one by one, such as those that a booking_update webhook has named.",
    ),
    th.Property(
        "exclude_products",
        th.ArrayType(th.StringType),
        default=[],
        title="Products to exclude",
        description="Ids of products whose availability is not read, such as one that the API refuses: "
        "av_123 for all connections, north/av_123 for one.",
    ),
    th.Property(
        "availability_currency",
        th.StringType,
        title="Currency",
        description="Currency (ISO 4217) to ask for prices of availability in. Products that do not offer it are asked "
        "without it; by default, all are.",
    ),
    *WEBHOOKS,
    guesses_setting(
        "endpoints",
        ENDPOINTS,
        title="Endpoints",
        description="Paths of calls, by stream, where a server uses others.",
    ),
    guesses_setting(
        "parameters",
        PARAMETERS,
        title="Parameters",
        description="Names of query parameters, where a server uses others.",
    ),
    api_url="https://octo.peek.com/integrations/octo",
    bounded="They bound no stream: what is read of bookings and availability is a range of travel, which "
    "bookings_days_back, availability_days_back and their like set. Only with client_filter, bookings and their "
    "tickets are left out whose derived `_updated_at` lies outside.",
    one_of=("api_key", "connections"),
)


class PeekSettings:
    """The settings as the streams need them.

    Args:
        config: The settings, defaults included.

    Attributes:
        capability_ids: The capabilities that requests declare.
        in_parameter: Whether requests declare them in the query, not in a header.
        endpoints: Paths of the calls, by stream.
        parameters: Names of query parameters.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.capability_ids: Sequence[str] = list(config["capabilities"])
        self.in_parameter = config["capabilities_in"] == "parameter"
        self.endpoints = resolved(ENDPOINTS, config["endpoints"])
        self.parameters = resolved(PARAMETERS, config["parameters"])
        self._config = config

    @property
    def keys(self) -> Mapping[str, str]:
        """The API key of each connection, by the connection's name."""
        given = self._config.get("connections")
        if not given:
            return {DEFAULT_ACCOUNT: str(self._config.get("api_key") or "")}
        return {connection["name"]: connection["api_key"] for connection in given}

    @property
    def names_travel_dates(self) -> bool:
        """Whether the user says what the filter by days of travel is called, and so that there is one."""
        given = self._config["parameters"]
        return any(given.get(name) is not None for name in ("travel_from", "travel_to"))

    @property
    def bookings_digest(self) -> str:
        """A digest of whose bookings are read: connections, days of travel, references."""
        config = self._config
        days = config["bookings_days_back"], config["bookings_days_ahead"]
        references = [sorted(config[name]) for name in ("reseller_references", "supplier_references")]
        if uuids := config["booking_uuids"]:
            references.append(sorted(uuids))
        return hashlib.sha256(codec.encode((sorted(self.keys), days, references))).hexdigest()[:16]

    def check(self) -> None:
        """Check what a schema cannot express.

        Raises:
            ConfigError: A setting makes no sense.
        """
        self._check_connections(self._config.get("connections") or ())
        self._check_lists()
        currency = self._config.get("availability_currency")
        if currency is not None and not _CURRENCY(currency):
            raise ConfigError("setting 'availability_currency' must be three capital letters, such as EUR")
        for name, path in self.endpoints.items():
            if not is_path(path):
                raise ConfigError(
                    f"setting 'endpoints.{name}' must be a path below api_url, such as {ENDPOINTS[name].value}"
                )
        for name, parameter in self.parameters.items():
            if not parameter.strip():
                raise ConfigError(f"setting 'parameters.{name}' is empty; {PARAMETERS[name].value} is the default")

    def _check_lists(self) -> None:
        for name in ("reseller_references", "supplier_references", "booking_uuids"):
            if any(not entry.strip() for entry in self._config[name]):
                raise ConfigError(f"setting {name!r} has an empty entry, which could match any booking")
        if any(not product.strip() for product in self._config["exclude_products"]):
            raise ConfigError("setting 'exclude_products' has an empty entry")

    @staticmethod
    def _check_connections(connections: Sequence[Mapping[str, str]]) -> None:
        names: dict[str, str] = {}
        for number, connection in enumerate(connections):
            for member, value in connection.items():
                if not value:
                    raise ConfigError(f"setting 'connections.{number}.{member}' is empty")
            name, key = connection["name"], connection["api_key"]
            if name in names.values():
                raise ConfigError(f"setting 'connections' has the name {name!r} twice; names tell rows apart")
            if (other := names.setdefault(key, name)) != name:
                raise ConfigError(
                    f"setting 'connections': {other!r} and {name!r} have the same key; one key is one operator"
                )
