"""The tap for Pegke: its settings, its two sets of credentials and its streams."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_core.http.auth import BearerAuth, NoAuth
from tap_core.tap import CoreTap
from tap_pegke.client import PegkeClient, PegkeToken
from tap_pegke.settings import CONFIG, MERCHANT, PUBLIC, VERSION_1, PegkeSettings
from tap_pegke.streams import dashboard, merchant, version1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.http.client import Network

__all__ = ["TapPegke"]


class TapPegke(CoreTap):
    """Singer tap for the Pegke loyalty API: the merchant API, version 1, and the realtime feed."""

    name = "tap-pegke"
    stream_types = (*dashboard.STREAMS, *merchant.STREAMS, *version1.STREAMS)
    config_jsonschema = CONFIG

    @cached_property
    @override
    def settings(self) -> PegkeSettings:
        return PegkeSettings(self.config)

    @override
    def check_settings(self) -> None:
        super().check_settings()
        self.settings.check()

    @override
    def make_clients(self, network: Network) -> Mapping[str, PegkeClient]:
        clients = {PUBLIC: PegkeClient(network, NoAuth())}
        if self.config.get("consumer_code"):
            key = f"{self.config['consumer_code']}.{self.config['consumer_secret']}"
            clients[MERCHANT] = PegkeClient(network, BearerAuth(key, settings="consumer_code and consumer_secret"))
        if self.config.get("client_id"):
            clients[VERSION_1] = PegkeClient(network, self._token(network))
        return clients

    def _token(self, network: Network) -> PegkeToken:
        """One token for all streams and threads."""
        cache, base = self.config.get("token_cache"), str(self.config["api_url"]).rstrip("/")
        settings = "client_id and client_secret, and with the vendor whether the application's token has expired"
        return PegkeToken(
            client=PegkeClient(network, NoAuth(settings), waits_add_up=True),
            token_url=base + self.settings.endpoint("token"),
            refresh_url=base + self.settings.endpoint("refresh"),
            client_id=self.config["client_id"],
            client_secret=self.config["client_secret"],
            clock=network.clock,
            settings=settings,
            cache_file=Path(cache).expanduser() if cache else None,
            hide=self.redactor.add,
        )
