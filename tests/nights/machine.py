"""Everyday acts in an order that nobody has thought of, against real processes and a sandbox's world.

Each act is followed by a run of ``tap | target-duckhouse``, and each run by a look at all rows: `tests.nights.oracle`
tells what they must be, `tests.nights.project` when a run must be refused.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.faults.kills import kills
from tests.faults.proxy import SPOILERS
from tests.nights.project import Project
from tests.nights.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tests.faults.pipe import Kill
    from tests.faults.vendors import Vendor
    from tests.nights.habits import Change

__all__ = ["Nights"]

_SPOILERS = sorted(kind for kind in SPOILERS if not kind.startswith(("stall", "drip")))
"""What costs no time."""

_wire = st.lists(st.none() | st.sampled_from(_SPOILERS), max_size=12)
_ways_out = st.sampled_from(["refresh", "hand back", "none"])


def _one_of(choose: Callable[[Project], Sequence[Any]]) -> st.SearchStrategy[Any]:
    """One of what depends on the vendor."""
    return st.runner().flatmap(lambda machine: st.sampled_from(choose(machine.project)))


def _some_of(choose: Callable[[Project], Sequence[str]]) -> st.SearchStrategy[list[str]]:
    """A few names out of those that depend on the vendor."""
    return st.runner().flatmap(
        lambda machine: st.lists(st.sampled_from(choose(machine.project)), unique=True, max_size=3)
    )


class Nights(RuleBasedStateMachine):
    """The nights of one project.

    Attributes:
        played: How many nights and runs there have been in this process, by vendor.
    """

    sandbox: ClassVar[Sandbox]
    vendor: ClassVar[Vendor]
    folder: ClassVar[Path]
    played: ClassVar[dict[str, tuple[int, int]]] = {}
    project: Project
    copy: Warehouse | None = None

    @initialize(
        seed=st.integers(1, 5),
        ticks=st.integers(0, 2),
        lake=st.booleans(),
        hard_delete=st.booleans(),
        resume_state=st.booleans(),
        kill=st.none() | kills,
    )
    def begin(
        self, *, seed: int, ticks: int, lake: bool, hard_delete: bool, resume_state: bool, kill: Kill | None
    ) -> None:
        """A new warehouse, and the first night."""
        loader = {"hard_delete": hard_delete, "resume_state": resume_state}
        self.project = Project(self.sandbox, self.vendor, self.folder, seed=seed, ticks=ticks, lake=lake, loader=loader)
        self.project.run(kill=kill)

    def teardown(self) -> None:
        """Count, and clear away."""
        if hasattr(self, "project"):
            nights, runs = self.played.get(self.vendor.name, (0, 0))
            self.played[self.vendor.name] = nights + 1, runs + self.project.runs
            self.project.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Nights

    @rule(days=st.integers(0, 2), wire=_wire, kill=st.none() | kills)
    def night(self, *, days: int, wire: Sequence[str | None], kill: Kill | None) -> None:
        """Days pass, and the pipeline runs; answers may be spoilt on the wire, and processes be killed."""
        self.project.world.tick(days)
        self.project.run(wire=wire, kill=kill)

    @rule(days=st.integers(0, 1), after=st.integers(0, 12), status=_one_of(lambda project: project.habits.errors))
    def night_in_vain(self, *, days: int, after: int, status: int) -> None:
        """From some call on, the vendor answers nothing but errors for its main stream."""
        self.project.world.tick(days)
        self.project.run(failing={"status": status, "after": after, "times": None})

    @rule(days=st.integers(0, 2))
    def start_over(self, *, days: int) -> None:
        """A full refresh, as Meltano does it: the state is left out, and the new one is kept."""
        self.project.world.tick(days)
        self.project.state = {}
        self.project.run()

    # What is read

    @rule(days=st.integers(0, 1), settings=_one_of(lambda project: [{}, *project.habits.settings]))
    def change_a_setting(self, *, days: int, settings: Mapping[str, Any]) -> None:
        """A setting narrows or widens; or everything is as it was in the beginning."""
        self.project.settings = settings
        self.project.world.tick(days)
        self.project.run()

    @precondition(lambda self: self.project.habits.accounts)
    @rule(days=st.integers(0, 1), settings=_one_of(lambda project: [{}, *project.habits.accounts]))
    def change_accounts(self, *, days: int, settings: Mapping[str, Any]) -> None:
        """An account, a customer, a gateway is added, renamed or removed."""
        self.change_a_setting(days=days, settings=settings)

    @precondition(lambda self: self.project.habits.refused)
    @rule(setting=_one_of(lambda project: project.habits.refused))
    def change_what_keys_hold(self, *, setting: tuple[str, Any]) -> None:
        """A setting changes that is part of the keys: refused in one line while there is a state, then set back."""
        name, value = setting
        stuck = any("_grid" in bookmark for bookmark in self.project.state.get("bookmarks", {}).values())
        if stuck and not self.project.streams:
            self.project.run(settings={**self.project.settings, name: value}, refused=name)

    @rule(
        days=st.integers(0, 1),
        streams=_some_of(lambda project: [kind.name for kind in project.vendor.tap.stream_types]),
        columns=_some_of(lambda project: project.habits.columns),
    )
    def choose(self, *, days: int, streams: Sequence[str], columns: Sequence[str]) -> None:
        """Streams and columns are deselected, or selected again."""
        self.project.streams, self.project.columns = streams, columns
        self.project.world.tick(days)
        self.project.run()

    @precondition(lambda self: self.project.habits.bounded)
    @rule(own_id=st.booleans())
    def backfill(self, *, own_id: bool) -> None:
        """A range is read again beside the nightly run, under its state id or under one of its own."""
        project, habits = self.project, self.project.habits
        start, end = habits.range
        chosen = project.streams
        project.streams = [kind.name for kind in project.vendor.tap.stream_types if kind.name not in habits.bounded]
        project.run(
            state={},
            settings={**project.settings, "start_date": start, "end_date": end},
            loader={"state_id": "backfill", "shared": True} if own_id and {*habits.bounded} <= {*project.reach} else {},
        )
        project.streams = chosen
        project.run()

    # Where it is held

    @rule(way_out=_ways_out)
    def lose_the_warehouse(self, *, way_out: str) -> None:
        """The warehouse is gone, and the orchestrator does not know."""
        shutil.rmtree(self.project.warehouse.folder)
        self._move_to(Warehouse(self.project.place(), self.project.warehouse.lake), way_out)

    @rule(way_out=_ways_out)
    def switch_to_the_other_storage(self, *, way_out: str) -> None:
        """From tables to a lake or back, in a new place."""
        self._move_to(Warehouse(self.project.place(), not self.project.warehouse.lake), way_out)

    @rule(days=st.integers(0, 1))
    def mix_storages(self, *, days: int) -> None:
        """By mistake, the loader is set to a lake where there are tables, or to tables where there is a lake."""
        project = self.project
        project.world.tick(days)
        if project.warehouse.rows.get(self.vendor.name):
            lake = None if project.warehouse.lake else str(project.warehouse.folder / "lake")
            project.run(state=project.state, loader={"lake_path": lake})
        project.run()

    @rule()
    def keep_a_copy(self) -> None:
        """The warehouse is copied."""
        self.copy = self.project.warehouse.copy_to(self.copy.folder if self.copy else self.project.place())

    @precondition(lambda self: self.copy is not None)
    @rule(days=st.integers(0, 2), way_out=_ways_out)
    def restore_the_copy(self, *, days: int, way_out: str) -> None:
        """The warehouse is what it was when it was copied."""
        assert self.copy is not None
        self.project.world.tick(days)
        self._move_to(self.copy.copy_to(self.project.warehouse.folder), way_out)

    @rule(days=st.integers(0, 1))
    def move_the_warehouse(self, *, days: int) -> None:
        """The warehouse moves to another folder, and the setting with it."""
        folder = self.project.place()
        folder.rmdir()
        shutil.move(self.project.warehouse.folder, folder)
        self.project.warehouse.folder = folder
        self.project.world.tick(days)
        self.project.run()

    def _move_to(self, warehouse: Warehouse, way_out: str) -> None:
        """Go on with another warehouse; if that is refused, do what the loader's line advises, or nothing."""
        self.project.warehouse = warehouse
        if set(warehouse.owners.values()) - {self.project.state_id}:
            self.project.rename(self.project.state_id)
        self.project.run()
        if way_out == "refresh":
            self.start_over(days=0)
        elif way_out == "hand back":
            self.lose_the_state(handed_back=True, days=0)

    # Who remembers what

    @rule(handed_back=st.booleans(), days=st.integers(0, 1))
    def lose_the_state(self, *, handed_back: bool, days: int) -> None:
        """The orchestrator loses its state; the warehouse may hand it back."""
        self.project.state = {}
        self.project.world.tick(days)
        if handed_back:
            self.project.hand_back()
        self.project.run()

    @rule(told=st.booleans())
    def rename_the_pipeline(self, *, told: bool) -> None:
        """The pipeline has another state id; the loader is told at once, or after it has refused."""
        project = self.project
        project.state_id += "-eu"
        if not told:
            project.run()
        project.rename(project.state_id)
        project.run()

    @rule(days=st.integers(0, 1), own_schema=st.booleans(), at_once=st.booleans())
    def run_a_second_pipeline(self, *, days: int, own_schema: bool, at_once: bool) -> None:
        """Another pipeline loads into the same warehouse: into a schema of its own, or by mistake into this one."""
        self.project.world.tick(days)
        if own_schema:
            self.project.run_beside(at_once=at_once)
        elif self.project.due().keys() <= self.project.reach.keys():  # what nobody has loaded is anybody's
            self.project.run(loader={"state_id": "stranger"}, state={})

    # What the vendor does

    @rule(days=st.integers(0, 1), change=_one_of(lambda project: [None, *project.habits.changes]))
    def the_vendor_changes_answers(self, *, days: int, change: Change | None) -> None:
        """A field is renamed, added or retyped, a record is listed no more; or everything is as it was."""
        self.project.set_change(change)
        self.project.world.tick(days)
        self.project.run()

    @rule(days=st.integers(0, 1), form=_one_of(lambda project: project.habits.forms))
    def the_vendor_changes_the_form(self, *, days: int, form: Mapping[str, Any]) -> None:
        """The same data come in another form, such as an older one."""
        self.project.form |= form
        self.project.world.switch(self.vendor.name, **form)
        self.project.world.tick(days)
        self.project.run()

    @precondition(lambda self: self.project.habits.late and not self.project.change)
    @rule(rows=st.integers(1, 5))
    def the_vendor_lists_rows_late(self, *, rows: int) -> None:
        """The newest rows but one are listed only after the night."""
        project = self.project
        assert project.habits.late is not None
        project.world.tick(1)
        project.set_change((project.habits.late, "delete", {"rows": rows, "position": 1, "after": 0}))
        project.run()
        project.set_change(None)
        project.run()
