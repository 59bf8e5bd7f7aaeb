"""premiumpay's records as they must be in the warehouse, made from the model.

They lack what depends on the tap's own grid of windows: `_window_start`, `_window_end` and `_surrogate_key`.
Aggregates are given for each day of UTC, with that day's bounds: longer windows are sums of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from merchant_sandbox.clock import DAY, iso, wall
from merchant_sandbox.timeline import FIRST_DAY
from merchant_sandbox.vendors.premiumpay.shapes import AGGREGATE_FIELDS, PremiumpayShapes, amount, text_amount, totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_sandbox.vendors.premiumpay.model import Channel, Link, Sale

__all__ = ["STREAMS", "PremiumpayTruth"]


class PremiumpayTruth:
    """The rows of every stream.

    Args:
        shapes: Model and switches.
        channel_count: How many channels there are.
        status: The answers of the status and the version call.
        by_link: Whether the tap asks for the figures of channels' links instead of those of the channels.
    """

    def __init__(
        self, shapes: PremiumpayShapes, channel_count: int, status: dict[str, Any], *, by_link: bool = False
    ) -> None:
        self.shapes, self.model, self.switches = shapes, shapes.model, shapes.switches
        self.channel_count, self.status, self.by_link = channel_count, status, by_link

    def gateways(self) -> Iterator[dict[str, Any]]:
        """Gateways with their services."""
        for gateway in self.model.gateways:
            services = [
                {"service_id": self.shapes.own_id(service.id), "name": service.name} for service in gateway.services
            ]
            yield {"pasarela_id": gateway.id, "name": gateway.name, "services": services}

    def services(self) -> Iterator[dict[str, Any]]:
        """The services of each gateway."""
        for gateway in self.model.gateways:
            for service in gateway.services:
                yield {"pasarela_id": gateway.id, "service_id": service.id, "name": service.name}

    def sales(self) -> Iterator[dict[str, Any]]:
        """All sales."""
        return map(self._sale, self.model.sales())

    def _sale(self, sale: Sale) -> dict[str, Any]:
        row: dict[str, Any] = {
            "pasarela_id": sale.gateway,
            "service_id": sale.service,
            "amount": text_amount(amount(sale)),
            "currency": sale.currency,
            "country": sale.country,
            "payment_method": sale.payment_method,
        }
        if self.switches["row_time"]:
            row["date_time"] = iso(self._told(sale.time))
        if self.switches["row_id"]:
            row["id"] = str(700_000 + sale.position)
        return row

    def _told(self, seconds: int) -> float:
        """The moment that the server's text stands for: in an hour that its clocks show twice, the first."""
        zone = self.switches["zone"]
        return seconds if zone == "UTC" else wall(seconds, zone).replace(tzinfo=ZoneInfo(zone)).timestamp()

    def aggregated_sales(self) -> Iterator[dict[str, Any]]:
        """Number and sum of each day's sales by country, payment method and service."""
        for day, group in groupby(self.model.sales(), key=lambda sale: sale.time // DAY * DAY):
            sales = list(group)
            for field in AGGREGATE_FIELDS:
                for (value, currency), (number, total) in totals(sales, field).items():
                    yield {
                        "aggregate_field": field,
                        "_window_start": iso(day),
                        "_window_end": iso(day + DAY),
                        "_group_value": "(none)" if value is None else str(value),
                        "currency": currency or "",
                        "sales": number,
                        "amount": text_amount(total),
                        field: None if value is None else str(value),
                    }

    def channels(self) -> Iterator[dict[str, Any]]:
        """Channels with their links."""
        for channel in self._all_channels():
            yield {
                "channel_id": channel.id,
                "name": channel.name,
                "links": [self._link(link) | {"invitation_link": link.url} for link in channel.links],
            }

    def channel_links(self) -> Iterator[dict[str, Any]]:
        """The links of each channel."""
        for channel in self._all_channels():
            for link in channel.links:
                yield {"channel_id": channel.id, **self._link(link)}

    def _link(self, link: Link) -> dict[str, Any]:
        return {
            "invitation_link": link.url or link.name,
            "name": link.name,
            "duration_hours": link.duration_hours,
            "requires_approval": link.requires_approval,
            "auto_approval": "no",
        }

    def channel_results(self) -> Iterator[dict[str, Any]]:
        """Who joined and left each channel, or did so through each of its links, by day."""
        for channel in self._all_channels():
            places = [*range(len(channel.links)), *([] if self.by_link else [None])]
            days: dict[tuple[int, str | None], list[int]] = {}
            for place in places:
                url = channel.links[place].url if self.by_link and place is not None else None
                if self.by_link and url is None:
                    continue
                for result in self.model.results(channel, place, FIRST_DAY, self.model.story):
                    total = days.setdefault((result.day, url), [0, 0])
                    total[0] += result.joined
                    total[1] += result.left
            for (day, url), (joined, left) in days.items():
                date = datetime.fromtimestamp(day, UTC).date().isoformat()
                row = {"channel_id": channel.id, "date": date, "joined": joined, "left": left}
                yield row if url is None else {**row, "invitation_link": url}

    def channel_sales(self) -> Iterator[dict[str, Any]]:
        """The sales that came through a channel, or through a link."""
        for sale in self.model.sales():
            origin = self.model.origin(sale, self.channel_count)
            if origin is not None:
                channel, link = origin
                url = link.url if link else None
                if url is not None or not self.by_link:
                    yield {**self._sale(sale), "channel_id": channel.id, "invitation_link": url}

    def server_status(self) -> Iterator[dict[str, Any]]:
        """The one record of status and version."""
        yield self.status

    def _all_channels(self) -> Iterator[Channel]:
        return map(self.model.channel, range(self.channel_count))


STREAMS: Mapping[str, Callable[[PremiumpayTruth], Iterator[dict[str, Any]]]] = {
    "gateways": PremiumpayTruth.gateways,
    "services": PremiumpayTruth.services,
    "sales": PremiumpayTruth.sales,
    "aggregated_sales": PremiumpayTruth.aggregated_sales,
    "channels": PremiumpayTruth.channels,
    "channel_links": PremiumpayTruth.channel_links,
    "channel_results": PremiumpayTruth.channel_results,
    "channel_sales": PremiumpayTruth.channel_sales,
    "server_status": PremiumpayTruth.server_status,
}
