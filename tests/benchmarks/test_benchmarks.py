"""The measurements run, and the page says what they found; how fast anything is does not matter here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import chart, page, results
from benchmarks.__main__ import CASES
from benchmarks.api import PAGE
from benchmarks.cases import extraction, growth, latency, loader, metadata, vendors, warehouse
from benchmarks.environments import PINS
from benchmarks.measure import PYTHON, Program, api, output, run
from benchmarks.plan import QUICK, Job, note
from benchmarks.programs import Programs, count
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.plan import Plan
    from benchmarks.results import Case

FEW = replace(QUICK, records=2 * PAGE, rounds=1, late=2, growth=(2 * PAGE, 3 * PAGE), vendors=("premiumpay",))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with api(250) as found:
        yield found


def records(program: Program) -> list[dict[str, Any]]:
    messages = map(json.loads, output(program))
    return [message.get("record", message) for message in messages if "schema" not in message]


def test_limits_and_tap_read_the_same_records(tmp_path: Path, url: str) -> None:
    programs = Programs(tmp_path, url)
    expected = records(programs.limit("pass", 250))
    assert len({record["id"] for record in expected}) == 250
    for settings in ({}, {"by_cursor": True}, {"append": True}, {"concurrency": 16}):
        found = [record for record in records(programs.tap(250, **settings)) if "id" in record]
        assert [record["id"] for record in found] == sorted(record["id"] for record in expected)
        assert [record["line_items"] for record in found] == [record["line_items"] for record in expected]


def test_a_shorter_list_is_a_part_of_the_whole(tmp_path: Path, url: str) -> None:
    programs = Programs(tmp_path, url)
    assert len(records(programs.limit("pass", 120))) == 120
    assert sum("id" in record for record in records(programs.tap(120, by_cursor=True))) == 120


@pytest.mark.parametrize(
    "measure",
    [extraction.measure, warehouse.measure, latency.measure, growth.measure, loader.measure, metadata.measure],
)
def test_a_measurement_runs(measure: Callable[[Plan], Mapping[str, Case]]) -> None:
    for case in measure(FEW).values():
        for figures in case.groups.values():
            assert len(figures) > 1
            assert all(figure.note == "" and figure.records >= PAGE for figure in figures.values())


@pytest.mark.parametrize("measure", [vendors.heaviest, vendors.everything])
def test_a_measurement_of_taps_runs(measure: Callable[[Plan], Mapping[str, Case]]) -> None:
    for case in measure(FEW).values():
        assert all(figures["this project"].records > 1_000 for figures in case.groups.values())


def test_rows_that_do_not_arrive_are_told(tmp_path: Path, url: str) -> None:
    path = tmp_path / "half.duckdb"
    programs = Programs(tmp_path, url)
    run(programs.tap(120), programs.loader(path))
    job = Job(lambda _: [], 250, 1, lambda _: count(path, "payments"))
    assert note(job) == "120 of 250 rows arrived"


def test_a_program_that_fails_ends_the_measurement_with_what_it_said() -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        run(Program([PYTHON, "-c", "raise SystemExit('no such thing')"]))


def test_the_page_shows_what_was_measured() -> None:
    found = results.read()
    assert page.page(found) == page.PAGE.read_text(encoding="utf-8"), "run: make docs"
    charted = [found.cases[name] for name in ("extraction", "warehouse")]
    assert chart.bars(charted) == page.CHART.read_text(encoding="utf-8"), "run: make docs"


def test_the_page_has_a_place_for_every_case() -> None:
    places = set(re.findall("<!-- begin ([a-z-]+) -->", page.PAGE.read_text(encoding="utf-8")))
    assert places == {"summary", "machine", "versions", *results.read().cases}


def test_results_tell_nothing_of_whose_machine_it_was() -> None:
    assert results.machine().keys() == results.read().machine.keys()
    assert "/" not in "".join(results.read().machine.values()).replace("N/A", "")


def test_versions_of_other_programs_are_pinned() -> None:
    for pins in PINS.glob("*.txt"):
        wanted, *lines = pins.read_text(encoding="utf-8").splitlines()
        assert wanted.startswith("# ")
        assert [line for line in lines if "==" not in line] == []
        assert page.pinned(pins)


def test_the_command_names_its_cases() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no case nothing" in done.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(name in shown.stdout for name in CASES)
