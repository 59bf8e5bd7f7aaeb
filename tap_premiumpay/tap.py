"""The tap for premiumpay: its settings, its streams and its call budget."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_core.errors import ApiError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.session.plan import Plan
from tap_core.streams.windowed import WindowedStream
from tap_core.tap import CoreTap
from tap_premiumpay.client import JwtAuth, PremiumpayClient
from tap_premiumpay.settings import CONFIG, PremiumpaySettings
from tap_premiumpay.streams.base import GuessedStream
from tap_premiumpay.streams.lists import ChannelLinks, Channels, Gateways, Services
from tap_premiumpay.streams.spans import AggregatedSales, ChannelResults, ChannelSales, Sales
from tap_premiumpay.streams.status import ServerStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.http.client import Network
    from tap_core.streams.base import CoreStream

__all__ = ["TapPremiumpay"]


class TapPremiumpay(CoreTap):
    """Singer tap for the premiumpay data API."""

    name = "tap-premiumpay"
    stream_types = (
        Gateways,
        Services,
        Sales,
        AggregatedSales,
        Channels,
        ChannelLinks,
        ChannelResults,
        ChannelSales,
        ServerStatus,
    )
    config_jsonschema = CONFIG

    @cached_property
    @override
    def settings(self) -> PremiumpaySettings:
        return PremiumpaySettings(self.config)

    @override
    def check_settings(self) -> None:
        super().check_settings()
        self.settings.check(list(self.streams))
        self.redactor.add(*self.settings.links)  # whoever has one is let into its channel
        for stream in self.session.streams:
            if isinstance(stream, GuessedStream):
                stream.check_columns()
        for warning in self.settings.warnings():
            self.logger.warning(warning)

    @override
    def make_clients(self, network: Network) -> Mapping[str, PremiumpayClient]:
        auth = JwtAuth(self.config["jwt"], self.config["client_id"], network.clock)
        return {DEFAULT_ACCOUNT: PremiumpayClient(network, auth)}

    # The run

    @override
    def learn_budget(self) -> None:
        try:
            self.session.stream(ServerStatus).status()
        except ApiError as error:
            self.logger.warning("the call budget is unknown: %s", error)

    @override
    def prepare(self, readers: Sequence[CoreStream]) -> None:
        """Make the calls that come once per run, and print how many more the run needs and how long they take."""
        server, client = self.session.stream(ServerStatus), self.session.clients[DEFAULT_ACCOUNT]
        self.learn_budget()
        calls: dict[str, int] = {}
        for stream in readers:
            if isinstance(stream, WindowedStream):
                try:
                    calls[stream.name] = stream.calls()
                except ApiError as error:
                    self.logger.warning("the calls of %s cannot be planned: %s", stream.name, error)
        if not calls:
            return
        if server in readers:
            with suppress(ApiError):  # the stream reports it
                server.version()
        plan = Plan(calls, client.budget, client.clock.time())
        self.logger.info("%s", plan)
        if isinstance(client.auth, JwtAuth) and client.auth.ends_by(client.clock.time() + plan.seconds):
            self.logger.warning("the jwt expires before the planned end; the run will stop then and can be resumed")
