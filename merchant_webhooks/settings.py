"""The settings of the receiver: a JSON file that only its user can read, because it holds secrets."""

from __future__ import annotations

import re
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from merchant_webhooks.errors import WebhooksError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Endpoint", "Header", "Settings", "read_settings"]

_NAME = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.\-]{1,64}$", description="letters, digits, `_`, `.` and `-`")]
_KEY = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{32,256}$", description="at least 32 letters, digits, `_` and `-`")]
_HEADER = Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-]{1,64}$", description="letters, digits and `-`")]
_SECRET = Annotated[str, Meta(pattern=r"^[!-~]{16,1024}$", description="at least 16 visible ASCII characters")]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A header that each delivery must carry.

    Args:
        name: Its name.
        value: Its value, a secret.
    """

    name: _HEADER
    value: _SECRET


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one vendor delivers for one account: ``/<vendor>/<account>/<key>``.

    Args:
        vendor: The vendor's name, as in the name of its tap: ``peek`` for tap-peek.
        key: The part of the path that nobody can guess: at least 32 letters, digits, ``_`` and ``-``. While it is being
            changed, an account has two endpoints, one for each key.
        account: Whose deliveries these are: the name of a connection, or ``default`` for a tap with a single key.
        header: A header that each delivery must carry, for vendors or proxies that can send one.
    """

    vendor: _NAME
    key: _KEY
    account: _NAME = "default"
    header: Header | None = None

    @property
    def name(self) -> str:
        """The endpoint without its key, for people."""
        return f"{self.vendor}/{self.account}"

    @property
    def path(self) -> str:
        """The path of the endpoint."""
        return f"/{self.name}/{self.key}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the receiver is told.

    Args:
        endpoints: Where it listens.
        spool: The file that keeps the deliveries, on a local disk. Beside it stand ``-wal`` and ``-shm``.
        host: The address to listen on; a proxy with TLS stands in front of it.
        port: The port; 0 lets the operating system choose.
        public_url: What the proxy's address looks like from outside, for `check` and for what is registered.
        max_body_bytes: The longest body that is accepted.
        max_spool_bytes: How large the spool may become; after that, deliveries are refused with 503.
        max_age_days: Deliveries older than this are removed, whether they have been read or not.
        body_timeout_s: Seconds that a body may take to arrive.
    """

    endpoints: Annotated[list[Endpoint], Meta(min_length=1)]
    spool: Annotated[str, Meta(min_length=1)]
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8787
    public_url: str | None = None
    max_body_bytes: Annotated[int, Meta(ge=1)] = 1 << 20
    max_spool_bytes: Annotated[int, Meta(ge=1 << 20)] = 10 << 30
    max_age_days: Annotated[float, Meta(gt=0, le=36_500)] = 30.0
    body_timeout_s: Annotated[float, Meta(gt=0)] = 30.0


def read_settings(path: str, warn: Callable[[str], None]) -> Settings:
    """The settings in a file.

    Args:
        path: The file.
        warn: Called with a line if others can read it.

    Raises:
        WebhooksError: It cannot be read, or a setting is missing, unknown or impossible.
    """
    file = Path(path)
    try:
        text, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise WebhooksError(f"the settings cannot be read: --config: {error.strerror}") from None
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        warn("other users can read the settings, which hold secrets: chmod 600 on the file of --config")
    try:
        settings = msgspec.json.decode(text, type=Settings)
    except msgspec.ValidationError as error:
        raise WebhooksError(_complaint(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WebhooksError("the file of --config is not JSON") from None
    _check(settings)
    return settings


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
_RULES: Final[dict[str, Any]] = {"vendor": _NAME, "account": _NAME, "key": _KEY, "name": _HEADER, "value": _SECRET}


def _complaint(message: str) -> str:
    """What msgspec complains of, as a line that names the setting; its messages repeat no values."""
    found = _PLACE.match(message)
    what, where = (found["what"], found["where"] or "") if found else (message, "")
    named = re.search(r"`(\w+)`$", what)
    if named and "unknown field" in what:
        return f"unknown setting '{f'{where}.{named[1]}'.lstrip('.')}'"
    if named and "missing" in what:
        return f"setting '{f'{where}.{named[1]}'.lstrip('.')}' is missing"
    last = where.rpartition(".")[2]
    if "matching regex" in what and last in _RULES:
        return f"setting '{where}' must consist of {_RULES[last].__metadata__[0].description}"
    return f"setting '{where}': {what[:1].lower()}{what[1:]}" if where else f"the file of --config: {what.lower()}"


def _check(settings: Settings) -> None:
    for key, times in Counter(endpoint.key for endpoint in settings.endpoints).items():
        if times > 1:
            names = ", ".join(endpoint.name for endpoint in settings.endpoints if endpoint.key == key)
            raise WebhooksError(f"setting 'endpoints': {names} have the same key; whoever knows one knows all")
    if settings.public_url is not None and not _is_public(settings.public_url):
        raise WebhooksError("setting 'public_url' must be an address such as https://hooks.example.com")


def _is_public(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        return False
