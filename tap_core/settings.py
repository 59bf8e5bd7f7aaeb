"""The settings that all taps have, and how settings are read and checked.

Checks name the setting and the way out, never the value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema
import pendulum
from dotenv import dotenv_values, find_dotenv
from singer_sdk import typing as th

from tap_core.errors import ConfigError
from tap_core.redact import secret_values
from tap_core.transport import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["check_config", "common_settings", "config_schema", "instant", "read_environment", "warn_if_exposed"]


def common_settings(*, api_url: str | None, page_size: int | None) -> th.PropertiesList:
    """The settings of every tap.

    Args:
        api_url: The vendor's address, or None where it is unknown and must be given.
        page_size: Records per page to ask for, or None for an API without pages.
    """
    pages = (
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=page_size,
            title="Page size",
            description="Records per page to ask for. The server may send fewer.",
        ),
    )
    return th.PropertiesList(
        th.Property(
            "api_url",
            th.StringType,
            required=api_url is None,
            default=api_url,
            title="API URL",
            description="Base address of the API; https, except on this machine (loopback).",
        ),
        th.Property(
            "start_date",
            th.StringType,
            title="Start date",
            description="Where reading begins without a bookmark: a date (2024-01-01) or a time with a zone "
            "(2024-01-01T00:00:00Z). Without it, everything is read.",
        ),
        th.Property(
            "end_date",
            th.StringType,
            title="End date",
            description="Where reading ends, exclusive; a date or a time with a zone. Without it, now.",
        ),
        th.Property(
            "concurrency",
            th.IntegerType(minimum=1, maximum=64),
            default=4,
            title="Concurrency",
            description="Requests in flight at most. Records, their order and the state do not depend on it.",
        ),
        *(pages if page_size is not None else ()),
        th.Property(
            "connect_timeout_s",
            th.NumberType(exclusive_minimum=0),
            default=10,
            title="Connect timeout",
            description="Seconds until a connection must stand.",
        ),
        th.Property(
            "read_timeout_s",
            th.NumberType(exclusive_minimum=0),
            default=60,
            title="Read timeout",
            description="Seconds that the server may be silent in the middle of an answer.",
        ),
        th.Property(
            "retry_max_s",
            th.NumberType(minimum=0),
            default=900,
            title="Retry limit",
            description="Seconds that failed tries of one call may cost in all, before its stream fails.",
        ),
        th.Property(
            "max_rate_limit_wait_s",
            th.NumberType(minimum=0),
            default=3660,
            title="Rate limit wait",
            description="The longest wait, in seconds, that the API may ask for; more fails the stream.",
        ),
        th.Property(
            "requests_per_second",
            th.NumberType(exclusive_minimum=0),
            title="Requests per second",
            description="Pace of all requests together. Without it, only the API sets the pace.",
        ),
        th.Property(
            "lookback_days",
            th.NumberType(minimum=0, maximum=36_500),
            default=0,
            title="Lookback",
            description="Days before the bookmark that incremental streams read again, for late changes.",
        ),
        th.Property(
            "unknown_fields",
            th.StringType(allowed_values=["keep", "warn", "fail"]),
            default="keep",
            title="Unknown fields",
            description="Fields and types that a schema does not know: keep them in the column _extra, warn and drop "
            "them, or fail the stream.",
        ),
        th.Property(
            "pii",
            th.StringType(allowed_values=["keep", "drop", "hash"]),
            default="keep",
            title="Personal data",
            description="Fields marked x-pii: keep, drop, or hash (HMAC-SHA256 with pii_key). Keys are hashed, never "
            "dropped.",
        ),
        th.Property(
            "pii_key",
            th.StringType,
            secret=True,
            title="Key of the hash",
            description="Secret key for pii: hash. The same key gives the same hashes.",
        ),
        th.Property(
            "drop_fields",
            th.ArrayType(th.StringType),
            default=[],
            title="Dropped fields",
            description="Names of fields that are left out wherever they stand.",
        ),
        th.Property(
            "mask_secrets",
            th.BooleanType,
            default=True,
            title="Mask secrets",
            description="Replace secrets inside the data, such as a gateway's settings, by ***.",
        ),
        th.Property(
            "enable_streams",
            th.ArrayType(th.StringType),
            default=[],
            title="Enabled streams",
            description="Streams to read although they are off by default.",
        ),
        th.Property(
            "client_filter",
            th.BooleanType,
            title="Client filter",
            description="Leave out records that are older than the bookmark. By default only streams in which nothing "
            "can be missed do so.",
        ),
        th.Property(
            "user_agent",
            th.StringType,
            title="User agent",
            description="What the tap calls itself to the API; name and version by default.",
        ),
        th.Property(
            "emit_activate_version_messages",
            th.BooleanType,
            default=True,
            title="Activate versions",
            description="After a complete snapshot of a FULL_TABLE stream, let the target remove rows that are gone.",
        ),
    )


def config_schema(*own: th.Property[Any], api_url: str | None, page_size: int | None = None) -> dict[str, Any]:
    """The JSON schema of a tap's settings: its own first, then the common ones. Unknown settings are refused."""
    taken = {setting.name for setting in own}
    common = [setting for _, setting in common_settings(api_url=api_url, page_size=page_size).items()]
    properties = th.PropertiesList(*own, *(setting for setting in common if setting.name not in taken))
    return {**properties.to_dict(), "additionalProperties": False}


