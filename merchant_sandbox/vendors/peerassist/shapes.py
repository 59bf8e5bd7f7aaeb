"""How PeerAssist writes its records; the form of dates and nulls follows the world's switches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from merchant_sandbox.vendors.peerassist.model import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.vendors.peerassist.model import Employee, Fwo, PeerAssistCustomer, PeerAssistModel, Project

__all__ = [
    "DOCUMENTED",
    "PeerAssistShapes",
    "Style",
    "customer_fields",
    "employee_fields",
    "fwo_fields",
    "project_fields",
]

DOCUMENTED: Mapping[int, Mapping[str, Any]] = {
    3: {
        "id": 3,
        "name": "USA General Contractors, Inc.",
        "number": "200-000",
        "address1": "123 America Street",
        "city": "San Francisco",
        "state": "CA",
        "zipCode": "94104",
        "contactName": "Test Contact",
        "contactEmail": "[email\u00a0protected]",
        "billingContact": "Test Contact",
        "billingContactEmail": "[email\u00a0protected]",
        "billingContactPhone": "0000000000",
        "contactPhone": "6144561447",
        "status": "ACTIVE",
    },
    4: {
        "id": 4,
        "name": "Test New Customer",
        "number": "01000",
        "address1": "1234 Test Address",
        "address2": "",
        "city": "",
        "state": "OH",
        "zipCode": "",
        "contactName": "Test Contact",
        "contactEmail": "[email\u00a0protected]",
        "billingContact": "Test Contact",
        "billingContactEmail": "[email\u00a0protected]",
        "billingContactPhone": "0000000000",
        "contactPhone": "0000000000",
        "status": "ACTIVE",
    },
}
"""The two customers of the vendor's user guide, word for word (e-mail addresses are masked in its capture)."""


@dataclass(frozen=True, slots=True)
class Style:
    """How the API writes what its guide leaves open.

    Args:
        dates: Form of dates; see the switch of this name.
        zone: Zone of dates without an offset, and of offsets.
        nulls: ``absent`` or ``null``.
        lines: Whether tickets contain their labor lines.
    """

    dates: str = "iso"
    zone: str = "UTC"
    nulls: str = "absent"
    lines: bool = False

    def date(self, milliseconds: int) -> Any:
        """A moment as the API writes it."""
        if self.dates == "epoch_ms":
            return milliseconds
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
        if self.dates == "iso":
            return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03}Z"
        local = moment.astimezone(ZoneInfo(self.zone))
        if self.dates == "iso_naive":
            local = local.replace(tzinfo=None)
        return local.isoformat(timespec="milliseconds")


class PeerAssistShapes:
    """Renders the records of a model.

    Args:
        model: The data.
    """

    def __init__(self, model: PeerAssistModel) -> None:
        self.model = model

    def customer(self, index: int, style: Style) -> dict[str, Any]:
        """A customer as served."""
        customer = self.model.customer(index)
        if customer.id in SAMPLES:
            return dict(DOCUMENTED[customer.id])
        return _filled(customer_fields(customer), style)

    def project(self, index: int, style: Style) -> dict[str, Any]:
        """A project as served."""
        return _filled(project_fields(self.model.project(index)), style)

    def employee(self, index: int, style: Style) -> dict[str, Any]:
        """An employee as served."""
        return _filled(employee_fields(self.model.employee(index)), style)

    def fwo(self, index: int, style: Style) -> dict[str, Any]:
        """A ticket as served."""
        fwo = self.model.fwo(index)
        row = fwo_fields(fwo) | {
            "laborHours": Decimal(fwo.quarters * 25).scaleb(-2),
            "romAmount": None if fwo.rom_cents is None else Decimal(fwo.rom_cents).scaleb(-2),
            "amount": Decimal(fwo.amount_cents).scaleb(-2),
        }
        if style.dates != "absent":
            row["created"] = style.date(fwo.created)
            row["lastUpdated"] = style.date(fwo.updated) if fwo.form % 23 else None
        if style.lines:
            hours = Decimal(fwo.quarters * 25).scaleb(-2)
            row["labor"] = [{"employeeName": f"Pat Doe {fwo.form % 9}", "hours": hours}] if fwo.form % 3 else []
        return _filled(row, style)


def _filled(row: dict[str, Any], style: Style) -> dict[str, Any]:
    return row if style.nulls == "null" else {name: value for name, value in row.items() if value is not None}


def customer_fields(customer: PeerAssistCustomer) -> dict[str, Any]:
    """The members of a customer."""
    form, n = customer.form, customer.id
    return {
        "id": n,
        "name": customer.name,
        "number": customer.number,
        "address1": f"{n} Main Street",
        "address2": (None, "", "Suite 5")[form % 3],
        "city": "San José" if form & 4 else "",
        "state": "CA" if form & 8 else "OH",
        "zipCode": f"{form % 99999:05}",
        "contactName": f"Contact {n}" if form & 16 else None,
        "contactEmail": f"contact{n}@example.com" if form & 16 else "",
        "billingContact": f"Billing {n}",
        "billingContactEmail": f"billing{n}@example.com",
        "billingContactPhone": f"{form % 10**10:010}",
        "contactPhone": None if form & 32 else f"{(form >> 3) % 10**10:010}",
        "status": "INACTIVE" if form % 13 == 0 else "ACTIVE",
    }


def project_fields(project: Project) -> dict[str, Any]:
    """The members of a project."""
    form, n = project.form, project.id
    return {
        "id": n,
        "number": project.number,
        "name": project.name,
        "customerId": project.customer_id,
        "address1": f"{n} Site Road",
        "address2": None if form & 1 else "",
        "city": "Columbus",
        "state": "OH",
        "zipCode": f"0{form % 9999:04}",
        "gcProjectNumber": f"00{form % 100}" if form & 2 else None,
        "status": "ACTIVE" if project.active else "INACTIVE",
    }


def employee_fields(employee: Employee) -> dict[str, Any]:
    """The members of an employee."""
    form, n = employee.form, employee.id
    return {
        "id": n,
        "number": f"{n:04}" if form & 1 else None,
        "firstName": ("Pat", "Søren", "María José")[form % 3],
        "lastName": f"Doe {n}",
        "email": f"crew{n}@example.com" if form & 2 else None,
        "phone": f"{form % 10**10:010}" if form & 4 else "",
        "status": "ACTIVE" if employee.active else "INACTIVE",
    }


def fwo_fields(fwo: Fwo) -> dict[str, Any]:
    """The members of a ticket, except for dates and decimals, which differ between API and warehouse."""
    return {
        "id": fwo.id,
        "number": fwo.number,
        "type": fwo.type,
        "status": fwo.status,
        "summary": fwo.summary,
        "description": None if fwo.form & 1 else f"Ticket {fwo.number}\r\nsee drawing",
        "projectId": fwo.project_id,
        "customerId": fwo.customer_id,
        "referenceNumber": "" if fwo.form & 2 else f"RFI-{fwo.form % 50:03}",
        "groupName": None if fwo.form & 4 else f"Crew {fwo.form % 7}",
    }
