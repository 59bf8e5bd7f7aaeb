"""The command line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from merchant_webhooks.check import compare, registered
from merchant_webhooks.errors import WebhooksError
from merchant_webhooks.settings import read_settings

__all__ = ["check", "cli", "run", "serve"]

_WRONG = 6


def _say(line: str) -> None:
    """Tell whoever runs the command; a line that cannot be written, such as to a full disk, ends no work."""
    with suppress(OSError):
        click.echo(f"merchant-webhooks: {line}", err=True)


def run() -> int:
    """Run the command line; returns the exit code."""
    try:
        ended = cli.main(standalone_mode=False)
    except WebhooksError as error:
        _say(str(error))
        return error.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    return ended if isinstance(ended, int) else 0


_CONFIG = click.option(
    "--config", required=True, metavar="FILE", envvar="MERCHANT_WEBHOOKS_CONFIG", show_envvar=True, help="The settings."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="merchant-taps", prog_name="merchant-webhooks", message="%(prog)s v%(version)s")
def cli() -> None:
    """Keep on disk what vendors deliver to their webhooks, for taps to read."""


@cli.command()
@_CONFIG
def serve(config: str) -> None:
    """Receive deliveries until SIGTERM or SIGINT.

    A delivery is answered 200 once it is on disk.
    """
    settings = read_settings(config, _say)
    try:
        from merchant_webhooks.server import serve as receive  # noqa: PLC0415 - its libraries may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("merchant_webhooks"):
            raise
        raise WebhooksError(f"{error.name} is missing: pip install 'merchant-taps[webhooks]'", 1) from None
    receive(settings, Path(settings.spool), say=_say)


@cli.command()
@_CONFIG
@click.argument("taps", nargs=-1, required=True, metavar="VENDOR=FILE...")
def check(config: str, taps: tuple[str, ...]) -> None:
    """Compare what vendors have registered with what is listened to.

    Each VENDOR=FILE names the settings of a tap, such as peek=tap-peek.json; its stream webhooks is read. The exit code
    is 6 if something is not as it should be.
    """
    settings = read_settings(config, _say)
    lists = {}
    for each in taps:
        vendor, separator, file = each.partition("=")
        if not (vendor and separator and file):
            raise WebhooksError("give the settings of taps as VENDOR=FILE, such as peek=tap-peek.json")
        lists[vendor] = registered(vendor, Path(file))
    findings = list(compare(settings, lists))
    for _, line in findings:
        click.echo(line)
    if not all(good for good, _ in findings):
        raise click.exceptions.Exit(_WRONG)
