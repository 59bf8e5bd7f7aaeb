"""How premiumpay writes its records; all names of fields are inferred (``contracts/premiumpay``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import wall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from merchant_sandbox.vendors.premiumpay.model import (
        Channel,
        Link,
        PremiumpayGateway,
        PremiumpayModel,
        Result,
        Sale,
    )

__all__ = ["AGGREGATE_FIELDS", "PremiumpayShapes", "amount", "text_amount", "totals"]

AGGREGATE_FIELDS = ("country", "payment_method", "service")


def amount(sale: Sale) -> Decimal | None:
    """The amount with two decimals; a refund leaves nothing of it."""
    if sale.cents is None:
        return None
    return Decimal(0 if sale.refunded else sale.cents).scaleb(-2)


def text_amount(value: Decimal | None) -> str | None:
    """An amount as the tap emits it."""
    return None if value is None else str(value)


def totals(sales: Iterable[Sale], field: str) -> Mapping[tuple[Any, str | None], tuple[int, Decimal]]:
    """Number and sum of sales by the value of a field and the currency."""
    found: dict[tuple[Any, str | None], tuple[int, Decimal]] = {}
    for sale in sales:
        group = (getattr(sale, field), sale.currency)
        number, total = found.get(group, (0, Decimal("0.00")))
        found[group] = number + 1, total + (amount(sale) or 0)
    return found


@dataclass(frozen=True, slots=True)
class PremiumpayShapes:
    """Renders the records of a model.

    Args:
        model: The data.
        switches: The vendor's switches.
    """

    model: PremiumpayModel
    switches: Mapping[str, Any]

    def key(self, name: str) -> str:
        """The name of a record's own id."""
        return name if self.switches["id_names"] == "long" else "id"

    def own_id(self, number: int) -> int | str:
        """A record's own id."""
        return str(number) if self.switches["id_texts"] else number

    def gateway(self, gateway: PremiumpayGateway, *, services: bool) -> dict[str, Any]:
        """A row of the gateways list."""
        row: dict[str, Any] = {self.key("pasarela_id"): self.own_id(gateway.id), "name": gateway.name}
        if services:
            row["services"] = [
                {self.key("service_id"): self.own_id(service.id), "name": service.name} for service in gateway.services
            ]
        return row

    def sale(self, sale: Sale) -> dict[str, Any]:
        """A row of the sales list."""
        row: dict[str, Any] = {}
        if self.switches["row_id"]:
            row["id"] = 700_000 + sale.position
        if self.switches["row_time"]:
            row["date_time"] = self.time(sale.time)
        money = amount(sale)
        row |= {
            "pasarela_id": sale.gateway,
            "service_id": sale.service,
            "amount": str(money) if sale.as_text and money is not None else money,
            "currency": sale.currency,
            "country": sale.country,
            "payment_method": sale.payment_method,
        }
        if self.switches["extra_fields"]:
            row |= {
                "status": "refunded" if sale.refunded else "paid",
                "email": f"buyer{sale.recipe}@example.com",
                "telephone": f"+34600{sale.recipe % 1_000_000:06}",
                "ippayment": "192.0.2.7",
                "card_token": f"tok_{sale.recipe}",
                "buyer": {"email": f"buyer{sale.recipe}@example.com", "language": "es"},
                "utm": {"source": "newsletter", "tags": ["a", "b"]},
            }
        return row

    def channel_sale(self, sale: Sale, channel: Channel, link: Link | None) -> dict[str, Any]:
        """A row of the channel sales list."""
        return {**self.sale(sale), "channel_id": channel.id, "invitation_link": link.url if link else None}

    def time(self, seconds: int) -> str:
        """A moment as the server writes it."""
        if self.switches["zone"] == "UTC":
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return wall(seconds, self.switches["zone"]).isoformat(" ")

    def aggregate(self, field: str, group: Any, currency: str | None, figures: tuple[int, Decimal]) -> dict[str, Any]:
        """A row of the aggregated list."""
        return {field: group, "sales": figures[0], "amount": figures[1], "currency": currency}

    def link(self, link: Link) -> dict[str, Any]:
        """An entry of a channel's links."""
        return {
            "invitation_link": link.url,
            "name": link.name,
            "duration_hours": link.duration_hours,
            "requires_approval": link.requires_approval,
            "auto_approval": "no",
        }

    def channel(self, channel: Channel) -> dict[str, Any]:
        """A row of the channel list, without links."""
        return {self.key("channel_id"): self.own_id(channel.id), "name": channel.name}

    def result(self, channel: Channel, link: Link | None, result: Result) -> dict[str, Any]:
        """A row of the results list."""
        row: dict[str, Any] = {
            "date": datetime.fromtimestamp(result.day, UTC).date().isoformat(),
            "channel_id": channel.id,
            "joined": result.joined,
            "left": result.left,
        }
        return row if link is None else {**row, "invitation_link": link.url}
