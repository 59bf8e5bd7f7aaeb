"""The list of accounts, checked before anything is made of it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tap_core.config.redact import holds_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema.exceptions import ValidationError

__all__ = ["DAY_MIN", "Account", "Budget", "Cluster", "Fleet", "ListError", "hours", "read_fleet"]

DAY_MIN: Final = 24 * 60
"""Minutes of a day."""

_BIN: Final = Path(sys.executable).parent
_OF_THE_ACCOUNT: Final = {"path", "schema", "state_id"}
"""Settings of the loader that each account has for itself."""

_TIMES: Final = r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)"
_PASSWORD: Final = re.compile(r"://[^/@\s]*@")
_NAME: Final = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "maxLength": 30,
    "description": "takes lower-case letters, digits and hyphens, 30 characters at most",
}
_COUNT: Final = {"type": "integer", "minimum": 1, "description": "takes a whole number from 1 on"}
_SECONDS: Final = {"type": "number", "exclusiveMinimum": 0, "description": "takes a number of seconds"}
_SETTINGS: Final = {"type": "object", "description": "takes a table of settings"}
_NIGHT: Final = {
    "calls": _COUNT,
    "rows": _COUNT,
    "seconds_per_call": _SECONDS,
    "budget": _NAME,
    "settings": _SETTINGS,
}
"""What may be said of all accounts of a vendor, and of one."""

_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "cluster": {
            "type": "object",
            "properties": {
                "hours": {
                    "type": "string",
                    "pattern": f"^{_TIMES}$",
                    "description": "takes two times in UTC, such as 20:00-08:00",
                },
                "pods": _COUNT,
                "lake_secret": {"type": "string", "minLength": 1, "description": "takes the name of a Secret"},
                "image": {"type": "string", "minLength": 1, "description": "takes the name of an image"},
                "storage": {"type": "string", "pattern": "^[0-9]+[KMGT]i$", "description": "takes a size such as 1Gi"},
            },
            "required": ["hours", "pods"],
            "additionalProperties": False,
        },
        "loader": _SETTINGS,
        "budgets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "calls": _COUNT,
                    "period_s": _SECONDS,
                    "shared": {"type": "boolean", "description": "takes true or false"},
                },
                "required": ["calls", "period_s"],
                "additionalProperties": False,
            },
        },
        "vendors": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": _NIGHT, "additionalProperties": False},
        },
        "accounts": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "vendor": {"type": "string", "description": "takes the name of a vendor"},
                    "name": _NAME,
                    "secret": {
                        "type": "string",
                        "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
                        "maxLength": 253,
                        "description": "takes the name of a Secret of Kubernetes, never the secret itself",
                    },
                    **_NIGHT,
                },
                "required": ["vendor", "name", "secret"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["cluster", "accounts"],
    "additionalProperties": False,
}


class ListError(Exception):
    """The list cannot be used; the message is one line that names the place and the way out."""


@dataclass(frozen=True)
class Budget:
    """How many calls an API takes.

    Args:
        name: The accounts that name it draw from it.
        calls: This many…
        period_s: … in this many seconds.
        shared: Whether all its accounts together have that many, or each of them.
    """

    name: str
    calls: int
    period_s: float
    shared: bool

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.period_s


@dataclass(frozen=True)
class Account:
    """One account of one vendor, which is one run a night.

    Args:
        vendor: The vendor.
        name: The name of the account, unique among those of the vendor.
        secret: The Secret of Kubernetes with an entry for each secret setting of the tap.
        budget: Where its calls come from.
        calls: How many calls a night takes: what ``--plan=json`` of the tap says.
        rows: How many rows a night reads; 0 if nobody has said.
        seconds_per_call: How long the API takes to answer one.
        settings: Settings of the tap; none of them is secret.
    """

    vendor: str
    name: str
    secret: str
    budget: Budget
    calls: int
    rows: int
    seconds_per_call: float
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """How messages and tables name it."""
        return f"{self.vendor}/{self.name}"

    @property
    def between_s(self) -> float:
        """Seconds between two calls, as far as neither a budget nor a fault delays them."""
        in_flight: float = self.settings.get("concurrency", 4)
        pace: float = self.settings.get("requests_per_second", math.inf)
        return max(self.seconds_per_call / in_flight, 1 / pace)


@dataclass(frozen=True)
class Cluster:
    """Where and when the fleet runs.

    Args:
        opens: The minute of the day, in UTC, from which on runs begin.
        minutes: How long the night is; by its end, all runs have ended.
        pods: How many runs there may be at once.
        image: The image of the taps; None for that of ``examples/kubernetes``.
        storage: The size of the volume of each account.
        lake_secret: The Secret whose entries are variables for the loader, such as ``AWS_ACCESS_KEY_ID``.
    """

    opens: int
    minutes: int
    pods: int
    image: str | None
    storage: str
    lake_secret: str | None


@dataclass(frozen=True)
class Fleet:
    """The whole list.

    Args:
        cluster: Where and when it runs.
        accounts: All accounts, in the order of the list.
        loader: Settings of target-duckhouse, the same for every account.
    """

    cluster: Cluster
    accounts: tuple[Account, ...]
    loader: Mapping[str, Any]


def read_fleet(path: Path) -> Fleet:
    """Read and check a list.

    Raises:
        ListError: It cannot be read, or something in it is wrong.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ListError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ListError(f"{path}: is not TOML: {error}") from None
    try:
        return _fleet(found)
    except ListError as error:
        raise ListError(f"{path.name}: {error}") from None


