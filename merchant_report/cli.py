"""The command line."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

import click

from merchant_report.marts import ReportError, open_marts
from merchant_report.metrics import read_metrics
from merchant_report.page import make_report, render

__all__ = ["build", "cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="merchant-taps", prog_name="merchant-report", message="%(prog)s v%(version)s")
def cli() -> None:
    """Show how business goes, on one page made from the marts."""


@cli.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The page to write.")
@click.option(
    "--warehouse",
    type=click.Path(path_type=Path),
    default="warehouse.duckdb",
    envvar="MERCHANT_WAREHOUSE",
    show_default=True,
    show_envvar=True,
    help="The DuckDB file with the marts.",
)
@click.option("--schema", default="marts", show_default=True, help="The schema of the marts.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
    envvar="MERCHANT_AS_OF",
    show_envvar=True,
    help="The moment (UTC) at which the marts look at everything, as told to dbt. By default, when they were built.",
)
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    help="dbt's semantic manifest, which names and explains figures. By default that of transform/, if it is there.",
)
@click.option("--names", is_flag=True, help="Show names of customers; without it, field work shows their numbers.")
def build(
    out: Path, warehouse: Path, schema: str, as_of: datetime | None, metrics: Path | None, *, names: bool
) -> None:
    """Write the page, and say in three sentences what is on it."""
    try:
        declared = read_metrics(metrics)
        with open_marts(warehouse, schema=schema, as_of=as_of, names=names) as marts:
            report = make_report(marts, declared, datetime.now(UTC).replace(tzinfo=None))
        _write(out, render(report))
    except ReportError as error:
        raise click.ClickException(str(error)) from None
    for sentence in report.headlines or ["There is nothing to report yet."]:
        click.echo(sentence.replace("\N{NO-BREAK SPACE}", " "))


def _write(out: Path, text: str) -> None:
    """Write a file as a whole or not at all, for its owner to read."""
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=out.parent, prefix=f".{out.name}-", delete=False) as file:
            made = Path(file.name)
            try:
                file.write(text)
                file.close()
                made.replace(out)
            except BaseException:
                with suppress(OSError):
                    made.unlink()
                raise
    except OSError as error:
        raise ReportError(f"{out} cannot be written: {os.strerror(error.errno or 0)}") from None
