"""What vendors have registered, compared with what is listened to.

The vendor's own list comes from the tap's stream ``webhooks``, read by the tap in a process of its own. Keys are not
shown: neither those of the settings, nor what an address has in their place.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from merchant_webhooks.errors import WebhooksError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from merchant_webhooks.settings import Endpoint, Settings

__all__ = ["Finding", "compare", "registered"]

_STREAM: Final = "webhooks"
_DEFAULT: Final = "default"

Finding = tuple[bool, str]
"""Whether all is well, and what was found, in one line."""


def registered(vendor: str, config: Path) -> dict[str, list[str]]:
    """The addresses that a vendor has registered, by account.

    Args:
        vendor: The vendor.
        config: The settings of its tap.

    Raises:
        WebhooksError: There is no such tap, or it cannot read its stream ``webhooks``.
    """
    beside = Path(sys.executable).with_name(f"tap-{vendor}")
    program = str(beside) if beside.exists() else shutil.which(f"tap-{vendor}")
    if program is None:
        raise WebhooksError(f"tap-{vendor} is not installed here", 1)
    try:
        settings: dict[str, Any] = json.loads(config.read_bytes())
    except (OSError, ValueError):
        raise WebhooksError(f"{vendor}=…: the file of the tap's settings cannot be read as JSON") from None
    account = str(settings.get("webhooks_account") or _DEFAULT)
    with TemporaryDirectory() as folder:
        own, chosen = Path(folder, "config.json"), Path(folder, "catalog.json")
        own.touch(mode=0o600)
        own.write_text(json.dumps({**settings, "webhooks_follow": False}), encoding="utf-8")
        command = [program, "--config", str(own)]
        catalog = json.loads(_output(vendor, [*command, "--discover"]))
        if _STREAM not in [entry["tap_stream_id"] for entry in catalog["streams"]]:
            raise WebhooksError(f"tap-{vendor} has no stream {_STREAM!r} to compare with")
        for entry in catalog["streams"]:
            for item in entry["metadata"]:
                if not item["breadcrumb"]:
                    item["metadata"]["selected"] = entry["tap_stream_id"] == _STREAM
        chosen.write_text(json.dumps(catalog), encoding="utf-8")
        lines = _output(vendor, [*command, "--catalog", str(chosen)]).splitlines()
    found: dict[str, list[str]] = {}
    for message in map(json.loads, lines):
        if message["type"] == "RECORD" and isinstance(url := message["record"].get("url"), str):
            found.setdefault(message["record"].get("_connection", account), []).append(url)
    return found


def _output(vendor: str, command: Sequence[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, text=True)  # noqa: S603
    if done.returncode:
        raise WebhooksError(f"tap-{vendor} could not read its stream {_STREAM!r}; its lines above say why", 1)
    return done.stdout


def compare(settings: Settings, lists: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Finding]:
    """Compare what is registered with what is listened to.

    Args:
        settings: What is listened to.
        lists: The registered addresses, by vendor and account; vendors that were not asked are missing.

    Raises:
        WebhooksError: The settings do not say what the addresses look like from outside.
    """
    if settings.public_url is None:
        raise WebhooksError(
            "setting 'public_url' is missing: the address from outside, such as https://hooks.example.com"
        )
    base = urlsplit(settings.public_url.rstrip("/"))
    for endpoint in settings.endpoints:
        if endpoint.vendor not in lists:
            yield True, f"{endpoint.name}: not checked; name the settings of its tap: {endpoint.vendor}=FILE"
            continue
        yield from _about(endpoint, base, lists[endpoint.vendor].get(endpoint.account, ()))
    for vendor, accounts in lists.items():
        for account, urls in accounts.items():
            yield from _strays(settings, base, f"{vendor}/{account}", urls)


def _about(endpoint: Endpoint, base: SplitResult, urls: Sequence[str]) -> Iterator[Finding]:
    """What the vendor knows of one endpoint."""
    wanted = base.path + endpoint.path
    schemes = [url.scheme for url in map(_split, urls) if _leads_to(url, base) and url.path.rstrip("/") == wanted]
    if base.scheme in schemes:
        yield True, f"{endpoint.name}: registered"
    elif schemes:
        yield False, f"{endpoint.name}: registered as {schemes[0]}, but public_url is {base.scheme}: register it again"
    else:
        yield False, f"{endpoint.name}: not registered with the vendor: nothing is delivered there"


def _strays(settings: Settings, base: SplitResult, name: str, urls: Sequence[str]) -> Iterator[Finding]:
    """Addresses of this receiver where nothing listens, and those that lead elsewhere."""
    known = {base.path + endpoint.path for endpoint in settings.endpoints if endpoint.name == name}
    for url in map(_split, urls):
        if not _leads_to(url, base):
            yield True, f"{name}: also registered at {url.hostname or 'another address'}, which is not this receiver"
        elif url.path.rstrip("/") not in known:
            shown = url.path.rpartition("/")[0]
            yield False, f"{name}: registered at {shown}/***, where nothing listens: deliveries are answered 404"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _leads_to(url: SplitResult, base: SplitResult) -> bool:
    try:
        ports = [each.port or {"https": 443, "http": 80}.get(each.scheme) for each in (url, base)]
    except ValueError:
        return False
    same_port = ports[0] == ports[1] or url.scheme != base.scheme
    return url.hostname == base.hostname and same_port and f"{url.path}/".startswith(f"{base.path}/")
