"""Settings that cannot be right, the environment alone, and records that are not as the schema says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.environment import tap_environment
from scripts import describe
from tap_core.config.environment import read_environment, typed
from tap_core.config.redact import holds_secret
from tap_core.config.secret_files import with_secrets
from tap_core.errors import ConfigError
from tap_core.testing import Run
from tests.canary import shown
from tests.faults.vendors import VENDORS, of
from tests.settings_made import kinds_of, right_value, text_of, wrong_texts, wrong_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.shop import Shop

DATES = ("start_date", "end_date")
"""Settings that are dates, of which their schema says only that they are text."""


def refused(shop: Shop, **settings: Any) -> str:
    """The line with which a tap refuses settings."""
    config = {name: value for name, value in {**shop.config, **settings}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        shop.vendor.tap(config=config)
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in said
    assert shown(shop.secrets, said) == []
    return said


@of("C1")
def test_every_wrong_setting_is_named_without_its_value(shop: Shop) -> None:
    """As the tap's own schema says, so that a new setting is covered too."""
    properties = shop.vendor.tap.config_jsonschema["properties"]
    assert len(properties) > 20
    for name, member in properties.items():
        wrong = [*wrong_values(member), *(["31st of June"] if name in DATES else [])]
        assert wrong, name
        for value in wrong:
            said = refused(shop, **{name: value})
            assert f"'{name}" in said, (name, value)
            assert "anary-4fa9" not in said, (name, value)


