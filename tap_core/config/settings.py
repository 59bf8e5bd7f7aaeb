"""The settings that all taps have, and how settings are checked.

Checks name the setting and the way out, never the value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema
from singer_sdk import typing as th

from tap_core.config.redact import secret_values
from tap_core.errors import ConfigError
from tap_core.http.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["check_config", "common_settings", "config_schema", "instant", "is_path"]


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


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check settings against their schema.

    Raises:
        ConfigError: One line for the first setting that is missing, unknown, misspelt or of the wrong type.
    """
    known = schema["properties"]
    for name in config:
        if name not in known:
            raise ConfigError(f"unknown setting {name!r}; {_nearest(name, known)}")
    for name in schema.get("required", ()):
        if config.get(name) in (None, ""):
            raise ConfigError(
                f"setting {name!r} is missing; put it into the config file, or into the environment (--config ENV)"
            )
    # The SDK's schema of stream maps is faulty itself; `tap_core.config.catalog` checks them.
    given = {name: value for name, value in config.items() if value is not None and name != "stream_maps"}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(given))
    if error is not None:
        raise ConfigError(f"setting {_place(error)!r} {_complaint(error)}")
    for name, member in known.items():
        if name != "password":
            _check_blanks(name, secret_values(config.get(name), member))
    if config.get("flattening_enabled") and (config.get("flattening_max_depth") or -1) < 0:
        raise ConfigError("setting 'flattening_max_depth' must be 0 or more, because flattening_enabled is true")
    _check_blanks("api_url", [str(config.get("api_url") or "")])
    _check_url(str(config.get("api_url") or ""))


def _nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is not known."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "--about lists the settings"


def _place(error: jsonschema.ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "config"


def _complaint(error: jsonschema.ValidationError) -> str:
    expected: Any = error.validator_value
    if error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        expected = " or ".join(kind for kind in kinds if kind != "null")
    elif error.validator == "additionalProperties":
        schema: Any = error.schema
        given: Any = error.instance
        known = schema.get("properties", {})
        name = next(name for name in given if name not in known)
        return f"has no member {name!r}; {_nearest(name, known)}"
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


def is_path(text: str, *, placeholders: Collection[str] = (), query: bool = False) -> bool:
    """Whether a text can stand behind ``api_url``: a path that begins with a slash.

    Args:
        text: What a setting says.
        placeholders: What it must hold in braces, such as ``id`` for ``/customer/{id}``; other braces are refused.
        query: A query is allowed.
    """
    for name in placeholders:
        before, found, behind = text.partition(f"{{{name}}}")
        if not found:
            return False
        text = before + behind
    return (_PATH_WITH_QUERY if query else _PATH).fullmatch(text) is not None


_PATH = re.compile(r"/[^\s{}?#]*")
_PATH_WITH_QUERY = re.compile(r"/[^\s{}#]*")


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
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
