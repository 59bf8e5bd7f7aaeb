"""What the user wants done with unknown fields, personal data and secrets: five settings, read once."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tap_core.errors import ConfigError

__all__ = ["INDEX", "PERSONAL", "Policy", "walk_leaves"]

PERSONAL: Final = re.compile(
    r"e_?mail|phone|telephone|mobile|msisdn|^ip$|ip_?(address|payment)|surname"
    r"|(first|last|full|user|contact|customer|employee|worker)_?name"
    r"|address|post(al)?_?code|^zip|birth|paypal|card|iban|token|notes?$",
    re.IGNORECASE,
)
"""Names of undeclared fields that probably hold personal data."""


INDEX: Final = re.compile(r"\[\d+\]")
"""The number of an array's item in the path of a field."""


def walk_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a JSON value in which each leaf (text, number, boolean) went through ``change``."""
    if isinstance(value, Mapping):
        return {key: walk_leaves(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [walk_leaves(item, change) for item in value]
    return None if value is None else change(value)


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings ``unknown_fields``, ``pii``, ``pii_key``, ``drop_fields`` and ``mask_secrets``.

    Args:
        unknown_fields: What happens to fields and types that the schema does not know: ``keep`` them in ``_extra``,
            ``warn`` and drop them, or ``fail`` the stream.
        pii: What happens to fields that the schema marks ``x-pii``: ``keep``, ``drop``, or ``hash`` with ``pii_key``.
        pii_key: The key of the hash.
        drop_fields: Names of fields that are dropped wherever they occur.
        mask_secrets: Whether secrets inside the data are masked.
    """

    unknown_fields: Literal["keep", "warn", "fail"] = "keep"
    pii: Literal["keep", "drop", "hash"] = "keep"
    pii_key: bytes = b""
    drop_fields: frozenset[str] = frozenset()
    mask_secrets: bool = True

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Policy:
        """The policy that a tap's settings ask for.

        Raises:
            ConfigError: ``pii`` is ``hash`` and there is no ``pii_key``.
        """
        pii, key = config["pii"], str(config.get("pii_key") or "")
        if pii == "hash" and not key:
            raise ConfigError("setting 'pii_key' is missing: pii is 'hash', and only a keyed hash protects anyone")
        return cls(
            unknown_fields=config["unknown_fields"],
            pii=pii,
            pii_key=key.encode(),
            drop_fields=frozenset(config["drop_fields"]),
            mask_secrets=config["mask_secrets"],
        )

    def hash_leaf(self, value: Any) -> str:
        """HMAC-SHA256 of a value's text, hexadecimal: equal values stay joinable, nobody without the key can guess."""
        return hmac.new(self.pii_key, str(value).encode(), hashlib.sha256).hexdigest()

    def hash_value(self, value: Any) -> Any:
        """A value in which each leaf is hashed."""
        return walk_leaves(value, self.hash_leaf)

    def scrub_extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Undeclared fields, by name: dropped ones gone, and those that look personal treated like marked ones."""
        kept: dict[str, Any] = {}
        for path, value in extra.items():
            names = INDEX.sub("", path).split(".")
            if not self.drop_fields.isdisjoint(names):
                continue
            if self.pii == "keep" or not any(map(PERSONAL.search, names)):
                kept[path] = self.scrub(value)
            elif self.pii == "hash":
                kept[path] = self.hash_value(value)
        return kept

    def scrub(self, value: Any) -> Any:
        """A JSON value in which undeclared fields are treated by name, as in `scrub_extra`, at any depth."""
        if isinstance(value, Mapping):
            return self.scrub_extra(value)
        return [self.scrub(item) for item in value] if isinstance(value, list) else value