@of("C1", "C2", "C10")
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_every_wrong_variable_is_named_without_its_value(
    shop: Shop, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where everything is text: what the tap reads is refused as it is read, or with the settings as a whole."""
    schema = shop.vendor.tap.config_jsonschema
    monkeypatch.chdir(shop.folder)
    prefix = f"TAP_{shop.vendor.name}_".upper()
    tried = 0
    for name, member in schema["properties"].items():
        for text in [*wrong_texts(member), *(["31st of June"] if name in DATES else [])]:
            tried += 1
            with variable(shop, prefix + name.upper(), text, where), pytest.raises(ConfigError) as caught:
                shop.vendor.tap(config={**shop.config, **read_environment(schema, prefix)})
            said = str(caught.value)
            assert f"'{name}" in said or f"variable {prefix}{name.upper()} " in said, (name, text, said)
            assert "anary-4fa9" not in said, (name, text)
    assert tried > 100


@of("C2", "C10")
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_every_setting_is_read_from_text_as_what_it_is(shop: Shop, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = shop.vendor.tap.config_jsonschema
    monkeypatch.chdir(shop.folder)
    prefix = f"TAP_{shop.vendor.name}_".upper()
    kinds = set()
    for name, member in schema["properties"].items():
        kinds |= kinds_of(member)
        value = right_value(member, member.get("default"))
        with variable(shop, prefix + name.upper(), text_of(value), where):
            assert read_environment(schema, prefix) == {name: value}
    assert kinds == {"string", "integer", "number", "boolean", "array", "object"}


@of("C2", "C10")
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_every_secret_may_be_in_a_file(shop: Shop, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = shop.vendor.tap.config_jsonschema
    monkeypatch.chdir(shop.folder)
    prefix, file = f"TAP_{shop.vendor.name}_".upper(), shop.folder / "secret"
    secrets = {name: member for name, member in schema["properties"].items() if holds_secret(member)}
    assert secrets.keys() >= {"pii_key", *(name for name in shop.config if schema["properties"][name].get("secret"))}
    for name, member in secrets.items():
        value = right_value(member, None)
        file.write_text(f"{text_of(value)}\n")
        with variable(shop, f"{prefix}{name.upper()}_FILE", str(file), where):
            assert read_environment(schema, prefix) == {name: value}
        assert typed(with_secrets({f"{name}_file": str(file)}, schema), schema) == {name: value}


@contextmanager
def variable(shop: Shop, name: str, text: str, where: str) -> Iterator[None]:
    """A variable of the environment, or one that a ``.env`` file has."""
    file = shop.folder / ".env"
    with pytest.MonkeyPatch.context() as patch:
        if where == "environment":
            patch.setenv(name, text)
        else:
            file.write_text(f"{name}='{text}'\n")
        yield
        file.unlink(missing_ok=True)


@of("C1", without=("peakium", "peek"))
def test_a_time_zone_that_does_not_exist_is_named(shop: Shop) -> None:
    """The others have no times without an offset."""
    names = [name for name in shop.vendor.tap.config_jsonschema["properties"] if name.endswith("zone")]
    assert names
    for name in names:
        for wrong in ("Mars", " ", "", "../etc/passwd"):
            assert f"setting '{name}'" in refused(shop, **{name: wrong})


@of("C1")
def test_a_missing_an_unknown_and_a_misspelt_setting_are_named(shop: Shop) -> None:
    schema = shop.vendor.tap.config_jsonschema
    for name in schema.get("required", ()):
        assert f"setting '{name}' is missing" in refused(shop, **{name: None})
    assert "unknown setting 'colour'" in refused(shop, colour="Canary-4fa9-kiwi")
    assert "did you mean 'concurrency'?" in refused(shop, concurency=2)


@of("C2")
def test_the_environment_alone_is_enough(shop: Shop) -> None:
    """Numbers, texts, lists and objects."""
    name = shop.vendor.name
    settings = {**shop.config, "concurrency": 2, "lookback_days": 1.5, "drop_fields": ["nothing"], "stream_maps": {}}
    kept = {each: value for each, value in os.environ.items() if not each.startswith("TAP_")}
    done = subprocess.run(
        [sys.executable, "-m", f"tap_{name}", "--config", "ENV"],
        env={**kept, **tap_environment(name, settings), "MERCHANT_CLOCK": shop.world.clock()},
        cwd=shop.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    shop.assert_exact(Run(0, done.stdout, done.stderr.decode()))


@of("C4")
def test_blanks_and_line_breaks_in_keys_are_found_before_the_first_request(shop: Shop) -> None:
    schema = shop.vendor.tap.config_jsonschema["properties"]
    keys = [name for name, value in shop.config.items() if schema[name].get("secret") and isinstance(value, str)]
    before = shop.world.stats(shop.vendor.name)["requests"]
    for name in keys:
        for odd in (
            f"{shop.config[name]}\n",
            f"\t{shop.config[name]}",
            f"{shop.config[name][:5]}\r\n{shop.config[name][5:]}",
        ):
            if name != "password":  # which may hold anything
                assert f"setting '{name}' contains spaces" in refused(shop, **{name: odd})
    assert keys
    assert shop.world.stats(shop.vendor.name)["requests"] == before


NEWS: dict[str, Any] = {
    "brand_new": {"deep": [{"deeper": [1, None, "x"]}], "amount": 12.25},
    "enormous": 2**70,
    "flag": True,
}


def told(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@of("C5")
def test_fields_that_nobody_knows_are_kept(shop: Shop) -> None:
    """At the top and at any depth, with integers above 2^63."""
    shop.fault("patch", times=None, set={f"{shop.vendor.rows}.{name}": value for name, value in NEWS.items()})
    run = shop.read()
    assert run.code == 0, run.log
    records = run.records(shop.vendor.main)
    assert records
    for record in records:
        extra = record["_extra"] if isinstance(record["_extra"], dict) else json.loads(record["_extra"])
        assert {name: told(extra.get(name)) for name in NEWS} == {name: told(value) for name, value in NEWS.items()}


@of("C5")
@pytest.mark.parametrize(("policy", "code"), [("warn", 0), ("fail", 4)])
def test_fields_that_nobody_knows_are_told_or_refused(shop: Shop, policy: str, code: int) -> None:
    shop.fault("patch", times=None, set={f"{shop.vendor.rows}.brand_new": "Canary-4fa9-kiwi"})
    run = shop.read(unknown_fields=policy)
    assert run.code == code, run.log
    assert "brand_new" in run.log
    assert "Canary" not in run.log + run.output.decode()


@of("C5")
def test_values_of_another_type_and_nulls_lose_no_record(shop: Shop) -> None:
    calm = shop.calm
    assert calm is not None
    keys = calm.keys(shop.vendor.main)
    schema = calm.schema(shop.vendor.main)["properties"]
    texts = [
        name
        for name in calm.records(shop.vendor.main)[0]
        if "string" in schema[name]["type"]
        and "format" not in schema[name]
        and name not in {*keys, "id"}
        and name[0] != "_"
    ]
    place = shop.vendor.rows.replace("*", "0")
    changed = {f"{place}.{texts[0]}": {"now": ["an", "object"]}, f"{place}.{texts[-1]}": None}
    shop.fault("patch", times=None, set=changed)
    run = shop.read()
    assert run.code == 0, run.log
    assert len(run.rows(shop.vendor.main)) >= len(calm.rows(shop.vendor.main))
    assert '"now"' in run.output.decode() or '\\"now\\"' in run.output.decode()


def test_the_suite_knows_every_tap() -> None:
    assert set(VENDORS) == set(describe.VENDORS)
