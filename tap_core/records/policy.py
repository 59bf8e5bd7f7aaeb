"""What the user wants done with unknown fields, personal data and secrets: six settings, read once."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tap_core.errors import ConfigError
from tap_core.records.contacts import normal_form

__all__ = ["INDEX", "PERSONAL", "Policy", "walk_leaves"]

PERSONAL: Final = re.compile(
    r"e_?mail|phone|telephone|mobile|msisdn|^ip$|ip_?(address|payment)|surname"
    r"|(first|last|full|user|contact|customer|employee|worker)_?name"
    r"|address|post(al)?_?code|^zip|birth|paypal|card|iban|token|notes?$",
    re.IGNORECASE,
)
"""Names of fields declared by a user that probably hold personal data."""


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
    """The settings ``unknown_fields``, ``pii``, ``pii_key``, ``pii_harmless``, ``drop_fields`` and ``mask_secrets``.

    Args:
        unknown_fields: What happens to fields and types that the schema does not know: ``keep`` them in ``_extra``,
            ``warn`` and drop them, or ``fail`` the stream.
        pii: What happens to fields that the schema marks ``x-pii``, and to those that it does not know: ``keep``,
            ``drop``, or ``hash`` with ``pii_key``.
        pii_key: The key of the hash.
        harmless: Names of fields that the schema does not know and that are nobody's data.
        drop_fields: Names of fields that are dropped wherever they occur.
        mask_secrets: Whether secrets inside the data are masked.
    """

    unknown_fields: Literal["keep", "warn", "fail"] = "keep"
    pii: Literal["keep", "drop", "hash"] = "keep"
    pii_key: bytes = b""
    harmless: frozenset[str] = frozenset()
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
            harmless=frozenset(config["pii_harmless"]),
            drop_fields=frozenset(config["drop_fields"]),
            mask_secrets=config["mask_secrets"],
        )

    def hash_leaf(self, value: Any) -> str:
        """HMAC-SHA256 of a value's text, hexadecimal: equal values stay joinable, nobody without the key can guess."""
        return hmac.new(self.pii_key, str(value).encode(), hashlib.sha256).hexdigest()

    def hash_value(self, value: Any, contact: str | None = None) -> Any:
        """A value in which each leaf is hashed; texts of a kind of contact detail in their normal form."""
        if contact and isinstance(value, str):
            return self.hash_leaf(normal_form(value, contact))
        return walk_leaves(value, self.hash_leaf)

    def scrub(self, value: Any) -> Any:
        """A JSON value of a column that a user has declared: members with dropped names go, personal names count."""
        if isinstance(value, Mapping):
            return self._scrub_members(value)
        return [self.scrub(item) for item in value] if isinstance(value, list) else value

    def _scrub_members(self, members: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in members.items():
            if name in self.drop_fields:
                continue
            if self.pii == "keep" or not PERSONAL.search(name):
                kept[name] = self.scrub(value)
            elif self.pii == "hash":
                kept[name] = self.hash_value(value)
        return kept
