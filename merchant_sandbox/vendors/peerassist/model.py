"""PeerAssist's data: customers, their projects, the crew, and the field work orders (tickets) that the crew writes.

Every record is a function of its index and of the moment that the story has reached. Times are Unix milliseconds,
amounts are cents, hours are quarters of an hour. Ids count up with the date of creation, so newer records have larger
ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from merchant_sandbox.clock import DAY
from merchant_sandbox.dice import Dice
from merchant_sandbox.timeline import Timeline, story_time

if TYPE_CHECKING:
    from merchant_sandbox.vendor import Size

__all__ = ["SAMPLES", "Employee", "Fwo", "PeerAssistCustomer", "PeerAssistModel", "Project"]

_UNITS = {"demo": 40, "small": 40, "medium": 6_000, "large": 60_000}
"""One unit is 10 field work orders, 2 projects, 1 customer and 1 employee: 14 rows."""

_FIRST_FWO, _FIRST_PROJECT, _FIRST_EMPLOYEE = 10_001, 501, 71
SAMPLES = (3, 4)
"""Ids of the customers that the vendor's user guide shows."""

_STEPS = (
    (0, "ENTRY"),
    (2, "PENDING_SIGNATURE"),
    (5, "PRICING"),
    (9, "WAITING_FOR_APPROVAL"),
    (14, "PENDING_CHANGES"),
)
"""Steps of a ticket, with the days after creation at which it takes them."""
_TYPES = ("FIELD_WORK", "SERVICE_WORK", "TRACKING_ONLY")
_SUMMARIES = (
    "Move outlet",
    'Core drill 4" sleeve',
    "Tubería de cobre\nnivel 2",
    "Déplacer la gaine",
    "Extra lift 🏗️",
    "C:\\plans\\rev B",
    "",
    "配管の移設",
)
_COMPANIES = ("Builders", "Mechanical, Inc.", "Général Sàrl", "O'Neill & Sons", '"Quality" Drywall', "建設")


