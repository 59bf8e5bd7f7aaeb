"""The tap for PeerAssist: its settings, its streams and its login."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_core.errors import ConfigError
from tap_core.http.auth import NoAuth
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.http.gate import NoMeter
from tap_core.http.login import JsonLoginAuth
from tap_core.tap import CoreTap
from tap_peerassist.client import LoginClient, PeerAssistClient, login_request, token_of
from tap_peerassist.settings import CONFIG, PeerAssistSettings
from tap_peerassist.streams import STREAMS, Fwos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.http.client import Network
    from tap_core.http.tokens import Token

__all__ = ["CREDENTIALS", "TapPeerAssist"]

CREDENTIALS = "client_key, username, password"


class TapPeerAssist(CoreTap):
    """Singer tap for PeerAssist field work orders."""

    name = "tap-peerassist"
    stream_types = STREAMS
    config_jsonschema = CONFIG

    @cached_property
    @override
    def settings(self) -> PeerAssistSettings:
        return PeerAssistSettings(self.config)

    @override
    def check_settings(self) -> None:
        super().check_settings()
        self.settings.check(list(self.streams))
        chosen = self.config.get("fwo_replication_key")
        column = self.session.stream(Fwos).schema["properties"].get(chosen, {})
        if column and column.get("format") != "date-time":
            raise ConfigError("setting 'fwo_replication_key' must name a field with a date, such as lastUpdated")

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if column := self.session.bookmarks.entry(Fwos.name).get("replication_key"):
            self.session.stream(Fwos).look_first_for(column)

    @override
    def make_clients(self, network: Network) -> Mapping[str, PeerAssistClient]:
        client = LoginClient(network, NoAuth(CREDENTIALS), waits_add_up=True)
        auth = JsonLoginAuth(lambda: self._login(client), clock=network.clock, settings=CREDENTIALS)
        return {DEFAULT_ACCOUNT: PeerAssistClient(network, auth)}

    def _login(self, client: LoginClient) -> Token:
        request = login_request(
            str(self.config["api_url"]).rstrip("/") + self.settings.endpoints["auth"],
            client_key=self.config["client_key"],
            username=self.config["username"],
            password=self.config["password"],
        )
        token = client.call(
            request, parse=lambda body: token_of(body, client.clock.time()), meter=NoMeter("login"), what="login"
        )
        self.redactor.add(token.value)
        return token
