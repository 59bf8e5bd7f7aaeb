"""Command line: ``python -m examples.fleet``."""

from __future__ import annotations

import math
import sys
import tomllib
from pathlib import Path

import click

from examples.fleet.accounts import DAY_MIN, Fleet, ListError, hours, read_fleet
from examples.fleet.manifests import manifests
from examples.fleet.night import Trouble, simulate
from examples.fleet.report import Costs, cost_lines, night_lines, plan_lines, room_lines
from examples.fleet.sample import sample
from examples.fleet.timetable import timetable

_MEASURED = Path(__file__).parent / "measured.toml"
_LIST = click.argument("path", type=click.Path(path_type=Path), metavar="LIST")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Many accounts every night on Kubernetes, from one list of them."""


@main.command()
@_LIST
def plan(path: Path) -> None:
    """Say when the runs begin and end, and what is used up first."""
    fleet = read_fleet(path)
    runs = timetable(fleet)
    click.echo("\n".join([*plan_lines(fleet, runs), *room_lines(fleet, runs)]))


@main.command()
@_LIST
@click.option("--output", type=click.Path(path_type=Path), help="A file instead of standard output.")
def write(path: Path, output: Path | None) -> None:
    """Write a volume and a CronJob for each account, as YAML."""
    fleet = read_fleet(path)
    text = manifests(fleet, timetable(fleet))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        _replace(output, text)
    except OSError as error:
        raise ListError(f"{output}: {error.strerror}") from None


@main.command()
@_LIST
@click.option("--down", multiple=True, metavar="VENDOR[=FROM-UNTIL]", help="One that fails: peek, peek=22:00-23:30.")
@click.option("--throttle", multiple=True, metavar="VENDOR=SHARE", help="One with less of its budget: peek=0.5.")
@click.option("--pod-hour", type=float, metavar="PRICE", help="What an hour of one pod costs, in whatever currency.")
def night(path: Path, down: tuple[str, ...], throttle: tuple[str, ...], pod_hour: float | None) -> None:
    """Simulate a night, call by call."""
    fleet = read_fleet(path)
    runs = timetable(fleet)
    troubles = [*(_down(told, fleet) for told in down), *(_throttled(told, fleet) for told in throttle)]
    outcomes = simulate(runs, troubles)
    measured = {
        vendor: Costs(**figures) for vendor, figures in tomllib.loads(_MEASURED.read_text(encoding="utf-8")).items()
    }
    lines = [*night_lines(fleet.cluster, outcomes), "", *cost_lines(outcomes, measured, pod_hour)]
    click.echo("\n".join(lines))


@main.command("sample")
@click.option("--operators", type=click.IntRange(min=1), default=1000, show_default=True, help="Accounts at Peek.")
def sample_list(operators: int) -> None:
    """Print a list to try things with."""
    click.echo(sample(operators), nl=False)


def _down(told: str, fleet: Fleet) -> Trouble:
    name, _, span = told.partition("=")
    vendor = _vendor(name, fleet, "--down")
    if not span:
        return Trouble(vendor, 0, 0, math.inf)
    begins, minutes = hours(span)
    minute = (begins - fleet.cluster.opens) % DAY_MIN
    return Trouble(vendor, 0, minute, minute + minutes)


def _throttled(told: str, fleet: Fleet) -> Trouble:
    vendor, _, share = told.partition("=")
    try:
        number = float(share)
    except ValueError:
        number = 0
    if not 0 < number <= 1:
        raise ListError(f"--throttle {told}: takes a vendor and a share of its budget, such as {vendor}=0.5")
    return Trouble(_vendor(vendor, fleet, "--throttle"), number, 0, math.inf)


def _vendor(name: str, fleet: Fleet, option: str) -> str:
    if name not in (vendors := sorted({account.vendor for account in fleet.accounts})):
        raise ListError(f"{option}: no account of the list is at {name!r}; there are {', '.join(vendors)}")
    return name


def _replace(path: Path, text: str) -> None:
    """The old file stays until the new one is whole."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main()
    except ListError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