@dataclass(frozen=True, slots=True)
class PeerAssistCustomer:
    """A customer; ``form`` picks which of its fields are null or empty."""

    index: int
    id: int
    name: str
    number: str
    form: int


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a customer."""

    index: int
    id: int
    number: str
    name: str
    customer_id: int | None
    active: bool
    form: int


@dataclass(frozen=True, slots=True)
class Employee:
    """A member of the crew."""

    index: int
    id: int
    active: bool
    form: int


@dataclass(frozen=True, slots=True)
class Fwo:
    """A field work order as it stands at the end of the story."""

    index: int
    id: int
    number: str
    type: str
    status: str
    summary: str
    project_id: int | None
    customer_id: int | None
    quarters: int
    rom_cents: int | None
    amount_cents: int
    created: int
    updated: int
    form: int


class PeerAssistModel:
    """The data of one (seed, size, ticks).

    Args:
        seed: Changes every value.
        size: Number of records, see `_UNITS`.
        ticks: Days of changes on top of the base data.
    """

    def __init__(self, seed: int, size: Size, ticks: int) -> None:
        self._size, units = size, _UNITS[size]
        self.now = story_time(ticks)
        self._ticks = ticks
        self._dice = {name: Dice(seed, f"peerassist:{name}") for name in ("customer", "project", "employee", "fwo")}
        self._customers = Timeline(units, 1, Dice(seed, "peerassist:customer-time"))
        self._projects = Timeline(2 * units, 2, Dice(seed, "peerassist:project-time"))
        self._employees = Timeline(units, 1, Dice(seed, "peerassist:employee-time"))
        bulk = range(5 * units, 5 * units + min(150, units))
        self._fwos = Timeline(10 * units, 12, Dice(seed, "peerassist:fwo-time"), same=bulk)

    @cached_property
    def customers(self) -> list[int]:
        """Indexes of the customers that are not deleted, oldest first."""
        return [index for index in range(self._customers.count(self._ticks)) if not self._customer_deleted(index)]

    @cached_property
    def projects(self) -> range:
        """Indexes of the projects, oldest first."""
        return range(self._projects.count(self._ticks))

    @cached_property
    def employees(self) -> range:
        """Indexes of the employees, oldest first."""
        return range(self._employees.count(self._ticks))

    @cached_property
    def fwos(self) -> list[int]:
        """Indexes of the tickets that are not deleted, oldest first."""
        return [index for index in range(self._fwos.count(self._ticks)) if not self._fwo_deleted(index)]

    def _customer_deleted(self, index: int) -> bool:
        return index % 11 == 5 and self._customers.created(index) + 90 * DAY < self.now

    def _fwo_deleted(self, index: int) -> bool:
        return index % 13 == 6 and self._fwos.created(index) + 20 * DAY < self.now

    def _customer_at(self, moment: int, chance: int) -> int | None:
        """Id of a customer who existed at a moment; some are never chosen, and some tickets have none."""
        if chance % 29 == 0:
            return None
        index = chance % self._customers.count_at(moment)
        return (index - 1 if index % 10 == 7 else index) + 1

    def customer(self, index: int) -> PeerAssistCustomer:
        """A customer."""
        chance = self._dice["customer"](index)
        number = (f"{index + 1:05}", f"{chance % 900 + 100}-{index:03}", f"C{index}/A")[chance % 3]
        return PeerAssistCustomer(index, index + 1, f"{_COMPANIES[index % 6]} {index + 1}", number, chance >> 8)

    def find_customer(self, customer_id: int) -> int | None:
        """The index of the customer with an id, if there is one."""
        index = customer_id - 1
        known = 0 <= index < self._customers.count(self._ticks) and not self._customer_deleted(index)
        return index if known else None

    def project(self, index: int) -> Project:
        """A project."""
        chance, created = self._dice["project"](index), self._projects.created(index)
        customer_id = self._customer_at(created, chance >> 4)
        if index % 10 == 3 and index // 10 * 10 + 7 < self._customers.count_at(created):
            customer_id = index // 10 * 10 + 8  # one of those that no ticket names
        active = created + (60 + chance % 300) * DAY > self.now
        name = f"{_COMPANIES[chance % 6]} – Bldg {index}"
        return Project(index, _FIRST_PROJECT + index, f"{index:06}", name, customer_id, active, chance >> 8)

    def employee(self, index: int) -> Employee:
        """A member of the crew."""
        chance = self._dice["employee"](index)
        return Employee(index, _FIRST_EMPLOYEE + index, chance % 7 > 0, chance >> 8)

    def fwo(self, index: int) -> Fwo:
        """A ticket; its step, amount and date of change follow the story."""
        chance, created = self._dice["fwo"](index), self._fwos.created(index)
        taken = [number for number, (days, _) in enumerate(_STEPS) if created + days * DAY <= self.now]
        reached = min(taken[-1], 1 + chance % 4) if taken else 0
        changed = created + _STEPS[reached][0] * DAY + (chance >> 20) % (DAY // 2)
        changed = max(created, min(changed, self.now))
        odd = index % 97 == 11 and self._size != "demo"
        exact = 900_719_925_474_099_307 if odd else (chance >> 24) % 5_000_000
        return Fwo(
            index,
            _FIRST_FWO + index,
            f"{index % 400 + 1:06}" if chance % 3 else f"PCO-{index % 400 + 1:04}",
            _TYPES[chance % 3],
            _STEPS[reached][1],
            _SUMMARIES[(chance >> 6) % len(_SUMMARIES)],
            None if chance % 31 == 0 else _FIRST_PROJECT + (chance >> 9) % self._projects.count_at(created),
            self._customer_at(created, chance >> 12),
            (chance >> 16) % 200,
            None if chance % 5 else (chance >> 18) % 900_000,
            exact + reached * 1_000,
            created * 1000 + (chance >> 30) % 1000,
            changed * 1000 + 999,
            chance >> 40,
        )
