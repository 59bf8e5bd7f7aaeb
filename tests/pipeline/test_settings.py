"""Every setting of every plugin of ours from the environment, through Meltano, all at once."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from scripts.describe import VENDORS, Setting, about, loader_settings, tap_settings
from tap_core.config.environment import typed
from tap_core.errors import ConfigError
from target_duckhouse.errors import SettingsError
from target_duckhouse.settings import read_settings
from tests.faults.vendors import VENDORS as TAPS
from tests.settings_made import CANARY, right_value, text_of, wrong_texts

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

pytestmark = pytest.mark.xdist_group("meltano")  # whose project is installed once

BY_NAME = {
    "start_date": "2026-01-02",
    "end_date": "2026-02-03T04:05:06Z",
    "drop_fields": '["nothing_has_this_name"]',
    "pii_key": "a-key-of-these-tests",
    "user_agent": "7",
    "flattening_max_depth": "0",
    "sales_key_field": "id",
    "fwo_replication_key": "updatedAt",
    "token_cache": "",
    "availability_currency": "EUR",
    "customers": '["7000000001"]',
    "connections": '[{"name": "one", "api_key": "key-of-one"}]',
    "customer_ids": "[7]",
    "link_names": '["one"]',
    "channel_fields": '["name"]',
    "link_fields": '["name"]',
    "expand": '["customer"]',
    "aggregate_fields": '["country"]',
    "memory_limit_mb": "700",
}
"""Texts for settings of which a schema does not say all; every other text is made from the setting's schema."""
ALTERNATIVES = {"peek": ("connections", "api_key")}
"""Settings that exclude each other: the second one is left out."""


def value_of(setting: Setting, text: str) -> Any:
    nested = setting.kind != "string" or text.startswith("[")
    return json.loads(text) if nested else text


@pytest.mark.parametrize("vendor", VENDORS)
def test_c10_every_setting_of_a_tap_reaches_it_from_the_environment(
    project: Project, world: World, vendor: str
) -> None:
    settings = {setting.name: setting for setting in tap_settings(vendor)}
    if vendor in ALTERNATIVES:
        del settings[ALTERNATIVES[vendor][1]]
    given, members = world.config(vendor), about(f"tap_{vendor}")["settings"]["properties"]
    texts = {
        name: given[name]
        if isinstance(given.get(name), str) and name not in BY_NAME
        else BY_NAME.get(name, text_of(right_value(members[name], setting.default)))
        for name, setting in settings.items()
    }
    env = {**project.env, "MERCHANT_CLOCK": world.clock()}
    env |= {f"TAP_{vendor}_{name}".upper(): text for name, text in texts.items()}
    dumped = project.meltano("invoke", "--no-install", "--dump=config", f"tap-{vendor}", env=env)
    assert dumped.returncode == 0, dumped.stderr
    handed = json.loads(dumped.stdout)
    schema = {"properties": {name: {"type": _types(vendor, name)} for name in settings}}
    received = typed({name: handed[name] for name in texts if texts[name] != ""}, schema)
    assert received == {name: value_of(settings[name], text) for name, text in texts.items() if text != ""}
    shutil.rmtree(project.folder / f".meltano/run/tap-{vendor}", ignore_errors=True)  # the catalog of other settings
    done = project.meltano("invoke", "--no-install", f"tap-{vendor}", "--test=schema", env=env)
    assert done.returncode == 0, done.stderr
    assert '"type":"SCHEMA"' in done.stdout.replace(" ", "")


def test_c10_every_setting_of_the_loader_reaches_it_from_the_environment(project: Project, tmp_path: Path) -> None:
    settings = {setting.name: setting for setting in loader_settings()}
    paths = {"path": str(tmp_path / "w.duckdb"), "lake_path": str(tmp_path / "lake")}
    paths["history"] = "false"  # a lake keeps none
    members = {entry["name"]: entry["schema"] for entry in about("target_duckhouse")["settings"]}
    texts = paths | {
        name: BY_NAME.get(name, text_of(right_value(members[name], setting.default)))
        for name, setting in settings.items()
        if name not in paths
    }
    env = {**project.env, **{f"TARGET_DUCKHOUSE_{name}".upper(): text for name, text in texts.items()}}
    dumped = project.meltano("invoke", "--no-install", "--dump=config", "target-duckhouse", env=env)
    assert dumped.returncode == 0, dumped.stderr
    file = tmp_path / "config.json"
    file.write_text(dumped.stdout)
    received = read_settings([str(file)])
    wanted = {name: value_of(settings[name], text) for name, text in texts.items()} | {"history": False}
    assert {name: getattr(received, name) for name in settings} == wanted
    done = project.meltano("invoke", "--no-install", "target-duckhouse", "inspect", env=env)
    assert f"there is no file {paths['path']}" in done.stderr


def wrong_text(schema: dict[str, Any]) -> str | None:
    """A text that a setting does not allow, None if there is none: first of all one that Meltano could not read."""
    return next(iter(wrong_texts(schema)), None)


def through_meltano(project: Project, plugin: str, env: dict[str, str]) -> dict[str, Any]:
    """The settings that Meltano hands to a plugin, which is not called."""
    printed = project.meltano("config", "print", plugin, env=env)
    assert printed.returncode == 0, printed.stderr
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


@pytest.mark.parametrize("vendor", VENDORS)
def test_c1_every_wrong_setting_is_handed_on_and_named(project: Project, world: World, vendor: str) -> None:
    """All at once on their way through Meltano, then one by one to the tap."""
    members = about(f"tap_{vendor}")["settings"]["properties"]
    wrong = {name: text for name, member in members.items() if (text := wrong_text(member)) and "secret" not in member}
    assert len(wrong) > 8
    env = {**project.env, **world.env(vendor), **{f"TAP_{vendor}_{name}".upper(): text for name, text in wrong.items()}}
    handed = through_meltano(project, f"tap-{vendor}", env)
    for name in wrong:
        with pytest.raises(ConfigError) as caught:
            TAPS[vendor].tap(config={**world.config(vendor), name: handed[name]})
        assert f"setting '{name}" in str(caught.value)
        assert CANARY not in str(caught.value)


def test_c1_every_wrong_setting_of_the_loader_is_handed_on_by_meltano_and_named(
    project: Project, tmp_path: Path
) -> None:
    members = {entry["name"]: entry for entry in about("target_duckhouse")["settings"]}
    wrong = {name: text for name, entry in members.items() if (text := wrong_text(entry["schema"]))}
    assert len(wrong) > 3
    env = {**project.env, **{members[name]["env"]: text for name, text in wrong.items()}}
    handed, file = through_meltano(project, "target-duckhouse", env), tmp_path / "config.json"
    for name in wrong:
        file.write_text(json.dumps({name: handed[name]}))
        with pytest.raises(SettingsError) as caught:
            read_settings([str(file)])
        assert f"setting `{name}`" in str(caught.value)
        assert CANARY not in str(caught.value)


def test_c10_a_number_in_a_dotenv_file_reaches_the_tap(project: Project, world: World) -> None:
    (project.folder / ".env").write_text("TAP_PEAKIUM_LOOKBACK_DAYS=1.5\nTARGET_DUCKHOUSE_FLUSH_INTERVAL_S=3\n")
    try:
        done = project.meltano("invoke", "--no-install", "tap-peakium", "--test=schema", env=project.environment(world))
    finally:
        (project.folder / ".env").unlink()
    assert done.returncode == 0, done.stderr


def _types(vendor: str, name: str) -> Any:

    return about(f"tap_{vendor}")["settings"]["properties"][name].get("type", "string")
