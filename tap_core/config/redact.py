"""Keeps secrets out of everything that a tap says: log lines, errors, tracebacks.

The values of all secret settings are known when a tap starts; whatever is logged afterwards, at any level and by any
library, has them replaced, in the plain form, URL-encoded, escaped as in JSON, and inside Base64 credentials.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "SHORTEST", "Redactor", "holds_secret", "secret_values"]

MASK: Final = "***"
"""What replaces a secret."""

SHORTEST: Final = 4
"""Shorter secrets would blank out half of every message; they are too short to protect anything."""


def secret_values(config: Any, schema: Any) -> Iterator[str]:
    """The texts in a configuration that its schema marks as secret, at any depth."""
    if not isinstance(schema, dict):
        return
    if schema.get("secret") or schema.get("writeOnly"):
        yield from _texts(config)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word) or ():
            yield from secret_values(config, branch)
    if isinstance(config, dict):
        members = schema.get("properties") or {}
        for name, value in config.items():
            yield from secret_values(value, members.get(name, schema.get("additionalProperties")))
    elif isinstance(config, list):
        items = schema.get("items")
        for number, item in enumerate(config):
            yield from secret_values(item, items[number] if isinstance(items, list) and number < len(items) else items)


def holds_secret(schema: Any) -> bool:
    """Whether a setting's schema marks it, or anything inside it, as secret."""
    if isinstance(schema, dict):
        marked = schema.get("secret") is True or schema.get("writeOnly") is True
        return marked or any(map(holds_secret, schema.values()))
    return isinstance(schema, list) and any(map(holds_secret, schema))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


class Redactor(logging.Filter):
    """Replaces secrets in text; also a logging filter that does so for every record."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn further secrets, such as a token that was just issued."""
        for secret in secrets:
            if len(secret.strip()) >= SHORTEST:
                self._forms |= set(_forms(secret.strip()))
        if self._forms:
            self._pattern = re.compile(
                "|".join(map(re.escape, sorted(self._forms, key=len, reverse=True))), re.IGNORECASE
            )

    def text(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if self._pattern is None:
            return True
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
            record.args = ()
        if self._finds(message) or self._finds(repr(record.args)):  # else kept: formatters recognise metrics by it
            record.msg, record.args = self.text(message), ()
        if record.exc_info:
            record.exc_text = self.text(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = self.text(record.stack_info)
        for name, value in list(vars(record).items()):
            if name not in _STANDARD and self._finds(str(value)):
                setattr(record, name, self.text(str(value)))
        return True

    def _finds(self, text: str) -> bool:
        return self._pattern is not None and self._pattern.search(text) is not None

    def install(self) -> None:
        """Put the filter on every handler of every logger."""
        for logger in (logging.getLogger(), *logging.Logger.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", ()):
                if self not in handler.filters:
                    handler.addFilter(self)


_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "exc_text"}


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield from _base64_forms(secret.encode())


def _base64_forms(secret: bytes) -> Iterator[str]:
    """What Base64 makes of a secret inside any longer text: it depends on the text's length before it, modulo 3."""
    for before in range(3):
        encoded = b64encode(bytes(before) + secret).decode()
        own = encoded[-(-8 * before // 6) : 8 * (before + len(secret)) // 6]
        yield own
        yield own.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")
