"""One user's project: settings, state, warehouse and vendor; its runs, and what each must have left.

The orchestrator keeps the state as Meltano does: the last STATE that the loader has printed.

A run is refused in two cases, and must be: a stream goes on from a bookmark that its table does not reach, because the
warehouse is new or an older copy; or the table belongs to another pipeline. Then the loader says so in one line with
code 5, and the stream's rows are as they were. The project keeps account of what each table reaches, so that it is
known when that must happen, and that it must not happen at any other time.
"""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from merchant_sandbox.clock import unix
from tap_core.testing import selected
from tests.faults.pipe import Pipe
from tests.faults.proxy import Proxy
from tests.faults.shop import OF_A_MOMENT, Shop
from tests.nights.habits import HABITS
from tests.nights.oracle import Act, due_of, less, mismarked, untrue, wrong
from tests.nights.warehouse import Reach, Warehouse, behind, values
from tests.pipeline.conftest import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tests.faults.pipe import Kill
    from tests.faults.vendors import Vendor
    from tests.nights.habits import Change
    from tests.nights.oracle import Due, Rows

__all__ = ["Project"]

EARLY: Final = unix("2026-02-01T00:30:00+00:00")
RATE: Final = 100
"""How many times as fast time goes: a wait of a minute is over in less than a second, a night takes some hours."""

_COMMITS: Final = {"batch_rows": 400, "flush_interval_s": 0}
_LIKE_NONE: Final = {"lookback_days", "page_size", "form", "merchant_style"}
"""Settings that do not change what is read from nothing."""

_REFUSED, _FAILED = 5, (0, 3, 4, 5)
_READINGS: Final = 5