def read_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Settings from environment variables and a ``.env`` file; variables win.

    Args:
        schema: The settings' JSON schema.
        prefix: What the variables' names begin with, such as ``TAP_EXAMPLE_``.

    Raises:
        ConfigError: A variable's text is not of the setting's type.
    """
    variables = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ}
    found: dict[str, Any] = {}
    for name, member in schema["properties"].items():
        variable = prefix + name.upper()
        text = variables.get(variable)
        if text is None or text == "":
            continue
        try:
            found[name] = _typed(text, _kinds(member))
        except ValueError:
            expected = " or ".join(sorted(_kinds(member)))
            raise ConfigError(f"environment variable {variable} must hold: {expected}") from None
    return found


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", "string")
    return {kinds} - {"null"} if isinstance(kinds, str) else set(kinds) - {"null"}


def _typed(text: str, kinds: set[str]) -> Any:
    if "integer" in kinds:
        return int(text)
    if "number" in kinds:
        return _finite(text)
    if "boolean" in kinds:
        truths = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if text.lower() not in truths:
            raise ValueError
        return truths[text.lower()]
    if kinds & {"array", "object"}:
        if text.lstrip()[:1] in {"[", "{"}:
            return json.loads(text, parse_constant=_finite)
        if "array" in kinds and "string" not in kinds:
            return [part.strip() for part in text.split(",")]
        if "string" not in kinds:
            raise ValueError
    return text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check settings against their schema.

    Raises:
        ConfigError: One line for the first setting that is missing, unknown, misspelt or of the wrong type.
    """
    known = schema["properties"]
    for name in config:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "--about lists the settings"
            raise ConfigError(f"unknown setting {name!r}; {hint}")
    for name in schema.get("required", ()):
        if config.get(name) in (None, ""):
            raise ConfigError(
                f"setting {name!r} is missing; put it into the config file, or into the environment (--config ENV)"
            )
    given = {name: value for name, value in config.items() if value is not None}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(given))
    if error is not None:
        raise ConfigError(f"setting {_place(error)!r} {_complaint(error)}")
    for name, member in known.items():
        if name != "password":
            _check_blanks(name, secret_values(config.get(name), member))
    _check_blanks("api_url", [str(config.get("api_url") or "")])
    _check_url(str(config.get("api_url") or ""))


def _place(error: jsonschema.ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "config"


def _complaint(error: jsonschema.ValidationError) -> str:
    expected: Any = error.validator_value
    if error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        expected = " or ".join(kind for kind in kinds if kind != "null")
    elif error.validator == "enum":
        expected = ", ".join(str(value) for value in expected if value is not None)
    complaint = _COMPLAINTS.get(str(error.validator), "is not as --about describes it")
    return complaint.format(expected=expected)


_COMPLAINTS = {
    "type": "must be of type {expected}",
    "enum": "must be one of {expected}",
    "minimum": "must be {expected} or more",
    "maximum": "must be {expected} or less",
    "exclusiveMinimum": "must be above {expected}",
    "maxLength": "must have at most {expected} characters",
    "required": "lacks one of its members: {expected}",
    "additionalProperties": "has a member that is not known; --about lists the settings",
}


def _check_blanks(name: str, texts: Iterable[str]) -> None:
    if any(letter.isspace() for text in texts for letter in text):
        raise ConfigError(f"setting {name!r} contains blanks or line breaks; copy it again without them")


def _check_url(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError("setting 'api_url' must be an address such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("setting 'api_url' must not hold credentials, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("setting 'api_url' must be https; plain http is for this machine (loopback) only")


def instant(name: str, value: Any, *, now: datetime | None = None) -> datetime | None:
    """The value of a setting that is a date or a time with a zone.

    Args:
        name: The setting.
        value: Its value; None if it is not set.
        now: If given, the value must not be later.

    Raises:
        ConfigError: It is neither, or lies in the future.
    """
    if value is None or value == "":
        return None
    moment = _moment(str(value))
    if moment is None:
        raise ConfigError(f"setting {name!r} is not a date; write it like 2024-01-01 or 2024-01-01T00:00:00Z")
    if moment.tzinfo is None:
        raise ConfigError(f"setting {name!r} has no time zone; write it like 2024-01-01T00:00:00Z")
    if now is not None and moment > now:
        raise ConfigError(f"setting {name!r} lies in the future")
    return moment


def _moment(text: str) -> datetime | None:
    """The moment of a text, naive if that has no zone; None if it is no date or lies outside of the calendar."""
    try:
        found = pendulum.parse(text, exact=True, tz=None) if text[:1].isdecimal() else None
        if isinstance(found, pendulum.DateTime):
            naive = datetime(*found.timetuple()[:6], found.microsecond)  # noqa: DTZ001  a wall clock, so far
            offset = found.utcoffset()
            return naive if offset is None else (naive - offset).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return datetime(found.year, found.month, found.day, tzinfo=UTC) if isinstance(found, pendulum.Date) else None


def read_config_files(paths: Iterable[str]) -> dict[str, Any]:
    """Settings from JSON files; later files win.

    Raises:
        ConfigError: A file cannot be read, or is not a JSON object.
    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8-sig"), parse_constant=_finite)
        except OSError as error:
            raise ConfigError(f"config file {path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise ConfigError(f"config file {path} is not valid JSON") from None
        if not isinstance(found, dict):
            raise ConfigError(f"config file {path} must hold a JSON object")
        config |= found
    return config


def warn_if_exposed(path: str, secrets: Iterable[str]) -> str | None:
    """A warning if others on this machine can read a config file with secrets in it."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return None
    if mode & 0o077 and any(secrets):
        return f"config file {path} holds secrets and others can read it; chmod 600 it, or write it under umask 077"
    return None
