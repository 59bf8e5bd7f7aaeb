"""How settings are checked.

A complaint names the setting and the way out, never the value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema

from tap_core.config.redact import secret_values
from tap_core.errors import ConfigError
from tap_core.http.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["check_config", "did_you_mean", "instant", "is_path"]

_LONGEST_NAME = 100
"""Of a setting that is unknown, for it may be anything."""


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check settings against their schema.

    Raises:
        ConfigError: One line for the first setting that is missing, unknown, misspelt or of the wrong type.
    """
    known = schema["properties"]
    for name, value in config.items():
        if name not in known:
            raise ConfigError(f"unknown setting {name[:_LONGEST_NAME]!r}{_nearest(name, known)}")
        if not _is_encodable(value):
            raise ConfigError(f"setting {name!r} holds bytes that are not UTF-8 text")
    for name in schema.get("required", ()):
        if config.get(name) in (None, ""):
            raise ConfigError(
                f"setting {name!r} is missing; put it in the config file or in the environment (--config ENV)"
            )
    # The SDK's schema of stream maps is faulty itself; `tap_core.config.catalog` checks them.
    given = {name: value for name, value in config.items() if value is not None and name != "stream_maps"}
    single = {word: value for word, value in schema.items() if word != "oneOf"}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(single).iter_errors(given))
    if error is not None:
        raise ConfigError(f"setting {_place(error)!r} {_complaint(error)}")
    _check_alternatives(config, [branch["required"][0] for branch in schema.get("oneOf", ())])
    for name, member in known.items():
        if name != "password":
            _check_blanks(name, secret_values(config.get(name), member))
    depth = config.get("flattening_max_depth")
    if config.get("flattening_enabled") and (depth is None or depth < 0):
        raise ConfigError("setting 'flattening_max_depth' must be 0 or more, because flattening_enabled is true")
    _check_blanks("api_url", [str(config.get("api_url") or "")])
    _check_url(str(config.get("api_url") or ""))


def _check_alternatives(config: Mapping[str, Any], names: Sequence[str]) -> None:
    """Check that of settings that exclude each other one is set."""
    if names and sum(bool(config.get(name)) for name in names) != 1:
        raise ConfigError(f"set either {' or '.join(map(repr, names))}; exactly one of them is needed")


def _is_encodable(value: Any) -> bool:
    """Whether all texts can be sent; those of an environment may hold bytes that are not UTF-8."""
    match value:
        case str():
            return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
        case dict():
            return all(_is_encodable(part) for member in value.items() for part in member)
        case list():
            return all(map(_is_encodable, value))
    return True


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What an unknown name may have meant, for the end of a line; empty if it is like none that is known."""
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _nearest(name: str, known: Iterable[str]) -> str:
    """What an unknown name may have meant, or where the known ones are."""
    return did_you_mean(name, known) or "; --about lists the settings"


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
        return f"has no member {name!r}{_nearest(name, known)}"
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
    "required": "is missing one of its members: {expected}",
}


def _check_blanks(name: str, texts: Iterable[str]) -> None:
    if any(letter.isspace() for text in texts for letter in text):
        raise ConfigError(f"setting {name!r} contains spaces or line breaks; copy it again without them")


def _check_url(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if url.startswith("/"):
        raise ConfigError(
            "setting 'api_url' has no host: a variable that it is made from is not set; in this project, "
            "--environment=prod reads the vendor's own API, and `merchant-sandbox run -- COMMAND` sets the sandbox's"
        )
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError("setting 'api_url' must be an address such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("setting 'api_url' must not contain credentials, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("setting 'api_url' must be https; plain http is only for this machine (loopback)")


def is_path(text: str, *, placeholders: Collection[str] = (), query: bool = False) -> bool:
    """Whether a text can follow ``api_url``: a path that begins with a slash.

    Args:
        text: What a setting says.
        placeholders: What it must contain in braces, such as ``id`` for ``/customer/{id}``; other braces are refused.
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
        ConfigError: It is neither, or is in the future.
    """
    if value is None or value == "":
        return None
    moment = _moment(str(value))
    if moment is None:
        raise ConfigError(f"setting {name!r} is not a date; write it like 2024-01-01 or 2024-01-01T00:00:00Z")
    if moment.tzinfo is None:
        raise ConfigError(f"setting {name!r} has no time zone; write it like 2024-01-01T00:00:00Z")
    if now is not None and moment > now:
        raise ConfigError(f"setting {name!r} is in the future")
    return moment


def _moment(text: str) -> datetime | None:
    """The moment of a text, naive if that has no zone; None if it is not a date or is outside the calendar."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
