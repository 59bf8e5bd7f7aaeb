"""The tap for PeerAssist: its settings, its streams and its login."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from singer_sdk import typing as th
from typing_extensions import override

from tap_core.auth import Auth, JsonLoginAuth, NoAuth
from tap_core.errors import ConfigError
from tap_core.retry import NoMeter
from tap_core.settings import config_schema, is_path
from tap_core.tap import CoreTap
from tap_core.timestamps import zone
from tap_core.transport import Request
from tap_peerassist.client import LoginClient, PeerAssistClient, token_of
from tap_peerassist.guesses import ENDPOINTS, ENDPOINTS_SETTING, PAGINATION_SETTING, Pagination
from tap_peerassist.streams import STREAMS, Fwos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.tokens import Token

__all__ = ["TapPeerAssist"]

CREDENTIALS = "client_key, username, password"


class TapPeerAssist(CoreTap):
    """Singer tap for PeerAssist field work orders."""

    name = "tap-peerassist"
    stream_types = STREAMS

    config_jsonschema = config_schema(
        th.Property(
            "client_key",
            th.StringType,
            required=True,
            secret=True,
            title="API key",
            description="The API key that the vendor issues; its guide also calls it clientKey.",
        ),
        th.Property(
            "username",
            th.StringType,
            required=True,
            secret=True,
            title="User name",
            description="Login of the user whose role decides what can be read; an e-mail address.",
        ),
        th.Property(
            "password", th.StringType, required=True, secret=True, title="Password", description="The user's password."
        ),
        th.Property(
            "source_timezone",
            th.StringType,
            default="UTC",
            title="Source time zone",
            description="Zone of times that come without an offset, such as America/New_York.",
        ),
        th.Property(
            "fwo_replication_key",
            th.StringType,
            title="Date of change",
            description="Field of a field work order that tells when it was changed last. Without it, the first page "
            "of each run tells; if it shows no such date, fwos are read as FULL_TABLE.",
        ),
        th.Property(
            "customer_ids",
            th.ArrayType(th.IntegerType),
            default=[],
            title="Customer ids",
            description="Further customers to read, by id: for those that no list, field work order or project names.",
        ),
        ENDPOINTS_SETTING,
        PAGINATION_SETTING,
        api_url="https://api.mypeerassist.com",
        page_size=100,
    )

    @override
    def check_settings(self) -> None:
        super().check_settings()
        try:
            zone(self.config["source_timezone"])
        except ValueError as error:
            raise ConfigError(f"setting 'source_timezone': {error}") from None
        column = self.stream(Fwos).schema["properties"].get(self.config.get("fwo_replication_key"), {})
        if column and column.get("format") != "date-time":
            raise ConfigError("setting 'fwo_replication_key' must name a field with a date, such as lastUpdated")
        for name, guess in ENDPOINTS.items():
            if not is_path(self.endpoints[name], placeholders=["id"] if "{id}" in guess else []):
                raise ConfigError(f"setting 'endpoints.{name}' must be a path without a query, such as {guess}")
        for name in self.pagination.unpaged:
            if name not in self.streams:
                raise ConfigError(
                    f"setting 'pagination.unpaged' names {name!r}; the streams are {', '.join(self.streams)}"
                )

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.stream(Fwos).look_first_for(self.state.get("bookmarks", {}).get(Fwos.name, {}).get("replication_key"))

    @cached_property
    def endpoints(self) -> Mapping[str, str]:
        """The path of each call."""
        return {**ENDPOINTS, **self.config["endpoints"]}

    @cached_property
    def pagination(self) -> Pagination:
        """How pages work."""
        return msgspec.convert(self.config["pagination"], Pagination)

    @override
    def make_auth(self) -> Auth:
        client = LoginClient(
            transport=self.transport, auth=NoAuth(CREDENTIALS), clock=self.clock, retry=self.retry_policy
        )
        return JsonLoginAuth(lambda: self._login(client), clock=self.clock, settings=CREDENTIALS)

    def _login(self, client: LoginClient) -> Token:
        url = str(self.config["api_url"]).rstrip("/") + self.endpoints["auth"]
        body = {"userName": self.config["username"], "password": self.config["password"]}
        request = Request(
            "POST",
            f"{url}?{urlencode({'clientKey': self.config['client_key']})}",
            {"Accept": "application/json", "Content-Type": "application/json"},
            msgspec.json.encode(body),
        )
        token = client.call(
            request,
            parse=lambda response: token_of(response, self.clock.time()),
            meter=NoMeter("login"),
            what="login",
        )
        self.redactor.add(token.value)
        return token

    @override
    def make_client(self) -> PeerAssistClient:
        return PeerAssistClient(
            transport=self.transport, auth=self.make_auth(), clock=self.clock, retry=self.retry_policy
        )