def hours(text: str) -> tuple[int, int]:
    """The minute of the day at which a span such as ``20:00-08:00`` begins, and its minutes.

    Raises:
        ListError: It is not a span.
    """
    told = re.fullmatch(_TIMES, text)
    if not told:
        raise ListError(f"{text!r} is not two times such as 20:00-08:00")
    begins, ends = int(told[1]) * 60 + int(told[2]), int(told[3]) * 60 + int(told[4])
    return begins, (ends - begins) % DAY_MIN or DAY_MIN


def _fleet(found: dict[str, Any]) -> Fleet:
    if problem := best_match(Draft202012Validator(_FORM).iter_errors(found)):
        raise ListError(_said(problem))
    loader = found.get("loader", {})
    _check_settings("loader", loader, _loader_settings(), "target-duckhouse")
    if own := _OF_THE_ACCOUNT & loader.keys():
        raise ListError(f"loader: {min(own)} is made for each account, from its name; leave it out")
    budgets = {name: _budget(name, told) for name, told in found.get("budgets", {}).items()}
    for vendor in found.get("vendors", {}):
        _known(vendor, f"vendors.{vendor}")
    accounts = tuple(
        _account(place, told, found.get("vendors", {}), budgets) for place, told in enumerate(found["accounts"], 1)
    )
    seen: dict[str, int] = {}
    for place, account in enumerate(accounts, 1):
        if first := seen.get(account.title):
            raise ListError(f"accounts {first} and {place} are both {account.title}; each account is listed once")
        seen[account.title] = place
    return Fleet(_cluster(found["cluster"]), accounts, loader)


def _cluster(told: Mapping[str, Any]) -> Cluster:
    opens, minutes = hours(told["hours"])
    return Cluster(
        opens=opens,
        minutes=minutes,
        pods=told["pods"],
        image=told.get("image"),
        storage=told.get("storage", "1Gi"),
        lake_secret=told.get("lake_secret"),
    )


def _budget(name: str, told: Mapping[str, Any]) -> Budget:
    return Budget(name, told["calls"], told["period_s"], told.get("shared", True))


def _account(
    place: int, told: Mapping[str, Any], vendors: Mapping[str, Mapping[str, Any]], budgets: Mapping[str, Budget]
) -> Account:
    vendor = told["vendor"]
    where = f"account {place} ({vendor}/{told['name']})"
    _known(vendor, where)
    common = vendors.get(vendor, {})
    settings = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in {**common.get("settings", {}), **told.get("settings", {})}.items()
    }
    _check_settings(where, settings, _tap_settings(vendor), f"tap-{vendor}")
    told = {"budget": vendor, "rows": 0, "seconds_per_call": 0.2, **common, **told}
    if told["budget"] not in budgets:
        raise ListError(f"{where}: there is no budget {told['budget']!r}; add [budgets.{told['budget']}]")
    if "calls" not in told:
        raise ListError(f"{where}: calls is missing; `tap-{vendor} --config ENV --plan=json` tells how many there are")
    return Account(
        vendor=vendor,
        name=told["name"],
        secret=told["secret"],
        budget=budgets[told["budget"]],
        calls=told["calls"],
        rows=told["rows"],
        seconds_per_call=told["seconds_per_call"],
        settings=settings,
    )


def _known(vendor: str, where: str) -> None:
    if vendor not in _vendors():
        raise ListError(f"{where}: {vendor!r} is not a vendor; there are {', '.join(_vendors())}")


def _check_settings(where: str, given: Mapping[str, Any], known: Mapping[str, Any], program: str) -> None:
    for name, value in given.items():
        if name not in known:
            raise ListError(f"{where}: {name} is not a setting of {program}")
        if holds_secret(known[name]):
            raise ListError(f"{where}: {name} is secret; put it into a Secret, and name that one in `secret`")
        if isinstance(value, str) and _PASSWORD.search(value):
            raise ListError(
                f"{where}: {name} is an address with a password, which would stand in the manifests; leave it out"
            )
        if not Draft202012Validator(known[name]).is_valid(value):
            raise ListError(f"{where}: {name} has a value that {program} does not take")


def _said(problem: ValidationError) -> str:
    """A mistake in one line, without the value: it may be a secret that somebody has put into the wrong place."""
    where = ""
    for step in problem.absolute_path:
        where = f"account {step + 1}" if isinstance(step, int) else f"{where}{': ' if where else ''}{step}"
    told = problem.message.splitlines()[0]
    if isinstance(problem.schema, dict) and problem.validator not in {"required", "additionalProperties"}:
        told = problem.schema.get("description", told)
    return f"{where or 'the list'}: {told}"


@cache
def _vendors() -> tuple[str, ...]:
    names = {script.name for script in entry_points(group="console_scripts") if script.value.startswith("tap_")}
    return tuple(sorted(name.removeprefix("tap-") for name in names if name.startswith("tap-")))


@cache
def _about(command: str) -> dict[str, Any]:
    done = subprocess.run([_BIN / command, "--about", "--format", "json"], stdout=subprocess.PIPE, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _tap_settings(vendor: str) -> dict[str, Any]:
    settings: dict[str, Any] = _about(f"tap-{vendor}")["settings"]["properties"]
    return settings


def _loader_settings() -> dict[str, Any]:
    return {setting["name"]: setting["schema"] for setting in _about("target-duckhouse")["settings"]}
