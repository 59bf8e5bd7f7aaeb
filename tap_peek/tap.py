"""The tap for Peek: its settings, its connections and its streams."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import typing as th
from typing_extensions import override

from tap_core.auth import Auth, BearerAuth
from tap_core.errors import ConfigError
from tap_core.settings import config_schema, is_path
from tap_core.tap import CoreTap
from tap_peek.client import PeekClient
from tap_peek.guesses import ENDPOINTS, PARAMETERS
from tap_peek.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TapPeek"]

DEFAULT = "default"
"""The name of the connection of a single key."""


def _days(name: str, default: int, title: str, description: str, *, minimum: int = 0) -> th.Property[int]:
    kind = th.IntegerType(minimum=minimum, maximum=36_500)
    return th.Property(name, kind, default=default, title=title, description=description)


def _table(name: str, defaults: Mapping[str, str], title: str, description: str) -> th.Property[Any]:
    members = [th.Property(key, th.StringType, description=f"{value} by default.") for key, value in defaults.items()]
    return th.Property(
        name,
        th.ObjectType(*members, additional_properties=False),
        default={},
        title=title,
        description=description,
    )


def _with_defaults(given: Mapping[str, str | None], defaults: Mapping[str, str]) -> dict[str, str]:
    return {name: default if given.get(name) is None else str(given[name]) for name, default in defaults.items()}


class TapPeek(CoreTap):
    """Singer tap for the Peek Reseller API, and for other servers of the OCTO standard."""

    name = "tap-peek"
    stream_types = STREAMS

    config_jsonschema = config_schema(
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
            description="Capabilities that requests name. Products that require others cannot be sold, and say so.",
        ),
        th.Property(
            "capabilities_in",
            th.StringType(allowed_values=["header", "parameter"]),
            default="header",
            title="Place of the capabilities",
            description="Whether requests name them in the header Octo-Capabilities or in a query parameter.",
        ),
        _days("availability_days_back", 1, "Availability back", "Days before today whose availability is read."),
        _days("availability_days_ahead", 90, "Availability ahead", "Days after today whose availability is read."),
        _days("calendar_window_days", 92, "Calendar window", "Days that one calendar call asks for.", minimum=1),
        _days("availability_window_days", 31, "Availability window", "Days per availability call.", minimum=1),
        _days("bookings_days_back", 365, "Bookings back", "Bookings are read that travel up to so many days ago."),
        _days("bookings_days_ahead", 365, "Bookings ahead", "Bookings are read that travel up to so many days ahead."),
        _days("bookings_window_days", 30, "Bookings window", "Days of travel that one call asks for.", minimum=1),
        th.Property(
            "reseller_references",
            th.ArrayType(th.StringType),
            default=[],
            title="Reseller references",
            description="Your references of bookings to read besides, such as open-dated ones.",
        ),
        th.Property(
            "supplier_references",
            th.ArrayType(th.StringType),
            default=[],
            title="Supplier references",
            description="Peek's references of bookings to read besides, such as open-dated ones.",
        ),
        _table("endpoints", ENDPOINTS, "Endpoints", "Paths of the calls, by stream, where a server has others."),
        _table("parameters", PARAMETERS, "Parameters", "Names of query parameters, where a server has others."),
        api_url="https://octo.peek.com/integrations/octo",
    )

    @override
    def check_settings(self) -> None:
        super().check_settings()
        if bool(self.config.get("api_key")) == bool(self.config.get("connections")):
            raise ConfigError("set either 'api_key' or 'connections': one key, or a list of names and keys")
        self._check_connections(self.config.get("connections") or ())
        for name in ("reseller_references", "supplier_references"):
            if any(not reference.strip() for reference in self.config[name]):
                raise ConfigError(f"setting {name!r} has an empty entry, which might ask for any booking")
        for name, path in self.endpoints.items():
            if not is_path(path):
                raise ConfigError(f"setting 'endpoints.{name}' must be a path below api_url, such as {ENDPOINTS[name]}")
        for name, parameter in self.parameters.items():
            if not parameter.strip():
                raise ConfigError(f"setting 'parameters.{name}' is empty; {PARAMETERS[name]} is the default")

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

    @cached_property
    def connections(self) -> dict[str, PeekClient]:
        """One client per key, by the name of the connection."""
        given = self.config.get("connections")
        if not given:
            return {DEFAULT: self._client(BearerAuth(self.config["api_key"], settings="api_key"))}
        return {
            connection["name"]: self._client(
                BearerAuth(connection["api_key"], settings=f"the api_key of connection {connection['name']!r}")
            )
            for connection in given
        }

    def _client(self, auth: Auth) -> PeekClient:
        return PeekClient(
            capabilities=self.capability_ids,
            warn=self.warn_once,
            transport=self.transport,
            auth=auth,
            clock=self.clock,
            retry=self.retry_policy,
        )

    @override
    def make_client(self) -> PeekClient:
        return next(iter(self.connections.values()))

    @cached_property
    def subjects(self) -> str:
        """A digest of whose bookings are read: connections, days of travel, references."""
        days = self.config["bookings_days_back"], self.config["bookings_days_ahead"]
        references = sorted(self.config["reseller_references"]), sorted(self.config["supplier_references"])
        return hashlib.sha256(msgspec.json.encode((sorted(self.connections), days, references))).hexdigest()[:16]

    @property
    def capability_ids(self) -> list[str]:
        """The capabilities that requests name."""
        return list(self.config["capabilities"])

    @property
    def in_parameter(self) -> bool:
        """Whether they are named in the query."""
        return bool(self.config["capabilities_in"] == "parameter")

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Paths of the calls, by stream."""
        return _with_defaults(self.config["endpoints"], ENDPOINTS)

    @property
    def parameters(self) -> Mapping[str, str]:
        """Names of query parameters."""
        return _with_defaults(self.config["parameters"], PARAMETERS)
