"""The command: one line for what goes wrong, and never half a page."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from merchant_report.cli import build, cli
from scripts.marts import DBT, report
from tests.tree import ROOT

if TYPE_CHECKING:
    from tests.report.conftest import Warehouse


def test_the_page_of_the_docs_knows_every_option() -> None:
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    for option in build.params:
        assert f"| `{option.opts[0]}`" in text
        assert not option.envvar or f"`${option.envvar}`" in text


def refused(*options: str) -> str:
    """What the command says when it fails."""
    done = CliRunner().invoke(cli, ["build", *options])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1, done.output
    return done.output


def test_a_warehouse_that_is_not_there_or_is_something_else_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    other = tmp_path / "other.duckdb"
    assert "there is no warehouse" in refused(f"--out={out}", f"--warehouse={other}")
    other.write_text("not a warehouse, but long enough to be looked at" * 200)
    assert "cannot be read" in refused(f"--out={out}", f"--warehouse={other}")
    assert list(tmp_path.iterdir()) == [other]


def test_marts_of_another_version_are_one_line(warehouse: Warehouse) -> None:
    warehouse.run("ALTER TABLE marts.revenue_by_day DROP COLUMN fees")
    out = warehouse.path.with_name("report.html")
    out.write_text("the page of yesterday")

    said = refused(f"--out={out}", f"--warehouse={warehouse.path}")

    assert "the mart revenue_by_day is not as this report reads it" in said
    assert out.read_text() == "the page of yesterday"


@pytest.mark.parametrize("text", ["", "[]", '{"metrics": [1]}', None])
def test_metrics_of_another_form_are_one_line(warehouse: Warehouse, text: str | None) -> None:
    manifest = warehouse.path.with_name("semantic.json")
    if text is not None:
        manifest.write_text(text)
    said = refused(f"--out={manifest}.html", f"--warehouse={warehouse.path}", f"--metrics={manifest}")
    assert "is not a semantic manifest of dbt" in said


def test_a_page_that_cannot_be_written_is_one_line(warehouse: Warehouse) -> None:
    said = refused(f"--out={warehouse.path.parent}/missing/report.html", f"--warehouse={warehouse.path}")
    assert "report.html cannot be written: No such file or directory" in said


def test_the_demo_ends_with_the_page_and_what_it_says(
    filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    as_of = datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None)
    assert report(filled.path, as_of, Path("report.html")) == (True, "")  # no dbt, no marts
    DBT.parent.mkdir(parents=True)
    DBT.touch()

    made, said = report(filled.path, as_of, Path("report.html"))

    assert made
    first, *sentences = said.splitlines()
    assert first == "The report is report.html; open it in a browser. It says, among other things:"
    streams, yesterday, week = (sentence.strip() for sentence in sentences)
    assert streams == "All 4 streams are fresh; with the last loads, 20 new rows arrived."
    assert yesterday.startswith(
        "On 31 January, eight payments brought in net revenue of EUR 100.00, JPY 100, KWD 100.000 "
    )
    assert yesterday.endswith(" and one other currency.")
    assert week.startswith("In the past week, 19 payments brought in net revenue of EUR 721.00, 6% less than ")
    assert week.endswith("the week before (EUR 769.00).")
    assert Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    missing = tmp_path / "missing"
    told = f"Error: there is no warehouse {missing}; --warehouse names the DuckDB file with the marts"
    assert report(missing, as_of, Path("report.html")) == (False, f"The report could not be made. {told}")


def test_without_its_libraries_the_command_names_the_extra() -> None:
    code = "import sys; sys.modules['vl_convert'] = None; from merchant_report.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "merchant-report: vl_convert is not installed: pip install 'merchant-taps[report]'\n"
