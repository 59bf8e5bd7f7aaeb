"""The command ``merchant-sandbox``."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from typing_extensions import override

from merchant_sandbox.client import Sandbox, World
from merchant_sandbox.environment import tap_environment
from merchant_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_DESCRIPTION = "Emulates the APIs that the taps read, on your own machine."
_RUN_EPILOG = """\
The command's environment has MERCHANT_SANDBOX_URL, MERCHANT_CLOCK and, as TAP_<NAME>_<SETTING>, the address and
the credentials of every vendor (TAP_PEAKIUM_API_URL, TAP_PEAKIUM_API_KEY ...). Its exit code is passed on.

  merchant-sandbox run -- meltano run tap-peakium target-duckhouse
  merchant-sandbox run --ticks 3 -- tap-peakium --config ENV
"""
_VALUE = re.compile(
    r"(invalid choice|invalid \w+ value|unrecognized arguments|ambiguous option): .*?(?= \(choose|$)", re.DOTALL
)
"""Where argparse repeats what it was given."""
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALLED = 128
_NOT_FOUND = 127


class _Parser(argparse.ArgumentParser):
    """Complains without repeating a value, which may be a secret that was put in the wrong place."""

    @override
    def error(self, message: str) -> NoReturn:
        super().error(_VALUE.sub(r"\1", message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options, command = _parse(list(sys.argv[1:] if arguments is None else arguments))
    try:
        match options.action:
            case "serve":
                return _serve(options)
            case "tick":
                return _tick(options)
            case "deliver":
                return _deliver(options)
            case _:
                return _run(options, command)
    except SandboxError as error:
        print(f"merchant-sandbox: {error}", file=sys.stderr)  # noqa: T201 - a command prints
        return 1
    except KeyboardInterrupt:
        return _SIGNALLED + signal.SIGINT


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    command: list[str] = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, command = arguments[:cut], arguments[cut + 1 :]
    world = _Parser(add_help=False)
    world.add_argument(
        "--size",
        choices=("demo", "small", "medium", "large"),
        default="small",
        help="rows per vendor: thousands, with everyday amounts (demo) or odd ones, too (small); 100,000; a million",
    )
    world.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the data (default 1)")
    world.add_argument(
        "--ticks", type=int, default=0, metavar="N", help="days of changes on top of the base data (default 0)"
    )
    world.add_argument(
        "--clock-rate", type=float, default=1.0, metavar="R", help="virtual seconds per real second (default 1)"
    )
    world.add_argument(
        "--clock-start",
        type=_time,
        metavar="TIME",
        help="when the clock starts, in UTC (default 2026-03-01); never before the data ends",
    )
    world.add_argument(
        "--switch",
        action="append",
        type=_switch,
        default=[],
        metavar="VENDOR.NAME=VALUE",
        help="set a vendor's switch, such as premiumpay.rate_limit=1000 (repeatable)",
    )
    parser = _Parser("merchant-sandbox", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s v{version('merchant-taps')}")
    actions = parser.add_subparsers(dest="action", required=True, metavar="serve | run | tick | deliver")
    serve = actions.add_parser(
        "serve", parents=[world], help="serve until interrupted; prints one JSON line when ready"
    )
    serve.add_argument("--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1 (default: any free port)")
    serve.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain in PEM; serves https")
    serve.add_argument("--tls-key", metavar="FILE", help="private key of the certificate, in PEM")
    run = actions.add_parser(
        "run",
        parents=[world],
        usage="merchant-sandbox run [options] -- COMMAND [ARGUMENT ...]",
        help="start a sandbox on a free port, run a command against it, and stop",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    running = _Parser(add_help=False)
    running.add_argument(
        "--url",
        default=os.environ.get("MERCHANT_SANDBOX_URL"),
        help="URL of the sandbox (default: $MERCHANT_SANDBOX_URL)",
    )
    running.add_argument("--world", default="default", metavar="NAME", help="name of the world (default: default)")
    tick = actions.add_parser(
        "tick", parents=[running], help="move a running sandbox's data on by a day: add, change and delete records"
    )
    tick.add_argument("-n", type=int, default=1, metavar="N", help="number of days (default 1)")
    delivery = actions.add_parser(
        "deliver", parents=[running], help="deliver to webhooks what has happened on the last day of the story"
    )
    delivery.add_argument("vendor", help="whose deliveries, such as peek")
    delivery.add_argument(
        "to", nargs="+", type=_receiver, metavar="ACCOUNT=URL", help="the receiver of an account's deliveries"
    )
    delivery.add_argument("--forged", type=float, default=0.0, metavar="SHARE", help="share of forgeries (default 0)")
    delivery.add_argument("--tries", type=int, default=24, metavar="N", help="tries of a delivery (default 24)")
    delivery.add_argument("--pause", type=float, default=0.1, metavar="S", help="seconds between tries (default 0.1)")
    options = parser.parse_args(arguments)
    if options.action == "run" and not command:
        run.error("there is no command to run: merchant-sandbox run -- COMMAND")
    if options.action != "run" and command:
        parser.error(f"{options.action} does not take a command")
    if options.action == "serve" and bool(options.tls_cert) != bool(options.tls_key):
        serve.error("--tls-cert and --tls-key must be given together")
    return options, command


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError("not a port")
    return port


def _receiver(text: str) -> tuple[str, str]:
    account, separator, url = text.partition("=")
    if not (account and separator and url.startswith(("http://", "https://"))):
        raise argparse.ArgumentTypeError("not of the form ACCOUNT=URL")
    return account, url


def _switch(text: str) -> tuple[str, str, Any]:
    place, separator, value = text.partition("=")
    vendor, _, name = place.partition(".")
    if not (vendor and name and separator):
        raise argparse.ArgumentTypeError("not of the form VENDOR.NAME=VALUE")
    try:
        return vendor, name, json.loads(value)
    except ValueError:
        return vendor, name, value


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a time such as 2026-02-01 or 2026-02-01T12:00:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _serve(options: argparse.Namespace) -> int:
    try:
        from merchant_sandbox.serving import serve_worlds  # noqa: PLC0415 - slow to import and not needed elsewhere
    except ModuleNotFoundError as error:
        raise SandboxError(f"{error.name} is missing; in a clone of the project: pip install '.[sandbox]'") from error

    if options.until_eof:
        threading.Thread(target=_end_at_eof, daemon=True).start()
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    serve_worlds(options.port, tls, say=partial(print, flush=True), **_world_arguments(options))
    return 0


def _end_at_eof() -> None:
    while os.read(0, 4_096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _world(options: argparse.Namespace) -> World:
    if not options.url:
        raise SandboxError(
            "there is no sandbox to reach: give --url http://127.0.0.1:PORT, or set MERCHANT_SANDBOX_URL"
        )
    return World(Sandbox(options.url), options.world)


def _deliver(options: argparse.Namespace) -> int:
    habits = {"forged": options.forged, "tries": options.tries, "pause_s": options.pause}
    done = _world(options).deliver(options.vendor, dict(options.to), **habits)
    answered = {account: len(bodies) for account, bodies in done.answered.items()}
    print(json.dumps({"answered": answered, "forged": done.forged, "given_up": done.given_up}))  # noqa: T201 - a command prints
    return 1 if done.given_up else 0


def _tick(options: argparse.Namespace) -> int:
    world = _world(options)
    world.tick(options.n)
    print(json.dumps(world.describe()))  # noqa: T201 - a command prints
    return 0


def _run(options: argparse.Namespace, command: list[str]) -> int:
    for number in _FORWARDED:
        signal.signal(number, lambda received, _: sys.exit(_SIGNALLED + received))
    with Sandbox() as sandbox:
        world = sandbox.world("default", **_world_arguments(options))
        environment = {**os.environ, "MERCHANT_SANDBOX_URL": sandbox.url, "MERCHANT_CLOCK": world.clock()}
        for vendor in sandbox.vendors():
            environment |= tap_environment(vendor, world.config(vendor))
        try:
            process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own command
        except OSError as error:
            print(f"merchant-sandbox: cannot run the command behind --: {error.strerror}", file=sys.stderr)  # noqa: T201 - a command prints
            return _NOT_FOUND
        for number in _FORWARDED:
            signal.signal(number, partial(_forward, process))
        code = process.wait()
    return _SIGNALLED - code if code < 0 else code


def _forward(process: subprocess.Popen[bytes], number: int, _: object) -> None:
    """Pass a signal on; Ctrl-C at a terminal has already reached the command."""
    if number != signal.SIGINT or not sys.stdin.isatty():
        process.send_signal(number)


def _world_arguments(options: argparse.Namespace) -> dict[str, Any]:
    names = ("seed", "size", "ticks", "clock_rate", "clock_start")
    switches: dict[str, dict[str, Any]] = {}
    for vendor, name, value in options.switch:
        switches.setdefault(vendor, {})[name] = value
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return {**given, "switches": switches}
