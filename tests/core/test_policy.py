"""Personal data and secrets: six settings."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_core.config.redact import MASK
from tap_core.errors import ConfigError
from tap_core.records.policy import Policy, walk_leaves

HASH = Policy(pii="hash", pii_key=b"k")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


DEFAULTS = {"unknown_fields": "keep", "pii": "keep", "pii_harmless": [], "drop_fields": [], "mask_secrets": True}


def test_without_settings_data_are_kept_and_secrets_masked() -> None:
    assert Policy.from_config(DEFAULTS) == Policy("keep", "keep", b"", frozenset(), frozenset(), mask_secrets=True)


def test_settings_are_taken() -> None:
    config = {"unknown_fields": "fail", "pii": "hash", "pii_key": "k", "drop_fields": ["a"], "mask_secrets": False}
    found = Policy.from_config({**config, "pii_harmless": ["b"]})
    assert found == Policy("fail", "hash", b"k", frozenset({"b"}), frozenset({"a"}), mask_secrets=False)


@pytest.mark.parametrize("key", [{}, {"pii_key": None}, {"pii_key": ""}])
def test_a_hash_without_a_key_is_refused(key: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'pii_key' is missing"):
        Policy.from_config({**DEFAULTS, "pii": "hash", **key})


def test_a_hash_is_hmac_sha_256_of_the_text() -> None:
    assert HASH.hash_leaf("a") == hmac.new(b"k", b"a", hashlib.sha256).hexdigest()
    assert HASH.hash_leaf(7) == HASH.hash_leaf("7")
    assert HASH.hash_leaf("a") != Policy(pii="hash", pii_key=b"other").hash_leaf("a")


@settings(max_examples=30)
@given(value=json_values)
def test_walking_leaves_keeps_the_shape_and_changes_every_leaf(value: Any) -> None:
    masked = walk_leaves(value, lambda _leaf: MASK)

    def agrees(before: Any, after: Any) -> bool:
        if isinstance(before, dict):
            return before.keys() == after.keys() and all(agrees(before[name], after[name]) for name in before)
        if isinstance(before, list):
            return len(before) == len(after) and all(map(agrees, before, after))
        return after is None if before is None else after == MASK

    assert agrees(value, masked)


PERSONAL = [
    "email",
    "e_mail",
    "billing_email",
    "phone",
    "mobile_number",
    "msisdn",
    "ip",
    "ip_address",
    "first_name",
    "LastName",
    "surname",
    "shipping_address",
    "postcode",
    "postal_code",
    "zip",
    "date_of_birth",
    "card_number",
    "iban",
    "access_token",
    "notes",
]
PLAIN = ["id", "amount", "currency", "ship", "status", "product_name", "recipe"]


@pytest.mark.parametrize("name", PERSONAL)
@pytest.mark.parametrize("wrap", [lambda name: {name: "Z"}, lambda name: {"x": {name: ["Z"]}}], ids=["top", "inside"])
def test_x3_names_that_look_personal_count_in_what_a_user_declares(name: str, wrap: Any) -> None:
    assert "'Z'" not in str(Policy(pii="drop").scrub(wrap(name)))
    assert "'Z'" not in str(HASH.scrub(wrap(name)))
    assert HASH.hash_leaf("Z") in str(HASH.scrub(wrap(name)))
    assert Policy().scrub(wrap(name)) == wrap(name)


@pytest.mark.parametrize("name", PLAIN)
def test_other_names_stay_in_what_a_user_declares(name: str) -> None:
    assert Policy(pii="drop").scrub({name: {name: ["Z"]}}) == {name: {name: ["Z"]}}


def test_dropped_names_go_at_any_depth() -> None:
    policy = Policy(drop_fields=frozenset({"gone"}))
    assert policy.scrub({"gone": 1, "a": [{"gone": 1, "b": 2}, [{"gone": 1}]], "c": 3}) == {
        "a": [{"b": 2}, [{}]],
        "c": 3,
    }
