"""PeerAssist's records as they must be in the warehouse, made from the model.

They do not depend on how nulls and dates are written, except where that way of writing loses something.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from merchant_sandbox.clock import iso
from merchant_sandbox.vendors.peerassist.model import SAMPLES
from merchant_sandbox.vendors.peerassist.shapes import (
    DOCUMENTED,
    customer_fields,
    employee_fields,
    fwo_fields,
    project_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendors.peerassist.model import PeerAssistModel
    from merchant_sandbox.vendors.peerassist.shapes import Style

__all__ = ["STREAMS", "PeerAssistTruth"]


class PeerAssistTruth:
    """The rows of every stream.

    Args:
        model: The data.
        style: How the API writes them.
        fwos: Indexes of the field work orders that the user sees.
        switches: The vendor's switches.
    """

    def __init__(self, model: PeerAssistModel, style: Style, fwos: Sequence[int], switches: Mapping[str, Any]) -> None:
        self.model, self.style, self.visible_fwos, self.switches = model, style, fwos, switches

    def fwos(self) -> Iterator[dict[str, Any]]:
        """Field work orders; exact decimals are text."""
        for index in self.visible_fwos:
            fwo = self.model.fwo(index)
            row = fwo_fields(fwo) | {
                "laborHours": _hundredths(fwo.quarters * 25),
                "romAmount": None if fwo.rom_cents is None else _hundredths(fwo.rom_cents),
                "amount": _hundredths(fwo.amount_cents),
            }
            if self.style.dates != "absent":
                row["created"] = self._told(fwo.created)
                row["lastUpdated"] = self._told(fwo.updated) if fwo.form % 23 else None
            yield row

    def _told(self, milliseconds: int) -> str:
        """The moment that the served date stands for.

        When clocks go back, local time without an offset cannot tell the two hours apart: it stands for the first.
        """
        if self.style.dates == "iso_naive":
            local = datetime.fromtimestamp(milliseconds / 1000, ZoneInfo(self.style.zone)).replace(fold=0)
            return iso(local.timestamp())
        return iso(milliseconds / 1000)

    def customers(self) -> Iterator[dict[str, Any]]:
        """All customers; where they cannot be listed, those that tickets and projects name."""
        indexes: Sequence[int] = self.model.customers
        if self.switches["customer_list"] != "yes":
            named = {self.model.fwo(index).customer_id for index in self.visible_fwos}
            if "/project" not in self.switches["missing"]:
                named |= {self.model.project(index).customer_id for index in self.model.projects}
            indexes = [index for index in indexes if index + 1 in named]
        for index in indexes:
            customer = self.model.customer(index)
            yield dict(DOCUMENTED[customer.id]) if customer.id in SAMPLES else customer_fields(customer)

    def projects(self) -> Iterator[dict[str, Any]]:
        """All projects."""
        return (project_fields(self.model.project(index)) for index in self.model.projects)

    def employees(self) -> Iterator[dict[str, Any]]:
        """All employees."""
        return (employee_fields(self.model.employee(index)) for index in self.model.employees)


def _hundredths(number: int) -> str:
    return f"{number // 100}.{number % 100:02}"


STREAMS: Mapping[str, Callable[[PeerAssistTruth], Iterator[dict[str, Any]]]] = {
    "fwos": PeerAssistTruth.fwos,
    "customers": PeerAssistTruth.customers,
    "projects": PeerAssistTruth.projects,
    "employees": PeerAssistTruth.employees,
}