class Project:
    """A project of one vendor's user, in a world of its own.

    Args:
        sandbox: The sandbox.
        vendor: The vendor.
        folder: For all files.
        seed: Seed of the world.
        ticks: Days that have passed in it.
        lake: Whether the warehouse is a lake.
        loader: More settings of the loader.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        vendor: Vendor,
        folder: Path,
        *,
        seed: int,
        ticks: int,
        lake: bool,
        loader: Mapping[str, Any],
    ) -> None:
        self._folder, self._places = folder, 0
        self.vendor, self.habits = vendor, HABITS[vendor.name]
        switches = {vendor.name: vendor.switches}
        self.world = sandbox.world(seed=seed, ticks=ticks, clock_start=EARLY, clock_rate=RATE, switches=switches)
        self.shop, self._beside = (Shop(vendor, self.world, self.place()) for _ in range(2))
        self.proxy = Proxy(self.shop.config["api_url"]).__enter__()
        self.warehouse = Warehouse(self.place(), lake)
        self.loader = dict(loader)
        self.state_id = vendor.name
        self.state: dict[str, Any] = {}
        self.settings: Mapping[str, Any] = {}
        self.streams: Collection[str] = ()
        """Streams that are deselected."""
        self.columns: Collection[str] = ()
        """Columns that are deselected."""
        self.change: Change | None = None
        self.form: dict[str, Any] = {}
        self.late: dict[str, set[Any]] = {}
        self.runs = 0
        self._state_beside: dict[str, Any] = {}
        self._readings: dict[str, dict[str, Due]] = {}

    def close(self) -> None:
        """Leave the world and the proxy."""
        self.proxy.__exit__(None, None, None)
        self.world.drop()

    def place(self) -> Path:
        """A new folder."""
        self._places += 1
        folder = self._folder / f"place-{self._places}"
        folder.mkdir(parents=True)
        return folder

    # What is read, and where it goes

    @property
    def reach(self) -> dict[str, Reach]:
        """What the pipeline's tables reach."""
        return self.warehouse.reach.setdefault(self.vendor.name, {})

    def pipe(
        self,
        *,
        state: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        loader: Mapping[str, Any] | None = None,
    ) -> Pipe:
        """The pipeline as it is set up; the arguments replace state and settings, and add to the loader's.

        A setting that is None is left out.
        """
        own = {"schema": self.vendor.name, "state_id": self.state_id, **_COMMITS}
        url = {"api_url": self.proxy.url(self.shop.config["api_url"]), "retry_max_s": 60}
        loads = {**own, **self.warehouse.settings, **self.loader, **(loader or {})}
        return Pipe(
            self.shop,
            {name: value for name, value in loads.items() if value is not None},
            deepcopy(dict(self.state if state is None else state)),
            {**(self.settings if settings is None else settings), **url},
            self._catalog(),
        )

    def _catalog(self) -> Mapping[str, Any] | None:
        """What is selected; None if that is everything."""
        if not self.streams and not self.columns:
            return None
        enabled = self.vendor.config.get("enable_streams", ())
        kinds = [kind for kind in self.vendor.tap.stream_types if kind.selected_by_default or kind.name in enabled]
        catalog = self.vendor.tap(config={}, validate_config=False).catalog_dict
        chosen = [kind.name for kind in kinds if kind.name not in self.streams]
        return selected(catalog, chosen, without=tuple(self.columns))

    def due(self, settings: Mapping[str, Any] | None = None) -> dict[str, Due]:
        """What the vendor has now, read from nothing with the project's settings or with others; read only once."""
        settings, catalog = self.settings if settings is None else settings, self._catalog()
        chosen = [sorted(self.streams), sorted(self.columns)]
        at = json.dumps([settings, chosen, self.world.describe()["ticks"], self.change, self.form])
        if at not in self._readings:
            run = self.shop.read(catalog=catalog, everything=catalog is None, **settings)
            assert run.code == 0, run.log
            found = due_of(self.shop, run)
            if settings.keys() <= _LIKE_NONE and not self.change and catalog is None:
                odd = untrue(self.shop, found, self.habits.wider)
                assert odd == {}, odd
            self._readings = {**dict(list(self._readings.items())[-_READINGS:]), at: found}
        return self._readings[at]

    # A run, and what it must have left

    def run(
        self,
        *,
        wire: Sequence[str | None] = (),
        kill: Kill | None = None,
        failing: Mapping[str, Any] | None = None,
        refused: str | None = None,
        state: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        loader: Mapping[str, Any] | None = None,
        beside: threading.Thread | None = None,
    ) -> None:
        """Run the pipeline, and look at what it has left.

        Args:
            wire: What is done to the first answers.
            kill: Who is killed.
            failing: What the vendor answers to some calls.
            refused: A setting that the tap must refuse.
            state: Another state than the orchestrator's, which then keeps the one that it has.
            settings: Other settings of the tap.
            loader: Other settings of the loader.
            beside: What runs at the same time.
        """
        self.runs += 1
        settings = self.settings if settings is None else settings
        pipe = self.pipe(state=state, settings=settings, loader=loader)
        given, before = deepcopy(pipe.state), self.warehouse.rows.get(pipe.schema, {})
        due = self.due(self.settings if refused else settings)
        self._note_late(due, settings)
        gaps = behind(due, given, self.reach) | self._strange(due, pipe)
        if mixed := pipe.settings.get("lake_path") != self.warehouse.settings.get("lake_path"):
            gaps |= due.keys() & before.keys()
        self._disturb(wire, failing)
        if beside:
            beside.start()
        tap, target, said = pipe.run(kill)
        if beside:
            beside.join()
        self._disturb()
        after = self._look(pipe)
        assert "Traceback" not in said, said
        if not kill:
            may_fail = failing is not None or refused is not None
            self._check_codes(tap, target, said, gaps=gaps, may_fail=may_fail, refused=refused)
            assert "set `lake_path`" in said or not mixed, said
        windows = {stream for stream, each in due.items() if each.partitions is not None}
        untouched = gaps | (windows if refused else set())
        self._keep_account(due.keys() & after.keys() - untouched, pipe, given, settings)
        act = Act(
            through=(tap, target) == (0, 0),
            since=self._since(given, settings),
            start=_text({**self.shop.config, **settings}.get("start_date")),
            end=_text(settings.get("end_date")),
            owed={stream: each.owed for stream, each in self.reach.items()},
            late=self.late,
        )
        odd = wrong(before, after, {stream: each for stream, each in due.items() if stream not in untouched}, act)
        assert odd == {}, f"{odd}\n{said}"
        self._check_marks(pipe, before, after, due)
        self.warehouse.rows[pipe.schema] = after
        if state is None:
            self.state = pipe.state

    @staticmethod
    def _check_codes(
        tap: int, target: int, said: str, *, gaps: Collection[str], may_fail: bool, refused: str | None
    ) -> None:
        """A run that nobody has killed ends with the codes, and says the line, that it must."""
        if refused:
            assert tap == 2, said
            assert refused in said, said
        elif may_fail:
            assert target == 0 or (gaps and target == _REFUSED), said
            assert tap in _FAILED, said
        elif gaps:
            assert target == _REFUSED, f"{sorted(gaps)} must be refused\n{said}"
            assert [name for name in gaps if f"stream {name}: " in said], said
        else:
            assert (tap, target) == (0, 0), said

    def _since(self, state: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Where a run goes on, by stream: its bookmark less the look-back."""
        schema = self.vendor.tap.config_jsonschema["properties"]["lookback_days"]
        lookback = timedelta(days={**self.vendor.config, **settings}.get("lookback_days", schema["default"]))
        return {stream: less(value, lookback) for stream, value in values(state).items()}

    def _strange(self, due: Iterable[str], pipe: Pipe) -> set[str]:
        """The streams whose table belongs to another pipeline."""
        own = pipe.settings["state_id"]
        if pipe.settings.get("shared"):
            return set()
        return {stream for stream in due if self.warehouse.owners.get(stream, own) != own}

    def _keep_account(
        self, loaded: Iterable[str], pipe: Pipe, given: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> None:
        """Note what the tables reach after a run."""
        if pipe.settings["state_id"] != self.state_id:
            return
        start = _text({**self.shop.config, **settings}.get("start_date"))
        for stream in loaded:
            self.warehouse.owners.setdefault(stream, self.state_id)
            known = self.reach.get(stream, Reach())
            if stream not in values(given) and not settings.get("end_date"):
                known = replace(known, owed=start)
            self.reach[stream] = replace(known, bookmark=max(known.bookmark, values(pipe.state).get(stream, "")))

    @staticmethod
    def _look(pipe: Pipe, *, gone: bool = False) -> Rows:
        """What a warehouse holds, or what is marked as gone in it."""
        if not pipe.warehouse.exists():
            return {}
        streams = tables(pipe.warehouse, pipe.schema) - OF_A_MOMENT
        return {stream: pipe.rows(stream, gone=gone) for stream in streams}

    def _check_marks(self, pipe: Pipe, before: Rows, after: Rows, due: Mapping[str, Due]) -> None:
        """What has gone is marked, as it was, and nothing else is."""
        marks = not (pipe.settings.get("hard_delete", True) or self.warehouse.lake)
        known, marked = self.warehouse.gone.get(pipe.schema, {}), self._look(pipe, gone=True)
        odd = mismarked(before, after, (known, marked), due, marks=marks)
        assert odd == {}, odd
        self.warehouse.gone[pipe.schema] = marked

    # A second pipeline

    def run_beside(self, *, at_once: bool) -> None:
        """Run a second pipeline that loads everything into a schema of its own, and the project's own one.

        Args:
            at_once: Whether both run at the same time.
        """
        settings = {**self.warehouse.settings, "schema": "beside", **_COMMITS}
        reach, before = self.warehouse.reach.setdefault("beside", {}), self.warehouse.rows.get("beside", {})
        state = deepcopy(self._state_beside)
        pipe = Pipe(self._beside, settings, deepcopy(state))
        ended: list[tuple[int, int, str]] = []
        other = threading.Thread(target=lambda: ended.append(pipe.run()))
        if at_once:
            self.run(beside=other)
        else:
            other.start()
            other.join()
            self.run()
        tap, target, said = ended[0]
        kept, (self.streams, self.columns) = (self.streams, self.columns), ((), ())
        due = self.due({})
        self.streams, self.columns = kept
        gaps = behind(due, state, reach)
        self._check_codes(tap, target, said, gaps=gaps, may_fail=False, refused=None)
        after = self._look(pipe)
        late = {stream: each.rows.keys() for stream, each in due.items()} if self.late else {}
        act = Act(through=not gaps, since=self._since(state, {}), late=late)
        odd = wrong(before, after, {stream: each for stream, each in due.items() if stream not in gaps}, act)
        assert odd == {}, f"{odd}\n{said}"
        self._state_beside, self.warehouse.rows["beside"] = ({} if gaps else pipe.state), after
        if not gaps:
            reach |= {stream: Reach(values(pipe.state).get(stream, "")) for stream in due}

    # What the vendor does

    def set_change(self, change: Change | None) -> None:
        """Have the vendor answer differently from now on, or as in the beginning."""
        self.change = change
        self._disturb()

    def _disturb(self, wire: Sequence[str | None] = (), failing: Mapping[str, Any] | None = None) -> None:
        """Switch the faults of a run on; without any, only what the vendor has changed remains."""
        self.proxy.begin(wire)
        self.world.clear_faults(self.vendor.name)
        if failing:
            self.shop.fault("status", **failing)
        if self.change is not None:
            route, kind, details = self.change
            self.shop.fault(kind, route, **{"times": None, **details})

    def _note_late(self, due: Mapping[str, Due], settings: Mapping[str, Any]) -> None:
        """Note which rows of immutable streams the vendor withholds: it may list them once they are old."""
        if (change := self.change) is None or change[1] != "delete":
            return
        self.set_change(None)
        everything = self.due(settings)
        self.set_change(change)
        for stream, each in due.items():
            if each.immutable:
                self.late.setdefault(stream, set()).update(everything[stream].rows.keys() - each.rows.keys())

    # What the loader remembers

    def hand_back(self) -> None:
        """Have the orchestrator take the state that the warehouse knows."""
        done = self.pipe().ask("state", "--state-id", self.state_id)
        if done.returncode:
            assert done.returncode in {2, _REFUSED}, done.stderr
            assert done.stderr.count(b"\n") == 1, done.stderr
        self.state = json.loads(done.stdout or "{}")
        for stream, value in values(self.state).items():
            if stream in self.reach:  # a commit may have come before a kill, and its STATE not
                known = self.reach[stream]
                self.reach[stream] = replace(known, bookmark=max(known.bookmark, value))

    def rename(self, new: str) -> None:
        """Tell the loader that the pipeline has a new state id, which is the one that it runs under."""
        old = {*self.warehouse.owners.values()} - {new}
        for each in old:
            done = self.pipe().ask("state", "rename", each, new)
            assert done.returncode == 0, done.stderr
        self.warehouse.owners = dict.fromkeys(self.warehouse.owners, new)


def _text(date: str | None) -> str:
    """A date as bookmarks are written; empty if there is none."""
    return f"{date}T00:00:00.000000Z" if date else ""
