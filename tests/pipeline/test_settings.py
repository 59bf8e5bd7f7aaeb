"""Every setting of every plugin of ours from the environment, through Meltano, all at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.describe import VENDORS, Setting, about, loader_settings, tap_settings
from tap_core.config.environment import typed
from target_duckhouse.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.pipeline.conftest import Project

BY_KIND = {"integer": "7", "number": "2.5", "array": "[]", "object": "{}"}
BY_NAME = {
    "start_date": "2026-01-02",
    "end_date": "2026-02-03T04:05:06Z",
    "drop_fields": '["nothing_has_this_name"]',
    "pii_key": "a-key-of-these-tests",
    "user_agent": "7",
    "flattening_separator": "-",
    "flattening_max_depth": "0",
    "first_page": "1",
    "time_zone": "Europe/Rome",
    "source_timezone": "Europe/Rome",
    "sales_key_field": "id",
    "fwo_replication_key": "updatedAt",
    "token_cache": "",
    "availability_currency": "EUR",
    "country_code": "39",
    "customers": '["7000000001"]',
    "connections": '[{"name": "one", "api_key": "key-of-one"}]',
    "customer_ids": "[7]",
    "link_names": '["one"]',
    "channel_fields": '["name"]',
    "link_fields": '["name"]',
    "expand": '["customer"]',
    "version_1_prefix": "/v2",
    "aggregate_fields": '["country"]',
    "memory_limit_mb": "700",
    "schema": "here",
    "state_id": "one",
    "lake_partition_by": "created",
}
ALTERNATIVES = {"peek": ("connections", "api_key")}
"""Settings that exclude each other: the second one is left out."""


def text_for(setting: Setting) -> str:
    """A text that the setting allows, other than its default where that is possible."""
    if setting.name in BY_NAME:
        return BY_NAME[setting.name]
    if setting.choices:
        return setting.choices[-1]
    if setting.kind == "boolean":
        return json.dumps(not setting.default)
    return BY_KIND[setting.kind]


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
    given = world.config(vendor)
    texts = {
        name: given[name] if isinstance(given.get(name), str) and name not in BY_NAME else text_for(setting)
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
    done = project.meltano("invoke", "--no-install", f"tap-{vendor}", "--test=schema", env=env)
    assert done.returncode == 0, done.stderr
    assert '"type":"SCHEMA"' in done.stdout.replace(" ", "")


def test_c10_every_setting_of_the_loader_reaches_it_from_the_environment(project: Project, tmp_path: Path) -> None:
    settings = {setting.name: setting for setting in loader_settings()}
    paths = {"path": str(tmp_path / "w.duckdb"), "lake_path": str(tmp_path / "lake")}
    texts = paths | {name: text_for(setting) for name, setting in settings.items() if name not in paths}
    env = {**project.env, **{f"TARGET_DUCKHOUSE_{name}".upper(): text for name, text in texts.items()}}
    dumped = project.meltano("invoke", "--no-install", "--dump=config", "target-duckhouse", env=env)
    assert dumped.returncode == 0, dumped.stderr
    file = tmp_path / "config.json"
    file.write_text(dumped.stdout)
    received = read_settings([str(file)])
    assert {name: getattr(received, name) for name in settings} == {
        name: value_of(settings[name], text) for name, text in texts.items()
    }
    done = project.meltano("invoke", "--no-install", "target-duckhouse", "inspect", env=env)
    assert f"there is no file {paths['path']}" in done.stderr


def test_c10_a_number_in_a_dotenv_file_reaches_the_tap(project: Project, world: World) -> None:
    (project.folder / ".env").write_text("TAP_PEAKIUM_LOOKBACK_DAYS=1.5\nTARGET_DUCKHOUSE_FLUSH_INTERVAL_S=3\n")
    try:
        done = project.meltano("invoke", "--no-install", "tap-peakium", "--test=schema", env=project.environment(world))
    finally:
        (project.folder / ".env").unlink()
    assert done.returncode == 0, done.stderr


def _types(vendor: str, name: str) -> Any:

    return about(f"tap_{vendor}")["settings"]["properties"][name].get("type", "string")
